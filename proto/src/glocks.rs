//! What a session says of its glocks for a dump: the words of `glock-core`, which is not imported here, as
//! modes and bits.

use dlm_core::{LockspaceId, Mode, Owner, ResourceName, SessionId};

use crate::caches::Cache;
use crate::holders::QueryId;
use crate::limits::{GLOCKS_PER_PAGE_MAX, OBJECT_BYTES_MAX};
use crate::name::Name;

/// A question of the server after a session's glocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlocksQuery {
    /// The report names it.
    pub query: QueryId,
    /// Whose glocks.
    pub lockspace: LockspaceId,
    /// Only those with larger names.
    pub after: Option<ResourceName>,
    /// Instead of glocks, what is counted of those in all lockspaces.
    pub caches: bool,
}

/// A page of a session's glocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlocksReport {
    /// The question.
    pub query: QueryId,
    /// They, in the order of their names.
    pub glocks: Vec<Glock>,
    /// Whether there are more behind the last.
    pub more: bool,
    /// The counts, where they were asked for.
    pub caches: Vec<Cache>,
}

/// A glock as its node has it; states are the modes that stand for them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glock {
    /// Its name in the lockspace.
    pub name: ResourceName,
    /// The cached state.
    pub state: Mode,
    /// The state that the transition under way leads to; the cached one where none is.
    pub target: Mode,
    /// The state that it is to be demoted to, if it is.
    pub demanded: Option<Mode>,
    /// Since when that is wanted, in microseconds.
    pub demanded_us: u64,
    /// What it is busy with; `lock.proto` has the bits.
    pub flags: u32,
    /// Holders, and the lock itself.
    pub references: u32,
    /// The minimum hold time, in milliseconds.
    pub hold_ms: u32,
    /// Granted ones first, then the queue in its order.
    pub holders: Vec<GlockHolder>,
    /// How many more there are.
    pub holders_left_out: u32,
    /// The object's own lines.
    pub object: Option<ObjectLines>,
}

/// A holder of a glock, or a waiter for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlockHolder {
    /// The state it has or needs.
    pub state: Mode,
    /// How it asked: gfs2's bits.
    pub flags: u32,
    /// Whether it holds (or still waits).
    pub granted: bool,
    /// Its task.
    pub owner: Owner,
    /// What the task is called.
    pub task: Option<Name>,
    /// How long it has held or waited, in microseconds.
    pub age_us: u64,
}

/// The glocks of one session in one lockspace, or some of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlocksPage {
    /// The lockspace's name.
    pub lockspace: String,
    /// Whose they are.
    pub session: SessionId,
    /// What people call that session.
    pub session_name: String,
    /// They, in the order of their names.
    pub glocks: Vec<Glock>,
    /// Whether the session did not answer, so that what follows of its glocks is not known.
    pub silent: bool,
}

/// What an object says of itself in a dump: lines of up to [`OBJECT_BYTES_MAX`] bytes together, without
/// control characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectLines(String);

impl ObjectLines {
    /// Makes it of any text: other control characters than the ends of lines become `?`, what is too long
    /// is cut. `None` where nothing is left.
    #[must_use]
    pub fn lossy(text: &str) -> Option<Self> {
        let mut lines = String::new();
        for each in text.trim_end().chars() {
            let each = match each {
                '\n' => each,
                _ if each.is_control() => '?',
                _ => each,
            };
            if lines.len() + each.len_utf8() > OBJECT_BYTES_MAX {
                break;
            }
            lines.push(each);
        }
        (!lines.is_empty()).then_some(Self(lines))
    }

    /// The text, without a newline at its end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Glock {
    /// What it counts in a page.
    #[must_use]
    pub fn entries(&self) -> usize {
        1 + self.holders.len()
    }

    /// Leaves out the holders that no page has room for.
    #[must_use]
    pub fn cut(mut self) -> Self {
        let left = self.holders.len().saturating_sub(GLOCKS_PER_PAGE_MAX - 1);
        self.holders.truncate(GLOCKS_PER_PAGE_MAX - 1);
        self.holders_left_out = u32::try_from(left).unwrap_or(u32::MAX);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_object_says_moves_no_cursor_and_has_an_end() {
        let said = |text: &str| ObjectLines::lossy(text).map(|lines| lines.0);
        assert_eq!(said("I: n:1\n  L: x\n"), Some("I: n:1\n  L: x".into()));
        assert_eq!(said("a\u{1b}[2J\r"), Some("a?[2J".into()));
        assert_eq!(said(""), None);
        let long = said(&"é".repeat(200)).unwrap();
        assert_eq!(long.len(), OBJECT_BYTES_MAX);
        assert_eq!(ObjectLines::lossy(&long).unwrap().as_str(), long);
    }
}

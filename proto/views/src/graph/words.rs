//! How things are called when people read them.

use std::fmt;

use dlm_core::deadlock::{Reason, Role};
use dlm_core::{Mode, ResourceName};
use glock_core::{GlockName, GlockType, State};

use super::{Edge, Object};

impl Object {
    /// The glock of this name, if it is one's: 24 bytes, the type in columns 0 to 7 and the number in
    /// columns 8 to 23, in hexadecimal (gfs2's layout).
    #[must_use]
    pub fn glock(&self) -> Option<GlockName> {
        GlockName::of_resource(&self.name)
    }

    /// The mode, with the glock state that it stands for in parentheses where the object is a glock and
    /// the state has a name of its own.
    #[must_use]
    pub fn mode(&self, mode: Mode) -> String {
        const STATES: [State; 4] = [State::Un, State::Sh, State::Df, State::Ex];
        let state = STATES.into_iter().find(|state| state.mode() == mode);
        match state.filter(|state| state.name() != mode.name()) {
            Some(state) if self.glock().is_some() => format!("{mode} ({state})"),
            _ => mode.to_string(),
        }
    }

    /// The resource without its lockspace: what a glock protects, or the name in quotes.
    #[must_use]
    pub fn resource(&self) -> String {
        self.glock().map_or_else(|| quoted(&self.name), protected)
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{} {}", self.lockspace, self.resource()))
    }
}

fn quoted(name: &ResourceName) -> String {
    format!("\"{name}\"")
}

fn protected(glock: GlockName) -> String {
    let number = glock.number;
    match glock.kind {
        GlockType::Nondisk => format!("nondisk {number}"),
        GlockType::Inode => format!("inode {number:#x}"),
        GlockType::Rgrp => format!("rgrp {number:#x}"),
        GlockType::Meta => format!("meta {number}"),
        GlockType::Iopen => format!("iopen {number:#x}"),
        GlockType::Flock => format!("flock {number:#x}"),
        GlockType::Quota => format!("quota {number:#x}"),
        GlockType::Journal => format!("journal {number}"),
    }
}

/// What somebody holds, or wants, a lock for.
pub(super) fn role(role: Role, pins: u32) -> String {
    match (role, pins) {
        (Role::Operation, 0) => "operation".into(),
        (Role::Operation, _) => format!("operation, {}", pages(pins)),
        (Role::Pin, _) => format!("pin of {}", pages(pins)),
        (Role::Fault, _) => "fault".into(),
    }
}

fn pages(pins: u32) -> String {
    match pins {
        1 => "1 page".into(),
        _ => format!("{pins} pages"),
    }
}

/// A length of time, with three digits.
#[must_use]
pub fn time(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} us"),
        1_000..1_000_000 => format!("{} ms", us / 1_000),
        1_000_000..100_000_000 => format!("{}.{} s", us / 1_000_000, us % 1_000_000 / 100_000),
        _ => format!("{} s", us / 1_000_000),
    }
}

impl fmt::Display for Edge {
    /// One line: who waits for what, since when, and who is in the way with what.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (waiter, object, holder) = (&self.waiter, &self.object, &self.holder);
        let wants = object.mode(self.wants);
        let waited = time(self.waited_us);
        write!(f, "{waiter} waits for {wants} of {object} since {waited}, ")?;
        let mode = object.mode(self.holds);
        match self.reason {
            Reason::Holds => {
                let role = role(self.role, self.pins);
                write!(f, "held by {holder} in {mode}, {role}")
            }
            Reason::Queued => write!(f, "queued behind {holder}, which wants {mode}"),
        }
    }
}

impl Edge {
    /// What is in the way, for a label beside the arrow to whose it is.
    pub(super) fn obstacle(&self) -> String {
        let mode = self.object.mode(self.holds);
        match self.reason {
            Reason::Holds => format!("held in {mode}, {}", role(self.role, self.pins)),
            Reason::Queued => format!("queued behind, wants {mode}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(name: &[u8]) -> Object {
        Object {
            lockspace: "volume".into(),
            name: ResourceName::new(name).unwrap(),
        }
    }

    #[test]
    fn a_glocks_name_is_decoded_and_no_other_is_taken_for_one() {
        let inode = object(b"       2           102ab");
        assert_eq!(inode.glock(), Some(GlockName::inode(0x102ab)));
        assert_eq!(inode.to_string(), "volume inode 0x102ab");
        let largest = GlockName {
            kind: GlockType::Journal,
            number: u64::MAX,
        };
        assert_eq!(object(largest.resource().as_bytes()).glock(), Some(largest));
        for other in [
            &b"nightly"[..],
            b"       7           102ab",
            b"       2           102AB",
            b"      +2           102ab",
            b"       2           102ab ",
            b"       2          \xff102ab",
            b"2       102ab           ",
        ] {
            assert_eq!(object(other).glock(), None, "{other:?}");
        }
        assert_eq!(object(b"a\n").to_string(), "volume \"a\\x0a\"");
    }

    #[test]
    fn modes_of_glocks_are_said_in_gfs2s_words_too() {
        let glock = object(b"       2           102ab");
        let said: Vec<_> = Mode::ALL.map(|mode| glock.mode(mode)).into();
        assert_eq!(said, ["NL (UN)", "CR", "CW (DF)", "PR (SH)", "PW", "EX"]);
        assert_eq!(object(b"nightly").mode(Mode::Pr), "PR");
    }

    #[test]
    fn times_have_the_digits_that_matter() {
        let said = [7, 85_000, 310_400, 1_249_000, 99_990_000, 7_200_000_000].map(time);
        assert_eq!(
            said,
            ["7 us", "85 ms", "310 ms", "1.2 s", "99.9 s", "7200 s"]
        );
    }
}

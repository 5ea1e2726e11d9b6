//! Which tasks stand behind a session's locks.

use dlm_core::Owner;
use dlm_core::deadlock::GlockReport;

use crate::name::Name;

/// A question of the server after local holders; the report names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId(pub u64);

/// Which tasks stand behind a session's locks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldersReport {
    /// The question.
    pub query: QueryId,
    /// What the tasks are called.
    pub tasks: Vec<(Owner, Name)>,
    /// Who holds and waits, for each glock in use.
    pub glocks: Vec<GlockReport>,
}

impl HoldersReport {
    /// Tasks, glocks and holders counted together.
    #[must_use]
    pub fn entries(&self) -> usize {
        let holders: usize = self.glocks.iter().map(|glock| glock.holders.len()).sum();
        self.tasks.len() + self.glocks.len() + holders
    }
}

//! The lock table of `dlm-core`, behind the desk.

use dlm_core::{Input, Limits, LockTable, Output, Tick, invariants};

use super::desk::{Desk, LOCKSPACE, Locks, SESSION};

/// A lock table with one session, and its clock. After every step its invariants are checked.
pub struct Table {
    table: LockTable,
    now: Tick,
}

impl Table {
    /// A desk in front of an empty table.
    #[must_use]
    pub fn desk() -> Desk<Self> {
        let mut table = Self {
            table: LockTable::new(Limits::DEFAULT, 0),
            now: Tick(0),
        };
        table.step(Input::SessionStarted { session: SESSION });
        table.step(Input::OpenLockspace {
            session: SESSION,
            lockspace: LOCKSPACE,
        });
        Desk::new(table)
    }
}

impl Locks for Table {
    fn step(&mut self, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        self.now = self.now.plus(1);
        self.table.step(self.now, input, &mut out);
        invariants::check(&self.table).unwrap_or_else(|violation| panic!("{violation}"));
        out
    }

    fn wait(&mut self, ms: u64) {
        self.now = self.now.plus(ms.saturating_mul(1000));
    }
}

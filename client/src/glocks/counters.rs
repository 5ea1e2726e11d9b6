//! What a glock table has done.

use std::ops::AddAssign;

use glock_core::Failure;
use glock_core::glock::{Phase, Why};

/// Counts of a glock table since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GlockCounters {
    /// Holders asked for, tries that failed among them.
    pub requests: u64,
    /// Holders granted.
    pub granted: u64,
    /// Of those, granted at once from the cached state, without a message.
    pub cached: u64,
    /// Holders that had to wait, for whatever.
    pub waits: u64,
    /// Tries that failed.
    pub try_failed: u64,
    /// Waits that were interrupted.
    pub interrupted: u64,
    /// Messages to the lock manager.
    pub messages: u64,
    /// Of those, demotions and unlocks.
    pub demotions: u64,
    /// Blocking callbacks: another node wanted what was cached here.
    pub callbacks: u64,
}

impl GlockCounters {
    pub(super) fn failed(&mut self, why: Failure) {
        self.try_failed += u64::from(why == Failure::TryFailed);
        self.interrupted += u64::from(why == Failure::Interrupted);
    }

    /// A message was sent by a glock that is now in `phase`.
    pub(super) fn sent(&mut self, phase: &Phase) {
        self.messages += 1;
        let demotes = matches!(phase, Phase::Asking(asking) if asking.change.why == Why::Demote);
        self.demotions += u64::from(demotes);
    }
}

impl AddAssign for GlockCounters {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.granted += other.granted;
        self.cached += other.cached;
        self.waits += other.waits;
        self.try_failed += other.try_failed;
        self.interrupted += other.interrupted;
        self.messages += other.messages;
        self.demotions += other.demotions;
        self.callbacks += other.callbacks;
    }
}

//! What took part in a run, and how often it has to in all.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use dlm_core::{Epoch, OpId, SessionId, SlotId};

use super::super::StreamKey;
use crate::checkers::{Fact, History};

/// Something worth counting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Seen {
    /// A session ended by its own clock, or was told that it is dead.
    SessionLost,
    /// A session left a lockspace.
    LockspaceLeft,
    /// A lockspace was opened that had ended.
    LockspaceAgain,
    /// A session gave everything back and said goodbye.
    Goodbye,
    /// A master wanted a session evicted.
    Evicted,
    /// A slot was made anew from claims.
    Recovered,
    /// A client died, or its lease ran out, while a slot was being made anew.
    DeathInRecovery,
    /// Another server began to lead then.
    LeaderChangeInRecovery,
    /// A server that was deposed still believed that it leads.
    StaleLeader,
    /// A server's lease ran out while it ran.
    ServerLeaseRanOut,
    /// A server learned that it was taken for lost, and began again.
    ServerBeganAgain,
    /// A table arrived at its next master.
    PlannedMove,
    /// The same, with waiters in it.
    PlannedMoveWithWaiters,
    /// The answer to a request came, and what was first said of it had not come: its stream had broken, or
    /// its master was lost.
    LostRequestReply,
    /// The same of a conversion.
    LostConvertReply,
    /// The same of an unlock.
    LostUnlockReply,
    /// The same of a cancel.
    LostCancelReply,
    /// The same of claims.
    LostClaimsReply,
    /// A lock held less after its master was lost.
    Weakened,
    /// A wait was cancelled.
    Cancelled,
    /// A deadlock of conversions was refused.
    Deadlock,
    /// What did not want to wait failed.
    TryFailed,
    /// A value was read that is not valid.
    NotValid,
    /// A value was read that somebody stored.
    ValueRead,
    /// A task held a glock.
    GlockHeld,
    /// A glock was wanted on another node.
    GlockWanted,
    /// A task did not get a glock: it tried, gave up, or its session was over.
    GlockFailed,
    /// A grant in an alternative mode, or after a demotion.
    OtherMode,
}

impl Seen {
    /// All, each with how often there must be one in 200 runs.
    pub const LEAST: [(Self, u64); 28] = [
        (Self::GlockHeld, 1000),
        (Self::GlockWanted, 1000),
        (Self::GlockFailed, 100),
        (Self::SessionLost, 60),
        (Self::LockspaceLeft, 500),
        (Self::LockspaceAgain, 300),
        (Self::Goodbye, 300),
        (Self::Evicted, 500),
        (Self::Recovered, 10_000),
        (Self::DeathInRecovery, 100),
        (Self::LeaderChangeInRecovery, 45),
        (Self::StaleLeader, 30),
        (Self::ServerLeaseRanOut, 300),
        (Self::ServerBeganAgain, 100),
        (Self::PlannedMove, 10_000),
        (Self::PlannedMoveWithWaiters, 150),
        (Self::LostRequestReply, 120),
        (Self::LostConvertReply, 70),
        (Self::LostUnlockReply, 60),
        (Self::LostCancelReply, 20),
        (Self::LostClaimsReply, 20),
        (Self::Weakened, 30),
        (Self::Cancelled, 2000),
        (Self::Deadlock, 200),
        (Self::TryFailed, 2000),
        (Self::NotValid, 1500),
        (Self::ValueRead, 5000),
        (Self::OtherMode, 600),
    ];
}

/// What is answered once, however often it is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reply {
    /// To an operation.
    Op(SessionId, OpId),
    /// To claims.
    Claims(SessionId, SlotId, Epoch),
}

#[derive(Debug, Default)]
struct Counts {
    seen: BTreeMap<Seen, u64>,
    /// How something was answered first.
    said: BTreeMap<Reply, Said>,
}

/// Over which stream something is answered, and for which slot in which epoch.
pub(super) type Said = (StreamKey, Option<(SlotId, Epoch)>);

/// Counts that all processes of a run share. It is the scenario's, and no way for them to talk.
#[derive(Clone, Debug, Default)]
pub struct Tally(Rc<RefCell<Counts>>);

impl Tally {
    /// One more.
    pub fn saw(&self, what: Seen) {
        *self.0.borrow_mut().seen.entry(what).or_default() += 1;
    }

    /// An answer was given.
    pub fn said(&self, what: Reply, said: Said) {
        self.0.borrow_mut().said.entry(what).or_insert(said);
    }

    /// It was heard. Where that was not over the stream that it was first said over, one may have been lost;
    /// it may also come later (where a table moved, two servers say it), and whoever hears knows that.
    pub fn heard(&self, what: Reply, over: StreamKey, kind: Seen, comes: impl Fn(Said) -> bool) {
        let first = self.0.borrow_mut().said.remove(&what);
        if first.is_some_and(|first| first.0 != over && !comes(first)) {
            self.saw(kind);
        }
    }

    /// How often what was seen, with what the history shows.
    #[must_use]
    pub fn counts(&self, history: &History) -> Covered {
        from_history(self, history);
        Covered(self.0.borrow().seen.clone())
    }
}

fn from_history(tally: &Tally, history: &History) {
    let mut recovering = std::collections::BTreeSet::new();
    let mut leading = std::collections::BTreeSet::new();
    for entry in history.entries() {
        match &entry.fact {
            Fact::Recovered { slot, .. } => {
                recovering.insert(*slot);
                tally.saw(Seen::Recovered);
            }
            Fact::Served { slot } => {
                recovering.remove(slot);
            }
            Fact::Died { .. } | Fact::Lost { .. } if !recovering.is_empty() => {
                tally.saw(Seen::DeathInRecovery);
            }
            Fact::Leads { server, .. } => {
                leading.remove(server);
                if !leading.is_empty() {
                    tally.saw(Seen::StaleLeader);
                }
                leading.insert(*server);
                if !recovering.is_empty() {
                    tally.saw(Seen::LeaderChangeInRecovery);
                }
            }
            Fact::Deposed { server } => drop(leading.remove(server)),
            _ => {}
        }
    }
}

/// What was covered by one run or by many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Covered(BTreeMap<Seen, u64>);

impl Covered {
    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        for (what, count) in &other.0 {
            *self.0.entry(*what).or_default() += count;
        }
    }

    /// How often.
    #[must_use]
    pub fn count(&self, what: Seen) -> u64 {
        self.0.get(&what).copied().unwrap_or_default()
    }

    /// What there was too little of.
    #[must_use]
    pub fn missing(&self) -> Vec<(Seen, u64)> {
        let least = Seen::LEAST.into_iter();
        least
            .filter(|&(what, least)| self.count(what) < least)
            .map(|(what, _)| (what, self.count(what)))
            .collect()
    }
}

impl fmt::Display for Covered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, count) in &self.0 {
            write!(f, "{what:?} {count}, ")?;
        }
        Ok(())
    }
}

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
    /// The answer to a request came, and not where it was first given.
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
    /// A grant in an alternative mode, or after a demotion.
    OtherMode,
}

impl Seen {
    /// All, each with how often there must be one in 200 runs.
    pub const LEAST: [(Self, u64); 23] = [
        (Self::SessionLost, 100),
        (Self::Goodbye, 100),
        (Self::Evicted, 0),
        (Self::Recovered, 1000),
        (Self::DeathInRecovery, 80),
        (Self::LeaderChangeInRecovery, 50),
        (Self::StaleLeader, 10),
        (Self::ServerLeaseRanOut, 300),
        (Self::ServerBeganAgain, 100),
        (Self::PlannedMove, 200),
        (Self::PlannedMoveWithWaiters, 100),
        (Self::LostRequestReply, 8),
        (Self::LostConvertReply, 4),
        (Self::LostUnlockReply, 4),
        (Self::LostCancelReply, 3),
        (Self::LostClaimsReply, 3),
        (Self::Weakened, 20),
        (Self::Cancelled, 1000),
        (Self::Deadlock, 50),
        (Self::TryFailed, 100),
        (Self::NotValid, 500),
        (Self::ValueRead, 500),
        (Self::OtherMode, 300),
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
    /// Over which stream something was answered first.
    said: BTreeMap<Reply, StreamKey>,
}

/// Counts that all processes of a run share. It is the scenario's, and no way for them to talk.
#[derive(Clone, Debug, Default)]
pub struct Tally(Rc<RefCell<Counts>>);

impl Tally {
    /// One more.
    pub fn saw(&self, what: Seen) {
        *self.0.borrow_mut().seen.entry(what).or_default() += 1;
    }

    /// An answer was given.
    pub fn said(&self, what: Reply, over: StreamKey) {
        self.0.borrow_mut().said.entry(what).or_insert(over);
    }

    /// It was heard. Where that was not over the stream that it was first said over, one was lost.
    pub fn heard(&self, what: Reply, over: StreamKey, kind: Seen) {
        let first = self.0.borrow_mut().said.remove(&what);
        if first.is_some_and(|first| first != over) {
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

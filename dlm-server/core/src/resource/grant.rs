//! The grant rule: what becomes of a lock that arrives, and a grant.
//!
//! As in fs/dlm (`_can_be_granted`, `can_be_granted`):
//!
//! | who arrives | is granted at once where it is compatible, and |
//! |---|---|
//! | a new request | nobody converts or waits; with `NOORDER` whoever does |
//! | a new request with `EXPEDITE` (NL only) | always |
//! | a conversion | always |
//! | a conversion with `QUECVT` | nobody converts |
//!
//! *Compatible* means with every mode that another lock of the resource holds; a converting lock goes on
//! holding its old mode. What cannot be granted as asked, but in the mode that `ALTPR` or `ALTCW` names,
//! is granted in that one. On a resource that is closed nothing is granted but `EXPEDITE` and what a lock
//! converts down. What then cannot be granted queues, or fails with `NOQUEUE`; what becomes of
//! a conversion that would wait for itself is in `convert.rs`.

use super::queue::ModeSet;
use super::{LockKey, Marks, Resource, Step};
use crate::deadlock::Queue;
use crate::flags::{RequestFlags, StatusFlags};
use crate::mode::Mode;
use crate::status::Status;
use crate::value::ValueBlock;

/// A mode in which a lock can be granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(super) mode: Mode,
    /// Whether it is not the mode wanted but the alternative.
    pub(crate) alternative: bool,
}

/// What becomes of a request or conversion on arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is granted.
    Grant(Offer),
    /// It queues.
    Queue,
    /// It may not queue (`NOQUEUE`).
    TryFailed,
    /// It and a conversion that waits already would wait for each other.
    Deadlock,
    /// As `Deadlock`, and it gives up its mode rather than fail (`CONVDEADLK`).
    Demote,
    /// It would queue, and the queue is as long as it may be.
    Full,
}

/// The mode that will do where `wanted` will not be had.
pub(super) const fn alternative(flags: RequestFlags, wanted: Mode) -> Option<Mode> {
    match wanted {
        Mode::Pr if flags.contains(RequestFlags::ALTCW) => Some(Mode::Cw),
        Mode::Pr => None,
        _ if flags.contains(RequestFlags::ALTPR) => Some(Mode::Pr),
        Mode::Cw => None,
        _ if flags.contains(RequestFlags::ALTCW) => Some(Mode::Cw),
        _ => None,
    }
}

impl Resource {
    /// Whether `wanted` is compatible with everything held but `own`, the mode that the lock itself
    /// holds.
    pub(crate) fn admits(&self, wanted: Mode, own: Option<Mode>) -> bool {
        self.held_without(own).admit(wanted)
    }

    /// What the other locks hold, where a lock holds `own`.
    fn held_without(&self, own: Option<Mode>) -> ModeSet {
        let mut others = self.held;
        if let Some(mode) = own {
            others.remove(mode);
        }
        others.modes()
    }

    /// What a lock that holds `own` and wants `wanted` could be given, were it its turn.
    pub(super) fn offer(&self, wanted: Mode, own: Option<Mode>) -> Option<Offer> {
        self.admits(wanted, own).then_some(Offer {
            mode: wanted,
            alternative: false,
        })
    }

    /// As [`Resource::offer`], of the alternative mode.
    pub(super) fn alternative_offer(
        &self,
        wanted: Mode,
        own: Option<Mode>,
        flags: RequestFlags,
    ) -> Option<Offer> {
        let mode = alternative(flags, wanted)?;
        self.admits(mode, own).then_some(Offer {
            mode,
            alternative: true,
        })
    }

    /// Whether a request (`own` is `None`) or a conversion from `own` need not queue behind others.
    fn may_pass(&self, own: Option<Mode>, flags: RequestFlags) -> bool {
        let nobody_converts = self.converting().list.is_empty();
        match own {
            Some(_) => nobody_converts || !flags.contains(RequestFlags::QUECVT),
            None => {
                let nobody_queues = nobody_converts && self.waiting().list.is_empty();
                nobody_queues || flags.contains(RequestFlags::NOORDER)
            }
        }
    }

    /// What is granted on arrival, as it was asked for.
    pub(super) fn offer_on_arrival(
        &self,
        wanted: Mode,
        own: Option<Mode>,
        flags: RequestFlags,
    ) -> Option<Offer> {
        if flags.contains(RequestFlags::EXPEDITE) {
            return Some(Offer {
                mode: wanted,
                alternative: false,
            });
        }
        // Whoever gives something up is in nobody's way with what is left, known or not.
        let gives_up = own.is_some_and(|own| own.is_down_to(wanted));
        let open = gives_up || !self.closed();
        (open && self.may_pass(own, flags))
            .then(|| self.offer(wanted, own))
            .flatten()
    }

    /// Judges a request (`own` is `None`) or a conversion from `own` that arrives.
    pub(super) fn judge(
        &self,
        wanted: Mode,
        own: Option<Mode>,
        flags: RequestFlags,
        queue_length_max: usize,
    ) -> Verdict {
        if let Some(offer) = self.offer_on_arrival(wanted, own, flags) {
            return Verdict::Grant(offer);
        }
        let may_queue = !flags.contains(RequestFlags::NOQUEUE);
        let deadlock = may_queue && own.is_some_and(|own| self.would_deadlock(own));
        if !deadlock
            && !self.closed()
            && self.may_pass(own, flags)
            && let Some(offer) = self.alternative_offer(wanted, own, flags)
        {
            return Verdict::Grant(offer);
        }
        let demotes = flags.contains(RequestFlags::CONVDEADLK);
        if !may_queue {
            Verdict::TryFailed
        } else if deadlock && !demotes && !flags.contains(RequestFlags::NODLCKWT) {
            Verdict::Deadlock
        } else if self.queue_length() >= queue_length_max {
            Verdict::Full
        } else if deadlock && demotes {
            Verdict::Demote
        } else {
            Verdict::Queue
        }
    }

    /// Grants what is offered to a lock that stands in no queue, and answers its operation. `given` is
    /// the value that came with it.
    pub(super) fn grant(
        &mut self,
        step: &mut Step<'_>,
        key: LockKey,
        offer: Offer,
        given: Option<ValueBlock>,
    ) {
        let own = step.locks[key].granted;
        let token = self.next_token(own, offer.mode, &mut step.counters.token);
        let read = self.transfer_value(&mut step.locks[key], offer.mode, given);
        let lock = &mut step.locks[key];
        lock.queue = Queue::Granted;
        lock.granted = Some(offer.mode);
        lock.requested = None;
        lock.told = Mode::Nl;
        lock.marks.remove(Marks::PASSED);
        lock.token = token;
        if offer.alternative {
            lock.status |= StatusFlags::ALTMODE;
        }
        let op = lock.op;
        self.enter(step, key);
        step.answer(key, op, Status::Granted);
        step.say_value(read, self.value_sequence());
    }
}

//! A lock that wants another mode, and the conversion deadlock.
//!
//! Two locks that both hold PR and both convert to EX wait for each other: a converting lock goes on
//! holding its old mode. As in fs/dlm (`conversion_deadlock_detect`, `do_convert`), of the one that
//! comes second
//!
//! - the conversion is refused and it keeps what it has, by default;
//! - the mode it has is given up for NL, and it queues, with `CONVDEADLK`;
//! - nothing is done: it queues, with `NODLCKWT`. Its owner has to give something up.

use super::grant::Verdict;
use super::{Lock, LockKey, Marks, Resource, Step};
use crate::deadlock::Queue;
use crate::flags::{RequestFlags, StatusFlags};
use crate::ids::{OpId, Owner};
use crate::mode::Mode;
use crate::status::{Refusal, Status};
use crate::value::ValueBlock;

/// A conversion of a granted lock.
#[derive(Clone, Debug)]
pub(crate) struct Conversion {
    pub(crate) op: OpId,
    pub(crate) owner: Owner,
    pub(crate) mode: Mode,
    pub(crate) flags: RequestFlags,
    pub(crate) value: Option<ValueBlock>,
    /// What its answer has to say beside the status, whatever else comes of it.
    pub(crate) status: StatusFlags,
}

/// Whether these flags go with a conversion, whatever its modes (fs/dlm's `set_lock_args`).
pub(crate) const fn flags_fit(flags: RequestFlags) -> bool {
    use RequestFlags as F;
    !flags.intersects(F::CANCEL.union(F::EXPEDITE))
        && !flags.contains(F::CONVDEADLK.union(F::NOQUEUE))
}

/// Whether these flags go with a conversion from `from` to `to`: a place in the queue is of use only to
/// a conversion that may have to wait (fs/dlm's `__quecvt_compat_matrix`).
pub(crate) const fn order_fits(flags: RequestFlags, from: Mode, to: Mode) -> bool {
    !(flags.contains(RequestFlags::QUECVT) && from.is_down_to(to))
}

impl Resource {
    /// Converts a granted lock, or queues the conversion, or answers that it failed.
    ///
    /// # Errors
    /// [`Refusal::QueueLength`] where it would have to queue.
    pub(crate) fn convert(
        &mut self,
        step: &mut Step<'_>,
        key: LockKey,
        conversion: Conversion,
    ) -> Result<(), Refusal> {
        let Conversion {
            op,
            owner,
            mode,
            flags,
            value,
            status,
        } = conversion;
        let own = step.locks[key].granted;
        let mut verdict = self.judge(mode, own, flags, step.queue_length_max);
        if verdict == Verdict::Full {
            return Err(Refusal::QueueLength);
        }
        let lock = &mut step.locks[key];
        lock.owner = owner;
        lock.accept(flags);
        lock.status = status;
        if verdict == Verdict::Demote {
            self.demote(step, key);
            self.grant_converting(step);
            verdict = self
                .offer_on_arrival(mode, Some(Mode::Nl), flags)
                .map_or(Verdict::Queue, Verdict::Grant);
        }
        match verdict {
            Verdict::Grant(offer) => {
                self.leave(step, key);
                step.locks[key].op = op;
                self.grant(step, key, offer, value);
                self.settle(step);
            }
            Verdict::TryFailed => {
                step.answer(key, op, Status::TryFailed);
                step.say_value(None, self.value_sequence());
                if flags.contains(RequestFlags::NOQUEUEBAST) {
                    self.call_all(step, mode, Some(key));
                }
            }
            Verdict::Deadlock => {
                step.answer(key, op, Status::Deadlock);
                step.say_value(None, self.value_sequence());
            }
            Verdict::Queue | Verdict::Demote | Verdict::Full => {
                step.keep_value(key, value);
                self.leave(step, key);
                let lock = &mut step.locks[key];
                lock.op = op;
                lock.requested = Some(mode);
                lock.queue = Queue::Converting;
                self.enter(step, key);
                step.say_queued(key);
                self.call_holders(step, mode, key);
            }
        }
        Ok(())
    }

    /// Whether a conversion that waits is kept from its mode by `own`, which the lock that is about to
    /// queue behind it goes on holding.
    pub(crate) fn would_deadlock(&self, own: Mode) -> bool {
        !self.converting().wanted.admit(own)
    }

    /// A lock gives up its mode for NL, wherever it stands.
    pub(super) fn demote(&mut self, step: &mut Step<'_>, key: LockKey) {
        let lock = &mut step.locks[key];
        if let Some(mode) = lock.granted.replace(Mode::Nl) {
            self.held.remove(mode);
            self.held.add(Mode::Nl);
        }
        lock.status |= StatusFlags::DEMOTED;
    }
}

impl Lock {
    /// A conversion with these flags was asked for. That the lock has a use for values is remembered even
    /// where the conversion is refused.
    pub(crate) fn note_value(&mut self, flags: RequestFlags) {
        if flags.contains(RequestFlags::VALBLK) {
            self.marks |= Marks::VALUE_SEEN;
        }
    }
}

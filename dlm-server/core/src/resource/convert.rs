//! A lock that wants another mode, and the conversion deadlock.
//!
//! Two locks that both hold PR and both convert to EX wait for each other: a converting lock goes on
//! holding its old mode. As in fs/dlm (`conversion_deadlock_detect`), the one that comes second is
//! refused and keeps what it has; its owner has to give that up before the first can go on.

use super::grant::Verdict;
use super::{LockKey, Resource, Step};
use crate::deadlock::Queue;
use crate::flags::RequestFlags;
use crate::ids::{OpId, Owner};
use crate::mode::Mode;
use crate::status::{Refusal, Status};

/// A conversion of a granted lock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conversion {
    pub(crate) op: OpId,
    pub(crate) owner: Owner,
    pub(crate) mode: Mode,
    pub(crate) flags: RequestFlags,
}

/// Whether these flags go with a conversion from `from` to `to`: a place in the queue is of use only to
/// a conversion that may have to wait (fs/dlm's `__quecvt_compat_matrix`).
pub(crate) const fn flags_fit(flags: RequestFlags, from: Mode, to: Mode) -> bool {
    !(flags.contains(RequestFlags::QUECVT) && from.is_down_to(to))
}

impl Resource {
    /// Converts a granted lock, or queues or refuses the conversion.
    pub(crate) fn convert(
        &mut self,
        step: &mut Step<'_>,
        key: LockKey,
        conversion: Conversion,
        queue_length_max: usize,
    ) {
        let Conversion {
            op,
            owner,
            mode,
            flags,
        } = conversion;
        let verdict = self.judge(mode, step.locks[key].granted, flags, queue_length_max);
        let failed = match verdict {
            Verdict::Grant | Verdict::Queue => None,
            Verdict::TryFailed => Some(Status::TryFailed),
            Verdict::Deadlock => Some(Status::Deadlock),
            Verdict::Full => Some(Status::Refused(Refusal::QueueLength)),
        };
        if let Some(status) = failed {
            step.out.push(step.locks[key].done(op, status));
            if status == Status::TryFailed && flags.contains(RequestFlags::NOQUEUEBAST) {
                self.call_all(step, mode, Some(key));
            }
            return;
        }
        self.leave(step, key);
        let lock = &mut step.locks[key];
        lock.op = op;
        lock.owner = owner;
        lock.requested = Some(mode);
        lock.queue = Queue::Converting;
        self.enter(step, key);
        if verdict == Verdict::Grant {
            self.grant(step, key);
            self.settle(step);
        } else {
            self.call_holders(step, mode, key);
        }
    }

    /// Whether a conversion that waits is kept from its mode by `own`, which the lock that is about to
    /// queue behind it goes on holding.
    pub(crate) fn would_deadlock(&self, own: Mode) -> bool {
        !self.converting_to.admit(own)
    }
}

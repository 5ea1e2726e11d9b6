//! How a lock goes, or stops waiting: cancelled, unlocked, purged, or left by its owner.

use super::{Lock, LockKey, Marks, Resource, Step};
use crate::deadlock::Queue;
use crate::flags::{RequestFlags, StatusFlags};
use crate::ids::{OpId, Token};
use crate::status::{Refusal, Status};
use crate::value::ValueBlock;

/// Whether these flags go with an unlock or a cancel (fs/dlm's `set_unlock_args`).
pub(crate) fn flags_fit(flags: RequestFlags) -> bool {
    use RequestFlags as F;
    F::OF_UNLOCK.contains(flags) && !flags.contains(F::CANCEL | F::FORCEUNLOCK)
}

impl Lock {
    /// Whether the lock can be unlocked with these flags.
    ///
    /// fs/dlm refuses a second `FORCEUNLOCK`, and takes one that came with the request or conversion for
    /// the first.
    pub(crate) fn check_unlock(&self, flags: RequestFlags) -> Result<(), Refusal> {
        let forced = flags & self.flags & RequestFlags::FORCEUNLOCK;
        if flags_fit(flags) && forced.is_empty() {
            Ok(())
        } else {
            Err(Refusal::Flags)
        }
    }

    /// Whether a cancel of the lock is accepted. fs/dlm remembers the last one until a conversion comes,
    /// and refuses to do it again even where there is nothing to cancel.
    pub(crate) fn check_cancel(&self, flags: RequestFlags) -> Result<(), Refusal> {
        if !flags_fit(flags) {
            Err(Refusal::Flags)
        } else if self.flags.contains(RequestFlags::CANCEL) {
            Err(Refusal::AlreadyCancelled)
        } else {
            Ok(())
        }
    }
}

impl Resource {
    /// Cancels what the lock waits for, on behalf of `op`. Whether the lock is gone: a waiting one is, a
    /// converting one keeps its mode.
    pub(crate) fn cancel(
        &mut self,
        step: &mut Step<'_>,
        key: LockKey,
        op: OpId,
        flags: RequestFlags,
    ) -> bool {
        let lock = &mut step.locks[key];
        lock.flags |= flags | RequestFlags::CANCEL;
        lock.status = StatusFlags::empty();
        let gone = self.stop_waiting(step, key, Status::Cancelled);
        step.answer(key, op, Status::CancelDone);
        step.say_value(None, self.value_sequence());
        self.finish_wait(step, key, gone);
        gone
    }

    /// Ends what the lock waits for, whoever wants that. Whether the lock is gone.
    pub(crate) fn end_wait(&mut self, step: &mut Step<'_>, key: LockKey, status: Status) -> bool {
        step.locks[key].status = StatusFlags::empty();
        let gone = self.stop_waiting(step, key, status);
        self.finish_wait(step, key, gone);
        gone
    }

    /// The lock leaves its queue, and its operation is answered. Whether nothing is left of it.
    fn stop_waiting(&mut self, step: &mut Step<'_>, key: LockKey, status: Status) -> bool {
        step.take_value(key);
        self.leave_for_good(step, key);
        let lock = &step.locks[key];
        let (op, gone) = (lock.op, lock.granted.is_none());
        step.answer(key, op, status);
        step.say_value(None, self.value_sequence());
        gone
    }

    /// What follows when an operation of the lock was ended.
    fn finish_wait(&mut self, step: &mut Step<'_>, key: LockKey, gone: bool) {
        if !gone {
            self.enter(step, key);
        }
        self.settle(step);
    }

    /// Unlocks a lock on behalf of `op`; the operation that it waits for ends too. The lock stands
    /// nowhere then, and the table forgets it.
    pub(crate) fn unlock(
        &mut self,
        step: &mut Step<'_>,
        key: LockKey,
        op: OpId,
        (flags, value): (RequestFlags, Option<ValueBlock>),
    ) {
        let lock = &mut step.locks[key];
        lock.flags |= flags;
        lock.status = StatusFlags::empty();
        self.remove(step, key, value);
        step.answer(key, op, Status::Unlocked);
        step.say_value(None, self.value_sequence());
        self.settle(step);
    }

    /// Takes a lock away with its owner or its session: where that is `dirty`, it may have been writing
    /// the value.
    pub(crate) fn purge(&mut self, step: &mut Step<'_>, key: LockKey, dirty: bool) {
        let lock = &mut step.locks[key];
        lock.flags.set(RequestFlags::IVVALBLK, dirty);
        lock.status = StatusFlags::empty();
        self.remove(step, key, None);
    }

    /// Leaves a lock without an owner: it stops to wait. Whether nothing is left of it.
    pub(crate) fn orphan(&mut self, step: &mut Step<'_>, key: LockKey) -> bool {
        step.counters.serial += 1;
        let lock = &mut step.locks[key];
        lock.marks |= Marks::ORPHAN;
        // Orphans are adopted in the order in which they were left.
        lock.serial = step.counters.serial;
        if step.locks[key].queue == Queue::Granted {
            return false;
        }
        self.end_wait(step, key, Status::Cancelled)
    }

    /// Takes the lock from where it stands, and answers what it waits for.
    fn remove(&mut self, step: &mut Step<'_>, key: LockKey, value: Option<ValueBlock>) {
        let waits = step.locks[key].queue != Queue::Granted;
        self.last_value(&step.locks[key], value);
        step.take_value(key);
        self.leave_for_good(step, key);
        let lock = &mut step.locks[key];
        lock.granted = None;
        lock.token = Token::default();
        let op = lock.op;
        if waits {
            step.answer(key, op, Status::Unlocked);
        }
    }

    /// The lock leaves its queue and wants nothing more.
    fn leave_for_good(&mut self, step: &mut Step<'_>, key: LockKey) {
        self.leave(step, key);
        let lock = &mut step.locks[key];
        lock.requested = None;
        lock.queue = Queue::Granted;
    }
}

//! When a resource's value moves: with grants by the table of [`Transfer`](crate::value::Transfer), and
//! when a lock that could write it goes.
//!
//! As in fs/dlm (`set_lvb_lock`, `set_lvb_unlock`). A value that is not valid stays so until one is
//! stored; it is reported with everything but a read that finds no value, or does not ask for it.

use super::{Lock, LockKey, Marks, Resource, Step};
use crate::flags::{RequestFlags, StatusFlags};
use crate::mode::Mode;
use crate::value::{Transfer, ValueBlock, ValueLength};
use alloc::boxed::Box;

/// A value and its number, which grows whenever a value is stored or marked as not valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) sequence: u64,
    pub(crate) value: ValueBlock,
}

impl Lock {
    /// Whether its operation may read or store a value.
    const fn carries_value(&self) -> bool {
        self.flags.contains(RequestFlags::VALBLK) && self.marks.contains(Marks::VALUE_ATTACHED)
    }

    /// Notes that an operation with these flags was accepted, and forgets what the last one said.
    pub(super) fn accept(&mut self, flags: RequestFlags) {
        self.flags = flags;
        self.status = StatusFlags::empty();
        let seen = self.marks.contains(Marks::VALUE_SEEN);
        self.marks.set(Marks::VALUE_ATTACHED, seen);
    }
}

impl Resource {
    /// Moves the value with a grant of `to`, and returns what is read. `given` is the value that came
    /// with the operation.
    pub(super) fn transfer_value(
        &mut self,
        lock: &mut Lock,
        to: Mode,
        given: Option<ValueBlock>,
    ) -> Option<ValueBlock> {
        let mut read = None;
        match Transfer::of(lock.granted, to) {
            Transfer::Nothing => {}
            Transfer::Read if lock.carries_value() => {
                read = Some(self.value.as_deref()?.value.clone());
            }
            Transfer::Read => return None,
            Transfer::Write if lock.flags.contains(RequestFlags::IVVALBLK) => {
                self.invalidate();
                return None;
            }
            Transfer::Write if lock.carries_value() => self.store(given?),
            Transfer::Write => return None,
        }
        if self.value_invalid {
            lock.status |= StatusFlags::VALNOTVALID;
        }
        read
    }

    /// A lock goes, with the value that its unlock gave.
    pub(super) fn last_value(&mut self, lock: &Lock, given: Option<ValueBlock>) {
        if lock.granted < Some(Mode::Pw) {
            return;
        }
        if lock.flags.contains(RequestFlags::IVVALBLK) {
            self.invalidate();
        } else if let (true, Some(value)) = (lock.carries_value(), given) {
            self.store(value);
        }
    }

    fn store(&mut self, value: ValueBlock) {
        let sequence = self.value_sequence() + 1;
        self.value = Some(Box::new(Stored { sequence, value }));
        self.value_invalid = false;
    }

    /// The value is not valid from now on.
    fn invalidate(&mut self) {
        self.value_invalid = true;
        if let Some(stored) = &mut self.value {
            stored.sequence += 1;
        }
    }

    /// There may have been a value, and nobody knows it: whoever reads is told that it is not valid,
    /// and finds zeros.
    pub(crate) fn lose_value(&mut self, length: ValueLength) {
        let value = ValueBlock::zeros(length);
        self.value = Some(Box::new(Stored { sequence: 1, value }));
        self.value_invalid = true;
    }

    /// The number of the value, zero where none was stored.
    pub(crate) fn value_sequence(&self) -> u64 {
        self.value.as_deref().map_or(0, |stored| stored.sequence)
    }
}

impl Step<'_> {
    /// Keeps the value of a conversion that queues, where its grant may store it: one from PW or EX
    /// waits only for something stronger, but may be given an alternative mode that is weaker.
    pub(super) fn keep_value(&mut self, key: LockKey, given: Option<ValueBlock>) {
        if let (true, Some(value)) = (self.locks[key].granted >= Some(Mode::Pw), given) {
            self.unstored.insert(key, value);
        }
    }

    /// The value that was kept for the lock, which leaves the queue.
    pub(super) fn take_value(&mut self, key: LockKey) -> Option<ValueBlock> {
        self.unstored.remove(&key)
    }
}

//! A list of locks, the count of locks by mode, a queue of locks that want something, a set of modes.
//!
//! Queues are linked through the locks themselves, so that a lock leaves from anywhere at the same
//! cost. The grant rule looks at counts instead of locks: with a thousand waiters, a step costs what it
//! costs with one.

use super::{LockKey, Locks};
use crate::mode::Mode;

/// Some locks in an order; the links are in the locks.
#[derive(Clone, Debug, Default)]
pub(crate) struct List {
    head: Option<LockKey>,
    tail: Option<LockKey>,
    len: u32,
}

impl List {
    /// A list of nothing.
    pub(crate) const fn new() -> Self {
        Self {
            head: None,
            tail: None,
            len: 0,
        }
    }

    /// The first lock.
    pub(crate) const fn head(&self) -> Option<LockKey> {
        self.head
    }

    /// How many locks stand in it.
    pub(crate) const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether none does.
    pub(crate) const fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    /// Whether `key` is the first.
    pub(crate) fn starts_with(&self, key: LockKey) -> bool {
        self.head == Some(key)
    }

    /// Puts a lock that stands in no queue before all others.
    pub(crate) fn push_front(&mut self, locks: &mut Locks, key: LockKey) {
        locks[key].prev = None;
        locks[key].next = self.head;
        match self.head {
            Some(head) => locks[head].prev = Some(key),
            None => self.tail = Some(key),
        }
        self.head = Some(key);
        self.len += 1;
    }

    /// Puts a lock that stands in no queue behind all others.
    pub(crate) fn push_back(&mut self, locks: &mut Locks, key: LockKey) {
        locks[key].prev = self.tail;
        locks[key].next = None;
        match self.tail {
            Some(tail) => locks[tail].next = Some(key),
            None => self.head = Some(key),
        }
        self.tail = Some(key);
        self.len += 1;
    }

    /// Takes a lock of this queue out of it.
    pub(crate) fn remove(&mut self, locks: &mut Locks, key: LockKey) {
        let (prev, next) = (locks[key].prev.take(), locks[key].next.take());
        match prev {
            Some(prev) => locks[prev].next = next,
            None => self.head = next,
        }
        match next {
            Some(next) => locks[next].prev = prev,
            None => self.tail = prev,
        }
        self.len -= 1;
    }

    /// The locks in order.
    pub(crate) fn iter<'a>(&self, locks: &'a Locks) -> impl Iterator<Item = LockKey> + use<'a> {
        core::iter::successors(self.head, |&key| locks[key].next)
    }
}

/// How many locks there are of each mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ModeCounts([u32; Mode::ALL.len()]);

impl ModeCounts {
    /// One more of `mode`.
    pub(crate) const fn add(&mut self, mode: Mode) {
        self.0[mode as usize] += 1;
    }

    /// One less of `mode`.
    pub(crate) const fn remove(&mut self, mode: Mode) {
        self.0[mode as usize] -= 1;
    }

    /// Whether there is one of `mode`.
    pub(crate) const fn has(&self, mode: Mode) -> bool {
        self.0[mode as usize] > 0
    }

    /// The strongest mode of which there is one.
    pub(crate) fn strongest(&self) -> Option<Mode> {
        self.modes().next_back()
    }

    /// The modes of which there is one, the weakest first.
    pub(crate) fn modes(&self) -> impl DoubleEndedIterator<Item = Mode> {
        Mode::ALL.into_iter().filter(|&mode| self.has(mode))
    }

    /// Whether a lock of `mode` may be granted beside all of these.
    pub(crate) fn admit(&self, mode: Mode) -> bool {
        self.modes().all(|held| held.compatible(mode))
    }
}

/// Locks that want a mode, the first to be served first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queued {
    /// The locks.
    pub(crate) list: List,
    /// The modes that they want.
    pub(crate) wanted: ModeCounts,
    /// How many of them do not fit the plain order of service, so that it is not enough to look at the
    /// first one.
    pub(crate) out_of_turn: u32,
}

/// What queues on a resource, where something does.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queues {
    /// Locks that are held in one mode and want another.
    pub(crate) converting: Queued,
    /// Locks that want to be held.
    pub(crate) waiting: Queued,
}

impl Queued {
    /// A queue with nothing in it.
    pub(crate) const fn new() -> Self {
        Self {
            list: List::new(),
            wanted: ModeCounts([0; Mode::ALL.len()]),
            out_of_turn: 0,
        }
    }
}

impl Queues {
    /// What a resource without queues has.
    pub(crate) const NONE: &'static Self = &Self {
        converting: Queued::new(),
        waiting: Queued::new(),
    };
}

/// Some of the modes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ModeSet(u8);

impl ModeSet {
    /// Puts `mode` in.
    pub(crate) const fn insert(&mut self, mode: Mode) {
        self.0 |= 1 << mode as u8;
    }

    /// The set as bits, the weakest mode in the lowest.
    pub(crate) const fn bits(self) -> u8 {
        self.0
    }

    /// The set of these bits.
    pub(crate) const fn from_bits(bits: u8) -> Self {
        Self(bits)
    }

    /// Whether a lock of `mode` may be granted beside locks of all these modes.
    pub(crate) fn admit(self, mode: Mode) -> bool {
        Mode::ALL
            .into_iter()
            .all(|other| self.0 & (1 << other as u8) == 0 || other.compatible(mode))
    }
}

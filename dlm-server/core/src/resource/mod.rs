//! One resource: three queues of locks and what happens between them.
//!
//! | file | what |
//! |---|---|
//! | `queue.rs` | a queue of locks; the counts of locks by mode |
//! | `grant.rs` | the grant rule: what may be granted, in which order, under which token |
//! | `wait.rs` | a new lock; cancelling; unlocking |
//! | `convert.rs` | a lock that wants another mode; the conversion deadlock |
//! | `blocking.rs` | who is told that it is in the way |
//!
//! Every lock stands in exactly one queue: *granted* (the newest first), *converting* (granted in one
//! mode, waiting for another) or *waiting* (both served in order, conversions before new requests). A
//! resource exists as long as a lock stands on it.
//!
//! The behaviour is that of Linux' fs/dlm on the master of a resource (`fs/dlm/lock.c`), for the flags
//! that [`RequestFlags`](crate::RequestFlags) knows.

pub(crate) mod blocking;
pub(crate) mod convert;
pub(crate) mod grant;
pub(crate) mod queue;
pub(crate) mod wait;

use alloc::vec::Vec;

use crate::deadlock::Queue;
use crate::ids::{LockId, LockspaceId, OpId, Owner, ResourceName, SessionId, Tick, Token};
use crate::message::Output;
use crate::mode::Mode;
use crate::slab::{Slab, key};
use crate::status::Status;
use queue::{List, ModeCounts, ModeSet};

key!(
    /// The place of a lock in the table.
    LockKey
);
key!(
    /// The place of a resource in the table.
    ResourceKey
);

/// All locks of a table.
pub(crate) type Locks = Slab<LockKey, Lock>;

/// One lock.
#[derive(Clone, Debug)]
pub(crate) struct Lock {
    /// Whose it is.
    pub(crate) session: SessionId,
    /// Its number in that session.
    pub(crate) id: LockId,
    /// The task that asked last.
    pub(crate) owner: Owner,
    /// The operation that waits, where `queue` is not [`Queue::Granted`].
    pub(crate) op: OpId,
    /// When it got where it stands.
    pub(crate) since: Tick,
    /// Changes whenever `since` does.
    pub(crate) serial: u64,
    /// The token of its last grant, zero before the first.
    pub(crate) token: Token,
    /// What it is a lock on.
    pub(crate) resource: ResourceKey,
    /// The lock before it in its queue.
    pub(crate) prev: Option<LockKey>,
    /// The lock after it in its queue.
    pub(crate) next: Option<LockKey>,
    /// The queue it stands in.
    pub(crate) queue: Queue,
    /// The mode it has: `None` in [`Queue::Waiting`] only.
    pub(crate) granted: Option<Mode>,
    /// The mode it waits for: `None` in [`Queue::Granted`] only.
    pub(crate) requested: Option<Mode>,
    /// The strongest mode of which it was told since its last grant that it is in the way.
    pub(crate) told: Mode,
}

// Of the 200 bytes that a held lock may cost with its share of the indexes.
const _: () = assert!(size_of::<Lock>() <= 96);

impl Lock {
    /// Answers `op` with what the lock is now.
    pub(crate) fn done(&self, op: OpId, status: Status) -> Output {
        Output::Done {
            session: self.session,
            op,
            lock: self.id,
            status,
            mode: self.granted,
            token: self.token,
        }
    }
}

/// The table's counters that a resource moves.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counters {
    /// The last serial given out.
    pub(crate) serial: u64,
    /// The last token given out. It counts for the whole table, so that a resource that was gone for a
    /// while does not start again below the tokens of its earlier life.
    pub(crate) token: u64,
    /// How many locks convert or wait.
    pub(crate) waiting: usize,
}

/// What a step of the table lends to a resource.
pub(crate) struct Step<'a> {
    pub(crate) now: Tick,
    pub(crate) locks: &'a mut Locks,
    pub(crate) counters: &'a mut Counters,
    pub(crate) out: &'a mut Vec<Output>,
}

/// One resource.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    pub(crate) lockspace: LockspaceId,
    pub(crate) name: ResourceName,
    pub(crate) granted: List,
    pub(crate) converting: List,
    pub(crate) waiting: List,
    /// Modes that are held: by granted locks, and by converting ones until they are converted.
    pub(crate) held: ModeCounts,
    /// Modes that converting locks want.
    pub(crate) converting_to: ModeCounts,
    /// Modes that waiting locks want.
    pub(crate) waiting_for: ModeCounts,
    /// The token of the last grant, zero before the first.
    pub(crate) token: Token,
    /// In which modes there were grants under `token`.
    pub(crate) token_modes: ModeSet,
}

impl Resource {
    /// A resource without a lock.
    pub(crate) fn new(lockspace: LockspaceId, name: ResourceName) -> Self {
        Self {
            lockspace,
            name,
            granted: List::default(),
            converting: List::default(),
            waiting: List::default(),
            held: ModeCounts::default(),
            converting_to: ModeCounts::default(),
            waiting_for: ModeCounts::default(),
            token: Token::default(),
            token_modes: ModeSet::default(),
        }
    }

    /// Whether no lock stands on it, so that it can go.
    pub(crate) const fn is_empty(&self) -> bool {
        self.granted.is_empty() && self.converting.is_empty() && self.waiting.is_empty()
    }

    /// How many locks convert or wait.
    pub(crate) const fn queue_length(&self) -> usize {
        self.converting.len() + self.waiting.len()
    }

    /// The queue of that name.
    pub(crate) const fn list(&self, queue: Queue) -> &List {
        match queue {
            Queue::Granted => &self.granted,
            Queue::Converting => &self.converting,
            Queue::Waiting => &self.waiting,
        }
    }

    /// Puts a lock that stands nowhere into the queue that it names, by the modes that it names: at
    /// the front of the granted ones, at the end of the others. Everything that enters a queue is
    /// counted and stamped here.
    fn enter(&mut self, step: &mut Step<'_>, key: LockKey) {
        step.counters.serial += 1;
        let lock = &mut step.locks[key];
        lock.since = step.now;
        lock.serial = step.counters.serial;
        if let Some(mode) = lock.granted {
            self.held.add(mode);
        }
        match (lock.queue, lock.requested) {
            (Queue::Converting, Some(mode)) => self.converting_to.add(mode),
            (Queue::Waiting, Some(mode)) => self.waiting_for.add(mode),
            _ => {}
        }
        match lock.queue {
            Queue::Granted => return self.granted.push_front(step.locks, key),
            Queue::Converting => self.converting.push_back(step.locks, key),
            Queue::Waiting => self.waiting.push_back(step.locks, key),
        }
        step.counters.waiting += 1;
    }

    /// Takes a lock out of its queue. Everything that leaves a queue is counted here.
    fn leave(&mut self, step: &mut Step<'_>, key: LockKey) {
        let lock = &step.locks[key];
        if let Some(mode) = lock.granted {
            self.held.remove(mode);
        }
        match (lock.queue, lock.requested) {
            (Queue::Converting, Some(mode)) => self.converting_to.remove(mode),
            (Queue::Waiting, Some(mode)) => self.waiting_for.remove(mode),
            _ => {}
        }
        match lock.queue {
            Queue::Granted => return self.granted.remove(step.locks, key),
            Queue::Converting => self.converting.remove(step.locks, key),
            Queue::Waiting => self.waiting.remove(step.locks, key),
        }
        step.counters.waiting -= 1;
    }

    /// To be called when something was given up: grants what can be granted now, then tells the
    /// holders that are in the way of what still waits.
    pub(crate) fn settle(&mut self, step: &mut Step<'_>) {
        self.grant_queued(step);
        self.call_holders_for_queue(step);
    }
}

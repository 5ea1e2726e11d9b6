//! One resource: three queues of locks and what happens between them.
//!
//! | file | what |
//! |---|---|
//! | `queue.rs` | a list of locks; the counts of locks by mode |
//! | `name.rs` | a name in little space |
//! | `grant.rs` | the grant rule: what becomes of a lock that arrives; a grant |
//! | `pending.rs` | who of those that queue is granted when something was given up |
//! | `token.rs` | under which token a grant comes |
//! | `wait.rs` | a new lock, and its owner's end |
//! | `convert.rs` | a lock that wants another mode; the conversion deadlock |
//! | `release.rs` | cancelling, unlocking, purging |
//! | `value.rs` | when the value block moves |
//! | `blocking.rs` | who is told that it is in the way |
//!
//! Every lock stands in exactly one queue: *granted* (the newest first), *converting* (granted in one
//! mode, waiting for another) or *waiting* (both served in order, conversions before new requests). A
//! resource exists as long as a lock stands on it.
//!
//! The behaviour is that of Linux' fs/dlm on the master of a resource (`fs/dlm/lock.c`).

pub(crate) mod blocking;
pub(crate) mod convert;
pub(crate) mod grant;
pub(crate) mod name;
pub(crate) mod pending;
pub(crate) mod queue;
pub(crate) mod release;
pub(crate) mod token;
pub(crate) mod value;
pub(crate) mod wait;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use bitflags::bitflags;

use crate::deadlock::Queue;
use crate::flags::{RequestFlags, StatusFlags};
use crate::ids::{LockId, LockspaceId, OpId, Owner, ResourceName, SessionId, Tick, Token};
use crate::message::Output;
use crate::mode::Mode;
use crate::slab::{Slab, key};
use crate::status::Status;
use crate::value::ValueBlock;
use name::Name;
use queue::{List, ModeCounts, ModeSet, Queued, Queues};
use value::Stored;

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

bitflags! {
    /// What else there is to remember of a lock.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(crate) struct Marks: u8 {
        /// Its owner is gone, and nobody adopted it.
        const ORPHAN = 0x1;
        /// An operation with `VALBLK` was tried on it.
        const VALUE_SEEN = 0x2;
        /// Such an operation came before the last one that was accepted, or was it: values can be stored
        /// through this lock.
        const VALUE_ATTACHED = 0x4;
        /// It was granted on arrival past others that queue, and was not told of them.
        const PASSED = 0x8;
        /// It queues, and does not fit the queue's plain order.
        const OUT_OF_TURN = 0x10;
    }
}

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
    /// The session's lock that came before it.
    pub(crate) older: Option<LockKey>,
    /// The session's lock that came after it.
    pub(crate) newer: Option<LockKey>,
    /// The flags of the last request or conversion, and of every unlock and cancel since.
    pub(crate) flags: RequestFlags,
    /// The queue it stands in.
    pub(crate) queue: Queue,
    /// The mode it has: `None` in [`Queue::Waiting`] only.
    pub(crate) granted: Option<Mode>,
    /// The mode it waits for: `None` in [`Queue::Granted`] only.
    pub(crate) requested: Option<Mode>,
    /// The strongest mode of which it was told since its last grant that it is in the way.
    pub(crate) told: Mode,
    /// What the answer to its last operation says beside the status, so far.
    pub(crate) status: StatusFlags,
    /// What else there is.
    pub(crate) marks: Marks,
}

// Of the 200 bytes that a held lock may cost with its resource and its share of the indexes.
const _: () = assert!(size_of::<Lock>() <= 88);

impl Lock {
    /// Answers `op` with what the lock is now.
    pub(crate) const fn done(&self, op: OpId, status: Status) -> Output {
        Output::Done {
            session: self.session,
            op,
            lock: self.id,
            status,
            mode: self.granted,
            token: self.token,
            flags: self.status,
            value: None,
            value_sequence: 0,
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
    /// Values that queued conversions may yet store; see `value.rs`.
    pub(crate) unstored: &'a mut BTreeMap<LockKey, ValueBlock>,
    /// Where a step takes many locks away: the callbacks sent since the lock's last answer.
    pub(crate) called: Option<&'a mut BTreeMap<LockKey, Mode>>,
    pub(crate) queue_length_max: usize,
    pub(crate) out: &'a mut Vec<Output>,
}

impl Step<'_> {
    /// Answers `op` with what the lock is now.
    pub(crate) fn answer(&mut self, key: LockKey, op: OpId, status: Status) {
        if let Some(called) = &mut self.called {
            called.remove(&key);
        }
        self.out.push(self.locks[key].done(op, status));
    }

    /// Completes the answer given last with what the operation read, and the number of the value that
    /// it leaves.
    fn say_value(&mut self, read: Option<ValueBlock>, sequence: u64) {
        if let Some(Output::Done {
            value,
            value_sequence,
            ..
        }) = self.out.last_mut()
        {
            *value = read;
            *value_sequence = sequence;
        }
    }

    /// Says that the operation of the lock waits.
    pub(crate) fn say_queued(&mut self, key: LockKey) {
        let lock = &self.locks[key];
        self.out.push(Output::Queued {
            session: lock.session,
            op: lock.op,
            lock: lock.id,
            serial: lock.serial,
        });
    }
}

/// One resource.
#[derive(Clone, Debug)]
pub(crate) struct Resource {
    pub(crate) lockspace: LockspaceId,
    pub(crate) name: Name,
    pub(crate) granted: List,
    /// What queues, where something does.
    pub(crate) queues: Option<Box<Queues>>,
    /// Modes that are held: by granted locks, and by converting ones until they are converted.
    pub(crate) held: ModeCounts,
    /// The token of the last grant, zero before the first.
    pub(crate) token: Token,
    /// In which modes there were grants under `token`.
    pub(crate) token_modes: ModeSet,
    /// Whether the value is not valid.
    pub(crate) value_invalid: bool,
    /// Whether nothing is granted for now.
    pub(crate) closed: bool,
    /// The value, from the first time it is stored.
    pub(crate) value: Option<Box<Stored>>,
}

// As with [`Lock`].
const _: () = assert!(size_of::<Resource>() <= 104);

impl Resource {
    /// A resource without a lock.
    pub(crate) fn new(lockspace: LockspaceId, name: &ResourceName) -> Self {
        Self {
            lockspace,
            name: Name::new(name),
            granted: List::default(),
            queues: None,
            held: ModeCounts::default(),
            token: Token::default(),
            token_modes: ModeSet::default(),
            value_invalid: false,
            closed: false,
            value: None,
        }
    }

    /// Whether no lock stands on it, so that it can go.
    pub(crate) const fn is_empty(&self) -> bool {
        self.granted.is_empty() && self.queues.is_none()
    }

    /// What converts and waits.
    pub(crate) fn queues(&self) -> &Queues {
        self.queues.as_deref().unwrap_or(Queues::NONE)
    }

    /// What converts.
    pub(crate) fn converting(&self) -> &Queued {
        &self.queues().converting
    }

    /// What waits.
    pub(crate) fn waiting(&self) -> &Queued {
        &self.queues().waiting
    }

    /// How many locks convert or wait.
    pub(crate) fn queue_length(&self) -> usize {
        self.converting().list.len() + self.waiting().list.len()
    }

    /// The queue of that name.
    pub(crate) fn list(&self, queue: Queue) -> &List {
        match queue {
            Queue::Granted => &self.granted,
            Queue::Converting => &self.converting().list,
            Queue::Waiting => &self.waiting().list,
        }
    }

    /// The queue of that name, and which locks do not fit its plain order. Granted locks do not queue.
    fn queued_mut(&mut self, queue: Queue) -> Option<(&mut Queued, RequestFlags)> {
        if queue == Queue::Granted {
            return None;
        }
        let queues = self.queues.get_or_insert_default();
        if queue == Queue::Converting {
            Some((&mut queues.converting, pending::OUT_OF_TURN_CONVERTING))
        } else {
            Some((&mut queues.waiting, pending::OUT_OF_TURN_WAITING))
        }
    }

    /// Puts a lock that stands nowhere into the queue that it names, by the modes that it names: at
    /// the front of the granted ones, at the end of the others, or at their front with `HEADQUE`.
    /// Everything that enters a queue is counted and stamped here.
    pub(crate) fn enter(&mut self, step: &mut Step<'_>, key: LockKey) {
        step.counters.serial += 1;
        let lock = &mut step.locks[key];
        lock.since = step.now;
        lock.serial = step.counters.serial;
        let (flags, requested) = (lock.flags, lock.requested);
        if let Some(mode) = lock.granted {
            self.held.add(mode);
        }
        if lock.queue == Queue::Granted {
            return self.granted.push_front(step.locks, key);
        }
        let queue = lock.queue;
        if let (Some((queued, out_of_turn)), Some(mode)) = (self.queued_mut(queue), requested) {
            queued.wanted.add(mode);
            let out_of_turn = flags.intersects(out_of_turn);
            lock.marks.set(Marks::OUT_OF_TURN, out_of_turn);
            queued.out_of_turn += u32::from(out_of_turn);
            if flags.contains(RequestFlags::HEADQUE) {
                queued.list.push_front(step.locks, key);
            } else {
                queued.list.push_back(step.locks, key);
            }
            step.counters.waiting += 1;
        }
    }

    /// Counts a lock that was put behind others and stands out of turn there nevertheless.
    pub(crate) fn restore_turn(&mut self, queue: Queue, marks: Marks) {
        if let (true, Some((queued, _))) =
            (marks.contains(Marks::OUT_OF_TURN), self.queued_mut(queue))
        {
            queued.out_of_turn += 1;
        }
    }

    /// Takes a lock out of its queue. Everything that leaves a queue is counted here.
    fn leave(&mut self, step: &mut Step<'_>, key: LockKey) {
        let lock = &mut step.locks[key];
        let (queue, requested) = (lock.queue, lock.requested);
        if let Some(mode) = lock.granted {
            self.held.remove(mode);
        }
        if queue == Queue::Granted {
            return self.granted.remove(step.locks, key);
        }
        let out_of_turn = lock.marks.contains(Marks::OUT_OF_TURN);
        lock.marks.remove(Marks::OUT_OF_TURN);
        if let (Some((queued, _)), Some(mode)) = (self.queued_mut(queue), requested) {
            queued.wanted.remove(mode);
            queued.out_of_turn -= u32::from(out_of_turn);
            queued.list.remove(step.locks, key);
            step.counters.waiting -= 1;
        }
        if self.queue_length() == 0 {
            self.queues = None;
        }
    }
}

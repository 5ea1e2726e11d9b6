//! Putting locks into a table that another one had: tokens, positions and values as they were.
//!
//! A slot's table begins with an epoch. Its tokens and positions count from there, so that they are above
//! those of every table that the slot had before. Which lock goes where is not decided here: it was
//! claimed (`recovery/rebuild.rs`) or copied (`recovery/image.rs`).

use alloc::vec::Vec;

use super::LockTable;
use crate::deadlock::Queue;
use crate::flags::StatusFlags;
use crate::ids::{Epoch, LockId, LockspaceId, OpId, ResourceName, SessionId, Tick, Token};
use crate::limits::{Limits, TOKEN_COUNT_BITS};
use crate::message::Output;
use crate::mode::Mode;
use crate::resource::convert::Conversion;
use crate::resource::queue::ModeSet;
use crate::resource::value::Stored;
use crate::resource::wait::Request;
use crate::resource::{Lock, LockKey, Marks, Resource, ResourceKey};
use crate::status::Status;
use crate::value::ValueBlock;

impl LockTable {
    /// An empty table of a slot in this epoch; its tokens and positions are above those of all earlier
    /// epochs. For `seed` see [`LockTable::new`].
    #[must_use]
    pub fn for_epoch(limits: Limits, seed: u64, epoch: Epoch) -> Self {
        let mut table = Self::new(limits, seed);
        table.counters.token = base(epoch);
        table.counters.serial = base(epoch);
        table
    }

    /// How many tokens this table may give out before they would be those of the next epoch.
    #[must_use]
    pub const fn tokens_left(&self) -> u64 {
        let count_max = (1 << TOKEN_COUNT_BITS) - 1;
        count_max - (self.counters.token & count_max)
    }

    /// The number before the first token and position of the table's epoch.
    pub(crate) const fn epoch_base(&self) -> u64 {
        self.counters.token >> TOKEN_COUNT_BITS << TOKEN_COUNT_BITS
    }

    /// A session has left, and all that it wrote is whole: its locks go as in
    /// [`Input::SessionEnded`](crate::Input::SessionEnded), and the values stay valid.
    pub fn session_left(&mut self, now: Tick, session: SessionId, out: &mut Vec<Output>) {
        self.end_session(now, session, false, out);
    }

    /// Closes or opens a lockspace. While it is closed nothing is granted there: what is asked for waits,
    /// or fails with `NOQUEUE`. Locks can be given up. A resource that comes to be meanwhile has a value
    /// that is not valid.
    pub fn set_closed(
        &mut self,
        now: Tick,
        lockspace: LockspaceId,
        closed: bool,
        out: &mut Vec<Output>,
    ) {
        let changed = if closed {
            self.closed.insert(lockspace)
        } else {
            self.closed.remove(&lockspace)
        };
        if !changed {
            return;
        }
        let places = self.resources.iter();
        let there = places.filter(|(_, resource)| resource.lockspace == lockspace);
        let mut places: Vec<ResourceKey> = there.map(|(place, _)| place).collect();
        // Not the order of the places: two masters of the same locks do the same.
        places.sort_unstable_by_key(|&place| self.resources[place].name.to_name());
        for place in places {
            self.resources[place].closed = closed;
            self.on_resource(now, place, out, Resource::settle);
        }
    }

    /// What is remembered of resources that are gone, the oldest first.
    pub(crate) fn remnants(&self) -> Vec<(Tick, (LockspaceId, ResourceName))> {
        self.remnants.all().cloned().collect()
    }

    /// Remembers a resource that went `since` then.
    pub(crate) fn restore_remnant(&mut self, since: Tick, name: (LockspaceId, ResourceName)) {
        self.remnants.insert(since, name);
    }

    /// Makes a resource that had locks on it before. Its limit was checked.
    pub(crate) fn restore_resource(
        &mut self,
        (lockspace, name): (LockspaceId, &ResourceName),
        value: Option<Stored>,
        value_invalid: bool,
    ) -> ResourceKey {
        let mut resource = Resource::new(lockspace, name);
        resource.closed = self.closed.contains(&lockspace);
        resource.value_invalid = value_invalid;
        let length = self.value_length(lockspace);
        let stored = value.and_then(|Stored { sequence, value }| {
            let value = value.fitted(length)?;
            Some(Stored { sequence, value }.into())
        });
        resource.value = stored;
        let place = self.resources.insert(resource);
        self.index.insert_resource(&self.resources, place);
        place
    }

    /// Puts a lock in its queue: before all others that are granted, or behind all others that queue.
    pub(crate) fn restore_lock(
        &mut self,
        place: ResourceKey,
        lock: Lock,
        unstored: Option<ValueBlock>,
    ) -> LockKey {
        let (flags, marks, since, serial) = (lock.flags, lock.marks, lock.since, lock.serial);
        let mut plain = lock;
        // Whatever put it before others once has done so.
        plain.flags = crate::flags::RequestFlags::empty();
        let key = self.locks.insert(plain);
        let mut unsent = Vec::new();
        self.lend(since, place, (&mut unsent, None), |resource, step| {
            resource.enter(step, key);
            resource.restore_turn(step.locks[key].queue, marks);
        });
        let lock = &mut self.locks[key];
        (lock.flags, lock.marks, lock.since, lock.serial) = (flags, marks, since, serial);
        if let Some(value) = unstored {
            self.unstored.insert(key, value);
        }
        self.remember(key);
        key
    }

    /// Under which token the next grant may come. `shared` is the token of what is held in PR or CW, where
    /// something is; nothing is held under a token above `top`.
    ///
    /// What was granted earlier is not known. Locks held in PR or CW are joined under their token, which
    /// is above that of everything that excludes them; in all other cases a new one has to be taken.
    pub(crate) fn restore_token(&mut self, place: ResourceKey, shared: Option<Token>, top: Token) {
        let held = self.resources[place].held;
        let mut modes = ModeSet::default();
        match shared {
            Some(_) if held.has(Mode::Cw) => modes.insert(Mode::Cw),
            Some(_) => modes.insert(Mode::Pr),
            None => modes.insert(Mode::Ex),
        }
        let resource = &mut self.resources[place];
        (resource.token, resource.token_modes) = (shared.unwrap_or(top), modes);
        // What is weaker is not held under a larger token: whoever claims so did not tell the truth.
        let keys: Vec<LockKey> = self.keys_of(place).collect();
        for key in keys {
            let lock = &mut self.locks[key];
            lock.token = lock.token.min(shared.unwrap_or(top));
        }
    }

    /// A lock takes `token`, or a new one; the conversion down by which it came to its mode is answered,
    /// where there is one.
    ///
    /// The value that it stored has the number that comes with the operation; the resource's may be
    /// another one by now, unless the lock goes on keeping writers out.
    pub(crate) fn regrant(
        &mut self,
        key: LockKey,
        answer: Option<(OpId, u64)>,
        token: Option<Token>,
        out: &mut Vec<Output>,
    ) -> Token {
        let token = token.unwrap_or_else(|| {
            self.counters.token += 1;
            Token(self.counters.token)
        });
        let lock = &mut self.locks[key];
        lock.token = token;
        let Some((op, value_known)) = answer else {
            return token;
        };
        let resource = &self.resources[lock.resource];
        let keeps_writers_out = lock.granted > Some(Mode::Cr);
        let mut answer = lock.done(op, Status::Granted);
        if let Output::Done {
            value_sequence,
            flags,
            ..
        } = &mut answer
        {
            *value_sequence = if keeps_writers_out {
                resource.value_sequence()
            } else {
                value_known
            };
            flags.set(StatusFlags::VALNOTVALID, resource.value_invalid);
        }
        out.push(answer);
        token
    }

    /// A conversion comes again, from the mode that its lock surely holds.
    pub(crate) fn convert_again(
        &mut self,
        now: Tick,
        key: LockKey,
        conversion: Conversion,
        out: &mut Vec<Output>,
    ) {
        let (place, op) = (self.locks[key].resource, conversion.op);
        let done = self.on_resource(now, place, out, |resource, step| {
            resource.convert(step, key, conversion)
        });
        if let Err(refusal) = done {
            let mut done = self.locks[key].done(op, Status::Refused(refusal));
            done.set_value_sequence(self.resources[place].value_sequence());
            out.push(done);
        }
    }

    /// A request comes again.
    pub(crate) fn request_again(
        &mut self,
        now: Tick,
        place: ResourceKey,
        (request, uses_values): (&Request, bool),
        out: &mut Vec<Output>,
    ) {
        let key = self.on_resource(now, place, out, |resource, step| {
            resource.request(step, place, request)
        });
        if let Some(key) = key {
            if uses_values {
                self.locks[key].marks |= Marks::VALUE_SEEN;
            }
            self.remember(key);
        }
    }

    /// What was put on the resource is all that had a place: tells waiters their positions, grants, tells holders.
    pub(crate) fn restored(&mut self, now: Tick, place: ResourceKey, out: &mut Vec<Output>) {
        self.on_resource(now, place, out, |resource, step| {
            for queue in [Queue::Converting, Queue::Waiting] {
                let keys: Vec<LockKey> = resource.list(queue).iter(step.locks).collect();
                for key in keys {
                    step.say_queued(key);
                }
            }
            resource.settle_restored(step);
        });
    }

    /// Brings the session's locks into this order, as far as they are there.
    pub(crate) fn order_locks(&mut self, session: SessionId, order: &[LockId]) {
        for &lock in order {
            if let Some(key) = self.index.lock(&self.locks, (session, lock)) {
                self.unlink(key);
                self.link(key);
            }
        }
    }
}

/// The number before the first token and the first position of an epoch.
pub(crate) const fn base(epoch: Epoch) -> u64 {
    (epoch.0 as u64) << TOKEN_COUNT_BITS
}

/// A lock of nothing yet, to be filled in.
pub(crate) const fn blank(session: SessionId, id: LockId, place: ResourceKey) -> Lock {
    Lock {
        session,
        id,
        owner: crate::ids::Owner(0),
        op: OpId(0),
        since: Tick(0),
        serial: 0,
        token: Token(0),
        resource: place,
        prev: None,
        next: None,
        older: None,
        newer: None,
        flags: crate::flags::RequestFlags::empty(),
        queue: Queue::Granted,
        granted: None,
        requested: None,
        told: Mode::Nl,
        status: StatusFlags::empty(),
        marks: Marks::empty(),
    }
}

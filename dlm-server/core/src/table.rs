//! All resources of a server, the sessions whose locks stand on them, and one step.
//!
//! The table checks that an operation is one that the session may ask for, within the limits; what then
//! happens on the resource is in `resource/`. `table/owners.rs` has the ends of sessions and of their
//! processes, `table/index.rs` how locks and resources are found, `table/remnants.rs` what is remembered
//! of resources that are gone.

mod index;
mod owners;
mod remnants;
pub(crate) mod restore;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::deadlock::Queue;
use crate::flags::{RequestFlags, StatusFlags};
use crate::ids::{LockId, LockspaceId, OpId, ResourceName, SessionId, Tick, Token};
use crate::invariants;
use crate::limits::Limits;
use crate::message::{Input, LockspaceOptions, Output};
use crate::mode::Mode;
use crate::resource::convert::{self, Conversion};
use crate::resource::wait::{self, Request};
use crate::resource::{Counters, LockKey, Locks, Resource, ResourceKey, Step};
use crate::slab::Slab;
use crate::status::{Refusal, Status};
use crate::value::{ValueBlock, ValueLength};
pub(crate) use index::Index;
pub(crate) use owners::Session;
use remnants::Remnants;

/// The locks of a server.
#[derive(Clone, Debug)]
pub struct LockTable {
    pub(crate) limits: Limits,
    pub(crate) lockspaces: BTreeMap<LockspaceId, LockspaceOptions>,
    pub(crate) sessions: BTreeMap<SessionId, Session>,
    pub(crate) index: Index,
    pub(crate) resources: Slab<ResourceKey, Resource>,
    pub(crate) locks: Locks,
    pub(crate) unstored: BTreeMap<LockKey, ValueBlock>,
    pub(crate) counters: Counters,
    /// Where nothing is granted for now: somebody whose locks there are not known may have some.
    pub(crate) closed: BTreeSet<LockspaceId>,
    remnants: Remnants,
}

/// An operation and its lock: what an answer is addressed to.
#[derive(Clone, Copy)]
struct Address {
    session: SessionId,
    op: OpId,
    lock: LockId,
}

impl LockTable {
    /// An empty table. Names and lock ids come from outside and are found through hash tables; `seed`
    /// has to be a number that is not known there. Nothing that can be seen depends on it.
    #[must_use]
    pub fn new(limits: Limits, seed: u64) -> Self {
        Self {
            limits,
            lockspaces: BTreeMap::new(),
            sessions: BTreeMap::new(),
            index: Index::new(seed),
            resources: Slab::new(),
            locks: Locks::new(),
            unstored: BTreeMap::new(),
            counters: Counters::default(),
            closed: BTreeSet::new(),
            remnants: Remnants::default(),
        }
    }

    /// Takes one input and appends what has to be sent to `out`. `now` never goes back.
    pub fn step(&mut self, now: Tick, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::SessionStarted { session } => {
                self.sessions.entry(session).or_default();
            }
            Input::SessionEnded { session } => self.end_session(now, session, true, out),
            Input::OwnerEnded { session, op, owner } => {
                self.end_owner(now, session, (op, owner), out);
            }
            Input::PurgeOrphans {
                session,
                op,
                lockspace,
                owner,
            } => self.purge_orphans(now, session, op, (lockspace, owner), out),
            Input::ConfigureLockspace { lockspace, options } => {
                self.lockspaces.entry(lockspace).or_insert(options);
            }
            Input::OpenLockspace { session, lockspace } => {
                if let Some(session) = self.sessions.get_mut(&session) {
                    session.lockspaces.insert(lockspace);
                    self.lockspaces.entry(lockspace).or_default();
                }
            }
            Input::LeaveLockspace {
                session,
                op,
                lockspace,
            } => self.leave_lockspace(now, session, (op, lockspace), out),
            Input::LockspaceEnded { lockspace } => {
                self.lockspaces.remove(&lockspace);
            }
            Input::EndWait {
                session,
                lock,
                serial,
            } => self.end_wait(now, (session, lock), serial, out),
            operation => self.operation(now, operation, out),
        }
    }

    /// An operation on one lock: it is done, or refused.
    fn operation(&mut self, now: Tick, input: Input, out: &mut Vec<Output>) {
        let (session, op, lock, done) = match input {
            Input::Request {
                session,
                op,
                lockspace,
                lock,
                name,
                mode,
                flags,
                owner,
            } => {
                let request = Request {
                    session,
                    op,
                    lock,
                    owner,
                    mode,
                    flags,
                };
                let done = self.request(now, lockspace, &name, &request, out);
                (session, op, lock, done)
            }
            Input::Convert {
                session,
                op,
                lock,
                mode,
                flags,
                owner,
                value,
            } => {
                let conversion = Conversion {
                    op,
                    owner,
                    mode,
                    flags,
                    value,
                    status: StatusFlags::empty(),
                };
                let done = self.convert(now, session, lock, conversion, out);
                (session, op, lock, done)
            }
            Input::Unlock {
                session,
                op,
                lock,
                flags,
                value,
            } => {
                let address = Address { session, op, lock };
                let done = if flags.contains(RequestFlags::CANCEL) {
                    self.cancel(now, address, flags, out)
                } else {
                    self.unlock(now, address, flags, value, out)
                };
                (session, op, lock, done)
            }
            Input::Cancel { session, op, lock } => {
                let address = Address { session, op, lock };
                let done = self.cancel(now, address, RequestFlags::CANCEL, out);
                (session, op, lock, done)
            }
            _ => unreachable!("everything else is no operation on one lock"),
        };
        if let Err(refusal) = done {
            let address = Address { session, op, lock };
            out.push(self.refused(address, refusal));
        }
    }

    fn request(
        &mut self,
        now: Tick,
        lockspace: LockspaceId,
        name: &ResourceName,
        request: &Request,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let flags = request.flags;
        let session = self.session(request.session)?;
        if !session.lockspaces.contains(&lockspace) {
            return Err(Refusal::NoSuchLockspace);
        }
        if flags.contains(RequestFlags::CONVERT) {
            return Err(Refusal::NoSuchLock);
        }
        if flags.contains(RequestFlags::ORPHAN) {
            return self.adopt(now, (lockspace, name), request, out);
        }
        if !wait::flags_fit(flags, request.mode) {
            return Err(Refusal::Flags);
        }
        if session.locks >= self.limits.locks_per_session_max {
            return Err(Refusal::LocksPerSession);
        }
        let vacant = (request.session, request.lock);
        if self.index.lock(&self.locks, vacant).is_some() {
            return Err(Refusal::LockIdInUse);
        }
        let place = self.place(now, lockspace, name)?;
        let key = self.on_resource(now, place, out, |resource, step| {
            resource.request(step, place, request)
        });
        match key {
            Some(key) => self.remember(key),
            None => self.free_if_empty(now, place),
        }
        Ok(())
    }

    fn convert(
        &mut self,
        now: Tick,
        session: SessionId,
        lock: LockId,
        mut conversion: Conversion,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let key = self.find(session, lock)?;
        let (flags, mode) = (conversion.flags, conversion.mode);
        self.locks[key].note_value(flags);
        let lock = &self.locks[key];
        if !convert::flags_fit(flags) {
            return Err(Refusal::Flags);
        }
        let (Queue::Granted, Some(held)) = (lock.queue, lock.granted) else {
            return Err(Refusal::Busy);
        };
        if !convert::order_fits(flags, held, mode) {
            return Err(Refusal::Flags);
        }
        let place = lock.resource;
        conversion.value = self.fitted(place, conversion.value)?;
        self.on_resource(now, place, out, |resource, step| {
            resource.convert(step, key, conversion)
        })
    }

    fn unlock(
        &mut self,
        now: Tick,
        address: Address,
        flags: RequestFlags,
        value: Option<ValueBlock>,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let key = self.find(address.session, address.lock)?;
        let lock = &self.locks[key];
        lock.check_unlock(flags)?;
        let place = lock.resource;
        let value = self.fitted(place, value)?;
        self.on_resource(now, place, out, |resource, step| {
            resource.unlock(step, key, address.op, (flags, value));
        });
        self.forget(now, key);
        Ok(())
    }

    fn cancel(
        &mut self,
        now: Tick,
        address: Address,
        flags: RequestFlags,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let key = self.find(address.session, address.lock)?;
        let lock = &self.locks[key];
        lock.check_cancel(flags)?;
        if lock.queue == Queue::Granted {
            let mut done = lock.done(address.op, Status::NothingToCancel);
            done.set_value_sequence(self.resources[lock.resource].value_sequence());
            out.push(done);
            return Ok(());
        }
        let gone = self.on_resource(now, lock.resource, out, |resource, step| {
            resource.cancel(step, key, address.op, flags)
        });
        if gone {
            self.forget(now, key);
        }
        Ok(())
    }

    /// Ends a wait that the deadlock search chose, if it is still that wait.
    fn end_wait(
        &mut self,
        now: Tick,
        (session, lock): (SessionId, LockId),
        serial: u64,
        out: &mut Vec<Output>,
    ) {
        let Ok(key) = self.find(session, lock) else {
            return;
        };
        let lock = &self.locks[key];
        if lock.queue == Queue::Granted || lock.serial != serial {
            return;
        }
        let gone = self.on_resource(now, lock.resource, out, |resource, step| {
            resource.end_wait(step, key, Status::Deadlock)
        });
        if gone {
            self.forget(now, key);
        }
    }

    /// Answers what was not accepted, with what the lock holds meanwhile, if there is one.
    fn refused(&self, address: Address, refusal: Refusal) -> Output {
        let Address { session, op, lock } = address;
        let held: Option<(Mode, Token, u64)> = self.find(session, lock).ok().and_then(|key| {
            let lock = &self.locks[key];
            let value = self.resources[lock.resource].value_sequence();
            Some((lock.granted?, lock.token, value))
        });
        Output::Done {
            session,
            op,
            lock,
            status: Status::Refused(refusal),
            mode: held.map(|(mode, ..)| mode),
            token: held.map(|(_, token, _)| token).unwrap_or_default(),
            flags: StatusFlags::empty(),
            value: None,
            value_sequence: held.map_or(0, |(.., value)| value),
        }
    }

    /// Acts on a resource; where the act is over, its invariants hold.
    fn on_resource<T>(
        &mut self,
        now: Tick,
        place: ResourceKey,
        out: &mut Vec<Output>,
        act: impl FnOnce(&mut Resource, &mut Step<'_>) -> T,
    ) -> T {
        let result = self.lend(now, place, (out, None), act);
        debug_assert_eq!(invariants::check_resource(self, place), Ok(()));
        result
    }

    /// Acts on a resource, lending it what else it needs of the table.
    fn lend<T>(
        &mut self,
        now: Tick,
        place: ResourceKey,
        (out, called): (&mut Vec<Output>, Option<&mut BTreeMap<LockKey, Mode>>),
        act: impl FnOnce(&mut Resource, &mut Step<'_>) -> T,
    ) -> T {
        let mut step = Step {
            now,
            locks: &mut self.locks,
            counters: &mut self.counters,
            unstored: &mut self.unstored,
            called,
            queue_length_max: self.limits.queue_length_max,
            out,
        };
        act(&mut self.resources[place], &mut step)
    }

    /// The resource of that name, made where there is none.
    fn place(
        &mut self,
        now: Tick,
        lockspace: LockspaceId,
        name: &ResourceName,
    ) -> Result<ResourceKey, Refusal> {
        if let Some(place) = self.index.resource(&self.resources, lockspace, name) {
            return Ok(place);
        }
        if self.resources.len() >= self.limits.resources_max {
            return Err(Refusal::Resources);
        }
        let mut resource = Resource::new(lockspace, name);
        resource.value_invalid = self.remnants.take(now, lockspace, name);
        if self.closed.contains(&lockspace) {
            resource.closed = true;
            resource.lose_value(self.value_length(lockspace));
        }
        let place = self.resources.insert(resource);
        self.index.insert_resource(&self.resources, place);
        Ok(place)
    }

    /// The value as long as the resource's lockspace wants it.
    fn fitted(
        &self,
        place: ResourceKey,
        value: Option<ValueBlock>,
    ) -> Result<Option<ValueBlock>, Refusal> {
        let Some(value) = value else { return Ok(None) };
        let fitted = value.fitted(self.value_length(self.resources[place].lockspace));
        fitted.ok_or(Refusal::ValueLength).map(Some)
    }

    /// How long the lockspace's values are.
    pub(crate) fn value_length(&self, lockspace: LockspaceId) -> ValueLength {
        let options = self.lockspaces.get(&lockspace).copied().unwrap_or_default();
        options.value_length
    }

    pub(crate) fn free_if_empty(&mut self, now: Tick, place: ResourceKey) {
        if self.resources[place].is_empty() {
            self.index.remove_resource(&self.resources, place);
            let resource = self.resources.remove(place);
            if resource.value_invalid {
                let name = (resource.lockspace, resource.name.to_name());
                self.remnants.insert(now, name);
            }
        }
    }

    /// The session's lock of that number.
    pub(crate) fn find(&self, session: SessionId, lock: LockId) -> Result<LockKey, Refusal> {
        self.session(session)?;
        let key = self.index.lock(&self.locks, (session, lock));
        key.ok_or(Refusal::NoSuchLock)
    }

    fn session(&self, session: SessionId) -> Result<&Session, Refusal> {
        self.sessions.get(&session).ok_or(Refusal::NoSuchSession)
    }
}

/// A set of resources in the order in which they came.
#[derive(Default)]
struct Touched {
    order: Vec<ResourceKey>,
    seen: BTreeSet<ResourceKey>,
}

impl Touched {
    fn insert(&mut self, place: ResourceKey) {
        if self.seen.insert(place) {
            self.order.push(place);
        }
    }
}

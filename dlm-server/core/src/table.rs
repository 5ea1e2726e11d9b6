//! All resources of a server, the sessions whose locks stand on them, and one step.
//!
//! The table checks that an operation is one that the session may ask for, within the limits; what then
//! happens on the resource is in `resource/`.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use crate::deadlock::Queue;
use crate::flags::RequestFlags;
use crate::ids::{LockId, LockspaceId, OpId, ResourceName, SessionId, Tick, Token};
use crate::invariants;
use crate::limits::Limits;
use crate::message::{Input, Output};
use crate::resource::convert::{self, Conversion};
use crate::resource::wait::Request;
use crate::resource::{Counters, Lock, LockKey, Locks, Resource, ResourceKey, Step};
use crate::slab::Slab;
use crate::status::{Refusal, Status};

/// A session's part of the table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Session {
    pub(crate) lockspaces: BTreeSet<LockspaceId>,
    pub(crate) locks: BTreeMap<LockId, LockKey>,
}

/// The locks of a server. Names come from outside, and the index is a tree: no choice of names makes it
/// slow.
#[derive(Clone, Debug)]
pub struct LockTable {
    pub(crate) limits: Limits,
    pub(crate) sessions: BTreeMap<SessionId, Session>,
    pub(crate) names: BTreeMap<(LockspaceId, ResourceName), ResourceKey>,
    pub(crate) resources: Slab<ResourceKey, Resource>,
    pub(crate) locks: Locks,
    pub(crate) counters: Counters,
}

impl LockTable {
    /// An empty table.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            sessions: BTreeMap::new(),
            names: BTreeMap::new(),
            resources: Slab::new(),
            locks: Locks::new(),
            counters: Counters::default(),
        }
    }

    /// Takes one input and appends what has to be sent to `out`. `now` never goes back.
    pub fn step(&mut self, now: Tick, input: Input, out: &mut Vec<Output>) {
        let (session, op, lock, done) = match input {
            Input::SessionStarted { session } => {
                self.sessions.entry(session).or_default();
                return;
            }
            Input::SessionEnded { session } => return self.end_session(now, session, out),
            Input::OpenLockspace { session, lockspace } => {
                if let Some(session) = self.sessions.get_mut(&session) {
                    session.lockspaces.insert(lockspace);
                }
                return;
            }
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
                (
                    session,
                    op,
                    lock,
                    self.request(now, (lockspace, name), request, out),
                )
            }
            Input::Convert {
                session,
                op,
                lock,
                mode,
                flags,
                owner,
            } => {
                let conversion = Conversion {
                    op,
                    owner,
                    mode,
                    flags,
                };
                (
                    session,
                    op,
                    lock,
                    self.convert(now, session, lock, conversion, out),
                )
            }
            Input::Unlock { session, op, lock } => {
                (session, op, lock, self.unlock(now, session, lock, op, out))
            }
            Input::Cancel { session, op, lock } => {
                (session, op, lock, self.cancel(now, session, lock, op, out))
            }
        };
        if let Err(refusal) = done {
            out.push(self.refused(session, op, lock, refusal));
        }
    }

    fn request(
        &mut self,
        now: Tick,
        name: (LockspaceId, ResourceName),
        request: Request,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let session = self
            .sessions
            .get(&request.session)
            .ok_or(Refusal::NoSuchSession)?;
        if !RequestFlags::all()
            .difference(RequestFlags::QUECVT)
            .contains(request.flags)
        {
            return Err(Refusal::Flags);
        }
        if !session.lockspaces.contains(&name.0) {
            return Err(Refusal::NoSuchLockspace);
        }
        if session.locks.contains_key(&request.lock) {
            return Err(Refusal::LockIdInUse);
        }
        if session.locks.len() >= self.limits.locks_per_session_max {
            return Err(Refusal::LocksPerSession);
        }
        let place = match self.names.get(&name) {
            Some(&place) => place,
            None if self.resources.len() >= self.limits.resources_max => {
                return Err(Refusal::Resources);
            }
            None => {
                let place = self.resources.insert(Resource::new(name.0, name.1.clone()));
                self.names.insert(name, place);
                place
            }
        };
        let queue_length_max = self.limits.queue_length_max;
        let key = self.on_resource(now, place, out, |resource, step| {
            resource.request(step, place, request, queue_length_max)
        });
        if let Some(key) = key {
            let session = self.sessions.get_mut(&request.session);
            session
                .ok_or(Refusal::NoSuchSession)?
                .locks
                .insert(request.lock, key);
        }
        Ok(())
    }

    fn convert(
        &mut self,
        now: Tick,
        session: SessionId,
        lock: LockId,
        conversion: Conversion,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let key = self.find(session, lock)?;
        if !RequestFlags::all().contains(conversion.flags) {
            return Err(Refusal::Flags);
        }
        let Lock {
            queue: Queue::Granted,
            granted: Some(held),
            resource: place,
            ..
        } = self.locks[key]
        else {
            return Err(Refusal::Busy);
        };
        if !convert::flags_fit(conversion.flags, held, conversion.mode) {
            return Err(Refusal::Flags);
        }
        let queue_length_max = self.limits.queue_length_max;
        self.on_resource(now, place, out, |resource, step| {
            resource.convert(step, key, conversion, queue_length_max);
        });
        Ok(())
    }

    fn unlock(
        &mut self,
        now: Tick,
        session: SessionId,
        lock: LockId,
        op: OpId,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let key = self.find(session, lock)?;
        if self.locks[key].queue != Queue::Granted {
            return Err(Refusal::Busy);
        }
        let place = self.locks[key].resource;
        self.on_resource(now, place, out, |resource, step| {
            resource.unlock(step, key, op)
        });
        self.forget(session, lock, place);
        Ok(())
    }

    fn cancel(
        &mut self,
        now: Tick,
        session: SessionId,
        lock: LockId,
        op: OpId,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let key = self.find(session, lock)?;
        if self.locks[key].queue == Queue::Granted {
            out.push(self.locks[key].done(op, Status::NothingToCancel));
            return Ok(());
        }
        let place = self.locks[key].resource;
        let gone = self.on_resource(now, place, out, |resource, step| {
            resource.cancel(step, key, op)
        });
        if gone {
            self.forget(session, lock, place);
        }
        Ok(())
    }

    /// All locks of the session go before anybody else is served: a dead session's own requests are not
    /// granted on the way. Resources settle in the order of the session's first lock on each.
    fn end_session(&mut self, now: Tick, session: SessionId, out: &mut Vec<Output>) {
        let Some(ended) = self.sessions.remove(&session) else {
            return;
        };
        let (mut touched, mut seen) = (Vec::new(), BTreeSet::new());
        for key in ended.locks.into_values() {
            let place = self.locks[key].resource;
            self.lend(now, place, out, |resource, step| resource.purge(step, key));
            if seen.insert(place) {
                touched.push(place);
            }
        }
        for place in touched {
            self.on_resource(now, place, out, Resource::settle);
            self.free_if_empty(place);
        }
    }

    /// The session's lock of that number.
    fn find(&self, session: SessionId, lock: LockId) -> Result<LockKey, Refusal> {
        let session = self.sessions.get(&session).ok_or(Refusal::NoSuchSession)?;
        session.locks.get(&lock).copied().ok_or(Refusal::NoSuchLock)
    }

    /// Answers what was not accepted, with what the lock holds meanwhile, if there is one.
    fn refused(&self, session: SessionId, op: OpId, lock: LockId, refusal: Refusal) -> Output {
        let status = Status::Refused(refusal);
        self.find(session, lock).map_or_else(
            |_| Output::Done {
                session,
                op,
                lock,
                status,
                mode: None,
                token: Token::default(),
            },
            |key| self.locks[key].done(op, status),
        )
    }

    /// Acts on a resource; where the act is over, its invariants hold.
    fn on_resource<T>(
        &mut self,
        now: Tick,
        place: ResourceKey,
        out: &mut Vec<Output>,
        act: impl FnOnce(&mut Resource, &mut Step<'_>) -> T,
    ) -> T {
        let result = self.lend(now, place, out, act);
        debug_assert_eq!(invariants::check_resource(self, place), Ok(()));
        result
    }

    /// Acts on a resource, lending it what else it needs of the table.
    fn lend<T>(
        &mut self,
        now: Tick,
        place: ResourceKey,
        out: &mut Vec<Output>,
        act: impl FnOnce(&mut Resource, &mut Step<'_>) -> T,
    ) -> T {
        let mut step = Step {
            now,
            locks: &mut self.locks,
            counters: &mut self.counters,
            out,
        };
        act(&mut self.resources[place], &mut step)
    }

    /// The lock is gone from its resource: it goes from its session, and the resource with its last one.
    fn forget(&mut self, session: SessionId, lock: LockId, place: ResourceKey) {
        if let Some(session) = self.sessions.get_mut(&session) {
            session.locks.remove(&lock);
        }
        self.free_if_empty(place);
    }

    fn free_if_empty(&mut self, place: ResourceKey) {
        if self.resources[place].is_empty() {
            let resource = self.resources.remove(place);
            self.names.remove(&(resource.lockspace, resource.name));
        }
    }
}

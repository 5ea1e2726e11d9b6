//! All resources of the model, in a list.

use std::collections::{BTreeMap, BTreeSet};

use super::resource::{Lock, Resource};
use dlm_core::deadlock::Queue;
use dlm_core::{Input, Limits, LockId, LockTable, LockspaceId, Mode, OpId, Output, Owner};
use dlm_core::{Refusal, RequestFlags, ResourceName, SessionId, Status, Token};

type Name = (LockspaceId, ResourceName);
type Place = (SessionId, LockId, Owner, Queue, Option<Mode>, Option<Mode>);

/// The model of a lock table.
pub(crate) struct Model {
    limits: Limits,
    sessions: BTreeMap<SessionId, BTreeSet<LockspaceId>>,
    resources: Vec<(Name, Resource)>,
}

/// Where every lock of a table stands.
pub(crate) fn places_of(table: &LockTable) -> BTreeMap<Name, Vec<Place>> {
    let mut places = BTreeMap::new();
    for resource in table.view(None) {
        let locks = resource.locks.iter().map(|lock| {
            (
                lock.session,
                lock.lock,
                lock.owner,
                lock.queue,
                lock.granted,
                lock.requested,
            )
        });
        places.insert((resource.lockspace, resource.name.clone()), locks.collect());
    }
    places
}

impl Model {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            sessions: BTreeMap::new(),
            resources: Vec::new(),
        }
    }

    /// Where every lock stands.
    pub(crate) fn places(&self) -> BTreeMap<Name, Vec<Place>> {
        let place =
            |(queue, l): (Queue, &Lock)| (l.session, l.id, l.owner, queue, l.granted, l.requested);
        let resources = self.resources.iter();
        resources
            .map(|(name, resource)| (name.clone(), resource.all().map(place).collect()))
            .collect()
    }

    /// The resource that a lock stands on.
    pub(crate) fn resource_of(&self, session: SessionId, lock: LockId) -> Option<Name> {
        let on = |(_, resource): &&(Name, Resource)| resource.find(session, lock).is_some();
        self.resources.iter().find(on).map(|(name, _)| name.clone())
    }

    pub(crate) fn step(&mut self, input: Input) -> Vec<Output> {
        let out = match input {
            Input::SessionStarted { session } => {
                self.sessions.entry(session).or_default();
                Vec::new()
            }
            Input::OpenLockspace { session, lockspace } => {
                if let Some(open) = self.sessions.get_mut(&session) {
                    open.insert(lockspace);
                }
                Vec::new()
            }
            Input::SessionEnded { session } => self.end(session),
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
                let new = Lock {
                    session,
                    id: lock,
                    op,
                    owner,
                    granted: None,
                    requested: Some(mode),
                    told: 0,
                };
                self.request(new, (lockspace, name), flags)
                    .unwrap_or_else(|refusal| self.refuse(session, op, lock, refusal))
            }
            Input::Convert {
                session,
                op,
                lock,
                mode,
                flags,
                owner,
            } => self
                .convert(session, op, lock, mode, flags, owner)
                .unwrap_or_else(|refusal| self.refuse(session, op, lock, refusal)),
            Input::Unlock { session, op, lock } => self
                .unlock(session, op, lock)
                .unwrap_or_else(|refusal| self.refuse(session, op, lock, refusal)),
            Input::Cancel { session, op, lock } => self
                .cancel(session, op, lock)
                .unwrap_or_else(|refusal| self.refuse(session, op, lock, refusal)),
        };
        self.resources
            .retain(|(_, resource)| resource.all().next().is_some());
        out
    }

    fn refuse(&self, session: SessionId, op: OpId, lock: LockId, why: Refusal) -> Vec<Output> {
        let found = self
            .resources
            .iter()
            .find_map(|(_, resource)| resource.find(session, lock));
        let mode = found.and_then(|(_, lock)| lock.granted);
        let status = Status::Refused(why);
        vec![Output::Done {
            session,
            op,
            lock,
            status,
            mode,
            token: Token(0),
        }]
    }

    fn locks_of(&self, session: SessionId) -> Vec<LockId> {
        let all = self
            .resources
            .iter()
            .flat_map(|(_, resource)| resource.all());
        let mut locks: Vec<LockId> = all
            .filter(|(_, lock)| lock.session == session)
            .map(|(_, lock)| lock.id)
            .collect();
        locks.sort();
        locks
    }

    fn request(
        &mut self,
        new: Lock,
        name: Name,
        flags: RequestFlags,
    ) -> Result<Vec<Output>, Refusal> {
        let open = self
            .sessions
            .get(&new.session)
            .ok_or(Refusal::NoSuchSession)?;
        let legal = RequestFlags::NOQUEUE | RequestFlags::NOQUEUEBAST;
        if !legal.contains(flags) {
            return Err(Refusal::Flags);
        }
        if !open.contains(&name.0) {
            return Err(Refusal::NoSuchLockspace);
        }
        let locks = self.locks_of(new.session);
        if locks.contains(&new.id) {
            return Err(Refusal::LockIdInUse);
        }
        if locks.len() >= self.limits.locks_per_session_max {
            return Err(Refusal::LocksPerSession);
        }
        if !self.resources.iter().any(|(other, _)| *other == name) {
            if self.resources.len() >= self.limits.resources_max {
                return Err(Refusal::Resources);
            }
            self.resources.push((name.clone(), Resource::default()));
        }
        let resource = self.resources.iter_mut().find(|(other, _)| *other == name);
        let (_, resource) = resource.expect("it was made above");
        let (op, asking) = (new.op, new.clone());
        Ok(resource
            .arrive(new, flags, self.limits.queue_length_max)
            .unwrap_or_else(|(status, calls)| {
                let mut out = vec![asking.done(op, status)];
                out.extend(calls);
                out
            }))
    }

    /// The resource of a lock, and where on it the lock stands.
    fn find(
        &mut self,
        session: SessionId,
        lock: LockId,
    ) -> Result<(&mut Resource, Queue, Lock), Refusal> {
        if !self.sessions.contains_key(&session) {
            return Err(Refusal::NoSuchSession);
        }
        let resources = self.resources.iter_mut().map(|(_, resource)| resource);
        for resource in resources {
            if let Some((queue, lock)) = resource.find(session, lock) {
                let lock = lock.clone();
                return Ok((resource, queue, lock));
            }
        }
        Err(Refusal::NoSuchLock)
    }

    fn convert(
        &mut self,
        session: SessionId,
        op: OpId,
        id: LockId,
        mode: Mode,
        flags: RequestFlags,
        owner: Owner,
    ) -> Result<Vec<Output>, Refusal> {
        let queue_max = self.limits.queue_length_max;
        let (resource, queue, before) = self.find(session, id)?;
        if flags.bits() & !0x811 != 0 {
            return Err(Refusal::Flags);
        }
        if queue != Queue::Granted {
            return Err(Refusal::Busy);
        }
        let held = before.granted.expect("it is granted");
        let middle = matches!((held, mode), (Mode::Cw, Mode::Pr) | (Mode::Pr, Mode::Cw));
        if flags.contains(RequestFlags::QUECVT) && mode <= held && !middle {
            return Err(Refusal::Flags);
        }
        let index = resource
            .granted
            .iter()
            .position(|lock| lock.is(session, id));
        let index = index.expect("it is granted");
        resource.granted.remove(index);
        let mut asking = before.clone();
        (asking.op, asking.owner, asking.requested) = (op, owner, Some(mode));
        let result = resource.arrive(asking, flags, queue_max);
        Ok(result.unwrap_or_else(|(status, calls)| {
            // A conversion that failed leaves the lock where it was.
            let mut out = vec![before.done(op, status)];
            resource.granted.insert(index, before);
            out.extend(calls);
            out
        }))
    }

    fn unlock(&mut self, session: SessionId, op: OpId, id: LockId) -> Result<Vec<Output>, Refusal> {
        let (resource, queue, mut lock) = self.find(session, id)?;
        if queue != Queue::Granted {
            return Err(Refusal::Busy);
        }
        resource.take(session, id);
        lock.granted = None;
        let mut out = vec![lock.done(op, Status::Unlocked)];
        resource.settle(&mut out);
        Ok(out)
    }

    fn cancel(&mut self, session: SessionId, op: OpId, id: LockId) -> Result<Vec<Output>, Refusal> {
        let (resource, queue, mut lock) = self.find(session, id)?;
        if queue == Queue::Granted {
            return Ok(vec![lock.done(op, Status::NothingToCancel)]);
        }
        resource.take(session, id);
        lock.requested = None;
        let mut out = vec![
            lock.done(lock.op, Status::Cancelled),
            lock.done(op, Status::CancelDone),
        ];
        if lock.granted.is_some() {
            resource.granted.insert(0, lock);
        }
        resource.settle(&mut out);
        Ok(out)
    }

    fn end(&mut self, session: SessionId) -> Vec<Output> {
        let mut touched: Vec<Name> = Vec::new();
        for id in self.locks_of(session) {
            let name = self.resource_of(session, id).expect("it stands somewhere");
            let (resource, _, _) = self.find(session, id).expect("it stands somewhere");
            resource.take(session, id);
            if !touched.contains(&name) {
                touched.push(name);
            }
        }
        self.sessions.remove(&session);
        let mut out = Vec::new();
        for name in touched {
            let found = self.resources.iter_mut().find(|(other, _)| *other == name);
            found
                .expect("it is there until the end of the step")
                .1
                .settle(&mut out);
        }
        out
    }
}

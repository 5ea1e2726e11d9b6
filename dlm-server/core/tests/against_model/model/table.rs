//! All resources of the model, in a list.

use std::collections::{BTreeMap, BTreeSet};

use dlm_core::deadlock::Queue;
use dlm_core::{Input, Limits, LockId, LockTable, LockspaceId, LockspaceOptions, Mode, OpId};
use dlm_core::{Output, Owner, Refusal, RequestFlags as F, ResourceName, SessionId, Status};
use dlm_core::{StatusFlags, Tick, Token, ValueBlock};

use super::resource::{Id, Lock, Resource, Step};

pub(crate) type Name = (LockspaceId, ResourceName);
pub(crate) type Place = (SessionId, LockId, Owner, Queue, Option<Mode>, Option<Mode>);

/// The model of a lock table.
pub(crate) struct Model {
    limits: Limits,
    lockspaces: BTreeMap<LockspaceId, LockspaceOptions>,
    sessions: BTreeMap<SessionId, Session>,
    resources: BTreeMap<Name, Resource>,
    /// Resources that went with a value that was not valid, and when.
    marked: BTreeMap<Name, Tick>,
}

#[derive(Default)]
struct Session {
    lockspaces: BTreeSet<LockspaceId>,
    /// Its locks, the oldest first. Those that are left without an owner, or adopted, come last again.
    locks: Vec<(LockId, Name)>,
}

/// Where every lock of a table stands.
pub(crate) fn places_of(table: &LockTable) -> BTreeMap<Name, Vec<Place>> {
    let mut places = BTreeMap::new();
    for resource in table.view(None) {
        let locks = resource.locks.iter().map(|lock| {
            let modes = (lock.granted, lock.requested);
            (
                lock.session,
                lock.lock,
                lock.owner,
                lock.queue,
                modes.0,
                modes.1,
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
            lockspaces: BTreeMap::new(),
            sessions: BTreeMap::new(),
            resources: BTreeMap::new(),
            marked: BTreeMap::new(),
        }
    }

    /// Where every lock stands.
    pub(crate) fn places(&self) -> BTreeMap<Name, Vec<Place>> {
        let place = |(queue, lock): (Queue, &Lock)| {
            let (session, id) = lock.id;
            (session, id, lock.owner, queue, lock.granted, lock.requested)
        };
        let resources = self.resources.iter();
        resources
            .map(|(name, resource)| (name.clone(), resource.all().map(place).collect()))
            .collect()
    }

    /// The resource that a lock stands on.
    pub(crate) fn resource_of(&self, session: SessionId, lock: LockId) -> Option<Name> {
        let locks = &self.sessions.get(&session)?.locks;
        let found = locks.iter().find(|(id, _)| *id == lock)?;
        Some(found.1.clone())
    }

    pub(crate) fn step(&mut self, now: Tick, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        match input {
            Input::SessionStarted { session } => {
                self.sessions.entry(session).or_default();
            }
            Input::SessionEnded { session } => self.end_session(now, session, &mut out),
            Input::OwnerEnded { session, op, owner } => {
                self.take_away(now, session, op, &mut out, |_, lock| {
                    lock.owner == owner && !lock.orphan
                });
            }
            Input::PurgeOrphans {
                session,
                op,
                lockspace,
                owner,
            } => self.take_away(now, session, op, &mut out, |name, lock| {
                lock.orphan && name.0 == lockspace && owner.is_none_or(|owner| owner == lock.owner)
            }),
            Input::ConfigureLockspace { lockspace, options } => {
                self.lockspaces.entry(lockspace).or_insert(options);
            }
            Input::OpenLockspace { session, lockspace } => {
                if let Some(session) = self.sessions.get_mut(&session) {
                    session.lockspaces.insert(lockspace);
                    self.lockspaces.entry(lockspace).or_default();
                }
            }
            Input::EndWait {
                session,
                lock,
                serial,
            } => {
                // The model has no serials: the test passes 0 for a wait that stands.
                let id = (session, lock);
                if let (0, Some(name)) = (serial, self.resource_of(session, lock)) {
                    let queue = self.resources[&name].find(id).map(|(queue, _)| queue);
                    if queue != Some(Queue::Granted) {
                        self.act(&name, &mut out, None, |resource, step| {
                            resource.end_wait(step, id, Status::Deadlock, None);
                        });
                        self.tidy(now, id, &name);
                    }
                }
            }
            operation => self.operation(now, operation, &mut out),
        }
        out
    }

    fn operation(&mut self, now: Tick, input: Input, out: &mut Vec<Output>) {
        let (session, op, lock) = match &input {
            Input::Request {
                session, op, lock, ..
            }
            | Input::Convert {
                session, op, lock, ..
            }
            | Input::Unlock {
                session, op, lock, ..
            }
            | Input::Cancel { session, op, lock } => (*session, *op, *lock),
            _ => unreachable!("an operation on one lock"),
        };
        if let Err(refusal) = self.try_operation(now, input, out) {
            let name = self.resource_of(session, lock);
            let found = name.and_then(|name| self.resources[&name].find((session, lock)));
            out.push(Output::Done {
                session,
                op,
                lock,
                status: Status::Refused(refusal),
                mode: found.and_then(|(_, lock)| lock.granted),
                token: Token(0),
                flags: StatusFlags::empty(),
                value: None,
                value_sequence: 0,
            });
        }
    }

    fn try_operation(
        &mut self,
        now: Tick,
        input: Input,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        match input {
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
                let seen = flags.contains(F::VALBLK);
                let lock = Lock {
                    id: (session, lock),
                    owner,
                    op,
                    flags,
                    granted: None,
                    requested: Some(mode),
                    told: Mode::Nl,
                    status: StatusFlags::empty(),
                    orphan: false,
                    values_seen: seen,
                    values_attached: seen,
                    given: None,
                };
                self.request(now, (lockspace, name), lock, out)
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
                let asked = (mode, flags, owner, value);
                self.convert((session, lock), op, asked, out)
            }
            Input::Unlock {
                session,
                op,
                lock,
                flags,
                value,
            } if !flags.contains(F::CANCEL) => {
                self.unlock(now, (session, lock), op, flags, value, out)
            }
            Input::Unlock {
                session,
                op,
                lock,
                flags,
                ..
            } => self.cancel(now, (session, lock), op, flags, out),
            Input::Cancel { session, op, lock } => {
                self.cancel(now, (session, lock), op, F::CANCEL, out)
            }
            _ => unreachable!("an operation on one lock"),
        }
    }

    fn request(
        &mut self,
        now: Tick,
        name: Name,
        lock: Lock,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let id = lock.id;
        let session = self.sessions.get(&id.0).ok_or(Refusal::NoSuchSession)?;
        let (flags, mode) = (lock.flags, lock.requested);
        if !session.lockspaces.contains(&name.0) {
            return Err(Refusal::NoSuchLockspace);
        }
        if flags.contains(F::CONVERT) {
            return Err(Refusal::NoSuchLock);
        }
        if flags.contains(F::ORPHAN) {
            return self.adopt(&name, &lock, out);
        }
        let expedite = flags.contains(F::EXPEDITE);
        if flags.intersects(F::CANCEL | F::QUECVT | F::CONVDEADLK)
            || (expedite && mode != Some(Mode::Nl))
            || (expedite && flags.contains(F::NOQUEUE))
        {
            return Err(Refusal::Flags);
        }
        if session.locks.len() >= self.limits.locks_per_session_max {
            return Err(Refusal::LocksPerSession);
        }
        if session.locks.iter().any(|(taken, _)| *taken == id.1) {
            return Err(Refusal::LockIdInUse);
        }
        if !self.resources.contains_key(&name) {
            if self.resources.len() >= self.limits.resources_max {
                return Err(Refusal::Resources);
            }
            let mark = self.marked.remove(&name);
            let invalid = mark.is_some_and(|since| now.since(since) <= 10_000_000);
            let resource = Resource {
                invalid,
                ..Resource::default()
            };
            self.resources.insert(name.clone(), resource);
        }
        self.act(&name, out, None, |resource, step| {
            resource.request(step, lock)
        });
        let session = self.sessions.get_mut(&id.0).expect("it was found");
        session.locks.push((id.1, name.clone()));
        self.tidy(now, id, &name);
        Ok(())
    }

    fn adopt(&mut self, name: &Name, asking: &Lock, out: &mut Vec<Output>) -> Result<(), Refusal> {
        let (session, _) = asking.id;
        let its = &self.sessions[&session].locks;
        let locks = its.iter().filter(|(_, on)| on == name);
        let locks = locks.map(|(id, _)| self.resources[name].find((session, *id)));
        let orphans: Vec<&Lock> = locks
            .map(|found| found.expect("it stands").1)
            .filter(|lock| lock.orphan)
            .collect();
        let fitting = orphans.iter().find(|lock| lock.granted == asking.requested);
        let id = match fitting {
            Some(lock) => lock.id,
            None if orphans.is_empty() => return Err(Refusal::NoSuchOrphan),
            None => return Err(Refusal::OrphanMode),
        };
        self.move_last(id);
        self.act(name, out, None, |resource, step| {
            let lock = resource.find_mut(id).expect("it stands");
            lock.orphan = false;
            lock.owner = asking.owner;
            lock.flags = asking.flags;
            lock.status = StatusFlags::empty();
            step.answer(lock, asking.op, Status::Adopted, None);
        });
        Ok(())
    }

    fn convert(
        &mut self,
        id: Id,
        op: OpId,
        (mode, flags, owner, value): (Mode, F, Owner, Option<ValueBlock>),
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let name = self.find(id)?;
        let resource = self.resources.get_mut(&name).expect("it stands");
        if flags.contains(F::VALBLK) {
            resource.find_mut(id).expect("it stands").values_seen = true;
        }
        let (queue, lock) = resource.find(id).expect("it stands");
        let mut lock = lock.clone();
        if flags.intersects(F::CANCEL | F::EXPEDITE) || flags.contains(F::CONVDEADLK | F::NOQUEUE) {
            return Err(Refusal::Flags);
        }
        if queue != Queue::Granted {
            return Err(Refusal::Busy);
        }
        let held = lock.granted.expect("it is granted");
        let goes_up = matches!((held, mode), (Mode::Pr, Mode::Cw)) || mode > held;
        if flags.contains(F::QUECVT) && !goes_up {
            return Err(Refusal::Flags);
        }
        let given = self.fitted(&name, value)?;
        lock.flags = flags;
        lock.owner = owner;
        lock.status = StatusFlags::empty();
        lock.values_attached = lock.values_seen;
        lock.requested = Some(mode);
        lock.given = given;
        self.act(&name, out, None, |resource, step| {
            resource.convert(step, lock, op)
        });
        Ok(())
    }

    fn unlock(
        &mut self,
        now: Tick,
        id: Id,
        op: OpId,
        flags: F,
        value: Option<ValueBlock>,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let name = self.find(id)?;
        let (_, lock) = self.resources[&name].find(id).expect("it stands");
        let forced = lock.flags.contains(F::FORCEUNLOCK) && flags.contains(F::FORCEUNLOCK);
        if forced || !(F::VALBLK | F::IVVALBLK | F::FORCEUNLOCK).contains(flags) {
            return Err(Refusal::Flags);
        }
        let value = self.fitted(&name, value)?;
        self.act(&name, out, None, |resource, step| {
            let lock = resource.remove(step, id, flags, value);
            step.answer(&lock, op, Status::Unlocked, None);
            resource.settle(step);
        });
        self.tidy(now, id, &name);
        Ok(())
    }

    fn cancel(
        &mut self,
        now: Tick,
        id: Id,
        op: OpId,
        flags: F,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let name = self.find(id)?;
        let resource = self.resources.get_mut(&name).expect("it stands");
        let (queue, lock) = resource.find(id).expect("it stands");
        if !(F::CANCEL | F::VALBLK | F::IVVALBLK).contains(flags) {
            return Err(Refusal::Flags);
        }
        if lock.flags.contains(F::CANCEL) {
            return Err(Refusal::AlreadyCancelled);
        }
        if queue == Queue::Granted {
            let lock = lock.clone();
            self.act(&name, out, None, |_, step| {
                step.answer(&lock, op, Status::NothingToCancel, None);
            });
            return Ok(());
        }
        resource.find_mut(id).expect("it stands").flags |= flags;
        self.act(&name, out, None, |resource, step| {
            resource.end_wait(step, id, Status::Cancelled, Some(op));
        });
        self.tidy(now, id, &name);
        Ok(())
    }

    fn end_session(&mut self, now: Tick, session: SessionId, out: &mut Vec<Output>) {
        let Some(ended) = self.sessions.remove(&session) else {
            return;
        };
        let mut touched: Vec<Name> = Vec::new();
        for (id, name) in ended.locks {
            self.act(&name, &mut Vec::new(), None, |resource, step| {
                resource.remove(step, (session, id), F::IVVALBLK, None);
            });
            if !touched.contains(&name) {
                touched.push(name);
            }
        }
        for name in touched {
            self.act(&name, out, None, |resource, step| resource.settle(step));
            self.free_if_empty(now, &name);
        }
    }

    fn take_away(
        &mut self,
        now: Tick,
        session: SessionId,
        op: OpId,
        out: &mut Vec<Output>,
        wanted: impl Fn(&Name, &Lock) -> bool,
    ) {
        let locks = self.sessions.get(&session);
        let locks: Vec<(LockId, Name)> = locks
            .map(|session| session.locks.clone())
            .unwrap_or_default();
        let (mut called, mut count) = (BTreeMap::new(), 0);
        for (id, name) in locks {
            let id = (session, id);
            let resource = self.resources.get_mut(&name).expect("it stands");
            let (queue, lock) = resource.find(id).expect("it stands");
            if !wanted(&name, lock) {
                continue;
            }
            let stays = lock.flags.contains(F::PERSISTENT) && !lock.orphan;
            if stays {
                resource.find_mut(id).expect("it stands").orphan = true;
            }
            self.act(&name, out, Some(&mut called), |resource, step| {
                if !stays {
                    resource.remove(step, id, F::IVVALBLK, None);
                    resource.settle(step);
                } else if queue != Queue::Granted {
                    resource.end_wait(step, id, Status::Cancelled, None);
                }
            });
            match self.resources[&name].find(id) {
                Some((_, lock)) => {
                    out.push(Output::Orphaned {
                        session,
                        lock: id.1,
                        owner: lock.owner,
                    });
                    self.move_last(id);
                }
                None => {
                    called.remove(&id);
                    count += 1;
                    self.tidy(now, id, &name);
                }
            }
        }
        let locks = count;
        out.push(Output::Purged { session, op, locks });
    }

    fn act(
        &mut self,
        name: &Name,
        out: &mut Vec<Output>,
        called: Option<&mut BTreeMap<Id, Mode>>,
        act: impl FnOnce(&mut Resource, &mut Step<'_>),
    ) {
        let mut step = Step {
            out,
            called,
            queue_length_max: self.limits.queue_length_max,
        };
        act(
            self.resources.get_mut(name).expect("it is there"),
            &mut step,
        );
    }

    fn move_last(&mut self, (session, id): Id) {
        let locks = &mut self.sessions.get_mut(&session).expect("it lives").locks;
        let place = locks.iter().position(|(other, _)| *other == id);
        let lock = locks.remove(place.expect("it is there"));
        locks.push(lock);
    }

    /// Forgets a lock that stands nowhere, and its resource if it is empty.
    fn tidy(&mut self, now: Tick, id: Id, name: &Name) {
        if self.resources[name].find(id).is_none()
            && let Some(session) = self.sessions.get_mut(&id.0)
        {
            session.locks.retain(|(other, _)| *other != id.1);
        }
        self.free_if_empty(now, name);
    }

    fn free_if_empty(&mut self, now: Tick, name: &Name) {
        if self.resources[name].all().next().is_none() {
            let resource = self.resources.remove(name).expect("it is there");
            if resource.invalid {
                self.marked.insert(name.clone(), now);
            }
        }
    }

    fn find(&self, (session, lock): Id) -> Result<Name, Refusal> {
        if !self.sessions.contains_key(&session) {
            return Err(Refusal::NoSuchSession);
        }
        self.resource_of(session, lock).ok_or(Refusal::NoSuchLock)
    }

    fn fitted(
        &self,
        name: &Name,
        value: Option<ValueBlock>,
    ) -> Result<Option<ValueBlock>, Refusal> {
        let Some(value) = value else { return Ok(None) };
        let length = self.lockspaces[&name.0].value_length.bytes();
        if value.as_bytes().len() > length {
            return Err(Refusal::ValueLength);
        }
        let mut bytes = value.as_bytes().to_vec();
        bytes.resize(length, 0);
        ValueBlock::new(&bytes).map(Some)
    }
}

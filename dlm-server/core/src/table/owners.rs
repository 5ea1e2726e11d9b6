//! Sessions and their processes: whose locks are whose, and what becomes of them at an end.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::{LockTable, Touched};
use crate::flags::RequestFlags;
use crate::ids::{LockId, LockspaceId, OpId, Owner, ResourceName, SessionId, Tick};
use crate::message::Output;
use crate::mode::Mode;
use crate::resource::wait::Request;
use crate::resource::{Lock, LockKey, Marks, Resource};
use crate::status::Refusal;

/// A session's part of the table.
#[derive(Clone, Debug, Default)]
pub(crate) struct Session {
    pub(crate) lockspaces: BTreeSet<LockspaceId>,
    /// Its locks, through [`Lock::newer`] and [`Lock::older`]. A lock comes last when it is asked for,
    /// left as an orphan, or adopted.
    pub(crate) oldest: Option<LockKey>,
    newest: Option<LockKey>,
    /// How many there are.
    pub(crate) locks: usize,
}

impl LockTable {
    /// The session's locks in order.
    pub(crate) fn locks_of(&self, session: &Session) -> impl Iterator<Item = LockKey> {
        core::iter::successors(session.oldest, |&key| self.locks[key].newer)
    }

    /// A lock came to be: it gets into the indexes.
    pub(super) fn remember(&mut self, key: LockKey) {
        self.index.insert_lock(&self.locks, key);
        self.link(key);
    }

    /// The lock stands on its resource no more: it goes from its session, and the resource with its
    /// last lock.
    pub(super) fn forget(&mut self, now: Tick, key: LockKey) {
        self.unlink(key);
        self.index.remove_lock(&self.locks, key);
        let lock = self.locks.remove(key);
        self.free_if_empty(now, lock.resource);
    }

    pub(super) fn link(&mut self, key: LockKey) {
        let lock = &mut self.locks[key];
        let Some(session) = self.sessions.get_mut(&lock.session) else {
            return;
        };
        session.locks += 1;
        lock.older = session.newest.replace(key);
        match lock.older {
            Some(older) => self.locks[older].newer = Some(key),
            None => session.oldest = Some(key),
        }
    }

    pub(super) fn unlink(&mut self, key: LockKey) {
        let lock = &mut self.locks[key];
        let Some(session) = self.sessions.get_mut(&lock.session) else {
            return;
        };
        session.locks -= 1;
        let (older, newer) = (lock.older.take(), lock.newer.take());
        match older {
            Some(older) => self.locks[older].newer = newer,
            None => session.oldest = newer,
        }
        match newer {
            Some(newer) => self.locks[newer].older = older,
            None => session.newest = older,
        }
    }

    /// All locks of the session go before anybody else is served: a dead session's own requests are not
    /// granted on the way. Resources settle in the order of the session's first lock on each.
    /// Where `dirty`, what it held in PW or EX may have been half written.
    pub(crate) fn end_session(
        &mut self,
        now: Tick,
        session: SessionId,
        dirty: bool,
        out: &mut Vec<Output>,
    ) {
        let Some(ended) = self.sessions.get(&session) else {
            return;
        };
        let keys: Vec<LockKey> = self.locks_of(ended).collect();
        self.sessions.remove(&session);
        let mut touched = Touched::default();
        let mut unsent = Vec::new();
        for key in keys {
            let place = self.locks[key].resource;
            self.lend(now, place, (&mut unsent, None), |resource, step| {
                resource.purge(step, key, dirty);
            });
            unsent.clear();
            self.index.remove_lock(&self.locks, key);
            self.locks.remove(key);
            touched.insert(place);
        }
        for place in touched.order {
            self.on_resource(now, place, out, Resource::settle);
            self.free_if_empty(now, place);
        }
    }

    /// The owner's locks go one after the other (fs/dlm's `dlm_clear_proc_locks`).
    pub(super) fn end_owner(
        &mut self,
        now: Tick,
        session: SessionId,
        (op, owner): (OpId, Owner),
        out: &mut Vec<Output>,
    ) {
        let is_its = |lock: &Lock| lock.owner == owner && !lock.marks.contains(Marks::ORPHAN);
        let keys = self.select(session, is_its);
        self.take_away(now, session, op, &keys, out);
    }

    /// Orphans go one after the other (fs/dlm's `do_purge`).
    pub(super) fn purge_orphans(
        &mut self,
        now: Tick,
        session: SessionId,
        op: OpId,
        (lockspace, owner): (LockspaceId, Option<Owner>),
        out: &mut Vec<Output>,
    ) {
        let keys = self.select_orphans(session, (lockspace, owner));
        self.take_away(now, session, op, &keys, out);
    }

    fn select_orphans(
        &self,
        session: SessionId,
        (lockspace, owner): (LockspaceId, Option<Owner>),
    ) -> Vec<LockKey> {
        let is_one = |lock: &Lock| {
            lock.marks.contains(Marks::ORPHAN)
                && owner.is_none_or(|owner| lock.owner == owner)
                && self.resources[lock.resource].lockspace == lockspace
        };
        self.select(session, is_one)
    }

    /// The orphans that [`Input::PurgeOrphans`](crate::Input::PurgeOrphans) would take away, in the order in
    /// which they would go.
    #[must_use]
    pub fn orphans(
        &self,
        session: SessionId,
        (lockspace, owner): (LockspaceId, Option<Owner>),
    ) -> Vec<LockId> {
        let keys = self.select_orphans(session, (lockspace, owner)).into_iter();
        keys.map(|key| self.locks[key].id).collect()
    }

    /// The session's locks in a lockspace go one after the other, and it may not name it any more.
    pub(super) fn leave_lockspace(
        &mut self,
        now: Tick,
        session: SessionId,
        (op, lockspace): (OpId, LockspaceId),
        out: &mut Vec<Output>,
    ) {
        let is_there = |lock: &Lock| self.resources[lock.resource].lockspace == lockspace;
        let keys = self.select(session, is_there);
        for &key in &keys {
            self.locks[key].flags.remove(RequestFlags::PERSISTENT);
        }
        self.take_away(now, session, op, &keys, out);
        if let Some(left) = self.sessions.get_mut(&session) {
            left.lockspaces.remove(&lockspace);
        }
    }

    /// Those of the session's locks, in order.
    fn select(&self, session: SessionId, wanted: impl Fn(&Lock) -> bool) -> Vec<LockKey> {
        let session = self.sessions.get(&session);
        let keys = session
            .into_iter()
            .flat_map(|session| self.locks_of(session));
        keys.filter(|&key| wanted(&self.locks[key])).collect()
    }

    /// Takes locks away, or leaves them as orphans, one after the other; what each leaves free is granted
    /// before the next one goes.
    fn take_away(
        &mut self,
        now: Tick,
        session: SessionId,
        op: OpId,
        keys: &[LockKey],
        out: &mut Vec<Output>,
    ) {
        let (mut called, mut locks) = (BTreeMap::new(), 0);
        for &key in keys {
            if self.take_one_away(now, key, out, &mut called) {
                called.remove(&key);
                self.forget(now, key);
                locks += 1;
            }
        }
        out.push(Output::Purged { session, op, locks });
    }

    /// Whether the lock is gone.
    fn take_one_away(
        &mut self,
        now: Tick,
        key: LockKey,
        out: &mut Vec<Output>,
        called: &mut BTreeMap<LockKey, Mode>,
    ) -> bool {
        let lock = &self.locks[key];
        let (place, flags, marks) = (lock.resource, lock.flags, lock.marks);
        let stays = flags.contains(RequestFlags::PERSISTENT) && !marks.contains(Marks::ORPHAN);
        let gone = self.lend(now, place, (&mut *out, Some(called)), |resource, step| {
            if stays {
                return resource.orphan(step, key);
            }
            resource.purge(step, key, true);
            resource.settle(step);
            true
        });
        if !gone {
            self.unlink(key);
            self.link(key);
            let Lock {
                session, id, owner, ..
            } = self.locks[key];
            out.push(Output::Orphaned {
                session,
                lock: id,
                owner,
            });
        }
        gone
    }

    /// Gives the session's orphan of that name and mode to who asks; of several the one left first.
    pub(super) fn adopt(
        &mut self,
        now: Tick,
        (lockspace, name): (LockspaceId, &ResourceName),
        request: &Request,
        out: &mut Vec<Output>,
    ) -> Result<(), Refusal> {
        let place = self.index.resource(&self.resources, lockspace, name);
        let place = place.ok_or(Refusal::NoSuchOrphan)?;
        let is_orphan = |key: &LockKey| {
            let lock = &self.locks[*key];
            lock.session == request.session && lock.marks.contains(Marks::ORPHAN)
        };
        let mut fitting: Vec<LockKey> = self.keys_of(place).filter(is_orphan).collect();
        if fitting.is_empty() {
            return Err(Refusal::NoSuchOrphan);
        }
        fitting.retain(|&key| self.locks[key].granted == Some(request.mode));
        let key = match fitting[..] {
            [] | [_] => fitting.first().copied(),
            // They stand in their session in the order in which they were left, whatever was done with
            // them since.
            _ => self
                .locks_of(self.session(request.session)?)
                .find(|key| fitting.contains(key)),
        };
        let key = key.ok_or(Refusal::OrphanMode)?;
        self.unlink(key);
        self.link(key);
        self.on_resource(now, place, out, |resource, step| {
            resource.adopt(step, key, request);
        });
        Ok(())
    }
}

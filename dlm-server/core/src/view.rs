//! Looking at a table: its locks as plain values, and counts.

use alloc::vec::Vec;
use core::iter;

use crate::deadlock::{LockView, Queue, ResourceView};
use crate::ids::{LockId, LockspaceId, Owner, ResourceName, SessionId};
use crate::resource::{LockKey, Marks, ResourceKey};
use crate::table::LockTable;

/// How many locks a session has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionCounts {
    /// All, held or waited for.
    pub locks: usize,
    /// Those that convert or wait.
    pub waiting: usize,
}

/// A lock among those of its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnedLock {
    /// Its number.
    pub lock: LockId,
    /// The task that asked last.
    pub owner: Owner,
    /// The lockspace of its resource.
    pub lockspace: LockspaceId,
    /// Whether its task is gone and nobody adopted it.
    pub orphan: bool,
}

impl LockTable {
    /// All resources, or those of one lockspace, in the order of lockspace and name.
    #[must_use]
    pub fn view(&self, lockspace: Option<LockspaceId>) -> Vec<ResourceView> {
        let wanted = |id: LockspaceId| lockspace.is_none_or(|only| only == id);
        let places = self.resources.iter();
        let places = places.filter(|(_, resource)| wanted(resource.lockspace));
        let mut views: Vec<ResourceView> = places.map(|(place, _)| self.view_of(place)).collect();
        views.sort_unstable_by(|a, b| (a.lockspace, &a.name).cmp(&(b.lockspace, &b.name)));
        views
    }

    /// The resources that somebody waits for, in no order. For the deadlock search.
    #[must_use]
    pub fn view_waiting(&self) -> Vec<ResourceView> {
        if self.waiting() == 0 {
            return Vec::new();
        }
        let places = self.resources.iter();
        let waited = places.filter(|(_, resource)| resource.queue_length() > 0);
        waited.map(|(place, _)| self.view_of(place)).collect()
    }

    /// How many resources there are.
    #[must_use]
    pub const fn resources(&self) -> usize {
        self.resources.len()
    }

    /// How many locks there are, held or waited for.
    #[must_use]
    pub const fn locks(&self) -> usize {
        self.locks.len()
    }

    /// How many locks convert or wait.
    #[must_use]
    pub const fn waiting(&self) -> usize {
        self.counters.waiting
    }

    /// Whether the lockspace wants deadlocks to be broken.
    #[must_use]
    pub fn breaks_deadlocks(&self, lockspace: LockspaceId) -> bool {
        let options = self.lockspaces.get(&lockspace);
        options.is_some_and(|options| options.breaks_deadlocks)
    }

    /// Whether the session has a lock of that number, and if so, whether it is an orphan.
    #[must_use]
    pub fn is_orphan(&self, session: SessionId, lock: LockId) -> Option<bool> {
        let key = self.find(session, lock).ok()?;
        Some(self.locks[key].marks.contains(Marks::ORPHAN))
    }

    /// A session's counts; `None` where it is not known. Walks the session's locks.
    #[must_use]
    pub fn session_counts(&self, session: SessionId) -> Option<SessionCounts> {
        let session = self.sessions.get(&session)?;
        let waits = |key: &LockKey| self.locks[*key].queue != Queue::Granted;
        Some(SessionCounts {
            locks: session.locks,
            waiting: self.locks_of(session).filter(waits).count(),
        })
    }

    /// The lock of that number, and the lockspace and the name of the resource that it is on.
    #[must_use]
    pub fn lock(
        &self,
        session: SessionId,
        lock: LockId,
    ) -> Option<(LockspaceId, ResourceName, LockView)> {
        let key = self.find(session, lock).ok()?;
        let resource = &self.resources[self.locks[key].resource];
        let name = resource.name.to_name();
        Some((resource.lockspace, name, self.view_of_lock(key)))
    }

    /// The locks of a session, the oldest first, with what decides whether an operation on many of them means this
    /// one; none where the session is not known.
    pub fn locks_of_session(&self, session: SessionId) -> impl Iterator<Item = OwnedLock> {
        let session = self.sessions.get(&session).into_iter();
        let keys = session.flat_map(|session| self.locks_of(session));
        keys.map(|key| {
            let lock = &self.locks[key];
            OwnedLock {
                lock: lock.id,
                owner: lock.owner,
                lockspace: self.resources[lock.resource].lockspace,
                orphan: lock.marks.contains(Marks::ORPHAN),
            }
        })
    }

    /// The locks of a resource: granted, converting, waiting, each queue in its order.
    pub(crate) fn keys_of(&self, place: ResourceKey) -> impl Iterator<Item = LockKey> {
        let resource = &self.resources[place];
        iter::empty()
            .chain(resource.granted.iter(&self.locks))
            .chain(resource.converting().list.iter(&self.locks))
            .chain(resource.waiting().list.iter(&self.locks))
    }

    fn view_of(&self, place: ResourceKey) -> ResourceView {
        let resource = &self.resources[place];
        let locks = self.keys_of(place).map(|key| self.view_of_lock(key));
        ResourceView {
            lockspace: resource.lockspace,
            name: resource.name.to_name(),
            locks: locks.collect(),
        }
    }

    fn view_of_lock(&self, key: LockKey) -> LockView {
        let lock = &self.locks[key];
        LockView {
            session: lock.session,
            lock: lock.id,
            owner: lock.owner,
            queue: lock.queue,
            granted: lock.granted,
            requested: lock.requested,
            since: lock.since,
            serial: lock.serial,
            flags: lock.flags,
        }
    }
}

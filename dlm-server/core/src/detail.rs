//! Looking at a table closely: every lock with all that there is to know of it, for listings and dumps.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::deadlock::Queue;
use crate::flags::{RequestFlags, StatusFlags};
use crate::ids::{LockId, LockspaceId, Owner, ResourceName, SessionId, Tick, Token};
use crate::mode::Mode;
use crate::resource::{LockKey, Marks, ResourceKey};
use crate::table::LockTable;
use crate::value::ValueBlock;

/// A resource with its locks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceDetail {
    /// The lockspace.
    pub lockspace: LockspaceId,
    /// The resource's name.
    pub name: ResourceName,
    /// Its value; `None` where nobody has stored one.
    pub value: Option<ValueBlock>,
    /// Whether whoever wrote the value last was neither lost nor said that it is not valid.
    pub value_valid: bool,
    /// Its locks: granted (the newest first), converting, waiting, each queue in its order.
    pub locks: Vec<LockDetail>,
}

/// A lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockDetail {
    /// Whose it is.
    pub session: SessionId,
    /// Its number in that session.
    pub lock: LockId,
    /// The task that asked last.
    pub owner: Owner,
    /// Where it stands.
    pub queue: Queue,
    /// The mode it has; `None` while it waits for its first grant.
    pub granted: Option<Mode>,
    /// The mode it waits for, if it waits.
    pub requested: Option<Mode>,
    /// The flags of the last request or conversion, and of every unlock and cancel since.
    pub flags: RequestFlags,
    /// What its last answer said beside the status.
    pub status: StatusFlags,
    /// The token of its last grant, zero before the first.
    pub token: Token,
    /// The strongest mode of which it was told since its last grant that somebody wants it.
    pub told: Option<Mode>,
    /// When it got where it stands.
    pub since: Tick,
    /// Whether its owner is gone and nobody adopted it.
    pub orphan: bool,
}

/// How much there is in a lockspace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LockspaceCounts {
    /// Resources with a lock on them.
    pub resources: usize,
    /// Locks, held or waited for.
    pub locks: usize,
    /// Those that convert or wait.
    pub waiting: usize,
    /// Those whose owner is gone.
    pub orphans: usize,
}

impl LockTable {
    /// All resources, or those of one lockspace, in the order of lockspace and name.
    #[must_use]
    pub fn detail(&self, lockspace: Option<LockspaceId>) -> Vec<ResourceDetail> {
        let wanted = |id: LockspaceId| lockspace.is_none_or(|only| only == id);
        let places = self.resources.iter();
        let places = places.filter(|(_, resource)| wanted(resource.lockspace));
        let mut all: Vec<_> = places.map(|(place, _)| self.detail_of(place)).collect();
        all.sort_unstable_by(|a, b| (a.lockspace, &a.name).cmp(&(b.lockspace, &b.name)));
        all
    }

    /// What is in each lockspace, counted one by one. One without locks is not in it.
    #[must_use]
    pub fn lockspace_counts(&self) -> BTreeMap<LockspaceId, LockspaceCounts> {
        let mut all = BTreeMap::new();
        for (place, resource) in self.resources.iter() {
            let counts: &mut LockspaceCounts = all.entry(resource.lockspace).or_default();
            counts.resources += 1;
            counts.waiting += resource.queue_length();
            for key in self.keys_of(place) {
                counts.locks += 1;
                counts.orphans += usize::from(self.locks[key].marks.contains(Marks::ORPHAN));
            }
        }
        all
    }

    /// The mode and the token that a session's lock is held with; `None` where it is not held.
    #[must_use]
    pub fn held(&self, session: SessionId, lock: LockId) -> Option<(Mode, Token)> {
        let lock = &self.locks[self.find(session, lock).ok()?];
        Some((lock.granted?, lock.token))
    }

    /// Since when the lock has waited that has waited longest in these lockspaces.
    #[must_use]
    pub fn oldest_wait(&self, wanted: impl Fn(LockspaceId) -> bool) -> Option<Tick> {
        if self.waiting() == 0 {
            return None;
        }
        let waits = self.locks.iter().map(|(_, lock)| lock).filter(|lock| {
            lock.queue != Queue::Granted && wanted(self.resources[lock.resource].lockspace)
        });
        waits.map(|lock| lock.since).min()
    }

    fn detail_of(&self, place: ResourceKey) -> ResourceDetail {
        let resource = &self.resources[place];
        let locks = self.keys_of(place).map(|key| self.lock_detail(key));
        ResourceDetail {
            lockspace: resource.lockspace,
            name: resource.name.to_name(),
            value: resource.value.as_deref().map(|stored| stored.value.clone()),
            value_valid: !resource.value_invalid,
            locks: locks.collect(),
        }
    }

    fn lock_detail(&self, key: LockKey) -> LockDetail {
        let lock = &self.locks[key];
        LockDetail {
            session: lock.session,
            lock: lock.id,
            owner: lock.owner,
            queue: lock.queue,
            granted: lock.granted,
            requested: lock.requested,
            flags: lock.flags,
            status: lock.status,
            token: lock.token,
            told: (lock.told != Mode::Nl).then_some(lock.told),
            since: lock.since,
            orphan: lock.marks.contains(Marks::ORPHAN),
        }
    }
}

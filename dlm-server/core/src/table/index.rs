//! How locks and resources are found: hash tables that hold places only, so that ids and names stand
//! once, in what they belong to.

use hashbrown::HashTable;

use crate::hash::Hasher;
use crate::ids::{LockId, LockspaceId, ResourceName, SessionId};
use crate::resource::{Lock, LockKey, Locks, Resource, ResourceKey};
use crate::slab::Slab;

type Resources = Slab<ResourceKey, Resource>;

/// Both tables. Nothing iterates them.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    hasher: Hasher,
    locks: HashTable<LockKey>,
    resources: HashTable<ResourceKey>,
}

impl Index {
    pub(super) const fn new(seed: u64) -> Self {
        Self {
            hasher: Hasher::new(seed),
            locks: HashTable::new(),
            resources: HashTable::new(),
        }
    }

    /// The session's lock of that number.
    pub(crate) fn lock(
        &self,
        locks: &Locks,
        (session, id): (SessionId, LockId),
    ) -> Option<LockKey> {
        let is_it = |key: &LockKey| {
            let lock = &locks[*key];
            lock.id == id && lock.session == session
        };
        let hash = self.hasher.pair(session.0, id.0);
        self.locks.find(hash, is_it).copied()
    }

    /// The lockspace's resource of that name.
    pub(crate) fn resource(
        &self,
        resources: &Resources,
        lockspace: LockspaceId,
        name: &ResourceName,
    ) -> Option<ResourceKey> {
        let bytes = name.as_bytes();
        let is_it = |key: &ResourceKey| {
            let resource = &resources[*key];
            resource.name.as_bytes() == bytes && resource.lockspace == lockspace
        };
        let hash = self.hasher.bytes(lockspace.0.into(), bytes);
        self.resources.find(hash, is_it).copied()
    }

    /// How many locks and resources are in it.
    pub(crate) fn len(&self) -> (usize, usize) {
        (self.locks.len(), self.resources.len())
    }

    /// Forgets all locks: for tests of what must not happen.
    #[cfg(test)]
    pub(crate) fn clear_locks(&mut self) {
        self.locks.clear();
    }

    pub(super) fn insert_lock(&mut self, locks: &Locks, key: LockKey) {
        let hasher = self.hasher;
        let hash = |key: &LockKey| hash_of_lock(hasher, &locks[*key]);
        self.locks.insert_unique(hash(&key), key, hash);
    }

    pub(super) fn remove_lock(&mut self, locks: &Locks, key: LockKey) {
        let hash = hash_of_lock(self.hasher, &locks[key]);
        if let Ok(entry) = self.locks.find_entry(hash, |&other| other == key) {
            entry.remove();
        }
    }

    pub(crate) fn insert_resource(&mut self, resources: &Resources, key: ResourceKey) {
        let hasher = self.hasher;
        let hash = |key: &ResourceKey| hash_of_resource(hasher, &resources[*key]);
        self.resources.insert_unique(hash(&key), key, hash);
    }

    pub(super) fn remove_resource(&mut self, resources: &Resources, key: ResourceKey) {
        let hash = hash_of_resource(self.hasher, &resources[key]);
        if let Ok(entry) = self.resources.find_entry(hash, |&other| other == key) {
            entry.remove();
        }
    }
}

fn hash_of_lock(hasher: Hasher, lock: &Lock) -> u64 {
    hasher.pair(lock.session.0, lock.id.0)
}

fn hash_of_resource(hasher: Hasher, resource: &Resource) -> u64 {
    hasher.bytes(resource.lockspace.0.into(), resource.name.as_bytes())
}

//! How locks and resources are found: hash tables that hold places only, so that ids and names stand
//! once, in what they belong to.
//!
//! Each is cut into many small tables, so that growth never stops the server: a table that doubles looks
//! at everything in it, and of a million locks that is the four thousand of one part.

use alloc::vec::Vec;

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
    locks: Parts<LockKey>,
    resources: Parts<ResourceKey>,
}

/// How many tables there are of each kind: their heads take 8 KiB.
const PARTS: usize = 1 << 8;

/// A hash table in parts.
#[derive(Clone, Debug)]
struct Parts<K> {
    parts: Vec<HashTable<K>>,
    len: usize,
}

impl<K> Parts<K> {
    fn new() -> Self {
        Self {
            parts: (0..PARTS).map(|_| HashTable::new()).collect(),
            len: 0,
        }
    }

    fn find(&self, hash: u64, is_it: impl FnMut(&K) -> bool) -> Option<&K> {
        self.parts[part(hash)].find(hash, is_it)
    }

    fn insert(&mut self, hash: u64, key: K, hash_of: impl Fn(&K) -> u64) {
        self.parts[part(hash)].insert_unique(hash, key, hash_of);
        self.len += 1;
    }

    fn remove(&mut self, hash: u64, is_it: impl FnMut(&K) -> bool) {
        if let Ok(entry) = self.parts[part(hash)].find_entry(hash, is_it) {
            entry.remove();
            self.len -= 1;
        }
    }
}

/// Bits that the tables themselves do not use before they have 2^48 places: they take the upper seven
/// and the lowest.
const fn part(hash: u64) -> usize {
    (hash >> 48) as usize % PARTS
}

impl Index {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            hasher: Hasher::new(seed),
            locks: Parts::new(),
            resources: Parts::new(),
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
        self.look_up(resources, lockspace, name).ok()
    }

    /// As [`Index::resource`]; where there is none, the hash under which it would be found.
    pub(super) fn look_up(
        &self,
        resources: &Resources,
        lockspace: LockspaceId,
        name: &ResourceName,
    ) -> Result<ResourceKey, u64> {
        let bytes = name.as_bytes();
        let is_it = |key: &ResourceKey| {
            let resource = &resources[*key];
            resource.name.as_bytes() == bytes && resource.lockspace == lockspace
        };
        let hash = self.hasher.bytes(lockspace.0.into(), bytes);
        self.resources.find(hash, is_it).copied().ok_or(hash)
    }

    /// How many locks and resources are in it.
    pub(crate) fn len(&self) -> (usize, usize) {
        (self.locks.len, self.resources.len)
    }

    /// Forgets all locks: for tests of what must not happen.
    #[cfg(test)]
    pub(crate) fn clear_locks(&mut self) {
        self.locks = Parts::new();
    }

    pub(super) fn insert_lock(&mut self, locks: &Locks, key: LockKey) {
        let hasher = self.hasher;
        let hash = |key: &LockKey| hash_of_lock(hasher, &locks[*key]);
        self.locks.insert(hash(&key), key, hash);
    }

    pub(super) fn remove_lock(&mut self, locks: &Locks, key: LockKey) {
        let hash = hash_of_lock(self.hasher, &locks[key]);
        self.locks.remove(hash, |&other| other == key);
    }

    /// Puts a resource in under the hash that [`Index::look_up`] said.
    pub(crate) fn insert_resource(&mut self, resources: &Resources, key: ResourceKey, hash: u64) {
        let hasher = self.hasher;
        let hash_of = |key: &ResourceKey| hash_of_resource(hasher, &resources[*key]);
        self.resources.insert(hash, key, hash_of);
    }

    pub(super) fn remove_resource(&mut self, resources: &Resources, key: ResourceKey) {
        let hash = hash_of_resource(self.hasher, &resources[key]);
        self.resources.remove(hash, |&other| other == key);
    }
}

fn hash_of_lock(hasher: Hasher, lock: &Lock) -> u64 {
    hasher.pair(lock.session.0, lock.id.0)
}

fn hash_of_resource(hasher: Hasher, resource: &Resource) -> u64 {
    hasher.bytes(resource.lockspace.0.into(), resource.name.as_bytes())
}

//! Looking at a table: its locks as plain values, and counts.

use alloc::vec::Vec;
use core::iter;

use crate::deadlock::{LockView, Queue, ResourceView};
use crate::ids::{LockspaceId, SessionId};
use crate::resource::{LockKey, ResourceKey};
use crate::table::LockTable;

/// How many locks a session has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionCounts {
    /// All, held or waited for.
    pub locks: usize,
    /// Those that convert or wait.
    pub waiting: usize,
}

impl LockTable {
    /// All resources, or those of one lockspace, in the order of lockspace and name.
    #[must_use]
    pub fn view(&self, lockspace: Option<LockspaceId>) -> Vec<ResourceView> {
        let wanted = |id: LockspaceId| lockspace.is_none_or(|only| only == id);
        let places = self.names.iter().filter(|((id, _), _)| wanted(*id));
        places.map(|(_, &place)| self.view_of(place)).collect()
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

    /// A session's counts; `None` where it is not known. Walks the session's locks.
    #[must_use]
    pub fn session_counts(&self, session: SessionId) -> Option<SessionCounts> {
        let session = self.sessions.get(&session)?;
        let waits = |key: &&LockKey| self.locks[**key].queue != Queue::Granted;
        Some(SessionCounts {
            locks: session.locks.len(),
            waiting: session.locks.values().filter(waits).count(),
        })
    }

    /// The locks of a resource: granted, converting, waiting, each queue in its order.
    pub(crate) fn keys_of(&self, place: ResourceKey) -> impl Iterator<Item = LockKey> {
        let resource = &self.resources[place];
        iter::empty()
            .chain(resource.granted.iter(&self.locks))
            .chain(resource.converting.iter(&self.locks))
            .chain(resource.waiting.iter(&self.locks))
    }

    fn view_of(&self, place: ResourceKey) -> ResourceView {
        let resource = &self.resources[place];
        let locks = self.keys_of(place).map(|key| {
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
            }
        });
        ResourceView {
            lockspace: resource.lockspace,
            name: resource.name.clone(),
            locks: locks.collect(),
        }
    }
}

//! What a server lists, with names in the place of numbers.

use std::vec;

use dlm_core::detail::{LockDetail, ResourceDetail};
use dlm_core::{Epoch, ServerId, Tick};
use prost::bytes::Bytes;

use super::graph::Names;
use super::value_bytes;
use super::words;
use crate::coverage::Coverage;
use crate::limits::LOCKS_PER_PAGE_MAX;
use crate::listing::LockspaceListing;
use crate::wire;

/// A resource with its locks, and the epoch of its slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedResource {
    /// The epoch.
    pub epoch: Epoch,
    /// The resource.
    pub detail: ResourceDetail,
}

/// The pages of a listing of one server's locks, each made when it is asked for.
#[derive(Debug)]
pub struct LocksPages {
    resources: vec::IntoIter<ListedResource>,
    /// What did not fit into the last page of a resource that is begun.
    rest: Option<ListedResource>,
    names: Names,
    server: ServerId,
    now: Tick,
    uptime_us: u64,
}

impl LocksPages {
    /// The pages for locks that `server` masters and that were looked at until `now`.
    #[must_use]
    pub fn new(
        resources: Vec<ListedResource>,
        names: Names,
        (server, now): (ServerId, Tick),
    ) -> Self {
        Self {
            resources: resources.into_iter(),
            rest: None,
            names,
            server,
            now,
            uptime_us: now.0,
        }
    }

    /// As of a server that had been running for so long; otherwise its clock began with it.
    #[must_use]
    pub fn since(self, uptime_us: u64) -> Self {
        Self { uptime_us, ..self }
    }

    /// How long the server had been running.
    #[must_use]
    pub const fn uptime_us(&self) -> u64 {
        self.uptime_us
    }

    /// As much of the resource as has room for so many locks, and so many locks.
    fn part(&mut self, listed: ListedResource, room: usize) -> (wire::LockedResource, usize) {
        let ListedResource {
            epoch,
            detail: mut resource,
        } = listed;
        let count = resource.locks.len().min(room);
        let rest = resource.locks.split_off(count);
        let locks = resource.locks.iter();
        let part = wire::LockedResource {
            lockspace: self.names.lockspace(resource.lockspace),
            name: Bytes::copy_from_slice(resource.name.as_bytes()),
            value: resource.value.as_ref().map(value_bytes),
            value_invalid: !resource.value_valid,
            locks: locks
                .map(|lock| locked_lock(lock, &self.names, self.now))
                .collect(),
            server: self.server.0,
            epoch: epoch.0,
        };
        if !rest.is_empty() {
            let detail = ResourceDetail {
                locks: rest,
                ..resource
            };
            self.rest = Some(ListedResource { epoch, detail });
        }
        (part, count)
    }
}

impl Iterator for LocksPages {
    type Item = wire::LocksPage;

    fn next(&mut self) -> Option<wire::LocksPage> {
        let mut page = wire::LocksPage {
            uptime_us: self.uptime_us,
            ..wire::LocksPage::default()
        };
        let mut room = LOCKS_PER_PAGE_MAX;
        while room > 0
            && let Some(resource) = self.rest.take().or_else(|| self.resources.next())
        {
            let (part, count) = self.part(resource, room);
            page.resources.push(part);
            // A resource has a lock on it.
            room -= count.max(1);
        }
        (!page.resources.is_empty()).then_some(page)
    }
}

fn locked_lock(lock: &LockDetail, names: &Names, now: Tick) -> wire::LockedLock {
    wire::LockedLock {
        session: lock.session.0,
        session_name: names.session(lock.session),
        lock: lock.lock.0,
        owner: lock.owner.0,
        queue: words::queue(lock.queue).into(),
        granted: words::mode_or_none(lock.granted).into(),
        requested: words::mode_or_none(lock.requested).into(),
        flags: lock.flags.bits(),
        status_flags: lock.status.bits().into(),
        token: lock.token.0,
        told: words::mode_or_none(lock.told).into(),
        age_us: now.since(lock.since),
        orphan: lock.orphan,
    }
}

/// The answer to a `LockspacesRequest`.
#[must_use]
pub fn lockspaces(lockspaces: Vec<LockspaceListing>, coverage: Coverage) -> wire::LockspacesReply {
    let lockspaces = lockspaces.into_iter().map(|lockspace| wire::Lockspace {
        name: lockspace.name,
        id: lockspace.id.0,
        options: Some(words::lockspace_options(lockspace.options)),
        sessions: lockspace
            .sessions
            .into_iter()
            .map(|(session, name)| wire::LockspaceSession {
                session: session.0,
                name,
            })
            .collect(),
        resources: lockspace.resources,
        locks: lockspace.locks,
        waiting: lockspace.waiting,
        orphans: lockspace.orphans,
    });
    wire::LockspacesReply {
        lockspaces: lockspaces.collect(),
        coverage: Some(super::coverage(coverage)),
    }
}

#[cfg(test)]
mod tests;

//! Every lock of a server, as it comes.

use std::collections::VecDeque;

use dlm_core::deadlock::Queue;
use dlm_core::{Mode, RequestFlags, StatusFlags};
use glockwork_proto::{convert, listing, wire};
use serde::{Serialize, Serializer};
use tonic::Streaming;

use super::{Coverage, InspectError, answer, connect, next, unreadable};
use crate::endpoints::Servers;
use crate::graph::{Object, json};

/// A resource with its locks, or some of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Resource {
    /// Its lockspace, its name, and the glock that the name is of.
    #[serde(flatten)]
    pub object: Object,
    /// Its value block, in hexadecimal; `null` where nobody has stored one.
    #[serde(serialize_with = "hexadecimal")]
    pub value: Option<Vec<u8>>,
    /// Whether whoever wrote the value last was neither lost nor said that it is not valid.
    pub value_valid: bool,
    /// Its locks: granted (the newest first), converting, waiting, each queue in its order.
    pub locks: Vec<Lock>,
    /// The server that masters it.
    pub server: u64,
    /// The epoch of its slot.
    pub epoch: u32,
}

/// A lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lock {
    /// Whose it is.
    pub session: u64,
    /// What people call that session.
    pub session_name: String,
    /// Its number in that session.
    pub lock: u64,
    /// The task that asked last; 0 is nobody in particular.
    pub owner: u64,
    /// `granted`, `converting` or `waiting`.
    #[serde(serialize_with = "json::queue")]
    pub queue: Queue,
    /// The mode it has; `null` while it waits for its first grant.
    #[serde(serialize_with = "json::mode_or_none")]
    pub granted: Option<Mode>,
    /// The mode it waits for, if it waits.
    #[serde(serialize_with = "json::mode_or_none")]
    pub requested: Option<Mode>,
    /// DLM_LKF_* as a number: of the last request or conversion, and of every unlock and cancel since.
    #[serde(serialize_with = "request_flags")]
    pub flags: RequestFlags,
    /// DLM_SBF_* as a number: what its last answer said beside the status.
    #[serde(serialize_with = "status_flags")]
    pub status_flags: StatusFlags,
    /// The fencing token of its last grant, 0 before the first.
    pub token: u64,
    /// The strongest mode of which it was told since its last grant that somebody wants it.
    #[serde(serialize_with = "json::mode_or_none")]
    pub told: Option<Mode>,
    /// How long it has stood where it stands, in microseconds.
    pub age_us: u64,
    /// Whether its task is gone and nobody adopted it.
    pub orphan: bool,
}

/// A lock with its resource, as one JSON object: the fields of [`Lock`], and those of [`Resource`] but its
/// locks.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct ListedLock<'a> {
    /// The resource.
    #[serde(flatten)]
    pub object: &'a Object,
    /// The lock.
    #[serde(flatten)]
    pub lock: &'a Lock,
    /// The resource's value block.
    #[serde(serialize_with = "borrowed_hexadecimal")]
    pub value: Option<&'a [u8]>,
    /// Whether it is valid.
    pub value_valid: bool,
}

impl Resource {
    /// Its locks one by one.
    pub fn listed(&self) -> impl Iterator<Item = ListedLock<'_>> {
        self.locks.iter().map(|lock| ListedLock {
            object: &self.object,
            lock,
            value: self.value.as_deref(),
            value_valid: self.value_valid,
        })
    }
}

/// The locks that a server lists. It holds a page of them at a time.
#[derive(Debug)]
pub struct Locks {
    endpoint: String,
    pages: Streaming<wire::LocksPage>,
    read: VecDeque<Resource>,
    uptime_us: u64,
    coverage: Coverage,
}

/// Every lock, or those of one lockspace, in the order of lockspaces and names.
///
/// # Errors
/// [`InspectError`].
pub async fn locks(servers: &Servers, lockspace: Option<&str>) -> Result<Locks, InspectError> {
    let (endpoint, mut client) = connect(servers).await?;
    let lockspace = lockspace.unwrap_or_default().to_owned();
    let pages = client.locks(wire::LocksRequest {
        lockspace,
        local: false,
    });
    Ok(Locks {
        pages: answer(&endpoint, pages).await?,
        endpoint,
        read: VecDeque::new(),
        uptime_us: 0,
        coverage: Coverage::default(),
    })
}

impl Locks {
    /// How long the server had been running when it looked at the locks, in microseconds; known once the
    /// first of them is.
    #[must_use]
    pub fn uptime_us(&self) -> u64 {
        self.uptime_us
    }

    /// What is missing in the list; known at its end.
    #[must_use]
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// The next resource, or the next part of one with very many locks. `None` at the end.
    ///
    /// # Errors
    /// [`InspectError`].
    pub async fn next_part(&mut self) -> Result<Option<Resource>, InspectError> {
        while self.read.is_empty() {
            let Some(mut page) = next(&self.endpoint, &mut self.pages).await? else {
                return Ok(None);
            };
            self.uptime_us = page.uptime_us;
            // It stands in the last page.
            let coverage = Coverage::read(page.coverage.take());
            self.coverage = coverage.map_err(|why| unreadable(&self.endpoint, why))?;
            let page = convert::locks_page(page);
            let page = page.map_err(|why| unreadable(&self.endpoint, why))?;
            self.read.extend(page.into_iter().map(Resource::from));
        }
        Ok(self.read.pop_front())
    }

    /// The next resource with all its locks. `None` at the end.
    ///
    /// # Errors
    /// [`InspectError`].
    pub async fn next_whole(&mut self) -> Result<Option<Resource>, InspectError> {
        let Some(mut whole) = self.next_part().await? else {
            return Ok(None);
        };
        while let Some(part) = self.next_part().await? {
            if part.object != whole.object {
                self.read.push_front(part);
                break;
            }
            whole.locks.extend(part.locks);
        }
        Ok(Some(whole))
    }
}

impl From<listing::LockedResource> for Resource {
    fn from(listed: listing::LockedResource) -> Self {
        let (lockspace, name) = (listed.lockspace, listed.name);
        Self {
            object: Object { lockspace, name },
            value: listed.value.map(|value| value.as_bytes().to_vec()),
            value_valid: listed.value_valid,
            locks: listed.locks.into_iter().map(Lock::from).collect(),
            server: listed.server.0,
            epoch: listed.epoch.0,
        }
    }
}

impl From<listing::LockedLock> for Lock {
    fn from(listed: listing::LockedLock) -> Self {
        Self {
            session: listed.session.0,
            session_name: listed.session_name,
            lock: listed.lock.0,
            owner: listed.owner.0,
            queue: listed.queue,
            granted: listed.granted,
            requested: listed.requested,
            flags: listed.flags,
            status_flags: listed.status,
            token: listed.token.0,
            told: listed.told,
            age_us: listed.age_us,
            orphan: listed.orphan,
        }
    }
}

fn hexadecimal<S: Serializer>(value: &Option<Vec<u8>>, to: S) -> Result<S::Ok, S::Error> {
    borrowed_hexadecimal(&value.as_deref(), to)
}

fn borrowed_hexadecimal<S: Serializer>(value: &Option<&[u8]>, to: S) -> Result<S::Ok, S::Error> {
    let digits =
        |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("{byte:02x}")).collect() };
    value.map(digits).serialize(to)
}

fn request_flags<S: Serializer>(flags: &RequestFlags, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u32(flags.bits())
}

fn status_flags<S: Serializer>(flags: &StatusFlags, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u8(flags.bits())
}

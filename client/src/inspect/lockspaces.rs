//! The lockspaces of a server, and taking orphans out of them.

use glockwork_proto::wire::lock_client::LockClient;
use glockwork_proto::{convert, wire};
use serde::Serialize;

use super::{Coverage, InspectError, answer, channel, connect, unreadable};
use crate::endpoints::Servers;

/// A lockspace in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LockspaceStatus {
    /// Its name.
    pub name: String,
    /// Its number; no other lockspace of the server ever had it.
    pub id: u32,
    /// How long its value blocks are, in bytes.
    pub value_length: usize,
    /// Whether deadlocks that are found in it are broken.
    pub breaks_deadlocks: bool,
    /// The sessions that have it open.
    pub sessions: Vec<LockspaceSession>,
    /// Resources with a lock on them.
    pub resources: u64,
    /// Locks, held or waited for.
    pub locks: u64,
    /// Those that convert or wait.
    pub waiting: u64,
    /// Those whose task is gone.
    pub orphans: u64,
}

/// A session that has a lockspace open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LockspaceSession {
    /// Its number.
    pub session: u64,
    /// Its name.
    pub name: String,
}

/// The lockspaces that are open, in the order in which they were made.
///
/// # Errors
/// [`InspectError`].
pub async fn lockspaces(servers: &Servers) -> Result<Vec<LockspaceStatus>, InspectError> {
    Ok(lockspaces_seen(servers).await?.0)
}

/// As [`lockspaces`], with what is missing in their numbers.
///
/// # Errors
/// [`InspectError`].
pub async fn lockspaces_seen(
    servers: &Servers,
) -> Result<(Vec<LockspaceStatus>, Coverage), InspectError> {
    let (endpoint, mut client) = connect(servers).await?;
    let asking = client.lockspaces(wire::LockspacesRequest::default());
    let mut reply = answer(&endpoint, asking).await?;
    let coverage = Coverage::read(reply.coverage.take());
    let coverage = coverage.map_err(|why| unreadable(&endpoint, why))?;
    let reply = convert::lockspaces(reply);
    let listed = reply.map_err(|why| unreadable(&endpoint, why))?.into_iter();
    let session = |(session, name): (dlm_core::SessionId, String)| LockspaceSession {
        session: session.0,
        name,
    };
    let lockspaces = listed.map(|listed| LockspaceStatus {
        name: listed.name,
        id: listed.id.0,
        value_length: listed.options.value_length.bytes(),
        breaks_deadlocks: listed.options.breaks_deadlocks,
        sessions: listed.sessions.into_iter().map(session).collect(),
        resources: listed.resources,
        locks: listed.locks,
        waiting: listed.waiting,
        orphans: listed.orphans,
    });
    Ok((lockspaces.collect(), coverage))
}

/// What a purge took away.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// How many orphans.
    pub locks: u32,
    /// Where it could not look for them.
    pub coverage: Coverage,
}

/// Takes the orphans of a session away, or those that one of its tasks left, and says how many they were.
/// The session hears nothing of it. For whoever looks after the cluster.
///
/// # Errors
/// [`InspectError`].
pub async fn purge(
    servers: &Servers,
    lockspace: &str,
    session: u64,
    owner: Option<u64>,
) -> Result<Purged, InspectError> {
    let (endpoint, channel) = channel(servers).await?;
    let mut client = LockClient::new(channel);
    let lockspace = lockspace.into();
    let asking = client.purge(wire::PurgeRequest {
        lockspace,
        session,
        owner,
        local: false,
    });
    let reply = answer(&endpoint, asking).await?;
    let coverage = Coverage::read(reply.coverage);
    let coverage = coverage.map_err(|why| unreadable(&endpoint, why))?;
    Ok(Purged {
        locks: reply.locks,
        coverage,
    })
}

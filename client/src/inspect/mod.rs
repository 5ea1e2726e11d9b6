//! Looking at a cluster, and looking after it: no session is needed. Any server may be asked; it asks the others,
//! and what could not be seen is in the [`Coverage`] of a view.

mod caches;
mod cluster;
pub mod dump;
mod glocks;
mod locks;
mod lockspaces;
mod operate;
mod watch;

use std::error::Error as _;
use std::time::Duration;

use glockwork_proto::limits::GRAPH_REPLY_BYTES_MAX;
use glockwork_proto::wire::inspect_client::InspectClient;
use glockwork_proto::{WireError, wire};
use serde::Serialize;
use thiserror::Error;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

pub use caches::{Cache, Caches, SilentSession, caches};
pub use cluster::cluster;
pub use dlm_core::deadlock::Queue;
pub use glocks::{Glocks, NodeGlock, NodeGlocks, glocks};
pub use glockwork_views::{
    Blocked, ClusterServer, ClusterSession, ClusterStatus, Coverage, Named, Report, SLOTS, Slots,
    Unreachable,
};
pub use locks::{ListedLock, Lock, Locks, Resource, locks};
pub use lockspaces::{
    LockspaceSession, LockspaceStatus, Purged, lockspaces, lockspaces_seen, purge,
};
pub use operate::{add_server, confirm_fence, evict, remove_server};
pub use watch::{Heard, Missed, News, WATCH_SILENCE_MAX, Watch, WatchFilter, history, watch};

use crate::endpoints::{self, Servers};
use crate::error::{ConnectError, Tried, innermost, rpc_failure};
use crate::graph::GraphSnapshot;

/// How long an answer may take. A graph needs a second at most when nodes do not report.
pub const ANSWER_WAIT_MAX: Duration = Duration::from_secs(10);

/// How soon a server is to say anything before another one is tried.
const ANSWERS_WITHIN: Duration = Duration::from_secs(1);

/// Why there is no answer.
#[derive(Clone, Debug, Error)]
pub enum InspectError {
    /// Nobody to ask.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// It took the question and says nothing.
    #[error(
        "the lock server at {endpoint} did not answer within {} s; is it overloaded?",
        ANSWER_WAIT_MAX.as_secs()
    )]
    Late {
        /// Where.
        endpoint: String,
    },
    /// It does not know the question: another program, or an older server.
    #[error("what listens at {endpoint} is no lock server of this version ({why}); upgrade it")]
    Unknown {
        /// Where.
        endpoint: String,
        /// What it says.
        why: String,
    },
    /// It does not answer this.
    #[error("the lock server at {endpoint} says: {why}")]
    Refused {
        /// Where.
        endpoint: String,
        /// What it says.
        why: String,
    },
    /// There is no such thing.
    #[error("the lock server at {endpoint} says: {why}")]
    NotFound {
        /// Where.
        endpoint: String,
        /// What it says.
        why: String,
    },
    /// The answer means nothing.
    #[error("the answer of the lock server at {endpoint} means nothing: {why}; is it newer?")]
    Answer {
        /// Where.
        endpoint: String,
        /// What is wrong with it.
        why: WireError,
    },
}

/// A cluster in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ServerStatus {
    /// The version of the server that was asked.
    pub version: String,
    /// How long that has been running, in microseconds.
    pub uptime_us: u64,
    /// The server that was asked.
    pub server: u64,
    /// The server that leads, as far as that knows; 0: none.
    pub leader: u64,
    /// The lockspaces that are open.
    pub lockspaces: Vec<String>,
    /// The sessions.
    pub sessions: Vec<SessionStatus>,
    /// How many resources have a lock on them.
    pub resources: u64,
    /// How many locks there are, held or waited for.
    pub locks: u64,
    /// How many of them wait or convert.
    pub waiting: u64,
    /// What is missing in these numbers.
    pub coverage: Coverage,
}

/// A session in numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SessionStatus {
    /// Its number.
    pub session: u64,
    /// Its name.
    pub name: String,
    /// How many locks it has or waits for.
    pub locks: u64,
    /// How many of them wait or convert.
    pub waiting: u64,
    /// How many messages the servers have taken from it since their processes began.
    pub operations: u64,
    /// Whether it is dead; what it holds stays until it is fenced.
    pub dead: bool,
    /// To how many servers it has a stream.
    pub streams: u32,
}

/// The lock graph over all lockspaces, with the cycles in it.
///
/// # Errors
/// [`InspectError`].
pub async fn graph(servers: &Servers) -> Result<GraphSnapshot, InspectError> {
    ask_for_graph(servers, String::new()).await
}

/// The lock graph of one lockspace. A cycle that goes through several is not seen.
///
/// # Errors
/// [`InspectError`].
pub async fn graph_of(servers: &Servers, lockspace: &str) -> Result<GraphSnapshot, InspectError> {
    ask_for_graph(servers, lockspace.into()).await
}

async fn ask_for_graph(
    servers: &Servers,
    lockspace: String,
) -> Result<GraphSnapshot, InspectError> {
    let (endpoint, mut client) = connect(servers).await?;
    let request = wire::GraphRequest {
        lockspace,
        ..wire::GraphRequest::default()
    };
    let reply = answer(&endpoint, client.graph(request)).await?;
    GraphSnapshot::try_from(reply).map_err(|why| unreadable(&endpoint, why))
}

/// The cluster in numbers.
///
/// # Errors
/// [`InspectError`].
pub async fn status(servers: &Servers) -> Result<ServerStatus, InspectError> {
    let (endpoint, mut client) = connect(servers).await?;
    let reply = answer(&endpoint, client.status(wire::StatusRequest::default())).await?;
    let coverage = Coverage::read(reply.coverage);
    let coverage = coverage.map_err(|why| unreadable(&endpoint, why))?;
    let sessions = reply.sessions.into_iter().map(|session| SessionStatus {
        session: session.session,
        name: session.name,
        locks: session.locks,
        waiting: session.waiting,
        operations: session.operations,
        dead: session.dead,
        streams: session.streams,
    });
    Ok(ServerStatus {
        version: reply.version,
        uptime_us: reply.uptime_us,
        lockspaces: reply.lockspaces,
        sessions: sessions.collect(),
        resources: reply.resources,
        locks: reply.locks,
        waiting: reply.waiting,
        server: reply.server,
        leader: reply.leader,
        coverage,
    })
}

async fn connect(servers: &Servers) -> Result<(String, InspectClient<Channel>), InspectError> {
    let (endpoint, channel) = channel(servers).await?;
    let client = InspectClient::new(channel);
    let client = client.max_decoding_message_size(GRAPH_REPLY_BYTES_MAX);
    Ok((endpoint, client))
}

/// The first server that answers, and who it is. One that takes the connection and says nothing (it was
/// stopped, or is dying) is used where no other answers.
pub(crate) async fn channel(servers: &Servers) -> Result<(String, Channel), InspectError> {
    let mut tried = Vec::new();
    let mut late = None;
    for endpoint in servers.endpoints() {
        let transport = endpoints::transport(endpoint, servers.tls())?;
        let endpoint = String::from(endpoint.clone());
        let channel = match transport.connect().await {
            Ok(channel) => channel,
            Err(error) => {
                tried.push((endpoint, innermost(&error)));
                continue;
            }
        };
        match timeout(ANSWERS_WITHIN, answers(channel.clone())).await {
            Ok(Ok(())) => return Ok((endpoint, channel)),
            Ok(Err(why)) => tried.push((endpoint, why)),
            Err(_) => late = late.or(Some((endpoint, channel))),
        }
    }
    late.ok_or_else(|| {
        let tried = Tried(tried);
        ConnectError::Unreachable { tried }.into()
    })
}

/// Whether a server says anything over a connection; that it does not know the question is an answer.
async fn answers(channel: Channel) -> Result<(), String> {
    let question = HealthCheckRequest::default();
    let said = HealthClient::new(channel).check(question).await;
    match said {
        Err(status) if status.source().is_some() => Err(rpc_failure(&status)),
        _ => Ok(()),
    }
}

/// The next message of a stream. `None` at its end.
async fn next<T>(endpoint: &str, stream: &mut Streaming<T>) -> Result<Option<T>, InspectError> {
    let endpoint = endpoint.to_owned();
    match timeout(ANSWER_WAIT_MAX, stream.message()).await {
        Ok(Ok(message)) => Ok(message),
        Ok(Err(status)) => Err(refused(endpoint, &status)),
        Err(_) => Err(InspectError::Late { endpoint }),
    }
}

pub(crate) fn unreadable(endpoint: &str, why: WireError) -> InspectError {
    let endpoint = endpoint.into();
    InspectError::Answer { endpoint, why }
}

pub(crate) async fn answer<T>(
    endpoint: &str,
    asking: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<T, InspectError> {
    let endpoint = endpoint.to_owned();
    match timeout(ANSWER_WAIT_MAX, asking).await {
        Ok(Ok(reply)) => Ok(reply.into_inner()),
        Ok(Err(status)) => Err(refused(endpoint, &status)),
        Err(_) => Err(InspectError::Late { endpoint }),
    }
}

fn refused(endpoint: String, status: &Status) -> InspectError {
    let why = status.message().to_owned();
    match status.code() {
        Code::NotFound if !why.is_empty() => InspectError::NotFound { endpoint, why },
        Code::ResourceExhausted
        | Code::Unavailable
        | Code::FailedPrecondition
        | Code::InvalidArgument
            if !why.is_empty() =>
        {
            InspectError::Refused { endpoint, why }
        }
        code => InspectError::Unknown {
            endpoint,
            why: if why.is_empty() {
                code.to_string()
            } else {
                why
            },
        },
    }
}

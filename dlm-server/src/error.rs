//! What can go wrong with the server, and with one session of it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use dlm_core::ServerId;
use glockwork_proto::{FRAME_BYTES_MAX, WireError};
use thiserror::Error;
use tonic::{Code, Status};

use crate::founding::FoundingError;
use crate::limits::{HELLO_WAIT_MAX, LOOKS_MAX, WATCHES_MAX};
use crate::node::OrderRefusal;
use crate::replica::ReplicaError;
use crate::runtime::{EngineError, Stopping};
use crate::settings::Key;
use crate::storage::StorageError;

/// Why the server does not serve (any more).
#[derive(Debug, Error)]
pub enum ServeError {
    /// Somebody else has the port.
    #[error(
        "cannot listen on {addr}: another program listens there, a lock server perhaps; \
         stop it, or give another address with --listen"
    )]
    AddressInUse {
        /// Which.
        addr: SocketAddr,
    },
    /// The address is not one of this machine, or may not be listened on.
    #[error("cannot listen on {addr}: {source}; give another address with --listen")]
    Listen {
        /// Which.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The page or the metrics cannot be served.
    #[error("cannot listen on {addr} over HTTP: {source}; give another address with --{setting}")]
    Http {
        /// Which setting the address is from.
        setting: Key,
        /// Which address.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Spans cannot be exported.
    #[error("cannot export spans: {0}; give another address with --otlp-endpoint")]
    Export(#[from] opentelemetry_otlp::ExporterBuildError),
    /// The process has too few resources to start.
    #[error("cannot start the server's runtime: {0}; raise the limits on threads and open files")]
    Runtime(io::Error),
    /// A rule that must always hold did not: going on could give two sessions the same lock.
    #[error("the server found itself broken (the log says how) and stopped; start it again")]
    Broken,
    /// The data directory is another server's.
    #[error(
        "{dir} holds the storage of server {}, and this one was started as server {}; give the right --data or \
         the right --id", of.0, started_as.0
    )]
    OtherServer {
        /// Which directory.
        dir: PathBuf,
        /// Whose it is.
        of: ServerId,
        /// What the server was started as.
        started_as: ServerId,
    },
    /// What is on the disk is not whole, or cannot be made.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// It cannot become one of a cluster as it was started.
    #[error(transparent)]
    Founding(#[from] FoundingError),
    /// The log cannot be taken up.
    #[error(transparent)]
    Replica(#[from] ReplicaError),
    /// It cannot go on.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The transport gave up.
    #[error("the server stopped: {0}; start it again")]
    Transport(#[from] tonic::transport::Error),
}

impl ServeError {
    pub(crate) fn listen(addr: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => Self::AddressInUse { addr },
            _ => Self::Listen { addr, source },
        }
    }
}

/// Why the server ends a session's stream, where it is not the machine that does. The text is what the
/// client gets; what the session has stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum LinkError {
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("a frame is longer than {FRAME_BYTES_MAX} bytes; send what it says in several")]
    FrameTooLong,
    #[error("a frame does not parse as glockwork.v1.ToServerFrame ({0})")]
    FrameGarbled(String),
    #[error("the connection broke: {0}; open another stream")]
    Connection(String),
    #[error("no hello came within {} s; send one as the first frame", HELLO_WAIT_MAX.as_secs())]
    HelloLate,
    #[error("the first frame has no hello; send one, alone")]
    HelloMissing,
    #[error("a second hello on one stream; open another stream")]
    HelloAgain,
    #[error("the connection was lost; open another stream")]
    Lost,
    #[error(transparent)]
    Stopping(#[from] Stopping),
}

impl From<LinkError> for Status {
    fn from(error: LinkError) -> Self {
        let code = match &error {
            LinkError::Wire(WireError::OperationsTooMany { .. })
            | LinkError::Wire(WireError::ReportTooLong { .. })
            | LinkError::FrameTooLong => Code::ResourceExhausted,
            LinkError::Wire(_)
            | LinkError::FrameGarbled(_)
            | LinkError::HelloMissing
            | LinkError::HelloAgain => Code::InvalidArgument,
            LinkError::HelloLate => Code::DeadlineExceeded,
            LinkError::Connection(_) | LinkError::Lost | LinkError::Stopping(_) => {
                Code::Unavailable
            }
        };
        Self::new(code, error.to_string())
    }
}

/// Why somebody who looks at the server, or looks after it, gets nothing.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LookError {
    /// No lockspace is called so.
    #[error("no lockspace \"{0}\" is open; ask for the status to see those that are")]
    NoSuchLockspace(String),
    /// No session has this number.
    #[error("there is no session {0}; ask for the status to see those that are")]
    NoSuchSession(u64),
    /// What it left goes when it is fenced.
    #[error("session {0} is dead; its locks go when it is fenced, which dlm status shows")]
    SessionDead(u64),
    /// Too many look.
    #[error("{LOOKS_MAX} graphs are being collected already; try again in a second")]
    Looks,
    /// Too many watch.
    #[error("{WATCHES_MAX} watch this server already; ask another one, or end one of those")]
    Watches,
    /// The slot of the resource has no master, or another one than the server that was asked.
    #[error("slot {slot} of the resource is not served there now; ask again in a moment")]
    NoMaster {
        /// Which slot.
        slot: u32,
    },
    /// The server that knows does not answer.
    #[error(
        "server {server} masters the resource and does not answer: {why}; ask again in a moment"
    )]
    NotReached {
        /// Which server.
        server: u64,
        /// Why.
        why: String,
    },
    /// The answer is too large.
    #[error("the graph takes {bytes} bytes; ask for one lockspace only")]
    Size {
        /// How many bytes it would have.
        bytes: usize,
    },
    /// The server may not do it now.
    #[error(transparent)]
    Order(#[from] OrderRefusal),
    /// The request means nothing.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The server stops.
    #[error("the lock server is stopping; ask again when it is back")]
    Stopping,
    /// The server does not run yet.
    #[error("the server has not found its cluster yet; ask another one, or again later")]
    Starting,
}

impl From<Stopping> for LookError {
    fn from(_: Stopping) -> Self {
        Self::Stopping
    }
}

impl From<LookError> for Status {
    fn from(error: LookError) -> Self {
        let code = match error {
            LookError::NoSuchLockspace(_) | LookError::NoSuchSession(_) => Code::NotFound,
            LookError::SessionDead(_) => Code::FailedPrecondition,
            LookError::Looks | LookError::Watches | LookError::Size { .. } => {
                Code::ResourceExhausted
            }
            LookError::Wire(_) => Code::InvalidArgument,
            LookError::Order(_)
            | LookError::NoMaster { .. }
            | LookError::NotReached { .. }
            | LookError::Stopping
            | LookError::Starting => Code::Unavailable,
        };
        Self::new(code, error.to_string())
    }
}

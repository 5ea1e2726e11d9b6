//! What can go wrong, each in one line that says what happened and what to do.

use std::error::Error as StdError;
use std::fmt;

use dlm_core::cluster::{CommandRefusal, TextRefusal};
use dlm_core::{Mode, Refusal};
use glock_core::session::ENDPOINTS_MAX;
use thiserror::Error;
use tonic::Status;

use crate::limits::{CONNECT_MAX, OPERATIONS_IN_FLIGHT_MAX, OPERATIONS_QUEUED_MAX};

/// Why there is no session.
#[derive(Clone, Debug, Error)]
pub enum ConnectError {
    /// The endpoint is no address.
    #[error("\"{endpoint}\" is no endpoint ({why}); give one as 127.0.0.1:7170")]
    Endpoint {
        /// As it was given.
        endpoint: String,
        /// What is wrong with it.
        why: String,
    },
    /// There are too many endpoints.
    #[error(
        "{count} endpoints are too many; {ENDPOINTS_MAX} or fewer do, whoever answers knows the others"
    )]
    Endpoints {
        /// How many were given.
        count: usize,
    },
    /// The client's name does not do.
    #[error("the client's name does not do: {0}")]
    Name(#[source] TextRefusal),
    /// The certificates do not do.
    #[error("TLS is not possible: {why}; give files in PEM that can be read")]
    Tls {
        /// What is wrong with them.
        why: String,
    },
    /// The system does not give what a session needs.
    #[error("the system does not give what a session needs: {why}; raise the limit on open files")]
    System {
        /// What it says.
        why: String,
    },
    /// Nobody is there.
    #[error(
        "cannot reach a lock server at {tried}; start one with dlm-server, or name another endpoint"
    )]
    Unreachable {
        /// Who was asked, and what the transport says.
        tried: Tried,
    },
    /// Somebody answers, and does not let the client in, or not in time.
    #[error(
        "no lock server let us in within {} s: {tried}; are most of the servers down, or overloaded?",
        CONNECT_MAX.as_secs()
    )]
    Silent {
        /// Who was asked, and what came of it.
        tried: Tried,
    },
    /// The cluster does not take us.
    #[error("the lock server at {servers} refused the session: {why}")]
    Refused {
        /// Which cluster: the endpoints that were given.
        servers: String,
        /// What it says.
        why: CommandRefusal,
    },
}

/// The servers that were asked, each with what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried(pub Vec<(String, String)>);

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One alone is said as a sentence goes on.
        if let [(endpoint, why)] = &self.0[..] {
            return write!(f, "{endpoint}: {why}");
        }
        for (at, (endpoint, why)) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{endpoint} ({why})")?;
        }
        Ok(())
    }
}

/// The session with the servers is over, and every lock with it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "the session with the lock server at {servers} is over: {why}; its locks are gone, connect again"
)]
pub struct SessionLost {
    /// The endpoints that the client was given.
    pub servers: String,
    /// What ended it.
    pub why: String,
}

/// Why a lock operation did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LockError {
    /// It was a try, and somebody is in the way.
    #[error("somebody else holds the lock in the way; try again later, or wait for it")]
    TryFailed,
    /// It and others wait for each other, and its wait was ended to break that. A new lock is not held, a
    /// conversion keeps its old mode.
    #[error(
        "others wait for what this session holds, and it for them, so this wait was ended; let go of \
         what is held, and ask again"
    )]
    Deadlock,
    /// The lock went without its guard: its lockspace was left, or its task has ended.
    #[error(
        "the lock is gone: its lockspace was left, or its task has ended; open the lockspace again and \
         lock again"
    )]
    Gone,
    /// The operation would not store the value: only one that gives up PW or EX, or confirms it, does.
    #[error(
        "a lock in mode {from} does not store a value on its way to {to}; hold PW or EX, and convert to a \
         mode that is not stronger"
    )]
    StoresNothing {
        /// The mode that is held.
        from: Mode,
        /// The mode that was to come.
        to: Mode,
    },
    /// There are glocks over the lockspace that is to be left, with what is cached under them.
    #[error("the lockspace has glocks that were not released; release all of them first")]
    GlocksInUse,
    /// The server did not accept it.
    #[error("the lock server refused it: {0}")]
    Refused(Refusal),
    /// The lockspace's name does not do.
    #[error("the lockspace's name does not do: {0}")]
    LockspaceName(TextRefusal),
    /// The cluster does not open the lockspace, or does not let it go.
    #[error("the lockspace is not opened or left: {0}")]
    LockspaceRefused(CommandRefusal),
    /// Too much is queued for the server already.
    #[error(
        "{OPERATIONS_QUEUED_MAX} operations queue for the session already; this process has no time for them, try again later"
    )]
    QueueFull,
    /// As many operations are unanswered as may be, those that wait for locks among them.
    #[error(
        "{OPERATIONS_IN_FLIGHT_MAX} operations of this session wait for their answers already; let some \
         of them end, or drop them"
    )]
    InFlight,
    /// Something of this client is full.
    #[error("there are {max} {what} already; release some, or try again later")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much there may be.
        max: usize,
    },
    /// The session is over.
    #[error(transparent)]
    SessionLost(#[from] SessionLost),
}

/// The innermost reason of an error: what the operating system said rather than who passed it on.
pub(crate) fn innermost(error: &dyn StdError) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// Why a call or a stream failed.
pub(crate) fn rpc_failure(status: &Status) -> String {
    match StdError::source(status) {
        Some(source) => innermost(source),
        None if status.message().is_empty() => status.code().to_string(),
        None => status.message().to_owned(),
    }
}

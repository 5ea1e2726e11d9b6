//! What can go wrong, each in one line that says what happened and what to do.

use std::error::Error as StdError;

use dlm_core::Refusal;
use glockwork_proto::WireError;
use glockwork_proto::frame::LockspaceRefusal;
use thiserror::Error;

use crate::limits::{CONNECT_MAX, OPERATIONS_QUEUED_MAX};

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
    /// The client's name does not do.
    #[error("the client's name does not do: {0}")]
    Name(#[source] WireError),
    /// Nobody answers there.
    #[error(
        "cannot reach a lock server at {endpoint}: {why}; start one with dlm-server, or name another endpoint"
    )]
    Unreachable {
        /// Where.
        endpoint: String,
        /// What the transport says.
        why: String,
    },
    /// Somebody answers, and not in time.
    #[error(
        "the lock server at {endpoint} did not welcome us within {} s; is it overloaded, or something else?",
        CONNECT_MAX.as_secs()
    )]
    Silent {
        /// Where.
        endpoint: String,
    },
    /// The server does not take us.
    #[error("the lock server at {endpoint} refused the session: {why}")]
    Refused {
        /// Where.
        endpoint: String,
        /// What it says.
        why: String,
    },
}

/// The session with the server is over, and every lock with it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "the session with the lock server at {endpoint} is over: {why}; its locks are gone, connect again"
)]
pub struct SessionLost {
    /// The server's endpoint.
    pub endpoint: String,
    /// What ended it.
    pub why: String,
}

/// Why a lock operation did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LockError {
    /// It was a try, and somebody is in the way.
    #[error("somebody else holds the lock in the way; try again later, or wait for it")]
    TryFailed,
    /// The conversion and another one wait for each other; the lock keeps its old mode.
    #[error("the conversion and another one wait for each other; unlock, and lock again")]
    Deadlock,
    /// The server did not accept it.
    #[error("the lock server refused it: {0}")]
    Refused(Refusal),
    /// The lockspace's name does not do.
    #[error("the lockspace's name does not do: {0}")]
    LockspaceName(WireError),
    /// The server does not open the lockspace.
    #[error("the lockspace is not opened: {0}")]
    LockspaceRefused(LockspaceRefusal),
    /// Too much is queued for the server already.
    #[error(
        "{OPERATIONS_QUEUED_MAX} operations queue for the lock server already; it reads nothing, try again later"
    )]
    QueueFull,
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

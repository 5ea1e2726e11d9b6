//! What can go wrong, each in one line that says what happened and what to do.

use std::error::Error as StdError;

use dlm_core::{Mode, Refusal};
use glockwork_proto::WireError;
use glockwork_proto::frame::LockspaceRefusal;
use thiserror::Error;

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
    LockspaceName(WireError),
    /// The server does not open the lockspace.
    #[error("the lockspace is not opened: {0}")]
    LockspaceRefused(LockspaceRefusal),
    /// Too much is queued for the server already.
    #[error(
        "{OPERATIONS_QUEUED_MAX} operations queue for the lock server already; it reads nothing, try again later"
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

//! Why a glock was not granted.

use dlm_core::{Owner, Refusal};
use glock_core::limits::HOLDERS_PER_GLOCK_MAX;
use glock_core::{Failure, GlockName};
use thiserror::Error;

use crate::error::SessionLost;
use crate::limits::{OPERATIONS_IN_FLIGHT_MAX, OPERATIONS_QUEUED_MAX};
use crate::session::NoRoom;

/// Why a holder was not granted. It holds nothing then.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum GlockError {
    /// It was a try, and somebody is in the way.
    #[error("somebody else holds the glock; release what you hold, or wait for it")]
    TryFailed,
    /// Waits are interrupted ([`super::Glocks::interrupt_all`]).
    #[error("the wait for the glock was interrupted")]
    Interrupted,
    /// The session is over.
    #[error(transparent)]
    SessionLost(#[from] SessionLost),
    /// The task would wait for itself.
    #[error("task {} holds or waits for glock {name} already; use that hold, or release it", .owner.0)]
    Recursion {
        /// The glock.
        name: GlockName,
        /// The task.
        owner: Owner,
    },
    /// UN was asked for.
    #[error("a glock is not held in state UN; ask for SH, DF or EX")]
    Unlocked,
    /// The object could not be read in.
    #[error("the object could not be read in: {0}")]
    Io(String),
    /// Something is full.
    #[error("there are {max} {what} already; release some, or try again later")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much there may be.
        max: usize,
    },
    /// The server did not accept the request.
    #[error("the lock server refused it: {0}")]
    Refused(Refusal),
    /// [`super::Glocks::release_all`] was called.
    #[error("the glocks were all released; make a new table of them")]
    Closed,
}

impl From<NoRoom> for GlockError {
    fn from(why: NoRoom) -> Self {
        match why {
            NoRoom::Lost(lost) => Self::SessionLost(lost),
            NoRoom::QueueFull => Self::Limit {
                what: "operations queued for the server",
                max: OPERATIONS_QUEUED_MAX,
            },
            NoRoom::InFlight => Self::Limit {
                what: "operations waiting for their answers",
                max: OPERATIONS_IN_FLIGHT_MAX,
            },
        }
    }
}

/// The machine's word for it, with what only the table knows.
pub(super) fn from_failure(
    why: Failure,
    (name, owner): (GlockName, Owner),
    lost: impl FnOnce() -> SessionLost,
    io: Option<&str>,
) -> GlockError {
    match why {
        Failure::TryFailed => GlockError::TryFailed,
        Failure::Interrupted => GlockError::Interrupted,
        Failure::Lost => GlockError::SessionLost(lost()),
        Failure::Io => GlockError::Io(io.unwrap_or_default().to_owned()),
        Failure::Recursion => GlockError::Recursion { name, owner },
        Failure::Unlocked => GlockError::Unlocked,
        Failure::QueueLength => GlockError::Limit {
            what: "holders of this glock",
            max: HOLDERS_PER_GLOCK_MAX,
        },
        Failure::Refused(refusal) => GlockError::Refused(refusal),
    }
}

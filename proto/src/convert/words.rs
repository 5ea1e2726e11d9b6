//! Enumerations: every number that a peer may send, and the word it stands for.

use dlm_core::deadlock::{Queue, Reason, Role};
use dlm_core::{Mode, Refusal, Status};

use crate::error::WireError;
use crate::wire;

/// A lock mode.
///
/// # Errors
/// [`WireError::Enumeration`], for "unspecified" too.
pub fn mode(value: i32) -> Result<Mode, WireError> {
    mode_or_none(value)?.ok_or(WireError::Enumeration {
        what: "mode",
        value,
    })
}

/// A lock mode, or `None` where it is unspecified.
///
/// # Errors
/// [`WireError::Enumeration`].
pub fn mode_or_none(value: i32) -> Result<Option<Mode>, WireError> {
    Ok(match wire::Mode::try_from(value) {
        Ok(wire::Mode::Unspecified) => None,
        Ok(wire::Mode::Nl) => Some(Mode::Nl),
        Ok(wire::Mode::Cr) => Some(Mode::Cr),
        Ok(wire::Mode::Cw) => Some(Mode::Cw),
        Ok(wire::Mode::Pr) => Some(Mode::Pr),
        Ok(wire::Mode::Pw) => Some(Mode::Pw),
        Ok(wire::Mode::Ex) => Some(Mode::Ex),
        Err(_) => {
            return Err(WireError::Enumeration {
                what: "mode",
                value,
            });
        }
    })
}

/// How an operation ended, with the reason where it was refused.
///
/// # Errors
/// [`WireError::Enumeration`].
pub fn status(status: i32, refusal_value: i32) -> Result<Status, WireError> {
    let unknown = WireError::Enumeration {
        what: "status",
        value: status,
    };
    Ok(match wire::Status::try_from(status) {
        Ok(wire::Status::Granted) => Status::Granted,
        Ok(wire::Status::TryFailed) => Status::TryFailed,
        Ok(wire::Status::Deadlock) => Status::Deadlock,
        Ok(wire::Status::Cancelled) => Status::Cancelled,
        Ok(wire::Status::Unlocked) => Status::Unlocked,
        Ok(wire::Status::NothingToCancel) => Status::NothingToCancel,
        Ok(wire::Status::CancelDone) => Status::CancelDone,
        Ok(wire::Status::Adopted) => Status::Adopted,
        Ok(wire::Status::Refused) => Status::Refused(refusal(refusal_value)?),
        Ok(wire::Status::Unspecified) | Err(_) => return Err(unknown),
    })
}

fn refusal(value: i32) -> Result<Refusal, WireError> {
    let unknown = WireError::Enumeration {
        what: "refusal",
        value,
    };
    Ok(match wire::Refusal::try_from(value) {
        Ok(wire::Refusal::NameLength) => Refusal::NameLength,
        Ok(wire::Refusal::Flags) => Refusal::Flags,
        Ok(wire::Refusal::LockIdInUse) => Refusal::LockIdInUse,
        Ok(wire::Refusal::NoSuchLock) => Refusal::NoSuchLock,
        Ok(wire::Refusal::NoSuchLockspace) => Refusal::NoSuchLockspace,
        Ok(wire::Refusal::Busy) => Refusal::Busy,
        Ok(wire::Refusal::LocksPerSession) => Refusal::LocksPerSession,
        Ok(wire::Refusal::QueueLength) => Refusal::QueueLength,
        Ok(wire::Refusal::Resources) => Refusal::Resources,
        Ok(wire::Refusal::NoSuchSession) => Refusal::NoSuchSession,
        Ok(wire::Refusal::ValueLength) => Refusal::ValueLength,
        Ok(wire::Refusal::NoSuchOrphan) => Refusal::NoSuchOrphan,
        Ok(wire::Refusal::OrphanMode) => Refusal::OrphanMode,
        Ok(wire::Refusal::AlreadyCancelled) => Refusal::AlreadyCancelled,
        Ok(wire::Refusal::Unspecified) | Err(_) => return Err(unknown),
    })
}

/// What a holder is there for.
///
/// # Errors
/// [`WireError::Enumeration`].
pub fn role(value: i32) -> Result<Role, WireError> {
    match wire::Role::try_from(value) {
        Ok(wire::Role::Operation) => Ok(Role::Operation),
        Ok(wire::Role::Pin) => Ok(Role::Pin),
        Ok(wire::Role::Fault) => Ok(Role::Fault),
        Ok(wire::Role::Unspecified) | Err(_) => Err(WireError::Enumeration {
            what: "role",
            value,
        }),
    }
}

/// Where a lock stands on its resource.
///
/// # Errors
/// [`WireError::Enumeration`].
pub fn queue(value: i32) -> Result<Queue, WireError> {
    match wire::LockQueue::try_from(value) {
        Ok(wire::LockQueue::Granted) => Ok(Queue::Granted),
        Ok(wire::LockQueue::Converting) => Ok(Queue::Converting),
        Ok(wire::LockQueue::Waiting) => Ok(Queue::Waiting),
        Ok(wire::LockQueue::Unspecified) | Err(_) => Err(WireError::Enumeration {
            what: "queue",
            value,
        }),
    }
}

/// Why one task waits for another.
///
/// # Errors
/// [`WireError::Enumeration`].
pub fn reason(value: i32) -> Result<Reason, WireError> {
    match wire::Reason::try_from(value) {
        Ok(wire::Reason::Holds) => Ok(Reason::Holds),
        Ok(wire::Reason::Queued) => Ok(Reason::Queued),
        Ok(wire::Reason::Unspecified) | Err(_) => Err(WireError::Enumeration {
            what: "reason",
            value,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::words;

    /// More than the largest number of any enumeration here.
    const VALUES: std::ops::Range<i32> = -1..20;

    #[test]
    fn every_mode_and_no_other_number_is_read() {
        let read: Vec<Mode> = VALUES.filter_map(|value| mode(value).ok()).collect();
        assert_eq!(read, Mode::ALL);
        for each in Mode::ALL {
            assert_eq!(mode(words::mode(each).into()), Ok(each));
        }
        assert_eq!(mode_or_none(0), Ok(None));
        assert!(mode(0).is_err() && mode_or_none(7).is_err());
    }

    #[test]
    fn every_status_comes_back_as_it_was() {
        let mut read = 0;
        for value in VALUES {
            for refusal_value in VALUES {
                let Ok(parsed) = status(value, refusal_value) else {
                    continue;
                };
                let (wire_status, wire_refusal) = words::status(parsed);
                let again = status(wire_status.into(), wire_refusal.into());
                assert_eq!(again, Ok(parsed));
                if let Status::Refused(_) = parsed {
                    assert_eq!(i32::from(wire_refusal), refusal_value);
                    read += 1;
                }
            }
        }
        assert_eq!(read, 14, "one for each refusal");
        assert!(status(8, 0).is_err(), "refused without a reason");
        assert!(status(0, 0).is_err() && status(10, 1).is_err());
    }

    #[test]
    fn the_small_enumerations_come_back_as_they_were() {
        for each in [Role::Operation, Role::Pin, Role::Fault] {
            assert_eq!(role(words::role(each).into()), Ok(each));
        }
        for each in [Queue::Granted, Queue::Converting, Queue::Waiting] {
            assert_eq!(queue(words::queue(each).into()), Ok(each));
        }
        for each in [Reason::Holds, Reason::Queued] {
            assert_eq!(reason(words::reason(each).into()), Ok(each));
        }
        for value in [0, 9] {
            assert!(role(value).is_err() && queue(value).is_err() && reason(value).is_err());
        }
    }
}

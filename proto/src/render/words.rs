//! Enumerations: the number that each word travels as.

use dlm_core::deadlock::{Queue, Reason, Role};
use dlm_core::{LockspaceOptions, Mode, Refusal, Status};

use crate::wire;

pub(crate) const fn mode(mode: Mode) -> wire::Mode {
    match mode {
        Mode::Nl => wire::Mode::Nl,
        Mode::Cr => wire::Mode::Cr,
        Mode::Cw => wire::Mode::Cw,
        Mode::Pr => wire::Mode::Pr,
        Mode::Pw => wire::Mode::Pw,
        Mode::Ex => wire::Mode::Ex,
    }
}

pub(crate) fn mode_or_none(value: Option<Mode>) -> wire::Mode {
    value.map_or(wire::Mode::Unspecified, mode)
}

pub(crate) const fn status(status: Status) -> (wire::Status, wire::Refusal) {
    let plain = match status {
        Status::Granted => wire::Status::Granted,
        Status::TryFailed => wire::Status::TryFailed,
        Status::Deadlock => wire::Status::Deadlock,
        Status::Cancelled => wire::Status::Cancelled,
        Status::Unlocked => wire::Status::Unlocked,
        Status::NothingToCancel => wire::Status::NothingToCancel,
        Status::CancelDone => wire::Status::CancelDone,
        Status::Adopted => wire::Status::Adopted,
        Status::Refused(why) => return (wire::Status::Refused, refusal(why)),
    };
    (plain, wire::Refusal::Unspecified)
}

const fn refusal(refusal: Refusal) -> wire::Refusal {
    match refusal {
        Refusal::NameLength => wire::Refusal::NameLength,
        Refusal::Flags => wire::Refusal::Flags,
        Refusal::LockIdInUse => wire::Refusal::LockIdInUse,
        Refusal::NoSuchLock => wire::Refusal::NoSuchLock,
        Refusal::NoSuchLockspace => wire::Refusal::NoSuchLockspace,
        Refusal::Busy => wire::Refusal::Busy,
        Refusal::LocksPerSession => wire::Refusal::LocksPerSession,
        Refusal::QueueLength => wire::Refusal::QueueLength,
        Refusal::Resources => wire::Refusal::Resources,
        Refusal::NoSuchSession => wire::Refusal::NoSuchSession,
        Refusal::ValueLength => wire::Refusal::ValueLength,
        Refusal::NoSuchOrphan => wire::Refusal::NoSuchOrphan,
        Refusal::OrphanMode => wire::Refusal::OrphanMode,
        Refusal::AlreadyCancelled => wire::Refusal::AlreadyCancelled,
    }
}

pub(crate) const fn lockspace_options(options: LockspaceOptions) -> wire::LockspaceOptions {
    wire::LockspaceOptions {
        value_length: options.value_length.bytes() as u32,
        breaks_deadlocks: options.breaks_deadlocks,
    }
}

pub(crate) const fn role(role: Role) -> wire::Role {
    match role {
        Role::Operation => wire::Role::Operation,
        Role::Pin => wire::Role::Pin,
        Role::Fault => wire::Role::Fault,
    }
}

pub(crate) const fn queue(queue: Queue) -> wire::LockQueue {
    match queue {
        Queue::Granted => wire::LockQueue::Granted,
        Queue::Converting => wire::LockQueue::Converting,
        Queue::Waiting => wire::LockQueue::Waiting,
    }
}

pub(crate) const fn reason(reason: Reason) -> wire::Reason {
    match reason {
        Reason::Holds => wire::Reason::Holds,
        Reason::Queued => wire::Reason::Queued,
    }
}

//! How an operation ends.

use core::fmt;

/// How an operation that the lock manager accepted ended.
///
/// The words are fs/dlm's completion statuses; `errno` of each is what its user would have seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Status {
    /// The lock is held in the mode asked for, or in the alternative one (0).
    Granted,
    /// `NOQUEUE` was set and it cannot be granted now (-EAGAIN). A conversion keeps its old mode.
    TryFailed,
    /// The operation and others wait for each other, and this one was refused (-EDEADLK): a conversion
    /// keeps its old mode, a new lock is gone.
    Deadlock,
    /// The request was cancelled: a new lock is gone, a conversion keeps its old mode (-DLM_ECANCEL).
    Cancelled,
    /// The lock is gone (-DLM_EUNLOCK). It also ends the operation that was in progress on the lock.
    Unlocked,
    /// The cancel found nothing that waits: it was granted, or refused, before (0, nothing changed).
    NothingToCancel,
    /// The cancel ended a waiting request or conversion, which was answered [`Status::Cancelled`].
    CancelDone,
    /// The request found an orphan, and the lock is the caller's now, under the number that the answer
    /// names: the orphan's own.
    Adopted,
    /// It was not accepted, and nothing changed.
    Refused(Refusal),
}

/// Why an operation was not accepted. Each is the caller's to mend, and nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// A resource's name has at most 64 bytes (-EINVAL).
    NameLength,
    /// A value has at most as many bytes as the lockspace's value blocks (-EINVAL).
    ValueLength,
    /// This flag does not go with this operation or with another flag given (-EINVAL).
    Flags,
    /// The lock id is in use in this session already (-EINVAL).
    LockIdInUse,
    /// The session has no lock of this id (-ENOENT).
    NoSuchLock,
    /// The session has no orphan of this name (-ENOENT).
    NoSuchOrphan,
    /// The session's orphans of this name are held in other modes (-EAGAIN).
    OrphanMode,
    /// No lockspace of this id was opened by this session (-EINVAL).
    NoSuchLockspace,
    /// The lock has an operation in progress; wait for its answer or cancel it (-EBUSY).
    Busy,
    /// A conversion of the lock was cancelled before, and none was asked for since (-EINVAL).
    AlreadyCancelled,
    /// The session holds or waits for as many locks as it may; unlock some.
    LocksPerSession,
    /// As many locks queue on this resource as may; try again later.
    QueueLength,
    /// The server holds as many resources as it may; try again later.
    Resources,
    /// The session is not known to the server (any more); join again.
    NoSuchSession,
}

impl Refusal {
    /// What went wrong and what the caller can do, in one line.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::NameLength => "a resource name has at most 64 bytes",
            Self::ValueLength => "the value is longer than the lockspace's value blocks",
            Self::Flags => "these flags do not go together or not with this operation",
            Self::LockIdInUse => "the lock id is in use in this session; choose another",
            Self::NoSuchLock => "this session has no lock of that id",
            Self::NoSuchOrphan => "this session has no orphan of that name",
            Self::OrphanMode => "the orphan of that name is held in another mode; ask for that one",
            Self::NoSuchLockspace => "open the lockspace in this session first",
            Self::Busy => "the lock has an operation in progress; wait for its answer or cancel it",
            Self::AlreadyCancelled => "the lock was cancelled before; nothing of it waits",
            Self::LocksPerSession => "the session has as many locks as it may; unlock some",
            Self::QueueLength => "too many locks queue on this resource; try again later",
            Self::Resources => "the server holds as many resources as it may; try again later",
            Self::NoSuchSession => "the session is not known to the server; join again",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.advice())
    }
}

impl core::error::Error for Refusal {}

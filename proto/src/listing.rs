//! What a server lists: its locks and its lockspaces, with names in the place of numbers.

use dlm_core::deadlock::Queue;
use dlm_core::{
    Epoch, LockId, LockspaceId, LockspaceOptions, Mode, Owner, RequestFlags, ResourceName,
    ServerId, SessionId, StatusFlags, Token, ValueBlock,
};

/// A resource with its locks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedResource {
    /// The lockspace's name.
    pub lockspace: String,
    /// The resource's name.
    pub name: ResourceName,
    /// Its value; `None` where nobody has stored one.
    pub value: Option<ValueBlock>,
    /// Whether whoever wrote the value last was neither lost nor said that it is not valid.
    pub value_valid: bool,
    /// Its locks: granted (the newest first), converting, waiting, each queue in its order.
    pub locks: Vec<LockedLock>,
    /// The server that masters it.
    pub server: ServerId,
    /// Its slot's epoch.
    pub epoch: Epoch,
}

/// A lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockedLock {
    /// Whose it is.
    pub session: SessionId,
    /// What people call that session.
    pub session_name: String,
    /// Its number in that session.
    pub lock: LockId,
    /// The task that asked last.
    pub owner: Owner,
    /// Where it stands.
    pub queue: Queue,
    /// The mode it has; `None` while it waits for its first grant.
    pub granted: Option<Mode>,
    /// The mode it waits for, if it waits.
    pub requested: Option<Mode>,
    /// The flags of the last request or conversion, and of every unlock and cancel since.
    pub flags: RequestFlags,
    /// What its last answer said beside the status.
    pub status: StatusFlags,
    /// The token of its last grant, zero before the first.
    pub token: Token,
    /// The strongest mode of which it was told since its last grant that somebody wants it.
    pub told: Option<Mode>,
    /// How long it has stood there, in microseconds.
    pub age_us: u64,
    /// Whether its task is gone and nobody adopted it.
    pub orphan: bool,
}

/// A lockspace in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockspaceListing {
    /// Its name.
    pub name: String,
    /// Its number; no other lockspace of the server ever had it.
    pub id: LockspaceId,
    /// What it is like.
    pub options: LockspaceOptions,
    /// The sessions that have it open, with their names.
    pub sessions: Vec<(SessionId, String)>,
    /// Resources with a lock on them.
    pub resources: u64,
    /// Locks, held or waited for.
    pub locks: u64,
    /// Those that convert or wait.
    pub waiting: u64,
    /// Those whose task is gone.
    pub orphans: u64,
}

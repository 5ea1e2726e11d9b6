//! The messages as plain values: what both sides of a stream think in.

use dlm_core::deadlock::GlockReport;
use dlm_core::{
    LockId, LockspaceId, LockspaceOptions, Mode, OpId, Owner, Refusal, RequestFlags, ResourceName,
    SessionId, Status, StatusFlags, Token, ValueBlock,
};
use thiserror::Error;

use crate::glocks::{GlocksQuery, GlocksReport};
use crate::name::Name;
use crate::version::VersionRange;

/// How a client introduces itself, in the first frame and only there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// The protocol versions it speaks.
    pub versions: VersionRange,
    /// What people call it.
    pub name: Name,
}

/// How a server answers a [`Hello`], in its first frame and only there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The protocol version of this stream.
    pub version: u32,
    /// The session that the stream belongs to.
    pub session: SessionId,
}

/// What a client sends after its [`Hello`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClientFrame {
    /// What is to be done, in this order.
    pub operations: Vec<Operation>,
    /// The answer to a query.
    pub report: Option<HoldersReport>,
    /// The answer to a query after glocks. Not in one frame with the other: both are large.
    pub glocks: Option<GlocksReport>,
    /// The session ends.
    pub goodbye: bool,
}

/// One operation under its client's number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Under which it is answered; grows within a session.
    pub op: OpId,
    /// What is to be done.
    pub kind: OperationKind,
}

/// What an operation does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperationKind {
    /// Opens, and where needed makes, a lockspace. Answered by [`Event::LockspaceOpened`] or
    /// [`Event::LockspaceRefused`].
    OpenLockspace {
        /// Its name.
        name: Name,
        /// What it must be like; `None` takes it as it is.
        options: Option<LockspaceOptions>,
    },
    /// Gives up a lockspace, with all locks of the session in it. Answered by [`Event::Purged`].
    LeaveLockspace {
        /// Which.
        lockspace: LockspaceId,
    },
    /// Asks for a new lock.
    Request {
        /// In which lockspace.
        lockspace: LockspaceId,
        /// The new lock's number.
        lock: LockId,
        /// On which resource.
        name: ResourceName,
        /// In which mode.
        mode: Mode,
        /// How.
        flags: RequestFlags,
        /// For which task.
        owner: Owner,
    },
    /// Asks for another mode of a lock.
    Convert {
        /// Which lock.
        lock: LockId,
        /// The mode wanted.
        mode: Mode,
        /// How.
        flags: RequestFlags,
        /// For which task.
        owner: Owner,
        /// The value to store.
        value: Option<ValueBlock>,
    },
    /// Gives a lock up.
    Unlock {
        /// Which lock.
        lock: LockId,
        /// How.
        flags: RequestFlags,
        /// The value to store.
        value: Option<ValueBlock>,
    },
    /// Ends a request or conversion that waits.
    Cancel {
        /// Which lock's.
        lock: LockId,
    },
    /// A task of the session has ended; its locks go, or stay as orphans. Answered by
    /// [`Event::Purged`].
    OwnerEnded {
        /// Which.
        owner: Owner,
    },
    /// Orphans of the session go. Answered by [`Event::Purged`].
    PurgeOrphans {
        /// In which lockspace.
        lockspace: LockspaceId,
        /// Only those that this task left.
        owner: Option<Owner>,
    },
}

/// An operation that could not be read as one: it is answered with the refusal, and the stream goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusedOperation {
    /// One on a lock.
    Lock {
        /// Its number.
        op: OpId,
        /// The lock it names.
        lock: LockId,
        /// What is wrong with it.
        refusal: Refusal,
    },
    /// One that opens a lockspace.
    Lockspace {
        /// Its number.
        op: OpId,
        /// What is wrong with it.
        why: LockspaceRefusal,
    },
}

/// Why a lockspace is not opened, and what its opener can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum LockspaceRefusal {
    /// It is not a name.
    #[error("a lockspace's name has 1 to 64 bytes of text without control characters")]
    Name,
    /// No value block has this length.
    #[error("the length of a value block is a multiple of 8 from 8 to 256")]
    ValueLength,
    /// It exists, and is not like that.
    #[error(
        "it exists with value blocks of {} bytes, and deadlocks in it are {}; open it with these options, or \
         without any",
        .0.value_length.bytes(),
        if .0.breaks_deadlocks { "broken" } else { "not broken" }
    )]
    Options(LockspaceOptions),
    /// The server has as many lockspaces as it may.
    #[error("the server has as many lockspaces as it may; leave some, or try again later")]
    TooMany,
}

/// What a server sends after its [`Welcome`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerFrame {
    /// What happened, in this order.
    pub events: Vec<Event>,
    /// A question after the session's local holders.
    pub query: Option<QueryId>,
    /// A question after the session's glocks.
    pub glocks_query: Option<GlocksQuery>,
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An operation ended.
    Done {
        /// Which operation.
        op: OpId,
        /// The lock it was about.
        lock: LockId,
        /// How it ended.
        status: Status,
        /// The mode that is held after it; `None` where the lock does not exist.
        mode: Option<Mode>,
        /// The grant's fencing token.
        token: Token,
        /// What else there is to know.
        flags: StatusFlags,
        /// The resource's value, where the operation read it.
        value: Option<ValueBlock>,
    },
    /// Somebody waits for a lock that this session holds.
    Blocking {
        /// The session's lock.
        lock: LockId,
        /// The mode that is waited for.
        mode: Mode,
    },
    /// A lockspace is open.
    LockspaceOpened {
        /// The operation that opened it.
        op: OpId,
        /// What it is called from now on.
        lockspace: LockspaceId,
        /// What it is like.
        options: LockspaceOptions,
    },
    /// A lockspace is not opened.
    LockspaceRefused {
        /// The operation that was to open it.
        op: OpId,
        /// Why.
        why: LockspaceRefusal,
    },
    /// A lock outlived its task.
    Orphaned {
        /// Which.
        lock: LockId,
        /// Whose it was.
        owner: Owner,
    },
    /// An operation that takes many locks away has ended.
    Purged {
        /// Which operation.
        op: OpId,
        /// How many locks went.
        locks: u32,
    },
}

/// A question of the server after local holders; the report names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId(pub u64);

/// Which tasks stand behind a session's locks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldersReport {
    /// The question.
    pub query: QueryId,
    /// What the tasks are called.
    pub tasks: Vec<(Owner, Name)>,
    /// Who holds and waits, for each glock in use.
    pub glocks: Vec<GlockReport>,
}

impl HoldersReport {
    /// Tasks, glocks and holders counted together.
    #[must_use]
    pub fn entries(&self) -> usize {
        let holders: usize = self.glocks.iter().map(|glock| glock.holders.len()).sum();
        self.tasks.len() + self.glocks.len() + holders
    }
}

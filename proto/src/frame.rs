//! The messages as plain values: what both sides of a stream think in.

use dlm_core::deadlock::GlockReport;
use dlm_core::{
    LockId, LockspaceId, Mode, OpId, Owner, Refusal, RequestFlags, ResourceName, SessionId, Status,
    Token,
};

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
    /// Opens, and where needed makes, a lockspace. Answered by [`Event::LockspaceOpened`].
    OpenLockspace {
        /// Its name.
        name: Name,
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
    },
    /// Gives a lock up.
    Unlock {
        /// Which lock.
        lock: LockId,
    },
    /// Ends a request or conversion that waits.
    Cancel {
        /// Which lock's.
        lock: LockId,
    },
}

/// An operation that could not be read as one: it is answered with the refusal, and the stream goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusedOperation {
    /// Its number.
    pub op: OpId,
    /// The lock it names; 0 where it names none.
    pub lock: LockId,
    /// What is wrong with it.
    pub refusal: Refusal,
}

/// What a server sends after its [`Welcome`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServerFrame {
    /// What happened, in this order.
    pub events: Vec<Event>,
    /// A question after the session's local holders.
    pub query: Option<QueryId>,
}

/// One thing that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

//! What goes into a lock table and what comes out of it.

use crate::flags::RequestFlags;
use crate::ids::{LockId, LockspaceId, OpId, Owner, ResourceName, SessionId, Token};
use crate::mode::Mode;
use crate::status::Status;

/// What the table is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A session begins. Nothing happens where it is known already.
    SessionStarted {
        /// Which.
        session: SessionId,
    },
    /// A session is over: all its locks go, and nothing is answered to it any more.
    SessionEnded {
        /// Which.
        session: SessionId,
    },
    /// The session may use the lockspace from now on. Nothing happens where the session is not known.
    /// Who names lockspaces bounds how many there are.
    OpenLockspace {
        /// Who.
        session: SessionId,
        /// What.
        lockspace: LockspaceId,
    },
    /// A new lock is asked for.
    Request {
        /// Who asks.
        session: SessionId,
        /// Under which number the answer comes.
        op: OpId,
        /// The lockspace of the resource.
        lockspace: LockspaceId,
        /// The number that the lock will have; not in use in the session.
        lock: LockId,
        /// The resource.
        name: ResourceName,
        /// The mode wanted.
        mode: Mode,
        /// How.
        flags: RequestFlags,
        /// For which task of the session.
        owner: Owner,
    },
    /// Another mode is asked for on a lock that is held.
    Convert {
        /// Who asks.
        session: SessionId,
        /// Under which number the answer comes.
        op: OpId,
        /// Which lock.
        lock: LockId,
        /// The mode wanted.
        mode: Mode,
        /// How.
        flags: RequestFlags,
        /// For which task of the session.
        owner: Owner,
    },
    /// A lock that is held is given up.
    Unlock {
        /// Whose.
        session: SessionId,
        /// Under which number the answer comes.
        op: OpId,
        /// Which lock.
        lock: LockId,
    },
    /// A request or conversion that waits is given up.
    Cancel {
        /// Whose.
        session: SessionId,
        /// Under which number the answer comes.
        op: OpId,
        /// Which lock.
        lock: LockId,
    },
}

/// What has to be sent.
///
/// Every operation is answered by exactly one [`Output::Done`]. Within a step the outputs come in this
/// order, and are to be sent to each session in this order:
///
/// 1. the answer to the step's own operation, where there is one yet (a cancel that succeeds answers the
///    operation that it ended, then itself);
/// 2. what is granted in consequence: conversions, then new locks, each in the order of its queue;
/// 3. blocking callbacks, to the lock granted last first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// The answer to an operation.
    Done {
        /// To whom.
        session: SessionId,
        /// Which operation.
        op: OpId,
        /// Of which lock.
        lock: LockId,
        /// How it ended.
        status: Status,
        /// The mode that the lock holds now; `None` where it holds none, or is no more.
        mode: Option<Mode>,
        /// The token of the grant by which it holds that mode; zero where it holds none.
        token: Token,
    },
    /// A lock is in somebody's way.
    Blocking {
        /// To whom.
        session: SessionId,
        /// Which lock.
        lock: LockId,
        /// The mode that somebody wants.
        mode: Mode,
    },
}

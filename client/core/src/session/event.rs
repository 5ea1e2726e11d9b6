//! What a session is told and what it says.

use alloc::vec::Vec;
use core::fmt;

use dlm_core::cluster::{Attest, ClusterOptions, CommandRefusal, Endpoint, Name, Timing, Versions};
use dlm_core::{LockId, LockspaceId, LogIndex, Mode, Owner, SessionId, Status, StatusFlags};
use dlm_core::{Token, ValueBlock};

use super::call::{Call, CallAnswer, CallId};
use super::link::{EverywhereKind, FromServer, Hello, OperationKind, ToServer};

/// What a session begins with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// What people call it.
    pub name: Name,
    /// Chosen at random for this session.
    pub nonce: u128,
    /// What the client speaks.
    pub versions: Versions,
    /// An earlier session of this boot that the client ended itself and that writes nothing any more.
    pub attests: Option<Attest>,
    /// Where servers are found; one or more.
    pub endpoints: Vec<Endpoint>,
    /// The cluster's durations. The lease is what the cluster says on joining.
    pub timing: Timing,
    /// What spreads the pauses before something is tried again, so that clients do not come all at once.
    pub seed: u64,
}

/// The caller's number of something that it wants; the answer comes under it. The caller does not use one
/// again before it was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// A stream; never used twice in a session. It is the stream's generation, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

/// What a session is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time has passed; due at [`Session::wake_at`](super::Session::wake_at).
    Clock,
    /// The answer to a call.
    Answered {
        /// Which.
        call: CallId,
        /// How it ended.
        answer: CallAnswer,
    },
    /// A message came.
    Received {
        /// On which stream.
        stream: StreamId,
        /// What.
        message: FromServer,
    },
    /// A stream could not be opened, or is broken.
    Closed {
        /// Which.
        stream: StreamId,
    },
    /// An operation on one lock. Answered by [`Answer::Lock`] or [`Answer::Failed`].
    Operate {
        /// The caller's number.
        ticket: Ticket,
        /// What.
        kind: OperationKind,
    },
    /// An operation on many locks. Answered by [`Answer::Purged`] or [`Answer::Failed`]. Leaving a
    /// lockspace tells the cluster when no lock of it is left.
    Everywhere {
        /// The caller's number.
        ticket: Ticket,
        /// What.
        kind: EverywhereKind,
    },
    /// A lockspace is opened. Answered by [`Answer::Opened`] or [`Answer::Failed`].
    OpenLockspace {
        /// The caller's number.
        ticket: Ticket,
        /// Its name.
        name: Name,
        /// What it is to be like, where that matters.
        options: Option<ClusterOptions>,
    },
    /// The caller has given back all it had and ends the session. What is not answered fails.
    Goodbye,
}

/// What a session wants done, and what it has to say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// A call is to be made. The session gives it up by itself when it takes too long.
    Call {
        /// Under which number its answer is told.
        call: CallId,
        /// Where.
        endpoint: Endpoint,
        /// What.
        request: Call,
    },
    /// A stream is to be opened, with this first message.
    Open {
        /// Its number.
        stream: StreamId,
        /// Where.
        endpoint: Endpoint,
        /// The first message.
        hello: Hello,
    },
    /// A message is to be sent.
    Send {
        /// On which stream.
        stream: StreamId,
        /// What.
        message: ToServer,
    },
    /// A stream is to be given up, with what of it was not sent yet.
    Close {
        /// Which.
        stream: StreamId,
    },
    /// The session has begun.
    Joined {
        /// Its number.
        session: SessionId,
        /// The entry that made it.
        joined: LogIndex,
    },
    /// An answer; one for each ticket.
    Answer {
        /// Which ticket.
        ticket: Ticket,
        /// The answer.
        answer: Answer,
    },
    /// A lock is in somebody's way. It may be said more than once, and for a lock that was given up
    /// meanwhile.
    Blocking {
        /// Which.
        lock: LockId,
        /// The mode that somebody wants.
        mode: Mode,
    },
    /// A lock outlived its owner.
    Orphaned {
        /// Which.
        lock: LockId,
        /// Whose it was.
        owner: Owner,
    },
    /// A lock whose conversion is under way holds less than before: its master was lost, and what came of
    /// the conversion with it. Only this is surely held until the conversion is answered.
    Weakened {
        /// Which.
        lock: LockId,
        /// What it holds.
        mode: Mode,
    },
    /// The session is lost, and all its locks with it. Every waiter was told before. Said once; afterwards
    /// only new tickets are answered, by [`Failure::Over`].
    Lost {
        /// Why.
        why: Loss,
    },
    /// The session has ended as it was told to; otherwise as [`Output::Lost`].
    Ended,
}

/// What is answered to a ticket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The end of an operation on a lock.
    Lock(Completion),
    /// Locks went.
    Purged {
        /// How many, as the servers counted. A count that was lost with a server is not in it.
        locks: u64,
    },
    /// The lockspace is open.
    Opened {
        /// Its number.
        lockspace: LockspaceId,
        /// What it is like.
        options: ClusterOptions,
        /// The dead sessions whose journals are to be replayed before any lock is taken there.
        replays: Vec<SessionId>,
    },
    /// It was not done, or it is not known whether it was.
    Failed(Failure),
}

/// The end of an operation on a lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// Which lock. An orphan that is adopted has its own number.
    pub lock: LockId,
    /// How it ended.
    pub status: Status,
    /// What the lock holds now. After the loss of a master a conversion that failed may leave less than
    /// was held before it, and this says so.
    pub mode: Option<Mode>,
    /// The token of that.
    pub token: Token,
    /// What else there is to know.
    pub flags: StatusFlags,
    /// The resource's value, where it was read.
    pub value: Option<ValueBlock>,
}

/// Why a ticket is answered without a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The session has not begun yet.
    NotJoined,
    /// As many operations are in progress as may be.
    Operations,
    /// The session was lost, or ends.
    Over,
    /// The cluster refused.
    Refused(CommandRefusal),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotJoined => f.write_str("the session has not begun yet; wait until it has"),
            Self::Operations => f.write_str(
                "the session has as many operations in progress as it may; wait for some",
            ),
            Self::Over => f.write_str("the session is over; join again"),
            Self::Refused(why) => why.fmt(f),
        }
    }
}

impl core::error::Error for Failure {}

/// Why a session was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Its lease ran out: the cluster did not answer in time, or this machine stood still.
    Lease,
    /// The cluster says that it is dead.
    Dead,
    /// The cluster does not let it join, or go on under its nonce.
    Join(CommandRefusal),
    /// A server counts otherwise than the client: another process uses the session, or one of the two has
    /// a fault.
    Numbers,
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lease => f.write_str("the lease ran out; look for a stopped machine or network"),
            Self::Dead => f.write_str("the cluster declared the session dead; see its log"),
            Self::Join(why) => write!(f, "the cluster refused it: {why}"),
            Self::Numbers => {
                f.write_str("a server and the client count differently; this is a bug, report it")
            }
        }
    }
}

impl core::error::Error for Loss {}

//! What goes into a lock table and what comes out of it.

use crate::flags::{RequestFlags, StatusFlags};
use crate::ids::{LockId, LockspaceId, OpId, Owner, ResourceName, SessionId, Token};
use crate::mode::Mode;
use crate::status::Status;
use crate::value::{ValueBlock, ValueLength};

/// What a lockspace chose for itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LockspaceOptions {
    /// How long its value blocks are.
    pub value_length: ValueLength,
    /// Whether a deadlock that was found and confirmed is broken by ending the wait of its youngest
    /// waiter ([`deadlock::victim`](crate::deadlock::victim)), who is answered
    /// [`Status::Deadlock`].
    pub breaks_deadlocks: bool,
}

/// What the table is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A session begins. Nothing happens where it is known already.
    SessionStarted {
        /// Which.
        session: SessionId,
    },
    /// A session is over: all its locks go, orphans too, and nothing is answered to it any more. What it
    /// held in PW or EX may have been half written: the values of those resources are not valid.
    SessionEnded {
        /// Which.
        session: SessionId,
    },
    /// A process of the session is over (fs/dlm: the file descriptor was closed). Its locks, those that
    /// name it as their owner, go one after the other in the order in which they came, and what each
    /// leaves free is granted at once; operations in progress on them are answered on the way. Those
    /// with `PERSISTENT` stay as orphans ([`Output::Orphaned`]) in the mode they hold. What goes from PW
    /// or EX leaves a value that is not valid. Answered by [`Output::Purged`].
    OwnerEnded {
        /// Whose process.
        session: SessionId,
        /// Under which number the answer comes.
        op: OpId,
        /// Which.
        owner: Owner,
    },
    /// The orphans of a session in a lockspace go, as in [`Input::OwnerEnded`]. Answered by
    /// [`Output::Purged`].
    PurgeOrphans {
        /// Whose.
        session: SessionId,
        /// Under which number the answer comes.
        op: OpId,
        /// Where.
        lockspace: LockspaceId,
        /// Only those that this owner left; `None` means all.
        owner: Option<Owner>,
    },
    /// What a lockspace chose. It comes before the first session opens it; later ones change nothing.
    ConfigureLockspace {
        /// Which.
        lockspace: LockspaceId,
        /// What.
        options: LockspaceOptions,
    },
    /// The deadlock search chose a victim: its wait ends as [`Status::Deadlock`]. Nothing happens where
    /// that wait is over already.
    EndWait {
        /// Whose lock.
        session: SessionId,
        /// Which.
        lock: LockId,
        /// The wait, as [`LockView::serial`](crate::deadlock::LockView::serial) names it.
        serial: u64,
    },
    /// The session may use the lockspace from now on. Nothing happens where the session is not known.
    /// Who names lockspaces bounds how many there are.
    OpenLockspace {
        /// Who.
        session: SessionId,
        /// What.
        lockspace: LockspaceId,
    },
    /// The session gives a lockspace up: its locks there go, orphans and `PERSISTENT` ones too, as in
    /// [`Input::OwnerEnded`]. Answered by [`Output::Purged`].
    LeaveLockspace {
        /// Who.
        session: SessionId,
        /// Under which number the answer comes.
        op: OpId,
        /// What.
        lockspace: LockspaceId,
    },
    /// No session has the lockspace open any more, and its id will not be used again: what it chose is
    /// forgotten.
    LockspaceEnded {
        /// Which.
        lockspace: LockspaceId,
    },
    /// A new lock is asked for; with [`RequestFlags::ORPHAN`] an orphan of the session.
    Request {
        /// Who asks.
        session: SessionId,
        /// Under which number the answer comes.
        op: OpId,
        /// The lockspace of the resource.
        lockspace: LockspaceId,
        /// The number that the lock will have; not in use in the session. An orphan keeps its own.
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
        /// The value to store, where the conversion is one that stores
        /// ([`Transfer`](crate::value::Transfer)) and carries `VALBLK`.
        value: Option<ValueBlock>,
    },
    /// A lock is given up, whether it is held, converts or waits; with [`RequestFlags::CANCEL`] it is
    /// an [`Input::Cancel`].
    Unlock {
        /// Whose.
        session: SessionId,
        /// Under which number the answer comes.
        op: OpId,
        /// Which lock.
        lock: LockId,
        /// How: only [`RequestFlags::OF_UNLOCK`].
        flags: RequestFlags,
        /// The value to store, where the lock is held in PW or EX and `VALBLK` is set here or was in
        /// the last request or conversion.
        value: Option<ValueBlock>,
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
/// Every operation is answered by exactly one [`Output::Done`] or [`Output::Purged`]. Within a step the
/// outputs come in this order, and are to be sent to each session in this order:
///
/// 1. the answer to the step's own operation, or [`Output::Queued`]. A cancel or unlock that ends
///    another operation answers that one before. A conversion with `CONVDEADLK` that gave up its mode
///    comes after the conversions that are granted because of it;
/// 2. what is granted in consequence: conversions, then new locks, each in the order of its queue;
/// 3. blocking callbacks, to the lock granted last first.
///
/// Where an owner ends, this is so for each of its locks, and [`Output::Purged`] comes last.
#[derive(Clone, Debug, PartialEq, Eq)]
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
        /// What else there is to know.
        flags: StatusFlags,
        /// The resource's value, where the operation read it.
        value: Option<ValueBlock>,
        /// Where the operation was accepted, or refused on a lock that is held: the number of the
        /// resource's value as the operation left it. It grows whenever a value is stored or marked as
        /// not valid; zero means that none was stored yet. Where the slot's master is lost it says whose
        /// copy of the value is the last one.
        value_sequence: u64,
    },
    /// A request or conversion waits; its answer comes later.
    Queued {
        /// To whom.
        session: SessionId,
        /// Which operation.
        op: OpId,
        /// Of which lock.
        lock: LockId,
        /// Its position: what waits on the same resource with a smaller one was there before.
        serial: u64,
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
    /// A lock outlived its owner. It can be adopted ([`RequestFlags::ORPHAN`]); it gets no blocking
    /// callbacks meanwhile.
    Orphaned {
        /// Of which session.
        session: SessionId,
        /// Which lock.
        lock: LockId,
        /// Whose it was.
        owner: Owner,
    },
    /// The answer to an operation that takes many locks away.
    Purged {
        /// To whom.
        session: SessionId,
        /// Which operation.
        op: OpId,
        /// How many locks went.
        locks: u32,
    },
}

impl Output {
    /// Says which number the value has that an answer leaves.
    pub(crate) fn set_value_sequence(&mut self, sequence: u64) {
        if let Self::Done { value_sequence, .. } = self {
            *value_sequence = sequence;
        }
    }
}

//! What goes over the stream between a session and a server.
//!
//! *Numbers* belong to the pair of a session and a server's process: 1, 2, 3 and so on without gaps, over
//! all streams between the two. The server takes each once and in order: one that it has is dropped, a gap
//! ends the stream. An *operation* keeps its [`OpId`] when it is sent to another master, and has another
//! number there.
//!
//! *Events* are numbered likewise by the server, which keeps each until it is acknowledged and sends it
//! again on the next stream.

use alloc::vec::Vec;

use crate::cluster::{Endpoint, Versions};
use crate::flags::{RequestFlags, StatusFlags};
use crate::ids::{Epoch, Incarnation, LockId, LockspaceId, LogIndex, OpId, Owner, ResourceName};
use crate::ids::{ServerId, SessionId, Token};
use crate::mode::Mode;

use crate::recovery::Claim;
use crate::slot::SlotId;
use crate::status::{Refusal, Status};
use crate::value::ValueBlock;

/// What an operation is called in the logs of the client and of the servers that it comes to: the session's
/// number and its own, as in `7-42`. It keeps that name when it is sent to another master.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestId {
    /// Whose.
    pub session: SessionId,
    /// Under which number.
    pub op: OpId,
}

impl core::fmt::Display for RequestId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}-{}", self.session.0, self.op.0)
    }
}

/// The first message of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// What the client speaks.
    pub versions: Versions,
    /// Whose stream it is.
    pub session: SessionId,
    /// The session's own nonce: who does not know it is somebody else.
    pub nonce: u128,
    /// Grows from stream to stream of the session. A newer one ends the older.
    pub generation: u64,
    /// The process that the client has talked to at that server, where it has.
    pub incarnation: Option<Incarnation>,
    /// The last event that it has from that process; 0 is before the first.
    pub after: u64,
}

/// What a session says to a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToServer {
    /// The beginning.
    Hello(Hello),
    /// An operation on one lock.
    Operation {
        /// Its place among all that is sent to this process.
        number: u64,
        /// Under which number it is answered.
        op: OpId,
        /// The slot of the lock's resource.
        slot: SlotId,
        /// The epoch in which the server is the slot's master, as far as the client knows.
        epoch: Epoch,
        /// What is wanted.
        kind: OperationKind,
    },
    /// An operation on all slots that the server masters when it takes it.
    Everywhere {
        /// Its place among all that is sent to this process.
        number: u64,
        /// Under which number it is answered.
        op: OpId,
        /// What is wanted.
        kind: EverywhereKind,
    },
    /// What the session has in a slot that recovers.
    Claims {
        /// Its place among all that is sent to this process.
        number: u64,
        /// Which slot.
        slot: SlotId,
        /// The epoch that it recovers under.
        epoch: Epoch,
        /// Some of the locks, in the order in which they were asked for.
        claims: Vec<Claim>,
        /// Whether that is all.
        done: bool,
    },
    /// An operation that names what nobody may have: whoever reads the stream's bytes makes one of it. It is
    /// taken like an operation, and answered by [`Done`] with that refusal. No client says it.
    Unreadable {
        /// Its place among all that is sent to this process.
        number: u64,
        /// Under which number it is answered.
        op: OpId,
        /// Which lock it named.
        lock: LockId,
        /// What is wrong with it.
        why: Refusal,
    },
    /// The client has all events up to this one.
    Acknowledge {
        /// The last one.
        sequence: u64,
    },
}

/// What is wanted of a lock. As in [`Input`](crate::Input).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperationKind {
    /// A new lock, or an orphan.
    Request {
        /// The lockspace of the resource.
        lockspace: LockspaceId,
        /// The number that the lock will have.
        lock: LockId,
        /// The resource.
        name: ResourceName,
        /// The mode wanted.
        mode: Mode,
        /// How.
        flags: RequestFlags,
        /// For which task.
        owner: Owner,
    },
    /// Another mode.
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
    /// The end of a lock.
    Unlock {
        /// Which lock.
        lock: LockId,
        /// How.
        flags: RequestFlags,
        /// The value to store.
        value: Option<ValueBlock>,
    },
    /// The end of a wait.
    Cancel {
        /// Whose.
        lock: LockId,
    },
}

impl ToServer {
    /// The operation that it is about, where it is one.
    #[must_use]
    pub const fn op(&self) -> Option<OpId> {
        match *self {
            Self::Operation { op, .. }
            | Self::Everywhere { op, .. }
            | Self::Unreadable { op, .. } => Some(op),
            Self::Hello(_) | Self::Claims { .. } | Self::Acknowledge { .. } => None,
        }
    }
}

impl Event {
    /// The operation that it is about, where it is about one.
    #[must_use]
    pub const fn op(&self) -> Option<OpId> {
        match *self {
            Self::Done(Done { op, .. }) | Self::Queued { op, .. } | Self::Purged { op, .. } => {
                Some(op)
            }
            Self::NotMaster { op, .. } => op,
            Self::Blocking { .. }
            | Self::Orphaned { .. }
            | Self::OrphanPurged { .. }
            | Self::ClaimsTaken { .. } => None,
        }
    }
}

impl OperationKind {
    /// The lock that it is about.
    #[must_use]
    pub const fn lock(&self) -> LockId {
        match *self {
            Self::Request { lock, .. }
            | Self::Convert { lock, .. }
            | Self::Unlock { lock, .. }
            | Self::Cancel { lock } => lock,
        }
    }
}

/// What is wanted of many locks. As in [`Input`](crate::Input).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EverywhereKind {
    /// A task is over.
    OwnerEnded {
        /// Which.
        owner: Owner,
    },
    /// Orphans go.
    PurgeOrphans {
        /// Where.
        lockspace: LockspaceId,
        /// Only those that this owner left.
        owner: Option<Owner>,
    },
    /// All locks in a lockspace go.
    LeaveLockspace {
        /// Which.
        lockspace: LockspaceId,
    },
}

/// What a server says to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromServer {
    /// The stream is open.
    Welcome(Welcome),
    /// Something happened.
    Event {
        /// Its place among all events of this session from this process.
        sequence: u64,
        /// The slot that it is about, and the epoch in which it happened.
        slot: Option<(SlotId, Epoch)>,
        /// What.
        event: Event,
    },
    /// The slot map, or what of it changed. What a server says of its own slots comes before every event
    /// that follows from it.
    Map(SlotMap),
    /// The stream ends.
    Refused {
        /// Why.
        why: StreamRefusal,
    },
}

/// The answer to [`Hello`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// What is spoken.
    pub version: u32,
    /// The server's process.
    pub incarnation: Incarnation,
    /// The last number of this session that it has taken; 0 is before the first.
    pub last_number: u64,
    /// The slot map as the server has it.
    pub map: SlotMap,
}

/// Something that happened to a session's locks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The answer to an operation.
    Done(Done),
    /// The operation waits.
    Queued {
        /// Which.
        op: OpId,
        /// Of which lock.
        lock: LockId,
        /// Its position on the resource.
        serial: u64,
    },
    /// A lock is in somebody's way.
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
    /// Somebody who looks after the cluster took an orphan away: the session has that lock no more.
    OrphanPurged {
        /// Which.
        lock: LockId,
    },
    /// The answer to an operation on many locks.
    Purged {
        /// Which operation.
        op: OpId,
        /// How many locks went.
        locks: u32,
    },
    /// The server does not master the slot in the epoch that was named. Nothing was done.
    NotMaster {
        /// Which operation; none where it was about claims.
        op: Option<OpId>,
        /// Which slot.
        slot: SlotId,
        /// The slot's epoch as far as the server knows.
        epoch: Epoch,
    },
    /// All claims of the session for a slot are there.
    ClaimsTaken {
        /// Which slot.
        slot: SlotId,
        /// Under which epoch.
        epoch: Epoch,
    },
}

/// The answer to an operation. As [`Output::Done`](crate::Output::Done).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// Which operation.
    pub op: OpId,
    /// Of which lock.
    pub lock: LockId,
    /// How it ended.
    pub status: Status,
    /// The mode that the lock holds now.
    pub mode: Option<Mode>,
    /// The token of the grant by which it holds that mode.
    pub token: Token,
    /// What else there is to know.
    pub flags: StatusFlags,
    /// The resource's value and its number, where the operation read it.
    pub value: Option<(u64, ValueBlock)>,
    /// With a grant or an unlock: the number of the resource's value as the operation left it.
    pub value_sequence: u64,
}

/// Slots and their masters.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotMap {
    /// The entry of the log as of which it is true.
    pub index: LogIndex,
    /// All slots, or those that changed.
    pub slots: Vec<SlotPlace>,
}

/// A slot and its master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlotPlace {
    /// Which slot.
    pub slot: SlotId,
    /// Its epoch.
    pub epoch: Epoch,
    /// The entry that began the epoch.
    pub since: LogIndex,
    /// What the master began with.
    pub origin: PlaceOrigin,
    /// Whether it serves already.
    pub serving: bool,
    /// The master, where there is one.
    pub master: Option<MasterPlace>,
}

/// What a slot's master begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaceOrigin {
    /// With nothing: the sessions say what they have.
    Lost,
    /// With the table of the master before it.
    Planned,
}

/// A slot's master and where it is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MasterPlace {
    /// Which server.
    pub server: ServerId,
    /// Which process of it.
    pub incarnation: Incarnation,
    /// Where clients find it.
    pub endpoint: Endpoint,
}

/// Why a server ends a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamRefusal {
    /// The server has not heard of the session yet, or not any more; try later or elsewhere.
    SessionUnknown,
    /// The session is dead.
    SessionDead,
    /// Another stream of the session is newer.
    OlderGeneration,
    /// A number was left out.
    Numbers,
    /// No common version.
    Version,
    /// The session has as much there that waits, or that it has not acknowledged, as it may. What was not
    /// taken is sent again on the next stream.
    Full,
    /// The slot that was named is not the resource's.
    OtherSlot,
}

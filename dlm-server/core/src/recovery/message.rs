//! What a slot's master is told, and what it says.

use alloc::vec::Vec;

use super::claim::Claim;
use super::conflicts::EvictReason;
use super::image::{ImageChunk, StreamPart};
use crate::ids::{Epoch, LockId, LockspaceId, OpId, Owner, SessionId};
use crate::limits::Limits;
use crate::message::{Input, LockspaceOptions, Output};
use crate::slot::SlotId;

/// How a master works.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The limits of the slot's table.
    pub limits: Limits,
    /// For [`LockTable::new`](crate::LockTable::new).
    pub seed: u64,
    /// How long a session that lives may take to say what it has, in microseconds.
    pub reassert_us_max: u64,
    /// How many operations of one session may wait for the slot to be served.
    pub waiting_per_session_max: usize,
}

/// What the cluster's state says at the log entry that gave the slot to this master.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Begin {
    /// Which slot.
    pub slot: SlotId,
    /// The epoch that begins.
    pub epoch: Epoch,
    /// All lockspaces.
    pub lockspaces: Vec<(LockspaceId, LockspaceOptions)>,
    /// All sessions that are not purged.
    pub members: Vec<Member>,
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Which.
    pub session: SessionId,
    /// The lockspaces that it has open.
    pub lockspaces: Vec<LockspaceId>,
    /// How it stands.
    pub standing: Standing,
}

/// How a session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It lives.
    Live,
    /// It is dead, and may have had locks in the slot that nobody knows.
    Dead,
}

/// What a master is told. Events of sessions come in the order of the cluster's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotInput {
    /// A session says what it has in the slot.
    Claims {
        /// Which session.
        session: SessionId,
        /// Under which epoch.
        epoch: Epoch,
        /// Some of its locks, in the order in which it asked for them.
        claims: Vec<Claim>,
        /// Whether that is all.
        done: bool,
    },
    /// A session wants something of a lock.
    Operation {
        /// Under which epoch.
        epoch: Epoch,
        /// A request, conversion, unlock or cancel, the end of an owner, a purge of orphans, or
        /// [`Input::LeaveLockspace`]; every other input has its own way here and is ignored.
        operation: Input,
    },
    /// The deadlock search chose a victim; as [`Input::EndWait`].
    EndWait {
        /// Whose lock.
        session: SessionId,
        /// Which.
        lock: LockId,
        /// The wait.
        serial: u64,
    },
    /// Somebody who looks after the cluster takes a session's orphans away; as [`Input::PurgeOrphans`], and
    /// answered as that is, under [`OpId`] 0. Nothing is done and nothing is said where the slot is not
    /// served, or the session is dead: what that had stays until it is purged.
    PurgeOrphans {
        /// Whose.
        session: SessionId,
        /// Where.
        lockspace: LockspaceId,
        /// Only those that this owner left.
        owner: Option<Owner>,
    },
    /// A session joined.
    Joined {
        /// Which.
        session: SessionId,
    },
    /// A session is dead; its locks stay until it is purged.
    Died {
        /// Which.
        session: SessionId,
    },
    /// A session is gone.
    Purged {
        /// Which.
        session: SessionId,
        /// Whether what it was writing may be half written.
        dirty: bool,
    },
    /// A session opened a lockspace.
    LockspaceOpened {
        /// Which session.
        session: SessionId,
        /// Which lockspace.
        lockspace: LockspaceId,
        /// What that chose.
        options: LockspaceOptions,
    },
    /// A session gave a lockspace up. What locks it had there go.
    LockspaceLeft {
        /// Which session.
        session: SessionId,
        /// Which lockspace.
        lockspace: LockspaceId,
    },
    /// No session has the lockspace open.
    LockspaceEnded {
        /// Which.
        lockspace: LockspaceId,
    },
    /// Time has passed.
    Clock,
    /// The slot moves to another master as planned: this one stops for good.
    Leave {
        /// What the streams of the sessions have for the next master; not looked at here.
        streams: Vec<StreamPart>,
    },
    /// The next master wants this piece of the image, again or for the first time.
    ImageWanted {
        /// Its number.
        chunk: u32,
    },
    /// A piece of the image of the master before.
    Image(ImageChunk),
}

/// Why an operation is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotRefusal {
    /// The session has as many operations waiting for the slot to be served as it may; ask again later.
    Waiting,
}

/// What a master says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotOutput {
    /// What the slot's table says.
    Table(Output),
    /// What was sent is not for this master in this epoch, or the master serves no more.
    NotMaster {
        /// To whom.
        session: SessionId,
        /// Which operation; `None` answers claims.
        op: Option<OpId>,
        /// This master's epoch.
        epoch: Epoch,
    },
    /// An operation is not taken.
    Refused {
        /// To whom.
        session: SessionId,
        /// Which operation.
        op: OpId,
        /// Why.
        why: SlotRefusal,
    },
    /// The session is to be evicted. To be logged loudly.
    Evict {
        /// Which.
        session: SessionId,
        /// Why.
        why: EvictReason,
    },
    /// The slot is served from now on.
    Serving,
    /// The tokens of the epoch run out: the slot wants a new one. Said once.
    TokensLow,
    /// A piece of the image, for the next master.
    Image(ImageChunk),
    /// The master before is asked for a piece of its image.
    ImageWanted {
        /// Its number.
        chunk: u32,
    },
    /// The image is here; the streams' part of it. [`SlotOutput::Serving`] follows.
    HandedOver {
        /// As in [`SlotInput::Leave`].
        streams: Vec<StreamPart>,
    },
    /// The image does not fit together; the slot has to move again, as if its master were lost.
    ImageBroken,
}

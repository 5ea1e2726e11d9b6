//! What the servers of a cluster say to each other.

use alloc::vec::Vec;

use crate::call::{Call, CallAnswer, CallId};
use crate::cluster::{Command, Death, ServerStarted};
use crate::ids::{Epoch, Incarnation, LockId, LogIndex, OpId, SessionId, Tick};
use crate::link::Event;
use crate::recovery::ImageChunk;
use crate::slot::SlotId;

/// What servers say to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerMessage {
    /// Raft's.
    Raft(Vec<u8>),
    /// To the leader: a process renews its lease.
    Renew {
        /// Which process.
        incarnation: Incarnation,
        /// When it sent this, by its own clock.
        sent: Tick,
    },
    /// The lease holds, counted from then.
    Renewed {
        /// Which process's.
        incarnation: Incarnation,
        /// As it was sent.
        sent: Tick,
        /// The last entry that the leader had applied then.
        applied: LogIndex,
    },
    /// To the leader: a client's call that came here.
    Relay {
        /// Comes back with the answer.
        call: CallId,
        /// What is asked.
        asked: Call,
    },
    /// The answer to a relayed call.
    Relayed {
        /// Which.
        call: CallId,
        /// What.
        answer: CallAnswer,
    },
    /// To the leader: what a server wants put into the log. Said again until it is there.
    Propose(Proposal),
    /// To the master before: the piece of a slot's table that is wanted. It acknowledges all before it.
    ImageWanted {
        /// Which slot.
        slot: SlotId,
        /// The epoch that it moves to.
        epoch: Epoch,
        /// The piece's number.
        chunk: u32,
    },
    /// To the next master: a piece of a slot's table.
    Image {
        /// Which slot.
        slot: SlotId,
        /// The epoch that it moves to.
        epoch: Epoch,
        /// The piece.
        chunk: ImageChunk,
        /// With the first piece: what the sessions may not know yet.
        ledger: Option<HandedLedger>,
    },
}

/// What a server wants put into the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proposal {
    /// Its process started.
    Started(ServerStarted),
    /// Its process serves slots.
    Serving {
        /// Which process.
        by: Incarnation,
        /// Which slots, in which epoch.
        slots: Vec<(SlotId, Epoch)>,
    },
    /// A session is to be evicted.
    Evict {
        /// Which.
        session: SessionId,
        /// Why.
        why: Death,
    },
    /// A slot's tokens run out.
    EpochExhausted {
        /// Which slot.
        slot: SlotId,
        /// Which epoch.
        epoch: Epoch,
    },
    /// A slot's table did not arrive whole.
    Recover {
        /// Which slot.
        slot: SlotId,
        /// Which epoch.
        epoch: Epoch,
    },
}

impl Proposal {
    /// As an entry of the log.
    #[must_use]
    pub fn command(self) -> Command {
        match self {
            Self::Started(started) => Command::ServerStarted(started),
            Self::Serving { by, slots } => Command::Serving { by, slots },
            Self::Evict { session, why } => Command::Expire { session, why },
            Self::EpochExhausted { slot, epoch } => Command::SlotEpochExhausted { slot, epoch },
            Self::Recover { slot, epoch } => {
                let to = None;
                Command::RecoverSlot { slot, epoch, to }
            }
        }
    }
}

/// A ledger on its way to the next master.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HandedLedger {
    /// One part for each session that has anything.
    pub sessions: Vec<HandedSession>,
}

/// A session's part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandedSession {
    /// Which.
    pub session: SessionId,
    /// Operations that were answered, and how.
    pub answered: Vec<(OpId, Event)>,
    /// Operations that wait in the table: lock and position.
    pub waiting: Vec<(OpId, LockId, u64)>,
    /// What else it was told and has not acknowledged: blocking callbacks, orphans.
    pub notices: Vec<Event>,
}

//! What a server is told, and what it wants done.

use dlm_core::call::{Call, CallAnswer, CallId};
use dlm_core::cluster::{Death, Endpoint, FenceOutcome, Name};
use dlm_core::deadlock::Victim;
use dlm_core::link::{FromServer, Hello, StreamRefusal, ToServer};
pub use dlm_core::peer::{PeerMessage, Proposal};
use dlm_core::recovery::EvictReason;
use dlm_core::{Epoch, Incarnation, LockspaceId, LogIndex, Owner, ServerId, SessionId, SlotId};

use super::ages::SessionAge;
use super::operator::{OrderId, Ordered};
use crate::replica::MessageRefusal;
use crate::storage::Write;

/// A stream of a client, as whoever has the connection numbers it; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u64);

/// Something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// Time passed. To be said every [`Timing::tick_us`](dlm_core::cluster::Timing::tick_us).
    Tick,
    /// Another server's message arrived.
    Peer {
        /// Who sent it, as the connection says.
        from: ServerId,
        /// What.
        message: PeerMessage,
    },
    /// A client's call. Answered by [`Output::Answer`], or not at all while nobody decides.
    Call {
        /// Comes back with the answer.
        call: CallId,
        /// What is asked.
        asked: Call,
    },
    /// A client opened a stream and said who it is. Answered by a welcome, or by the stream's end.
    StreamOpened {
        /// Which.
        stream: StreamId,
        /// What it said.
        hello: Hello,
    },
    /// A message came over a stream.
    StreamMessage {
        /// Which.
        stream: StreamId,
        /// What.
        message: ToServer,
    },
    /// A stream is over, whoever ended it.
    StreamClosed {
        /// Which.
        stream: StreamId,
    },
    /// All writes up to this one are done; see [`Event::Persisted`](crate::replica::Event::Persisted).
    Persisted {
        /// The last one's number.
        number: u64,
    },
    /// The fence command ended.
    FenceEnded {
        /// For whom it ran.
        session: SessionId,
        /// How.
        outcome: FenceOutcome,
    },
    /// Another server, of the same cluster, knows no member of this server's number and storage.
    NotAMember {
        /// Which.
        said_by: ServerId,
    },
    /// The deadlock search chose a victim, whose lock is in this slot in this epoch. Answered at once by
    /// [`Output::Ordered`].
    EndWait {
        /// Comes back with the answer.
        order: OrderId,
        /// Which slot.
        slot: SlotId,
        /// The epoch in which the wait was seen.
        epoch: Epoch,
        /// Which wait.
        victim: Victim,
    },
    /// Somebody who looks after the cluster takes a session's orphans away, in all slots that are served
    /// here. Answered at once by [`Output::Ordered`].
    PurgeOrphans {
        /// Comes back with the answer.
        order: OrderId,
        /// Whose.
        session: SessionId,
        /// Where.
        lockspace: LockspaceId,
        /// Only those that this owner left.
        owner: Option<Owner>,
    },
}

/// Something to do, in the order in which it stands.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// As [`Action::Persist`](crate::replica::Action::Persist).
    Persist(Write),
    /// Send this to that server. It may be lost, or come late or twice.
    Send {
        /// To whom.
        to: ServerId,
        /// What.
        message: PeerMessage,
    },
    /// The answer to a call.
    Answer {
        /// Which.
        call: CallId,
        /// What.
        answer: CallAnswer,
    },
    /// Send this over a stream. It may be lost with the stream.
    StreamSend {
        /// Which.
        stream: StreamId,
        /// What.
        message: FromServer,
    },
    /// End a stream, with this as its last word. Nothing that still comes over it is taken.
    StreamEnd {
        /// Which.
        stream: StreamId,
        /// Why.
        why: StreamRefusal,
    },
    /// Run the fence command, and say [`Input::FenceEnded`].
    Fence {
        /// For whom.
        session: SessionId,
        /// What people call it.
        name: Name,
        /// What is known of its time.
        age: SessionAge,
    },
    /// What came of [`Input::EndWait`] or [`Input::PurgeOrphans`].
    Ordered {
        /// Which.
        order: OrderId,
        /// What.
        outcome: Ordered,
    },
    /// Worth a line in the log.
    Log(Notice),
}

/// Something that people want to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// This process is known to the cluster.
    Announced {
        /// Under which number.
        incarnation: Incarnation,
        /// Where clients find it.
        endpoint: Endpoint,
    },
    /// This process was lost to the cluster: its tables are gone, and it begins again.
    Lost {
        /// Its number until now.
        incarnation: Incarnation,
    },
    /// This server leads from now on.
    Leads {
        /// In which term.
        term: u64,
    },
    /// This server's lease ran out: it serves nothing until it is renewed.
    LeaseRanOut,
    /// The state is that of a snapshot.
    Restored {
        /// The last entry in it.
        index: LogIndex,
    },
    /// A session is dead.
    Died {
        /// Which.
        session: SessionId,
        /// Why.
        why: Death,
    },
    /// The fence of a dead session failed.
    FenceFailed {
        /// Whose.
        session: SessionId,
        /// How often so far.
        failures: u32,
    },
    /// A session is to be evicted because of what it claims, or does not. Loudly.
    Evicts {
        /// Which.
        session: SessionId,
        /// By the master of which slot.
        slot: SlotId,
        /// Why.
        why: EvictReason,
    },
    /// A slot's table did not arrive whole: the slot is recovered from its clients.
    ImageBroken {
        /// Which slot.
        slot: SlotId,
        /// Under which epoch.
        epoch: Epoch,
    },
    /// This server is none of its cluster's members any more, and may be stopped for good. It serves
    /// nothing.
    Removed {
        /// Another server says so, which may be behind; otherwise this one has read it in the log.
        said_by: Option<ServerId>,
    },
    /// A server's message was not read.
    MessageRefused {
        /// Whose.
        from: ServerId,
        /// Why.
        why: MessageRefusal,
    },
}

impl Notice {
    /// The session that it is about, if it is about one.
    #[must_use]
    pub const fn session(&self) -> Option<SessionId> {
        match self {
            Self::Died { session, .. }
            | Self::FenceFailed { session, .. }
            | Self::Evicts { session, .. } => Some(*session),
            _ => None,
        }
    }

    /// Whether somebody should look at it.
    #[must_use]
    pub const fn is_bad(&self) -> bool {
        match self {
            Self::Announced { .. } | Self::Leads { .. } | Self::Restored { .. } => false,
            Self::Lost { .. }
            | Self::LeaseRanOut
            | Self::Died { .. }
            | Self::FenceFailed { .. }
            | Self::Evicts { .. }
            | Self::ImageBroken { .. }
            | Self::Removed { .. }
            | Self::MessageRefused { .. } => true,
        }
    }
}

//! What a replica wants done, in the order in which it may be done.

use dlm_core::{LogIndex, ServerId};
use thiserror::Error;

use crate::members::{ChangeRefusal, Members};
use crate::storage::Write;

use super::propose::PROPOSAL_BYTES_MAX;

/// What a proposal or a read is known by to whoever made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Context(pub u64);

/// Something to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Give this to the [`Storage`](crate::storage::Storage), and say
    /// [`Persisted`](super::Event::Persisted) when it is there. What follows need not wait.
    Persist(Write),
    /// Send this to that server. It may be lost, or come late or twice.
    Send {
        /// To whom.
        to: ServerId,
        /// What.
        bytes: Vec<u8>,
    },
    /// A committed entry. They come in the order of their indices; the indices have gaps, where Raft
    /// has entries of its own.
    Apply {
        /// Its place in the log.
        index: LogIndex,
        /// What was proposed.
        bytes: Vec<u8>,
        /// By this server in this life, under this context.
        context: Option<Context>,
    },
    /// This server was the leader at a moment after the read was asked for, and everything that was
    /// committed then has been given out to be applied.
    ReadReady {
        /// Which read.
        context: Context,
        /// The last entry that had been committed.
        index: LogIndex,
    },
    /// This server does not lead (any more), or not yet for sure.
    ReadDropped {
        /// Which read.
        context: Context,
    },
    /// The state is this one, whatever was applied before.
    Restore {
        /// The last entry it contains.
        index: LogIndex,
        /// What [`SnapshotMade`](super::Event::SnapshotMade) said; empty for the state that every
        /// cluster begins with.
        bytes: Vec<u8>,
    },
    /// The role, the term or the known leader are other ones now.
    RoleChanged {
        /// What this server is.
        role: Role,
        /// In which term.
        term: u64,
        /// Who leads, where that is known.
        leader: Option<ServerId>,
    },
    /// A proposal will not be applied under its context.
    ProposalDropped {
        /// Which.
        context: Context,
        /// Why, and whether it may have been applied all the same.
        why: Dropped,
    },
    /// From this entry (or snapshot) on, these are the members.
    MembershipChanged {
        /// Which entry.
        index: LogIndex,
        /// Who.
        members: Members,
        /// Proposed by this server in this life, under this context.
        context: Option<Context>,
    },
    /// The log is long, or another server needs a snapshot: make one of the state after this entry or a
    /// later one.
    SnapshotWanted {
        /// The last entry that was given out.
        index: LogIndex,
    },
    /// A message was not read. Worth a line in the log.
    MessageRefused {
        /// Whose.
        from: ServerId,
        /// Why.
        why: MessageRefusal,
    },
}

/// What a server is to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It listens.
    Follower,
    /// It stands for election, or asks whether it should.
    Candidate,
    /// It decides.
    Leader,
}

/// Why a proposal was dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Dropped {
    /// It was not taken: only the leader does.
    #[error("this server does not lead")]
    NotLeader {
        /// Who does, where that is known.
        leader: Option<ServerId>,
    },
    /// It was not taken: too much waits to be committed.
    #[error("too much waits to be committed; propose it again later")]
    Full,
    /// It was not taken: it is empty or too long.
    #[error("an entry has 1 to {PROPOSAL_BYTES_MAX} bytes")]
    Size,
    /// It was not taken: the leader is handing over.
    #[error("the leader is handing over to another server; propose it there")]
    HandingOver,
    /// It was not taken: the change before it is under way.
    #[error("another change of the members is under way; propose it again later")]
    ChangeUnderWay,
    /// It was not taken.
    #[error(transparent)]
    Change(#[from] ChangeRefusal),
    /// It was not taken.
    #[error("the leader cannot remove itself; hand over to another server first")]
    Leader,
    /// Another leader's entry stands in its place. It was not applied and will not be.
    #[error("another leader took over before it was committed")]
    Overwritten,
    /// A snapshot took its place: whether it was applied, only the state can tell.
    #[error("a snapshot took the place of its entry")]
    Unknown,
}

/// Why a message was not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MessageRefusal {
    /// It is too long.
    #[error("the message is too long")]
    Length,
    /// It does not parse.
    #[error("the message does not parse; is the server's program another version?")]
    Garbled,
    /// It is another cluster's.
    #[error("the message is another cluster's; look at the servers' peer addresses")]
    Cluster,
    /// It was meant for another server, or for the storage that this one had before.
    #[error("the message was meant for another server, or for another storage of this one")]
    Recipient,
    /// The sender is not who it says, or has another storage than the member it wants to be.
    #[error(
        "the sender's storage is not the member's that it wants to be; \
         remove the member, and let the server join as a new one"
    )]
    Sender,
    /// Servers do not send this to each other.
    #[error("the message is of a kind that servers do not send")]
    Kind,
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Sending {
    pub(super) to: ServerId,
    pub(super) bytes: Vec<u8>,
}

impl From<Sending> for Action {
    fn from(Sending { to, bytes }: Sending) -> Self {
        Self::Send { to, bytes }
    }
}

//! What a replica is told.

use dlm_core::{LogIndex, ServerId};

use super::Context;
use crate::members::MemberChange;

/// Something happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Time passed. It is enough to say so every [`tick_us`](super::Config::tick_us).
    Tick,
    /// A server's message arrived. `from` is who the connection says it is.
    Message {
        /// Who sent it.
        from: ServerId,
        /// What it sent, from [`Action::Send`](super::Action::Send).
        bytes: Vec<u8>,
    },
    /// All writes up to this one are on the disk (those that need no sync: are written).
    Persisted {
        /// The last one's [`number`](crate::storage::Write::number).
        number: u64,
    },
    /// An entry for the log. Answered by [`Apply`](super::Action::Apply) with its context or by
    /// [`ProposalDropped`](super::Action::ProposalDropped); by neither for as long as there is no
    /// majority.
    Propose {
        /// Comes back with the answer.
        context: Context,
        /// The entry; not empty.
        bytes: Vec<u8>,
    },
    /// A round of the quorum: whether this server still leads, asked after now. Answered by
    /// [`ReadReady`](super::Action::ReadReady) or [`ReadDropped`](super::Action::ReadDropped); by
    /// neither for at most an election timeout where there is no majority.
    Read {
        /// Comes back with the answer.
        context: Context,
    },
    /// A change of the membership. Answered by
    /// [`MembershipChanged`](super::Action::MembershipChanged) or
    /// [`ProposalDropped`](super::Action::ProposalDropped).
    Change {
        /// Comes back with the answer.
        context: Context,
        /// Which.
        change: MemberChange,
    },
    /// The leader should hand over to this voter. It is tried for one election timeout; whether it
    /// worked is seen by the roles.
    TransferLeader {
        /// To whom.
        to: ServerId,
    },
    /// The state after this entry, which was given out by [`Apply`](super::Action::Apply) or is
    /// [`Replica::applied`](super::Replica::applied). Older than the newest snapshot, it is ignored.
    SnapshotMade {
        /// The entry.
        index: LogIndex,
        /// The state.
        bytes: Vec<u8>,
    },
}

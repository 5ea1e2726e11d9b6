//! The calls to the cluster: what all servers agree on goes through them. Any server may be asked.

use alloc::vec::Vec;

use crate::cluster::{
    Attest, ClusterOptions, CommandRefusal, Endpoint, Name, NamedReplay, Versions,
};
use crate::ids::{LockspaceId, LogIndex, ServerId, SessionId};

use crate::link::SlotMap;

/// A call under way; its answer comes under this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId(pub u64);

/// What is asked of the cluster. Each may be asked again: what was done before is answered as done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// A session begins.
    Join {
        /// The client's choice; joining twice with it is joining once.
        nonce: u128,
        /// What people call it.
        name: Name,
        /// What it speaks.
        versions: Versions,
        /// An earlier session that does nothing any more.
        attests: Option<Attest>,
    },
    /// The session lives.
    KeepAlive {
        /// Which.
        session: SessionId,
        /// With which it joined, here and below: whoever has it is the session.
        nonce: u128,
    },
    /// The session ends; it has nothing any more.
    Goodbye {
        /// Which.
        session: SessionId,
        /// Its nonce.
        nonce: u128,
    },
    /// The session opens a lockspace.
    OpenLockspace {
        /// Who.
        session: SessionId,
        /// Its nonce.
        nonce: u128,
        /// Its name.
        name: Name,
        /// What it is to be like, where that matters.
        options: Option<ClusterOptions>,
    },
    /// The session has given back all it had in a lockspace and leaves it.
    LeaveLockspace {
        /// Who.
        session: SessionId,
        /// Its nonce.
        nonce: u128,
        /// What.
        lockspace: LockspaceId,
    },
    /// A session has replayed a journal that it was named for.
    Replayed {
        /// Which.
        replay: NamedReplay,
        /// The nonce of the session that was named.
        nonce: u128,
    },
    /// Somebody who looks after the cluster declares a session dead.
    Evict {
        /// Which.
        session: SessionId,
    },
    /// Somebody who looks after the cluster has made sure that a dead session does nothing any more.
    FenceConfirmed {
        /// Which.
        session: SessionId,
    },
    /// A server is to be a member. It is done when it is one that listens; it is given a vote when it has
    /// the log, and slots when it runs. Refused with [`CommandRefusal::OtherStorage`] where another storage
    /// is the member of that number, with [`CommandRefusal::Leaving`] while it is being removed.
    AddServer {
        /// Which; not 0.
        server: ServerId,
        /// Where the other servers find it.
        peer_endpoint: Endpoint,
        /// The random number of its storage, as the server itself says it.
        identity: u128,
    },
    /// A server is to be a member no more. It is done when all know that it leaves; its slots move away
    /// then, and it is removed when it has none and the voters without it are a majority that runs. Refused
    /// with [`CommandRefusal::LastServer`] where no voter would stay. Asked again when it is gone, there is
    /// no such server.
    RemoveServer {
        /// Which.
        server: ServerId,
    },
    /// Where the slots are.
    Map,
}

impl Call {
    /// The session that it says to be from, and the nonce that shows it.
    #[must_use]
    pub const fn says_to_be(&self) -> Option<(SessionId, u128)> {
        match *self {
            Self::KeepAlive { session, nonce }
            | Self::Goodbye { session, nonce }
            | Self::OpenLockspace { session, nonce, .. }
            | Self::LeaveLockspace { session, nonce, .. } => Some((session, nonce)),
            Self::Replayed { replay, nonce } => Some((replay.by, nonce)),
            Self::Join { .. }
            | Self::Evict { .. }
            | Self::FenceConfirmed { .. }
            | Self::AddServer { .. }
            | Self::RemoveServer { .. }
            | Self::Map => None,
        }
    }
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallAnswer {
    /// The session has begun.
    Joined {
        /// Which.
        session: SessionId,
        /// The entry that made it: no older slot map is for it.
        joined: LogIndex,
        /// The version to speak.
        version: u32,
        /// The session's lease, in microseconds.
        lease_us: u64,
    },
    /// The session lives, for a lease from when it asked.
    Alive {
        /// How new the cluster's slot map is.
        map_index: LogIndex,
    },
    /// The lockspace is open.
    Opened {
        /// Its number.
        lockspace: LockspaceId,
        /// What it is like.
        options: ClusterOptions,
        /// The dead sessions whose journals are to be replayed first.
        replays: Vec<SessionId>,
    },
    /// The slot map.
    Map(SlotMap),
    /// It is done; the answer to everything that has nothing else to say.
    Done,
    /// The server does not lead; where the leader is, if it knows.
    NotLeader(Option<Endpoint>),
    /// It was refused.
    Refused(CommandRefusal),
    /// No answer came: the server is not there, or does not speak.
    Failed,
}

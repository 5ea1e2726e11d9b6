//! What is in the log, and what each command is answered.
//!
//! The leader proposes them, nobody else. Each names what it was decided upon (an incarnation, an epoch, a
//! session), so that one which comes late, from a leader that is none any more, is refused and changes
//! nothing.

use alloc::vec::Vec;
use core::fmt;

use super::fencing::FenceOutcome;
use super::lockspaces::ClusterOptions;
use super::servers::{Role, Versions};
use super::sessions::Death;
use super::text::{Endpoint, Name};
use crate::ids::{Epoch, Incarnation, LockspaceId, LogIndex, ServerId, SessionId};
use crate::slot::SlotId;

/// One entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A server is a member of the Raft group, in this role; or a member's role changes. Where it is
    /// [`Role::Leaving`] the server is to be removed: that is not taken back, and refused with
    /// [`CommandRefusal::LastServer`] where no other voter stays.
    ServerAdded {
        /// Which.
        server: ServerId,
        /// Where the other servers find it.
        peer_endpoint: Endpoint,
        /// Its role.
        role: Role,
    },
    /// A server is no member any more. One that still runs is lost with it.
    ServerRemoved {
        /// Which.
        server: ServerId,
    },
    /// A server's process started: it has nothing in memory. Answered by [`Reply::Started`]; the same
    /// nonce is the same process, and what came before it is lost, for two processes cannot have one
    /// server's disk open.
    ServerStarted(ServerStarted),
    /// The lease of a process has surely run out: its slots move.
    ServerLost {
        /// Which process.
        incarnation: Incarnation,
    },
    /// A client joins. Answered by [`Reply::Joined`]; joining twice with one nonce is joining once.
    Join(Join),
    /// A session has given back all it held and ends.
    Goodbye {
        /// Which.
        session: SessionId,
    },
    /// A session is dead: its lease has surely run out, or it was evicted.
    Expire {
        /// Which.
        session: SessionId,
        /// Why.
        why: Death,
    },
    /// How the fence of a dead session ended.
    FenceResult {
        /// Whose.
        session: SessionId,
        /// How.
        outcome: FenceOutcome,
    },
    /// The journal of a dead session is replayed.
    Replayed(NamedReplay),
    /// A replay failed, or takes too long: the session that was named for it is dead, and is fenced before
    /// another is named.
    ReplayerFailed(NamedReplay),
    /// A session opens a lockspace, which is made where it does not exist. Answered by
    /// [`Reply::LockspaceOpened`]; opening twice is opening once.
    OpenLockspace {
        /// Who.
        session: SessionId,
        /// Its name.
        name: Name,
        /// What it is to be like; refused where it exists and is not. `None` takes it as it is, and makes
        /// it with the defaults.
        options: Option<ClusterOptions>,
    },
    /// A session has given back all it held in a lockspace and leaves it.
    LeaveLockspace {
        /// Who.
        session: SessionId,
        /// What.
        lockspace: LockspaceId,
    },
    /// A slot's table moves to another server.
    MoveSlot {
        /// Which.
        slot: SlotId,
        /// The slot's epoch when that was decided.
        epoch: Epoch,
        /// Where to.
        to: ServerId,
    },
    /// A master serves slots: all that it needed, claims or the table, it has. Pairs that are not true any
    /// more are passed over.
    Serving {
        /// The master's process.
        by: Incarnation,
        /// Which slots, in which epoch.
        slots: Vec<(SlotId, Epoch)>,
    },
    /// A slot's master is in nobody's reach, or a table does not arrive: the slot is made anew from what
    /// clients hold. Safe with a master that still runs: once a client has answered the new epoch, nothing
    /// of the old one means anything to it.
    RecoverSlot {
        /// Which.
        slot: SlotId,
        /// The slot's epoch when that was decided.
        epoch: Epoch,
        /// Where; `None` is where it is.
        to: Option<ServerId>,
    },
    /// A slot's tokens run out under this epoch: it goes on under the next one, with the table that its
    /// master has.
    SlotEpochExhausted {
        /// Which.
        slot: SlotId,
        /// Which epoch.
        epoch: Epoch,
    },
    /// The way out when a majority is lost for good, and with it entries that this log never had: every
    /// server's process is lost, every session dead, every number goes far beyond what may have been used.
    /// The operator has made sure that no other server runs and that a session's lease went by since.
    ForceNewEpochs,
}

/// What a server says when its process starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerStarted {
    /// Which server.
    pub server: ServerId,
    /// What the process chose for itself.
    pub nonce: u128,
    /// Where clients find it.
    pub endpoint: Endpoint,
    /// Where the other servers find it.
    pub peer_endpoint: Endpoint,
    /// What it speaks. Refused where that is not what the cluster has come to speak.
    pub versions: Versions,
}

/// What a client says when it joins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// What the client chose for this session.
    pub nonce: u128,
    /// What people call it.
    pub name: Name,
    /// What it speaks.
    pub versions: Versions,
    /// The client's session before this one, where it ended that itself and has written out or dropped all
    /// that was in flight: what a fence would have to make sure of. Only for a session of the same boot. It
    /// is ignored where that session is gone.
    pub attests: Option<Attest>,
}

/// A replay, and who was named for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedReplay {
    /// Whose journal.
    pub dead: SessionId,
    /// In which lockspace.
    pub lockspace: LockspaceId,
    /// Who was named.
    pub by: SessionId,
}

/// A client's word that its earlier session does nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attest {
    /// Which session.
    pub session: SessionId,
    /// With which nonce it joined: nobody attests for another.
    pub nonce: u128,
}

impl Command {
    /// The version of the protocol that the command came with. The leader proposes it only where
    /// [`ClusterState::version`](super::ClusterState::version) is not below.
    #[must_use]
    pub const fn version(&self) -> u32 {
        1
    }
}

/// What a command is answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// It is done.
    Done,
    /// A server's process is known under this number.
    Started {
        /// The number.
        incarnation: Incarnation,
    },
    /// The client has this session.
    Joined {
        /// Which.
        session: SessionId,
        /// The entry that made it: no slot map older than this one is for the client.
        joined: LogIndex,
        /// The version of the protocol to speak.
        version: u32,
    },
    /// The session has the lockspace open.
    LockspaceOpened {
        /// Its number.
        lockspace: LockspaceId,
        /// What it is like.
        options: ClusterOptions,
        /// The dead sessions whose journals the session has to replay before it takes any lock there.
        replays: Vec<SessionId>,
    },
    /// Nothing changed.
    Refused(CommandRefusal),
}

/// Why a command changed nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandRefusal {
    /// The entry is in the state already.
    Applied,
    /// No server of this number is a member.
    NoSuchServer,
    /// No process of this number runs, or no server that may take slots.
    NotRunning,
    /// As many servers are known as may be.
    Servers,
    /// There is no session of this number (any more).
    NoSuchSession,
    /// The session is dead.
    SessionDead,
    /// The session lives.
    SessionLives,
    /// The session is fenced already.
    Fenced,
    /// As many sessions are known as may be.
    Sessions,
    /// The session that is attested, or in whose name something is asked, joined with another nonce.
    NotYours,
    /// The client speaks no version of the protocol that all servers speak.
    Versions {
        /// The oldest that all servers speak.
        min: u32,
        /// The newest that all servers speak.
        max: u32,
    },
    /// The session owes the cluster the replay of a journal.
    ReplayOwed,
    /// Nobody, or another, was named for this replay.
    NoSuchReplay,
    /// The session has not opened the lockspace.
    LockspaceNotOpen,
    /// As many lockspaces exist as may.
    Lockspaces,
    /// The session has as many lockspaces open as it may.
    LockspacesOfSession,
    /// The lockspace exists and is of another kind.
    Options(ClusterOptions),
    /// The slot has another epoch by now.
    Epoch {
        /// Which.
        now: Epoch,
    },
    /// The slot is recovering or moving.
    NotServing,
    /// The slot is there.
    SlotThere,
    /// As many slots move as may.
    Moves,
    /// The numbers of this kind have run out.
    Exhausted,
    /// The member of this number has another storage.
    OtherStorage,
    /// No server with a vote would stay.
    LastServer,
    /// The server is being removed.
    Leaving,
}

impl fmt::Display for CommandRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Applied => "the entry was applied before",
            Self::NoSuchServer => "no such server in the cluster; add it first",
            Self::NotRunning => "no such server runs and may take slots",
            Self::Servers => "the cluster has as many servers as it may; remove one",
            Self::NoSuchSession => "no such session (any more); join again",
            Self::SessionDead => "the session is dead; join again with another nonce",
            Self::SessionLives => "the session lives; evict it first",
            Self::Fenced => "the session is fenced already",
            Self::Sessions => "the cluster has as many sessions as it may; end one or try later",
            Self::NotYours => "that session joined with another nonce, or as somebody else; speak for your own",
            Self::Versions { min, max } => {
                return write!(
                    f,
                    "no common protocol version: the servers speak {min} to {max}; \
                     upgrade the older side"
                );
            }
            Self::ReplayOwed => "the session was named to replay a journal; do that first",
            Self::NoSuchReplay => "the session was not named for that replay",
            Self::LockspaceNotOpen => "the session has not opened that lockspace",
            Self::Lockspaces => "the cluster has as many lockspaces as it may; leave one",
            Self::LockspacesOfSession => "the session has as many lockspaces as it may; leave one",
            Self::Options(options) => {
                return write!(
                    f,
                    "the lockspace exists with other options (value blocks of {} bytes, deadlocks {}, {}, {}); \
                     open it with these, or without any",
                    options.locks.value_length.bytes(),
                    if options.locks.breaks_deadlocks { "broken" } else { "not broken" },
                    if options.fenced { "fenced by the command" } else { "fenced by the lease" },
                    if options.replayed { "journals replayed" } else { "no journals" },
                );
            }
            Self::Epoch { now } => return write!(f, "the slot is in epoch {} by now", now.0),
            Self::NotServing => "the slot is recovering or moving; try again later",
            Self::SlotThere => "the slot is there already",
            Self::Moves => "as many slots move as may; try again later",
            Self::Exhausted => "the numbers of this kind have run out; set up another cluster",
            Self::OtherStorage => {
                "the cluster knows that server with another storage; remove it first, or take another number"
            }
            Self::LastServer => "no other server with a vote stays; add another one first",
            Self::Leaving => "the server is being removed; add it when it is gone",
        })
    }
}

impl core::error::Error for CommandRefusal {}

//! What the calls of the cluster service carry, as plain values.

use dlm_core::cluster::{ClusterOptions, CommandRefusal, Endpoint};
use dlm_core::{LockspaceId, LogIndex, SessionId};

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer<T> {
    /// It is done.
    Done(T),
    /// The server does not lead. Ask there; `None`: nobody knows of a leader now, ask again later.
    Leader(Option<Endpoint>),
    /// Nothing changed.
    Refused(CommandRefusal),
}

/// A client's new session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Joined {
    /// Which.
    pub session: SessionId,
    /// The entry that made it.
    pub joined: LogIndex,
    /// The version of the protocol to speak.
    pub version: u32,
    /// How long each session's lease is, in microseconds.
    pub lease_us: u64,
}

/// A lockspace that was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Which.
    pub lockspace: LockspaceId,
    /// What it is like.
    pub options: ClusterOptions,
    /// The dead sessions whose journals are to be replayed before a lock is taken.
    pub replays: Vec<SessionId>,
}

//! What the shard is asked to do, and what it answers.

use std::collections::BTreeSet;
use std::sync::Arc;

use dlm_core::deadlock::{ResourceView, Victim};
use dlm_core::detail::ResourceDetail;
use dlm_core::{LockspaceId, Owner, ResourceName, SessionId, Tick};
use glockwork_proto::convert::ParsedClientFrame;
use glockwork_proto::frame::{Hello, QueryId};
use glockwork_proto::glocks::GlocksReport;
use glockwork_proto::listing::LockspaceListing;
use glockwork_proto::render::Names;
use glockwork_proto::wire;
use tokio::sync::{Notify, oneshot};

use crate::error::{LookError, SessionError};
use crate::look::Collected;
use crate::outbox::{End, Outbox};

/// What the shard is asked to do.
#[derive(Debug)]
pub(crate) enum Command {
    /// A client said hello.
    Join {
        hello: Hello,
        outbox: Arc<Outbox>,
        joined: oneshot::Sender<Result<SessionId, SessionError>>,
    },
    /// A client sent a frame, which was announced to its outbox.
    Frame {
        session: SessionId,
        parsed: ParsedClientFrame,
    },
    /// A client's stream ended.
    Leave { session: SessionId, end: End },
    /// Somebody wants to see the locks: the sessions are asked for their local holders.
    StartLook {
        started: oneshot::Sender<Result<(QueryId, Arc<Notify>), LookError>>,
    },
    /// The reports are in, or late.
    FinishLook {
        query: QueryId,
        lockspace: Option<String>,
        finished: oneshot::Sender<Result<Seen, LookError>>,
    },
    /// Somebody wants a list of the locks.
    Locks {
        lockspace: Option<String>,
        answer: oneshot::Sender<Result<Listed, LookError>>,
    },
    /// Somebody wants a list of the lockspaces.
    Lockspaces {
        answer: oneshot::Sender<Vec<LockspaceListing>>,
    },
    /// Somebody dumps glocks, and a session is asked for a page of its own.
    AskGlocks {
        session: SessionId,
        lockspace: LockspaceId,
        after: Option<ResourceName>,
        asked: oneshot::Sender<Result<oneshot::Receiver<GlocksReport>, LookError>>,
    },
    /// Somebody looks after the cluster and takes orphans away.
    Purge {
        orphans: Orphans,
        answer: oneshot::Sender<Result<u32, LookError>>,
    },
    /// Whether somebody has waited so long in a lockspace that wants deadlocks broken.
    LongWait {
        us: u64,
        answer: oneshot::Sender<bool>,
    },
    /// These waits are to end, if they still stand: they are part of deadlocks.
    EndWaits { victims: Vec<Victim> },
    /// Somebody wants numbers.
    Status {
        answer: oneshot::Sender<wire::StatusReply>,
    },
    /// The server stops.
    Stop,
}

/// Whose orphans.
#[derive(Debug)]
pub(crate) struct Orphans {
    pub(crate) lockspace: String,
    pub(crate) session: SessionId,
    pub(crate) owner: Option<Owner>,
}

/// A list of locks.
#[derive(Debug)]
pub(crate) struct Listed {
    /// They.
    pub(crate) resources: Vec<ResourceDetail>,
    /// What they are called.
    pub(crate) names: Names,
    /// When.
    pub(crate) now: Tick,
}

/// What a look at the locks saw.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The locks.
    pub(crate) resources: Vec<ResourceView>,
    /// The tasks behind them.
    pub(crate) collected: Collected,
    /// The lockspaces that want deadlocks broken.
    pub(crate) breaking: BTreeSet<LockspaceId>,
    /// What they are called.
    pub(crate) names: Names,
    /// When.
    pub(crate) now: Tick,
}

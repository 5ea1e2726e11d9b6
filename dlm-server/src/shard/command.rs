//! What the shard is asked to do, and what it answers.

use std::sync::Arc;

use dlm_core::deadlock::ResourceView;
use dlm_core::{SessionId, Tick};
use glockwork_proto::convert::ParsedClientFrame;
use glockwork_proto::frame::{Hello, QueryId};
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
    /// Somebody wants numbers.
    Status {
        answer: oneshot::Sender<wire::StatusReply>,
    },
    /// The server stops.
    Stop,
}

/// What a look at the locks saw.
#[derive(Debug)]
pub(crate) struct Seen {
    /// The locks.
    pub(crate) resources: Vec<ResourceView>,
    /// The tasks behind them.
    pub(crate) collected: Collected,
    /// What they are called.
    pub(crate) names: Names,
    /// When.
    pub(crate) now: Tick,
}

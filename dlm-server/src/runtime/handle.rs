//! What the rest of the server asks of the loop.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dlm_core::call::{Call, CallAnswer};
use dlm_core::cluster::{Endpoint, FenceOutcome};
use dlm_core::link::{Hello, ToServer};
use dlm_core::{OpId, ServerId, SessionId, Tick};
use glockwork_proto::glocks::{GlocksQuery, GlocksReport};
use glockwork_proto::holders::HoldersReport;
use glockwork_proto::trace::TraceContext;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};

use super::sessions::SessionOutbox;
use crate::limits::FRAMES_QUEUED_MAX;
use crate::node::{Input, Node, OrderId, Ordered, PeerMessage, StreamId};

/// What the loop is told.
pub(super) enum Command {
    /// A client asks.
    Call {
        asked: Call,
        answer: oneshot::Sender<CallAnswer>,
    },
    /// A client opened a stream.
    Opened {
        stream: StreamId,
        hello: Hello,
        outbox: Arc<SessionOutbox>,
    },
    /// A frame came over a stream.
    Frame {
        stream: StreamId,
        messages: Vec<ToServer>,
        holders: Option<HoldersReport>,
        glocks: Option<GlocksReport>,
        traces: Vec<(OpId, TraceContext)>,
    },
    /// A stream is over.
    Closed { stream: StreamId },
    /// A session is to say who stands behind its locks.
    AskHolders {
        session: SessionId,
        answer: oneshot::Sender<HoldersReport>,
    },
    /// A session is to say what glocks it has.
    AskGlocks {
        session: SessionId,
        after: GlocksQuery,
        answer: oneshot::Sender<GlocksReport>,
    },
    /// The fence command ended.
    Fenced {
        session: SessionId,
        outcome: FenceOutcome,
    },
    /// Somebody looks.
    Look(Look),
    /// Somebody orders something.
    Order {
        order: Order,
        answer: oneshot::Sender<Ordered>,
    },
    /// The server stops.
    Stop,
}

/// Somebody looks at the server, or does something with it that only the loop may do.
pub(super) type Look = Box<dyn FnOnce(&Node, Tick) + Send>;

/// What somebody orders, under the number that its outcome comes back with.
pub(super) type Order = Box<dyn FnOnce(OrderId) -> Input + Send>;

/// What another server said.
#[derive(Debug)]
pub(super) enum FromPeer {
    /// Who it is and where it is found, when its stream began.
    Hello {
        server: ServerId,
        endpoint: Endpoint,
    },
    /// Messages, in their order.
    Messages {
        from: ServerId,
        messages: Vec<PeerMessage>,
    },
}

/// The loop has ended: the server stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the lock server is stopping; ask another one, or again when it is back")]
pub(crate) struct Stopping;

/// The way to the loop, for as many as want one.
#[derive(Clone)]
pub(crate) struct Handle {
    commands: mpsc::Sender<Command>,
    peers: mpsc::Sender<FromPeer>,
    streams: Arc<AtomicU64>,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

/// The loop's ends of a [`Handle`].
pub(super) struct Inbox {
    pub(super) commands: mpsc::Receiver<Command>,
    /// What other servers say goes first: leases depend on it.
    pub(super) peers: mpsc::Receiver<FromPeer>,
}

/// The most frames of other servers that were read and not yet handled.
const PEER_FRAMES_QUEUED_MAX: usize = 64;

impl Handle {
    pub(super) fn new() -> (Self, Inbox) {
        let (commands, from_all) = mpsc::channel(FRAMES_QUEUED_MAX);
        let (peers, from_peers) = mpsc::channel(PEER_FRAMES_QUEUED_MAX);
        let handle = Self {
            commands,
            peers,
            streams: Arc::default(),
        };
        let inbox = Inbox {
            commands: from_all,
            peers: from_peers,
        };
        (handle, inbox)
    }

    /// Asks the cluster something. While nobody decides there is no answer.
    pub(crate) async fn call(&self, asked: Call) -> Result<CallAnswer, Stopping> {
        let (answer, answered) = oneshot::channel();
        self.tell(Command::Call { asked, answer }).await?;
        answered.await.map_err(|_| Stopping)
    }

    /// Looks at the server from within its loop, which stands still meanwhile.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Node, Tick) -> T + Send + 'static,
    ) -> Result<T, Stopping> {
        let (answer, answered) = oneshot::channel();
        let look: Look = Box::new(move |node, now| {
            // Who looks may have gone meanwhile.
            let _ = answer.send(look(node, now));
        });
        self.tell(Command::Look(look)).await?;
        answered.await.map_err(|_| Stopping)
    }

    /// Has something done that only the machine can do.
    pub(crate) async fn order(&self, order: Order) -> Result<Ordered, Stopping> {
        let (answer, answered) = oneshot::channel();
        self.tell(Command::Order { order, answer }).await?;
        answered.await.map_err(|_| Stopping)
    }

    /// A client opened a stream.
    pub(crate) async fn opened(
        &self,
        hello: Hello,
        outbox: Arc<SessionOutbox>,
    ) -> Result<StreamId, Stopping> {
        let stream = StreamId(self.streams.fetch_add(1, Ordering::Relaxed));
        let opened = Command::Opened {
            stream,
            hello,
            outbox,
        };
        self.tell(opened).await?;
        Ok(stream)
    }

    /// A frame came over a stream.
    pub(crate) async fn frame(
        &self,
        stream: StreamId,
        frame: glockwork_proto::link::ToServerFrame,
    ) -> Result<(), Stopping> {
        let glockwork_proto::link::ToServerFrame {
            messages,
            holders,
            glocks,
            traces,
        } = frame;
        self.tell(Command::Frame {
            stream,
            messages,
            holders,
            glocks,
            traces,
        })
        .await
    }

    /// A stream is over.
    pub(crate) async fn closed(&self, stream: StreamId) -> Result<(), Stopping> {
        self.tell(Command::Closed { stream }).await
    }

    /// Asks a session who stands behind its locks; none where it does not say.
    pub(crate) async fn holders(
        &self,
        session: SessionId,
    ) -> Result<Option<HoldersReport>, Stopping> {
        let (answer, answered) = oneshot::channel();
        self.tell(Command::AskHolders { session, answer }).await?;
        Ok(answered.await.ok())
    }

    /// Asks a session for a page of its glocks; none where it does not say.
    pub(crate) async fn glocks(
        &self,
        session: SessionId,
        after: GlocksQuery,
    ) -> Result<Option<GlocksReport>, Stopping> {
        let (answer, answered) = oneshot::channel();
        let ask = Command::AskGlocks {
            session,
            after,
            answer,
        };
        self.tell(ask).await?;
        Ok(answered.await.ok())
    }

    /// Another server's stream began.
    pub(crate) async fn peer_opened(
        &self,
        server: ServerId,
        endpoint: Endpoint,
    ) -> Result<(), Stopping> {
        let hello = FromPeer::Hello { server, endpoint };
        self.peers.send(hello).await.map_err(|_| Stopping)
    }

    /// Another server said something.
    pub(crate) async fn peer_said(
        &self,
        from: ServerId,
        messages: Vec<PeerMessage>,
    ) -> Result<(), Stopping> {
        let said = FromPeer::Messages { from, messages };
        self.peers.send(said).await.map_err(|_| Stopping)
    }

    /// Stops the loop.
    pub(super) async fn stop(&self) {
        // Where it has ended already there is nothing to stop.
        let _ = self.tell(Command::Stop).await;
    }

    pub(super) async fn tell(&self, command: Command) -> Result<(), Stopping> {
        self.commands.send(command).await.map_err(|_| Stopping)
    }
}

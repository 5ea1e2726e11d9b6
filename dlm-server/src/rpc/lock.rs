//! The lock service: one task reads a client's frames, its outbox's stream writes them.

use std::error::Error;
use std::sync::Arc;

use dlm_core::Owner;
use dlm_core::SessionId;
use glockwork_proto::fault::Member;
use glockwork_proto::{convert, wire};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tonic::{Code, Request, Response, Status, Streaming};

use crate::error::{LookError, SessionError};
use crate::gate::Caller;
use crate::limits::HELLO_WAIT_MAX;
use crate::outbox::{End, Outbox, OutboxStream};
use crate::shard::{Command, Orphans};

/// `glockwork.v1.Lock`.
#[derive(Debug)]
pub(crate) struct LockService {
    shard: mpsc::Sender<Command>,
}

impl LockService {
    pub(crate) const fn new(shard: mpsc::Sender<Command>) -> Self {
        Self { shard }
    }
}

#[tonic::async_trait]
impl wire::lock_server::Lock for LockService {
    type SessionStream = OutboxStream;

    async fn session(
        &self,
        request: Request<Streaming<wire::ClientFrame>>,
    ) -> Result<Response<OutboxStream>, Status> {
        let (outbox, stream) = Outbox::new();
        let caller = Caller::of(&request);
        let reader = Reader {
            caller,
            frames: request.into_inner(),
            shard: self.shard.clone(),
            outbox,
        };
        // The response's headers go out before the hello came in: a client may wait for them first.
        tokio::spawn(reader.run());
        Ok(Response::new(stream))
    }

    async fn purge(
        &self,
        request: Request<wire::PurgeRequest>,
    ) -> Result<Response<wire::PurgeReply>, Status> {
        let request = request.into_inner();
        let (answer, purged) = oneshot::channel();
        let orphans = Orphans {
            lockspace: request.lockspace,
            session: SessionId(request.session),
            owner: request.owner.map(Owner),
        };
        let sent = self.shard.send(Command::Purge { orphans, answer }).await;
        sent.map_err(|_| LookError::Stopping)?;
        let locks = purged.await.map_err(|_| LookError::Stopping)??;
        Ok(Response::new(wire::PurgeReply {
            locks,
            ..wire::PurgeReply::default()
        }))
    }
}

struct Reader {
    caller: Caller,
    frames: Streaming<wire::ClientFrame>,
    shard: mpsc::Sender<Command>,
    outbox: Arc<Outbox>,
}

impl Reader {
    async fn run(mut self) {
        let end = match self.join().await {
            Err(error) => End::Error(error),
            Ok(session) => {
                let end = match self.relay(session).await {
                    Err(error) => End::Error(error),
                    Ok(()) => End::Quiet,
                };
                // The shard ends the outbox, after the last answers.
                let left = Command::Leave { session, end };
                if self.shard.send(left).await.is_ok() {
                    return;
                }
                End::Error(SessionError::Stopping)
            }
        };
        self.outbox.end(end);
    }

    async fn join(&mut self) -> Result<SessionId, SessionError> {
        let first = timeout(HELLO_WAIT_MAX, self.frames.message()).await;
        let first = first.map_err(|_| SessionError::HelloLate)?;
        let first = first.map_err(unreadable)?.unwrap_or_default();
        let hello = convert::hello(first)?;
        let said = self.caller.is(Member::Session(hello.name.clone())).await;
        said.map_err(|lost| SessionError::Connection(lost.to_string()))?;
        let (joined, answer) = oneshot::channel();
        let join = Command::Join {
            hello,
            outbox: Arc::clone(&self.outbox),
            joined,
        };
        let sent = self.shard.send(join).await;
        sent.map_err(|_| SessionError::Stopping)?;
        answer.await.map_err(|_| SessionError::Stopping)?
    }

    /// Until the client, or the shard, ends the session.
    async fn relay(&mut self, session: SessionId) -> Result<(), SessionError> {
        loop {
            let frame = tokio::select! {
                frame = self.frames.message() => frame.map_err(unreadable)?,
                () = self.outbox.ended() => return Ok(()),
            };
            let Some(frame) = frame else {
                return Ok(());
            };
            let parsed = convert::client_frame(frame)?;
            let operations = parsed.frame.operations.len() + parsed.refused.len();
            if !self.outbox.announce(operations).await {
                return Ok(());
            }
            let sent = self.shard.send(Command::Frame { session, parsed }).await;
            sent.map_err(|_| SessionError::Stopping)?;
        }
    }
}

/// What the transport's complaint about a frame means.
fn unreadable(status: Status) -> SessionError {
    match status.code() {
        Code::OutOfRange | Code::ResourceExhausted => SessionError::FrameTooLong,
        // The decoder's own complaints have no cause behind them.
        Code::Internal if status.source().is_none() => {
            SessionError::FrameGarbled(status.message().into())
        }
        _ => SessionError::Connection(status.message().into()),
    }
}

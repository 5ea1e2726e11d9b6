//! The streams of sessions: one task reads a client's frames, its outbox's stream writes ours.

use std::error::Error;
use std::sync::Arc;

use dlm_core::link::ToServer;
use glockwork_proto::{convert, wire};
use tokio::time::timeout;
use tonic::{Code, Request, Response, Status, Streaming};

use super::reach::Reach;
use crate::access::Caller;
use crate::error::LinkError;
use crate::gate;
use crate::limits::HELLO_WAIT_MAX;
use crate::node::StreamId;
use crate::runtime::{Handle, Outbox, OutboxStream, SessionOutbox, SessionQueue};

/// `glockwork.v1.Link`.
#[derive(Debug)]
pub(crate) struct LinkService {
    reach: Arc<Reach>,
}

impl LinkService {
    pub(crate) const fn new(reach: Arc<Reach>) -> Self {
        Self { reach }
    }
}

#[tonic::async_trait]
impl wire::link_server::Link for LinkService {
    type StreamStream = OutboxStream<SessionQueue>;

    async fn stream(
        &self,
        request: Request<Streaming<wire::ToServerFrame>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        // What it may lock was looked at when its session opened its lockspaces.
        let caller = self.reach.caller(&request)?;
        let handle = self.reach.handle()?;
        let sender = gate::Caller::of(&request);
        let (outbox, stream) =
            Outbox::new(SessionQueue::new(self.reach.metrics.frames.sent.clone()));
        let reader = Reader {
            frames: request.into_inner(),
            reach: Arc::clone(&self.reach),
            handle,
            caller,
            sender,
            outbox,
        };
        // The response's headers go out before the hello came in: a client may wait for them first.
        tokio::spawn(reader.run());
        Ok(Response::new(stream))
    }
}

struct Reader {
    frames: Streaming<wire::ToServerFrame>,
    reach: Arc<Reach>,
    handle: Handle,
    caller: Caller,
    sender: gate::Caller,
    outbox: Arc<SessionOutbox>,
}

impl Reader {
    async fn run(mut self) {
        let ended = match self.open().await {
            Ok(stream) => {
                let ended = self.read(stream).await;
                // Where the loop has ended, so have all streams.
                let _ = self.handle.closed(stream).await;
                ended
            }
            Err(error) => Err(error),
        };
        if let Err(error) = ended {
            self.outbox.put(|queue| queue.fail(error.into()));
        }
        self.outbox.end();
    }

    async fn open(&mut self) -> Result<StreamId, LinkError> {
        let first = timeout(HELLO_WAIT_MAX, self.frames.message()).await;
        let first = first.map_err(|_| LinkError::HelloLate)?;
        let first = first.map_err(unreadable)?.unwrap_or_default();
        let mut messages = convert::to_server_frame(first)?.messages;
        let Some(ToServer::Hello(mut hello)) = messages.pop() else {
            return Err(LinkError::HelloMissing);
        };
        hello.nonce = self.caller.nonce(hello.nonce);
        let heard = self.reach.heard_from(&self.sender, hello.session).await;
        heard.map_err(|_| LinkError::Lost)?;
        let outbox = Arc::clone(&self.outbox);
        Ok(self.handle.opened(hello, outbox).await?)
    }

    /// Until the client, or the loop, ends the stream.
    async fn read(&mut self, stream: StreamId) -> Result<(), LinkError> {
        loop {
            let frame = tokio::select! {
                frame = self.frames.message() => frame.map_err(unreadable)?,
                () = self.outbox.ended() => return Ok(()),
            };
            let Some(frame) = frame else {
                return Ok(());
            };
            if frame.hello.is_some() {
                return Err(LinkError::HelloAgain);
            }
            let frame = convert::to_server_frame(frame)?;
            self.handle.frame(stream, frame).await?;
        }
    }
}

/// What the transport's complaint about a frame means.
fn unreadable(status: Status) -> LinkError {
    match status.code() {
        Code::OutOfRange | Code::ResourceExhausted => LinkError::FrameTooLong,
        // The decoder's own complaints have no cause behind them.
        Code::Internal if status.source().is_none() => {
            LinkError::FrameGarbled(status.message().into())
        }
        _ => LinkError::Connection(status.message().into()),
    }
}

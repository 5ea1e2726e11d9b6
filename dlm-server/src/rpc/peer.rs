//! The streams of other servers: what they say is given to the loop.

use std::sync::Arc;

use glockwork_proto::fault::Member;
use glockwork_proto::peer::{PeerHello, PeerWelcome};
use glockwork_proto::{VersionRange, WireError, convert, render, wire};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use tracing::{info, warn};

use super::reach::{Reach, Running};
use crate::gate;
use crate::limits::HELLO_WAIT_MAX;
use crate::runtime::{Handle, reason};

/// `glockwork.v1.Peer`.
#[derive(Debug)]
pub(crate) struct PeerService {
    reach: Arc<Reach>,
}

impl PeerService {
    pub(crate) const fn new(reach: Arc<Reach>) -> Self {
        Self { reach }
    }

    fn greet(&self, running: &Running, hello: &PeerHello) -> Result<PeerWelcome, Status> {
        if hello.cluster != running.identity.cluster.0 {
            return Err(Status::failed_precondition(format!(
                "server {} belongs to cluster {:032x}, and you to {:032x}; correct the address",
                self.reach.server.0, running.identity.cluster.0, hello.cluster
            )));
        }
        let version = VersionRange::OURS
            .newest_common(hello.versions)
            .map_err(|_| {
                Status::failed_precondition(format!(
                    "no common protocol version: server {} speaks {}, and server {} speaks {}; upgrade the \
                     older of the two",
                    self.reach.server.0,
                    VersionRange::OURS,
                    hello.server.0,
                    hello.versions
                ))
            })?;
        Ok(PeerWelcome {
            cluster: running.identity.cluster.0,
            server: self.reach.server,
            identity: running.identity.server_identity.0,
            version,
        })
    }
}

type Replies = ReceiverStream<Result<wire::PeerWelcome, Status>>;

#[tonic::async_trait]
impl wire::peer_server::Peer for PeerService {
    type StreamStream = Replies;

    async fn stream(
        &self,
        request: Request<Streaming<wire::PeerFrame>>,
    ) -> Result<Response<Replies>, Status> {
        self.reach.caller(&request)?.server()?;
        let running = self.reach.running()?;
        let sender = gate::Caller::of(&request);
        let mut frames = request.into_inner();
        let first = timeout(HELLO_WAIT_MAX, frames.message()).await;
        let first = first.map_err(|_| Status::deadline_exceeded("no hello came in time"))??;
        let first = convert::peer_frame(first.unwrap_or_default()).map_err(garbled)?;
        let hello = first
            .hello
            .ok_or_else(|| Status::invalid_argument("the first frame has no hello"))?;
        sender.is(Member::Server(hello.server)).await?;
        let welcome = self.greet(&running, &hello)?;
        let handle = running.handle.clone();
        handle
            .peer_opened(hello.server, hello.endpoint.clone())
            .await?;
        info!(server = hello.server.0, endpoint = %hello.endpoint, "server connected");
        // The welcome is all that is ever said in this direction; the stream stays open as long as the
        // other side's does, and so shows each side that the other is there.
        let (open, replies) = mpsc::channel(1);
        let welcome = Ok(render::peer_welcome(welcome));
        open.try_send(welcome)
            .expect("a new channel has room for one");
        tokio::spawn(async move {
            if let Err(status) = read(frames, &handle, &hello).await {
                let why = reason(&status);
                warn!(server = hello.server.0, "server's stream ended: {why}");
            }
            drop(open);
        });
        Ok(Response::new(ReceiverStream::new(replies)))
    }
}

async fn read(
    mut frames: Streaming<wire::PeerFrame>,
    handle: &Handle,
    hello: &PeerHello,
) -> Result<(), Status> {
    while let Some(frame) = frames.message().await? {
        let frame = convert::peer_frame(frame).map_err(garbled)?;
        handle.peer_said(hello.server, frame.messages).await?;
    }
    Ok(())
}

fn garbled(error: WireError) -> Status {
    Status::invalid_argument(error.to_string())
}

//! A stream to a server, and the calls that are needed before there is one: frames in, frames out.

use std::net::SocketAddr;
use std::time::Duration;

use dlm_core::link::{FromServer, StreamRefusal};
use dlm_server::embedded::Server;
use glockwork_proto::link::FromServerFrame;
use glockwork_proto::wire::cluster_client::ClusterClient;
use glockwork_proto::wire::link_client::LinkClient;
use glockwork_proto::{convert, render, wire};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};

/// Long enough for a busy machine; a test that gets here has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// How often a session says that it lives.
const KEEPALIVE: Duration = Duration::from_millis(500);

/// Starts a server on a free port.
pub(crate) async fn serve() -> Server {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    Server::start(any).await.unwrap()
}

/// Connects to it.
pub(crate) async fn channel(server: &Server) -> Channel {
    connect(server.addr()).await
}

/// Connects to whatever server is there.
pub(crate) async fn connect(addr: SocketAddr) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{addr}")).unwrap();
    endpoint.connect().await.unwrap()
}

/// How a server ended a stream.
#[derive(Debug)]
pub(crate) enum Ended {
    /// With a last word.
    Refused(StreamRefusal),
    /// With an error.
    Status(Status),
    /// With nothing.
    Quietly,
}

impl Ended {
    /// The error, of one line.
    pub(crate) fn status(self) -> Status {
        let Self::Status(status) = self else {
            panic!("the stream ends with an error: {self:?}");
        };
        let message = status.message();
        assert!(!message.is_empty() && !message.contains('\n'), "{message}");
        status
    }

    /// The last word.
    pub(crate) fn refusal(self) -> StreamRefusal {
        let Self::Refused(why) = self else {
            panic!("the stream ends with a last word: {self:?}");
        };
        why
    }
}

/// A stream, which may never be a session's.
pub(crate) struct Link {
    frames: mpsc::Sender<wire::ToServerFrame>,
    incoming: Streaming<wire::FromServerFrame>,
    /// What was read and put back.
    put_back: Option<FromServerFrame>,
    /// How many frames went out and came in.
    pub(crate) sent: usize,
    pub(crate) read: usize,
}

impl Link {
    /// Opens a stream on which this frame goes out at once.
    pub(crate) async fn open(channel: &Channel, first: wire::ToServerFrame) -> Self {
        let (frames, outgoing) = mpsc::channel(1);
        frames.send(first).await.unwrap();
        let mut client = LinkClient::new(channel.clone());
        let incoming = client.stream(ReceiverStream::new(outgoing)).await.unwrap();
        Self {
            frames,
            incoming: incoming.into_inner(),
            put_back: None,
            sent: 1,
            read: 0,
        }
    }

    /// Waits until there is room for the frame.
    pub(crate) async fn send(&mut self, frame: wire::ToServerFrame) {
        self.sent += 1;
        self.frames.send(frame).await.unwrap();
    }

    /// For frames that nobody counts.
    pub(crate) fn sender(&self) -> mpsc::Sender<wire::ToServerFrame> {
        self.frames.clone()
    }

    /// Puts back what is to come next, where there is anything.
    pub(crate) fn put_back(&mut self, frame: FromServerFrame) {
        self.put_back = Some(frame).filter(|frame| *frame != FromServerFrame::default());
    }

    /// What comes next; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<FromServerFrame>, Status> {
        if let Some(frame) = self.put_back.take() {
            return Ok(Some(frame));
        }
        let next = timeout(PATIENCE, self.incoming.message()).await;
        let frame = next.expect("the server answers or ends the stream")?;
        self.read += 1;
        Ok(frame.map(|frame| convert::from_server_frame(frame).unwrap()))
    }

    /// Reads until the server ends it.
    pub(crate) async fn ended(&mut self) -> Ended {
        let mut last = None;
        loop {
            match self.next().await {
                Ok(Some(frame)) => last = frame.messages.into_iter().next_back().or(last),
                Ok(None) => {
                    return match last {
                        Some(FromServer::Refused { why }) => Ended::Refused(why),
                        _ => Ended::Quietly,
                    };
                }
                Err(status) => return Ended::Status(status),
            }
        }
    }
}

/// Renews a session's lease until it is dropped.
pub(crate) struct Renewing(JoinHandle<()>);

impl Renewing {
    pub(crate) fn of((session, nonce): (u64, u128), channel: &Channel) -> Self {
        let mut client = ClusterClient::new(channel.clone());
        let nonce = render::identity(nonce);
        let request = wire::KeepAliveRequest { session, nonce };
        Self(tokio::spawn(async move {
            loop {
                // Whether it is heard, the session sees on its stream.
                let _ = client.keep_alive(request.clone()).await;
                sleep(KEEPALIVE).await;
            }
        }))
    }
}

impl Drop for Renewing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

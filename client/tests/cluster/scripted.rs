//! A server of a cluster that grants whatever is asked for, writes down what it hears, and does as a test
//! wants: it stops answering, ends its streams, names another leader.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use dlm_client::{Mode, Servers, Status, StatusFlags, Token};
use dlm_core::cluster::{CommandRefusal, Endpoint};
use dlm_core::link::{
    Done, Event, EverywhereKind, FromServer, MasterPlace, OperationKind, PlaceOrigin, SlotMap,
    SlotPlace, ToServer, Welcome,
};
use dlm_core::{Epoch, Incarnation, LogIndex, ServerId, SlotId};
use glockwork_proto::cluster::{Answer, Joined, Opened};
use glockwork_proto::link::FromServerFrame;
use glockwork_proto::wire::cluster_server::{Cluster, ClusterServer};
use glockwork_proto::wire::link_server::{Link, LinkServer};
use glockwork_proto::{convert, render, wire};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::transport::{Server, ServerTlsConfig};
use tonic::{Request, Response, Status as RpcStatus, Streaming};

/// The lease that it gives where a test does not say: longer than a busy machine keeps a keepalive waiting.
const LEASE_US: u64 = 10_000_000;

const JOINED: LogIndex = LogIndex(5);
const EPOCH: Epoch = Epoch(1);

/// What a test can see and change.
pub(crate) struct Script {
    pub(crate) addr: SocketAddr,
    pub(crate) lease_us: AtomicU64,
    /// When it answered a keepalive the last time.
    renewed: Mutex<Instant>,
    /// What was heard, in order.
    heard: Mutex<Vec<String>>,
    /// Whether it answers at all.
    pub(crate) silent: AtomicBool,
    /// Whether it takes operations and keeps quiet about them.
    pub(crate) forgets: AtomicBool,
    /// Who leads, where it is somebody else.
    pub(crate) leader: Mutex<Option<Option<SocketAddr>>>,
    /// What openers of lockspaces are told.
    pub(crate) refuses: Mutex<Option<CommandRefusal>>,
    /// Ends the streams that are open.
    ends: watch::Sender<u64>,
    /// The last number that it has taken, over all streams.
    taken: AtomicU64,
    /// Events that it has sent, over all streams.
    sent: AtomicU64,
}

impl Script {
    /// A server on a port of its own.
    pub(crate) async fn start() -> Arc<Self> {
        Self::start_with(None).await
    }

    /// The same, with TLS where that is given.
    pub(crate) async fn start_with(tls: Option<ServerTlsConfig>) -> Arc<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let script = Arc::new(Self {
            addr: listener.local_addr().unwrap(),
            lease_us: AtomicU64::new(LEASE_US),
            renewed: Mutex::new(Instant::now()),
            heard: Mutex::default(),
            silent: AtomicBool::new(false),
            forgets: AtomicBool::new(false),
            leader: Mutex::default(),
            refuses: Mutex::default(),
            ends: watch::channel(0).0,
            taken: AtomicU64::new(0),
            sent: AtomicU64::new(0),
        });
        let mut server = Server::builder();
        if let Some(tls) = tls {
            server = server.tls_config(tls).unwrap();
        }
        let serves = server
            .add_service(ClusterServer::new(Serves(Arc::clone(&script))))
            .add_service(LinkServer::new(Serves(Arc::clone(&script))))
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(serves);
        script
    }

    pub(crate) fn servers(&self) -> Servers {
        Servers::parse(&self.addr.to_string()).unwrap()
    }

    fn hears(&self, what: String) {
        self.heard.lock().unwrap().push(what);
    }

    /// Whether a cluster may declare the session dead by now.
    pub(crate) fn may_expire(&self) -> bool {
        let lease = Duration::from_micros(self.lease_us.load(Ordering::SeqCst));
        self.renewed.lock().unwrap().elapsed() >= lease
    }

    /// What was heard, without keepalives.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    pub(crate) fn end_streams(&self) {
        self.ends.send_modify(|count| *count += 1);
    }

    fn map(&self) -> SlotMap {
        let master = MasterPlace {
            server: ServerId(1),
            incarnation: Incarnation(1),
            endpoint: Endpoint::lossy(&self.addr.to_string()),
        };
        let place = |slot| SlotPlace {
            slot,
            epoch: EPOCH,
            since: LogIndex(3),
            origin: PlaceOrigin::Lost,
            serving: true,
            master: Some(master.clone()),
        };
        SlotMap {
            index: JOINED,
            slots: SlotId::all().map(place).collect(),
        }
    }

    async fn answer<T>(&self, done: T) -> Answer<T> {
        if self.silent.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        let leader = *self.leader.lock().unwrap();
        let endpoint = |addr: SocketAddr| Endpoint::lossy(&addr.to_string());
        leader.map_or(Answer::Done(done), |leader| {
            Answer::Leader(leader.map(endpoint))
        })
    }

    /// What it says to a message that is new to it.
    fn takes(&self, message: ToServer) -> Option<FromServer> {
        let (number, slot, event) = match message {
            ToServer::Operation {
                number,
                op,
                slot,
                epoch,
                kind,
            } => {
                let (mode, status) = match kind {
                    OperationKind::Request { mode, .. } | OperationKind::Convert { mode, .. } => {
                        (Some(mode), Status::Granted)
                    }
                    OperationKind::Unlock { .. } => (None, Status::Unlocked),
                    OperationKind::Cancel { .. } => (Some(Mode::Ex), Status::NothingToCancel),
                };
                let done = Done {
                    op,
                    lock: kind.lock(),
                    status,
                    mode,
                    token: Token(9),
                    flags: StatusFlags::empty(),
                    value: None,
                    value_sequence: 0,
                };
                (number, Some((slot, epoch)), Event::Done(done))
            }
            ToServer::Everywhere { number, op, .. } => {
                (number, None, Event::Purged { op, locks: 0 })
            }
            _ => return None,
        };
        if number <= self.taken.load(Ordering::SeqCst) {
            return None;
        }
        self.taken.store(number, Ordering::SeqCst);
        if self.forgets.load(Ordering::SeqCst) {
            return None;
        }
        let sequence = self.sent.fetch_add(1, Ordering::SeqCst) + 1;
        Some(FromServer::Event {
            sequence,
            slot,
            event,
        })
    }
}

fn name_of(message: &ToServer) -> Option<&'static str> {
    Some(match message {
        ToServer::Operation { kind, .. } => match kind {
            OperationKind::Request { .. } => "request",
            OperationKind::Convert { .. } => "convert",
            OperationKind::Unlock { .. } => "unlock",
            OperationKind::Cancel { .. } => "cancel",
        },
        ToServer::Everywhere { kind, .. } => match kind {
            EverywhereKind::OwnerEnded { .. } => "owner ended",
            EverywhereKind::PurgeOrphans { .. } => "purge",
            EverywhereKind::LeaveLockspace { .. } => "leave",
        },
        _ => return None,
    })
}

struct Serves(Arc<Script>);

type Reply<T> = Result<Response<T>, RpcStatus>;

#[tonic::async_trait]
impl Cluster for Serves {
    async fn join(&self, request: Request<wire::JoinRequest>) -> Reply<wire::JoinReply> {
        let name = request.into_inner().name;
        self.0.hears(format!("join {name}"));
        let joined = Joined {
            session: dlm_client::SessionId(7),
            joined: JOINED,
            version: 1,
            lease_us: self.0.lease_us.load(Ordering::SeqCst),
        };
        let answer = self.0.answer(joined).await;
        *self.0.renewed.lock().unwrap() = Instant::now();
        Ok(Response::new(render::join_reply(answer)))
    }

    async fn keep_alive(&self, _: Request<wire::KeepAliveRequest>) -> Reply<wire::KeepAliveReply> {
        let answer = self.0.answer(JOINED).await;
        *self.0.renewed.lock().unwrap() = Instant::now();
        Ok(Response::new(render::keepalive_reply(answer)))
    }

    async fn goodbye(&self, _: Request<wire::GoodbyeRequest>) -> Reply<wire::PlainReply> {
        self.0.hears("goodbye".into());
        let answer = self.0.answer(()).await;
        Ok(Response::new(render::plain_reply(answer)))
    }

    async fn open_lockspace(
        &self,
        request: Request<wire::OpenLockspaceRequest>,
    ) -> Reply<wire::OpenLockspaceReply> {
        self.0.hears(format!("open {}", request.into_inner().name));
        let opened = Opened {
            lockspace: dlm_client::LockspaceId(3),
            options: dlm_core::cluster::ClusterOptions::default(),
            replays: vec![dlm_client::SessionId(2)],
        };
        let refuses = self.0.refuses.lock().unwrap().clone();
        let answer = match refuses {
            Some(why) => Answer::Refused(why),
            None => self.0.answer(opened).await,
        };
        Ok(Response::new(render::open_lockspace_reply(answer)))
    }

    async fn leave_lockspace(
        &self,
        _: Request<wire::LeaveLockspaceRequest>,
    ) -> Reply<wire::PlainReply> {
        self.0.hears("left".into());
        let answer = self.0.answer(()).await;
        Ok(Response::new(render::plain_reply(answer)))
    }

    async fn map(&self, _: Request<wire::MapRequest>) -> Reply<wire::MapReply> {
        let map = self.0.map();
        let answer = self.0.answer(map).await;
        Ok(Response::new(render::map_reply(answer)))
    }

    async fn status(
        &self,
        _: Request<wire::ClusterStatusRequest>,
    ) -> Reply<wire::ClusterStatusReply> {
        Err(RpcStatus::unimplemented(""))
    }

    async fn replayed(&self, _: Request<wire::ReplayedRequest>) -> Reply<wire::PlainReply> {
        Err(RpcStatus::unimplemented(""))
    }

    async fn confirm_fence(
        &self,
        _: Request<wire::ConfirmFenceRequest>,
    ) -> Reply<wire::PlainReply> {
        Err(RpcStatus::unimplemented(""))
    }

    async fn add_server(&self, _: Request<wire::AddServerRequest>) -> Reply<wire::PlainReply> {
        Err(RpcStatus::unimplemented(""))
    }

    async fn remove_server(
        &self,
        _: Request<wire::RemoveServerRequest>,
    ) -> Reply<wire::PlainReply> {
        Err(RpcStatus::unimplemented(""))
    }

    async fn evict(&self, _: Request<wire::EvictRequest>) -> Reply<wire::PlainReply> {
        Err(RpcStatus::unimplemented(""))
    }

    async fn replayed(&self, _: Request<wire::ReplayedRequest>) -> Reply<wire::PlainReply> {
        Err(RpcStatus::unimplemented(""))
    }

    async fn confirm_fence(
        &self,
        _: Request<wire::ConfirmFenceRequest>,
    ) -> Reply<wire::PlainReply> {
        Err(RpcStatus::unimplemented(""))
    }
}

type Frames = Pin<Box<dyn Stream<Item = Result<wire::FromServerFrame, RpcStatus>> + Send>>;

#[tonic::async_trait]
impl Link for Serves {
    type StreamStream = Frames;

    async fn stream(&self, request: Request<Streaming<wire::ToServerFrame>>) -> Reply<Frames> {
        let (sender, frames) = mpsc::channel(4);
        let script = Arc::clone(&self.0);
        tokio::spawn(async move { serve(script, request.into_inner(), sender).await });
        Ok(Response::new(Box::pin(ReceiverStream::new(frames))))
    }
}

type Frame = Result<wire::FromServerFrame, RpcStatus>;

async fn serve(
    script: Arc<Script>,
    mut frames: Streaming<wire::ToServerFrame>,
    to: mpsc::Sender<Frame>,
) {
    let mut ends = script.ends.subscribe();
    ends.mark_unchanged();
    loop {
        let frame = tokio::select! {
            frame = frames.next() => frame,
            _ = ends.changed() => return,
        };
        let Some(Ok(frame)) = frame else { return };
        let frame = convert::to_server_frame(frame).unwrap();
        let mut says = VecDeque::new();
        for message in frame.messages {
            if let ToServer::Hello(hello) = &message {
                script.hears(format!("hello {}", hello.generation));
                says.push_back(FromServer::Welcome(Welcome {
                    version: 1,
                    incarnation: Incarnation(1),
                    last_number: script.taken.load(Ordering::SeqCst),
                    map: script.map(),
                }));
            } else {
                script
                    .heard
                    .lock()
                    .unwrap()
                    .extend(name_of(&message).map(String::from));
                says.extend(script.takes(message));
            }
        }
        while !says.is_empty() {
            let frame = FromServerFrame::of_queue(&mut says);
            if to.send(Ok(render::from_server_frame(frame))).await.is_err() {
                return;
            }
        }
    }
}

//! A client as raw as it gets: frames in, frames out.

#![allow(dead_code, reason = "each test program uses a part of it")]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use dlm_core::{
    LockId, LockspaceId, LockspaceOptions, Mode, OpId, Owner, RequestFlags, ResourceName,
    SessionId, Status, Token,
};
use dlm_server::embedded::Server;
use glockwork_proto::frame::{
    ClientFrame, Event, Hello, HoldersReport, Operation, OperationKind, QueryId,
};
use glockwork_proto::glocks::GlocksQuery;
use glockwork_proto::wire::lock_client::LockClient;
use glockwork_proto::{Name, VersionRange, convert, render, wire};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

/// Long enough for a busy machine; a test that gets here has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Starts a server on a free port.
pub(crate) async fn serve() -> Server {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    Server::start(any).await.unwrap()
}

/// Connects to it.
pub(crate) async fn channel(server: &Server) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{}", server.addr())).unwrap();
    endpoint.connect().await.unwrap()
}

/// Opens a stream on which these frames go out at once.
pub(crate) async fn open(server: &Server, first: &[wire::ClientFrame]) -> Stream {
    let (frames, outgoing) = mpsc::channel(first.len().max(1));
    for frame in first {
        frames.send(frame.clone()).await.unwrap();
    }
    let mut client = LockClient::new(channel(server).await);
    let incoming = client.session(ReceiverStream::new(outgoing)).await.unwrap();
    Stream {
        frames,
        incoming: incoming.into_inner(),
    }
}

/// A stream that is not a session yet, and may never be.
pub(crate) struct Stream {
    pub(crate) frames: mpsc::Sender<wire::ClientFrame>,
    pub(crate) incoming: Streaming<wire::ServerFrame>,
}

impl Stream {
    pub(crate) async fn next(&mut self) -> Result<Option<wire::ServerFrame>, tonic::Status> {
        let next = timeout(PATIENCE, self.incoming.message()).await;
        next.expect("the server answers or ends the stream")
    }

    /// The error with which the server ends it.
    pub(crate) async fn error(&mut self) -> tonic::Status {
        loop {
            match self.next().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("the stream ended without an error"),
                Err(status) => return status,
            }
        }
    }
}

pub(crate) fn hello(name: &str) -> wire::ClientFrame {
    render::hello(&Hello {
        versions: VersionRange::OURS,
        name: Name::new(name).unwrap(),
    })
}

/// What a test compares: how an operation ended, or that somebody waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Done(u64, Status, Option<Mode>),
    Blocking(u64, Mode),
}

/// A session with one lockspace open.
pub(crate) struct Raw {
    pub(crate) session: SessionId,
    pub(crate) stream: Stream,
    pub(crate) lockspace: LockspaceId,
    pub(crate) queries: VecDeque<QueryId>,
    glocks_queries: VecDeque<GlocksQuery>,
    pub(crate) tokens: Vec<Token>,
    events: VecDeque<Event>,
    op: u64,
}

impl Raw {
    pub(crate) async fn join(server: &Server, name: &str) -> Self {
        let mut stream = open(server, &[hello(name)]).await;
        let first = stream.next().await.unwrap().unwrap();
        let mut raw = Self {
            session: convert::welcome(&first).unwrap().session,
            stream,
            lockspace: LockspaceId(0),
            queries: VecDeque::new(),
            glocks_queries: VecDeque::new(),
            tokens: Vec::new(),
            events: VecDeque::new(),
            op: 0,
        };
        let name = Name::new("test").unwrap();
        raw.open(name, None).await;
        raw
    }

    /// Opens a lockspace, and uses it from now on.
    pub(crate) async fn open(&mut self, name: Name, options: Option<LockspaceOptions>) {
        self.send(OperationKind::OpenLockspace { name, options })
            .await;
        let event = self.event().await;
        let Event::LockspaceOpened { lockspace, .. } = event else {
            panic!("the lockspace opens: {event:?}");
        };
        self.lockspace = lockspace;
    }

    /// Numbers it.
    pub(crate) fn operation(&mut self, kind: OperationKind) -> Operation {
        self.op += 1;
        let op = OpId(self.op);
        Operation { op, kind }
    }

    pub(crate) async fn send(&mut self, kind: OperationKind) {
        let operations = vec![self.operation(kind)];
        self.send_frame(&ClientFrame {
            operations,
            ..ClientFrame::default()
        })
        .await;
    }

    pub(crate) async fn send_frame(&mut self, frame: &ClientFrame) {
        let sent = self.stream.frames.send(render::client_frame(frame));
        sent.await.unwrap();
    }

    /// A request for lock `lock` on resource `name`.
    pub(crate) fn request_for(&self, lock: u64, name: &str, mode: Mode) -> OperationKind {
        OperationKind::Request {
            lockspace: self.lockspace,
            lock: LockId(lock),
            name: ResourceName::new(name.as_bytes()).unwrap(),
            mode,
            flags: RequestFlags::empty(),
            owner: Owner(0),
        }
    }

    pub(crate) async fn request(&mut self, lock: u64, name: &str, mode: Mode) {
        self.send(self.request_for(lock, name, mode)).await;
    }

    pub(crate) async fn unlock(&mut self, lock: u64) {
        let lock = LockId(lock);
        self.send(OperationKind::Unlock {
            lock,
            flags: RequestFlags::empty(),
            value: None,
        })
        .await;
    }

    pub(crate) async fn cancel(&mut self, lock: u64) {
        let lock = LockId(lock);
        self.send(OperationKind::Cancel { lock }).await;
    }

    pub(crate) async fn event(&mut self) -> Event {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            self.read_frame().await;
        }
    }

    async fn read_frame(&mut self) {
        let frame = self.stream.next().await.unwrap();
        let frame = convert::server_frame(frame.expect("the stream goes on")).unwrap();
        self.events.extend(frame.events);
        self.queries.extend(frame.query);
        self.glocks_queries.extend(frame.glocks_query);
    }

    /// What comes next, by lock.
    pub(crate) async fn told(&mut self) -> Told {
        match self.event().await {
            Event::Done {
                lock,
                status,
                mode,
                token,
                ..
            } => {
                self.tokens.push(token);
                Told::Done(lock.0, status, mode)
            }
            Event::Blocking { lock, mode } => Told::Blocking(lock.0, mode),
            other => panic!("unexpected {other:?}"),
        }
    }

    /// Requests a lock that is free.
    pub(crate) async fn hold(&mut self, lock: u64, name: &str, mode: Mode) {
        self.request(lock, name, mode).await;
        let granted = Told::Done(lock, Status::Granted, Some(mode));
        assert_eq!(self.told().await, granted);
    }

    /// Waits for a question after glocks.
    pub(crate) async fn glocks_query(&mut self) -> GlocksQuery {
        while self.glocks_queries.is_empty() {
            self.read_frame().await;
        }
        self.glocks_queries.pop_front().unwrap()
    }

    /// Waits for a query and answers it as a client without glocks does.
    pub(crate) async fn answer_query(&mut self) {
        while self.queries.is_empty() {
            self.read_frame().await;
        }
        let query = self.queries.pop_front().unwrap();
        self.send_frame(&ClientFrame {
            report: Some(HoldersReport {
                query,
                tasks: Vec::new(),
                glocks: Vec::new(),
            }),
            ..ClientFrame::default()
        })
        .await;
    }
}

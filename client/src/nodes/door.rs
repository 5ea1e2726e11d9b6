//! A node's side of its service: gRPC on a socket, and behind it whatever takes [`Orders`].

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use glockwork_proto::wire::node_server::{Node, NodeServer};
use glockwork_proto::{NODE_DESCRIPTORS, WireError, convert, render, wire};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::sleep;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use super::{
    Errors, Ledger, NODE_MESSAGE_BYTES_MAX, NodeStatus, Progress, Report, StoreFailure, Workload,
    WorkloadResult,
};
use crate::error::innermost;
use crate::tls::Tls;

/// How often a watcher is told what is new.
const REPORT_EVERY: Duration = Duration::from_millis(100);
/// The most intervals in one report: two minutes of them.
const INTERVALS_MAX: usize = 1200;
/// The most characters in one piece of a dump.
const PIECE_CHARS_MAX: usize = 64 << 10;
/// Pieces and reports that wait for their reader.
const WAITING_MAX: usize = 4;

/// What a node can be asked for. Calls may take as long as they need: each has a thread of its own.
pub trait Orders: Send + Sync + 'static {
    /// What it says of itself.
    fn status(&self) -> NodeStatus;

    /// Writes its part of the files, and says what was wrong there.
    ///
    /// # Errors
    /// [`OrderError`]; so for all that follows.
    fn prepare(&self, workload: Workload) -> Result<Errors, OrderError>;

    /// Lets the prepared tasks go: for as long as was said when they were prepared, or for this many microseconds.
    ///
    /// # Errors
    /// See [`Self::prepare`].
    fn start(&self, run: u64, length_us: Option<u64>) -> Result<(), OrderError>;

    /// What the tasks did, in at most `intervals_max` intervals from `from` on.
    ///
    /// # Errors
    /// See [`Self::prepare`].
    fn progress(&self, run: u64, from: u64, intervals_max: usize) -> Result<Progress, OrderError>;

    /// What came of them, once they have ended.
    ///
    /// # Errors
    /// See [`Self::prepare`].
    fn result(&self, run: u64) -> Result<Option<WorkloadResult>, OrderError>;

    /// Ends the tasks; with `interrupt` also those that wait for locks.
    ///
    /// # Errors
    /// See [`Self::prepare`].
    fn stop(&self, run: u64, interrupt: bool) -> Result<(), OrderError>;

    /// Reads what tasks of other nodes say they wrote, and says what was wrong.
    ///
    /// # Errors
    /// See [`Self::prepare`].
    fn verify(&self, run: u64, ledgers: Vec<Ledger>) -> Result<Errors, OrderError>;

    /// Its glocks, in the format of gfs2's debugfs file.
    fn glocks(&self) -> String;

    /// Stops the volume; the process is to end.
    fn withdraw(&self, why: &str);

    /// Makes the storage fail, or work again.
    ///
    /// # Errors
    /// See [`Self::prepare`].
    fn fail_store(&self, failure: StoreFailure) -> Result<(), OrderError>;
}

/// Why a node does not do what it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OrderError {
    /// It does something else.
    #[error("it is busy with run {run}; stop that, or wait for its end")]
    Busy {
        /// Which.
        run: u64,
    },
    /// It does not know this run.
    #[error("it has no run {run}; prepare it first")]
    NoRun {
        /// Which.
        run: u64,
    },
    /// The volume is no place for it.
    #[error("{0}")]
    Unfit(String),
    /// It was tried and did not work.
    #[error("{0}")]
    Failed(String),
    /// It was started without leave to do this.
    #[error("it was started without --allow-faults, and does not fail on request")]
    NotAllowed,
}

impl From<OrderError> for Status {
    fn from(error: OrderError) -> Self {
        let says = error.to_string();
        match error {
            OrderError::Busy { .. } | OrderError::NotAllowed => Self::failed_precondition(says),
            OrderError::NoRun { .. } => Self::not_found(says),
            OrderError::Unfit(_) => Self::invalid_argument(says),
            OrderError::Failed(_) => Self::internal(says),
        }
    }
}

/// Why a node cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum DoorError {
    /// The socket.
    #[error("cannot listen on {addr}: {source}; give another --listen")]
    Listen {
        /// Where.
        addr: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// The certificates.
    #[error(
        "the node cannot be reached over TLS: {0}; it takes --tls-ca, --tls-cert and --tls-key"
    )]
    Tls(String),
    /// The transport ended.
    #[error("nobody can give orders any more: {0}")]
    Broken(String),
}

/// A socket that takes orders for a node.
#[derive(Debug)]
pub struct Door {
    listener: TcpListener,
    addr: SocketAddr,
}

impl Door {
    /// Listens; whoever connects waits until [`Self::serve`].
    ///
    /// # Errors
    /// [`DoorError::Listen`].
    pub async fn bind(addr: SocketAddr) -> Result<Self, DoorError> {
        let failed = |source| DoorError::Listen { addr, source };
        let listener = TcpListener::bind(addr).await.map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, addr })
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Takes orders until the future is dropped.
    ///
    /// # Errors
    /// [`DoorError::Tls`], [`DoorError::Broken`].
    pub async fn serve(self, orders: Arc<dyn Orders>, tls: Option<&Tls>) -> Result<(), DoorError> {
        let broken = |error: &dyn std::error::Error| DoorError::Broken(error.to_string());
        let mut server = Server::builder().tcp_nodelay(true);
        if let Some(tls) = tls {
            let config = tls
                .server_config()
                .ok_or_else(|| DoorError::Tls("it has no certificate of its own".into()))?;
            let with_tls = server.tls_config(config);
            server = with_tls.map_err(|error| DoorError::Tls(innermost(&error)))?;
        }
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(NODE_DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let v1 = reflection().build_v1().map_err(|error| broken(&error))?;
        let v1alpha = reflection().build_v1alpha();
        let v1alpha = v1alpha.map_err(|error| broken(&error))?;
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_serving::<NodeServer<Desk>>().await;
        let node = NodeServer::new(Desk { orders })
            .max_decoding_message_size(NODE_MESSAGE_BYTES_MAX)
            .max_encoding_message_size(NODE_MESSAGE_BYTES_MAX);
        server
            .add_service(node)
            .add_service(health_service)
            .add_service(v1)
            .add_service(v1alpha)
            .serve_with_incoming(TcpListenerStream::new(self.listener))
            .await
            .map_err(|error| broken(&error))
    }
}

/// Where orders come in.
#[derive(Clone)]
struct Desk {
    orders: Arc<dyn Orders>,
}

impl Desk {
    /// Does what may take long.
    async fn ask<T: Send + 'static>(
        &self,
        what: impl FnOnce(&dyn Orders) -> T + Send + 'static,
    ) -> Result<T, Status> {
        let orders = Arc::clone(&self.orders);
        let asked = tokio::task::spawn_blocking(move || what(&*orders));
        asked
            .await
            .map_err(|error| Status::internal(error.to_string()))
    }
}

fn meaningless(error: &WireError) -> Status {
    Status::invalid_argument(error.to_string())
}

#[tonic::async_trait]
impl Node for Desk {
    type GlocksStream = ReceiverStream<Result<wire::TextPiece, Status>>;
    type WatchWorkloadStream = ReceiverStream<Result<wire::WorkloadReport, Status>>;

    async fn status(
        &self,
        _: Request<wire::NodeStatusRequest>,
    ) -> Result<Response<wire::NodeStatusReply>, Status> {
        let status = self.ask(|orders| orders.status()).await?;
        Ok(Response::new(render::node_status(status)))
    }

    async fn glocks(
        &self,
        _: Request<wire::NodeGlocksRequest>,
    ) -> Result<Response<Self::GlocksStream>, Status> {
        let dump = self.ask(|orders| orders.glocks()).await?;
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        tokio::spawn(async move {
            let mut rest = dump.as_str();
            while !rest.is_empty() {
                let end = rest.char_indices().nth(PIECE_CHARS_MAX);
                let (piece, left) = rest.split_at(end.map_or(rest.len(), |(at, _)| at));
                rest = left;
                let text = piece.to_owned();
                if sender.send(Ok(wire::TextPiece { text })).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn withdraw(
        &self,
        request: Request<wire::WithdrawRequest>,
    ) -> Result<Response<wire::WithdrawReply>, Status> {
        let why = request.into_inner().why;
        self.ask(move |orders| orders.withdraw(&why)).await?;
        Ok(Response::new(wire::WithdrawReply {}))
    }

    async fn fail_store(
        &self,
        request: Request<wire::FailStoreRequest>,
    ) -> Result<Response<wire::FailStoreReply>, Status> {
        let failure = convert::store_failure(request.into_inner());
        let failure = failure.map_err(|error| meaningless(&error))?;
        self.ask(move |orders| orders.fail_store(failure)).await??;
        Ok(Response::new(wire::FailStoreReply {}))
    }

    async fn prepare_workload(
        &self,
        request: Request<wire::Workload>,
    ) -> Result<Response<wire::PrepareWorkloadReply>, Status> {
        let workload = convert::workload(&request.into_inner());
        let workload = workload.map_err(|error| meaningless(&error))?;
        let found = self.ask(move |orders| orders.prepare(workload)).await??;
        let found = Some(render::workload_errors(found));
        Ok(Response::new(wire::PrepareWorkloadReply { found }))
    }

    async fn start_workload(
        &self,
        request: Request<wire::StartWorkloadRequest>,
    ) -> Result<Response<wire::StartWorkloadReply>, Status> {
        let wire::StartWorkloadRequest { run, length_us } = request.into_inner();
        self.ask(move |orders| orders.start(run, length_us))
            .await??;
        Ok(Response::new(wire::StartWorkloadReply {}))
    }

    async fn watch_workload(
        &self,
        request: Request<wire::WatchWorkloadRequest>,
    ) -> Result<Response<Self::WatchWorkloadStream>, Status> {
        let wire::WatchWorkloadRequest { run, from } = request.into_inner();
        // A run that is not known is an answer and no stream.
        self.ask(move |orders| orders.progress(run, from, 0))
            .await??;
        let (sender, receiver) = mpsc::channel(WAITING_MAX);
        let desk = self.clone();
        tokio::spawn(async move {
            let mut from = from;
            loop {
                let (next, report) = match desk.report(run, from).await {
                    Ok(next_and_report) => next_and_report,
                    Err(status) => {
                        // A reader that is gone need not know.
                        let _ = sender.send(Err(status)).await;
                        return;
                    }
                };
                let (whole, ended) = match &report {
                    Report::Progress(progress) => (progress.ops.len() == INTERVALS_MAX, false),
                    Report::Ended(_) => (false, true),
                };
                let sent = sender.send(Ok(render::workload_report(report))).await;
                if sent.is_err() || ended {
                    return;
                }
                from = next;
                if !whole {
                    sleep(REPORT_EVERY).await;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn stop_workload(
        &self,
        request: Request<wire::StopWorkloadRequest>,
    ) -> Result<Response<wire::StopWorkloadReply>, Status> {
        let wire::StopWorkloadRequest { run, interrupt } = request.into_inner();
        self.ask(move |orders| orders.stop(run, interrupt))
            .await??;
        Ok(Response::new(wire::StopWorkloadReply {}))
    }

    async fn verify_workload(
        &self,
        request: Request<wire::VerifyWorkloadRequest>,
    ) -> Result<Response<wire::VerifyWorkloadReply>, Status> {
        let wire::VerifyWorkloadRequest { run, ledgers } = request.into_inner();
        let ledgers = convert::ledgers(ledgers).map_err(|error| meaningless(&error))?;
        let found = self
            .ask(move |orders| orders.verify(run, ledgers))
            .await??;
        let found = Some(render::workload_errors(found));
        Ok(Response::new(wire::VerifyWorkloadReply { found }))
    }
}

impl Desk {
    /// What is new from interval `from` on, and where the next report begins: intervals first, until a result is there
    /// and all intervals before it have been told.
    async fn report(&self, run: u64, from: u64) -> Result<(u64, Report), Status> {
        let asked = self.ask(move |orders| {
            // In this order: what a result sums up has been counted in intervals.
            let result = orders.result(run)?;
            let progress = orders.progress(run, from, INTERVALS_MAX)?;
            Ok::<_, OrderError>((result, progress))
        });
        let (result, progress) = asked.await??;
        match result {
            Some(result) if progress.ops.is_empty() => Ok((from, Report::Ended(Box::new(result)))),
            _ => {
                let next = progress.first + progress.ops.len() as u64;
                Ok((next, Report::Progress(progress)))
            }
        }
    }
}

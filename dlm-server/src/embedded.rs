//! A lock server inside another program: the one door through which others use this crate.

use std::net::SocketAddr;
use std::time::Duration;

use dlm_core::{Limits, ServerId};
use glockwork_proto::wire::fault_server::FaultServer;
use glockwork_proto::wire::inspect_server::InspectServer;
use glockwork_proto::wire::lock_server::LockServer;
use glockwork_proto::{FILE_DESCRIPTOR_SET, FRAME_BYTES_MAX};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic_health::server::HealthReporter;
use tracing::{info, warn};

use crate::error::ServeError;
use crate::gate::Gates;
use crate::limits::{PROBE_INTERVAL, PROBE_WAIT_MAX, STOP_WAIT_MAX};
use crate::rpc::{FaultService, InspectService, LockService};
use crate::search::Search;
use crate::shard::{Command, Shard};

/// A running lock server. It stops when it is dropped; [`stop`](Self::stop) waits until it has.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    shard: JoinHandle<()>,
    health: HealthReporter,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), tonic::transport::Error>>,
}

impl Server {
    /// Starts one on the caller's tokio runtime, which needs time and I/O enabled. Port 0 takes a free
    /// port; [`addr`](Self::addr) says which.
    ///
    /// # Errors
    /// [`ServeError::AddressInUse`] or [`ServeError::Listen`].
    pub async fn start(listen: SocketAddr) -> Result<Self, ServeError> {
        Self::start_behind(listen, Gates::absent()).await
    }

    /// As [`start`](Self::start), with faults of the network put in on request: see [`gate`](crate::gate). For
    /// tests only. It is server 1.
    ///
    /// # Errors
    /// [`ServeError::AddressInUse`] or [`ServeError::Listen`].
    pub async fn start_allowing_faults(listen: SocketAddr) -> Result<Self, ServeError> {
        warn!("faults of the network are put in for whoever asks; for tests only");
        Self::start_behind(listen, Gates::new(ALONE)).await
    }

    async fn start_behind(listen: SocketAddr, gates: Gates) -> Result<Self, ServeError> {
        let failed = |source| ServeError::listen(listen, source);
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        if !addr.ip().is_loopback() {
            warn!(%addr, "clients are not authenticated: whoever reaches this address gets locks");
        }
        let incoming = gates.incoming(listener);

        let (commands, shard) = Shard::start(Limits::default());
        // It ends with the shard.
        tokio::spawn(Search::new(commands.clone()).break_deadlocks());
        let lock = LockServer::new(LockService::new(commands.clone()))
            .max_decoding_message_size(FRAME_BYTES_MAX);
        let inspect = InspectServer::new(InspectService::new(commands.clone()));
        let (_, others) = watch::channel(Vec::new());
        let fault = FaultServer::new(FaultService::new(ALONE, gates, others));
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_serving::<LockServer<LockService>>().await;
        health.set_serving::<InspectServer<InspectService>>().await;
        health.set_serving::<FaultServer<FaultService>>().await;

        let (stop, stopped) = oneshot::channel();
        let router = tonic::transport::Server::builder()
            .http2_keepalive_interval(Some(PROBE_INTERVAL))
            .http2_keepalive_timeout(Some(PROBE_WAIT_MAX))
            .add_service(lock)
            .add_service(inspect)
            .add_service(fault)
            .add_service(health_service)
            .add_service(reflection().build_v1().expect(DESCRIPTOR_IS_OURS))
            .add_service(reflection().build_v1alpha().expect(DESCRIPTOR_IS_OURS));
        let serving = tokio::spawn(router.serve_with_incoming_shutdown(incoming, async move {
            // Told, or dropped.
            let _ = stopped.await;
            // Connections close when their streams have ended, and the shard ends them.
            let _ = commands.send(Command::Stop).await;
        }));
        Ok(Self {
            addr,
            shard,
            health,
            stop,
            serving,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Stops it: sessions end with `UNAVAILABLE`, then connections close. What is still open after
    /// [`STOP_WAIT_MAX`] is left to its client.
    pub async fn stop(self) {
        let services = [
            "",
            "glockwork.v1.Lock",
            "glockwork.v1.Inspect",
            "glockwork.v1.Fault",
        ];
        for service in services {
            let not_serving = tonic_health::ServingStatus::NotServing;
            self.health.set_service_status(service, not_serving).await;
        }
        // Where it has ended already there is nothing to stop.
        let _ = self.stop.send(());
        let _ = timeout(STOP_WAIT_MAX, self.serving).await;
    }
}

/// The number of a server that is alone.
const ALONE: ServerId = ServerId(1);

const DESCRIPTOR_IS_OURS: &str = "the descriptor was made by the compiler that made the code";

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

/// Serves until the process gets SIGINT or SIGTERM. `ready` is called once, with the address, as soon as
/// clients can connect.
///
/// It makes its own runtime with one thread: the shard is one task anyhow, and a message that does not
/// change threads costs a fifth of one that does.
///
/// # Errors
/// [`ServeError`], each in one line that says what to do.
pub fn run(listen: SocketAddr, ready: impl FnOnce(SocketAddr)) -> Result<(), ServeError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ServeError::Runtime)?;
    let result = runtime.block_on(async {
        let mut interrupted = signal(SignalKind::interrupt()).map_err(ServeError::Runtime)?;
        let mut terminated = signal(SignalKind::terminate()).map_err(ServeError::Runtime)?;
        let mut server = Server::start(listen).await?;
        ready(server.addr());
        tokio::select! {
            _ = interrupted.recv() => info!("interrupted"),
            _ = terminated.recv() => info!("terminated"),
            _ = &mut server.shard => return Err(ServeError::Broken),
            ended = &mut server.serving => {
                return ended.map_err(|_| ServeError::Broken)?.map_err(ServeError::from);
            }
        }
        server.stop().await;
        Ok(())
    });
    runtime.shutdown_timeout(Duration::ZERO);
    result
}

//! A running server: its socket, its services, and the loop behind them.

use std::net::SocketAddr;
use std::sync::Arc;

use dlm_core::cluster::Endpoint;
use glockwork_proto::peer::PeerHello;
use glockwork_proto::wire::cluster_server::ClusterServer;
use glockwork_proto::wire::fault_server::FaultServer;
use glockwork_proto::wire::founding_server::FoundingServer;
use glockwork_proto::wire::inspect_server::InspectServer;
use glockwork_proto::wire::link_server::LinkServer;
use glockwork_proto::wire::lock_server::LockServer;
use glockwork_proto::wire::peer_server::PeerServer;
use glockwork_proto::{FRAME_BYTES_MAX, PEER_MESSAGE_BYTES_MAX, SERVER_DESCRIPTORS, VersionRange};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tonic::transport::server::Router;
use tonic_health::server::HealthReporter;
use tracing::warn;

use super::channel::Channels;
use super::dial::Dial;
use super::disk::Disk;
use super::engine::{Begin, Engine};
use super::found::{self, Found};
use super::handle::Handle;
use super::peers::Peers;
use super::spans::{Export, Spans};
use super::{clock, http, random};
use crate::error::ServeError;
use crate::gate::Gates;
use crate::inspect::{InspectService, break_deadlocks};
use crate::limits::{PROBE_INTERVAL, PROBE_WAIT_MAX, STOP_WAIT_MAX};
use crate::node::{Node, NodeConfig};
use crate::replica::{Config, Replica};
use crate::rpc::{
    ClusterService, FaultService, FoundingService, LinkService, LockService, PeerService, Reach,
    Running,
};
use crate::settings::Settings;

/// A running lock server. It stops when it is dropped; [`stop`](Self::stop) waits until it has.
#[derive(Debug)]
pub struct Server {
    addr: SocketAddr,
    http_addr: Option<SocketAddr>,
    announced: watch::Receiver<bool>,
    health: HealthReporter,
    stop: oneshot::Sender<()>,
    living: JoinHandle<Result<(), ServeError>>,
}

impl Server {
    /// Starts one that is alone and in memory, see [`start_with`](Self::start_with).
    ///
    /// # Errors
    /// [`ServeError::AddressInUse`] or [`ServeError::Listen`].
    pub async fn start(listen: SocketAddr) -> Result<Self, ServeError> {
        Self::start_with(&Settings::alone(listen)).await
    }

    /// Starts one on the caller's tokio runtime, which needs time and I/O enabled. Port 0 takes a free
    /// port; [`addr`](Self::addr) says which. A server that is alone serves when this returns; one of several
    /// looks for the others first, see [`announced`](Self::announced).
    ///
    /// # Errors
    /// [`ServeError`], each in one line that says what to do.
    pub async fn start_with(settings: &Settings) -> Result<Self, ServeError> {
        let listen = settings.listen;
        let failed = |source| ServeError::listen(listen, source);
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        Self::start_on(listener, settings).await
    }

    /// The same on a socket that listens already.
    pub(super) async fn start_on(
        listener: TcpListener,
        settings: &Settings,
    ) -> Result<Self, ServeError> {
        let failed = |source| ServeError::listen(settings.listen, source);
        let addr = listener.local_addr().map_err(failed)?;
        if !addr.ip().is_loopback() && settings.tls.is_none() {
            warn!(%addr, "clients are not authenticated: whoever reaches this address gets locks");
        }
        let gates = match settings.faults {
            true => Gates::new(settings.server),
            false => Gates::absent(),
        };
        let incoming = gates.incoming(listener);
        let reach = Arc::new(Reach::new(
            settings.server,
            Channels {
                tls: settings.tls.clone(),
                gates: gates.clone(),
            },
            settings.access.clone(),
        ));
        let (health, router) = router(settings, &reach).await?;

        let export = Export::new(settings)?;
        let (announce, mut announced) = watch::channel(false);
        let (stop, stopped) = oneshot::channel();
        let life = Life {
            endpoint: settings.advertised(addr),
            settings: settings.clone(),
            reach: Arc::clone(&reach),
            announce,
            spans: export.as_ref().map(Export::spans).unwrap_or_default(),
        };
        let (close, closed) = oneshot::channel::<()>();
        let serving = router.serve_with_incoming_shutdown(incoming, async move {
            // Told, or dropped.
            let _ = closed.await;
        });
        let mut serving = tokio::spawn(serving);
        let (http_addr, looked_at) = http::serve(settings, &reach).await?;
        let mut living = tokio::spawn(async move {
            let lived = tokio::select! {
                lived = life.live(stopped) => lived,
                ended = &mut serving => {
                    return ended.map_err(|_| ServeError::Broken)?.map_err(ServeError::from);
                }
            };
            drop(looked_at);
            // Connections close when their streams have ended, and those end with the loop.
            drop(close);
            let _ = timeout(STOP_WAIT_MAX, serving).await;
            if let Some(export) = export {
                export.end().await;
            }
            lived
        });
        if settings.peers.is_empty() {
            tokio::select! {
                ended = &mut living => {
                    ended.map_err(|_| ServeError::Broken)??;
                    return Err(ServeError::Broken);
                }
                _ = announced.wait_for(|announced| *announced) => {}
            }
        }
        Ok(Self {
            addr,
            http_addr,
            announced,
            health,
            stop,
            living,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where its page is, if it has one.
    #[must_use]
    pub const fn http_addr(&self) -> Option<SocketAddr> {
        self.http_addr
    }

    /// Waits until its cluster knows it. That takes a majority of the servers.
    pub async fn announced(&self) {
        self.announcement().await;
    }

    /// The same, apart from the server.
    pub(crate) fn announcement(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut announced = self.announced.clone();
        async move {
            // Where it has ended nobody will ever say so.
            if announced.wait_for(|announced| *announced).await.is_err() {
                std::future::pending().await
            }
        }
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// Why it did.
    pub async fn ended(&mut self) -> Result<(), ServeError> {
        (&mut self.living).await.map_err(|_| ServeError::Broken)?
    }

    /// Stops it: streams end, then connections close. What is still open after [`STOP_WAIT_MAX`] is left
    /// to its client. Its slots move to the others, where there are some.
    pub async fn stop(self) {
        for service in SERVICES {
            let not_serving = tonic_health::ServingStatus::NotServing;
            self.health.set_service_status(service, not_serving).await;
        }
        // Where it has ended already there is nothing to stop.
        let _ = self.stop.send(());
        let _ = timeout(2 * STOP_WAIT_MAX, self.living).await;
    }
}

const SERVICES: [&str; 4] = [
    "",
    "glockwork.v1.Link",
    "glockwork.v1.Cluster",
    "glockwork.v1.Inspect",
];

async fn router(
    settings: &Settings,
    reach: &Arc<Reach>,
) -> Result<(HealthReporter, Router), ServeError> {
    let link = LinkServer::new(LinkService::new(Arc::clone(reach)))
        .max_decoding_message_size(FRAME_BYTES_MAX);
    let peer = PeerServer::new(PeerService::new(Arc::clone(reach)))
        .max_decoding_message_size(PEER_MESSAGE_BYTES_MAX)
        .max_encoding_message_size(PEER_MESSAGE_BYTES_MAX);
    let cluster = ClusterServer::new(ClusterService::new(Arc::clone(reach)));
    let lock = LockServer::new(LockService::new(Arc::clone(reach)));
    let inspect = InspectServer::new(InspectService::new(Arc::clone(reach)));
    let fault = FaultService::new(Arc::clone(reach));
    let fault = FaultServer::new(fault);
    let founding = FoundingServer::new(FoundingService::new(Arc::clone(reach)));
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<LinkServer<LinkService>>().await;
    health.set_serving::<ClusterServer<ClusterService>>().await;
    health
        .set_serving::<InspectServer<InspectService<Arc<Reach>>>>()
        .await;
    let mut builder = tonic::transport::Server::builder();
    if let Some(tls) = &settings.tls {
        builder = builder.tls_config(tls.server())?;
    }
    let router = builder
        .http2_keepalive_interval(Some(PROBE_INTERVAL))
        .http2_keepalive_timeout(Some(PROBE_WAIT_MAX))
        .add_service(link)
        .add_service(cluster)
        .add_service(lock)
        .add_service(inspect)
        .add_service(fault)
        .add_service(peer)
        .add_service(founding)
        .add_service(health_service)
        .add_service(reflection().build_v1().expect(DESCRIPTOR_IS_OURS))
        .add_service(reflection().build_v1alpha().expect(DESCRIPTOR_IS_OURS));
    Ok((health, router))
}

const DESCRIPTOR_IS_OURS: &str = "the descriptor was made by the compiler that made the code";

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(SERVER_DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}

/// What a server does from its start to its end.
struct Life {
    settings: Settings,
    endpoint: Endpoint,
    reach: Arc<Reach>,
    announce: watch::Sender<bool>,
    spans: Spans,
}

impl Life {
    async fn live(mut self, stopped: oneshot::Receiver<()>) -> Result<(), ServeError> {
        let mut stopped = stopped;
        let found = tokio::select! {
            found = found::storage(&self.settings, &self.reach) => found?,
            _ = &mut stopped => return Ok(()),
        };
        let identity = found.stored.identity;
        let (handle, inbox) = Handle::new();
        let engine = self.engine(found, handle.clone())?;
        self.reach.runs(Running {
            identity,
            handle: handle.clone(),
        });
        // It ends with the loop.
        tokio::spawn(break_deadlocks(Arc::clone(&self.reach)));
        tokio::spawn(async move {
            // Told, or dropped.
            let _ = stopped.await;
            handle.stop().await;
        });
        Ok(engine.run(inbox).await?)
    }

    fn engine(&mut self, found: Found, handle: Handle) -> Result<Engine, ServeError> {
        let Self {
            settings,
            endpoint,
            reach,
            announce,
            spans,
        } = self;
        let identity = found.stored.identity;
        let versions = VersionRange::OURS;
        let ours = PeerHello {
            cluster: identity.cluster.0,
            server: identity.server,
            identity: identity.server_identity.0,
            versions,
            endpoint: endpoint.clone(),
        };
        let dial = Dial {
            ours,
            channels: reach.channels.clone(),
            timing: settings.timing,
        };
        let now = clock::now();
        let mut actions = Vec::new();
        let seed = random::number() as u64;
        let config = Config::of(&settings.timing);
        let replica = Replica::new(now, config, found.stored, seed, &mut actions)?;
        let config = NodeConfig {
            server: settings.server,
            nonce: random::number(),
            peer_endpoint: endpoint.clone(),
            endpoint: endpoint.clone(),
            timing: settings.timing,
            limits: settings.limits,
            fence_command: settings.fence.is_some(),
            seed: random::number() as u64,
        };
        let mut first = Vec::new();
        let node = Node::new(now, config, replica, actions, &mut first);
        Ok(Engine::new(Begin {
            node,
            first,
            disk: Disk::new(found.storage).map_err(ServeError::Runtime)?,
            peers: Peers::new(dial, settings.peers.clone()),
            metrics: reach.metrics.clone(),
            spans: std::mem::take(spans),
            fence: settings.fence.clone(),
            cluster: identity.cluster.0,
            handle,
            others: reach.others.clone(),
            announced: announce.clone(),
            tick: std::time::Duration::from_micros(settings.timing.tick_us),
        }))
    }
}

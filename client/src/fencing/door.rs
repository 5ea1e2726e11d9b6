//! The agent's side of its service: gRPC on a socket.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use glockwork_proto::wire::fence_server::{Fence, FenceServer};
use glockwork_proto::{FENCE_DESCRIPTORS, convert, render, wire};
use tokio::net::TcpListener;
use tokio::time::sleep;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use tonic_health::server::HealthReporter;

use super::agent::{Agent, FenceError};
use super::engine::EngineError;
use crate::error::innermost;
use crate::tls::Tls;

/// How often it is looked whether the engine answers; what the agent says of its health is as old as that.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Why an agent cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum AgentDoorError {
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
        "the agent cannot be reached over TLS: {0}; it takes --tls-ca, --tls-cert and --tls-key"
    )]
    Tls(String),
    /// The transport ended.
    #[error("nobody can ask any more: {0}")]
    Broken(String),
}

/// A socket at which an agent is asked.
#[derive(Debug)]
pub struct AgentDoor {
    listener: TcpListener,
    addr: SocketAddr,
}

impl AgentDoor {
    /// Listens; whoever connects waits until [`Self::serve`].
    ///
    /// # Errors
    /// [`AgentDoorError::Listen`].
    pub async fn bind(addr: SocketAddr) -> Result<Self, AgentDoorError> {
        let failed = |source| AgentDoorError::Listen { addr, source };
        let listener = TcpListener::bind(addr).await.map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, addr })
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Takes orders until the future is dropped. The agent is healthy while its engine answers.
    ///
    /// # Errors
    /// [`AgentDoorError::Tls`], [`AgentDoorError::Broken`].
    pub async fn serve(self, agent: Agent, tls: Option<&Tls>) -> Result<(), AgentDoorError> {
        let broken = |error: &dyn std::error::Error| AgentDoorError::Broken(error.to_string());
        let mut server = Server::builder().tcp_nodelay(true);
        if let Some(tls) = tls {
            let config = tls
                .server_config()
                .ok_or_else(|| AgentDoorError::Tls("it has no certificate of its own".into()))?;
            let with_tls = server.tls_config(config);
            server = with_tls.map_err(|error| AgentDoorError::Tls(innermost(&error)))?;
        }
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FENCE_DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()
            .map_err(|error| broken(&error))?;
        let (health, health_service) = tonic_health::server::health_reporter();
        let serving = server
            .add_service(FenceServer::new(Desk(agent.clone())))
            .add_service(health_service)
            .add_service(reflection)
            .serve_with_incoming(TcpListenerStream::new(self.listener));
        tokio::select! {
            ended = serving => ended.map_err(|error| broken(&error)),
            () = look_after(&health, &agent) => Ok(()),
        }
    }
}

/// Says whether the engine answers, without end.
async fn look_after(health: &HealthReporter, agent: &Agent) {
    loop {
        let answers = agent.engine().ping().await.is_ok();
        let status = match answers {
            true => tonic_health::ServingStatus::Serving,
            false => tonic_health::ServingStatus::NotServing,
        };
        health.set_service_status("", status).await;
        let service = <FenceServer<Desk> as tonic::server::NamedService>::NAME;
        health.set_service_status(service, status).await;
        sleep(LOOK_EVERY).await;
    }
}

/// Where orders come in.
struct Desk(Agent);

#[tonic::async_trait]
impl Fence for Desk {
    async fn fence(
        &self,
        request: Request<wire::FenceRequest>,
    ) -> Result<Response<wire::FenceReply>, Status> {
        let order = convert::fence_order(request.into_inner());
        let order = order.map_err(|error| Status::invalid_argument(error.to_string()))?;
        let answer = self.0.fence(&order).await?;
        Ok(Response::new(render::fence_answer(answer)))
    }
}

impl From<FenceError> for Status {
    fn from(error: FenceError) -> Self {
        let says = error.to_string();
        match error {
            FenceError::NoContainer { .. } => Self::not_found(says),
            FenceError::Busy => Self::resource_exhausted(says),
            FenceError::Stops
            | FenceError::Engine(EngineError::Unreachable { .. } | EngineError::Late { .. }) => {
                Self::unavailable(says)
            }
            FenceError::Engine(_) | FenceError::RunsOn { .. } => Self::failed_precondition(says),
        }
    }
}

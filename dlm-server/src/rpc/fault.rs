//! The fault service: faults put in and taken away, here and at the other servers.

use std::sync::Arc;
use std::time::Duration;

use dlm_core::ServerId;
use dlm_core::cluster::Endpoint;
use glockwork_proto::fault::{Healing, Injection, Member, Missed};
use glockwork_proto::wire::fault_client::FaultClient;
use glockwork_proto::{WireError, convert, render, wire};
use thiserror::Error;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::{Code, Request, Response, Status};
use tracing::warn;

use super::reach::Reach;
use crate::gate::{FaultsFull, Gates};
use crate::runtime::Channels;

/// How long another server may take to take a fault: it may be stopped, or cut off by more than faults. A
/// connection and an answer from memory take a thousandth of it.
const PASS_ON_WAIT_MAX: Duration = Duration::from_secs(2);

/// `glockwork.v1.Fault`.
#[derive(Debug)]
pub(crate) struct FaultService {
    reach: Arc<Reach>,
}

/// Why a fault is not put in.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
enum FaultError {
    #[error("faults are not allowed here; start the server with --allow-faults, for tests only")]
    NotAllowed,
    #[error("there is no server {}; the servers are {servers}", server.0)]
    NoSuchServer { server: ServerId, servers: String },
    #[error(transparent)]
    Full(#[from] FaultsFull),
    #[error(transparent)]
    Wire(#[from] WireError),
}

impl From<FaultError> for Status {
    fn from(error: FaultError) -> Self {
        let code = match error {
            FaultError::NotAllowed => Code::FailedPrecondition,
            FaultError::NoSuchServer { .. } => Code::NotFound,
            FaultError::Full(_) => Code::ResourceExhausted,
            FaultError::Wire(_) => Code::InvalidArgument,
        };
        Self::new(code, error.to_string())
    }
}

impl FaultService {
    pub(crate) const fn new(reach: Arc<Reach>) -> Self {
        Self { reach }
    }

    fn allowed(&self) -> Result<&Gates, FaultError> {
        let gates = &self.reach.channels.gates;
        gates.allowed().then_some(gates).ok_or(FaultError::NotAllowed)
    }

    /// Another server has looked who asked.
    fn permitted<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let caller = self.reach.caller(request)?;
        let server = caller.server();
        server.or_else(|_| caller.operator("make faults"))?;
        Ok(())
    }

    /// A fault on a link with nobody would never do anything.
    fn known(&self, member: &Member) -> Result<(), FaultError> {
        let Member::Server(server) = *member else {
            return Ok(());
        };
        let mut servers = vec![self.reach.server];
        servers.extend(self.reach.others.borrow().iter().map(|(other, _)| *other));
        if servers.contains(&server) {
            return Ok(());
        }
        servers.sort_unstable();
        let servers: Vec<String> = servers.iter().map(|one| one.0.to_string()).collect();
        let servers = servers.join(", ");
        Err(FaultError::NoSuchServer { server, servers })
    }

    /// Asks all others at once, and says who did not take it.
    async fn pass_on(&self, order: &Order) -> Vec<Missed> {
        let others = self.reach.others.borrow().clone();
        let mut asking = JoinSet::new();
        for (server, endpoint) in others {
            let order = order.clone();
            // Over a connection of its own, without a gate.
            let channels = self.reach.channels.clone();
            asking.spawn(async move {
                let passed = timeout(PASS_ON_WAIT_MAX, order.give(&channels, &endpoint)).await;
                let late = Err(format!("no answer in {} s", PASS_ON_WAIT_MAX.as_secs()));
                let why = passed.unwrap_or(late).err()?;
                Some(Missed { server, why })
            });
        }
        let mut missed: Vec<Missed> = asking.join_all().await.into_iter().flatten().collect();
        missed.sort_unstable_by_key(|missed| missed.server);
        for Missed { server, why } in &missed {
            warn!(server = server.0, why, "a server did not take a fault");
        }
        missed
    }
}

/// What is passed on.
#[derive(Clone, Debug)]
enum Order {
    Inject(Injection),
    Heal(Healing),
}

impl Order {
    async fn give(self, channels: &Channels, to: &Endpoint) -> Result<(), String> {
        let channel = channels.connect_to_any(to).await;
        let channel = channel.map_err(|why| format!("cannot reach it: {why}"))?;
        let mut client = FaultClient::new(channel);
        let given = match self {
            Self::Inject(injection) => client.inject(render::inject_fault(&injection)).await,
            Self::Heal(healing) => client.heal(render::heal_faults(&healing)).await,
        };
        given
            .map(drop)
            .map_err(|status| status.message().to_owned())
    }
}

#[tonic::async_trait]
impl wire::fault_server::Fault for FaultService {
    async fn inject(
        &self,
        request: Request<wire::InjectFaultRequest>,
    ) -> Result<Response<wire::FaultReply>, Status> {
        self.permitted(&request)?;
        let gates = self.allowed()?;
        let mut injection =
            convert::inject_fault(request.into_inner()).map_err(FaultError::from)?;
        let passes_on = !injection.here_only;
        if passes_on {
            self.known(&injection.from)?;
            self.known(&injection.to)?;
        }
        injection.here_only = true;
        gates.inject(injection.clone()).map_err(FaultError::from)?;
        let missed = if passes_on {
            self.pass_on(&Order::Inject(injection)).await
        } else {
            Vec::new()
        };
        Ok(Response::new(render::faults_missed(missed)))
    }

    async fn list(
        &self,
        _: Request<wire::ListFaultsRequest>,
    ) -> Result<Response<wire::ListFaultsReply>, Status> {
        let gates = self.allowed()?;
        Ok(Response::new(render::active_faults(&gates.list())))
    }

    async fn heal(
        &self,
        request: Request<wire::HealFaultsRequest>,
    ) -> Result<Response<wire::FaultReply>, Status> {
        self.permitted(&request)?;
        let gates = self.allowed()?;
        let mut healing = convert::heal_faults(request.into_inner()).map_err(FaultError::from)?;
        let passes_on = !healing.here_only;
        healing.here_only = true;
        gates.heal(healing.clone());
        let missed = if passes_on {
            self.pass_on(&Order::Heal(healing)).await
        } else {
            Vec::new()
        };
        Ok(Response::new(render::faults_missed(missed)))
    }
}

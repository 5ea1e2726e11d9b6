//! The calls to the cluster.

use std::sync::Arc;
use std::time::Duration;

use dlm_core::call::{Call, CallAnswer};
use dlm_core::cluster::Endpoint;
use dlm_core::{ServerId, SessionId};
use glockwork_proto::call::OtherCall;
use glockwork_proto::cluster::Answer;
use glockwork_proto::fault::Member;
use glockwork_proto::{Name, WireError, convert, render, wire};
use tokio::time::timeout;
use tonic::{Request, Response, Status};

use super::reach::{Reach, Running};
use crate::founding::Introduction;
use crate::gate;
use crate::inspect::cluster_status;
use crate::members::ServerIdentity;
use crate::runtime::introduce;

/// How long a call waits for a majority. Clients that are part of this software ask another server
/// sooner.
const CALL_WAIT_MAX: Duration = Duration::from_secs(5);

/// `glockwork.v1.Cluster`.
#[derive(Debug)]
pub(crate) struct ClusterService {
    reach: Arc<Reach>,
}

impl ClusterService {
    pub(crate) const fn new(reach: Arc<Reach>) -> Self {
        Self { reach }
    }

    async fn call<T>(&self, asked: Result<Call, WireError>) -> Result<Answer<T>, Status>
    where
        Answer<T>: TryFrom<CallAnswer, Error = OtherCall>,
    {
        let asked = asked.map_err(|error| Status::invalid_argument(error.to_string()))?;
        let handle = self.reach.handle()?;
        let answered = timeout(CALL_WAIT_MAX, handle.call(asked)).await;
        let answer = answered.map_err(|_| {
            Status::unavailable("no majority of the servers decides; start more of them")
        })??;
        Answer::try_from(answer).map_err(|error| Status::internal(error.to_string()))
    }

    async fn heard<T>(&self, request: &Request<T>, session: u64) -> Result<(), Status> {
        let sender = gate::Caller::of(request);
        self.reach.heard_from(&sender, SessionId(session)).await
    }

    /// Asks a new server which storage it has: it is a member under that, and no other.
    async fn identity_of(
        &self,
        running: &Running,
        server: ServerId,
        endpoint: &Endpoint,
    ) -> Result<ServerIdentity, Status> {
        let members = |node: &crate::node::Node, _| node.replica().members().clone();
        let members = running.handle.look(members).await?;
        let nobody = ServerIdentity(0);
        let ours = Introduction::of_member(running.identity, &members, (server, nobody));
        let asked = introduce(ours, &self.reach.channels, endpoint).await;
        let theirs = asked.map_err(|why| {
            Status::failed_precondition(format!(
                "no server answers at {endpoint} ({why}); start it first, with --id {} --join and a --peer of \
                 this cluster",
                server.0
            ))
        })?;
        if theirs.server != server {
            return Err(Status::failed_precondition(format!(
                "server {} answers at {endpoint}, not server {}; correct the number or the address",
                theirs.server.0, server.0
            )));
        }
        let other = theirs.cluster.filter(|&of| of != running.identity.cluster);
        if let Some(other) = other {
            return Err(Status::failed_precondition(format!(
                "server {} belongs to cluster {:032x} already; start it with an empty directory",
                server.0, other.0
            )));
        }
        Ok(theirs.identity)
    }
}

#[tonic::async_trait]
impl wire::cluster_server::Cluster for ClusterService {
    async fn join(
        &self,
        request: Request<wire::JoinRequest>,
    ) -> Result<Response<wire::JoinReply>, Status> {
        let caller = self.reach.caller(&request)?;
        if let Ok(name) = Name::new(request.get_ref().name.as_str()) {
            let sender = gate::Caller::of(&request);
            sender.is(Member::Session(name)).await?;
        }
        let asked = convert::call_join(request.into_inner());
        let asked = asked.map(|asked| caller.of_its_own(asked));
        let answer = self.call(asked).await?;
        Ok(Response::new(render::join_reply(answer)))
    }

    async fn keep_alive(
        &self,
        request: Request<wire::KeepAliveRequest>,
    ) -> Result<Response<wire::KeepAliveReply>, Status> {
        let caller = self.reach.caller(&request)?;
        self.heard(&request, request.get_ref().session).await?;
        let asked = convert::call_keep_alive(request.into_inner());
        let asked = asked.map(|asked| caller.of_its_own(asked));
        Ok(Response::new(render::keepalive_reply(
            self.call(asked).await?,
        )))
    }

    async fn goodbye(
        &self,
        request: Request<wire::GoodbyeRequest>,
    ) -> Result<Response<wire::PlainReply>, Status> {
        let caller = self.reach.caller(&request)?;
        self.heard(&request, request.get_ref().session).await?;
        let asked = convert::call_goodbye(request.into_inner());
        let asked = asked.map(|asked| caller.of_its_own(asked));
        Ok(Response::new(render::plain_reply(self.call(asked).await?)))
    }

    async fn open_lockspace(
        &self,
        request: Request<wire::OpenLockspaceRequest>,
    ) -> Result<Response<wire::OpenLockspaceReply>, Status> {
        let caller = self.reach.caller(&request)?;
        caller.lockspace(&request.get_ref().name)?;
        self.heard(&request, request.get_ref().session).await?;
        let asked = convert::call_open_lockspace(request.into_inner());
        let asked = asked.map(|asked| caller.of_its_own(asked));
        let answer = self.call(asked).await?;
        Ok(Response::new(render::open_lockspace_reply(answer)))
    }

    async fn leave_lockspace(
        &self,
        request: Request<wire::LeaveLockspaceRequest>,
    ) -> Result<Response<wire::PlainReply>, Status> {
        let caller = self.reach.caller(&request)?;
        self.heard(&request, request.get_ref().session).await?;
        let asked = convert::call_leave_lockspace(request.into_inner());
        let asked = asked.map(|asked| caller.of_its_own(asked));
        Ok(Response::new(render::plain_reply(self.call(asked).await?)))
    }

    async fn map(
        &self,
        request: Request<wire::MapRequest>,
    ) -> Result<Response<wire::MapReply>, Status> {
        self.reach.caller(&request)?;
        let answer = self.call(Ok(Call::Map)).await?;
        Ok(Response::new(render::map_reply(answer)))
    }

    async fn status(
        &self,
        request: Request<wire::ClusterStatusRequest>,
    ) -> Result<Response<wire::ClusterStatusReply>, Status> {
        self.reach.caller(&request)?;
        let request = request.into_inner();
        Ok(Response::new(cluster_status(&self.reach, request).await?))
    }

    async fn add_server(
        &self,
        request: Request<wire::AddServerRequest>,
    ) -> Result<Response<wire::PlainReply>, Status> {
        self.reach.caller(&request)?.operator("add a server")?;
        let garbled = |error: WireError| Status::invalid_argument(error.to_string());
        let mut request = request.into_inner();
        let at = convert::endpoint("a server's address", request.peer_endpoint.clone());
        let at = at.map_err(garbled)?;
        let running = self.reach.running()?;
        let server = ServerId(request.server);
        let identity = self.identity_of(&running, server, &at).await?;
        request.identity = render::identity(identity.0);
        let asked = convert::call_add_server(request);
        Ok(Response::new(render::plain_reply(self.call(asked).await?)))
    }

    async fn remove_server(
        &self,
        request: Request<wire::RemoveServerRequest>,
    ) -> Result<Response<wire::PlainReply>, Status> {
        self.reach.caller(&request)?.operator("remove a server")?;
        let asked = convert::call_remove_server(request.into_inner());
        Ok(Response::new(render::plain_reply(self.call(asked).await?)))
    }

    async fn evict(
        &self,
        request: Request<wire::EvictRequest>,
    ) -> Result<Response<wire::PlainReply>, Status> {
        self.reach.caller(&request)?.operator("evict a session")?;
        let asked = Ok(convert::call_evict(request.into_inner()));
        Ok(Response::new(render::plain_reply(self.call(asked).await?)))
    }

    async fn replayed(
        &self,
        request: Request<wire::ReplayedRequest>,
    ) -> Result<Response<wire::PlainReply>, Status> {
        let caller = self.reach.caller(&request)?;
        let asked = convert::call_replayed(request.into_inner());
        let asked = asked.map(|asked| caller.of_its_own(asked));
        Ok(Response::new(render::plain_reply(self.call(asked).await?)))
    }

    async fn confirm_fence(
        &self,
        request: Request<wire::ConfirmFenceRequest>,
    ) -> Result<Response<wire::PlainReply>, Status> {
        self.reach.caller(&request)?.operator("confirm a fence")?;
        let asked = Ok(convert::call_confirm_fence(request.into_inner()));
        Ok(Response::new(render::plain_reply(self.call(asked).await?)))
    }
}

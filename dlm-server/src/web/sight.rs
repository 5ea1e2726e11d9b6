//! What is looked at, by way of the services that clients have: the page shows what `dlm` shows.

use std::time::Duration;

use glockwork_proto::wire::inspect_server::Inspect;
use glockwork_proto::{WireError, wire};
use glockwork_views::ClusterStatus;
use glockwork_views::graph::GraphSnapshot;
use hyper::StatusCode;
use thiserror::Error;
use tokio::time::timeout;
use tonic::{Code, Request, Status};

use super::live::LISTENERS_MAX;
use crate::error::LookError;
use crate::inspect::{InspectService, Look, cluster_status};

/// How long the server's loop may take to answer whether it is well.
const HEALTH_WAIT_MAX: Duration = Duration::from_secs(1);

/// Why there is nothing to see.
#[derive(Debug, Error)]
pub(super) enum Unseen {
    #[error("{}", .0.message())]
    Refused(#[from] Status),
    #[error(transparent)]
    Look(#[from] LookError),
    #[error("an answer means nothing: {0}; are the servers of different versions?")]
    Wire(#[from] WireError),
    #[error("{0} is not a text in UTF-8")]
    NotText(&'static str),
    #[error("{LISTENERS_MAX} pages are open already; close one of them, or look without /events")]
    Listeners,
    #[error("the server's loop did not answer within {} s", HEALTH_WAIT_MAX.as_secs())]
    Stuck,
}

impl Unseen {
    pub(super) fn status(&self) -> StatusCode {
        let code = match self {
            Self::Refused(status) => status.code(),
            Self::Look(error) => Status::from(error.clone()).code(),
            Self::Wire(_) => Code::Internal,
            Self::NotText(_) => Code::InvalidArgument,
            Self::Listeners | Self::Stuck => Code::Unavailable,
        };
        match code {
            Code::NotFound => StatusCode::NOT_FOUND,
            Code::InvalidArgument => StatusCode::BAD_REQUEST,
            Code::Unavailable | Code::ResourceExhausted => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

/// The way to all that is shown.
#[derive(Debug)]
pub(super) struct Sight<L> {
    look: L,
    service: InspectService<L>,
}

impl<L: Look> Sight<L> {
    pub(super) fn new(look: L) -> Self {
        let service = InspectService::new(look.clone());
        Self { look, service }
    }

    /// The lock graph, of all lockspaces where none is named.
    pub(super) async fn graph(&self, lockspace: String) -> Result<GraphSnapshot, Unseen> {
        let request = wire::GraphRequest {
            lockspace,
            ..wire::GraphRequest::default()
        };
        let reply = self.service.graph(Request::new(request)).await?;
        Ok(reply.into_inner().try_into()?)
    }

    /// The cluster's status.
    pub(super) async fn status(&self) -> Result<ClusterStatus, Unseen> {
        let request = wire::ClusterStatusRequest::default();
        Ok(cluster_status(&self.look, request).await?.try_into()?)
    }

    /// Whether the server belongs to a cluster and its loop answers.
    pub(super) async fn health(&self) -> Result<(), Unseen> {
        let looking = timeout(HEALTH_WAIT_MAX, self.look.look(|_, _| ()));
        Ok(looking.await.map_err(|_| Unseen::Stuck)??)
    }
}

//! What is looked at, by way of the services that clients have: the page shows what `dlm` shows.

use std::time::Duration;

use glockwork_proto::events::{Event, History};
use glockwork_proto::wire::inspect_server::Inspect;
use glockwork_proto::{WireError, convert, wire};
use glockwork_views::ClusterStatus;
use glockwork_views::graph::{GraphSnapshot, Object};
use hyper::StatusCode;
use hyper::body::Bytes;
use thiserror::Error;
use tokio::time::timeout;
use tonic::{Code, Request, Status};

use super::history::EVENTS_SHOWN_MAX;
use super::live::LISTENERS_MAX;
use crate::error::LookError;
use crate::inspect::{InspectService, Look, cluster_status};
use crate::view::journal::read;

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

/// What happens, as it happens.
pub(super) type Watched<L> = <InspectService<L> as Inspect>::WatchStream;

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

    /// What the master of a resource remembers of it.
    pub(super) async fn history(&self, object: &Object) -> Result<History, Unseen> {
        let request = wire::HistoryRequest {
            lockspace: object.lockspace.clone(),
            name: Bytes::copy_from_slice(object.name.as_bytes()),
            local: false,
        };
        let reply = self.service.history(Request::new(request)).await?;
        Ok(convert::history(reply.into_inner())?)
    }

    /// The last events here.
    pub(super) async fn recent(&self) -> Result<Vec<Event>, Unseen> {
        let found = self.look.look(|node, now| {
            let next = node.journal().next();
            let from = next.saturating_sub(EVENTS_SHOWN_MAX as u64).max(1);
            read(node, now, from, EVENTS_SHOWN_MAX)
        });
        Ok(found.await?.into_events())
    }

    /// What happens from now on, at all servers.
    pub(super) async fn watch(&self) -> Result<Watched<L>, Unseen> {
        let request = wire::WatchRequest::default();
        Ok(self
            .service
            .watch(Request::new(request))
            .await?
            .into_inner())
    }

    /// Whether the server belongs to a cluster and its loop answers.
    pub(super) async fn health(&self) -> Result<(), Unseen> {
        let looking = timeout(HEALTH_WAIT_MAX, self.look.look(|_, _| ()));
        Ok(looking.await.map_err(|_| Unseen::Stuck)??)
    }
}

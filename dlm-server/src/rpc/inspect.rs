//! The inspect service: the lock graph, lists of locks and lockspaces, and some numbers.

use dlm_core::{Epoch, ServerId, SlotId};
use glockwork_proto::coverage::Coverage;
use glockwork_proto::render::{GraphParts, ListedResource, LocksPages, graph_reply, lockspaces};
use glockwork_proto::wire;
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::Iter;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::glocks;
use crate::error::LookError;
use crate::limits::GRAPH_BYTES_MAX;
use crate::search::Search;
use crate::shard::Command;

/// `glockwork.v1.Inspect`.
#[derive(Debug)]
pub(crate) struct InspectService {
    search: Search,
}

impl InspectService {
    pub(crate) const fn new(shard: mpsc::Sender<Command>) -> Self {
        Self {
            search: Search::new(shard),
        }
    }
}

/// The pages of a listing, each made when the transport wants it.
#[derive(Debug)]
pub(crate) struct Pages(LocksPages);

impl Iterator for Pages {
    type Item = Result<wire::LocksPage, Status>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(Ok)
    }
}

#[tonic::async_trait]
impl wire::inspect_server::Inspect for InspectService {
    type LocksStream = Iter<Pages>;
    type GlocksStream = ReceiverStream<Result<wire::GlocksPage, Status>>;

    async fn graph(
        &self,
        request: Request<wire::GraphRequest>,
    ) -> Result<Response<wire::GraphReply>, Status> {
        let only = named(request.into_inner().lockspace);
        let (seen, graph) = self.search.confirmed(only.as_ref()).await?;
        let reply = graph_reply(GraphParts {
            resources: &seen.resources,
            reports: &seen.collected.reports,
            graph: &graph,
            names: &seen.names,
            silent: &seen.collected.silent,
            now: seen.now,
            coverage: &alone(),
        });
        let bytes = reply.encoded_len();
        if bytes > GRAPH_BYTES_MAX {
            return Err(LookError::Size { bytes }.into());
        }
        Ok(Response::new(reply))
    }

    async fn status(
        &self,
        _: Request<wire::StatusRequest>,
    ) -> Result<Response<wire::StatusReply>, Status> {
        let status = self.search.ask(|answer| Command::Status { answer }).await?;
        Ok(Response::new(status))
    }

    async fn locks(
        &self,
        request: Request<wire::LocksRequest>,
    ) -> Result<Response<Self::LocksStream>, Status> {
        let lockspace = named(request.into_inner().lockspace);
        let question = |answer| Command::Locks { lockspace, answer };
        let listed = self.search.ask(question).await??;
        let resources = listed.resources.into_iter().map(|detail| ListedResource {
            epoch: Epoch(0),
            detail,
        });
        let here = (ServerId(0), listed.now);
        let pages = LocksPages::new(resources.collect(), listed.names, here);
        Ok(Response::new(tokio_stream::iter(Pages(pages))))
    }

    async fn glocks(
        &self,
        request: Request<wire::GlocksRequest>,
    ) -> Result<Response<Self::GlocksStream>, Status> {
        let question = |answer| Command::Lockspaces { answer };
        let lockspaces = self.search.ask(question).await?;
        let lockspaces = glocks::wanted(lockspaces, request.get_ref())?;
        let (pages, stream) = mpsc::channel(1);
        tokio::spawn(glocks::collect(self.search.clone(), lockspaces, pages));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn lockspaces(
        &self,
        _: Request<wire::LockspacesRequest>,
    ) -> Result<Response<wire::LockspacesReply>, Status> {
        let question = |answer| Command::Lockspaces { answer };
        let listed = self.search.ask(question).await?;
        Ok(Response::new(lockspaces(listed, alone())))
    }

    async fn end_wait(
        &self,
        _: Request<wire::EndWaitRequest>,
    ) -> Result<Response<wire::EndWaitReply>, Status> {
        Err(Status::unimplemented(
            "a server that is alone breaks its deadlocks itself",
        ))
    }
}

/// A server that is alone looks at all there is.
fn alone() -> Coverage {
    Coverage::of(SlotId::all())
}

/// An empty name stands for all.
fn named(lockspace: String) -> Option<String> {
    (!lockspace.is_empty()).then_some(lockspace)
}

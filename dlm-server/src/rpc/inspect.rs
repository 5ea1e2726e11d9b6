//! The inspect service: the lock graph, looked at twice, and some numbers.

use dlm_core::deadlock::{self, Graph};
use glockwork_proto::render::{GraphParts, graph_reply};
use glockwork_proto::wire;
use prost::Message;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tonic::{Request, Response, Status};

use crate::error::LookError;
use crate::limits::{GRAPH_BYTES_MAX, REPORT_WAIT_MAX, SECOND_LOOK_AFTER};
use crate::shard::{Command, Seen};

/// `glockwork.v1.Inspect`.
#[derive(Debug)]
pub(crate) struct InspectService {
    shard: mpsc::Sender<Command>,
}

impl InspectService {
    pub(crate) const fn new(shard: mpsc::Sender<Command>) -> Self {
        Self { shard }
    }

    /// Asks the shard, and waits for its answer.
    async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, LookError> {
        let (sender, answer) = oneshot::channel();
        let sent = self.shard.send(question(sender)).await;
        sent.map_err(|_| LookError::Stopping)?;
        answer.await.map_err(|_| LookError::Stopping)
    }

    /// Looks once: asks all sessions for their local holders, and takes what has come in when all have
    /// answered or the time is over.
    async fn look(&self, lockspace: Option<&String>) -> Result<Seen, LookError> {
        let started = self.ask(|started| Command::StartLook { started }).await?;
        let (query, complete) = started?;
        // Late or not, the shard knows which of them are missing.
        let _ = timeout(REPORT_WAIT_MAX, complete.notified()).await;
        let lockspace = lockspace.cloned();
        self.ask(|finished| Command::FinishLook {
            query,
            lockspace,
            finished,
        })
        .await?
    }

    /// The graph, with those cycles that were there twice. The reports of different nodes are of
    /// different moments, so that one look alone could show a cycle that never was.
    async fn confirmed(&self, lockspace: Option<&String>) -> Result<(Seen, Graph), LookError> {
        let seen = self.look(lockspace).await?;
        let first = graph_of(&seen);
        if first.cycles.is_empty() {
            return Ok((seen, first));
        }
        sleep(SECOND_LOOK_AFTER).await;
        let seen = self.look(lockspace).await?;
        let second = graph_of(&seen);
        Ok((seen, deadlock::confirm(&first, &second)))
    }
}

fn graph_of(seen: &Seen) -> Graph {
    deadlock::build_at(seen.now, &seen.resources, &seen.collected.reports)
}

#[tonic::async_trait]
impl wire::inspect_server::Inspect for InspectService {
    async fn graph(
        &self,
        request: Request<wire::GraphRequest>,
    ) -> Result<Response<wire::GraphReply>, Status> {
        let lockspace = request.into_inner().lockspace;
        let only = (!lockspace.is_empty()).then_some(&lockspace);
        let (seen, graph) = self.confirmed(only).await?;
        let reply = graph_reply(GraphParts {
            resources: &seen.resources,
            reports: &seen.collected.reports,
            graph: &graph,
            names: &seen.names,
            silent: &seen.collected.silent,
            now: seen.now,
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
        let status = self.ask(|answer| Command::Status { answer }).await?;
        Ok(Response::new(status))
    }
}

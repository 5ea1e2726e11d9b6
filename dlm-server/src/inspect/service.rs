//! `glockwork.v1.Inspect` over a cluster.

use std::sync::Arc;

use dlm_core::deadlock::Victim;
use dlm_core::{Epoch, LockId, SessionId, SlotId};
use glockwork_proto::coverage::Coverage;
use glockwork_proto::render::{GraphParts, graph_reply, graph_resources};
use glockwork_proto::{WireError, render, wire};
use prost::Message;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::ask::others;
use super::cycles::Cycles;
use super::{Look, caches, glocks, graph, history, locks, pieces, watch};
use crate::error::LookError;
use crate::limits::{GRAPH_BYTES_MAX, LOOKS_MAX, WATCHES_MAX};
use crate::node::{Input, Ordered};
use crate::view;
use crate::view::graph::{Which, somebody_waits};
use crate::view::merge;

/// `glockwork.v1.Inspect`.
#[derive(Debug)]
pub struct InspectService<L> {
    look: L,
    /// So many graphs and lists are collected at once.
    room: Arc<Semaphore>,
    /// So many watch at once.
    watches: Arc<Semaphore>,
    cycles: Arc<Cycles>,
}

impl<L: Look> InspectService<L> {
    /// By this way to the server.
    #[must_use]
    pub fn new(look: L) -> Self {
        Self {
            look,
            room: Arc::new(Semaphore::new(LOOKS_MAX)),
            watches: Arc::new(Semaphore::new(WATCHES_MAX)),
            cycles: Arc::default(),
        }
    }

    /// The locks of this server alone, for another one.
    async fn local_graph(
        &self,
        request: wire::GraphRequest,
    ) -> Result<wire::GraphReply, LookError> {
        if let Some(us) = request.if_waited_us {
            let any = request.anywhere;
            let waits = self
                .look
                .look(move |node, now| somebody_waits(node, now, us, any));
            if !waits.await? {
                return Ok(wire::GraphReply::default());
            }
        }
        let name = request.lockspace;
        let known = self
            .look
            .look(move |node, _| (view::lockspace(node, &name), view::names(node)));
        let (only, names) = known.await?;
        let which = Which {
            lockspace: only?,
            waited_for: request.waited_for,
        };
        let (seen, now) = pieces::see(&self.look, which).await?;
        Ok(wire::GraphReply {
            resources: graph_resources(&seen.resources, &names, now),
            coverage: Some(render::coverage(Coverage::of(seen.slots))),
            ..wire::GraphReply::default()
        })
    }

    async fn whole_graph(&self, lockspace: &str) -> Result<wire::GraphReply, LookError> {
        let _room = self.room.try_acquire().map_err(|_| LookError::Looks)?;
        let (sight, graph) = graph::confirmed(&self.look, lockspace).await?;
        Ok(graph_reply(GraphParts {
            resources: &sight.joined.resources,
            reports: &sight.reports,
            graph: &graph,
            names: &sight.names,
            silent: &sight.silent,
            now: sight.now,
            coverage: &sight.coverage,
        }))
    }
}

#[tonic::async_trait]
impl<L: Look> wire::inspect_server::Inspect for InspectService<L> {
    type LocksStream = ReceiverStream<Result<wire::LocksPage, Status>>;
    type GlocksStream = ReceiverStream<Result<wire::GlocksPage, Status>>;
    type WatchStream = watch::Stream;

    async fn graph(
        &self,
        request: Request<wire::GraphRequest>,
    ) -> Result<Response<wire::GraphReply>, Status> {
        let request = request.into_inner();
        let reply = if request.local {
            self.local_graph(request).await?
        } else {
            self.whole_graph(&request.lockspace).await?
        };
        let bytes = reply.encoded_len();
        if bytes > GRAPH_BYTES_MAX {
            return Err(LookError::Size { bytes }.into());
        }
        Ok(Response::new(reply))
    }

    async fn status(
        &self,
        request: Request<wire::StatusRequest>,
    ) -> Result<Response<wire::StatusReply>, Status> {
        let mut others = others(&self.look, request.get_ref().local).await?;
        let asked = others.ask(|channel| {
            let mut client = wire::inspect_client::InspectClient::new(channel);
            async move { client.status(wire::StatusRequest { local: true }).await }
        });
        let mut theirs = asked.await;
        let counts = pieces::count(&self.look).await?;
        let ours = self
            .look
            .look(move |node, now| view::counts::status(node, now, &counts));
        let mut ours = ours.await?;
        for reply in theirs.iter_mut().chain([&mut ours]) {
            others.cover(reply.coverage.take())?;
        }
        let mut merged = merge::status(ours, theirs);
        merged.coverage = Some(render::coverage(others.coverage));
        Ok(Response::new(merged))
    }

    async fn locks(
        &self,
        request: Request<wire::LocksRequest>,
    ) -> Result<Response<Self::LocksStream>, Status> {
        let wire::LocksRequest { lockspace, local } = request.into_inner();
        let room = Arc::clone(&self.room);
        let room = room.try_acquire_owned().map_err(|_| LookError::Looks)?;
        let name = lockspace.clone();
        let only = self.look.look(move |node, _| view::lockspace(node, &name));
        let only = only.await??;
        let mut others = others(&self.look, local).await?;
        let theirs = locks::begin(&mut others, &lockspace).await;
        let (ours, covered) = pieces::list(&self.look, only).await?;
        let mut coverage = others.coverage;
        coverage.merge(covered);
        let (pages, stream) = mpsc::channel(1);
        tokio::spawn(async move {
            locks::send(ours, theirs, coverage, pages).await;
            drop(room);
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn glocks(
        &self,
        request: Request<wire::GlocksRequest>,
    ) -> Result<Response<Self::GlocksStream>, Status> {
        let request = request.into_inner();
        let others = others(&self.look, request.local).await?;
        let wanted = self
            .look
            .look(move |node, _| glocks::wanted(node, &request));
        let wanted = wanted.await??;
        let (pages, stream) = mpsc::channel(1);
        let look = self.look.clone();
        tokio::spawn(glocks::collect(look, wanted, others.all, pages));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn lockspaces(
        &self,
        request: Request<wire::LockspacesRequest>,
    ) -> Result<Response<wire::LockspacesReply>, Status> {
        let mut others = others(&self.look, request.get_ref().local).await?;
        let asked = others.ask(|channel| {
            let mut client = wire::inspect_client::InspectClient::new(channel);
            async move {
                client
                    .lockspaces(wire::LockspacesRequest { local: true })
                    .await
            }
        });
        let mut theirs = asked.await;
        let counts = pieces::count(&self.look).await?;
        let ours = self
            .look
            .look(move |node, _| view::counts::lockspaces(node, &counts));
        let mut ours = ours.await?;
        for reply in theirs.iter_mut().chain([&mut ours]) {
            others.cover(reply.coverage.take())?;
        }
        let mut merged = merge::lockspaces(ours, theirs);
        merged.coverage = Some(render::coverage(others.coverage));
        Ok(Response::new(merged))
    }

    async fn caches(
        &self,
        request: Request<wire::CachesRequest>,
    ) -> Result<Response<wire::CachesReply>, Status> {
        let _room = self.room.try_acquire().map_err(|_| LookError::Looks)?;
        let caches = caches::collect(&self.look, request.into_inner()).await?;
        Ok(Response::new(render::caches_reply(caches)))
    }

    async fn watch(
        &self,
        request: Request<wire::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let request = request.into_inner();
        let room = Arc::clone(&self.watches);
        let room = room.try_acquire_owned().map_err(|_| LookError::Watches)?;
        let cycles = (!request.local).then(|| self.cycles.watch(&self.look));
        let stream = watch::begin(self.look.clone(), request, cycles, room).await?;
        Ok(Response::new(stream))
    }

    async fn history(
        &self,
        request: Request<wire::HistoryRequest>,
    ) -> Result<Response<wire::HistoryReply>, Status> {
        let reply = history::of_resource(&self.look, request.into_inner()).await?;
        Ok(Response::new(reply))
    }

    async fn end_wait(
        &self,
        request: Request<wire::EndWaitRequest>,
    ) -> Result<Response<wire::EndWaitReply>, Status> {
        self.look.caller(request.extensions())?.server()?;
        let request = request.into_inner();
        let number = request.slot;
        let slot = SlotId::new(number).ok_or(LookError::Wire(WireError::Slot { number }))?;
        let victim = Victim {
            session: SessionId(request.session),
            lock: LockId(request.lock),
            serial: request.serial,
        };
        let epoch = Epoch(request.epoch);
        let order = move |order| Input::EndWait {
            order,
            slot,
            epoch,
            victim,
        };
        match self.look.order(order).await? {
            Ordered::Refused(why) => Err(LookError::Order(why).into()),
            outcome => {
                let ended = outcome == Ordered::WaitEnded;
                Ok(Response::new(wire::EndWaitReply { ended }))
            }
        }
    }
}

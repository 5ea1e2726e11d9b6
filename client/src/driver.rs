//! The driver: one task that owns the stream, and one loop: wait, step, act.
//!
//! Whatever is queued when the last frame has been taken goes out in the next, up to the limit of a
//! frame; nothing is delayed to fill one.

use std::collections::VecDeque;
use std::sync::Arc;

use dlm_core::OpId;
use glockwork_proto::frame::{ClientFrame, HoldersReport, Operation, QueryId};
use glockwork_proto::glocks::GlocksQuery;
use glockwork_proto::{Name, OPERATIONS_PER_FRAME_MAX, convert, render, wire};
use tokio::sync::mpsc;
use tonic::{Status as RpcStatus, Streaming};

use crate::counters::Counting;
use crate::glocks;
use crate::limits::GLOCKS_QUERIES_MAX;
use crate::routes::Routes;
use crate::session::{Command, Shared};

pub(crate) struct Driver {
    shared: Arc<Shared>,
    commands: mpsc::UnboundedReceiver<Command>,
    outbound: Option<mpsc::Sender<wire::ClientFrame>>,
    inbound: Streaming<wire::ServerFrame>,
    /// Commands taken and not yet sent.
    queued: Vec<Command>,
    /// A holders query that is not answered yet. A newer one replaces it: the server has stopped
    /// waiting for the older.
    query: Option<QueryId>,
    /// Queries after glocks that are not answered yet. Several may be waited for at once.
    glocks_queries: VecDeque<GlocksQuery>,
    last_op: u64,
    routes: Routes,
    /// Why the session is to end, once that is decided on this side.
    ending: Option<String>,
}

impl Driver {
    pub(crate) fn new(
        shared: Arc<Shared>,
        commands: mpsc::UnboundedReceiver<Command>,
        outbound: mpsc::Sender<wire::ClientFrame>,
        inbound: Streaming<wire::ServerFrame>,
    ) -> Self {
        Self {
            shared,
            commands,
            outbound: Some(outbound),
            inbound,
            queued: Vec::new(),
            query: None,
            glocks_queries: VecDeque::new(),
            last_op: 0,
            routes: Routes::default(),
            ending: None,
        }
    }

    pub(crate) async fn run(mut self) {
        let why = loop {
            let asked = self.query.is_some() || !self.glocks_queries.is_empty();
            let sends = asked || !self.queued.is_empty();
            let outbound = self.outbound.clone();
            tokio::select! {
                frame = self.inbound.message() => {
                    if let Err(why) = self.receive(frame) {
                        break why;
                    }
                }
                permit = reserve(outbound), if sends => {
                    let Some(permit) = permit else { break "the stream broke".to_owned() };
                    self.drain();
                    permit.send(self.frame());
                    if self.ending.is_some() {
                        // No more frames: the server reads the goodbye, then ends the stream.
                        self.outbound = None;
                    }
                }
                count = self.commands.recv_many(&mut self.queued, OPERATIONS_PER_FRAME_MAX),
                    if self.queued.is_empty() && self.ending.is_none() =>
                {
                    self.shared.taken(count);
                    if count == 0 {
                        self.queued.push(Command::Close);
                    }
                    if let Some(why) = self.aborted() {
                        break why;
                    }
                }
            }
        };
        self.end(why);
    }

    /// Takes what else has queued up to now.
    fn drain(&mut self) {
        while self.queued.len() < OPERATIONS_PER_FRAME_MAX {
            let Ok(command) = self.commands.try_recv() else {
                break;
            };
            self.shared.taken(1);
            self.queued.push(command);
        }
    }

    fn aborted(&self) -> Option<String> {
        self.queued.iter().find_map(|command| match command {
            Command::Abort { why } => Some(why.clone()),
            _ => None,
        })
    }

    /// One frame with all that is queued.
    fn frame(&mut self) -> wire::ClientFrame {
        let mut frame = ClientFrame::default();
        let mut batch = std::mem::take(&mut self.queued);
        self.queued = batch.split_off(batch.len().min(OPERATIONS_PER_FRAME_MAX));
        for command in batch {
            match command {
                Command::Close => {
                    frame.goodbye = true;
                    self.ending = Some("it was closed by this client".to_owned());
                }
                Command::Abort { why } => {
                    frame.goodbye = true;
                    self.ending = Some(why);
                }
                Command::Ask { kind, answer } => {
                    let op = OpId(self.last_op + 1);
                    self.last_op = op.0;
                    self.routes.asked(op, &kind, answer);
                    frame.operations.push(Operation { op, kind });
                }
            }
        }
        frame.report = self.query.take().map(|query| self.report(query));
        // One of the two in a frame: both together may be longer than one.
        if frame.report.is_none()
            && let Some(query) = self.glocks_queries.pop_front()
        {
            frame.glocks = Some(glocks::page(&self.shared.glocks(), query));
        }
        let counting = &self.shared.counting;
        Counting::add(&counting.operations_sent, frame.operations.len());
        Counting::add(&counting.frames_sent, 1);
        render::client_frame(&frame)
    }

    /// All tasks and glock tables of the session in one report; a client without any reports nothing.
    fn report(&self, query: QueryId) -> HoldersReport {
        let mut report = HoldersReport {
            query,
            tasks: Vec::new(),
            glocks: Vec::new(),
        };
        let named = self.shared.tasks();
        let named = named.iter().map(|(&owner, name)| (owner, name.clone()));
        report.tasks.extend(named);
        for glocks in self.shared.glocks() {
            let (tasks, held) = glocks.report();
            report.tasks.extend(
                tasks
                    .into_iter()
                    .map(|(owner, name)| (owner, Name::lossy(&name))),
            );
            report.glocks.extend(held);
        }
        report
    }

    fn receive(
        &mut self,
        frame: Result<Option<wire::ServerFrame>, RpcStatus>,
    ) -> Result<(), String> {
        let ended = || self.ending.clone();
        let frame = match frame {
            Ok(Some(frame)) => frame,
            Ok(None) => return Err(ended().unwrap_or_else(|| "the server ended it".to_owned())),
            Err(status) => return Err(ended().unwrap_or_else(|| status.message().to_owned())),
        };
        let frame = convert::server_frame(frame).map_err(|error| error.to_string())?;
        Counting::add(&self.shared.counting.frames_received, 1);
        for event in frame.events {
            let next = self.routes.event(event, &self.shared)?;
            if let Some(next) = next {
                // Unlocks go past the queue, and are in flight like others.
                self.shared.asks(1);
                self.queued.push(next);
            }
        }
        self.query = frame.query.or(self.query);
        if let Some(query) = frame.glocks_query {
            self.glocks_queries.truncate(GLOCKS_QUERIES_MAX - 1);
            self.glocks_queries.push_back(query);
        }
        Ok(())
    }

    /// The session is over: everyone is told.
    fn end(self, why: String) {
        tracing::debug!(endpoint = self.shared.endpoint, why, "session over");
        self.shared.lose(why);
        self.routes.lost();
        let mut commands = self.commands;
        commands.close();
        let unsent = std::iter::from_fn(|| commands.try_recv().ok());
        for command in self.queued.into_iter().chain(unsent) {
            if let Command::Ask { answer, .. } = command {
                answer.lost();
            }
        }
        self.shared.end();
    }
}

/// Room for the next frame; `None` when the stream is broken. Waits for ever when no more frames may be
/// sent.
async fn reserve(
    outbound: Option<mpsc::Sender<wire::ClientFrame>>,
) -> Option<mpsc::OwnedPermit<wire::ClientFrame>> {
    match outbound {
        Some(outbound) => outbound.reserve_owned().await.ok(),
        None => std::future::pending().await,
    }
}

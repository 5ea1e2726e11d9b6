//! The driver: one task that owns the stream, and one loop: wait, step, act.
//!
//! Whatever is queued when the last frame has been taken goes out in the next, up to the limit of a
//! frame; nothing is delayed to fill one.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use dlm_core::{LockId, LockspaceId, OpId, RequestFlags, Status};
use glockwork_proto::frame::{
    ClientFrame, Event, HoldersReport, Operation, OperationKind, QueryId,
};
use glockwork_proto::glocks::GlocksQuery;
use glockwork_proto::{Name, OPERATIONS_PER_FRAME_MAX, convert, render, wire};
use tokio::sync::{mpsc, oneshot};
use tonic::{Status as RpcStatus, Streaming};

use crate::counters::Counting;
use crate::error::LockError;
use crate::glocks;
use crate::limits::GLOCKS_QUERIES_MAX;
use crate::session::{Command, Route, Shared};

type Opened = oneshot::Sender<Result<LockspaceId, LockError>>;

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
    /// Lockspaces being opened.
    opening: BTreeMap<OpId, Opened>,
    /// Cancels under way. Their own answers mean nothing: the operation that was cancelled has its own.
    cancels: BTreeSet<OpId>,
    /// The locks that exist at the server, or are asked for.
    routes: HashMap<LockId, Route>,
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
            opening: BTreeMap::new(),
            cancels: BTreeSet::new(),
            routes: HashMap::new(),
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
                command => {
                    let op = OpId(self.last_op + 1);
                    self.last_op = op.0;
                    let kind = self.operation(op, command);
                    frame
                        .operations
                        .extend(kind.map(|kind| Operation { op, kind }));
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

    fn operation(&mut self, op: OpId, command: Command) -> Option<OperationKind> {
        Some(match command {
            Command::Open { name, answer } => {
                self.opening.insert(op, answer);
                OperationKind::OpenLockspace {
                    name,
                    options: None,
                }
            }
            Command::Request {
                lockspace,
                lock,
                name,
                mode,
                flags,
                owner,
                route,
            } => {
                self.routes.insert(lock, route);
                OperationKind::Request {
                    lockspace,
                    lock,
                    name,
                    mode,
                    flags,
                    owner,
                }
            }
            Command::Convert {
                lock,
                mode,
                flags,
                owner,
            } => OperationKind::Convert {
                lock,
                mode,
                flags,
                owner,
                value: None,
            },
            Command::Unlock { lock } => OperationKind::Unlock {
                lock,
                flags: RequestFlags::empty(),
                value: None,
            },
            Command::Cancel { lock } => {
                self.cancels.insert(op);
                OperationKind::Cancel { lock }
            }
            Command::Close | Command::Abort { .. } => return None,
        })
    }

    /// All glock tables of the session in one report; a client without any reports nothing.
    fn report(&self, query: QueryId) -> HoldersReport {
        let mut report = HoldersReport {
            query,
            tasks: Vec::new(),
            glocks: Vec::new(),
        };
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
            self.event(event);
        }
        self.query = frame.query.or(self.query);
        if let Some(query) = frame.glocks_query {
            self.glocks_queries.truncate(GLOCKS_QUERIES_MAX - 1);
            self.glocks_queries.push_back(query);
        }
        Ok(())
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::LockspaceOpened { op, lockspace, .. } => {
                if let Some(answer) = self.opening.remove(&op) {
                    // Whoever opened it may have stopped waiting.
                    let _ = answer.send(Ok(lockspace));
                }
            }
            Event::LockspaceRefused { op, why } => {
                if let Some(answer) = self.opening.remove(&op) {
                    let _ = answer.send(Err(LockError::LockspaceRefused(why)));
                }
            }
            // This client asks for none of these.
            Event::Orphaned { .. } | Event::Purged { .. } => {}
            Event::Done {
                op,
                status: Status::Refused(refusal),
                ..
            } if self.opening.contains_key(&op) => {
                if let Some(answer) = self.opening.remove(&op) {
                    let _ = answer.send(Err(LockError::Refused(refusal)));
                }
            }
            Event::Done { op, .. } if self.cancels.remove(&op) => {}
            Event::Done {
                lock,
                status,
                mode,
                token,
                ..
            } => {
                let route = match mode {
                    Some(_) => self.routes.get(&lock).cloned(),
                    None => self.routes.remove(&lock),
                };
                match route {
                    Some(Route::Raw(raw)) => {
                        let next = raw.done(status, mode, token);
                        self.queued.extend(next);
                    }
                    Some(Route::Glock(glocks, name)) => {
                        if let Some(glocks) = glocks.upgrade() {
                            glocks.done(name, (status, mode, token));
                        }
                    }
                    None => tracing::debug!(?lock, "an answer for a lock that is gone"),
                }
            }
            Event::Blocking { lock, mode } => {
                Counting::add(&self.shared.counting.callbacks_received, 1);
                match self.routes.get(&lock) {
                    Some(Route::Raw(raw)) => raw.blocking(mode),
                    Some(Route::Glock(glocks, name)) => {
                        if let Some(glocks) = glocks.upgrade() {
                            glocks.blocking(*name, mode);
                        }
                    }
                    None => tracing::debug!(?lock, "a callback for a lock that is gone"),
                }
            }
        }
    }

    /// The session is over: everyone who waits for an answer is told. Those who wait for a lockspace
    /// see their channel close.
    fn end(self, why: String) {
        tracing::debug!(endpoint = self.shared.endpoint, why, "session over");
        self.shared.lose(why);
        for route in self.routes.into_values() {
            if let Route::Raw(raw) = route {
                raw.lost();
            }
        }
        let mut commands = self.commands;
        commands.close();
        let unsent = std::iter::from_fn(|| commands.try_recv().ok());
        for command in self.queued.into_iter().chain(unsent) {
            if let Command::Request {
                route: Route::Raw(raw),
                ..
            } = command
            {
                raw.lost();
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

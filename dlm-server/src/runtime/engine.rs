//! The one loop that owns the server's machine: wait, step, act.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dlm_core::call::{CallAnswer, CallId};
use dlm_core::link::{FromServer, Hello, RequestId, ToServer};
use dlm_core::{LogIndex, Tick};
use thiserror::Error;
use tokio::sync::{oneshot, watch};
use tokio::time::{Interval, MissedTickBehavior, interval};
use tracing::{info, trace, warn};

use super::clock;
use super::counting::Counting;
use super::disk::Disk;
use super::following::Following;
use super::handle::{Command, FromPeer, Handle, Inbox};
use super::peers::Peers;
use super::sessions::{SessionOutbox, Sessions};
use super::spans::Spans;
use crate::fence::{DeadSession, FenceCommand};
use crate::limits::STREAMS_MAX;
use crate::metrics::Metrics;
use crate::node::{CALLS_MAX, Input, Node, Notice, OrderId, Ordered, Output, StreamId};
use crate::rpc::Others;
use crate::storage::StorageError;
use crate::view;

/// Why the loop ended when nobody told it to.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The disk does not take what has to be on it.
    #[error("{0}; the server stops, since it cannot keep what it agrees to")]
    Disk(#[from] StorageError),
}

/// How often calls that nobody waits for any more are forgotten.
const SWEEP_US: u64 = 1_000_000;

/// The loop's things.
pub(super) struct Engine {
    node: Node,
    disk: Disk,
    peers: Peers,
    sessions: Sessions,
    counting: Counting,
    following: Following,
    spans: Spans,
    calls: BTreeMap<CallId, oneshot::Sender<CallAnswer>>,
    call: u64,
    /// They are answered at once.
    orders: BTreeMap<OrderId, oneshot::Sender<Ordered>>,
    order: u64,
    swept: Tick,
    fence: Option<FenceCommand>,
    /// The cluster's number, for fence commands.
    cluster: u128,
    /// For fence commands, which end when the loop may have ended.
    handle: Handle,
    /// The state as of which the peers' addresses are.
    heeded: LogIndex,
    others: watch::Sender<Others>,
    /// Whether this process is known to its cluster and serves.
    announced: watch::Sender<bool>,
    ticks: Interval,
    out: Vec<Output>,
}

/// What it begins with.
pub(super) struct Begin {
    pub(super) node: Node,
    /// What the machine wants done first.
    pub(super) first: Vec<Output>,
    pub(super) disk: Disk,
    pub(super) peers: Peers,
    pub(super) metrics: Metrics,
    pub(super) spans: Spans,
    pub(super) fence: Option<FenceCommand>,
    pub(super) cluster: u128,
    pub(super) handle: Handle,
    pub(super) others: watch::Sender<Others>,
    pub(super) announced: watch::Sender<bool>,
    pub(super) tick: Duration,
}

impl Engine {
    pub(super) fn new(begin: Begin) -> Self {
        let mut ticks = interval(begin.tick);
        // After a pause time goes on from where it is: the machine is told what time it is each time.
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            node: begin.node,
            disk: begin.disk,
            peers: begin.peers,
            sessions: Sessions::default(),
            following: Following::new(begin.metrics.locks.clone()),
            counting: Counting::new(begin.metrics),
            spans: begin.spans,
            calls: BTreeMap::new(),
            call: 0,
            orders: BTreeMap::new(),
            order: 0,
            swept: clock::now(),
            fence: begin.fence,
            cluster: begin.cluster,
            handle: begin.handle,
            heeded: LogIndex(0),
            others: begin.others,
            announced: begin.announced,
            ticks,
            out: begin.first,
        }
    }

    /// Until somebody says stop, or the disk fails.
    pub(super) async fn run(mut self, inbox: Inbox) -> Result<(), EngineError> {
        let ended = self.run_on(inbox).await;
        self.sessions.stop();
        ended
    }

    async fn run_on(&mut self, mut inbox: Inbox) -> Result<(), EngineError> {
        self.act();
        loop {
            // What servers say to each other goes first, then the clock: leases depend on both.
            tokio::select! {
                biased;
                number = self.disk.done() => {
                    let number = number?;
                    self.step(Input::Persisted { number });
                }
                Some(said) = inbox.peers.recv() => self.peer(said),
                _ = self.ticks.tick() => {
                    self.step(Input::Tick);
                    self.sweep();
                }
                command = inbox.commands.recv() => match command {
                    Some(Command::Stop) | None => return Ok(()),
                    Some(command) => self.command(command),
                },
            }
        }
    }

    fn peer(&mut self, said: FromPeer) {
        match said {
            FromPeer::Hello { server, endpoint } => self.peers.heard_of(server, endpoint),
            FromPeer::Messages { from, messages } => {
                let said = messages.into_iter();
                self.step_all(said.map(|message| Input::Peer { from, message }));
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Call { asked, answer } => {
                if self.calls.len() >= CALLS_MAX {
                    // Who asked tries another server.
                    let _ = answer.send(CallAnswer::NotLeader(None));
                    return;
                }
                self.call += 1;
                let call = CallId(self.call);
                self.calls.insert(call, answer);
                self.step(Input::Call { call, asked });
            }
            Command::Opened {
                stream,
                hello,
                outbox,
            } => self.opened(stream, hello, outbox),
            Command::Frame {
                stream,
                messages,
                holders,
                glocks,
                traces,
            } => {
                self.spans.begin(self.sessions.of(stream), &traces);
                self.counting.frame(&messages);
                self.frame(stream, messages);
                self.sessions.reported(holders, glocks);
            }
            Command::Closed { stream } => self.close(stream),
            Command::AskHolders { session, answer } => {
                self.sessions.ask_holders(session, answer);
            }
            Command::AskGlocks {
                session,
                after,
                answer,
            } => self.sessions.ask_glocks(session, after, answer),
            Command::Fenced { session, outcome } => {
                self.step(Input::FenceEnded { session, outcome });
            }
            Command::Look(look) => look(&self.node, clock::now()),
            Command::Order { order, answer } => {
                self.order += 1;
                let number = OrderId(self.order);
                self.orders.insert(number, answer);
                self.step(order(number));
            }
            Command::Stop => {}
        }
    }

    fn opened(&mut self, stream: StreamId, hello: Hello, outbox: Arc<SessionOutbox>) {
        if self.sessions.len() >= STREAMS_MAX {
            outbox.put(|queue| {
                queue.fail(tonic::Status::resource_exhausted(
                    "the server has as many streams as it may; try another one, or again later",
                ));
            });
            return outbox.end();
        }
        self.sessions.opened(stream, hello.session, outbox);
        self.step(Input::StreamOpened { stream, hello });
    }

    fn frame(&mut self, stream: StreamId, messages: Vec<ToServer>) {
        let session = self.sessions.of(stream);
        self.step_all(messages.into_iter().map(|message| {
            if let (Some(session), Some(op)) = (session, message.op()) {
                let request = RequestId { session, op };
                trace!(%request, ?message, "taken");
            }
            Input::StreamMessage { stream, message }
        }));
    }

    fn close(&mut self, stream: StreamId) {
        self.sessions.closed(stream);
        self.step(Input::StreamClosed { stream });
    }

    fn sweep(&mut self) {
        let now = clock::now();
        self.counting.tick(&self.node, now);
        self.announce(now);
        if now.since(self.swept) >= SWEEP_US {
            self.swept = now;
            self.counting.sweep(&self.node);
            let sessions = self.node.state().sessions();
            self.spans.retain(|session| sessions.contains_key(&session));
            self.calls.retain(|_, answer| !answer.is_closed());
        }
    }

    /// Says once that the server is known, may serve, and is one of a cluster whose slots are all served.
    fn announce(&self, now: Tick) {
        if *self.announced.borrow() || self.node.incarnation().is_none() {
            return;
        }
        let mut slots = self.node.state().slots();
        if self.node.holds_lease(now) && slots.all(|(_, slot)| slot.serving) {
            self.announced.send_replace(true);
        }
    }

    /// Tells whoever looks and whoever cuts where the others are.
    fn publish(&self) {
        let us = self.node.server();
        let servers = self.node.state().servers().iter();
        let others = servers.filter(|(server, _)| **server != us);
        let others = others.map(|(&server, known)| (server, known.peer_endpoint.clone()));
        let others: Others = others.collect();
        self.others.send_if_modified(|known| {
            let modified = *known != others;
            *known = others;
            modified
        });
    }

    fn step(&mut self, input: Input) {
        self.step_all([input]);
    }

    fn step_all(&mut self, inputs: impl IntoIterator<Item = Input>) {
        self.node.step_all(clock::now(), inputs, &mut self.out);
        self.following.follow(&self.node, &mut self.spans);
        self.act();
        if self.node.state().applied() != self.heeded {
            self.heeded = self.node.state().applied();
            self.peers.heed(self.node.state());
            self.publish();
        }
    }

    /// Does what the machine wants, in its order.
    fn act(&mut self) {
        let mut late = Vec::new();
        for output in self.out.drain(..) {
            self.counting.output(&output);
            match output {
                Output::Persist(write) => self.disk.write(write),
                Output::Send { to, message } => self.peers.send(to, message),
                Output::Answer { call, answer } => {
                    if let Some(asked) = self.calls.remove(&call) {
                        // Who asked may have gone meanwhile.
                        let _ = asked.send(answer);
                    }
                }
                Output::StreamSend { stream, message } => {
                    if let FromServer::Event { event, .. } = &message
                        && let (Some(session), Some(op)) = (self.sessions.of(stream), event.op())
                    {
                        let request = RequestId { session, op };
                        trace!(%request, ?event, "answered");
                        self.spans.answered(request, event);
                    }
                    if !self.sessions.send(stream, message) {
                        late.push(stream);
                    }
                }
                Output::StreamEnd { stream, why } => self.sessions.end(stream, why),
                Output::Fence { session, name, age } => {
                    let cluster = self.cluster;
                    let dead = DeadSession {
                        session,
                        name,
                        age,
                        cluster,
                    };
                    fence(&self.fence, &self.handle, dead);
                }
                Output::Ordered { order, outcome } => {
                    if let Some(asked) = self.orders.remove(&order) {
                        let _ = asked.send(outcome);
                    }
                }
                Output::Log(notice) => log(&notice, &self.node, &self.announced),
            }
        }
        for stream in late {
            self.close(stream);
        }
    }
}

fn fence(command: &Option<FenceCommand>, handle: &Handle, dead: DeadSession) {
    let (session, name) = (dead.session, &dead.name);
    let Some(command) = command.clone() else {
        warn!(session = session.0, node = %name, "there is no fence command to run");
        return;
    };
    info!(session = session.0, node = %name, "fencing: {command}");
    let handle = handle.clone();
    tokio::spawn(async move {
        let outcome = command.run(&dead).await;
        // Where the loop has ended, another leader runs the command.
        let _ = handle.tell(Command::Fenced { session, outcome }).await;
    });
}

fn log(notice: &Notice, node: &Node, announced: &watch::Sender<bool>) {
    if matches!(notice, Notice::Lost { .. }) {
        announced.send_replace(false);
    }
    let session = notice.session();
    let name = session.map(|session| view::journal::session_name(node, session));
    let session = session.map(|session| session.0);
    if notice.is_bad() {
        warn!(session, node = name, "{notice}");
    } else {
        info!("{notice}");
    }
}

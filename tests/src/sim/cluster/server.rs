//! A server of the cluster: the real [`Node`], told by the world what its loop would tell it.

use std::collections::BTreeMap;

use dlm_core::call::CallId;
use dlm_core::cluster::Origin;
use dlm_core::link::{Event, FromServer, Hello};
use dlm_core::recovery::{EvictReason, PhaseName, SlotMaster};
use dlm_core::{Epoch, Limits, LogIndex, ServerId, SessionId, SlotId, Tick};
use dlm_server::node::{
    Input as NodeInput, Node, NodeConfig, Notice, Output as NodeOutput, StreamId,
};
use dlm_server::replica::{Config, Replica, Role};
use dlm_server::storage::Identity;
use glockwork_proto::render;

use super::super::log::{Batch, LogDisk, place_of, server_at};
use super::super::process::{Birth, InputOf};
use super::super::random::Digest;
use super::super::{Input, Output, ProcessId, StreamKey};
use super::coverage::{Reply, Seen};
use super::sabotage::AtServer;
use super::{Message, Out, Part, Setup, TIMING, Tally, endpoint};
use crate::checkers::Fact;

/// Snapshots often, so that they take part in everything.
const REPLICA: Config = Config {
    snapshot_entries: 48,
    entries_kept: 12,
    ..Config::DEFAULT
};

/// After so many entries the state is compared.
const DIGEST_ENTRIES: u64 = 16;

/// A server.
#[derive(Debug)]
pub struct Server {
    node: Node,
    id: ServerId,
    tally: Tally,
    pub(super) sabotage: AtServer,
    streams: BTreeMap<StreamKey, StreamId>,
    keys: BTreeMap<StreamId, (StreamKey, SessionId)>,
    next_stream: u64,
    /// Calls, and whose they are.
    calls: BTreeMap<CallId, (ProcessId, u64, CallId)>,
    next_call: u64,
    /// What was last seen of the state.
    applied: LogIndex,
    digested: LogIndex,
    slots: Vec<(Epoch, bool)>,
    sessions: Vec<SessionId>,
    leads: Option<u64>,
}

impl Server {
    pub(super) fn start(
        now: Tick,
        birth: Birth,
        identity: Identity,
        setup: &Setup,
        disk: &mut LogDisk,
        out: &mut Out,
    ) -> Self {
        let disk = disk.0.as_mut().expect("a server has a disk");
        let stored = disk.open().expect("nobody damages disks here");
        let mut actions = Vec::new();
        let replica = Replica::new(now, REPLICA, stored, birth.seed, &mut actions);
        let replica = replica.expect("the configuration is sound");
        let sabotage = AtServer::new(setup.sabotage);
        let config = NodeConfig {
            server: identity.server,
            nonce: sabotage.nonce(birth),
            endpoint: endpoint(birth.id),
            peer_endpoint: endpoint(birth.id),
            timing: TIMING,
            limits: Limits::DEFAULT,
            fence_command: false,
            seed: birth.seed,
        };
        let mut said = Vec::new();
        let node = Node::new(now, config, replica, actions, &mut said);
        let mut server = Self {
            node,
            id: identity.server,
            tally: setup.tally.clone(),
            sabotage,
            streams: BTreeMap::new(),
            keys: BTreeMap::new(),
            next_stream: 1,
            calls: BTreeMap::new(),
            next_call: 1,
            applied: LogIndex(0),
            digested: LogIndex(0),
            slots: vec![(Epoch(0), false); SlotId::all().count()],
            sessions: Vec::new(),
            leads: None,
        };
        server.act(now, said, out);
        out.push(Output::WakeAt(now.plus(TIMING.tick_us)));
        server
    }

    /// Which server.
    #[must_use]
    pub const fn id(&self) -> ServerId {
        self.id
    }

    /// The machine.
    #[must_use]
    pub const fn node(&self) -> &Node {
        &self.node
    }

    pub(super) fn step(&mut self, now: Tick, input: InputOf<Part>, out: &mut Out) {
        let inputs = self.inputs(now, input, out);
        for input in inputs {
            self.tell(now, input, out);
        }
    }

    fn tell(&mut self, now: Tick, input: NodeInput, out: &mut Out) {
        let mut said = Vec::new();
        self.node.step(now, input, &mut said);
        self.act(now, said, out);
    }

    /// What the world says, as the machine is told it.
    #[allow(clippy::too_many_lines, reason = "a line for each kind")]
    fn inputs(&mut self, now: Tick, input: InputOf<Part>, out: &mut Out) -> Vec<NodeInput> {
        match input {
            Input::Wake => {
                out.push(Output::WakeAt(now.plus(TIMING.tick_us)));
                let mut inputs = self.sabotage.tick(now, &self.node, self.id);
                inputs.push(NodeInput::Tick);
                inputs
            }
            Input::Datagram {
                from,
                message: Message::Peer(message),
            } => {
                if let Some(answer) = self.sabotage.renews(&self.node, &message) {
                    let message = Message::Peer(answer);
                    out.push(Output::Datagram { to: from, message });
                }
                let from = server_at(from);
                vec![NodeInput::Peer { from, message }]
            }
            Input::Datagram {
                from,
                message: Message::Call { of, call, asked },
            } => {
                if let Some(answer) = self.sabotage.answers(&self.node, &asked) {
                    let message = Message::Answer { of, call, answer };
                    out.push(Output::Datagram { to: from, message });
                }
                let ours = CallId(self.next_call);
                self.next_call += 1;
                self.calls.insert(ours, (from, of, call));
                vec![NodeInput::Call { call: ours, asked }]
            }
            Input::Opened {
                stream,
                message: Message::Hello(hello),
            } => vec![self.opened(stream, hello)],
            Input::Message {
                stream,
                message: Message::Up(message),
            } => {
                let Some(&ours) = self.streams.get(&stream) else {
                    return Vec::new();
                };
                let session = self.keys[&ours].1;
                let messages = self.sabotage.hears(session, ours, message).into_iter();
                let tell =
                    messages.map(|(stream, message)| NodeInput::StreamMessage { stream, message });
                tell.collect()
            }
            Input::Closed { stream } => {
                let Some(ours) = self.streams.remove(&stream) else {
                    return Vec::new();
                };
                self.keys.remove(&ours);
                vec![NodeInput::StreamClosed { stream: ours }]
            }
            Input::Written { number } => vec![NodeInput::Persisted { number }],
            Input::Datagram { .. }
            | Input::Opened { .. }
            | Input::Message { .. }
            | Input::Order(_) => Vec::new(),
        }
    }

    fn opened(&mut self, key: StreamKey, hello: Hello) -> NodeInput {
        let stream = StreamId(self.next_stream);
        self.next_stream += 1;
        self.streams.insert(key, stream);
        self.keys.insert(stream, (key, hello.session));
        self.sabotage.opened(&hello, stream);
        NodeInput::StreamOpened { stream, hello }
    }

    fn act(&mut self, now: Tick, said: Vec<NodeOutput>, out: &mut Out) {
        // What is true because of an entry is so before what is said because of it.
        self.look(out);
        for output in said {
            self.act_one(now, output, out);
        }
    }

    fn act_one(&mut self, now: Tick, output: NodeOutput, out: &mut Out) {
        match output {
            NodeOutput::Persist(write) => out.push(Output::Write {
                number: write.number,
                write: Batch(write),
            }),
            NodeOutput::Send { to, message } => out.push(Output::Datagram {
                to: place_of(to),
                message: Message::Peer(message),
            }),
            NodeOutput::Answer { call, answer } => {
                if let Some((to, of, call)) = self.calls.remove(&call) {
                    let message = Message::Answer { of, call, answer };
                    out.push(Output::Datagram { to, message });
                }
            }
            NodeOutput::StreamSend { stream, message } => self.say(stream, message, out),
            NodeOutput::StreamEnd { stream, why } => {
                let Some((key, _)) = self.keys.remove(&stream) else {
                    return;
                };
                self.streams.remove(&key);
                let message = Message::Down(FromServer::Refused { why });
                out.push(Output::Message {
                    stream: key,
                    message,
                });
                out.push(Output::Close { stream: key });
            }
            // Nobody configured one.
            NodeOutput::Fence { session, .. } => panic!("no fence for {session:?} is there"),
            // Nor does anybody order anything.
            NodeOutput::Ordered { order, .. } => panic!("nobody gave the order {order:?}"),
            NodeOutput::Log(notice) => self.notice(now, &notice, out),
        }
    }

    fn say(&mut self, stream: StreamId, message: FromServer, out: &mut Out) {
        let Some(&(key, session)) = self.keys.get(&stream) else {
            return;
        };
        if let FromServer::Event {
            event, slot: of, ..
        } = &message
        {
            let said = (key, *of);
            match event {
                Event::Done(done) => self.tally.said(Reply::Op(session, done.op), said),
                Event::ClaimsTaken { slot, epoch } => {
                    let claims = Reply::Claims(session, *slot, *epoch);
                    self.tally.said(claims, said);
                }
                _ => {}
            }
        }
        let message = self.sabotage.says(session, message, &self.node);
        out.push(Output::Message {
            stream: key,
            message: Message::Down(message),
        });
    }

    fn notice(&mut self, _now: Tick, notice: &Notice, out: &mut Out) {
        match notice {
            Notice::LeaseRanOut => self.tally.saw(Seen::ServerLeaseRanOut),
            Notice::Lost { .. } => self.tally.saw(Seen::ServerBeganAgain),
            Notice::Evicts { why, session, .. } => {
                self.tally.saw(Seen::Evicted);
                if *why != EvictReason::NoAnswer {
                    let why = format!("{session:?}: {why}");
                    out.push(Output::Fact(Fact::Contradicted {
                        server: self.id,
                        why,
                    }));
                }
            }
            Notice::MessageRefused { from, why } => panic!("from {from:?}: {why}"),
            _ => {}
        }
    }

    /// What is different in the state.
    fn look(&mut self, out: &mut Out) {
        let (role, term, _) = self.node.replica().role();
        let leads = (role == Role::Leader).then_some(term);
        if leads != self.leads {
            let server = self.id;
            out.push(Output::Fact(match leads {
                Some(term) => Fact::Leads { server, term },
                None => Fact::Deposed { server },
            }));
            self.leads = leads;
        }
        let applied = self.node.state().applied();
        if applied == self.applied {
            return;
        }
        self.applied = applied;
        let sessions: Vec<SessionId> = self.node.state().sessions().keys().copied().collect();
        let before = std::mem::replace(&mut self.sessions, sessions);
        for session in before {
            if self.sessions.binary_search(&session).is_err() {
                out.push(Output::Fact(Fact::Purged { session }));
            }
        }
        for (number, (slot, at)) in self.node.state().slots().enumerate() {
            let before = std::mem::replace(&mut self.slots[number], (at.epoch, at.serving));
            let ours = at.master.is_some_and(|master| {
                master.server == self.id && Some(master.incarnation) == self.node.incarnation()
            });
            if !ours || before == (at.epoch, at.serving) {
                continue;
            }
            let slot_number = slot.number();
            if before.0 != at.epoch && at.origin == Origin::Lost {
                out.push(Output::Fact(Fact::Recovered {
                    slot: slot_number,
                    epoch: at.epoch,
                }));
            }
            if at.serving {
                out.push(Output::Fact(Fact::Served { slot: slot_number }));
                if at.origin != Origin::Lost {
                    self.moved(slot);
                }
            }
        }
        self.digest(out);
    }

    fn moved(&self, slot: SlotId) {
        self.tally.saw(Seen::PlannedMove);
        let master = self.master(slot);
        if master.is_some_and(|master| master.table().waiting() > 0) {
            self.tally.saw(Seen::PlannedMoveWithWaiters);
        }
    }

    /// The master of a slot here, where it serves.
    #[must_use]
    pub fn master(&self, slot: SlotId) -> Option<&SlotMaster> {
        let serves =
            |master: &&SlotMaster| master.slot() == slot && master.phase() == PhaseName::Serving;
        self.node.masters().find(serves)
    }

    /// A digest of all 256 slots costs more than the entry itself. A state that differs stays so, and is
    /// found a little later. Several entries may be applied in one step; only what is the last of them is
    /// seen here.
    fn digest(&mut self, out: &mut Out) {
        if self.applied.0.is_multiple_of(DIGEST_ENTRIES) && self.applied != self.digested {
            self.digested = self.applied;
            let digest = Digest::of_bytes(&render::snapshot(self.node.state()));
            out.push(Output::Fact(Fact::Applied {
                server: self.id,
                index: self.applied,
                digest,
            }));
        }
    }
}

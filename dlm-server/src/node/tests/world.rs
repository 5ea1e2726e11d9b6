//! Three servers, their disks, and a network.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use dlm_core::call::{Call, CallAnswer, CallId};
use dlm_core::cluster::{Endpoint, FenceOutcome, Fenced, Reason, Timing};
use dlm_core::link::{FromServer, Hello, ToServer};
use dlm_core::recovery::PhaseName;
use dlm_core::{Limits, ServerId, SessionId, SlotId, Tick};

use super::super::{
    Input, Node, NodeConfig, Notice, OrderId, Ordered, Output, PeerMessage, StreamId,
};
use super::client::Client;
use crate::members::{Member, Members, ServerIdentity};
use crate::replica::{Config, Replica, Role};
use crate::storage::{ClusterId, Founding, Identity, MemoryStorage, Storage, Write};

/// How long anything that is awaited may take, in microseconds of the world's time.
pub(super) const PATIENCE_US: u64 = 60_000_000;

/// Snapshots often, so that they take part in everything.
const REPLICA: Config = Config {
    snapshot_entries: 32,
    entries_kept: 8,
    ..Config::DEFAULT
};

struct Server {
    disk: MemoryStorage,
    life: Option<Life>,
    lives: u64,
}

struct Life {
    node: Node,
    writes: VecDeque<Write>,
}

enum Due {
    Tick {
        server: usize,
        life: u64,
    },
    Disk {
        server: usize,
        life: u64,
    },
    Peer {
        from: usize,
        to: usize,
        message: PeerMessage,
    },
    Call {
        client: usize,
        call: CallId,
        to: usize,
        asked: Call,
    },
    Answered {
        client: usize,
        call: CallId,
        answer: CallAnswer,
    },
    Open {
        stream: StreamId,
        hello: Hello,
    },
    ToServer {
        stream: StreamId,
        message: ToServer,
    },
    ToClient {
        stream: StreamId,
        message: Option<FromServer>,
    },
    Client {
        client: usize,
    },
}

/// A stream, and when the last message in each direction arrives: it keeps the order.
struct Wire {
    client: usize,
    server: usize,
    life: u64,
    up: Tick,
    down: Tick,
}

pub(super) struct World {
    pub(super) now: Tick,
    servers: Vec<Server>,
    replica: Config,
    pub(super) clients: Vec<Client>,
    due: BTreeMap<(Tick, u64), Due>,
    sequence: u64,
    stream: u64,
    cuts: BTreeSet<(usize, usize)>,
    /// Of a hundred messages between servers so many are lost.
    pub(super) loss: u64,
    wires: BTreeMap<StreamId, Wire>,
    calls: BTreeMap<CallId, (usize, u64)>,
    /// Clients that hear nothing over their streams.
    pub(super) deaf: BTreeSet<usize>,
    /// Whether a fence command is configured.
    pub(super) fences: bool,
    pub(super) fenced: Vec<SessionId>,
    pub(super) fences_fail: bool,
    pub(super) notices: Vec<(usize, Notice)>,
    /// All answers to calls.
    pub(super) answers: Vec<(CallId, CallAnswer)>,
    /// All outcomes of orders.
    pub(super) ordered: Vec<(OrderId, Ordered)>,
}

pub(super) fn identity(server: usize) -> Identity {
    let number = server as u64 + 1;
    Identity {
        cluster: ClusterId(1),
        server: ServerId(number),
        server_identity: ServerIdentity(u128::from(number) + 1000),
    }
}

pub(super) fn endpoint(server: usize) -> Endpoint {
    Endpoint::new(format!("server{server}:7170")).expect("an address")
}

impl World {
    /// A cluster of three, of which these run.
    pub(super) fn new(seed: u64, run: &[usize]) -> Self {
        Self::keeping(seed, run, REPLICA.entries_kept)
    }

    /// The same, with so many entries kept for servers that are behind: one that is further behind gets a
    /// snapshot, and begins again with all its slots lost.
    pub(super) fn keeping(seed: u64, run: &[usize], entries_kept: u64) -> Self {
        let members = (0..3).map(identity).map(|one| {
            let identity = one.server_identity;
            let voter = true;
            (one.server, Member { identity, voter })
        });
        let founding = Founding::Together(Members::new(members));
        let servers = (0..3).map(|server| Server {
            disk: MemoryStorage::create(identity(server), founding.clone()),
            life: None,
            lives: 0,
        });
        let mut world = Self {
            now: Tick(1_000_000),
            servers: servers.collect(),
            replica: Config {
                entries_kept,
                ..REPLICA
            },
            clients: Vec::new(),
            due: BTreeMap::new(),
            sequence: 0,
            stream: seed,
            cuts: BTreeSet::new(),
            loss: 0,
            wires: BTreeMap::new(),
            calls: BTreeMap::new(),
            deaf: BTreeSet::new(),
            fences: false,
            fenced: Vec::new(),
            fences_fail: false,
            notices: Vec::new(),
            answers: Vec::new(),
            ordered: Vec::new(),
        };
        for &server in run {
            world.start(server);
        }
        world
    }

    /// A server that nobody has added yet starts; says which.
    pub(super) fn join(&mut self) -> usize {
        let server = self.servers.len();
        let disk = MemoryStorage::create(identity(server), Founding::Join);
        self.servers.push(Server {
            disk,
            life: None,
            lives: 0,
        });
        self.start(server);
        server
    }

    /// How many servers there are, those that do not run or are no members included.
    pub(super) fn count(&self) -> usize {
        self.servers.len()
    }

    /// The server is killed and its disk is another one, with this identity.
    pub(super) fn wipe(&mut self, server: usize, server_identity: ServerIdentity) {
        self.kill(server);
        let identity = Identity {
            server_identity,
            ..identity(server)
        };
        self.servers[server].disk = MemoryStorage::create(identity, Founding::Join);
    }

    pub(super) fn chance(&mut self, below: u64) -> u64 {
        self.stream = self.stream.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.stream ^ (self.stream >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (z ^ (z >> 31)) % below
    }

    fn at(&mut self, at: Tick, due: Due) {
        self.sequence += 1;
        self.due.insert((at, self.sequence), due);
    }

    fn later(&mut self, micros: u64, due: Due) {
        self.at(self.now.plus(micros), due);
    }

    pub(super) fn start(&mut self, server: usize) {
        let seed = self.chance(u64::MAX);
        let nonce = u128::from(self.chance(u64::MAX));
        let one = &mut self.servers[server];
        let stored = one.disk.open().expect("the disk is whole");
        let mut actions = Vec::new();
        let replica = Replica::new(self.now, self.replica, stored, seed, &mut actions);
        let config = NodeConfig {
            server: identity(server).server,
            nonce,
            endpoint: endpoint(server),
            peer_endpoint: Endpoint::new(format!("server{server}:7171")).expect("an address"),
            timing: Timing::DEFAULT,
            limits: Limits::DEFAULT,
            fence_command: self.fences,
            seed,
        };
        let mut out = Vec::new();
        let replica = replica.expect("a replica");
        let node = Node::new(self.now, config, replica, actions, &mut out);
        one.lives += 1;
        let life = one.lives;
        one.life = Some(Life {
            node,
            writes: VecDeque::new(),
        });
        self.act(server, out);
        self.later(0, Due::Tick { server, life });
    }

    /// The process dies, its streams break; what was not synced may be gone.
    pub(super) fn kill(&mut self, server: usize) {
        self.servers[server].life = None;
        let unsynced = self.servers[server].disk.unsynced() as u64;
        let kept = self.chance(unsynced + 1);
        self.servers[server].disk.crash(kept as usize);
        let broken = self.wires.iter().filter(|(_, wire)| wire.server == server);
        for stream in broken.map(|(&stream, _)| stream).collect::<Vec<_>>() {
            self.down(stream, None);
        }
    }

    pub(super) fn cut(&mut self, server: usize) {
        for other in 0..self.servers.len() {
            self.cuts.extend([(server, other), (other, server)]);
        }
    }

    pub(super) fn heal(&mut self) {
        self.cuts.clear();
    }

    pub(super) fn node(&self, server: usize) -> &Node {
        &self.servers[server].life.as_ref().expect("it runs").node
    }

    pub(super) fn runs(&self) -> impl Iterator<Item = usize> {
        (0..self.servers.len()).filter(|&server| self.servers[server].life.is_some())
    }

    pub(super) fn leader(&self) -> Option<usize> {
        let leads = |server: &usize| {
            let (role, term, _) = self.node(*server).replica().role();
            (role == Role::Leader).then_some(term)
        };
        let leaders = self.runs().filter(|server| leads(server).is_some());
        leaders.max_by_key(|server| leads(server))
    }

    /// A server that runs and does not lead.
    pub(super) fn follower(&self) -> usize {
        let leader = self.leader();
        let mut runs = self.runs();
        runs.find(|&server| Some(server) != leader)
            .expect("another server")
    }

    /// Who masters a slot, as the leader's state has it.
    pub(super) fn master_of(&self, slot: SlotId) -> usize {
        let leader = self.leader().expect("a leader");
        let master = self.node(leader).state().slot(slot).master;
        master.expect("a master").server.0 as usize - 1
    }

    /// Runs until `what` is so.
    pub(super) fn until(&mut self, name: &str, what: impl Fn(&Self) -> bool) {
        self.until_by(5_000, name, what);
    }

    /// Runs until `what` is so, and looks every so many microseconds.
    pub(super) fn until_by(&mut self, micros: u64, name: &str, what: impl Fn(&Self) -> bool) {
        let until = self.now.plus(PATIENCE_US);
        while !what(self) {
            assert!(self.now < until, "{name}: still not at {:?}", self.now);
            self.run(micros);
        }
    }

    /// Runs until a leader knows all servers that run, and every slot is served, evenly.
    pub(super) fn settle(&mut self) {
        self.until("the cluster settles", |world| {
            let Some(leader) = world.leader() else {
                return false;
            };
            let state = world.node(leader).state();
            let runs: Vec<u64> = world.runs().map(|server| server as u64 + 1).collect();
            let known: Vec<u64> = state.running().map(|one| one.server.0).collect();
            let served = state.slots().all(|(_, slot)| slot.serving);
            let holds = |server| world.node(server).holds_lease(world.now);
            let leases = world.runs().all(holds);
            known == runs && served && leases && state.moves_due().is_empty()
        });
    }

    pub(super) fn run(&mut self, micros: u64) {
        let until = self.now.plus(micros);
        while let Some(first) = self.due.first_entry() {
            if first.key().0 > until {
                break;
            }
            let ((at, _), due) = first.remove_entry();
            self.now = at;
            self.happen(due);
        }
        self.now = until;
    }

    fn is(&self, server: usize, life: u64) -> bool {
        self.servers[server].life.is_some() && self.servers[server].lives == life
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Tick { server, life } if self.is(server, life) => {
                self.input(server, Input::Tick);
                let period = 9_500 + self.chance(1_000);
                self.later(period, Due::Tick { server, life });
            }
            Due::Disk { server, life } if self.is(server, life) => {
                let one = &mut self.servers[server];
                let writes = &mut one.life.as_mut().expect("it lives").writes;
                let write = writes.pop_front().expect("it was given out");
                one.disk.write(&write).expect("the disk is whole");
                let number = write.number;
                self.input(server, Input::Persisted { number });
            }
            Due::Peer { from, to, message } if self.servers[to].life.is_some() => {
                let from = identity(from).server;
                self.input(to, Input::Peer { from, message });
            }
            Due::Call {
                client,
                call,
                to,
                asked,
            } if self.servers[to].life.is_some() => {
                self.calls.insert(call, (client, self.servers[to].lives));
                self.input(to, Input::Call { call, asked });
            }
            Due::Answered {
                client,
                call,
                answer,
            } => self.with_client(client, |one, world| one.answered(call, answer, world)),
            Due::Open { stream, hello } => {
                let wire = &self.wires[&stream];
                let (server, life) = (wire.server, wire.life);
                if self.is(server, life) {
                    self.input(server, Input::StreamOpened { stream, hello });
                }
            }
            Due::ToServer { stream, message } => {
                let wire = &self.wires[&stream];
                let (server, life) = (wire.server, wire.life);
                if self.is(server, life) {
                    self.input(server, Input::StreamMessage { stream, message });
                }
            }
            Due::ToClient { stream, message } => {
                let client = self.wires[&stream].client;
                if self.deaf.contains(&client) {
                    return;
                }
                self.with_client(client, |one, world| one.hears(stream, message, world));
            }
            Due::Client { client } => {
                self.with_client(client, |one, world| one.tick(world));
                self.later(20_000, Due::Client { client });
            }
            _ => {}
        }
    }

    pub(super) fn input(&mut self, server: usize, input: Input) {
        let now = self.now;
        let mut out = Vec::new();
        let life = self.servers[server].life.as_mut().expect("it runs");
        life.node.step(now, input, &mut out);
        self.act(server, out);
    }

    fn act(&mut self, server: usize, out: Vec<Output>) {
        for output in out {
            self.act_one(server, output);
        }
    }

    fn act_one(&mut self, server: usize, output: Output) {
        let life = self.servers[server].lives;
        match output {
            Output::Persist(write) => {
                let one = self.servers[server].life.as_mut().expect("it lives");
                one.writes.push_back(write);
                let micros = 100 + self.chance(900);
                let busy = self.disk_busy(server);
                let at = busy.max(self.now.plus(micros));
                self.at(at, Due::Disk { server, life });
            }
            Output::Send { to, message } => {
                let to = to.0 as usize - 1;
                let lost = self.chance(100) < self.loss;
                if !lost && !self.cuts.contains(&(server, to)) {
                    let micros = 100 + self.chance(1_000);
                    let from = server;
                    self.later(micros, Due::Peer { from, to, message });
                }
            }
            Output::Answer { call, answer } => {
                self.answers.push((call, answer.clone()));
                if let Some((client, _)) = self.calls.remove(&call) {
                    let micros = 100 + self.chance(1_000);
                    self.later(
                        micros,
                        Due::Answered {
                            client,
                            call,
                            answer,
                        },
                    );
                }
            }
            Output::StreamSend { stream, message } => self.down(stream, Some(message)),
            Output::StreamEnd { stream, why } => {
                self.down(stream, Some(FromServer::Refused { why }));
                self.down(stream, None);
            }
            Output::Fence { session, .. } => {
                self.fenced.push(session);
                let reason = || Reason::new("the switch does not answer").expect("a reason");
                let outcome = if self.fences_fail {
                    FenceOutcome::Failed(reason())
                } else {
                    FenceOutcome::Done(Fenced::Command)
                };
                self.input(server, Input::FenceEnded { session, outcome });
            }
            Output::Ordered { order, outcome } => self.ordered.push((order, outcome)),
            Output::Log(notice) => self.notices.push((server, notice)),
        }
    }

    fn disk_busy(&self, server: usize) -> Tick {
        let mut disks = self.due.iter().rev().filter_map(|(key, due)| match due {
            Due::Disk { server: one, .. } if *one == server => Some(key.0),
            _ => None,
        });
        disks.next().unwrap_or_default()
    }

    fn down(&mut self, stream: StreamId, message: Option<FromServer>) {
        let micros = 100 + self.chance(1_000);
        let wire = self.wires.get_mut(&stream).expect("a stream");
        let at = wire.down.max(self.now.plus(micros));
        wire.down = at;
        self.at(at, Due::ToClient { stream, message });
    }

    /// A client that joins, under this number.
    pub(super) fn client(&mut self) -> usize {
        let client = self.clients.len();
        let nonce = u128::from(self.chance(u64::MAX));
        self.clients.push(Client::new(nonce, client));
        self.later(0, Due::Client { client });
        self.until("a client joins", |world| {
            world.clients[client].session().is_some()
        });
        client
    }

    /// Lends a client to itself and the world.
    pub(super) fn with_client(&mut self, client: usize, act: impl FnOnce(&mut Client, &mut Self)) {
        let mut one = std::mem::take(&mut self.clients[client]);
        act(&mut one, self);
        self.clients[client] = one;
    }

    /// A client calls a server.
    pub(super) fn call(&mut self, client: usize, call: CallId, to: usize, asked: Call) {
        let micros = 100 + self.chance(1_000);
        self.later(
            micros,
            Due::Call {
                client,
                call,
                to,
                asked,
            },
        );
    }

    /// A client opens a stream, where the server runs.
    pub(super) fn open(&mut self, client: usize, server: usize, hello: Hello) -> Option<StreamId> {
        self.servers[server].life.as_ref()?;
        self.sequence += 1;
        let stream = StreamId(self.sequence);
        let up = self.now.plus(100 + self.chance(1_000));
        let wire = Wire {
            client,
            server,
            life: self.servers[server].lives,
            up,
            down: Tick(0),
        };
        self.wires.insert(stream, wire);
        self.at(up, Due::Open { stream, hello });
        Some(stream)
    }

    /// A client says something over a stream.
    pub(super) fn say(&mut self, stream: StreamId, message: ToServer) {
        let micros = 50 + self.chance(500);
        let wire = self.wires.get_mut(&stream).expect("a stream");
        let at = wire.up.max(self.now.plus(micros));
        wire.up = at;
        self.at(at, Due::ToServer { stream, message });
    }

    /// How many masters in a phase a server has.
    pub(super) fn masters(&self, server: usize, phase: PhaseName) -> usize {
        let masters = self.node(server).masters();
        masters.filter(|master| master.phase() == phase).count()
    }
}

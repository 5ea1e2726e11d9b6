//! A server of the log: its replica, and the cluster's state after what was applied.

use std::collections::BTreeMap;

use dlm_core::cluster::{ClusterState, Command, Endpoint, Role as Vote, ServerStarted, Versions};
use dlm_core::{LogIndex, ServerId, Tick};
use dlm_server::replica::{Action, Config, Context, Dropped, Event, Replica, Role};
use dlm_server::storage::{Fault, Identity, MemoryStorage, Storage as _, Write};
use glockwork_proto::{convert, render};

use super::super::process::{Birth, InputOf, OutputOf};
use super::super::random::Digest;
use super::super::{Input, Output, StreamKey};
use super::{Batch, Bytes, Message, Part, place_of, server_at};
use crate::checkers::Fact;

/// Snapshots often, so that they take part in everything.
const CONFIG: Config = Config {
    snapshot_entries: 24,
    entries_kept: 5,
    ..Config::DEFAULT
};

/// After so many entries the state is compared.
const DIGEST_ENTRIES: u64 = 8;

/// The disk of a server, or none.
#[derive(Clone, Debug)]
pub struct LogDisk(pub Option<MemoryStorage>);

impl LogDisk {
    pub(super) fn write_batch(&mut self, write: &Write) -> bool {
        self.0.as_mut().is_none_or(|disk| disk.write(write).is_ok())
    }

    pub(super) fn set_fault(&mut self, fails: bool) {
        if let Some(disk) = &mut self.0 {
            disk.fail(fails.then_some(Fault::Io));
        }
    }
}

/// A server.
#[derive(Debug)]
pub struct Server {
    replica: Replica,
    state: ClusterState,
    servers: u64,
    nonce: u64,
    /// Whom a proposal is for; none where it is the server's own.
    asked: BTreeMap<Context, (StreamKey, u64)>,
    proposed: u64,
}

type Out = Vec<OutputOf<Part>>;

impl Server {
    pub(super) fn start(
        now: Tick,
        birth: Birth,
        identity: Identity,
        servers: u64,
        disk: &mut LogDisk,
        out: &mut Out,
    ) -> Self {
        let disk = disk.0.as_mut().expect("a server has a disk");
        let stored = disk.open().expect("nobody damages disks here");
        assert_eq!(stored.identity, identity);
        let mut actions = Vec::new();
        let replica = Replica::new(now, CONFIG, stored, birth.seed, &mut actions);
        let mut server = Self {
            replica: replica.expect("the configuration is sound"),
            state: ClusterState::new(),
            servers,
            nonce: birth.seed,
            asked: BTreeMap::new(),
            proposed: 0,
        };
        server.act(now, actions, out);
        out.push(Output::WakeAt(now.plus(CONFIG.tick_us)));
        server
    }

    /// The state after what was applied here.
    #[must_use]
    pub const fn state(&self) -> &ClusterState {
        &self.state
    }

    /// Whether it thinks that it leads.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.replica.role().0 == Role::Leader
    }

    pub(super) fn step(&mut self, now: Tick, input: InputOf<Part>, out: &mut Out) {
        match input {
            Input::Wake => {
                out.push(Output::WakeAt(now.plus(CONFIG.tick_us)));
                self.event(now, Event::Tick, out);
            }
            Input::Datagram {
                from,
                message: Message::Raft(Bytes(bytes)),
            } => {
                let from = server_at(from);
                self.event(now, Event::Message { from, bytes }, out);
            }
            Input::Written { number } => self.event(now, Event::Persisted { number }, out),
            Input::Opened { stream, message } | Input::Message { stream, message } => {
                if let Message::Ask { number, command } = message {
                    let context = self.context();
                    self.asked.insert(context, (stream, number));
                    let bytes = command.0;
                    self.event(now, Event::Propose { context, bytes }, out);
                }
            }
            Input::Closed { stream } => self.asked.retain(|_, (of, _)| *of != stream),
            Input::Datagram { .. } | Input::Order(()) => {}
        }
    }

    const fn context(&mut self) -> Context {
        self.proposed += 1;
        Context(self.proposed)
    }

    fn event(&mut self, now: Tick, event: Event, out: &mut Out) {
        let mut actions = Vec::new();
        self.replica.step(now, event, &mut actions);
        self.act(now, actions, out);
    }

    /// Carries out actions in their order, and only then what follows from them.
    fn act(&mut self, now: Tick, actions: Vec<Action>, out: &mut Out) {
        let mut then = Vec::new();
        for action in actions {
            match action {
                Action::Persist(write) => out.push(Output::Write {
                    number: write.number,
                    write: Batch(write),
                }),
                Action::Send { to, bytes } => out.push(Output::Datagram {
                    to: place_of(to),
                    message: Message::Raft(Bytes(bytes)),
                }),
                Action::Apply {
                    index,
                    bytes,
                    context,
                } => self.apply(index, &bytes, context, out),
                Action::Restore { index, bytes } => self.restore(index, &bytes, out),
                Action::SnapshotWanted { index } => {
                    let bytes = render::snapshot(&self.state);
                    then.push(Event::SnapshotMade { index, bytes });
                }
                Action::ProposalDropped { context, why } => self.dropped(context, why, out),
                Action::RoleChanged {
                    role: Role::Leader, ..
                } => then.extend(self.introduce()),
                Action::MessageRefused { from, why } => panic!("from {from:?}: {why}"),
                Action::RoleChanged { .. }
                | Action::MembershipChanged { .. }
                | Action::ReadReady { .. }
                | Action::ReadDropped { .. } => {}
            }
        }
        for event in then {
            self.event(now, event, out);
        }
    }

    fn apply(&mut self, index: LogIndex, bytes: &[u8], context: Option<Context>, out: &mut Out) {
        let command = convert::command(bytes).expect("only commands are proposed");
        let mut effects = Vec::new();
        let reply = self.state.apply(index, command, &mut effects);
        self.applied(index, out);
        let asked = context.and_then(|context| self.asked.remove(&context));
        if let Some((stream, number)) = asked {
            let message = Message::Done { number, reply };
            out.push(Output::Message { stream, message });
        }
    }

    fn restore(&mut self, index: LogIndex, bytes: &[u8], out: &mut Out) {
        self.state = if bytes.is_empty() {
            ClusterState::new()
        } else {
            convert::snapshot(bytes).expect("a snapshot of ours")
        };
        assert!(self.state.applied() <= index);
        let index = self.state.applied();
        self.applied(index, out);
    }

    /// A digest of all 256 slots costs more than the entry itself. A state that differs stays so, and is
    /// found a little later.
    fn applied(&self, index: LogIndex, out: &mut Out) {
        if !index.0.is_multiple_of(DIGEST_ENTRIES) {
            return;
        }
        let digest = Digest::of_bytes(&render::snapshot(&self.state));
        let server = self.replica.identity().server;
        out.push(Output::Fact(Fact::Applied {
            server,
            index,
            digest,
        }));
    }

    fn dropped(&mut self, context: Context, why: Dropped, out: &mut Out) {
        let Some((stream, number)) = self.asked.remove(&context) else {
            return;
        };
        let leader = match why {
            Dropped::NotLeader { leader } => leader,
            _ => None,
        };
        let message = Message::Elsewhere { number, leader };
        out.push(Output::Message { stream, message });
    }

    /// A new leader names the servers, and itself as one that runs: without, nobody can join.
    fn introduce(&mut self) -> Vec<Event> {
        let endpoint = |server: u64, port: u64| {
            Endpoint::new(format!("10.0.0.{server}:{port}")).expect("an endpoint")
        };
        let missing = (1..=self.servers).filter(|server| {
            let known = self.state.servers();
            !known.contains_key(&ServerId(*server))
        });
        let added = missing.map(|server| Command::ServerAdded {
            server: ServerId(server),
            peer_endpoint: endpoint(server, 7171),
            role: Vote::Voter,
        });
        let mut commands: Vec<Command> = added.collect();
        let server = self.replica.identity().server;
        commands.push(Command::ServerStarted(ServerStarted {
            server,
            nonce: self.nonce.into(),
            endpoint: endpoint(server.0, 7170),
            peer_endpoint: endpoint(server.0, 7171),
            versions: Versions { min: 1, max: 1 },
        }));
        let propose = commands.into_iter().map(|command| Event::Propose {
            context: self.context(),
            bytes: render::command(&command),
        });
        propose.collect()
    }
}

//! Several replicas, a network and disks between which everything can be late or lost.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use dlm_core::{ServerId, Tick};

use super::super::*;
use crate::members::{Member, MemberChange, Members, ServerIdentity};
use crate::storage::{ClusterId, Fault, Founding, Identity, MemoryStorage, Storage, StorageError};
use crate::storage::{Stored, Write};

/// Snapshots often, so that they take part in everything.
const CONFIG: Config = Config {
    snapshot_entries: 8,
    entries_kept: 3,
    ..Config::DEFAULT
};

/// How long a cluster without faults may take to agree, in microseconds.
const PATIENCE_US: u64 = 20_000_000;

pub(super) fn identity(number: u64) -> Identity {
    Identity {
        cluster: ClusterId(1),
        server: ServerId(number),
        server_identity: ServerIdentity(u128::from(number) + 1000),
    }
}

/// A server: its disk, and its process while it runs.
struct Server {
    identity: Identity,
    disk: MemoryStorage,
    life: Option<Life>,
    lives: u64,
}

struct Life {
    replica: Replica,
    /// Writes that are given out and not done.
    writes: VecDeque<Write>,
    /// What was applied: index and bytes.
    state: BTreeMap<u64, Vec<u8>>,
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
    Arrive {
        from: usize,
        to: usize,
        bytes: Vec<u8>,
    },
}

pub(super) struct World {
    pub(super) now: Tick,
    servers: Vec<Server>,
    due: BTreeMap<(Tick, u64), Due>,
    sequence: u64,
    stream: u64,
    /// The pairs between which nothing gets through, one way.
    cuts: BTreeSet<(usize, usize)>,
    /// In a hundred messages so many are lost.
    loss: u64,
    proposed: u64,
    /// What was applied anywhere, by index: all replicas must agree with it, for all time.
    pub(super) agreed: BTreeMap<u64, Vec<u8>>,
    /// A digest of everything that happened.
    pub(super) trace: u64,
    pub(super) reads: Vec<Action>,
    pub(super) refused: Vec<MessageRefusal>,
    changes: Vec<(Context, bool)>,
}

impl World {
    /// A cluster of servers that begin together.
    pub(super) fn new(seed: u64, servers: u64) -> Self {
        let members = Members::new((1..=servers).map(|number| {
            let identity = identity(number).server_identity;
            let voter = true;
            (ServerId(number), Member { identity, voter })
        }));
        let mut world = Self::empty(seed);
        for number in 1..=servers {
            world.add(identity(number), Founding::Together(members.clone()));
        }
        world
    }

    /// A cluster of its first server.
    pub(super) fn founded(seed: u64) -> Self {
        let mut world = Self::empty(seed);
        world.add(identity(1), Founding::First);
        world
    }

    fn empty(seed: u64) -> Self {
        Self {
            now: Tick(1_000_000),
            servers: Vec::new(),
            due: BTreeMap::new(),
            sequence: 0,
            stream: seed,
            cuts: BTreeSet::new(),
            loss: 0,
            proposed: 0,
            agreed: BTreeMap::new(),
            trace: 0,
            reads: Vec::new(),
            refused: Vec::new(),
            changes: Vec::new(),
        }
    }

    fn add(&mut self, identity: Identity, founding: Founding) {
        self.servers.push(Server {
            identity,
            disk: MemoryStorage::create(identity, founding),
            life: None,
            lives: 0,
        });
        self.start(self.servers.len() - 1);
    }

    pub(super) fn join(&mut self, server: ServerId) {
        assert_eq!(server.0, self.servers.len() as u64 + 1);
        self.add(identity(server.0), Founding::Join);
    }

    fn chance(&mut self, below: u64) -> u64 {
        self.stream = self.stream.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.stream ^ (self.stream >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (z ^ (z >> 31)) % below
    }

    fn later(&mut self, micros: u64, due: Due) {
        self.sequence += 1;
        self.due.insert((self.now.plus(micros), self.sequence), due);
    }

    pub(super) fn open(&mut self, server: usize) -> Result<Stored, StorageError> {
        self.servers[server].disk.open()
    }

    pub(super) fn start(&mut self, server: usize) {
        if self.servers[server].life.is_some() {
            return;
        }
        let stored = self.open(server).expect("the disk is whole");
        let seed = self.chance(u64::MAX);
        let mut out = Vec::new();
        let replica = Replica::new(self.now, CONFIG, stored, seed, &mut out).expect("a replica");
        let one = &mut self.servers[server];
        one.lives += 1;
        let life = one.lives;
        one.life = Some(Life {
            replica,
            writes: VecDeque::new(),
            state: BTreeMap::new(),
        });
        self.act(server, out);
        self.later(0, Due::Tick { server, life });
    }

    /// The process dies; writes that were not done are not, and those not synced may be gone.
    pub(super) fn crash(&mut self, server: usize) {
        self.servers[server].life = None;
        let unsynced = self.servers[server].disk.unsynced() as u64;
        let kept = self.chance(unsynced + 1);
        self.servers[server].disk.crash(kept as usize);
    }

    pub(super) fn wipe(&mut self, server: usize) {
        self.crash(server);
        self.servers[server].disk.wipe();
    }

    pub(super) fn rejoin(&mut self, server: usize, server_identity: ServerIdentity) {
        let one = &mut self.servers[server];
        one.identity.server_identity = server_identity;
        one.disk = MemoryStorage::create(one.identity, Founding::Join);
        self.start(server);
    }

    pub(super) fn fail(&mut self, server: usize, fault: Option<Fault>) {
        self.servers[server].disk.fail(fault);
    }

    pub(super) fn damage(&mut self, server: usize) -> bool {
        let which = self.chance(1000) as usize;
        self.servers[server].disk.corrupt(which)
    }

    pub(super) fn stopped(&self, server: usize) -> bool {
        self.servers[server].life.is_none()
    }

    /// Nothing gets to or from this server.
    pub(super) fn cut(&mut self, server: usize) {
        for other in 0..self.servers.len() {
            self.cuts.extend([(server, other), (other, server)]);
        }
    }

    /// One fault, or the end of one.
    pub(super) fn disturb(&mut self) {
        let count = self.servers.len() as u64;
        let server = self.chance(count) as usize;
        let other = self.chance(count) as usize;
        match self.chance(10) {
            0 => self.crash(server),
            1 | 2 => self.start(server),
            3 => self.cut(server),
            4 => {
                self.cuts.insert((server, other));
            }
            5 => self.loss = self.chance(30),
            6 => {
                self.fail(server, Some(Fault::Io));
            }
            _ => self.cuts.clear(),
        }
    }

    pub(super) fn heal(&mut self) {
        self.cuts.clear();
        self.loss = 0;
        for server in 0..self.servers.len() {
            self.fail(server, None);
            self.start(server);
        }
    }

    pub(super) fn replica(&mut self, server: usize) -> &mut Replica {
        let life = self.servers[server].life.as_mut();
        &mut life.expect("it runs").replica
    }

    pub(super) fn applied(&self, server: usize) -> &BTreeMap<u64, Vec<u8>> {
        &self.servers[server].life.as_ref().expect("it runs").state
    }

    /// The leader of the highest term, among those that run.
    pub(super) fn leader(&self) -> Option<usize> {
        let lives = self.servers.iter().enumerate();
        let roles = lives.filter_map(|(at, one)| Some((at, one.life.as_ref()?.replica.role())));
        let leaders = roles.filter(|(_, (role, _, _))| *role == Role::Leader);
        leaders
            .max_by_key(|(_, (_, term, _))| *term)
            .map(|(at, _)| at)
    }

    pub(super) fn members(&mut self) -> Members {
        let leader = self.leader().expect("a leader");
        self.replica(leader).members().clone()
    }

    /// An entry that no other is equal to, proposed to whoever leads.
    pub(super) fn propose(&mut self) -> Option<Vec<u8>> {
        let leader = self.leader()?;
        self.proposed += 1;
        let bytes = self.proposed.to_le_bytes().to_vec();
        let context = Context(self.proposed);
        let event = Event::Propose {
            context,
            bytes: bytes.clone(),
        };
        self.event(leader, event);
        Some(bytes)
    }

    /// Proposes a change, any, to whoever leads; some are refused.
    pub(super) fn change_any(&mut self) {
        let Some(leader) = self.leader() else { return };
        let server = ServerId(1 + self.chance(self.servers.len() as u64));
        let identity = identity(server.0).server_identity;
        let change = match self.chance(5) {
            0 => MemberChange::Remove { server },
            1 | 2 => MemberChange::Promote { server },
            _ => MemberChange::AddLearner { server, identity },
        };
        let context = Context(u64::MAX);
        self.event(leader, Event::Change { context, change });
        self.event(leader, Event::TransferLeader { to: server });
    }

    /// Proposes a change until it is made.
    pub(super) fn change(&mut self, change: MemberChange) {
        let until = self.now.plus(PATIENCE_US);
        while self.now < until {
            if let Some(leader) = self.leader() {
                self.proposed += 1;
                let context = Context(self.proposed);
                self.event(leader, Event::Change { context, change });
                self.run(100_000);
                if self.changes.contains(&(context, true)) {
                    return;
                }
            }
            self.run(100_000);
        }
        panic!("{change:?} is not made");
    }

    pub(super) fn transfer(&mut self, to: ServerId) {
        let leader = self.leader().expect("a leader");
        self.event(leader, Event::TransferLeader { to });
        self.run(500_000);
        assert_eq!(self.leader(), Some(to.0 as usize - 1));
    }

    /// Runs until a new entry is applied on every server that runs.
    pub(super) fn converge(&mut self) {
        self.converge_but(usize::MAX);
    }

    /// The same for all but one.
    pub(super) fn converge_but(&mut self, but: usize) {
        let until = self.now.plus(PATIENCE_US);
        while self.now < until {
            let proposed = self.propose();
            self.run(300_000);
            let (Some(bytes), Some(leader)) = (proposed, self.leader()) else {
                continue;
            };
            let members = self.replica(leader).members().clone();
            let mut lives = self.servers.iter().enumerate();
            let all = lives.all(|(at, one)| {
                let member = members.member(one.identity.server).is_some();
                let life = one.life.as_ref().filter(|_| at != but && member);
                life.is_none_or(|life| life.state.values().any(|applied| *applied == bytes))
            });
            if all {
                return;
            }
        }
        panic!("the servers do not come to agree");
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

    fn happen(&mut self, due: Due) {
        let lives = |world: &Self, server: usize, life| {
            let one = &world.servers[server];
            one.life.is_some() && one.lives == life
        };
        match due {
            Due::Tick { server, life } if lives(self, server, life) => {
                self.event(server, Event::Tick);
                // Nobody's clock is exact.
                let period = 9_500 + self.chance(1_000);
                self.later(period, Due::Tick { server, life });
            }
            Due::Disk { server, life } if lives(self, server, life) => {
                let one = &mut self.servers[server];
                let writes = &mut one.life.as_mut().expect("it lives").writes;
                let write = writes.pop_front().expect("it was given out");
                match one.disk.write(&write) {
                    Ok(()) => {
                        let number = write.number;
                        self.event(server, Event::Persisted { number });
                    }
                    Err(_) => self.crash(server),
                }
            }
            Due::Arrive { from, to, bytes } if self.servers[to].life.is_some() => {
                let from = ServerId(from as u64 + 1);
                self.event(to, Event::Message { from, bytes });
            }
            _ => {}
        }
    }

    pub(super) fn event(&mut self, server: usize, event: Event) {
        let now = self.now;
        let mut out = Vec::new();
        self.replica(server).step(now, event, &mut out);
        self.act(server, out);
    }

    fn act(&mut self, server: usize, out: Vec<Action>) {
        for action in out {
            let text = format!("{} {server} {action:?}", self.now.0);
            let hash = |hash: u64, byte: u8| {
                (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3) ^ (hash >> 31)
            };
            self.trace = text.bytes().fold(self.trace, hash);
            self.act_one(server, action);
        }
    }

    fn act_one(&mut self, server: usize, action: Action) {
        let life = self.servers[server].lives;
        let state = &mut self.servers[server].life.as_mut().expect("it lives").state;
        match action {
            Action::Persist(write) => {
                let one = self.servers[server].life.as_mut().expect("it lives");
                one.writes.push_back(write);
                let micros = 100 + self.chance(3_000);
                let after = self.disk_busy(server).max(self.now.plus(micros));
                self.sequence += 1;
                let key = (after, self.sequence);
                self.due.insert(key, Due::Disk { server, life });
            }
            Action::Send { to, bytes } => self.send(server, to.0 as usize - 1, bytes),
            Action::Apply { index, bytes, .. } => {
                let last = state.last_key_value().map_or(0, |(&last, _)| last);
                assert!(index.0 > last, "entries come in order");
                state.insert(index.0, bytes.clone());
                let agreed = self.agreed.entry(index.0).or_insert_with(|| bytes.clone());
                assert_eq!(*agreed, bytes, "entry {index:?} is the same everywhere");
            }
            Action::Restore { index, bytes } => {
                *state = unpack(&bytes);
                let part = |(at, _): &(&u64, _)| **at <= index.0;
                let agreed: BTreeMap<_, _> = self.agreed.iter().take_while(part).collect();
                assert!(
                    state.iter().eq(agreed),
                    "a snapshot has all that was applied"
                );
            }
            Action::SnapshotWanted { index } => {
                let bytes = pack(state);
                self.event(server, Event::SnapshotMade { index, bytes });
            }
            Action::MembershipChanged {
                context: Some(context),
                ..
            } => self.changes.push((context, true)),
            Action::ReadReady { .. } | Action::ReadDropped { .. } => self.reads.push(action),
            Action::MessageRefused { why, .. } => self.refused.push(why),
            _ => {}
        }
    }

    /// When the last write that this server's disk has to do is done.
    fn disk_busy(&self, server: usize) -> Tick {
        let due = self.due.iter().rev();
        let mut disks = due.filter_map(|(key, due)| match due {
            Due::Disk { server: one, .. } if *one == server => Some(key.0),
            _ => None,
        });
        disks.next().unwrap_or_default()
    }

    fn send(&mut self, from: usize, to: usize, bytes: Vec<u8>) {
        let lost = self.cuts.contains(&(from, to)) || self.chance(100) < self.loss;
        if lost || to >= self.servers.len() {
            return;
        }
        // Most come soon, some late, and so in another order; a few come twice.
        for _ in 0..=u64::from(self.chance(50) == 0) {
            let most = if self.chance(20) == 0 { 80_000 } else { 1_000 };
            let micros = 100 + self.chance(most);
            let bytes = bytes.clone();
            self.later(micros, Due::Arrive { from, to, bytes });
        }
    }
}

fn pack(state: &BTreeMap<u64, Vec<u8>>) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, bytes) in state {
        out.extend(index.to_le_bytes());
        out.extend(bytes);
    }
    out
}

fn unpack(bytes: &[u8]) -> BTreeMap<u64, Vec<u8>> {
    let pairs = bytes.chunks_exact(16).map(|pair| {
        let index = u64::from_le_bytes(pair[..8].try_into().expect("eight bytes"));
        (index, pair[8..].to_vec())
    });
    pairs.collect()
}

//! A cluster in small: servers that die, slots that move, streams that break, and one session.
//!
//! Of each slot there is one table, which is what its master has; when that dies the table stays, to be
//! compared with what the session claims.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};

use super::super::link::Hello;
use super::*;
use dlm_core::recovery::{Claim, Stands};

pub(super) type Server = u64;

/// Numbers from a seed (xorshift).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }

    pub(super) fn one_in(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    pub(super) granted: Option<Mode>,
    pub(super) wait: Option<(OpId, Mode)>,
}

#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) locks: BTreeMap<LockId, Held>,
    /// The epoch in which it serves.
    epoch: Epoch,
    /// The last answer to each operation since the table was made.
    recorded: BTreeMap<OpId, Event>,
    /// What came in each epoch: nothing may come twice.
    seen: BTreeSet<(Epoch, OpId)>,
    waiting: Vec<(Epoch, OpId, OperationKind)>,
    claims: Vec<Claim>,
}

#[derive(Debug)]
struct Process {
    incarnation: u64,
    applied: usize,
    last_number: u64,
    events: VecDeque<(u64, SlotId, Epoch, Event)>,
    sequence: u64,
    stream: Option<StreamId>,
    generation: u64,
}

pub(super) struct Cluster {
    pub(super) dice: Dice,
    servers: BTreeMap<Server, Process>,
    /// The log: each entry gives one slot a new place.
    log: Vec<SlotPlace>,
    pub(super) tables: BTreeMap<SlotId, Table>,
    next_token: u64,
    next_incarnation: u64,
    pub(super) streams: BTreeMap<StreamId, Server>,
    pub(super) to_server: BTreeMap<StreamId, VecDeque<ToServer>>,
    pub(super) to_client: BTreeMap<StreamId, VecDeque<FromServer>>,
    pub(super) recoveries: u64,
    pub(super) moves: u64,
}

/// The entry before the first that the log here has: the session's own.
const JOINED: u64 = 10;

impl Cluster {
    pub(super) fn new(seed: u64, slots: &[SlotId]) -> Self {
        let mut cluster = Self {
            dice: Dice(seed * 2 + 1),
            servers: BTreeMap::new(),
            log: Vec::new(),
            tables: BTreeMap::new(),
            next_token: 1,
            next_incarnation: 100,
            streams: BTreeMap::new(),
            to_server: BTreeMap::new(),
            to_client: BTreeMap::new(),
            recoveries: 0,
            moves: 0,
        };
        for server in 1..=3 {
            cluster.start(server);
        }
        for (number, &slot) in slots.iter().enumerate() {
            cluster.tables.insert(slot, Table::default());
            cluster.place(slot, number as u64 % 3 + 1, PlaceOrigin::Lost);
        }
        cluster
    }

    fn start(&mut self, server: Server) {
        self.next_incarnation += 1;
        let process = Process {
            incarnation: self.next_incarnation,
            applied: self.log.len(),
            last_number: 0,
            events: VecDeque::new(),
            sequence: 0,
            stream: None,
            generation: 0,
        };
        self.servers.insert(server, process);
    }

    fn current(&self, slot: SlotId) -> Option<&SlotPlace> {
        self.log.iter().rev().find(|place| place.slot == slot)
    }

    fn place(&mut self, slot: SlotId, to: Server, origin: PlaceOrigin) {
        let epoch = self.current(slot).map_or(1, |place| place.epoch.0 + 1);
        let since = LogIndex(JOINED + 1 + self.log.len() as u64);
        self.log.push(SlotPlace {
            slot,
            epoch: Epoch(epoch),
            since,
            origin,
            serving: false,
            master: Some(MasterPlace {
                server: ServerId(to),
                incarnation: Incarnation(self.servers[&to].incarnation),
                endpoint: endpoint(to),
            }),
        });
    }

    fn other(&mut self, server: Server) -> Server {
        (server + self.dice.below(2)) % 3 + 1
    }

    /// A server's process dies, and another one takes its place: its slots are lost.
    pub(super) fn kill(&mut self, server: Server) {
        let dead = Incarnation(self.servers[&server].incarnation);
        self.break_streams(server);
        self.start(server);
        for slot in self.tables.keys().copied().collect::<Vec<_>>() {
            let place = self.current(slot).expect("a place").clone();
            let master = place.master.expect("a master");
            // Its own slots; and those of which the table had not left it.
            let previous = self.log.iter().rev().filter(|one| one.slot == slot).nth(1);
            let from = previous.and_then(|one| one.master.as_ref());
            let leaves = place.origin == PlaceOrigin::Planned
                && from.is_some_and(|from| from.incarnation == dead)
                && self.tables[&slot].epoch != place.epoch;
            if master.incarnation == dead || leaves {
                let to = self.other(server);
                let table = self.tables.get_mut(&slot).expect("a table");
                table.waiting.clear();
                table.claims.clear();
                self.place(slot, to, PlaceOrigin::Lost);
            }
        }
    }

    /// A slot's table is told to move.
    pub(super) fn move_slot(&mut self, slot: SlotId) {
        let place = self.current(slot).expect("a place").clone();
        if self.tables[&slot].epoch == place.epoch {
            let from = place.master.expect("a master").server.0;
            let to = self.other(from);
            self.place(slot, to, PlaceOrigin::Planned);
            self.moves += 1;
        }
    }

    /// A slot is given to another server though its master lives, which hears of it later than others.
    pub(super) fn recover_slot(&mut self, slot: SlotId) {
        let place = self.current(slot).expect("a place").clone();
        let to = self.other(place.master.expect("a master").server.0);
        let table = self.tables.get_mut(&slot).expect("a table");
        table.waiting.clear();
        table.claims.clear();
        self.place(slot, to, PlaceOrigin::Lost);
    }

    /// A server applies one entry more.
    pub(super) fn apply(&mut self, server: Server) {
        let process = self.servers.get_mut(&server).expect("a server");
        let Some(place) = self.log.get(process.applied) else {
            return;
        };
        process.applied += 1;
        let map = SlotMap {
            index: place.since,
            slots: vec![place.clone()],
        };
        if let Some(stream) = process.stream {
            let queue = self.to_client.get_mut(&stream).expect("a queue");
            queue.push_back(FromServer::Map(map));
        }
        self.hand_over();
    }

    /// Tables arrive whose old and new masters know that they move.
    fn hand_over(&mut self) {
        for slot in self.tables.keys().copied().collect::<Vec<_>>() {
            let mut places = self.log.iter().rev().filter(|place| place.slot == slot);
            let (Some(place), Some(before)) = (places.next(), places.next()) else {
                continue;
            };
            let master = |place: &SlotPlace| place.master.as_ref().expect("a master").server.0;
            let (to, from, epoch) = (master(place), master(before), place.epoch);
            let knows = |server: Server| {
                let applied = JOINED + self.servers[&server].applied as u64;
                applied >= place.since.0
            };
            let planned = place.origin == PlaceOrigin::Planned;
            if planned && knows(to) && knows(from) && self.tables[&slot].epoch == before.epoch {
                self.tables.get_mut(&slot).expect("a table").epoch = epoch;
                self.serve_waiting(slot, to);
            }
        }
    }

    fn serve_waiting(&mut self, slot: SlotId, server: Server) {
        let table = self.tables.get_mut(&slot).expect("a table");
        let epoch = table.epoch;
        let waiting = core::mem::take(&mut table.waiting);
        for (its, op, kind) in waiting {
            if its == epoch {
                self.operation(server, op, slot, kind);
            }
        }
    }

    pub(super) fn map_of(&self, applied: usize) -> SlotMap {
        let slots = self.tables.keys().filter_map(|&slot| {
            let mut places = self.log[..applied].iter().rev();
            places.find(|place| place.slot == slot).cloned()
        });
        SlotMap {
            index: LogIndex(JOINED + applied as u64),
            slots: slots.collect(),
        }
    }

    pub(super) fn whole_map(&self) -> SlotMap {
        self.map_of(self.log.len())
    }

    fn break_streams(&mut self, server: Server) {
        let its = |(_, its): &(&StreamId, &Server)| **its == server;
        let broken: Vec<StreamId> = self.streams.iter().filter(its).map(|(&id, _)| id).collect();
        for stream in broken {
            self.break_stream(stream);
        }
    }

    /// What is on its way is lost, in both directions.
    pub(super) fn break_stream(&mut self, stream: StreamId) {
        self.to_server.remove(&stream);
        self.to_client.remove(&stream);
        if let Some(server) = self.streams.remove(&stream) {
            let process = self.servers.get_mut(&server).expect("a server");
            if process.stream == Some(stream) {
                process.stream = None;
            }
        }
    }

    /// A stream reaches a server.
    pub(super) fn hello(&mut self, server: Server, stream: StreamId, hello: &Hello) {
        let process = &self.servers[&server];
        assert!(hello.generation > process.generation, "generations grow");
        let map = self.map_of(process.applied);
        let process = self.servers.get_mut(&server).expect("a server");
        process.generation = hello.generation;
        process.stream = Some(stream);
        let incarnation = Incarnation(process.incarnation);
        if hello.incarnation == Some(incarnation) {
            process.events.retain(|event| event.0 > hello.after);
        }
        let welcome = Welcome {
            version: 1,
            incarnation,
            last_number: process.last_number,
            map,
        };
        let mut queue = VecDeque::from([FromServer::Welcome(welcome)]);
        for (sequence, slot, epoch, event) in process.events.iter().cloned() {
            queue.push_back(FromServer::Event {
                sequence,
                slot: Some((slot, epoch)),
                event,
            });
        }
        self.to_client.insert(stream, queue);
        self.to_server.insert(stream, VecDeque::new());
        self.streams.insert(stream, server);
    }

    fn emit(&mut self, server: Server, slot: SlotId, epoch: Epoch, event: Event) {
        let process = self.servers.get_mut(&server).expect("a server");
        process.sequence += 1;
        let sequence = process.sequence;
        process
            .events
            .push_back((sequence, slot, epoch, event.clone()));
        if let Some(stream) = process.stream {
            let queue = self.to_client.get_mut(&stream).expect("a queue");
            let slot = Some((slot, epoch));
            queue.push_back(FromServer::Event {
                sequence,
                slot,
                event,
            });
        }
    }

    /// A server takes the next message of a stream.
    pub(super) fn take(&mut self, stream: StreamId) {
        let queue = self.to_server.get_mut(&stream).expect("a queue");
        let Some(message) = queue.pop_front() else {
            return;
        };
        let server = self.streams[&stream];
        let process = self.servers.get_mut(&server).expect("a server");
        if process.stream != Some(stream) {
            return;
        }
        let number = match message {
            ToServer::Operation { number, .. }
            | ToServer::Everywhere { number, .. }
            | ToServer::Claims { number, .. }
            | ToServer::Unreadable { number, .. } => number,
            ToServer::Acknowledge { sequence } => {
                process.events.retain(|event| event.0 > sequence);
                return;
            }
            ToServer::Hello(_) => panic!("a second greeting"),
        };
        if number <= process.last_number {
            return;
        }
        assert_eq!(number, process.last_number + 1, "no gap");
        process.last_number = number;
        match message {
            ToServer::Operation {
                op,
                slot,
                epoch,
                kind,
                ..
            } => self.arrived(server, (slot, epoch), op, kind),
            ToServer::Claims {
                slot,
                epoch,
                claims,
                done,
                ..
            } => self.claimed(server, (slot, epoch), claims, done),
            _ => panic!("not in this model"),
        }
    }

    fn masters(&self, server: Server, slot: SlotId, epoch: Epoch) -> bool {
        let applied = self.servers[&server].applied;
        let mut places = self.log[..applied].iter().rev();
        let place = places.find(|place| place.slot == slot);
        place.is_some_and(|place| {
            let master = place.master.as_ref().expect("a master");
            place.epoch == epoch && master.incarnation.0 == self.servers[&server].incarnation
        })
    }

    fn arrived(
        &mut self,
        server: Server,
        (slot, epoch): (SlotId, Epoch),
        op: OpId,
        kind: OperationKind,
    ) {
        if !self.masters(server, slot, epoch) {
            let op = Some(op);
            let known = self.map_of(self.servers[&server].applied);
            let known = known.slots.iter().find(|place| place.slot == slot);
            let known = known.map_or(Epoch(0), |place| place.epoch);
            let event = Event::NotMaster {
                op,
                slot,
                epoch: known,
            };
            self.emit(server, slot, known, event);
            return;
        }
        let table = self.tables.get_mut(&slot).expect("a table");
        assert!(
            table.seen.insert((epoch, op)),
            "{op:?} came twice in {epoch:?}"
        );
        if table.epoch > epoch {
            // A stale master: what it does to a table of its own counts nowhere.
            self.stale(server, (slot, epoch), op, kind.lock());
        } else if table.epoch == epoch {
            self.operation(server, op, slot, kind);
        } else {
            table.waiting.push((epoch, op, kind));
        }
    }

    /// A master that does not know yet that it is none answers what it likes.
    fn stale(&mut self, server: Server, at: (SlotId, Epoch), op: OpId, lock: LockId) {
        self.next_token += 1;
        let event = Event::Done(Done {
            op,
            lock,
            status: Status::Granted,
            mode: Some(Mode::Ex),
            token: Token(self.next_token),
            flags: StatusFlags::empty(),
            value: None,
            value_sequence: 0,
        });
        self.emit(server, at.0, at.1, event);
    }

    /// Answers an operation, and remembers the answer.
    fn answer(&mut self, server: Server, slot: SlotId, event: Event) {
        let table = self.tables.get_mut(&slot).expect("a table");
        let epoch = table.epoch;
        let (Event::Done(Done { op, .. }) | Event::Queued { op, .. }) = event else {
            panic!("no answer");
        };
        table.recorded.insert(op, event.clone());
        self.emit(server, slot, epoch, event);
    }

    fn done(
        &mut self,
        (server, slot): (Server, SlotId),
        (op, lock): (OpId, LockId),
        status: Status,
    ) {
        let held = self.tables[&slot].locks.get(&lock);
        let mode = held.and_then(|held| held.granted);
        self.next_token += 1;
        let token = Token(if mode.is_some() { self.next_token } else { 0 });
        let event = Event::Done(Done {
            op,
            lock,
            status,
            mode,
            token,
            flags: StatusFlags::empty(),
            value: None,
            value_sequence: 0,
        });
        self.answer(server, slot, event);
    }

    fn operation(&mut self, server: Server, op: OpId, slot: SlotId, kind: OperationKind) {
        let at = (server, slot);
        let lock = kind.lock();
        if let Some(event) = self.tables[&slot].recorded.get(&op).cloned() {
            let epoch = self.tables[&slot].epoch;
            self.emit(server, slot, epoch, event);
            return;
        }
        let now = self.dice.one_in(2);
        let locks = &mut self.tables.get_mut(&slot).expect("a table").locks;
        match kind {
            OperationKind::Request { mode, flags, .. } => {
                assert!(!locks.contains_key(&lock), "{lock:?} is in use");
                self.wants(at, (op, lock), mode, (flags, now));
            }
            OperationKind::Convert { mode, flags, .. } => {
                let held = locks[&lock].granted.expect("a lock that is held");
                let now = now || held.is_down_to(mode);
                self.wants(at, (op, lock), mode, (flags, now));
            }
            OperationKind::Unlock { .. } => {
                let Some(held) = locks.remove(&lock) else {
                    let missing = dlm_core::Refusal::NoSuchLock;
                    return self.done(at, (op, lock), Status::Refused(missing));
                };
                for op in held.wait.map(|(op, _)| op).into_iter().chain([op]) {
                    self.done(at, (op, lock), Status::Unlocked);
                }
            }
            OperationKind::Cancel { .. } => {
                let held = locks.get_mut(&lock);
                let Some((wait, _)) = held.and_then(|held| held.wait.take()) else {
                    return self.done(at, (op, lock), Status::NothingToCancel);
                };
                locks.retain(|_, held| held.granted.is_some() || held.wait.is_some());
                self.done(at, (wait, lock), Status::Cancelled);
                self.done(at, (op, lock), Status::CancelDone);
            }
        }
    }

    fn wants(
        &mut self,
        (server, slot): (Server, SlotId),
        (op, lock): (OpId, LockId),
        mode: Mode,
        (flags, now): (RequestFlags, bool),
    ) {
        let locks = &mut self.tables.get_mut(&slot).expect("a table").locks;
        if now {
            locks.entry(lock).or_default().granted = Some(mode);
            self.done((server, slot), (op, lock), Status::Granted);
        } else if flags.contains(RequestFlags::NOQUEUE) {
            self.done((server, slot), (op, lock), Status::TryFailed);
        } else {
            locks.entry(lock).or_default().wait = Some((op, mode));
            let serial = op.0;
            self.answer(server, slot, Event::Queued { op, lock, serial });
        }
    }

    /// Something that waits is granted, where its slot is served.
    pub(super) fn grant(&mut self, slot: SlotId) {
        let place = self.current(slot).expect("a place").clone();
        let server = place.master.expect("a master").server.0;
        let table = self.tables.get_mut(&slot).expect("a table");
        if table.epoch != place.epoch {
            return;
        }
        let mut waiting = table.locks.iter_mut();
        let waits = waiting.find(|(_, held)| held.wait.is_some());
        if let Some((&lock, held)) = waits {
            let (op, mode) = held.wait.take().expect("it waits");
            held.granted = Some(mode);
            self.done((server, slot), (op, lock), Status::Granted);
        }
    }

    fn claimed(
        &mut self,
        server: Server,
        (slot, epoch): (SlotId, Epoch),
        claims: Vec<Claim>,
        done: bool,
    ) {
        if !self.masters(server, slot, epoch) {
            let op = None;
            return self.emit(server, slot, epoch, Event::NotMaster { op, slot, epoch });
        }
        let table = self.tables.get_mut(&slot).expect("a table");
        if table.epoch > epoch {
            // A stale master recovers a table of its own.
            return self.emit(server, slot, epoch, Event::ClaimsTaken { slot, epoch });
        }
        table.claims.extend(claims);
        if !done {
            return;
        }
        let claims = core::mem::take(&mut table.claims);
        let truth = core::mem::take(&mut table.locks);
        table.recorded.clear();
        table.epoch = epoch;
        self.recoveries += 1;
        self.emit(server, slot, epoch, Event::ClaimsTaken { slot, epoch });
        let mut named: Vec<(OpId, LockId, Option<Status>)> = Vec::new();
        for claim in &claims {
            let lock = claim.lock;
            let granted = truth.get(&lock).and_then(|held| held.granted);
            if let Some(held) = claim.held() {
                let all = granted.is_some_and(|granted| granted.is_down_to(held));
                // A conversion down that the old master never saw has been done by its holder.
                assert!(
                    all,
                    "{lock:?} is claimed in {held:?}, granted was {granted:?}"
                );
                assert_ne!(claim.token, Token(0));
            }
            let mut held = Held {
                granted: claim.held(),
                wait: None,
            };
            match claim.stands {
                Stands::Granted { unanswered, .. } => {
                    named.extend(unanswered.map(|op| (op, lock, Some(Status::Granted))));
                }
                Stands::Converting { op, wanted, .. } | Stands::Waiting { op, wanted, .. } => {
                    held.wait = Some((op, wanted));
                    named.push((op, lock, None));
                }
                Stands::Unlocked { op, ends } => {
                    let ops = ends.into_iter().chain([op]);
                    named.extend(ops.map(|op| (op, lock, Some(Status::Unlocked))));
                    continue;
                }
            }
            let table = self.tables.get_mut(&slot).expect("a table");
            assert!(
                table.locks.insert(lock, held).is_none(),
                "{lock:?} is claimed twice"
            );
        }
        for (op, lock, status) in named {
            let table = self.tables.get_mut(&slot).expect("a table");
            assert!(
                table.seen.insert((epoch, op)),
                "{op:?} is claimed and came before"
            );
            let serial = op.0;
            match status {
                Some(status) => self.done((server, slot), (op, lock), status),
                None => self.answer(server, slot, Event::Queued { op, lock, serial }),
            }
        }
        self.serve_waiting(slot, server);
    }
}

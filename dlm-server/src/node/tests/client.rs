//! A client that keeps to the protocol, as short as one can be.
//!
//! It has no conversions up with `NOQUEUE` and the like under way when a master is lost: those are tested
//! with the real one.

use std::collections::{BTreeMap, BTreeSet};

use dlm_core::call::{Call, CallAnswer, CallId};
use dlm_core::cluster::{CommandRefusal, Name, Versions};
use dlm_core::link::{
    Done, Event, EverywhereKind, FromServer, Hello, OperationKind, PlaceOrigin, SlotMap, SlotPlace,
    StreamRefusal, ToServer,
};
use dlm_core::recovery::{Claim, Stands};
use dlm_core::{Epoch, Incarnation, LockId, LockspaceId, LogIndex, Mode, OpId, Owner};
use dlm_core::{Refusal, RequestFlags, ResourceName, SessionId, SlotId, Status, Tick, Token};

use super::super::StreamId;
use super::world::{World, endpoint};

const KEEPALIVE_US: u64 = 1_000_000;
const CALL_US: u64 = 500_000;

/// No lock of a client has this number.
const UNREADABLE: LockId = LockId(u64::MAX);

/// A lock, as far as the client was told.
#[derive(Clone, Debug)]
pub(super) struct Lock {
    pub(super) name: ResourceName,
    pub(super) held: Option<Mode>,
    pub(super) token: Token,
    /// An operation that is not answered, what it is, its position, and the epoch it was sent under.
    pub(super) pending: Option<(OpId, OperationKind)>,
    pub(super) serial: Option<u64>,
    sent: Option<Epoch>,
}

#[derive(Debug, Default)]
struct Link {
    stream: Option<StreamId>,
    welcomed: bool,
    incarnation: Option<Incarnation>,
    number: u64,
    after: u64,
    sent: Vec<(u64, ToServer)>,
    retry: Tick,
}

#[derive(Debug, Default)]
pub(super) struct Client {
    pub(super) nonce: u128,
    number: usize,
    pub(super) joined: Option<(SessionId, LogIndex)>,
    pub(super) dead: bool,
    pub(super) silent: bool,
    pub(super) spaces: BTreeMap<Name, LockspaceId>,
    map: BTreeMap<SlotId, (LogIndex, SlotPlace)>,
    claimed: BTreeMap<SlotId, Epoch>,
    links: BTreeMap<usize, Link>,
    generation: u64,
    ops: u64,
    pub(super) locks: BTreeMap<LockId, Lock>,
    wanted: Vec<(CallId, Call, Tick)>,
    target: usize,
    calls: u64,
    keepalive: Tick,
    pub(super) answered: Vec<(OpId, Done)>,
    pub(super) purged: Vec<(OpId, u32)>,
    /// Orphans that were taken away by somebody else.
    pub(super) lost_orphans: Vec<LockId>,
    pub(super) blocked: Vec<(LockId, Mode)>,
    pub(super) refusals: Vec<CommandRefusal>,
    pub(super) done: u32,
    pub(super) ends: Vec<StreamRefusal>,
    /// Answers to operations that had been answered.
    pub(super) twice: u32,
}

pub(super) fn name(text: &str) -> ResourceName {
    ResourceName::new(text.as_bytes()).expect("a name")
}

pub(super) const SPACE: LockspaceId = LockspaceId(1);

impl Client {
    pub(super) fn new(nonce: u128, number: usize) -> Self {
        let mut client = Self {
            nonce,
            number,
            ..Self::default()
        };
        let join = Call::Join {
            nonce,
            name: Name::new(format!("client{number}")).expect("a name"),
            versions: Versions { min: 1, max: 1 },
            attests: None,
        };
        client.ask(join);
        client
    }

    pub(super) fn session(&self) -> Option<SessionId> {
        self.joined.map(|(session, _)| session)
    }

    /// Asks until there is an answer.
    pub(super) fn ask(&mut self, call: Call) {
        self.wanted.push((CallId(0), call, Tick(0)));
    }

    fn op(&mut self) -> OpId {
        self.ops += 1;
        OpId(self.ops)
    }

    pub(super) fn lock(&mut self, lock: u64, text: &str, mode: Mode) -> OpId {
        let lock = LockId(lock);
        let op = self.op();
        let kind = OperationKind::Request {
            lockspace: SPACE,
            lock,
            name: name(text),
            mode,
            flags: RequestFlags::empty(),
            owner: Owner(0),
        };
        let lock_of = Lock {
            name: name(text),
            held: None,
            token: Token(0),
            pending: Some((op, kind)),
            serial: None,
            sent: None,
        };
        self.locks.insert(lock, lock_of);
        op
    }

    fn begin(&mut self, lock: LockId, kind: OperationKind) -> OpId {
        let op = self.op();
        let known = self.locks.get_mut(&lock).expect("a lock");
        assert!(known.pending.is_none(), "one operation at a time");
        known.pending = Some((op, kind));
        (known.sent, known.serial) = (None, None);
        op
    }

    pub(super) fn try_lock(&mut self, lock: u64, text: &str, mode: Mode) -> OpId {
        let op = self.lock(lock, text, mode);
        let known = self.locks.get_mut(&LockId(lock)).expect("a lock");
        if let Some((_, OperationKind::Request { flags, .. })) = &mut known.pending {
            *flags = RequestFlags::NOQUEUE;
        }
        op
    }

    pub(super) fn convert(&mut self, lock: u64, mode: Mode) -> OpId {
        let lock = LockId(lock);
        let kind = OperationKind::Convert {
            lock,
            mode,
            flags: RequestFlags::empty(),
            owner: Owner(0),
            value: None,
        };
        self.begin(lock, kind)
    }

    pub(super) fn unlock(&mut self, lock: u64) -> OpId {
        let lock = LockId(lock);
        let kind = OperationKind::Unlock {
            lock,
            flags: RequestFlags::empty(),
            value: None,
        };
        self.begin(lock, kind)
    }

    /// An operation on all slots of every server that has any.
    pub(super) fn everywhere(&mut self, kind: EverywhereKind, world: &mut World) -> Vec<OpId> {
        let servers: Vec<usize> = self.links.keys().copied().collect();
        let mut ops = Vec::new();
        for server in servers {
            let op = self.op();
            let message = |number| ToServer::Everywhere { number, op, kind };
            self.send(server, message, world);
            ops.push(op);
        }
        ops
    }

    /// On every stream an operation that could not be read, on a lock that is none.
    pub(super) fn unreadable(&mut self, why: Refusal, world: &mut World) -> Vec<OpId> {
        let servers: Vec<usize> = self.links.keys().copied().collect();
        let mut ops = Vec::new();
        for server in servers {
            let op = self.op();
            let message = |number| ToServer::Unreadable {
                number,
                op,
                lock: UNREADABLE,
                why,
            };
            self.send(server, message, world);
            ops.push(op);
        }
        ops
    }

    pub(super) fn answer(&self, op: OpId) -> Option<&Done> {
        let mut answered = self.answered.iter();
        answered.find(|(of, _)| *of == op).map(|(_, done)| done)
    }

    pub(super) fn status(&self, op: OpId) -> Option<Status> {
        self.answer(op).map(|done| done.status)
    }

    /// Breaks all its streams; it opens others.
    pub(super) fn break_streams(&mut self) {
        for link in self.links.values_mut() {
            (link.stream, link.welcomed) = (None, false);
        }
    }

    pub(super) fn tick(&mut self, world: &mut World) {
        if self.silent || self.dead {
            return;
        }
        if let Some((session, _)) = self.joined
            && self.keepalive <= world.now
        {
            self.keepalive = world.now.plus(KEEPALIVE_US);
            let nonce = self.nonce;
            self.ask(Call::KeepAlive { session, nonce });
        }
        self.send_calls(world);
        self.sync(world);
    }

    fn send_calls(&mut self, world: &mut World) {
        for at in 0..self.wanted.len() {
            let (_, call, until) = &self.wanted[at];
            if *until > world.now {
                continue;
            }
            if until.0 > 0 {
                self.target = (self.target + 1) % world.count();
            }
            self.calls += 1;
            let id = CallId(((self.number as u64 + 1) << 32) | self.calls);
            world.call(self.number, id, self.target, call.clone());
            let call = call.clone();
            self.wanted[at] = (id, call, world.now.plus(CALL_US));
        }
    }

    pub(super) fn answered(&mut self, call: CallId, answer: CallAnswer, world: &mut World) {
        let Some(at) = self.wanted.iter().position(|(id, ..)| *id == call) else {
            return;
        };
        if let CallAnswer::NotLeader(leader) = answer {
            let there = (0..world.count()).find(|&server| Some(endpoint(server)) == leader);
            self.target = there.unwrap_or_else(|| (self.target + 1) % world.count());
            self.wanted[at].2 = Tick(0);
            // Not at once, or nobody would ever get to elect anybody.
            return;
        }
        let (_, asked, _) = self.wanted.remove(at);
        match answer {
            CallAnswer::Joined {
                session, joined, ..
            } => {
                self.joined = Some((session, joined));
                self.keepalive = world.now.plus(KEEPALIVE_US);
                self.ask(Call::Map);
            }
            CallAnswer::Opened { lockspace, .. } => {
                if let Call::OpenLockspace { name, .. } = asked {
                    self.spaces.insert(name, lockspace);
                }
            }
            CallAnswer::Map(map) => self.learn(map),
            CallAnswer::Refused(why) => {
                self.dead |= matches!(asked, Call::KeepAlive { .. });
                self.refusals.push(why);
            }
            CallAnswer::Done => self.done += 1,
            CallAnswer::Alive { .. } | CallAnswer::NotLeader(_) | CallAnswer::Failed => {}
        }
        self.sync(world);
    }

    fn learn(&mut self, map: SlotMap) {
        for place in map.slots {
            let known = self.map.get(&place.slot).map(|(index, _)| *index);
            if known.is_none_or(|known| known < map.index) {
                self.map.insert(place.slot, (map.index, place));
            }
        }
    }

    /// `None`: the stream broke.
    pub(super) fn hears(
        &mut self,
        stream: StreamId,
        message: Option<FromServer>,
        world: &mut World,
    ) {
        let mut links = self.links.iter_mut();
        let Some((&server, link)) = links.find(|(_, link)| link.stream == Some(stream)) else {
            return;
        };
        match message {
            None => {
                (link.stream, link.welcomed) = (None, false);
                link.retry = world.now.plus(20_000);
            }
            Some(FromServer::Welcome(welcome)) => {
                if link.incarnation != Some(welcome.incarnation) {
                    *link = Link {
                        stream: link.stream,
                        incarnation: Some(welcome.incarnation),
                        ..Link::default()
                    };
                }
                link.welcomed = true;
                link.sent
                    .retain(|(number, _)| *number > welcome.last_number);
                for (_, message) in &link.sent {
                    world.say(stream, message.clone());
                }
                self.learn(welcome.map);
            }
            Some(FromServer::Map(map)) => self.learn(map),
            Some(FromServer::Event {
                sequence,
                slot,
                event,
            }) => {
                if sequence <= link.after {
                    return;
                }
                assert_eq!(
                    sequence,
                    link.after + 1,
                    "server {server} left an event out"
                );
                link.after = sequence;
                world.say(stream, ToServer::Acknowledge { sequence });
                self.event(slot, event);
            }
            Some(FromServer::Refused { why }) => self.ends.push(why),
        }
        self.sync(world);
    }

    fn event(&mut self, slot: Option<(SlotId, Epoch)>, event: Event) {
        if let Some((slot, epoch)) = slot
            && self
                .claimed
                .get(&slot)
                .is_some_and(|claimed| epoch < *claimed)
        {
            return;
        }
        match event {
            Event::Done(done) => self.is_done(done),
            Event::Queued { op, lock, serial } => {
                if let Some(known) = self.locks.get_mut(&lock)
                    && known.pending.as_ref().is_some_and(|(of, _)| *of == op)
                {
                    known.serial = Some(serial);
                }
            }
            Event::Blocking { lock, mode } => self.blocked.push((lock, mode)),
            Event::Purged { op, locks } => self.purged.push((op, locks)),
            Event::OrphanPurged { lock } => {
                self.locks.remove(&lock);
                self.lost_orphans.push(lock);
            }
            Event::Orphaned { .. } | Event::NotMaster { .. } | Event::ClaimsTaken { .. } => {}
        }
    }

    fn is_done(&mut self, done: Done) {
        let op = done.op;
        if done.lock == UNREADABLE {
            self.answered.push((op, done));
            return;
        }
        let known = self.locks.get_mut(&done.lock);
        let known = known.filter(|known| known.pending.as_ref().is_some_and(|it| it.0 == op));
        let Some(known) = known else {
            self.twice += 1;
            return;
        };
        known.pending = None;
        known.serial = None;
        known.held = done.mode;
        known.token = done.token;
        if done.mode.is_none() {
            self.locks.remove(&done.lock);
        }
        self.answered.push((op, done));
    }

    fn send(&mut self, server: usize, message: impl FnOnce(u64) -> ToServer, world: &mut World) {
        let link = self.links.get_mut(&server).expect("a link");
        link.number += 1;
        let message = message(link.number);
        link.sent.push((link.number, message.clone()));
        if let Some(stream) = link.stream {
            world.say(stream, message);
        }
    }

    /// Says to every master what it does not know yet.
    pub(super) fn sync(&mut self, world: &mut World) {
        let Some((session, joined)) = self.joined else {
            return;
        };
        let masters = self.map.values();
        let masters = masters.filter_map(|(_, place)| place.master.as_ref());
        let servers: BTreeSet<usize> = masters.map(|master| master.server.0 as usize - 1).collect();
        for server in servers {
            self.connect(server, session, world);
        }
        let unsent = self.locks.values().filter_map(|known| {
            let slot = SlotId::of(SPACE, &known.name);
            let epoch = self.map.get(&slot)?.1.epoch;
            let is_sent = known.sent.is_some_and(|sent| sent >= epoch);
            (known.pending.is_some() && !is_sent).then_some(slot)
        });
        let unclaimed = self.map.values().filter(|(_, place)| {
            let claimed = self.claimed.get(&place.slot);
            let claimed = claimed.is_some_and(|known| *known >= place.epoch);
            place.origin == PlaceOrigin::Lost && joined < place.since && !claimed
        });
        let due: BTreeSet<SlotId> = unsent
            .chain(unclaimed.map(|(_, place)| place.slot))
            .collect();
        for slot in due {
            let place = self.map[&slot].1.clone();
            self.sync_slot(&place, joined, world);
        }
    }

    fn connect(&mut self, server: usize, session: SessionId, world: &mut World) {
        let link = self.links.entry(server).or_default();
        if link.stream.is_some() || link.retry > world.now {
            return;
        }
        self.generation += 1;
        let hello = Hello {
            versions: Versions { min: 1, max: 1 },
            session,
            nonce: self.nonce,
            generation: self.generation,
            incarnation: link.incarnation,
            after: link.after,
        };
        link.retry = world.now.plus(20_000);
        link.stream = world.open(self.number, server, hello);
    }

    fn sync_slot(&mut self, place: &SlotPlace, joined: LogIndex, world: &mut World) {
        let Some(master) = &place.master else { return };
        let server = master.server.0 as usize - 1;
        let link = &self.links[&server];
        if !link.welcomed || link.incarnation != Some(master.incarnation) {
            return;
        }
        let (slot, epoch) = (place.slot, place.epoch);
        let claimed = self.claimed.get(&slot).is_some_and(|known| *known >= epoch);
        if place.origin == PlaceOrigin::Lost && joined < place.since && !claimed {
            self.claimed.insert(slot, epoch);
            let claims = self.claims(place);
            let done = true;
            let message = |number| ToServer::Claims {
                number,
                slot,
                epoch,
                claims,
                done,
            };
            self.send(server, message, world);
        }
        for lock in self.locks.keys().copied().collect::<Vec<_>>() {
            let known = self.locks.get_mut(&lock).expect("a lock");
            let is_here = SlotId::of(SPACE, &known.name) == slot;
            if !is_here || known.sent.is_some_and(|sent| sent >= epoch) {
                continue;
            }
            if let Some((op, kind)) = known.pending.clone() {
                known.sent = Some(epoch);
                let message = |number| ToServer::Operation {
                    number,
                    op,
                    slot,
                    epoch,
                    kind,
                };
                self.send(server, message, world);
            }
        }
    }

    /// What it has in a slot; an operation that is claimed is not sent again.
    fn claims(&mut self, place: &SlotPlace) -> Vec<Claim> {
        let mut claims = Vec::new();
        for (&lock, known) in &mut self.locks {
            if SlotId::of(SPACE, &known.name) != place.slot {
                continue;
            }
            let serial = known.serial;
            let stands = match (&known.pending, known.held) {
                (Some((op, OperationKind::Request { mode, flags, .. })), _) => {
                    if flags.contains(RequestFlags::NOQUEUE) || known.sent.is_none() {
                        continue;
                    }
                    let (op, wanted) = (*op, *mode);
                    Stands::Waiting { wanted, op, serial }
                }
                (Some((op, OperationKind::Convert { mode, .. })), Some(held)) => {
                    let (op, wanted) = (*op, *mode);
                    assert!(!held.is_down_to(wanted), "not in these tests");
                    Stands::Converting {
                        held,
                        wanted,
                        op,
                        serial,
                        given: None,
                    }
                }
                (Some((op, OperationKind::Unlock { .. })), Some(_)) => Stands::Unlocked {
                    op: *op,
                    ends: None,
                },
                (_, Some(mode)) => Stands::Granted {
                    mode,
                    unanswered: None,
                },
                _ => continue,
            };
            known.sent = Some(place.epoch);
            claims.push(Claim {
                lock,
                lockspace: SPACE,
                name: known.name.clone(),
                owner: Owner(0),
                flags: RequestFlags::empty(),
                stands,
                granted: known.held,
                token: known.token,
                orphan: false,
                uses_values: false,
                value_sequence: 0,
                value: None,
            });
        }
        claims
    }
}

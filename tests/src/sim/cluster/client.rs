//! A client of the cluster: one real [`Session`] after the other, and an actor that uses it.

use std::collections::BTreeMap;

use dlm_core::call::CallId;
use dlm_core::cluster::{Name, Versions};
use dlm_core::link::{Event, FromServer, OperationKind, ToServer};
use dlm_core::{Epoch, OpId, SessionId, SlotId, Tick};
use glock_core::session::{
    Answer, Config, Input as SessionInput, Loss, Output as SessionOutput, Phase, Session, StreamId,
};

use super::super::process::{Birth, InputOf};
use super::super::{Input, Output, ProcessId, Random, StreamKey};
use super::actor::Actor;
use super::book::Book;
use super::coverage::{Reply, Said, Seen};
use super::glocks::{Around, Glocks};
use super::sabotage::AtClient;
use super::{Message, Order, Out, Part, Setup, TIMING, Tally, endpoint, place_at};
use crate::checkers::{ClientId, Fact, Lock, Ticket};

/// How long it does nothing between two sessions.
const PAUSE_US_MAX: u64 = 300_000;

/// A client.
#[derive(Debug)]
pub struct Client {
    birth: Birth,
    servers: u32,
    tally: Tally,
    random: Random,
    sabotage: AtClient,
    sessions: u64,
    session: Option<Session>,
    book: Book,
    actor: Actor,
    glocks: Glocks,
    /// When the next session begins.
    begins: Tick,
    streams: BTreeMap<StreamId, StreamKey>,
    /// Operations that were sent: what it is worth counting where the first answer was lost, and what
    /// waits for it.
    sent: BTreeMap<OpId, (Seen, Option<Ticket>)>,
    /// The epoch of a slot below which its messages count no more, by the claims that were sent.
    floors: BTreeMap<SlotId, Epoch>,
    alarm: Option<Tick>,
}

impl Client {
    pub(super) fn start(now: Tick, birth: Birth, setup: &Setup, out: &mut Out) -> Self {
        let tally = setup.tally.clone();
        let mut client = Self {
            birth,
            servers: setup.servers,
            random: Random::new(birth.seed),
            sabotage: AtClient::new(setup.sabotage, birth.id),
            sessions: 0,
            session: None,
            book: Book::new(ClientId(0), tally.clone()),
            tally,
            actor: Actor::new(now, setup.taste),
            glocks: Glocks::default(),
            begins: now,
            streams: BTreeMap::new(),
            sent: BTreeMap::new(),
            floors: BTreeMap::new(),
            alarm: None,
        };
        client.begin(now, out);
        client.set_alarm(out);
        client
    }

    /// The session that it has now, or had last.
    #[must_use]
    pub const fn id(&self) -> ClientId {
        let Birth { id, life, .. } = self.birth;
        ClientId(((id.0 as u64) << 32) + ((life as u64) << 16) + self.sessions)
    }

    /// Its session's number in the cluster, where it lives.
    #[must_use]
    pub fn session(&self) -> Option<SessionId> {
        let session = self.session.as_ref();
        let live = session.filter(|session| session.phase() == Phase::Live);
        live.and_then(Session::id)
    }

    /// When its session ends by its own clock.
    #[must_use]
    pub fn lease_ends(&self) -> Option<Tick> {
        self.session.as_ref().and_then(Session::lease_ends)
    }

    /// A lock of its session, as the history names it.
    #[must_use]
    pub const fn lock(&self, lock: dlm_core::LockId) -> Lock {
        Lock {
            client: self.id(),
            lock,
        }
    }

    pub(super) fn step(&mut self, now: Tick, input: InputOf<Part>, out: &mut Out) {
        match input {
            Input::Wake => {
                self.alarm = None;
                self.wake(now, out);
            }
            Input::Datagram {
                message: Message::Answer { of, call, answer },
                ..
            } if of == self.id().0 => {
                let answer = self.sabotage.answer(answer);
                self.tell(now, SessionInput::Answered { call, answer }, out);
            }
            Input::Message {
                stream,
                message: Message::Down(message),
            } => {
                if let Some(ours) = self.stream(stream) {
                    let message = self.sabotage.hears(message);
                    self.heard(stream, &message, out);
                    let stream = ours;
                    self.tell(now, SessionInput::Received { stream, message }, out);
                }
            }
            Input::Closed { stream } => {
                if let Some(ours) = self.stream(stream) {
                    self.streams.remove(&ours);
                    self.tell(now, SessionInput::Closed { stream: ours }, out);
                }
            }
            Input::Order(Order::Finish) => self.actor.finishing = true,
            _ => {}
        }
        self.set_alarm(out);
    }

    fn stream(&self, key: StreamKey) -> Option<StreamId> {
        let mut streams = self.streams.iter();
        streams.find(|(_, its)| **its == key).map(|(&id, _)| id)
    }

    fn set_alarm(&mut self, out: &mut Out) {
        let wake = match &self.session {
            Some(session) => {
                let all = [session.wake_at(), self.glocks.next()];
                let others = all.into_iter().flatten();
                others.fold(self.actor.next, Tick::min)
            }
            None => self.begins,
        };
        if self.alarm != Some(wake) {
            self.alarm = Some(wake);
            out.push(Output::WakeAt(wake));
        }
    }

    fn wake(&mut self, now: Tick, out: &mut Out) {
        if self.session.is_none() && self.begins <= now {
            self.begin(now, out);
        }
        let wakes = self.session.as_ref().and_then(Session::wake_at);
        if wakes.is_some_and(|at| at <= now) {
            self.tell(now, SessionInput::Clock, out);
        }
        if self.session.is_some() && self.actor.next <= now {
            let mut facts = Vec::new();
            let (random, book) = (&mut self.random, &mut self.book);
            let input = self.actor.act(now, random, book, &mut facts);
            out.extend(facts.into_iter().map(Output::Fact));
            if let Some(input) = input {
                self.tell(now, input, out);
            }
            if self.actor.has_glocks(&self.book) {
                self.with_glocks(now, out, Glocks::act);
            }
        }
        if self.session.is_some() && self.glocks.next().is_some_and(|at| at <= now) {
            self.with_glocks(now, out, Glocks::wake);
        }
    }

    /// Steps the glocks, and tells the session what they want of it.
    fn with_glocks(
        &mut self,
        now: Tick,
        out: &mut Out,
        step: impl FnOnce(&mut Glocks, &mut Around<'_>),
    ) {
        let mut facts = Vec::new();
        let mut around = Around {
            now,
            random: &mut self.random,
            book: &mut self.book,
            tally: &self.tally,
            facts: &mut facts,
            wants: Vec::new(),
        };
        step(&mut self.glocks, &mut around);
        let wants = around.wants;
        out.extend(facts.into_iter().map(Output::Fact));
        for input in wants {
            self.tell(now, input, out);
        }
    }

    fn begin(&mut self, now: Tick, out: &mut Out) {
        self.sessions += 1;
        self.streams.clear();
        self.sent.clear();
        self.floors.clear();
        self.book = Book::new(self.id(), self.tally.clone());
        self.actor.begins(now);
        let mut facts = Vec::new();
        self.book.called("joins".to_owned(), &mut facts);
        out.extend(facts.into_iter().map(Output::Fact));
        let config = Config {
            name: Name::new(format!("client {}", self.birth.id.0)).expect("a name"),
            nonce: self.random.draw().into(),
            versions: Versions { min: 1, max: 1 },
            attests: None,
            endpoints: (0..self.servers)
                .map(|one| endpoint(ProcessId(one)))
                .collect(),
            timing: TIMING,
            seed: self.random.draw(),
        };
        self.session = Some(Session::new(now, config));
        self.tell(now, SessionInput::Clock, out);
    }

    fn tell(&mut self, now: Tick, input: SessionInput, out: &mut Out) {
        let Some(session) = &mut self.session else {
            return;
        };
        let mut said = Vec::new();
        session.step(now, input, &mut said);
        for output in said {
            self.act(now, output, out);
        }
    }

    /// What a server says, before the session hears it: what it is worth to the checkers.
    fn heard(&mut self, over: StreamKey, message: &FromServer, out: &mut Out) {
        let Some(session) = self.session.as_ref().and_then(Session::id) else {
            return;
        };
        let FromServer::Event { slot, event, .. } = message else {
            return;
        };
        let counts = |of: Option<(SlotId, Epoch)>| {
            let floor = |slot| self.floors.get(&slot).copied().unwrap_or_default();
            of.is_none_or(|(slot, epoch)| epoch >= floor(slot))
        };
        let comes =
            |(first, of): Said| counts(of) && self.streams.values().any(|open| *open == first);
        match event {
            Event::Done(done) => {
                if let Some(&(kind, _)) = self.sent.get(&done.op) {
                    let what = Reply::Op(session, done.op);
                    self.tally.heard(what, over, kind, comes);
                }
            }
            Event::ClaimsTaken { slot, epoch } => {
                let what = Reply::Claims(session, *slot, *epoch);
                let kind = Seen::LostClaimsReply;
                self.tally.heard(what, over, kind, comes);
            }
            Event::Queued { op, lock, serial } => {
                if let (Some(&(_, Some(ticket))), true) = (self.sent.get(op), counts(*slot)) {
                    let mut facts = Vec::new();
                    self.book.queued(*lock, ticket, *serial, &mut facts);
                    out.extend(facts.into_iter().map(Output::Fact));
                }
            }
            _ => {}
        }
    }

    fn act(&mut self, now: Tick, output: SessionOutput, out: &mut Out) {
        let mut facts = Vec::new();
        match output {
            SessionOutput::Call {
                call,
                endpoint,
                request,
            } => self.call(call, place_at(&endpoint), request, out),
            SessionOutput::Open {
                stream,
                endpoint,
                hello,
            } => self.open(stream, place_at(&endpoint), hello, out),
            SessionOutput::Send { stream, message } => self.send(stream, message, out),
            SessionOutput::Close { stream } => {
                if let Some(stream) = self.streams.remove(&stream) {
                    out.push(Output::Close { stream });
                }
            }
            SessionOutput::Joined { session, .. } => {
                let client = self.id();
                facts.push(Fact::Joined { client, session });
                self.book.has_joined(&mut facts);
            }
            SessionOutput::Answer { ticket, answer } => {
                self.book.answered(ticket, answer.clone(), &mut facts);
                out.extend(facts.drain(..).map(Output::Fact));
                if let Answer::Lock(completion) = &answer {
                    self.with_glocks(now, out, |glocks, around| {
                        glocks.answered(ticket, completion, around);
                    });
                }
            }
            SessionOutput::Blocking { lock, mode } => {
                self.book.blocked(lock, mode, &mut facts);
                out.extend(facts.drain(..).map(Output::Fact));
                self.with_glocks(now, out, |glocks, around| {
                    glocks.blocked(lock, mode, around);
                });
            }
            // Nobody here ends its tasks one by one.
            SessionOutput::Orphaned { .. } => {}
            SessionOutput::Weakened { lock, mode } => self.book.weakened(lock, mode, &mut facts),
            SessionOutput::Lost { why } => {
                self.lost(now, &why, &mut facts);
                out.extend(facts.drain(..).map(Output::Fact));
                self.with_glocks(now, out, Glocks::lost);
            }
            SessionOutput::Ended => {
                self.tally.saw(Seen::Goodbye);
                facts.push(Fact::Left { client: self.id() });
                self.over(now);
            }
        }
        out.extend(facts.into_iter().map(Output::Fact));
    }

    fn lost(&mut self, now: Tick, why: &Loss, facts: &mut Vec<Fact>) {
        self.tally.saw(Seen::SessionLost);
        facts.push(Fact::Lost { client: self.id() });
        if *why == Loss::Numbers {
            facts.push(Fact::Miscounted { client: self.id() });
        }
        self.over(now);
    }

    fn over(&mut self, now: Tick) {
        self.session = None;
        self.begins = now.plus(self.random.below(PAUSE_US_MAX));
    }

    fn call(&self, call: CallId, to: ProcessId, asked: dlm_core::call::Call, out: &mut Out) {
        let of = self.id().0;
        let message = Message::Call { of, call, asked };
        out.push(Output::Datagram { to, message });
    }

    fn open(&mut self, id: StreamId, to: ProcessId, hello: dlm_core::link::Hello, out: &mut Out) {
        let number = (self.sessions << 32) + id.0;
        let (opener, life) = (self.birth.id, self.birth.life);
        let key = StreamKey {
            opener,
            life,
            number,
        };
        self.streams.insert(id, key);
        let message = Message::Hello(hello);
        out.push(Output::Open {
            to,
            number,
            message,
        });
    }

    fn send(&mut self, stream: StreamId, message: ToServer, out: &mut Out) {
        let Some(&stream) = self.streams.get(&stream) else {
            return;
        };
        match &message {
            ToServer::Operation { op, kind, .. } => {
                let lock = kind.lock();
                let kind = match kind {
                    OperationKind::Request { .. } => Seen::LostRequestReply,
                    OperationKind::Convert { .. } => Seen::LostConvertReply,
                    OperationKind::Unlock { .. } => Seen::LostUnlockReply,
                    OperationKind::Cancel { .. } => Seen::LostCancelReply,
                };
                let ticket = self.book.main(lock);
                self.sent.insert(*op, (kind, ticket));
            }
            ToServer::Claims { slot, epoch, .. } => self.claims((*slot, *epoch), out),
            _ => {}
        }
        let message = Message::Up(self.sabotage.says(message));
        out.push(Output::Message { stream, message });
    }

    /// It says what it has in a slot, in one message or in several, and perhaps again over another stream.
    fn claims(&mut self, (slot, epoch): (SlotId, Epoch), out: &mut Out) {
        if self.floors.insert(slot, epoch) != Some(epoch) {
            let (client, slot) = (self.id(), slot.number());
            out.push(Output::Fact(Fact::Claimed { client, slot }));
        }
    }
}

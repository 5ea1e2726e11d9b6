//! Virtual time, and what happens when.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use dlm_core::Tick;

use super::faults::Coverage;
use super::network::Fate;
use super::process::{Birth, Device, InputOf, OutputOf};
use super::random::Digest;
use super::streams::{Parcel, Streams};
use super::{Clock, Fault, Input, Network, Output, Process, ProcessId, Purpose, Random, StreamKey};
use crate::checkers::{Fact, History};

/// How long a stream may take to be opened before it is given up, in microseconds.
const OPEN_US_MAX: u64 = 2_000_000;

/// The most things that may happen in one run. More is a loop: a simulated minute of a small cluster
/// has a hundredth of it.
const EVENTS_MAX: u64 = 50_000_000;

/// What becomes of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It runs.
    Running,
    /// It stands still, and so does nothing but grow its queue. Its clock goes on.
    Stopped,
    /// It died, and its machine says so to whoever asks.
    Dead,
    /// Its machine is off: nobody answers.
    Off,
}

/// One place of the world.
pub(super) struct Place<P: Process> {
    pub(super) setup: P::Setup,
    pub(super) disk: P::Disk,
    pub(super) clock: Clock,
    pub(super) state: State,
    pub(super) life: u32,
    /// It died by somebody else's doing, and may be started again.
    pub(super) killed: bool,
    pub(super) process: Option<P>,
    /// Streams that the process knows.
    pub(super) known: BTreeSet<StreamKey>,
    /// What came while it stood still.
    pub(super) inbox: VecDeque<Arrival<P>>,
    /// The alarm: how manieth, and when by its own clock.
    pub(super) alarm: (u64, Option<Tick>),
    /// Writes given out and not done.
    pub(super) writes: VecDeque<(u64, <P::Disk as Device>::Write)>,
    /// When the disk is done with all of them.
    pub(super) disk_busy: Tick,
}

/// Something that reaches a process, or the machine that it ran on.
pub(super) enum Arrival<P: Process> {
    /// For the process.
    Told(InputOf<P>),
    /// Of a stream.
    Parcel(StreamKey, Parcel<P::Message>),
}

/// Something that is due.
pub(super) enum Due<P: Process> {
    /// A datagram arrives.
    Datagram(ProcessId, ProcessId, P::Message),
    /// What this end sent over this stream may have arrived.
    Stream(StreamKey, ProcessId),
    /// A stream that is not open yet is given up.
    GiveUp(StreamKey),
    /// An alarm of this life, by number.
    Wake(ProcessId, u32, u64),
    /// A write of this life is done.
    Disk(ProcessId, u32),
    /// Something of a process that stands still may have run out.
    Expiry(ProcessId, u32),
    /// The scenario speaks.
    Order(ProcessId, P::Order),
    /// Something goes wrong, or right again.
    Fault(Fault),
}

/// The whole cluster.
pub struct World<P: Process> {
    pub(super) now: Tick,
    pub(super) seed: u64,
    pub(super) places: Vec<Place<P>>,
    due: BTreeMap<(Tick, u64), Due<P>>,
    sequence: u64,
    /// The links.
    pub network: Network,
    pub(super) streams: Streams<P::Message>,
    /// Datagrams that wait for a link to open.
    pub(super) held: BTreeMap<(ProcessId, ProcessId), Vec<P::Message>>,
    pub(super) clocks: Random,
    pub(super) disks: Random,
    pub(super) lives: Random,
    /// Disks take so many times as long as they do.
    pub(super) disk_slowness: u64,
    trace: Digest,
    /// Whether everything is printed.
    pub loud: bool,
    /// What is true.
    pub history: History,
    /// What went wrong so far.
    pub coverage: Coverage,
}

impl<P: Process> World<P> {
    /// An empty world.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self {
            now: Tick(1_000_000),
            seed,
            places: Vec::new(),
            due: BTreeMap::new(),
            sequence: 0,
            network: Network::new(Random::of(seed, Purpose::Network)),
            streams: Streams::new(),
            held: BTreeMap::new(),
            clocks: Random::of(seed, Purpose::Clocks),
            disks: Random::of(seed, Purpose::Disks),
            lives: Random::of(seed, Purpose::Processes),
            disk_slowness: 1,
            trace: Digest::default(),
            loud: false,
            history: History::default(),
            coverage: Coverage::default(),
        }
    }

    /// A place for a process, which is not started yet.
    pub fn add(&mut self, setup: P::Setup, disk: P::Disk) -> ProcessId {
        let clock = Clock::new(self.now, &mut self.clocks);
        self.places.push(Place {
            setup,
            disk,
            clock,
            state: State::Off,
            life: 0,
            killed: false,
            process: None,
            known: BTreeSet::new(),
            inbox: VecDeque::new(),
            alarm: (0, None),
            writes: VecDeque::new(),
            disk_busy: Tick(0),
        });
        ProcessId(self.places.len() as u32 - 1)
    }

    /// The world's time, which no process knows.
    #[must_use]
    pub const fn now(&self) -> Tick {
        self.now
    }

    /// The seed that it began with.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// A digest of all that any process was told and said.
    #[must_use]
    pub const fn trace(&self) -> u64 {
        self.trace.0
    }

    /// All processes.
    pub fn ids(&self) -> impl Iterator<Item = ProcessId> + use<P> {
        (0..self.places.len() as u32).map(ProcessId)
    }

    /// What became of a process.
    #[must_use]
    pub fn state(&self, id: ProcessId) -> State {
        self.place(id).state
    }

    /// A process that has not died.
    #[must_use]
    pub fn process(&self, id: ProcessId) -> Option<&P> {
        self.place(id).process.as_ref()
    }

    /// What a process's own clock shows.
    #[must_use]
    pub fn clock(&self, id: ProcessId) -> Tick {
        self.place(id).clock.read(self.now)
    }

    /// Tells a process something after a while.
    pub fn order(&mut self, micros: u64, to: ProcessId, order: P::Order) {
        self.later(micros, Due::Order(to, order));
    }

    /// Something that is known to be true now.
    pub fn fact(&mut self, by: ProcessId, fact: Fact) {
        self.history.push(self.now, by, fact);
    }

    /// Runs for so long.
    pub fn run(&mut self, micros: u64) {
        let until = self.now.plus(micros);
        while self.happen(until) {}
        self.now = until;
    }

    /// Runs until something is true, looking after everything that happens; for so long at most. False
    /// where it did not come to be true.
    pub fn run_until(&mut self, micros: u64, mut done: impl FnMut(&Self) -> bool) -> bool {
        let until = self.now.plus(micros);
        while !done(self) {
            if !self.happen(until) {
                self.now = until;
                return false;
            }
        }
        true
    }

    /// The next thing, if it is due by then.
    fn happen(&mut self, until: Tick) -> bool {
        let Some(first) = self.due.first_entry() else {
            return false;
        };
        if first.key().0 > until {
            return false;
        }
        let ((at, sequence), due) = first.remove_entry();
        assert!(sequence < EVENTS_MAX, "seed {}: it does not end", self.seed);
        self.now = at;
        match due {
            Due::Datagram(from, to, message) => {
                self.arrive(to, Arrival::Told(Input::Datagram { from, message }));
            }
            Due::Stream(key, from) => self.carry(key, from),
            Due::GiveUp(key) => self.give_up(key),
            Due::Wake(id, life, number) => self.wake(id, life, number),
            Due::Disk(id, life) => self.written(id, life),
            Due::Expiry(id, life) => self.expire(id, life),
            Due::Order(to, order) => self.arrive(to, Arrival::Told(Input::Order(order))),
            Due::Fault(fault) => self.inflict(&fault),
        }
        true
    }

    /// Hands something to a process, or keeps it while that stands still.
    pub(super) fn arrive(&mut self, to: ProcessId, arrival: Arrival<P>) {
        let place = self.place_mut(to);
        match (place.state, arrival) {
            (State::Stopped, arrival) => place.inbox.push_back(arrival),
            (State::Running, Arrival::Told(input)) => self.tell(to, input),
            (State::Dead | State::Off, Arrival::Told(_)) => {}
            (_, Arrival::Parcel(key, parcel)) => self.unpack(to, key, parcel),
        }
    }

    /// What arrived over a stream, at a machine that is on.
    fn unpack(&mut self, to: ProcessId, stream: StreamKey, parcel: Parcel<P::Message>) {
        let place = self.place_mut(to);
        let runs = place.state == State::Running;
        let input = match parcel {
            Parcel::Open(message) if runs => {
                place.known.insert(stream);
                Input::Opened { stream, message }
            }
            Parcel::Message(message) if place.known.contains(&stream) => {
                Input::Message { stream, message }
            }
            // Nobody here knows the stream.
            Parcel::Open(_) | Parcel::Message(_) => {
                self.put(stream, to, Parcel::Close);
                return;
            }
            Parcel::Close => {
                let known = place.known.remove(&stream);
                let other = self.streams.other_end(stream, to);
                if !other.is_some_and(|other| self.place(other).known.contains(&stream)) {
                    self.streams.forget(stream);
                }
                if !known {
                    return;
                }
                Input::Closed { stream }
            }
        };
        self.tell(to, input);
    }

    /// Delivers what an end sent over a stream and has come through.
    fn carry(&mut self, key: StreamKey, from: ProcessId) {
        while let Some(to) = self.streams.other_end(key, from) {
            // What does not get through is sent again until it does.
            if !self.network.is_open(from, to) || self.state(to) == State::Off {
                self.network.traffic.held += 1;
                return;
            }
            let Some(parcel) = self.streams.take(key, from, self.now) else {
                return;
            };
            self.arrive(to, Arrival::Parcel(key, parcel));
        }
    }

    pub(super) fn put(&mut self, key: StreamKey, from: ProcessId, parcel: Parcel<P::Message>) {
        let Some(to) = self.streams.other_end(key, from) else {
            return;
        };
        self.network.traffic.sent += 1;
        let micros = self.network.delay_us(from, to);
        let arrives = self.now.plus(micros);
        if let Some(at) = self.streams.put(key, from, arrives, parcel) {
            self.at(at, Due::Stream(key, from));
        }
    }

    /// What waits on the streams of a link may go on.
    pub(super) fn unblock(&mut self, from: ProcessId, to: ProcessId) {
        for key in self.streams.waiting(from, to) {
            let micros = self.network.delay_us(from, to);
            self.later(micros, Due::Stream(key, from));
        }
    }

    fn give_up(&mut self, key: StreamKey) {
        if self.streams.is_opening(key) {
            self.streams.forget(key);
            if self.place_mut(key.opener).known.remove(&key) {
                self.arrive(key.opener, Arrival::Told(Input::Closed { stream: key }));
            }
        }
    }

    fn wake(&mut self, id: ProcessId, life: u32, number: u64) {
        let place = self.place_mut(id);
        let current = place.life == life && place.alarm.0 == number;
        if current && place.alarm.1.take().is_some() {
            self.arrive(id, Arrival::Told(Input::Wake));
        }
    }

    /// Sets the alarm by what the process's clock shows now.
    pub(super) fn set_alarm(&mut self, id: ProcessId, at: Tick) {
        let now = self.now;
        let place = self.place_mut(id);
        place.alarm = (place.alarm.0 + 1, Some(at));
        let (number, life) = (place.alarm.0, place.life);
        let when = place.clock.when(now, at);
        self.at(when, Due::Wake(id, life, number));
    }

    fn written(&mut self, id: ProcessId, life: u32) {
        let place = self.place_mut(id);
        if place.life != life {
            return;
        }
        let Some((number, write)) = place.writes.pop_front() else {
            return;
        };
        if place.disk.write(&write) {
            self.arrive(id, Arrival::Told(Input::Written { number }));
        } else {
            self.coverage.died_of_disk += 1;
            self.kill(id, State::Dead);
        }
    }

    /// A process takes an input, and what it wants is done.
    fn tell(&mut self, id: ProcessId, input: InputOf<P>) {
        let own = self.clock(id);
        self.note(id, &input);
        let place = self.place_mut(id);
        let Some(process) = &mut place.process else {
            return;
        };
        let mut out = Vec::new();
        process.step(own, input, &mut out);
        self.act(id, out);
    }

    /// A process begins a life.
    pub(super) fn live(&mut self, id: ProcessId) {
        let own = self.clock(id);
        let seed = self.lives.draw();
        let place = self.place_mut(id);
        place.life += 1;
        place.state = State::Running;
        let life = place.life;
        let birth = Birth { id, life, seed };
        let mut out = Vec::new();
        let process = P::start(own, birth, &place.setup, &mut place.disk, &mut out);
        place.process = Some(process);
        self.act(id, out);
    }

    fn act(&mut self, id: ProcessId, out: Vec<OutputOf<P>>) {
        let life = self.place(id).life;
        for output in out {
            // One of the outputs before may have been its end.
            if self.place(id).process.is_none() || self.place(id).life != life {
                return;
            }
            let (now, loud) = (self.now.0, self.loud);
            self.trace.add(format_args!("{now} {} {output:?}", id.0));
            if loud {
                println!("{now:>12} {:>3} says {output:?}", id.0);
            }
            self.act_one(id, life, output);
        }
    }

    fn act_one(&mut self, id: ProcessId, life: u32, output: OutputOf<P>) {
        match output {
            Output::WakeAt(at) => self.set_alarm(id, at),
            Output::Datagram { to, message } => self.send(id, to, message),
            Output::Open {
                to,
                number,
                message,
            } => {
                let opener = id;
                let key = StreamKey {
                    opener,
                    life,
                    number,
                };
                self.streams.open(key, to);
                self.place_mut(id).known.insert(key);
                self.put(key, id, Parcel::Open(message));
                self.later(OPEN_US_MAX, Due::GiveUp(key));
            }
            Output::Message { stream, message } => {
                if self.place(id).known.contains(&stream) {
                    self.put(stream, id, Parcel::Message(message));
                }
            }
            Output::Close { stream } => {
                if self.place_mut(id).known.remove(&stream) {
                    self.put(stream, id, Parcel::Close);
                }
            }
            Output::Write { number, write } => {
                let micros = self.disks.between(100, 3_000) * self.disk_slowness;
                let now = self.now;
                let place = self.place_mut(id);
                place.writes.push_back((number, write));
                place.disk_busy = place.disk_busy.max(now.plus(micros));
                let at = place.disk_busy;
                self.at(at, Due::Disk(id, life));
            }
            Output::Fact(fact) => self.fact(id, fact),
            Output::Exit => self.exit(id),
        }
    }

    pub(super) fn send(&mut self, from: ProcessId, to: ProcessId, message: P::Message) {
        match self.network.datagram(self.now, from, to) {
            Fate::Lost => {}
            Fate::Waits => self.held.entry((from, to)).or_default().push(message),
            Fate::Arrives(delays) => {
                for micros in delays {
                    self.later(micros, Due::Datagram(from, to, message.clone()));
                }
            }
        }
    }

    /// What a process is told goes into the digest; what messages say is in it since they were sent.
    fn note(&mut self, id: ProcessId, input: &InputOf<P>) {
        let now = self.now.0;
        if self.loud {
            println!("{now:>12} {:>3} hears {input:?}", id.0);
        }
        let text = format_args!("{now} {}", id.0);
        match input {
            Input::Datagram { from, .. } => self.trace.add(format_args!("{text} from {}", from.0)),
            Input::Opened { stream, .. } | Input::Message { stream, .. } => {
                self.trace.add(format_args!("{text} over {stream:?}"));
            }
            other => self.trace.add(format_args!("{text} {other:?}")),
        }
    }

    pub(super) fn later(&mut self, micros: u64, due: Due<P>) {
        self.at(self.now.plus(micros), due);
    }

    pub(super) fn at(&mut self, at: Tick, due: Due<P>) {
        self.sequence += 1;
        self.due.insert((at, self.sequence), due);
    }

    pub(super) fn place(&self, id: ProcessId) -> &Place<P> {
        &self.places[id.0 as usize]
    }

    pub(super) fn place_mut(&mut self, id: ProcessId) -> &mut Place<P> {
        &mut self.places[id.0 as usize]
    }
}

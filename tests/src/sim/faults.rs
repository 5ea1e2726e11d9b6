//! What goes wrong, when, and with what: a plan drawn from the seed, and what of it was covered.
//!
//! A plan has two phases. In the first one things go wrong, of a few kinds that the seed chose: a run in
//! which only clocks drift and messages come twice finds what one in which everything goes wrong at once
//! does not get to. Then all is healed, and from there on the cluster owes progress.

use std::collections::BTreeMap;
use std::fmt;

use super::process::Device;
use super::world::Due;
use super::{Delay, Gate, Process, ProcessId, Purpose, Random, State, World};
use crate::checkers::Fact;

/// A kind of fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A process dies, and its machine says so.
    Crash,
    /// A machine goes off, and nobody says anything.
    PowerOff,
    /// A process stands still.
    Stop,
    /// A link is cut, one way.
    CutOneWay,
    /// Two processes hear nothing of each other.
    CutBoth,
    /// Nobody hears of a process, nor it of anybody.
    Isolate,
    /// A link swallows everything and gives it back later, in a heap.
    Stall,
    /// Datagrams are lost.
    Loss,
    /// Datagrams come twice.
    Double,
    /// The network is slow.
    Slow,
    /// One link is slow.
    SlowLink,
    /// Streams break.
    Break,
    /// A disk fails, and the process that writes to it dies of that.
    DiskFails,
    /// Disks are slow.
    DiskSlow,
    /// A clock runs at another rate.
    Drift,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::Crash,
        Self::PowerOff,
        Self::Stop,
        Self::CutOneWay,
        Self::CutBoth,
        Self::Isolate,
        Self::Stall,
        Self::Loss,
        Self::Double,
        Self::Slow,
        Self::SlowLink,
        Self::Break,
        Self::DiskFails,
        Self::DiskSlow,
        Self::Drift,
    ];

    /// What may happen to a client: it has no disk that matters.
    const fn of_clients(self) -> bool {
        !matches!(self, Self::DiskFails)
    }
}

/// One thing that goes wrong, or right again.
#[derive(Clone, Debug, PartialEq)]
pub enum Fault {
    /// A process dies.
    Crash(ProcessId),
    /// A machine goes off.
    PowerOff(ProcessId),
    /// A process starts again, where it is dead.
    Start(ProcessId),
    /// A process stands still.
    Stop(ProcessId),
    /// It goes on.
    Resume(ProcessId),
    /// Links are shut, each one way.
    Shut {
        /// As which kind of fault.
        kind: Kind,
        /// Which.
        links: Vec<(ProcessId, ProcessId)>,
        /// How.
        gate: Gate,
    },
    /// Links are open.
    Open(Vec<(ProcessId, ProcessId)>),
    /// Of a thousand datagrams, so many are lost.
    Loss(u64),
    /// Of a thousand datagrams, so many come twice.
    Double(u64),
    /// How long messages take.
    Delay(Delay),
    /// How long they take on one link, where that is another time.
    LinkDelay(ProcessId, ProcessId, Option<Delay>),
    /// Streams between two processes break.
    Break(ProcessId, ProcessId),
    /// The next write fails.
    DiskFails(ProcessId),
    /// Writes take so many times as long.
    DiskSlow(u64),
    /// A clock has another rate.
    Drift(ProcessId),
    /// All is well.
    Heal,
}

impl Fault {
    /// Of which kind it is; none where it is the end of one.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        Some(match self {
            Self::Crash(_) => Kind::Crash,
            Self::PowerOff(_) => Kind::PowerOff,
            Self::Stop(_) => Kind::Stop,
            Self::Shut { kind, .. } => *kind,
            Self::Loss(1..) => Kind::Loss,
            Self::Double(1..) => Kind::Double,
            Self::Delay(delay) if *delay != Delay::SITE => Kind::Slow,
            Self::LinkDelay(_, _, Some(_)) => Kind::SlowLink,
            Self::Break(..) => Kind::Break,
            Self::DiskFails(_) => Kind::DiskFails,
            Self::DiskSlow(2..) => Kind::DiskSlow,
            Self::Drift(_) => Kind::Drift,
            _ => return None,
        })
    }
}

/// What faults are drawn for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// The servers.
    pub servers: Vec<ProcessId>,
    /// The clients.
    pub clients: Vec<ProcessId>,
    /// How long the first phase takes, in microseconds.
    pub phase_us: u64,
    /// About how long it is from one fault to the next, in microseconds.
    pub pause_us: u64,
    /// The longest that one lasts, in microseconds. Some outlive their phase; they end when all is healed.
    pub lasts_us_max: u64,
}

/// What goes wrong in one run, each after so many microseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// The kinds that were chosen.
    pub kinds: Vec<Kind>,
    /// What happens, and when.
    pub faults: Vec<(u64, Fault)>,
}

impl Plan {
    /// The plan of this seed.
    #[must_use]
    pub fn draw(seed: u64, faults: &Faults) -> Self {
        let mut random = Random::of(seed, Purpose::Faults);
        let part = random.between(150, 800);
        let mut kinds: Vec<Kind> = Kind::ALL
            .into_iter()
            .filter(|_| random.per_mille(part))
            .collect();
        if kinds.is_empty() {
            kinds.extend(random.pick(&Kind::ALL));
        }
        let mut plan = Self {
            kinds,
            faults: Vec::new(),
        };
        let mut after = random.below(faults.pause_us);
        while after < faults.phase_us {
            if let Some(kind) = random.pick(&plan.kinds) {
                plan.add(kind, after, faults, &mut random);
            }
            after += random.between(1, 2 * faults.pause_us);
        }
        plan.faults.sort_by_key(|(after, _)| *after);
        plan.faults.push((faults.phase_us, Fault::Heal));
        plan
    }

    /// A fault of this kind, and its end.
    fn add(&mut self, kind: Kind, after: u64, faults: &Faults, random: &mut Random) {
        let all: Vec<ProcessId> = faults
            .servers
            .iter()
            .chain(&faults.clients)
            .copied()
            .collect();
        // Most is to be learned from servers.
        let servers = faults.clients.is_empty() || random.per_mille(650) || !kind.of_clients();
        let among = if servers {
            &faults.servers
        } else {
            &faults.clients
        };
        let others = |one| all.iter().copied().filter(move |other| *other != one);
        let Some(one) = random.pick(among) else {
            return;
        };
        let Some(other) = random.pick(&others(one).collect::<Vec<_>>()) else {
            return;
        };
        let both = |other| [(one, other), (other, one)];
        let shut = |links, gate| (Fault::Shut { kind, links, gate }, true);
        let cut = |links: Vec<_>| shut(links, Gate::Cut);
        let (begin, ends) = match kind {
            Kind::Crash => (Fault::Crash(one), true),
            Kind::PowerOff => (Fault::PowerOff(one), true),
            Kind::Stop => (Fault::Stop(one), true),
            Kind::CutOneWay if random.per_mille(500) => cut(vec![(one, other)]),
            Kind::CutOneWay => cut(vec![(other, one)]),
            Kind::CutBoth => cut(both(other).to_vec()),
            Kind::Isolate => cut(others(one).flat_map(both).collect()),
            Kind::Stall if random.per_mille(500) => shut(both(other).to_vec(), Gate::Stalled),
            Kind::Stall => shut(vec![(one, other)], Gate::Stalled),
            Kind::Loss => (Fault::Loss(random.between(1, 300)), true),
            Kind::Double => (Fault::Double(random.between(1, 300)), true),
            Kind::Slow => (Fault::Delay(Delay::BUSY), true),
            Kind::SlowLink => (Fault::LinkDelay(one, other, Some(Delay::BUSY)), true),
            Kind::Break => (Fault::Break(one, other), false),
            Kind::DiskFails => (Fault::DiskFails(one), true),
            Kind::DiskSlow => (Fault::DiskSlow(random.between(2, 30)), true),
            Kind::Drift => (Fault::Drift(one), false),
        };
        if ends {
            // As many are short as are long.
            let most = faults.lasts_us_max >> random.below(6);
            let end = after + random.between(1, most.max(1));
            if end < faults.phase_us {
                self.faults.push((end, end_of(&begin)));
            }
        }
        self.faults.push((after, begin));
    }
}

/// What ends a fault.
fn end_of(begin: &Fault) -> Fault {
    match begin {
        Fault::Crash(one) | Fault::PowerOff(one) | Fault::DiskFails(one) => Fault::Start(*one),
        Fault::Stop(one) => Fault::Resume(*one),
        Fault::Shut { links, .. } => Fault::Open(links.clone()),
        Fault::Loss(_) => Fault::Loss(0),
        Fault::Double(_) => Fault::Double(0),
        Fault::LinkDelay(from, to, _) => Fault::LinkDelay(*from, *to, None),
        Fault::DiskSlow(_) => Fault::DiskSlow(1),
        _ => Fault::Delay(Delay::SITE),
    }
}

/// What was covered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// How many faults of each kind there were.
    pub faults: BTreeMap<Kind, u64>,
    /// Processes that died because a write failed.
    pub died_of_disk: u64,
}

impl Coverage {
    /// Adds another run's.
    pub fn add(&mut self, other: &Self) {
        for (kind, count) in &other.faults {
            *self.faults.entry(*kind).or_default() += count;
        }
        self.died_of_disk += other.died_of_disk;
    }

    /// Kinds that there were none of.
    #[must_use]
    pub fn missing(&self) -> Vec<Kind> {
        let missing = Kind::ALL.into_iter();
        missing
            .filter(|kind| !self.faults.contains_key(kind))
            .collect()
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (kind, count) in &self.faults {
            write!(f, "{kind:?} {count}, ")?;
        }
        write!(f, "died of a disk {}", self.died_of_disk)
    }
}

impl<P: Process> World<P> {
    /// Everything that a plan says will happen, counted from now.
    pub fn follow(&mut self, plan: &Plan) {
        for (after, fault) in &plan.faults {
            self.later(*after, Due::Fault(fault.clone()));
        }
    }

    /// Something goes wrong, or right again, now.
    pub fn inflict(&mut self, fault: &Fault) {
        if let Some(kind) = fault.kind() {
            *self.coverage.faults.entry(kind).or_default() += 1;
        }
        if self.loud {
            println!("{:>12}     fault {fault:?}", self.now.0);
        }
        match fault {
            Fault::Crash(one) => self.kill(*one, State::Dead),
            Fault::PowerOff(one) => self.kill(*one, State::Off),
            Fault::Start(one) if self.place(*one).killed => self.start(*one),
            Fault::Start(_) => {}
            Fault::Stop(one) => self.stop(*one),
            Fault::Resume(one) => self.resume(*one),
            Fault::Shut { links, gate, .. } => {
                for (from, to) in links {
                    self.set_gate(*from, *to, *gate);
                }
            }
            Fault::Open(links) => {
                for (from, to) in links {
                    self.set_gate(*from, *to, Gate::Open);
                }
            }
            Fault::Loss(part) => self.network.loss_per_mille = *part,
            Fault::Double(part) => self.network.double_per_mille = *part,
            Fault::Delay(delay) => self.network.delay = *delay,
            Fault::LinkDelay(from, to, delay) => self.network.set_delay(*from, *to, *delay),
            Fault::Break(one, other) => self.break_streams(*one, *other),
            Fault::DiskFails(one) => self.place_mut(*one).disk.fail(true),
            Fault::DiskSlow(times) => self.disk_slowness = *times,
            Fault::Drift(one) => self.drift(*one),
            Fault::Heal => self.heal(),
        }
    }

    fn drift(&mut self, one: ProcessId) {
        let (now, clocks) = (self.now, &mut self.clocks);
        let place = &mut self.places[one.0 as usize];
        place.clock.slew(now, clocks);
        // When an alarm is due in the world's time depends on the rate.
        if let Some(at) = place.alarm.1 {
            self.set_alarm(one, at);
        }
        self.await_expiry(one);
    }

    /// All links are open, all disks work, and every process runs that did not end itself.
    pub fn heal(&mut self) {
        self.network.heal();
        self.disk_slowness = 1;
        let ids: Vec<ProcessId> = self.ids().collect();
        for &id in &ids {
            self.place_mut(id).disk.fail(false);
            self.resume(id);
            if self.place(id).killed {
                self.start(id);
            }
        }
        for &from in &ids {
            for &to in &ids {
                self.release(from, to);
            }
        }
        let first = ProcessId(0);
        self.fact(first, Fact::Healed);
    }
}

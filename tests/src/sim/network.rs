//! Links, one for each direction between two processes, and what becomes of a message on them.

use std::collections::BTreeMap;

use dlm_core::Tick;

use super::{ProcessId, Random};

/// How long messages take, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay {
    /// At least.
    pub least_us: u64,
    /// Most take at most this.
    pub most_us: u64,
    /// Of a thousand, so many are late.
    pub late_per_mille: u64,
    /// A late one takes at most this.
    pub late_us_max: u64,
}

impl Delay {
    /// One site: a fraction of a millisecond, and a few messages that met a full queue.
    pub const SITE: Self = Self {
        least_us: 60,
        most_us: 600,
        late_per_mille: 10,
        late_us_max: 20_000,
    };

    /// A network that has much else to do.
    pub const BUSY: Self = Self {
        least_us: 500,
        most_us: 15_000,
        late_per_mille: 100,
        late_us_max: 150_000,
    };

    fn draw(self, random: &mut Random) -> u64 {
        let late = random.per_mille(self.late_per_mille);
        let most = if late { self.late_us_max } else { self.most_us };
        random.between(self.least_us, most.max(self.least_us))
    }
}

/// Whether a link lets anything through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gate {
    /// It does.
    #[default]
    Open,
    /// Datagrams are lost. What is in a stream is sent again and again, and so waits. Nobody is told.
    Cut,
    /// Everything waits, and comes in a heap.
    Stalled,
}

/// The state of one link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Whether anything gets through.
    pub gate: Gate,
    /// How long it takes, where that is not what it is elsewhere.
    pub delay: Option<Delay>,
}

/// What becomes of a datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives after so many microseconds; twice where there are two.
    Arrives(Vec<u64>),
    /// It waits for the link to open.
    Waits,
    /// It is lost.
    Lost,
}

/// What the network did, for coverage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Datagrams and stream messages that were sent.
    pub sent: u64,
    /// Datagrams lost.
    pub lost: u64,
    /// Datagrams that came twice.
    pub doubled: u64,
    /// Messages that waited for a link to open.
    pub held: u64,
    /// Datagrams that overtook another of their link.
    pub reordered: u64,
    /// Streams that broke.
    pub broken: u64,
}

/// All links.
#[derive(Clone, Debug)]
pub struct Network {
    links: BTreeMap<(ProcessId, ProcessId), Link>,
    /// How long messages take where a link does not say otherwise.
    pub delay: Delay,
    /// Of a thousand datagrams, so many are lost.
    pub loss_per_mille: u64,
    /// Of a thousand datagrams, so many come twice.
    pub double_per_mille: u64,
    /// What happened.
    pub traffic: Traffic,
    random: Random,
    latest: BTreeMap<(ProcessId, ProcessId), Tick>,
}

impl Network {
    /// A network without faults.
    #[must_use]
    pub const fn new(random: Random) -> Self {
        Self {
            links: BTreeMap::new(),
            delay: Delay::SITE,
            loss_per_mille: 0,
            double_per_mille: 0,
            traffic: Traffic {
                sent: 0,
                lost: 0,
                doubled: 0,
                held: 0,
                reordered: 0,
                broken: 0,
            },
            random,
            latest: BTreeMap::new(),
        }
    }

    /// The state of a link.
    #[must_use]
    pub fn link(&self, from: ProcessId, to: ProcessId) -> Link {
        self.links.get(&(from, to)).copied().unwrap_or_default()
    }

    /// Opens or shuts a link, one way.
    pub fn set_gate(&mut self, from: ProcessId, to: ProcessId, gate: Gate) {
        self.links.entry((from, to)).or_default().gate = gate;
    }

    /// Makes a link slow, or as the others are.
    pub fn set_delay(&mut self, from: ProcessId, to: ProcessId, delay: Option<Delay>) {
        self.links.entry((from, to)).or_default().delay = delay;
    }

    /// Every link is as it was at first. What waits is let go by the world.
    pub fn heal(&mut self) {
        self.links.clear();
        self.delay = Delay::SITE;
        self.loss_per_mille = 0;
        self.double_per_mille = 0;
    }

    /// How long the next message on a link takes.
    pub fn delay_us(&mut self, from: ProcessId, to: ProcessId) -> u64 {
        let delay = self.link(from, to).delay.unwrap_or(self.delay);
        delay.draw(&mut self.random)
    }

    /// What becomes of a datagram that is sent now.
    pub fn datagram(&mut self, now: Tick, from: ProcessId, to: ProcessId) -> Fate {
        self.traffic.sent += 1;
        let lost = self.random.per_mille(self.loss_per_mille);
        let doubled = self.random.per_mille(self.double_per_mille);
        let first = self.delay_us(from, to);
        match self.link(from, to).gate {
            Gate::Stalled => {
                self.traffic.held += 1;
                return Fate::Waits;
            }
            Gate::Open if !lost => {}
            Gate::Open | Gate::Cut => {
                self.traffic.lost += 1;
                return Fate::Lost;
            }
        }
        let arrives = now.plus(first);
        let latest = self.latest.entry((from, to)).or_default();
        self.traffic.reordered += u64::from(*latest > arrives);
        *latest = arrives.max(*latest);
        let mut delays = vec![first];
        if doubled {
            self.traffic.doubled += 1;
            delays.push(self.delay_us(from, to));
        }
        Fate::Arrives(delays)
    }

    /// Whether what is in a stream gets through.
    #[must_use]
    pub fn is_open(&self, from: ProcessId, to: ProcessId) -> bool {
        self.link(from, to).gate == Gate::Open
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: ProcessId = ProcessId(0);
    const B: ProcessId = ProcessId(1);

    fn fates(network: &mut Network) -> Vec<Fate> {
        (0..2000)
            .map(|at| network.datagram(Tick(at), A, B))
            .collect()
    }

    #[test]
    fn a_link_is_shut_one_way() {
        let mut network = Network::new(Random::new(1));
        network.set_gate(A, B, Gate::Cut);
        assert!(fates(&mut network).iter().all(|fate| *fate == Fate::Lost));
        assert!(matches!(network.datagram(Tick(0), B, A), Fate::Arrives(_)));
        network.set_gate(A, B, Gate::Stalled);
        assert!(fates(&mut network).iter().all(|fate| *fate == Fate::Waits));
        network.heal();
        let arrives = |fate: &Fate| matches!(fate, Fate::Arrives(_));
        assert!(fates(&mut network).iter().all(arrives));
    }

    #[test]
    fn loss_and_doubles_are_as_many_as_was_said() {
        let mut network = Network::new(Random::new(2));
        (network.loss_per_mille, network.double_per_mille) = (100, 50);
        let fates = fates(&mut network);
        let lost = fates.iter().filter(|fate| **fate == Fate::Lost).count();
        assert!((140..260).contains(&lost), "{lost}");
        let twice = |fate: &&Fate| matches!(fate, Fate::Arrives(delays) if delays.len() == 2);
        let twice = fates.iter().filter(twice).count();
        assert!((60..150).contains(&twice), "{twice}");
        assert_eq!(network.traffic.lost, lost as u64);
        assert_eq!(network.traffic.doubled, twice as u64);
        assert!(network.traffic.reordered > 0);
    }
}

//! Plans of faults that are apt to one thing, beside those in which anything may happen. In each there is
//! one trouble after the other, and time between them in which all is well.
//!
//! | file | plan |
//! |---|---|
//! | `masters.rs` | one master after the other is lost |
//! | `restarts.rs` | servers die and are back before anybody missed them |
//! | `split.rs` | the cluster falls into two parts, with clients in both, for longer than a lease |
//! | `breaks.rs` | streams break, also those over which clients do not hear what they are answered |
//! | `late.rs` | what a lost master said comes when another one has the slot |
//! | `anew.rs` | servers and clients are lost while slots are being made anew |

mod anew;
mod breaks;
mod late;
mod masters;
mod restarts;
mod split;

use super::super::{Fault, Faults, Gate, Kind, Plan, ProcessId, Purpose, Random};

/// What a plan is apt to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Course {
    /// Anything may happen.
    Any,
    /// One master after the other is lost.
    Masters,
    /// Servers are back at once.
    Restarts,
    /// Two parts.
    Split,
    /// Streams break, and answers are lost.
    Breaks,
    /// A lost master is heard of late.
    Late,
    /// Losses while slots are being made anew.
    Anew,
}

impl Course {
    /// Those that are no mixture.
    const APT: [Self; 6] = [
        Self::Masters,
        Self::Restarts,
        Self::Split,
        Self::Breaks,
        Self::Late,
        Self::Anew,
    ];

    /// That of a seed: every other one has a plan that is apt to something.
    pub(super) fn of(seed: u64) -> Self {
        let one = seed / 2 % Self::APT.len() as u64;
        if seed.is_multiple_of(2) {
            Self::APT[one as usize]
        } else {
            Self::Any
        }
    }
}

/// When the first thing goes wrong: clients have locks by then.
const FIRST_US: (u64, u64) = (1_200_000, 2_500_000);

/// The plan of a seed on this course.
pub(super) fn draw(seed: u64, course: Course, faults: &Faults) -> Plan {
    let trouble = match course {
        Course::Any => return Plan::draw(seed, faults),
        Course::Masters => masters::trouble,
        Course::Restarts => restarts::trouble,
        Course::Split => split::trouble,
        Course::Breaks => breaks::trouble,
        Course::Late => late::trouble,
        Course::Anew => anew::trouble,
    };
    let mut troubles = Troubles {
        random: Random::of(seed, Purpose::Faults),
        faults,
        planned: Vec::new(),
    };
    let mut at = troubles.between(FIRST_US);
    while at < faults.phase_us {
        at = trouble(&mut troubles, at);
    }
    let mut planned = troubles.planned;
    planned.retain(|(at, _)| *at < faults.phase_us);
    planned.sort_by_key(|(at, _)| *at);
    planned.push((faults.phase_us, Fault::Heal));
    let kinds = planned.iter().filter_map(|(_, fault)| fault.kind());
    let mut kinds: Vec<Kind> = kinds.collect();
    kinds.sort_unstable();
    kinds.dedup();
    Plan {
        kinds,
        faults: planned,
    }
}

/// A plan that is being made.
struct Troubles<'a> {
    random: Random,
    faults: &'a Faults,
    planned: Vec<(u64, Fault)>,
}

impl Troubles<'_> {
    const fn between(&mut self, (least, most): (u64, u64)) -> u64 {
        self.random.between(least, most)
    }

    fn server(&mut self) -> ProcessId {
        let server = self.random.pick(&self.faults.servers);
        server.expect("there are servers")
    }

    fn client(&mut self) -> ProcessId {
        let client = self.random.pick(&self.faults.clients);
        client.expect("there are clients")
    }

    fn add(&mut self, at: u64, fault: Fault) {
        self.planned.push((at, fault));
    }

    /// A process dies, and is back at the end.
    fn dies(&mut self, one: ProcessId, at: u64, end: u64) {
        self.add(at, Fault::Crash(one));
        self.add(end, Fault::Start(one));
    }

    /// Links are shut, until the end.
    fn shut(
        &mut self,
        kind: Kind,
        links: Vec<(ProcessId, ProcessId)>,
        gate: Gate,
        at: u64,
        end: u64,
    ) {
        let open = Fault::Open(links.clone());
        self.add(at, Fault::Shut { kind, links, gate });
        self.add(end, open);
    }
}

/// All links between some and some others, both ways.
fn links(some: &[ProcessId], others: &[ProcessId]) -> Vec<(ProcessId, ProcessId)> {
    let pairs = some
        .iter()
        .flat_map(|&one| others.iter().map(move |&other| (one, other)));
    let distinct = pairs.filter(|(one, other)| one != other);
    distinct
        .flat_map(|(one, other)| [(one, other), (other, one)])
        .collect()
}

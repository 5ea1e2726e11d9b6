//! One master after the other is lost: a plan in which servers die, stand still or are cut off, one at a
//! time, and no two at once. Most slots are made anew several times while clients want locks in them.

use super::super::{Fault, Faults, Gate, Kind, Plan, ProcessId, Purpose, Random};

/// When the first one is lost: clients have locks by then.
const FIRST_US: u64 = 1_500_000;

/// How long one is away, and how long all are there until the next.
const AWAY_US: (u64, u64) = (300_000, 1_500_000);
const THERE_US: (u64, u64) = (200_000, 900_000);

/// How long one is away from the other servers only: longer than a session's lease.
const SPLIT_US: (u64, u64) = (3_600_000, 4_600_000);

/// The plan of this seed.
pub(super) fn draw(seed: u64, faults: &Faults) -> Plan {
    let mut random = Random::of(seed, Purpose::Faults);
    let mut plan = Plan {
        kinds: vec![Kind::Crash, Kind::Stop, Kind::Isolate, Kind::Stall],
        faults: Vec::new(),
    };
    let mut at = random.between(FIRST_US, 2 * FIRST_US);
    while at < faults.phase_us {
        let Some(one) = random.pick(&faults.servers) else {
            break;
        };
        let (begin, end, (least, most)) = away(one, faults, &mut random);
        let until = at + random.between(least, most);
        plan.faults.push((at, begin));
        if until < faults.phase_us {
            plan.faults.push((until, end));
        }
        at = until + random.between(THERE_US.0, THERE_US.1);
    }
    plan.faults.push((faults.phase_us, Fault::Heal));
    plan
}

fn away(one: ProcessId, faults: &Faults, random: &mut Random) -> (Fault, Fault, (u64, u64)) {
    let others = |among: &[ProcessId]| {
        let others = among.iter().filter(|other| **other != one);
        let both = others.flat_map(|&other| [(one, other), (other, one)]);
        both.collect::<Vec<_>>()
    };
    let servers = others(&faults.servers);
    let all = [servers.clone(), others(&faults.clients)].concat();
    let shut = |kind, gate, links: Vec<_>, us| {
        let open = Fault::Open(links.clone());
        (Fault::Shut { kind, links, gate }, open, us)
    };
    match random.below(5) {
        0 => (Fault::Crash(one), Fault::Start(one), AWAY_US),
        1 => (Fault::Stop(one), Fault::Resume(one), AWAY_US),
        2 => shut(Kind::Isolate, Gate::Cut, all, AWAY_US),
        3 => shut(Kind::Stall, Gate::Stalled, all, AWAY_US),
        _ => shut(Kind::CutBoth, Gate::Cut, servers, SPLIT_US),
    }
}

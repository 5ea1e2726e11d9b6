//! One master after the other is lost: servers die, stand still or are cut off, one at a time, and no two
//! at once. Most slots are made anew several times while clients want locks in them.

use super::super::super::{Fault, Gate, Kind};
use super::{Troubles, links};

/// How long one is away, and how long all are there until the next.
const AWAY_US: (u64, u64) = (300_000, 1_500_000);
const THERE_US: (u64, u64) = (200_000, 900_000);

/// How long one is away from the other servers only: longer than a session's lease.
const SPLIT_US: (u64, u64) = (3_600_000, 4_600_000);

pub(super) fn trouble(plan: &mut Troubles<'_>, at: u64) -> u64 {
    let one = plan.server();
    let end = at + plan.between(AWAY_US);
    let servers = links(&[one], &plan.faults.servers);
    let all = [servers.clone(), links(&[one], &plan.faults.clients)].concat();
    let mut until = end;
    match plan.random.below(5) {
        0 => plan.dies(one, at, end),
        1 => {
            plan.add(at, Fault::Stop(one));
            plan.add(end, Fault::Resume(one));
        }
        2 => plan.shut(Kind::Isolate, all, Gate::Cut, at, end),
        3 => plan.shut(Kind::Stall, all, Gate::Stalled, at, end),
        _ => {
            until = at + plan.between(SPLIT_US);
            plan.shut(Kind::CutBoth, servers, Gate::Cut, at, until);
        }
    }
    until + plan.between(THERE_US)
}

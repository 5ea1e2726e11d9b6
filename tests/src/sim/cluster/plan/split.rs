//! The cluster falls into two parts: one server with some clients, and the others with the other clients.
//! Where that lasts for longer than a session's lease, what the smaller part holds is given away in the
//! larger one. A short time is enough for two that believe they lead.

use super::super::super::{Gate, Kind, ProcessId};
use super::{Troubles, links};

/// How long it lasts, half of the times long, and how long all is whole until the next time.
const LONG_US: (u64, u64) = (3_600_000, 5_000_000);
const SHORT_US: (u64, u64) = (300_000, 1_000_000);
const WHOLE_US: (u64, u64) = (300_000, 1_000_000);

pub(super) fn trouble(plan: &mut Troubles<'_>, at: u64) -> u64 {
    let one = plan.server();
    let mut small = vec![plan.client()];
    for &client in &plan.faults.clients {
        if !small.contains(&client) && plan.random.per_mille(400) {
            small.push(client);
        }
    }
    small.push(one);
    let all = plan.faults.servers.iter().chain(&plan.faults.clients);
    let large: Vec<ProcessId> = all
        .copied()
        .filter(|other| !small.contains(other))
        .collect();
    let stalls = plan.random.per_mille(250);
    let (kind, gate) = if stalls {
        (Kind::Stall, Gate::Stalled)
    } else {
        (Kind::CutBoth, Gate::Cut)
    };
    let long = plan.random.per_mille(500);
    let end = at + plan.between(if long { LONG_US } else { SHORT_US });
    plan.shut(kind, links(&small, &large), gate, at, end);
    end + plan.between(WHOLE_US)
}

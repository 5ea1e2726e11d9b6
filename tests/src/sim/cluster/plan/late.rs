//! What a lost master said comes late: a server is cut off from the others, and goes on granting to clients
//! that it hears and that do not hear it, until its own lease is over. They hear it when another master has
//! their slots and their claims.

use super::super::super::{Gate, Kind, ProcessId};
use super::{Troubles, links};

/// How long it takes: longer than until the slots are served again.
const LATE_US: (u64, u64) = (600_000, 1_600_000);

/// How long all is well.
const WELL_US: (u64, u64) = (200_000, 600_000);

pub(super) fn trouble(plan: &mut Troubles<'_>, at: u64) -> u64 {
    let one = plan.server();
    let end = at + plan.between(LATE_US);
    let servers = links(&[one], &plan.faults.servers);
    plan.shut(Kind::CutBoth, servers, Gate::Cut, at, end);
    let clients = plan.faults.clients.iter();
    let late: Vec<(ProcessId, ProcessId)> = clients.map(|&client| (one, client)).collect();
    plan.shut(Kind::CutOneWay, late, Gate::Stalled, at, end);
    end + plan.between(WELL_US)
}

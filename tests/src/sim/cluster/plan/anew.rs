//! Servers and clients are lost while slots are being made anew. A client that died or stands still has not
//! said what it has, and until its lease is over the slots of a lost server wait for that: meanwhile
//! another client dies, and another server, or each server in its turn.

use super::super::super::Fault;
use super::Troubles;

/// How long after the client the first server is lost; the others, one after the other, later.
const FIRST_US: (u64, u64) = (10_000, 200_000);
const LATER_US: (u64, u64) = (400_000, 1_000_000);

/// How long a server is away.
const AWAY_US: (u64, u64) = (10_000, 500_000);

/// How long the client is away: until after its lease, or before that.
const SILENT_US: (u64, u64) = (1_000_000, 4_000_000);

/// How long all is well.
const WELL_US: (u64, u64) = (200_000, 700_000);

pub(super) fn trouble(plan: &mut Troubles<'_>, at: u64) -> u64 {
    let silent = plan.client();
    let end = at + plan.between(SILENT_US);
    if plan.random.per_mille(500) {
        plan.add(at, Fault::Stop(silent));
        plan.add(end, Fault::Resume(silent));
    } else {
        plan.dies(silent, at, end);
    }
    let mut lost = at + plan.between(FIRST_US);
    while lost < end {
        let server = plan.server();
        let back = lost + plan.between(AWAY_US);
        plan.dies(server, lost, back);
        if plan.random.per_mille(800) {
            let other = plan.client();
            let dies = lost + plan.between(LATER_US);
            let back = dies + plan.between(AWAY_US);
            if other != silent {
                plan.dies(other, dies, back);
            }
        }
        lost = back + plan.between(LATER_US);
    }
    end.max(lost) + plan.between(WELL_US)
}

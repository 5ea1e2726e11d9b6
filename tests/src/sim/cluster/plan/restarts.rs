//! Servers die and are back at once: mostly before their leases are over, so that nobody has missed the
//! process that had the tables.

use super::Troubles;

/// How long one is away, and how long all are there until the next.
const AWAY_US: (u64, u64) = (1_000, 400_000);
const THERE_US: (u64, u64) = (100_000, 900_000);

pub(super) fn trouble(plan: &mut Troubles<'_>, at: u64) -> u64 {
    let one = plan.server();
    let end = at + plan.between(AWAY_US);
    plan.dies(one, at, end);
    end + plan.between(THERE_US)
}

//! Streams break. Before that clients mostly do not hear what servers answer, while servers hear them, so
//! that answers are lost; sometimes a server is lost meanwhile, so that claims are answered and not heard of.

use super::super::super::{Fault, Gate, Kind};
use super::Troubles;

/// How long a client is deaf; and where a server is lost, so long that its slots are made anew.
const DEAF_US: (u64, u64) = (20_000, 400_000);
const DEAF_LONG_US: (u64, u64) = (500_000, 1_200_000);

/// How long the lost server is away less than that.
const BACK_US: (u64, u64) = (0, 200_000);

/// How long all is well.
const WELL_US: (u64, u64) = (20_000, 300_000);

pub(super) fn trouble(plan: &mut Troubles<'_>, at: u64) -> u64 {
    let client = plan.client();
    if plan.random.per_mille(400) {
        let server = plan.server();
        plan.add(at, Fault::Break(server, client));
        return at + plan.between(WELL_US);
    }
    let lost = plan.random.per_mille(250).then(|| plan.server());
    let lasts = lost.map_or(DEAF_US, |_| DEAF_LONG_US);
    let end = at + plan.between(lasts);
    if let Some(server) = lost {
        let back = end - plan.between(BACK_US);
        plan.dies(server, at, back);
    }
    // It hears one of them, from which it learns of a loss.
    let heard = plan.server();
    let servers = plan.faults.servers.iter();
    let deaf = servers.filter(|server| **server != heard && Some(**server) != lost);
    let deaf: Vec<_> = deaf.map(|&server| (server, client)).collect();
    for &(server, client) in &deaf {
        plan.add(end, Fault::Break(server, client));
    }
    plan.shut(Kind::CutOneWay, deaf, Gate::Cut, at, end);
    end + plan.between(WELL_US)
}

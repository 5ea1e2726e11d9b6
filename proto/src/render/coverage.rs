//! How much of a cluster a view shows.

use crate::coverage::Coverage;
use crate::wire;

/// What a view lacks.
#[must_use]
pub fn coverage(coverage: Coverage) -> wire::Coverage {
    let unreachable = coverage.unreachable.into_iter();
    let unreachable = unreachable.map(|(server, one)| wire::Unreachable {
        server: server.0,
        endpoint: one.endpoint.unwrap_or_default(),
        why: one.why,
    });
    wire::Coverage {
        slots: coverage.slots.iter().map(|slot| slot.number()).collect(),
        unreachable: unreachable.collect(),
    }
}

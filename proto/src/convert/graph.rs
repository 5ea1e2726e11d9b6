//! The locks of a server, as another one joins them to a graph.

use dlm_core::deadlock::{LockView, ResourceView};
use dlm_core::{Epoch, LockId, LockspaceId, Owner, RequestFlags, SessionId, Tick};

use super::{mode_or_none, queue, resource_name};
use crate::error::WireError;
use crate::wire;

/// The resources of a reply, each with the epoch of its slot. Times are counted back from `now`, by the clock
/// of whoever reads this: no two servers' clocks are compared.
///
/// # Errors
/// [`WireError::ResourceNameLength`] or [`WireError::Enumeration`].
pub fn graph_resources(
    now: Tick,
    resources: Vec<wire::GraphResource>,
) -> Result<Vec<(Epoch, ResourceView)>, WireError> {
    let resources = resources.into_iter();
    resources.map(|one| resource(now, one)).collect()
}

fn resource(now: Tick, wire: wire::GraphResource) -> Result<(Epoch, ResourceView), WireError> {
    let locks = wire.locks.into_iter().map(|one| lock(now, &one));
    let resource = ResourceView {
        lockspace: LockspaceId(wire.lockspace_id),
        name: resource_name(&wire.name)?,
        locks: locks.collect::<Result<_, _>>()?,
    };
    Ok((Epoch(wire.epoch), resource))
}

fn lock(now: Tick, wire: &wire::GraphLock) -> Result<LockView, WireError> {
    Ok(LockView {
        session: SessionId(wire.session),
        lock: LockId(wire.lock),
        owner: Owner(wire.owner),
        queue: queue(wire.queue)?,
        granted: mode_or_none(wire.granted)?,
        requested: mode_or_none(wire.requested)?,
        since: Tick(now.0.saturating_sub(wire.age_us)),
        serial: wire.serial,
        flags: RequestFlags::from_bits_retain(wire.flags),
    })
}

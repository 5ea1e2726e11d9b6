//! Who has to give way in a deadlock.

use super::{Edge, Graph, LockView, ResourceView};
use crate::flags::RequestFlags;
use crate::ids::{LockId, SessionId};

/// A wait that is to end: the fields of [`Input::EndWait`](crate::Input::EndWait).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Victim {
    /// Whose lock.
    pub session: SessionId,
    /// Which.
    pub lock: LockId,
    /// Which wait of that lock.
    pub serial: u64,
}

/// The victim of a cycle of `graph`: of the locks whose wait at the server is part of the cycle, the one
/// that has waited for the shortest time. It has the least to lose, and where many wait for one thing it
/// is not the one whose turn is next.
///
/// A lock with [`NODLCKWT`](RequestFlags::NODLCKWT) is exempt. `None` where all are, or where every task
/// waits for another one of its own node: the lock manager has no part in that.
///
/// `resources` is the view that the graph was built from. The cycle should be a confirmed one
/// ([`confirm`](super::confirm)): a phantom has no victim to deserve it.
#[must_use]
pub fn victim(resources: &[ResourceView], graph: &Graph, cycle: &[usize]) -> Option<Victim> {
    let edges = cycle.iter().filter_map(|&edge| graph.edges.get(edge));
    let waits = edges.filter_map(|edge| wait_of(resources, edge));
    let may_end = |lock: &&LockView| !lock.flags.contains(RequestFlags::NODLCKWT);
    let youngest = waits
        .filter(may_end)
        .max_by_key(|lock| (lock.since, lock.serial))?;
    Some(Victim {
        session: youngest.session,
        lock: youngest.lock,
        serial: youngest.serial,
    })
}

/// The lock that queues at the server and makes its task wait as the edge says.
fn wait_of<'a>(resources: &'a [ResourceView], edge: &Edge) -> Option<&'a LockView> {
    let resource = resources
        .iter()
        .find(|resource| (resource.lockspace, &resource.name) == (edge.lockspace, &edge.name))?;
    let session = edge.waiter.session;
    let is_it = |lock: &&LockView| {
        let waits = lock.session == session && lock.requested.is_some();
        // Behind the lock of a node that reports stand tasks, which have serials of their own. What they
        // wait for on their own node, no lock can change.
        waits && (lock.serial == edge.waiter_serial || edge.holder.session != session)
    };
    let own = |lock: &&LockView| lock.serial == edge.waiter_serial;
    let mut locks = resource.locks.iter().filter(is_it);
    locks.clone().find(own).or_else(|| locks.next())
}

//! What one server has to say for a view of the cluster: pure functions of its machine, and how the answers
//! of several servers become one.
//!
//! The loop that owns the machine stands still while it is looked at, and leases depend on it. So a look has
//! a limit ([`LOOK_COST_MAX`]): a view of all slots is put together of pieces, each of its own moment.
//!
//! | file | what |
//! |---|---|
//! | `locks.rs` | pages of locks |
//! | `counts.rs` | how many there are: status, lockspaces |
//! | `graph.rs` | what the lock graph and the deadlock search are made of |
//! | `journal.rs` | what has happened, with names |
//! | `cluster.rs`, `blocked.rs` | the cluster's status; what does not go on |
//! | `merge/` | several servers' answers as one |

pub mod blocked;
pub mod cluster;
pub mod counts;
pub mod graph;
pub mod journal;
pub mod locks;
pub mod merge;

use dlm_core::cluster::Endpoint;
use dlm_core::recovery::SlotMaster;
use dlm_core::{LockspaceId, ServerId, SlotId};
use glockwork_proto::Name;
use glockwork_proto::render::Names;

use crate::error::LookError;
use crate::node::Node;

/// About how many locks one look walks over, or as many sessions: a few milliseconds. A server's lease has
/// several tens of them to spare.
pub const LOOK_COST_MAX: usize = 1 << 13;

/// What people call the sessions and the lockspaces.
#[must_use]
pub fn names(node: &Node) -> Names {
    let state = node.state();
    let sessions = state.sessions().iter();
    let lockspaces = state.lockspaces().iter();
    Names {
        sessions: sessions
            .map(|(&id, one)| (id, Name::lossy(one.name.as_str())))
            .collect(),
        lockspaces: lockspaces
            .map(|(&id, one)| (id, Name::lossy(one.name.as_str())))
            .collect(),
    }
}

/// The other servers, and where clients find them; `None`: no process of it is known.
#[must_use]
pub fn others(node: &Node) -> Vec<(ServerId, Option<Endpoint>)> {
    let servers = node.state().servers().iter();
    let others = servers.filter(|(server, _)| **server != node.server());
    others
        .map(|(&server, one)| {
            let process = one.process();
            (server, process.map(|process| process.endpoint.clone()))
        })
        .collect()
}

/// The lockspace of that name; an empty one stands for all.
///
/// # Errors
/// [`LookError::NoSuchLockspace`].
pub fn lockspace(node: &Node, name: &str) -> Result<Option<LockspaceId>, LookError> {
    if name.is_empty() {
        return Ok(None);
    }
    let mut all = node.state().lockspaces().iter();
    match all.find(|(_, one)| one.name.as_str() == name) {
        Some((&id, _)) => Ok(Some(id)),
        None => Err(LookError::NoSuchLockspace(name.into())),
    }
}

/// Visits the slots that are served here, from one on, until that has cost enough. Says where the next look
/// begins.
pub(crate) fn walk(
    node: &Node,
    from: SlotId,
    mut visit: impl FnMut(&SlotMaster),
) -> Option<SlotId> {
    let mut cost = 0;
    for master in node.served().filter(|master| master.slot() >= from) {
        if cost >= LOOK_COST_MAX {
            return Some(master.slot());
        }
        // A table knows every session, and a walk over it asks for each.
        cost += master.table().locks() + node.state().sessions().len();
        visit(master);
    }
    None
}

/// The first slot.
#[must_use]
pub fn first_slot() -> SlotId {
    SlotId::all().next().expect("there are slots")
}

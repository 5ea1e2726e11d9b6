//! What the lock graph and the deadlock search are made of.

use std::collections::BTreeSet;

use dlm_core::deadlock::ResourceView;
use dlm_core::{Epoch, LockspaceId, SlotId, Tick};

use super::walk;
use crate::node::Node;

/// The locks of some slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// The locks, each resource with its slot's epoch.
    pub resources: Vec<(Epoch, ResourceView)>,
    /// The slots that were looked at.
    pub slots: BTreeSet<SlotId>,
}

/// Which resources are of interest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Which {
    /// Only those of this lockspace.
    pub lockspace: Option<LockspaceId>,
    /// Only those that somebody waits for.
    pub waited_for: bool,
}

/// Looks on, from a slot; says where the rest begins.
#[must_use]
pub fn look(node: &Node, which: Which, from: SlotId, mut seen: Seen) -> (Seen, Option<SlotId>) {
    let next = walk(node, from, |master| {
        let table = master.table();
        let mut views = if which.waited_for {
            table.view_waiting()
        } else {
            table.view(which.lockspace)
        };
        views.retain(|view| which.lockspace.is_none_or(|only| only == view.lockspace));
        let epoch = master.epoch();
        seen.resources
            .extend(views.into_iter().map(|view| (epoch, view)));
        seen.slots.insert(master.slot());
    });
    (seen, next)
}

/// The lockspaces that want deadlocks broken.
#[must_use]
pub fn breaking(node: &Node) -> BTreeSet<LockspaceId> {
    let all = node.state().lockspaces().iter();
    let breaking = all.filter(|(_, one)| one.options.locks.breaks_deadlocks);
    breaking.map(|(&id, _)| id).collect()
}

/// Whether somebody has waited so long, in microseconds, in a slot that is served here and a lockspace that
/// wants deadlocks broken, or in `any`.
#[must_use]
pub fn somebody_waits(node: &Node, now: Tick, us: u64, any: bool) -> bool {
    let breaking = breaking(node);
    let wanted = |lockspace: LockspaceId| any || breaking.contains(&lockspace);
    (any || !breaking.is_empty())
        && node.served().any(|master| {
            let since = master.table().oldest_wait(wanted);
            since.is_some_and(|since| now.since(since) >= us)
        })
}

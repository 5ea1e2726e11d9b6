//! How many there are, of everything: what the status and the list of lockspaces are made of.

use std::collections::{BTreeMap, BTreeSet};

use dlm_core::SessionCounts;
use dlm_core::detail::LockspaceCounts;
use dlm_core::{LockspaceId, SessionId, SlotId, Tick};
use glockwork_proto::coverage::Coverage;
use glockwork_proto::listing::LockspaceListing;
use glockwork_proto::{render, wire};

use super::walk;
use crate::node::Node;

/// Counts over slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Of each session that has a lock.
    pub sessions: BTreeMap<SessionId, SessionCounts>,
    /// Of each lockspace with a lock in it.
    pub lockspaces: BTreeMap<LockspaceId, LockspaceCounts>,
    /// Resources with a lock on them.
    pub resources: usize,
    /// Locks, held or waited for.
    pub locks: usize,
    /// Those that convert or wait.
    pub waiting: usize,
    /// The slots that were counted.
    pub slots: BTreeSet<SlotId>,
}

/// Counts on, from a slot; says where the rest begins.
#[must_use]
pub fn count(node: &Node, from: SlotId, mut counts: Counts) -> (Counts, Option<SlotId>) {
    let next = walk(node, from, |master| {
        let table = master.table();
        counts.slots.insert(master.slot());
        counts.resources += table.resources();
        counts.locks += table.locks();
        counts.waiting += table.waiting();
        if table.locks() == 0 {
            return;
        }
        for &session in node.state().sessions().keys() {
            let known = table.session_counts(session);
            if let Some(known) = known.filter(|known| known.locks > 0) {
                let sum = counts.sessions.entry(session).or_default();
                sum.locks += known.locks;
                sum.waiting += known.waiting;
            }
        }
        for (lockspace, known) in table.lockspace_counts() {
            let sum = counts.lockspaces.entry(lockspace).or_default();
            sum.resources += known.resources;
            sum.locks += known.locks;
            sum.waiting += known.waiting;
            sum.orphans += known.orphans;
        }
    });
    (counts, next)
}

/// The server in numbers, as it answers another one.
#[must_use]
pub fn status(node: &Node, now: Tick, counts: &Counts) -> wire::StatusReply {
    let state = node.state();
    let sessions = state.sessions().iter().map(|(&id, session)| {
        let known = counts.sessions.get(&id).copied().unwrap_or_default();
        let link = node.link(id);
        wire::SessionStatus {
            session: id.0,
            name: session.name.as_str().into(),
            locks: known.locks as u64,
            waiting: known.waiting as u64,
            operations: link.taken,
            dead: !session.is_live(),
            streams: link.connected.into(),
        }
    });
    let lockspaces = state.lockspaces().values();
    wire::StatusReply {
        version: env!("CARGO_PKG_VERSION").into(),
        uptime_us: now.since(node.started()),
        lockspaces: lockspaces.map(|one| one.name.as_str().into()).collect(),
        sessions: sessions.collect(),
        resources: counts.resources as u64,
        locks: counts.locks as u64,
        waiting: counts.waiting as u64,
        server: node.server().0,
        leader: node.leader().map_or(0, |leader| leader.0),
        coverage: Some(coverage(counts)),
    }
}

/// The lockspaces, as this server answers another one.
#[must_use]
pub fn lockspaces(node: &Node, counts: &Counts) -> wire::LockspacesReply {
    let state = node.state();
    let listing = state.lockspaces().iter().map(|(&id, lockspace)| {
        let known = counts.lockspaces.get(&id).copied().unwrap_or_default();
        let sessions = lockspace.sessions.iter().map(|&session| {
            let known = state.sessions().get(&session);
            let name = known.map(|known| known.name.as_str().to_owned());
            (session, name.unwrap_or_default())
        });
        LockspaceListing {
            name: lockspace.name.as_str().into(),
            id,
            options: lockspace.options.locks,
            sessions: sessions.collect(),
            resources: known.resources as u64,
            locks: known.locks as u64,
            waiting: known.waiting as u64,
            orphans: known.orphans as u64,
        }
    });
    let covered = Coverage::of(counts.slots.iter().copied());
    render::lockspaces(listing.collect(), covered)
}

fn coverage(counts: &Counts) -> wire::Coverage {
    render::coverage(Coverage::of(counts.slots.iter().copied()))
}

//! The lock graph, with names in the place of numbers.

use std::collections::BTreeMap;

use dlm_core::deadlock::{Edge, Graph, HolderReport, LockView, NodeReport, ResourceView, Task};
use dlm_core::{Epoch, LockspaceId, Owner, ResourceName, SessionId, Tick};
use prost::bytes::Bytes;

use super::{coverage, words};
use crate::coverage::Coverage;
use crate::name::Name;
use crate::wire;

/// What people call the things that the lock table numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// The sessions.
    pub sessions: BTreeMap<SessionId, Name>,
    /// The lockspaces.
    pub lockspaces: BTreeMap<LockspaceId, Name>,
}

impl Names {
    /// The session's name, or its number where it has ended meanwhile.
    #[must_use]
    pub fn session(&self, session: SessionId) -> String {
        let name = self.sessions.get(&session);
        name.map_or_else(|| format!("session {}", session.0), Name::to_string)
    }

    /// The lockspace's name, or its number where it was closed meanwhile.
    #[must_use]
    pub fn lockspace(&self, lockspace: LockspaceId) -> String {
        let name = self.lockspaces.get(&lockspace);
        name.map_or_else(|| format!("lockspace {}", lockspace.0), Name::to_string)
    }
}

/// Everything that a picture of the locks is made of.
#[derive(Clone, Copy, Debug)]
pub struct GraphParts<'a> {
    /// The locks.
    pub resources: &'a [ResourceView],
    /// Which tasks stand behind them.
    pub reports: &'a [NodeReport],
    /// Who waits for whom.
    pub graph: &'a Graph,
    /// Names.
    pub names: &'a Names,
    /// Which sessions did not say in time.
    pub silent: &'a [SessionId],
    /// When the locks were looked at.
    pub now: Tick,
    /// What is missing.
    pub coverage: &'a Coverage,
}

/// The answer to a `GraphRequest`.
#[must_use]
pub fn graph_reply(parts: GraphParts<'_>) -> wire::GraphReply {
    let behind = Behind::index(parts.reports);
    let resource = |resource: &ResourceView| {
        let locks = resource.locks.iter().map(|lock| wire::GraphLock {
            holders: holders_behind(lock, resource, &behind),
            ..graph_lock(lock, parts.names, parts.now)
        });
        wire::GraphResource {
            locks: locks.collect(),
            ..graph_resource(resource, parts.names)
        }
    };
    let cycle = |cycle: &Vec<usize>| wire::GraphCycle {
        edges: cycle.iter().map(|&edge| edge as u32).collect(),
    };
    wire::GraphReply {
        resources: parts.resources.iter().map(resource).collect(),
        edges: parts
            .graph
            .edges
            .iter()
            .map(|edge| graph_edge(edge, &behind, parts.names))
            .collect(),
        cycles: parts.graph.cycles.iter().map(cycle).collect(),
        silent: parts
            .silent
            .iter()
            .map(|&session| parts.names.session(session))
            .collect(),
        coverage: Some(coverage(parts.coverage.clone())),
    }
}

/// The cycles of a graph, each by itself.
#[must_use]
pub fn cycles(graph: &Graph, reports: &[NodeReport], names: &Names) -> Vec<wire::Cycle> {
    let behind = Behind::index(reports);
    let edge = |&edge: &usize| graph_edge(&graph.edges[edge], &behind, names);
    let cycles = graph.cycles.iter().map(|cycle| wire::Cycle {
        edges: cycle.iter().map(edge).collect(),
    });
    cycles.collect()
}

/// The locks of one server for another one, each resource with the epoch of its slot: without what stands
/// behind them, which whoever asked finds out.
#[must_use]
pub fn graph_resources(
    resources: &[(Epoch, ResourceView)],
    names: &Names,
    now: Tick,
) -> Vec<wire::GraphResource> {
    let resources = resources.iter().map(|(epoch, resource)| {
        let locks = resource.locks.iter();
        wire::GraphResource {
            locks: locks.map(|lock| graph_lock(lock, names, now)).collect(),
            epoch: epoch.0,
            ..graph_resource(resource, names)
        }
    });
    resources.collect()
}

fn graph_resource(resource: &ResourceView, names: &Names) -> wire::GraphResource {
    wire::GraphResource {
        lockspace: names.lockspace(resource.lockspace),
        lockspace_id: resource.lockspace.0,
        name: Bytes::copy_from_slice(resource.name.as_bytes()),
        ..wire::GraphResource::default()
    }
}

/// The reports, by what they are asked for.
struct Behind<'a> {
    tasks: BTreeMap<(SessionId, Owner), &'a str>,
    holders: BTreeMap<(SessionId, LockspaceId, &'a ResourceName), &'a [HolderReport]>,
}

impl<'a> Behind<'a> {
    fn index(reports: &'a [NodeReport]) -> Self {
        let mut behind = Self {
            tasks: BTreeMap::new(),
            holders: BTreeMap::new(),
        };
        for report in reports {
            for (owner, name) in &report.tasks {
                behind.tasks.insert((report.session, *owner), name);
            }
            for glock in &report.glocks {
                let key = (report.session, glock.lockspace, &glock.name);
                behind.holders.insert(key, &glock.holders);
            }
        }
        behind
    }

    fn task(&self, session: SessionId, owner: Owner) -> String {
        match (self.tasks.get(&(session, owner)), owner) {
            (Some(&name), _) => name.into(),
            (None, Owner(0)) => String::new(),
            (None, Owner(number)) => format!("task {number}"),
        }
    }
}

fn holders_behind(
    lock: &LockView,
    resource: &ResourceView,
    behind: &Behind<'_>,
) -> Vec<wire::GraphHolder> {
    let key = (lock.session, resource.lockspace, &resource.name);
    let holders = behind.holders.get(&key).into_iter().copied().flatten();
    holders
        .map(|holder| graph_holder(lock.session, holder, behind))
        .collect()
}

fn graph_lock(lock: &LockView, names: &Names, now: Tick) -> wire::GraphLock {
    wire::GraphLock {
        session: lock.session.0,
        session_name: names.session(lock.session),
        lock: lock.lock.0,
        queue: words::queue(lock.queue).into(),
        granted: words::mode_or_none(lock.granted).into(),
        requested: words::mode_or_none(lock.requested).into(),
        age_us: now.since(lock.since),
        owner: lock.owner.0,
        serial: lock.serial,
        flags: lock.flags.bits(),
        holders: Vec::new(),
    }
}

fn graph_holder(
    session: SessionId,
    holder: &HolderReport,
    behind: &Behind<'_>,
) -> wire::GraphHolder {
    wire::GraphHolder {
        task: behind.task(session, holder.owner),
        mode: words::mode(holder.mode).into(),
        granted: holder.granted,
        role: words::role(holder.role).into(),
        pins: holder.pins,
        age_us: holder.age_us,
        owner: holder.owner.0,
    }
}

fn graph_edge(edge: &Edge, behind: &Behind<'_>, names: &Names) -> wire::GraphEdge {
    let task = |task: Task| wire::GraphTask {
        session: task.session.0,
        session_name: names.session(task.session),
        owner: task.owner.0,
        name: behind.task(task.session, task.owner),
    };
    wire::GraphEdge {
        waiter: Some(task(edge.waiter)),
        holder: Some(task(edge.holder)),
        lockspace: names.lockspace(edge.lockspace),
        name: Bytes::copy_from_slice(edge.name.as_bytes()),
        wants: words::mode(edge.wants).into(),
        holds: words::mode(edge.holds).into(),
        reason: words::reason(edge.reason).into(),
        role: words::role(edge.role).into(),
        pins: edge.pins,
        waited_us: edge.waited_us,
    }
}

#[cfg(test)]
mod tests;

//! Graphs whose cycles, or lack of them, can be seen by eye.

mod cycle_model;
mod nodes;
mod sessions;
mod victim;

use super::*;
use crate::ids::{LockId, Owner};
use alloc::string::ToString;
use alloc::{format, vec};

const LOCKSPACE: LockspaceId = LockspaceId(1);

fn name(text: &str) -> ResourceName {
    ResourceName::new(text.as_bytes()).expect("a name")
}

fn task(session: u64, owner: u64) -> Task {
    Task {
        session: SessionId(session),
        owner: Owner(owner),
    }
}

/// A lock of session `session` for its task `owner`; one session has one lock on a resource here.
fn lock(session: u64, owner: u64, granted: Option<Mode>, requested: Option<Mode>) -> LockView {
    let queue = match (granted, requested) {
        (Some(_), None) => Queue::Granted,
        (Some(_), Some(_)) => Queue::Converting,
        (None, _) => Queue::Waiting,
    };
    LockView {
        session: SessionId(session),
        lock: LockId(owner),
        owner: Owner(owner),
        queue,
        granted,
        requested,
        since: Tick(1000),
        serial: 100 * session + owner,
        flags: RequestFlags::empty(),
    }
}

fn held(session: u64, owner: u64, mode: Mode) -> LockView {
    lock(session, owner, Some(mode), None)
}

fn waiting(session: u64, owner: u64, mode: Mode) -> LockView {
    lock(session, owner, None, Some(mode))
}

fn converting(session: u64, owner: u64, from: Mode, to: Mode) -> LockView {
    lock(session, owner, Some(from), Some(to))
}

fn resource(text: &str, locks: Vec<LockView>) -> ResourceView {
    ResourceView {
        lockspace: LOCKSPACE,
        name: name(text),
        locks,
    }
}

/// A local holder, or waiter, of a glock.
fn holder(serial: u64, owner: u64, mode: Mode, granted: bool) -> HolderReport {
    let role = Role::Operation;
    HolderReport {
        serial,
        owner: Owner(owner),
        mode,
        granted,
        role,
        pins: 0,
        age_us: 7,
    }
}

fn glock(text: &str, holders: Vec<HolderReport>) -> GlockReport {
    GlockReport {
        lockspace: LOCKSPACE,
        name: name(text),
        holders,
    }
}

fn node(session: u64, glocks: Vec<GlockReport>) -> NodeReport {
    NodeReport {
        session: SessionId(session),
        tasks: Vec::new(),
        glocks,
    }
}

/// The edges as `1.2>3.4 r Holds`: task 2 of session 1 waits for task 4 of session 3 on `r`.
fn drawn(graph: &Graph) -> Vec<String> {
    graph.edges.iter().map(draw).collect()
}

fn draw(edge: &Edge) -> String {
    let end = |task: Task| format!("{}.{}", task.session.0, task.owner.0);
    let (waiter, holder) = (end(edge.waiter), end(edge.holder));
    format!("{waiter}>{holder} {} {:?}", edge.name, edge.reason)
}

/// The cycles, each as the edges in its order, which must be one.
fn cycles(graph: &Graph) -> Vec<Vec<String>> {
    for cycle in &graph.cycles {
        let ring = cycle.iter().zip(cycle.iter().cycle().skip(1));
        for (&edge, &next) in ring {
            assert_eq!(
                graph.edges[edge].holder, graph.edges[next].waiter,
                "not a cycle: {cycle:?}"
            );
        }
    }
    let edges = |cycle: &Vec<usize>| cycle.iter().map(|&edge| draw(&graph.edges[edge])).collect();
    graph.cycles.iter().map(edges).collect()
}

/// Edges of nothing but tasks of session 1: `(waiter, holder, reason)`.
fn graph_of(arcs: &[(u64, u64, Reason)]) -> Graph {
    let edges: Vec<Edge> = arcs
        .iter()
        .map(|&(waiter, holder, reason)| Edge {
            waiter: task(1, waiter),
            holder: task(1, holder),
            lockspace: LOCKSPACE,
            name: name(&holder.to_string()),
            wants: Mode::Ex,
            holds: Mode::Ex,
            reason,
            role: Role::Operation,
            pins: 0,
            waited_us: 0,
            waiter_serial: waiter,
            holder_serial: holder,
        })
        .collect();
    let found = cycles::cycles(&edges, |_| true);
    Graph {
        edges,
        cycles: found,
    }
}

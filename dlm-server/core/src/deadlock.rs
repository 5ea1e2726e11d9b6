//! The wait-for graph: who holds, who waits, down to the task, and the cycles in it.
//!
//! The lock table knows sessions; a node knows which of its tasks stand behind one lock of its session.
//! Both views are joined here. The graph is built from plain values, so that the server, a test and a
//! model checker can all use it.
//!
//! [`build`] draws the edges (`deadlock/edges.rs` has the rules) and looks for cycles
//! (`deadlock/cycles.rs`). The views of different nodes are of slightly different moments, so that a
//! cycle in one graph may never have been one. A real deadlock is stable and a phantom is not:
//! [`confirm`] keeps what was there, edge for edge, in two graphs.
//!
//! The lock manager shows deadlocks always. Where a lockspace asks for it
//! ([`LockspaceOptions::breaks_deadlocks`](crate::LockspaceOptions)), whoever runs it takes [`victim`] of
//! a confirmed cycle and ends its wait with [`Input::EndWait`](crate::Input::EndWait).

mod cycles;
mod edges;
mod ends;
#[cfg(test)]
mod tests;
mod victim;

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use crate::flags::RequestFlags;
use crate::ids::{LockId, LockspaceId, Owner, ResourceName, SessionId, Tick};
use crate::mode::Mode;

pub use edges::QUEUED_EDGES_PER_WAIT_MAX;
pub use victim::{Victim, victim};

/// Where a lock stands on its resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Queue {
    /// Granted, nothing in progress.
    Granted,
    /// Granted in one mode, waiting for another.
    Converting,
    /// Waiting for its first grant.
    Waiting,
}

/// One lock as the lock table has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockView {
    /// Whose it is.
    pub session: SessionId,
    /// Its number in that session.
    pub lock: LockId,
    /// The task that asked for it.
    pub owner: Owner,
    /// Where it stands.
    pub queue: Queue,
    /// The mode it has; `None` while it waits for its first grant.
    pub granted: Option<Mode>,
    /// The mode it waits for, if it waits.
    pub requested: Option<Mode>,
    /// When it got where it stands.
    pub since: Tick,
    /// A number that changes whenever the lock starts to wait or is granted: two views of the same
    /// wait, or of the same grant, have the same one.
    pub serial: u64,
    /// With which flags it was asked for.
    pub flags: RequestFlags,
}

/// One resource as the lock table has it: its locks in the order granted, converting, waiting, each
/// queue in its own order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceView {
    /// The lockspace.
    pub lockspace: LockspaceId,
    /// The resource's name.
    pub name: ResourceName,
    /// Its locks.
    pub locks: Vec<LockView>,
}

/// What a holder of a glock is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Held for an operation on the object itself, such as a direct I/O's target.
    Operation,
    /// Held because pages under it are pinned for an I/O in flight: a pin is a lock.
    Pin,
    /// Held or wanted to serve a page fault.
    Fault,
}

/// One local holder of, or waiter for, a glock on a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HolderReport {
    /// A number that no other holder of this node's life has.
    pub serial: u64,
    /// The task.
    pub owner: Owner,
    /// The mode it holds or wants.
    pub mode: Mode,
    /// Whether it holds (or still waits).
    pub granted: bool,
    /// What for.
    pub role: Role,
    /// How many pages it has pinned.
    pub pins: u32,
    /// How long it has held or waited, in microseconds of the node's own clock.
    pub age_us: u64,
}

/// One glock of a node that somebody holds or waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GlockReport {
    /// The lockspace.
    pub lockspace: LockspaceId,
    /// The resource's name.
    pub name: ResourceName,
    /// Granted holders first, then waiters in the order of the queue.
    pub holders: Vec<HolderReport>,
}

/// What one session reports of its own tasks. A session that reports nothing is taken as one task for
/// each [`Owner`] that its locks name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeReport {
    /// Who reports.
    pub session: SessionId,
    /// What its tasks are called.
    pub tasks: Vec<(Owner, String)>,
    /// Its glocks in use.
    pub glocks: Vec<GlockReport>,
}

/// A vertex: one task of one session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Task {
    /// The session.
    pub session: SessionId,
    /// The task in it; 0 is the session as a whole.
    pub owner: Owner,
}

/// Why one task waits for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The other holds the resource in a mode that excludes the one wanted.
    Holds,
    /// The other stands before it in the queue, and the queue is served in order; or it holds the glock,
    /// and a demotion that is due waits for that and stands before.
    Queued,
}

/// An edge: `waiter` cannot go on before `holder` does something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    /// Who waits.
    pub waiter: Task,
    /// For whom.
    pub holder: Task,
    /// On which lockspace's…
    pub lockspace: LockspaceId,
    /// …resource.
    pub name: ResourceName,
    /// The mode that is wanted.
    pub wants: Mode,
    /// The mode that is in the way: the other's, or, from one node to another, that of the other node's
    /// lock, which it cannot give up while the other holds the glock. Where the other stands before in
    /// the queue, the mode that it wants.
    pub holds: Mode,
    /// Why.
    pub reason: Reason,
    /// What the other one holds it for.
    pub role: Role,
    /// How many pages the other one has pinned under it.
    pub pins: u32,
    /// How long it has waited, in microseconds.
    pub waited_us: u64,
    /// Serial of the wait; with `holder_serial` it tells whether two edges are the same one.
    pub waiter_serial: u64,
    /// Serial of the hold.
    pub holder_serial: u64,
}

/// The joined graph at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    /// All edges, ordered by waiter, resource, holder.
    pub edges: Vec<Edge>,
    /// Cycles found, each as indexes into `edges` in the order of the cycle: the holder of each is the
    /// waiter of the next, and the last one's holder is the first one's waiter.
    pub cycles: Vec<Vec<usize>>,
}

/// What tells two edges apart: who waits for whom, on what, and which wait for which hold it is. How long
/// it has lasted, and how many pages are pinned meanwhile, may change.
type Identity<'a> = (Task, Task, LockspaceId, &'a ResourceName, u64, u64);

impl Edge {
    fn identity(&self) -> Identity<'_> {
        let Self {
            waiter,
            holder,
            lockspace,
            name,
            waiter_serial,
            holder_serial,
            ..
        } = self;
        (
            *waiter,
            *holder,
            *lockspace,
            name,
            *waiter_serial,
            *holder_serial,
        )
    }
}

/// As [`build_at`], where the time of the views is not known: the waits of sessions that do not report
/// are counted up to the last change that the views show, and so are too short, never too long.
#[must_use]
pub fn build(resources: &[ResourceView], reports: &[NodeReport]) -> Graph {
    let times = resources
        .iter()
        .flat_map(|resource| &resource.locks)
        .map(|lock| lock.since);
    build_at(times.max().unwrap_or_default(), resources, reports)
}

/// Joins the lock table's view, taken at `now`, with what nodes report of their tasks. Glocks on
/// resources that are not in the view are left out.
#[must_use]
pub fn build_at(now: Tick, resources: &[ResourceView], reports: &[NodeReport]) -> Graph {
    let edges = edges::edges(now, resources, reports);
    let cycles = cycles::cycles(&edges, |_| true);
    Graph { edges, cycles }
}

/// The second of two graphs of the same cluster, with those cycles only whose edges are all in the first
/// one too: the same task's same wait for the same task's same hold.
///
/// The cycles are looked for again among the edges that both graphs have. A deadlock that stood all the
/// while is found even where each graph alone showed another, shorter-lived cycle through its tasks.
#[must_use]
pub fn confirm(first: &Graph, second: &Graph) -> Graph {
    let before: BTreeSet<Identity<'_>> = first.edges.iter().map(Edge::identity).collect();
    let cycles = cycles::cycles(&second.edges, |edge| before.contains(&edge.identity()));
    Graph {
        edges: second.edges.clone(),
        cycles,
    }
}

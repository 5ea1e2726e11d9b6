//! The lock graph as one sees it from outside: who holds, who waits, and who waits for each other.
//!
//! [`GraphSnapshot`] is plain data, made of a server's answer. The rest renders it: [`text`] for people, [`json`] for
//! programs, [`dot`] for graphviz, [`svg`] for a look without graphviz. Nothing here does any I/O.

use std::fmt;

use dlm_core::deadlock::{Queue, Reason, Role};
use dlm_core::{Mode, ResourceName};
use serde::Serialize;

use crate::Coverage;

pub mod dot;
pub mod filter;
pub mod json;
pub mod svg;
pub mod text;

mod reply;
mod words;

pub use words::time;

/// The locks of a server at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GraphSnapshot {
    /// Everything that is locked or waited for, by lockspace and name.
    pub resources: Vec<Resource>,
    /// Who waits for whom.
    pub edges: Vec<Edge>,
    /// Rings of tasks that wait for each other: indexes into `edges`, in the order of the ring. Each was
    /// seen twice, edge for edge, so it is a deadlock and not an accident of looking.
    pub cycles: Vec<Vec<usize>>,
    /// Sessions that did not report their tasks in time. An edge to one of them ends at the session.
    pub silent: Vec<String>,
    /// What is missing: a deadlock that goes through it is not seen.
    pub coverage: Coverage,
}

impl GraphSnapshot {
    /// The edges of a cycle, in its order.
    pub fn cycle(&self, cycle: usize) -> impl Iterator<Item = &Edge> {
        self.cycles[cycle].iter().map(|&edge| &self.edges[edge])
    }

    /// The cycles, each by itself.
    pub fn rings(&self) -> impl Iterator<Item = Cycle> {
        (0..self.cycles.len()).map(|cycle| Cycle {
            edges: self.cycle(cycle).cloned().collect(),
        })
    }

    /// The same with all times at nothing, to see whether two show the same.
    #[must_use]
    pub fn without_times(&self) -> Self {
        let mut timeless = self.clone();
        for lock in timeless.resources.iter_mut().flat_map(|one| &mut one.locks) {
            lock.age_us = 0;
            for holder in &mut lock.holders {
                holder.age_us = 0;
            }
        }
        for edge in &mut timeless.edges {
            edge.waited_us = 0;
        }
        timeless
    }

    /// Whether the edge is part of a cycle.
    #[must_use]
    pub fn in_cycle(&self, edge: usize) -> bool {
        self.cycles.iter().any(|cycle| cycle.contains(&edge))
    }
}

/// A deadlock by itself: each edge's holder is the waiter of the next, and the last one's that of the first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cycle {
    /// They, in the order of the ring.
    pub edges: Vec<Edge>,
}

impl Cycle {
    /// Whether it is the same deadlock, seen at another time.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        let timeless = |cycle: &Self| {
            let edges = cycle.edges.iter().cloned();
            let mut edges: Vec<Edge> = edges
                .map(|edge| Edge {
                    waited_us: 0,
                    ..edge
                })
                .collect();
            // A ring may begin anywhere.
            edges.sort_by(|a, b| (&a.waiter, &a.holder).cmp(&(&b.waiter, &b.holder)));
            edges
        };
        timeless(self) == timeless(other)
    }
}

/// What a lock is on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    /// The lockspace's name.
    pub lockspace: String,
    /// The resource's name in it.
    pub name: ResourceName,
}

/// An object with the locks on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Resource {
    /// Which.
    #[serde(flatten)]
    pub object: Object,
    /// Granted ones first, then those that convert, then those that wait; each queue in its order.
    pub locks: Vec<Lock>,
}

impl Resource {
    /// Whether somebody waits for it, be it in the server's queues or behind a lock of his own node.
    #[must_use]
    pub fn is_contended(&self) -> bool {
        let waits = |lock: &Lock| {
            lock.queue != Queue::Granted || lock.holders.iter().any(|holder| !holder.granted)
        };
        self.locks.iter().any(waits)
    }
}

/// One session's lock on a resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Lock {
    /// The session's number.
    pub session: u64,
    /// The session's name.
    pub session_name: String,
    /// The lock's number in the session.
    pub lock: u64,
    /// Where it stands.
    #[serde(serialize_with = "json::queue")]
    pub queue: Queue,
    /// The mode it has.
    #[serde(serialize_with = "json::mode_or_none")]
    pub granted: Option<Mode>,
    /// The mode it waits for.
    #[serde(serialize_with = "json::mode_or_none")]
    pub requested: Option<Mode>,
    /// How long it has stood there, in microseconds.
    pub age_us: u64,
    /// The tasks behind it, where the session reports them.
    pub holders: Vec<Holder>,
}

/// A task behind a node's lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// Its name.
    pub task: String,
    /// The mode it holds or wants.
    #[serde(serialize_with = "json::mode")]
    pub mode: Mode,
    /// Whether it holds.
    pub granted: bool,
    /// What for.
    #[serde(serialize_with = "json::role")]
    pub role: Role,
    /// How many pages it has pinned.
    pub pins: u32,
    /// How long it has held or waited, in microseconds.
    pub age_us: u64,
}

/// A task of a session, or a session as a whole.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Task {
    /// The session's number.
    pub session: u64,
    /// The session's name.
    pub session_name: String,
    /// The task's number in the session; 0 is the session as a whole.
    pub owner: u64,
    /// The task's name; empty for the session as a whole.
    pub name: String,
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.is_empty() {
            f.pad(&self.session_name)
        } else {
            f.pad(&format!("{}/{}", self.session_name, self.name))
        }
    }
}

/// One task waits for another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Edge {
    /// Who waits.
    pub waiter: Task,
    /// For whom.
    pub holder: Task,
    /// On what.
    #[serde(flatten)]
    pub object: Object,
    /// The mode the waiter wants.
    #[serde(serialize_with = "json::mode")]
    pub wants: Mode,
    /// The mode the other has, or wants where it stands before in the queue.
    #[serde(serialize_with = "json::mode")]
    pub holds: Mode,
    /// Why it waits.
    #[serde(serialize_with = "json::reason")]
    pub reason: Reason,
    /// What the other has it for.
    #[serde(serialize_with = "json::role")]
    pub role: Role,
    /// How many pages the other has pinned under it.
    pub pins: u32,
    /// How long it has waited, in microseconds.
    pub waited_us: u64,
}

#[cfg(test)]
pub(crate) mod examples;

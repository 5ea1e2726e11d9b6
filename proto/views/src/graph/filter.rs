//! A part of the lock graph: of a node, of some resources, of whoever waits for long.

use std::collections::BTreeSet;

use super::{Edge, GraphSnapshot, Lock, Object, Resource};
use crate::pattern::fits_object;

/// What of a graph is wanted. By default all of it.
///
/// What is wanted is shown with what it takes to understand it: of a resource all locks, of a deadlock all edges.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GraphFilter {
    /// Only this lockspace.
    pub lockspace: Option<String>,
    /// Only resources with names like this ([`fits_object`]).
    pub resource: Option<String>,
    /// Only what the session of this name or number holds, waits for, or is in the way of.
    pub node: Option<String>,
    /// Only deadlocks.
    pub cycles_only: bool,
    /// Only what somebody has waited for longer than this, in microseconds.
    pub waits_longer_than_us: Option<u64>,
}

impl GraphFilter {
    /// What is wanted of a graph. Its coverage stays, and those who did not report.
    #[must_use]
    pub fn apply(&self, snapshot: GraphSnapshot) -> GraphSnapshot {
        if *self == Self::default() {
            return snapshot;
        }
        let cycles = snapshot.cycles.iter();
        let cycles: Vec<&Vec<usize>> = cycles
            .filter(|cycle| {
                cycle
                    .iter()
                    .any(|&edge| self.wants_edge(&snapshot.edges[edge]))
            })
            .collect();
        let in_cycles: BTreeSet<usize> = cycles.iter().copied().flatten().copied().collect();
        let edges = snapshot.edges.iter().enumerate();
        let kept: Vec<usize> = edges
            .filter(|(at, edge)| {
                in_cycles.contains(at) || (!self.cycles_only && self.wants_edge(edge))
            })
            .map(|(at, _)| at)
            .collect();
        let moved = |edge: &usize| kept.binary_search(edge).expect("edges of cycles are kept");
        let cycles = cycles
            .iter()
            .map(|cycle| cycle.iter().map(moved).collect())
            .collect();
        let edges: Vec<Edge> = kept.iter().map(|&at| snapshot.edges[at].clone()).collect();
        let waited: BTreeSet<&Object> = edges.iter().map(|edge| &edge.object).collect();
        let resources = snapshot.resources.into_iter();
        let resources = resources.filter(|one| {
            waited.contains(&one.object) || (!self.cycles_only && self.wants_resource(one))
        });
        GraphSnapshot {
            resources: resources.collect(),
            cycles,
            silent: snapshot.silent,
            coverage: snapshot.coverage,
            edges,
        }
    }

    fn wants_edge(&self, edge: &Edge) -> bool {
        let long = self.waits_longer_than_us;
        let both = [&edge.waiter, &edge.holder];
        self.wants_object(&edge.object)
            && long.is_none_or(|us| edge.waited_us > us)
            && both
                .iter()
                .any(|task| self.wants_session(task.session, &task.session_name))
    }

    /// One that nobody waits for, or that an edge of it which is wanted does not show.
    fn wants_resource(&self, resource: &Resource) -> bool {
        let of_node = |lock: &Lock| self.wants_session(lock.session, &lock.session_name);
        let waits = |lock: &Lock, us| {
            let in_queue = lock.requested.is_some() && lock.age_us > us;
            let mut holders = lock.holders.iter();
            in_queue || holders.any(|holder| !holder.granted && holder.age_us > us)
        };
        let wanted = |lock: &Lock| self.waits_longer_than_us.is_none_or(|us| waits(lock, us));
        self.wants_object(&resource.object)
            && resource.locks.iter().any(of_node)
            && resource.locks.iter().any(wanted)
    }

    fn wants_object(&self, object: &Object) -> bool {
        let lockspace = self.lockspace.as_ref();
        let resource = self.resource.as_ref();
        lockspace.is_none_or(|only| *only == object.lockspace)
            && resource.is_none_or(|pattern| fits_object(pattern, object))
    }

    fn wants_session(&self, session: u64, name: &str) -> bool {
        let node = self.node.as_ref();
        node.is_none_or(|node| node == name || *node == session.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::examples;

    fn shown(filter: GraphFilter) -> (Vec<String>, usize, usize) {
        let part = filter.apply(examples::cross());
        let names = part.resources.iter().map(|one| one.object.resource());
        assert!(
            part.cycles
                .iter()
                .flatten()
                .all(|&edge| edge < part.edges.len())
        );
        (names.collect(), part.edges.len(), part.cycles.len())
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    const ONE: &str = "inode 0x102ab";
    const TWO: &str = "inode 0x2";
    const IDLE: &str = "\"nightly\"";

    #[test]
    fn without_any_wish_everything_is_shown() {
        let all = examples::cross();
        assert_eq!(GraphFilter::default().apply(all.clone()), all);
        let everything = GraphFilter {
            resource: Some("*".into()),
            ..GraphFilter::default()
        };
        assert_eq!(everything.apply(all.clone()), all);
    }

    #[test]
    fn what_is_in_a_deadlock_is_shown_with_all_of_it() {
        let only = |resource: &str| GraphFilter {
            resource: Some(resource.into()),
            ..GraphFilter::default()
        };
        // Each of the two is waited for in the one cycle; node5 waits for the second, outside of it.
        assert_eq!(shown(only("2/102ab")), (names(&[ONE, TWO]), 2, 1));
        assert_eq!(shown(only("inode 0x2")), (names(&[ONE, TWO]), 3, 1));
        assert_eq!(shown(only("night*")), (names(&[IDLE]), 0, 0));
        let cycles_only = GraphFilter {
            cycles_only: true,
            ..GraphFilter::default()
        };
        assert_eq!(shown(cycles_only.clone()), (names(&[ONE, TWO]), 2, 1));
        let elsewhere = GraphFilter {
            lockspace: Some("jobs".into()),
            ..cycles_only
        };
        assert_eq!(shown(elsewhere), (names(&[]), 0, 0));
    }

    #[test]
    fn a_node_is_called_by_its_name_or_its_number() {
        let node = |node: &str| GraphFilter {
            node: Some(node.into()),
            ..GraphFilter::default()
        };
        assert_eq!(shown(node("node9")), (names(&[IDLE]), 0, 0));
        assert_eq!(shown(node("9")), (names(&[IDLE]), 0, 0));
        assert_eq!(shown(node("node5")), (names(&[TWO]), 1, 0));
        assert_eq!(shown(node("1")), (names(&[ONE, TWO]), 2, 1));
        assert_eq!(shown(node("node")), (names(&[]), 0, 0));
    }

    #[test]
    fn short_waits_are_left_out_and_a_deadlock_counts_by_its_longest() {
        let longer = |waits_longer_than_us| GraphFilter {
            waits_longer_than_us,
            ..GraphFilter::default()
        };
        assert_eq!(shown(longer(Some(0))), (names(&[ONE, TWO]), 3, 1));
        // The tasks behind the locks have waited for 1.3 s, the edges for 1.25 s.
        assert_eq!(shown(longer(Some(1_270_000))), (names(&[ONE]), 0, 0));
        assert_eq!(shown(longer(Some(2_000_000))), (names(&[]), 0, 0));
        let mut graph = examples::cross();
        graph.edges[1].waited_us = 9_000_000;
        let part = longer(Some(5_000_000)).apply(graph);
        assert_eq!((part.edges.len(), part.cycles), (2, vec![vec![0, 1]]));
    }
}

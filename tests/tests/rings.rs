//! Cross rings of direct I/O over several nodes, under every policy: who ends, who deadlocks, and that a
//! cycle that is reported is true.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use dlm_client::graph::{Edge, GraphSnapshot, Holder, Lock, Task};
use dlm_core::deadlock::Reason;
use fs_core::fault::Direction;
use fs_node::Policy;
use tests::cluster::Cluster;
use tests::deadline::Watchdog;
use tests::machine::has_userfaultfd;
use tests::ring::{FILE_BYTES, Ring};

/// Nodes and files: AB-BA on two nodes, then rings of 3 to 5 over two and more.
const SHAPES: [(usize, usize); 5] = [(2, 2), (3, 3), (2, 4), (4, 4), (3, 5)];
const LIMIT: Duration = Duration::from_secs(120);

fn ends(policy: Policy) {
    if !has_userfaultfd() {
        return;
    }
    let mut cycles = 0;
    for (nodes, files) in SHAPES {
        for direction in [Some(Direction::Read), Some(Direction::Write), None] {
            let cluster = Cluster::new(files as u64, FILE_BYTES);
            let what = format!("a ring of {files} on {nodes} nodes under {policy}, {direction:?}");
            let _watchdog = Watchdog::start(cluster.endpoint(), what, LIMIT);
            let members = cluster.nodes(nodes, policy);
            for tally in Ring::start(&members, files, 20, direction).join() {
                assert_eq!(tally.ops, 20);
                if policy == Policy::Ordered {
                    assert!(!tally.sum.bounced && !tally.sum.fallback, "{tally:?}");
                    assert!(
                        tally.lock_cycles_max <= 1,
                        "one mapping, one cycle: {tally:?}"
                    );
                }
                cycles += tally.sum.lock_cycles;
            }
            members
                .into_iter()
                .for_each(|node| node.stop().expect("stopping a node"));
        }
    }
    if matches!(policy, Policy::Ordered | Policy::TryCycle) {
        assert!(cycles > 0, "the rings exercise the cycle");
    }
}

#[test]
fn ordered_ends_every_ring_without_a_fallback() {
    ends(Policy::Ordered);
}

#[test]
fn try_cycle_ends_every_ring() {
    ends(Policy::TryCycle);
}

#[test]
fn nofault_ends_every_ring() {
    ends(Policy::Nofault);
}

#[test]
fn block_deadlocks_and_the_graph_shows_a_true_cycle() {
    if !has_userfaultfd() {
        return;
    }
    for (nodes, files) in SHAPES {
        let cluster = Cluster::new(files as u64, FILE_BYTES);
        let what = format!("a ring of {files} on {nodes} nodes under block");
        let _watchdog = Watchdog::start(cluster.endpoint(), what, LIMIT);
        let members = cluster.nodes(nodes, Policy::Block);
        let ring = Ring::start(&members, files, u64::MAX, None);
        let graph = wait_for_cycle(&cluster);
        check_cycles(&graph, files);
        // It is a deadlock and no slow moment: nothing moves any more.
        ring.stop();
        members.iter().for_each(|node| node.interrupt(true));
        let tallies = ring.join();
        let interrupted: usize = tallies.iter().map(|tally| tally.interrupted).sum();
        assert!(interrupted >= 1, "somebody was waiting: {tallies:?}");
        members.iter().for_each(|node| node.interrupt(false));
        assert!(cluster.graph().cycles.is_empty(), "broken up");
        members
            .into_iter()
            .for_each(|node| node.stop().expect("stopping a node"));
    }
}

fn wait_for_cycle(cluster: &Cluster) -> GraphSnapshot {
    let start = Instant::now();
    loop {
        let graph = cluster.graph();
        if !graph.cycles.is_empty() {
            return graph;
        }
        assert!(
            start.elapsed() < LIMIT,
            "no deadlock:\n{}",
            dlm_client::graph::text::render(&graph)
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Every edge of every cycle is held against what the graph itself says of the locks, and against the
/// rule for who excludes whom.
fn check_cycles(graph: &GraphSnapshot, files: usize) {
    for number in 0..graph.cycles.len() {
        let edges: Vec<&Edge> = graph.cycle(number).collect();
        for (edge, next) in edges.iter().zip(edges.iter().cycle().skip(1)) {
            assert_eq!(edge.holder, next.waiter, "a cycle closes");
            check_edge(graph, edge);
        }
        let objects: BTreeSet<_> = edges.iter().map(|edge| &edge.object).collect();
        assert!(
            objects.len() >= 2 && objects.len() <= files,
            "over two glocks at least"
        );
        let sessions: BTreeSet<_> = edges.iter().map(|edge| edge.waiter.session).collect();
        assert!(sessions.len() >= 2, "over two nodes at least");
    }
}

/// An edge is true if the other one holds what excludes the wanted mode, or stands before.
fn check_edge(graph: &GraphSnapshot, edge: &Edge) {
    let resource = graph
        .resources
        .iter()
        .find(|resource| resource.object == edge.object);
    let locks = &resource.expect("an edge's resource is in the graph").locks;
    let stands = |task: &Task, is: &dyn Fn(&Lock, &Holder) -> bool| {
        locks
            .iter()
            .filter(|lock| lock.session == task.session)
            .any(|lock| {
                let named = lock
                    .holders
                    .iter()
                    .filter(|holder| holder.task == task.name);
                named.into_iter().any(|holder| is(lock, holder))
            })
    };
    let waits = stands(&edge.waiter, &|_, holder| {
        !holder.granted && holder.mode == edge.wants
    });
    assert!(waits, "{edge:?} waits");
    match edge.reason {
        Reason::Holds => {
            // Its own mode is in the way, or its node's lock, which it keeps from being given up.
            let holds = |lock: &Lock, holder: &Holder| {
                let lock_holds = lock.granted == Some(edge.holds);
                holder.granted && (holder.mode == edge.holds || lock_holds)
            };
            assert!(stands(&edge.holder, &holds), "{edge:?} is in the way");
            assert!(
                !edge.holds.compatible(edge.wants),
                "{edge:?}: the modes exclude"
            );
        }
        Reason::Queued => assert!(stands(&edge.holder, &|_, _| true), "{edge:?} is there"),
    }
}

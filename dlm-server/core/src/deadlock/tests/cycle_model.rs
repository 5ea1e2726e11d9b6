//! The search for cycles, against distances between all pairs of tasks.

use super::*;
use proptest::collection::vec as vec_of;
use proptest::prelude::*;

use Reason::{Holds, Queued};

const TASKS: usize = 7;
const FAR: usize = usize::MAX / 4;

/// The distance from each task to each, by Floyd and Warshall; to itself it is the shortest cycle.
fn distances(arcs: &[(u64, u64, Reason)]) -> [[usize; TASKS]; TASKS] {
    let mut far = [[FAR; TASKS]; TASKS];
    for &(from, to, _) in arcs {
        far[from as usize][to as usize] = 1;
    }
    for over in 0..TASKS {
        for from in 0..TASKS {
            for to in 0..TASKS {
                far[from][to] = far[from][to].min(far[from][over] + far[over][to]);
            }
        }
    }
    far
}

/// The lengths of the shortest cycles, one for each deadlock, in the order of their smallest tasks.
fn expected_lengths(arcs: &[(u64, u64, Reason)]) -> Vec<usize> {
    let far = distances(arcs);
    let mut lengths = Vec::new();
    for task in 0..TASKS {
        let together: Vec<usize> = (0..TASKS)
            .filter(|&other| far[task][other].max(far[other][task]) < FAR)
            .collect();
        if together.first() == Some(&task) {
            lengths.extend(together.iter().map(|&member| far[member][member]).min());
        }
    }
    lengths
}

proptest! {
    #[test]
    fn each_deadlock_has_one_shortest_cycle(
        arcs in vec_of((1..TASKS as u64, 1..TASKS as u64, prop_oneof![Just(Holds), Just(Queued)]), 0..14)
    ) {
        let graph = graph_of(&arcs);
        let found = cycles(&graph);
        prop_assert_eq!(found.len(), graph.cycles.len());
        let mut lengths: Vec<usize> = graph.cycles.iter().map(Vec::len).collect();
        let mut expected = expected_lengths(&arcs);
        lengths.sort_unstable();
        expected.sort_unstable();
        prop_assert_eq!(lengths, expected);
    }
}

#[test]
fn holds_are_preferred_to_queues_of_the_same_length() {
    let arcs = [(1, 2, Holds), (2, 1, Queued), (2, 3, Holds), (3, 2, Holds)];
    assert_eq!(
        cycles(&graph_of(&arcs)),
        [["1.2>1.3 3 Holds", "1.3>1.2 2 Holds"]]
    );
    let parallel = [(1, 2, Queued), (1, 2, Holds), (2, 1, Queued)];
    assert_eq!(
        cycles(&graph_of(&parallel)),
        [["1.1>1.2 2 Holds", "1.2>1.1 1 Queued"]]
    );
    let short_wins = [
        (1, 2, Queued),
        (2, 1, Queued),
        (2, 3, Holds),
        (3, 4, Holds),
        (4, 2, Holds),
    ];
    assert_eq!(graph_of(&short_wins).cycles, [[0, 1]]);
}

#[test]
fn deadlocks_that_have_no_task_in_common_are_reported_apart() {
    let arcs = [
        (5, 6, Holds),
        (6, 5, Holds),
        (1, 2, Holds),
        (2, 1, Holds),
        (6, 1, Holds),
    ];
    assert_eq!(graph_of(&arcs).cycles, [[2, 3], [0, 1]]);
}

#[test]
fn a_graph_may_be_deeper_than_a_stack() {
    const DEPTH: u64 = 100_000;
    let mut arcs: Vec<_> = (1..DEPTH).map(|n| (n, n + 1, Holds)).collect();
    assert!(graph_of(&arcs).cycles.is_empty());
    arcs.push((DEPTH, DEPTH - 1, Holds));
    assert_eq!(
        graph_of(&arcs)
            .cycles
            .iter()
            .map(Vec::len)
            .collect::<Vec<_>>(),
        [2]
    );
}

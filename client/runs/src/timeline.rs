//! Operations over time, of all lives of a node on one line.

use glockwork_proto::node::INTERVAL_US;

use crate::limits::{INTERVALS_MAX, LIFE_INTERVALS_MAX};
use crate::seen::{Life, NodeSeen};

/// Operations in each interval of a run; `None` where the node did not run.
pub(crate) type Line = Vec<Option<u32>>;

/// A line for each node, all of the same length, and the length of their intervals in microseconds.
pub(crate) fn lines(nodes: &[NodeSeen], elapsed_us: u64) -> (u64, Vec<Line>) {
    let reach = |life: &Life| first(life) + life.ops.len();
    let lives = nodes.iter().flat_map(|node| &node.lives);
    let ran = usize::try_from(elapsed_us.div_ceil(INTERVAL_US)).unwrap_or(usize::MAX);
    let intervals = lives.map(reach).max().unwrap_or(0).max(ran);
    let intervals = intervals.min(LIFE_INTERVALS_MAX);
    let each = intervals.div_ceil(INTERVALS_MAX).max(1);
    let lines = nodes
        .iter()
        .map(|node| coarse(&fine(node, intervals), each));
    (INTERVAL_US * each as u64, lines.collect())
}

/// The interval in which a life begins; a life counts from its own start, which is moved to the nearest edge.
fn first(life: &Life) -> usize {
    let first = (life.from_us + INTERVAL_US / 2) / INTERVAL_US;
    usize::try_from(first).map_or(LIFE_INTERVALS_MAX, |first| first.min(LIFE_INTERVALS_MAX))
}

fn fine(node: &NodeSeen, intervals: usize) -> Line {
    let mut line = vec![None; intervals];
    for life in &node.lives {
        for (slot, &ops) in line.iter_mut().skip(first(life)).zip(&life.ops) {
            *slot = Some(slot.unwrap_or(0_u32).saturating_add(ops));
        }
    }
    line
}

fn coarse(line: &[Option<u32>], each: usize) -> Line {
    let sum = |part: &[Option<u32>]| part.iter().flatten().copied().reduce(u32::saturating_add);
    line.chunks(each).map(sum).collect()
}

/// A time without an operation, in microseconds from the run's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quiet {
    pub(crate) from_us: u64,
    pub(crate) to_us: u64,
}

/// The times without an operation up to `end_us`, in order. The last interval may be a part of one and is no news.
pub(crate) fn quiet(line: &[Option<u32>], interval_us: u64, end_us: u64) -> Vec<Quiet> {
    let mut found: Vec<Quiet> = Vec::new();
    let mut since = None;
    let whole = usize::try_from(end_us / interval_us).unwrap_or(usize::MAX);
    let line = &line[..whole.min(line.len())];
    for (number, ops) in line.iter().enumerate() {
        let at_us = number as u64 * interval_us;
        if ops.is_some_and(|ops| ops > 0) {
            found.extend(since.take().map(|from_us| Quiet {
                from_us,
                to_us: at_us,
            }));
        } else if since.is_none() {
            since = Some(at_us);
        }
    }
    found.extend(since.map(|from_us| Quiet {
        from_us,
        to_us: end_us,
    }));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use glockwork_proto::node::Progress;
    use proptest::prelude::*;

    fn life(from_us: u64, ops: &[u32]) -> Life {
        let mut life = Life::new(from_us);
        life.progress(&Progress {
            first: 0,
            ops: ops.to_vec(),
            elapsed_us: 0,
        });
        life
    }

    fn node(lives: Vec<Life>) -> NodeSeen {
        NodeSeen {
            name: "node1".into(),
            lives,
        }
    }

    #[test]
    fn between_two_lives_there_is_a_gap() {
        let node = node(vec![life(0, &[1, 2]), life(440_000, &[3])]);
        let (interval_us, lines) = lines(&[node], 600_000);
        assert_eq!(interval_us, INTERVAL_US);
        assert_eq!(lines, [[Some(1), Some(2), None, None, Some(3), None]]);
        let quiet = quiet(&lines[0], interval_us, 600_000);
        let ends: Vec<(u64, u64)> = quiet.iter().map(|one| (one.from_us, one.to_us)).collect();
        assert_eq!(ends, [(200_000, 400_000), (500_000, 600_000)]);
    }

    #[test]
    fn what_is_said_again_takes_the_place_of_what_was_said() {
        let mut life = life(0, &[5, 1]);
        assert_eq!(life.next_interval(), 1);
        life.progress(&Progress {
            first: 1,
            ops: vec![7, 2],
            elapsed_us: 0,
        });
        assert_eq!((life.ops.clone(), life.ops()), (vec![5, 7, 2], 14));
        life.progress(&Progress {
            first: u64::MAX,
            ops: vec![1],
            elapsed_us: 0,
        });
        assert_eq!(life.ops.len(), 3, "no node makes a life longer than a run");
    }

    proptest! {
        #[test]
        fn no_operation_gets_lost(
            lives in prop::collection::vec((0_u64..9_000_000_000, prop::collection::vec(0_u32..100, 0..20)), 0..5),
            elapsed_us in 0_u64..9_000_000_000,
        ) {
            let total: u64 = lives.iter().flat_map(|(_, ops)| ops).map(|&ops| u64::from(ops)).sum();
            let lives = lives.iter().map(|(from_us, ops)| life(*from_us, ops)).collect();
            let (_, lines) = lines(&[node(lives)], elapsed_us);
            prop_assert!(lines[0].len() <= INTERVALS_MAX);
            prop_assert_eq!(lines[0].iter().flatten().map(|&ops| u64::from(ops)).sum::<u64>(), total);
        }
    }
}

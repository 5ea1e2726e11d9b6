//! What came of a run on one node.

use glockwork_proto::node::{INTERVAL_US, Tally, Witnessed};
use serde::{Deserialize, Serialize};

use crate::limits::LIVES_MAX;
use crate::seen::{Life, LifeEnd, NodeSeen};
use crate::summary::{Summary, ratio, rounded};
use crate::timeline::Line;

/// One node in a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NodeRun {
    /// Its name.
    pub name: String,
    /// Which part of all operations it did.
    pub share: f64,
    /// What was counted there.
    #[serde(flatten)]
    pub summary: Summary,
    /// The longest time in one life without an operation, in microseconds.
    pub stall_us: u64,
    /// When that began, from the run's start.
    pub stall_at_us: u64,
    /// What the task found that takes turns with other nodes'.
    pub witness: Witnessed,
    /// From when to when it ran: the first of them, at most [`LIVES_MAX`].
    pub lives: Vec<LifeRun>,
    /// How many lives are left out.
    pub lives_dropped: u64,
    /// Operations in each of the run's intervals; `null` where the node did not run.
    pub ops_per_interval: Vec<Option<u32>>,
}

/// One life of a node: it has another one when it comes back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifeRun {
    /// When it began, in microseconds from the run's start.
    pub from_us: u64,
    /// When it ended.
    pub to_us: u64,
    /// Why it was lost, with all that it had counted but its operations; `None`: it ended well.
    pub lost: Option<String>,
}

impl NodeRun {
    /// Of what was seen of it.
    pub(crate) fn of(seen: &NodeSeen, line: Line, elapsed_us: u64, all_ops: u64) -> Self {
        let (tally, untold) = tally(seen);
        let summary = Summary::of(&tally, untold, elapsed_us);
        let stall = seen.lives.iter().map(stall).max_by_key(|&(us, at_us)| {
            // Of equal ones the first.
            (us, std::cmp::Reverse(at_us))
        });
        let (stall_us, stall_at_us) = stall.unwrap_or_default();
        let mut witness = Witnessed::default();
        for told in seen.lives.iter().filter_map(Life::result) {
            witness.grants += told.witness.grants;
            witness.violations.merge(&told.witness.violations);
            witness.stall_us = witness.stall_us.max(told.witness.stall_us);
        }
        Self {
            name: seen.name.clone(),
            share: rounded(ratio(summary.ops as f64, all_ops as f64), 4),
            summary,
            stall_us,
            stall_at_us,
            witness,
            // The last says whether it came back.
            lives: kept(&seen.lives).map(LifeRun::of).collect(),
            lives_dropped: seen.lives.len().saturating_sub(LIVES_MAX) as u64,
            ops_per_interval: line,
        }
    }

    /// Whether it was there when the run ended, and said what came of it.
    #[must_use]
    pub fn ended_well(&self) -> bool {
        self.lives.last().is_some_and(|life| life.lost.is_none())
    }

    /// When its last life ended, in microseconds from the run's start.
    #[must_use]
    pub fn to_us(&self) -> u64 {
        self.lives.last().map_or(0, |life| life.to_us)
    }
}

/// The first lives and the last.
fn kept(lives: &[Life]) -> impl Iterator<Item = &Life> {
    let first = lives.len().min(LIVES_MAX).saturating_sub(1);
    lives[..first].iter().chain(lives.last())
}

/// What the node's lives told, and the operations of those that could not.
pub(crate) fn tally(seen: &NodeSeen) -> (Tally, u64) {
    let (mut tally, mut untold) = (Tally::default(), 0);
    for life in &seen.lives {
        match life.result() {
            Some(told) => tally.merge(&told.tally),
            None => untold += life.ops(),
        }
    }
    (tally, untold)
}

/// The longest time in a life without an operation, and when it began. Of one that was lost it is known to the
/// interval only.
fn stall(life: &Life) -> (u64, u64) {
    if let Some(told) = life.result() {
        return (told.stall_us, life.from_us + told.stall_at_us);
    }
    let (mut longest, mut at, mut since) = (0, 0, 0);
    for (number, &ops) in life.ops.iter().enumerate() {
        if ops > 0 {
            since = number + 1;
        } else if number + 1 - since > longest {
            longest = number + 1 - since;
            at = since;
        }
    }
    let us = |intervals: usize| intervals as u64 * INTERVAL_US;
    (us(longest), life.from_us + us(at))
}

impl LifeRun {
    fn of(life: &Life) -> Self {
        let lost = match &life.end {
            LifeEnd::Told(_) => None,
            LifeEnd::Lost { why, .. } => Some(why.clone()),
            LifeEnd::Open => Some("nothing more was heard of it".into()),
        };
        Self {
            from_us: life.from_us,
            to_us: life.to_us(),
            lost,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use glockwork_proto::node::{Progress, WorkloadResult};

    fn told(ops: u64, stall_us: u64) -> WorkloadResult {
        WorkloadResult {
            tally: Tally {
                ops,
                elapsed_us: 1_000_000,
                ..Tally::default()
            },
            stall_us,
            stall_at_us: 1_000,
            ..WorkloadResult::default()
        }
    }

    #[test]
    fn a_node_is_the_sum_of_its_lives() {
        let mut first = Life::new(0);
        first.progress(&Progress {
            first: 0,
            ops: vec![4, 0, 0, 1],
            elapsed_us: 400_000,
        });
        first.lost(450_000, "its process ended");
        let mut second = Life::new(2_000_000);
        second.ended(told(15, 150_000));
        let seen = NodeSeen {
            name: "node1".into(),
            lives: vec![first, second],
        };
        let node = NodeRun::of(&seen, vec![Some(5)], 3_000_000, 40);
        assert_eq!((node.summary.ops, node.summary.ops_untold), (20, 5));
        assert!((node.share - 0.5).abs() < 1e-9);
        assert_eq!((node.stall_us, node.stall_at_us), (200_000, 100_000));
        assert_eq!(node.to_us(), 3_000_000);
        assert!(node.ended_well());
        assert_eq!(node.lives[0].lost.as_deref(), Some("its process ended"));
    }

    #[test]
    fn of_many_lives_the_last_is_kept() {
        let mut lives: Vec<Life> = (0..250).map(Life::new).collect();
        lives.last_mut().unwrap().ended(told(1, 0));
        let name = "node1".into();
        let node = NodeRun::of(&NodeSeen { name, lives }, vec![], 1, 1);
        assert_eq!((node.lives.len(), node.lives_dropped), (LIVES_MAX, 150));
        assert_eq!(node.lives[LIVES_MAX - 1].from_us, 249);
        assert!(node.ended_well());
    }
}

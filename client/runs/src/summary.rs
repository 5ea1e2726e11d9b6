//! What was counted of operations, as numbers that people compare.

use glockwork_proto::node::{Errors, Tally};
use serde::{Deserialize, Serialize};

/// A tally of a node, or of all, in its summary.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// Operations that ended well.
    pub ops: u64,
    /// Those of them in lives that ended before they could say more of them than that. All that follows is about the
    /// others.
    pub ops_untold: u64,
    /// Operations, all of them, in a second of the run.
    pub ops_per_s: f64,
    /// Half of the operations took no longer, in microseconds.
    pub p50_us: u64,
    /// 90 of 100 took no longer.
    pub p90_us: u64,
    /// 99 of 100 took no longer.
    pub p99_us: u64,
    /// 999 of 1000 took no longer.
    pub p999_us: u64,
    /// None took longer.
    pub max_us: u64,
    /// Times an operation began again from where it was.
    pub retries: u64,
    /// Trylocks that failed.
    pub trylock_failed: u64,
    /// Times locks were dropped and taken again in order.
    pub lock_cycles: u64,
    /// The most of them in one operation.
    pub lock_cycles_max: u32,
    /// Operations through bounce memory.
    pub bounced: u64,
    /// Operations that reached a bound of their policy and ended another way.
    pub fallbacks: u64,
    /// Operations that were interrupted.
    pub interrupted: u64,
    /// Lock operations sent and callbacks received, of everything that ran, for each operation.
    pub lock_messages_per_op: f64,
    /// Pages that held what they must not hold, while it ran.
    pub data_errors: Errors,
    /// Operations that failed, were short, or broke their policy's bound.
    pub io_errors: Errors,
    /// The distribution of latencies: microseconds, and how many operations took no longer.
    pub latency_us: Vec<(u64, u64)>,
}

impl Summary {
    /// Of a tally, with so many operations of which nothing else is known, in a run of this length.
    #[must_use]
    pub fn of(tally: &Tally, ops_untold: u64, elapsed_us: u64) -> Self {
        let latency = &tally.latency_us;
        let ops = tally.ops + ops_untold;
        Self {
            ops,
            ops_untold,
            ops_per_s: rounded(ratio(ops as f64 * 1e6, elapsed_us as f64), 1),
            p50_us: latency.percentile(50.0),
            p90_us: latency.percentile(90.0),
            p99_us: latency.percentile(99.0),
            p999_us: latency.percentile(99.9),
            max_us: latency.max(),
            retries: tally.retries,
            trylock_failed: tally.trylock_failed,
            lock_cycles: tally.lock_cycles,
            lock_cycles_max: tally.lock_cycles_max,
            bounced: tally.bounced,
            fallbacks: tally.fallbacks,
            interrupted: tally.interrupted,
            lock_messages_per_op: rounded(ratio(tally.lock_messages as f64, tally.ops as f64), 2),
            data_errors: tally.data_errors.clone(),
            io_errors: tally.io_errors.clone(),
            latency_us: latency.cumulative().collect(),
        }
    }
}

/// `of` in parts of `to`; 0 where there is nothing to be a part of.
pub(crate) fn ratio(of: f64, to: f64) -> f64 {
    if to > 0.0 { of / to } else { 0.0 }
}

/// As a document says it: what is behind so many digits is noise.
pub(crate) fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_counts_what_is_untold_among_the_operations_only() {
        let mut tally = Tally {
            ops: 4,
            lock_messages: 10,
            ..Tally::default()
        };
        for us in [10, 20, 30, 4000] {
            tally.latency_us.record(us);
        }
        let summary = Summary::of(&tally, 6, 2_000_000);
        assert_eq!((summary.ops, summary.ops_untold), (10, 6));
        assert!((summary.ops_per_s - 5.0).abs() < 1e-9);
        assert!((summary.lock_messages_per_op - 2.5).abs() < 1e-9);
        assert_eq!((summary.p50_us, summary.max_us), (20, 4000));
        assert_eq!(summary.latency_us.last(), Some(&(4000, 4)));
        assert_eq!(Summary::of(&Tally::default(), 0, 0), Summary::default());
    }
}

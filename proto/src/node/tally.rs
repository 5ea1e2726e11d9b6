//! What a run counted: on one task, on a node, over the cluster.

use serde::{Deserialize, Serialize};

use super::latencies::Latencies;

/// Errors that are described in full; the rest are only counted.
const DESCRIBED_MAX: usize = 5;

/// Errors of one kind: how many, and what the first few were.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errors {
    /// How many.
    pub count: u64,
    /// The first few, a line each.
    pub first: Vec<String>,
}

impl Errors {
    /// Notes one more.
    pub fn note(&mut self, describe: impl FnOnce() -> String) {
        self.count += 1;
        if self.first.len() < DESCRIBED_MAX {
            self.first.push(describe());
        }
    }

    /// Adds another log's errors.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        let room = DESCRIBED_MAX - self.first.len().min(DESCRIBED_MAX);
        self.first.extend(other.first.iter().take(room).cloned());
    }
}

/// Counts of one run. An operation is one direct (or, in the same-file group, buffered) I/O whose
/// buffer lies in mappings; the stores, the checks and the preparing I/O around it are done but neither
/// counted nor timed. Their errors are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Operations that ended well.
    pub ops: u64,
    /// Their latencies, in microseconds.
    pub latency_us: Latencies,
    /// Times an I/O was begun again from where it was.
    pub retries: u64,
    /// Trylocks that failed.
    pub trylock_failed: u64,
    /// Times that locks were dropped and taken again in order.
    pub lock_cycles: u64,
    /// The most of them in one operation.
    pub lock_cycles_max: u32,
    /// Operations that went through bounce memory.
    pub bounced: u64,
    /// Operations that reached a bound of their policy and ended another way.
    pub fallbacks: u64,
    /// Operations that were interrupted.
    pub interrupted: u64,
    /// Pages that held what they must not hold.
    pub data_errors: Errors,
    /// I/O that failed or was short, and operations that broke their policy's bound.
    pub io_errors: Errors,
    /// Lock operations sent and callbacks received while it ran (of a whole node).
    pub lock_messages: u64,
    /// How long it ran, in microseconds.
    pub elapsed_us: u64,
}

impl Tally {
    /// Adds what another task or node counted beside this one.
    pub fn merge(&mut self, other: &Self) {
        self.ops += other.ops;
        self.latency_us.merge(&other.latency_us);
        self.retries += other.retries;
        self.trylock_failed += other.trylock_failed;
        self.lock_cycles += other.lock_cycles;
        self.lock_cycles_max = self.lock_cycles_max.max(other.lock_cycles_max);
        self.bounced += other.bounced;
        self.fallbacks += other.fallbacks;
        self.interrupted += other.interrupted;
        self.data_errors.merge(&other.data_errors);
        self.io_errors.merge(&other.io_errors);
        self.lock_messages += other.lock_messages;
        self.elapsed_us = self.elapsed_us.max(other.elapsed_us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_counts_all_and_describes_a_few() {
        let mut log = Errors::default();
        for i in 0..7 {
            log.note(|| format!("error {i}"));
        }
        let mut sum = Errors {
            count: 1,
            first: vec!["before".into()],
        };
        sum.merge(&log);
        assert_eq!(sum.count, 8);
        assert_eq!(
            sum.first,
            ["before", "error 0", "error 1", "error 2", "error 3"]
        );
    }

    #[test]
    fn sums_add_and_maxima_do_not() {
        let one = Tally {
            ops: 3,
            lock_cycles: 4,
            lock_cycles_max: 2,
            elapsed_us: 9,
            ..Tally::default()
        };
        let mut sum = Tally {
            ops: 1,
            lock_cycles: 1,
            lock_cycles_max: 3,
            ..Tally::default()
        };
        sum.merge(&one);
        assert_eq!(
            (
                sum.ops,
                sum.lock_cycles,
                sum.lock_cycles_max,
                sum.elapsed_us
            ),
            (4, 5, 3, 9)
        );
    }
}

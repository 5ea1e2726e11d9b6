//! What the demo says at the end: one record for each policy and group, as JSON and for the table.

use fs_node::Policy;
use serde::Serialize;

use super::deadlock::EdgeReport;
use super::phase::PhaseResult;
use crate::workload::Group;
use dlm_client::nodes::Errors;

/// The whole document.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Document {
    /// The seed of all choices; with the same flags it gives the same choices again.
    pub(crate) seed: u64,
    /// How many nodes.
    pub(crate) nodes: usize,
    /// The cross group, a record for each policy.
    pub(crate) policies: Vec<Record>,
    /// The same-file group.
    pub(crate) same_file: Vec<Record>,
}

/// One policy on one group.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Record {
    /// The policy's name.
    pub(crate) policy: &'static str,
    /// Whether it ended in a deadlock.
    pub(crate) deadlocked: bool,
    /// The deadlock: each edge's holder is the next one's waiter.
    pub(crate) cycle: Vec<EdgeReport>,
    /// Operations.
    pub(crate) ops: u64,
    /// Operations of all nodes in a second.
    pub(crate) ops_per_s: f64,
    /// Half of the operations took no longer, in microseconds.
    pub(crate) p50_us: u64,
    /// 99 of 100 took no longer.
    pub(crate) p99_us: u64,
    /// None took longer.
    pub(crate) max_us: u64,
    /// Times an operation began again from where it was.
    pub(crate) retries: u64,
    /// Trylocks that failed.
    pub(crate) trylock_failed: u64,
    /// Times locks were dropped and taken again.
    pub(crate) lock_cycles_total: u64,
    /// The most in one operation.
    pub(crate) lock_cycles_max: u32,
    /// Operations through bounce memory.
    pub(crate) bounced: u64,
    /// Operations that reached their policy's bound.
    pub(crate) fallbacks: u64,
    /// Lock operations sent and callbacks received, of everything that ran, for each operation.
    pub(crate) lock_messages_per_op: f64,
    /// The smallest and the largest part of all operations that one node did.
    pub(crate) node_share_min_max: [f64; 2],
    /// Pages that held what they must not hold, while it ran or on the volume afterwards.
    pub(crate) data_errors: u64,
    /// Operations that failed, were short, or broke their policy's bound.
    pub(crate) io_errors: u64,
    /// What the first few of both were.
    pub(crate) errors: Vec<String>,
}

impl Record {
    /// The record of a run.
    pub(crate) fn new(policy: Policy, result: &PhaseResult) -> Self {
        let tally = &result.tally;
        let seconds = tally.elapsed_us as f64 / 1e6;
        let mut record = Self {
            policy: policy.name(),
            deadlocked: result.deadlock.is_some(),
            cycle: result
                .deadlock
                .as_ref()
                .map_or_else(Vec::new, |found| found.edges.clone()),
            ops: tally.ops,
            ops_per_s: rounded(ratio(tally.ops as f64, seconds), 1),
            p50_us: tally.latency_us.percentile(50.0),
            p99_us: tally.latency_us.percentile(99.0),
            max_us: tally.latency_us.max(),
            retries: tally.retries,
            trylock_failed: tally.trylock_failed,
            lock_cycles_total: tally.lock_cycles,
            lock_cycles_max: tally.lock_cycles_max,
            bounced: tally.bounced,
            fallbacks: tally.fallbacks,
            lock_messages_per_op: rounded(ratio(tally.lock_messages as f64, tally.ops as f64), 2),
            node_share_min_max: shares(&result.node_ops),
            data_errors: 0,
            io_errors: tally.io_errors.count,
            errors: tally.io_errors.first.clone(),
        };
        record.add_data_errors(&tally.data_errors);
        record
    }

    /// Data errors that were found when the run was over.
    pub(crate) fn add_data_errors(&mut self, errors: &Errors) {
        self.data_errors += errors.count;
        self.errors.extend(errors.first.iter().cloned());
    }

    /// Whether it did what it must not.
    fn failed(&self) -> bool {
        let harmless = self.policy == Policy::Block.name();
        self.data_errors > 0 || self.io_errors > 0 || (self.deadlocked && !harmless)
    }
}

impl Document {
    /// Where a record of this group goes.
    pub(crate) fn add(&mut self, group: Group, record: Record) {
        match group {
            Group::Cross => self.policies.push(record),
            _ => self.same_file.push(record),
        }
    }

    /// Whether any run did what it must not: data or I/O errors, or a deadlock where the policy
    /// promises none.
    pub(crate) fn failed(&self) -> bool {
        self.policies
            .iter()
            .chain(&self.same_file)
            .any(Record::failed)
    }

    /// What the numbers say, in sentences.
    pub(crate) fn sentences(&self) -> Vec<String> {
        let mut said: Vec<String> = self.policies.iter().map(sentence).collect();
        let records = || self.policies.iter().chain(&self.same_file);
        let data: u64 = records().map(|record| record.data_errors).sum();
        let io: u64 = records().map(|record| record.io_errors).sum();
        if data + io == 0 {
            said.push(
                "Every word that was read was right, and so is every word on the volume.".into(),
            );
        } else {
            said.push(format!(
                "{data} data errors and {io} I/O errors: this is a bug; see above."
            ));
        }
        said
    }
}

fn sentence(record: &Record) -> String {
    let policy = record.policy;
    let operations = counted(record.ops, "operation");
    if record.deadlocked {
        let waits = counted(record.cycle.len() as u64, "wait");
        return format!("{policy}: deadlocked after {operations}, in a cycle of {waits}.");
    }
    let fallbacks = counted(record.fallbacks, "fallback");
    match policy.parse() {
        Ok(Policy::Block) => {
            format!("{policy}: did not deadlock this time; give it more --seconds.")
        }
        Ok(Policy::Ordered) => format!(
            "{policy}: all {operations} ended; {} failed, which cost {}, at most {} in one operation, \
             and {fallbacks}.",
            counted(record.trylock_failed, "trylock"),
            counted(record.lock_cycles_total, "lock cycle"),
            record.lock_cycles_max,
        ),
        _ => format!(
            "{policy}: all {operations} ended, with {fallbacks}, {} and at worst {:.0} ms for one.",
            counted(record.retries, "new start"),
            record.max_us as f64 / 1e3,
        ),
    }
}

fn counted(count: u64, noun: &str) -> String {
    if count == 1 {
        format!("1 {noun}")
    } else {
        format!("{count} {noun}s")
    }
}

fn ratio(of: f64, to: f64) -> f64 {
    if to > 0.0 { of / to } else { 0.0 }
}

fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    (value * scale).round() / scale
}

fn shares(node_ops: &[u64]) -> [f64; 2] {
    let total: u64 = node_ops.iter().sum();
    let share = |ops: Option<&u64>| {
        rounded(
            ratio(ops.copied().unwrap_or_default() as f64, total as f64),
            3,
        )
    };
    [share(node_ops.iter().min()), share(node_ops.iter().max())]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(policy: Policy) -> Record {
        Record {
            policy: policy.name(),
            ops: 10,
            ..Record::default()
        }
    }

    #[test]
    fn the_document_has_the_agreed_keys_in_the_agreed_order() {
        let document = Document {
            seed: 7,
            nodes: 3,
            policies: vec![record(Policy::Ordered)],
            same_file: vec![],
        };
        let text = serde_json::to_string(&document).unwrap();
        let keys = "policy deadlocked cycle ops ops_per_s p50_us p99_us max_us retries trylock_failed \
                    lock_cycles_total lock_cycles_max bounced fallbacks lock_messages_per_op \
                    node_share_min_max data_errors";
        assert!(
            text.starts_with(r#"{"seed":7,"nodes":3,"policies":[{"policy":"ordered","#),
            "{text}"
        );
        let mut rest = text.as_str();
        for key in keys.split_whitespace() {
            let at = rest.find(&format!("\"{key}\":"));
            rest = &rest[at.unwrap_or_else(|| panic!("{key} is missing or too early in {text}"))..];
        }
    }

    #[test]
    fn only_block_may_deadlock_and_nobody_may_lose_data() {
        let fails = |record: Record| {
            Document {
                policies: vec![record],
                ..Document::default()
            }
            .failed()
        };
        assert!(!fails(record(Policy::Ordered)));
        assert!(!fails(Record {
            deadlocked: true,
            ..record(Policy::Block)
        }));
        for policy in [Policy::Nofault, Policy::TryCycle, Policy::Ordered] {
            assert!(fails(Record {
                deadlocked: true,
                ..record(policy)
            }));
        }
        assert!(fails(Record {
            data_errors: 1,
            ..record(Policy::Block)
        }));
        assert!(fails(Record {
            io_errors: 1,
            ..record(Policy::Nofault)
        }));
    }

    #[test]
    fn shares_are_parts_of_the_whole() {
        assert_eq!(shares(&[1, 2, 5]), [0.125, 0.625]);
        assert_eq!(shares(&[0, 0]), [0.0, 0.0]);
    }
}

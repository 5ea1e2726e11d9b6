//! A workload's orders, and what comes of them.

use super::node::policy;
use crate::node::{Errors, Group, Ledger, Report, Tally, Workload, WorkloadResult};
use crate::wire::{self, workload_report};

/// What a node is to do.
#[must_use]
pub fn workload(workload: &Workload) -> wire::Workload {
    let group = match workload.group {
        Group::Cross => wire::WorkloadGroup::Cross,
        Group::SameFile => wire::WorkloadGroup::SameFile,
        Group::Counters => wire::WorkloadGroup::Counters,
        Group::Mixed => wire::WorkloadGroup::Mixed,
    };
    wire::Workload {
        run: workload.run,
        group: group.into(),
        policy: policy(workload.policy).into(),
        nodes: workload.nodes as u32,
        index: workload.index as u32,
        tasks: workload.tasks as u32,
        files: workload.files as u32,
        io_pages: workload.io_pages as u32,
        part_ios: workload.part_ios as u32,
        seed: workload.seed,
        reads_percent: workload.reads_percent.into(),
        length_us: workload.length_us,
    }
}

/// What a node says while it runs one, or when it has ended.
#[must_use]
pub fn workload_report(report: Report) -> wire::WorkloadReport {
    let report = match report {
        Report::Progress(progress) => workload_report::Report::Progress(wire::WorkloadProgress {
            first: progress.first,
            ops: progress.ops,
            elapsed_us: progress.elapsed_us,
        }),
        Report::Ended(result) => workload_report::Report::Result(workload_result(*result)),
    };
    wire::WorkloadReport {
        report: Some(report),
    }
}

fn workload_result(result: WorkloadResult) -> wire::WorkloadResult {
    wire::WorkloadResult {
        tally: Some(tally(result.tally)),
        ledgers: ledgers(result.ledgers),
        stall_us: result.stall_us,
        stall_at_us: result.stall_at_us,
        witness: Some(wire::WorkloadWitness {
            grants: result.witness.grants,
            violations: Some(workload_errors(result.witness.violations)),
            stall_us: result.witness.stall_us,
        }),
    }
}

/// Errors and the first few of them.
#[must_use]
pub fn workload_errors(errors: Errors) -> wire::WorkloadErrors {
    wire::WorkloadErrors {
        count: errors.count,
        first: errors.first,
    }
}

/// What tasks know of what they wrote.
#[must_use]
pub fn ledgers(ledgers: Vec<Ledger>) -> Vec<wire::WorkloadLedger> {
    let one = |ledger: Ledger| wire::WorkloadLedger {
        node: ledger.node.into(),
        task: ledger.task.into(),
        files: ledger
            .files
            .into_iter()
            .map(|pages| wire::LedgerFile {
                certain: pages.iter().map(|page| page.certain).collect(),
                attempted: pages.iter().map(|page| page.attempted).collect(),
            })
            .collect(),
    };
    ledgers.into_iter().map(one).collect()
}

fn tally(tally: Tally) -> wire::WorkloadTally {
    let (bucket, count) = tally.latency_us.buckets().unzip();
    wire::WorkloadTally {
        ops: tally.ops,
        latency_us: Some(wire::Latencies {
            bucket,
            count,
            max: tally.latency_us.max(),
        }),
        retries: tally.retries,
        trylock_failed: tally.trylock_failed,
        lock_cycles: tally.lock_cycles,
        lock_cycles_max: tally.lock_cycles_max,
        bounced: tally.bounced,
        fallbacks: tally.fallbacks,
        interrupted: tally.interrupted,
        data_errors: Some(workload_errors(tally.data_errors)),
        io_errors: Some(workload_errors(tally.io_errors)),
        lock_messages: tally.lock_messages,
        elapsed_us: tally.elapsed_us,
    }
}

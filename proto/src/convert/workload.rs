//! A workload's orders, and what comes of them.

use super::node::policy;
use crate::error::WireError;
use crate::node::{
    Errors, Group, LEDGER_PAGES_MAX, Latencies, Ledger, Legal, PART_PAGES_MAX, Progress, Report,
    Tally, WORKLOAD_FILES_MAX, WORKLOAD_NODES_MAX, WORKLOAD_PAGES_MAX, WORKLOAD_TASKS_MAX,
    Witnessed, Workload, WorkloadResult,
};
use crate::wire::{self, workload_report};

/// What a node is to do.
///
/// # Errors
/// [`WireError::Enumeration`], [`WireError::WorkloadShape`].
pub fn workload(wire: &wire::Workload) -> Result<Workload, WireError> {
    use wire::WorkloadGroup as Wire;
    let group = match Wire::try_from(wire.group) {
        Ok(Wire::Cross) => Group::Cross,
        Ok(Wire::SameFile) => Group::SameFile,
        Ok(Wire::Counters) => Group::Counters,
        Ok(Wire::Mixed) => Group::Mixed,
        Ok(Wire::Unspecified) | Err(_) => {
            return Err(WireError::Enumeration {
                what: "workload",
                value: wire.group,
            });
        }
    };
    let nodes = within("nodes", wire.nodes, 1, WORKLOAD_NODES_MAX)?;
    let io_pages = within("pages in one I/O", wire.io_pages, 1, WORKLOAD_PAGES_MAX)?;
    // What is not set is what it was before it could be.
    let part_ios = if wire.part_ios == 0 { 2 } else { wire.part_ios };
    let part_ios_max = (PART_PAGES_MAX / io_pages).max(2);
    let workload = Workload {
        run: wire.run,
        group,
        policy: policy(wire.policy)?,
        nodes,
        index: within("index", wire.index, 0, nodes - 1)?,
        tasks: within("tasks", wire.tasks, 1, WORKLOAD_TASKS_MAX)?,
        files: within("files", wire.files, 2, WORKLOAD_FILES_MAX)?,
        io_pages,
        part_ios: within("I/Os in a task's part of a file", part_ios, 2, part_ios_max)?,
        seed: wire.seed,
        reads_percent: within("per cent of reads", wire.reads_percent, 0, 100)? as u8,
        length_us: wire.length_us,
    };
    let pages = workload.part_ios * workload.tasks * workload.files * workload.io_pages;
    if pages > LEDGER_PAGES_MAX {
        return Err(WireError::WorkloadShape {
            what: "pages of a node's tasks",
            value: pages as u64,
            min: 4,
            max: LEDGER_PAGES_MAX as u64,
        });
    }
    Ok(workload)
}

fn within(what: &'static str, value: u32, min: usize, max: usize) -> Result<usize, WireError> {
    match value as usize {
        value if (min..=max).contains(&value) => Ok(value),
        _ => Err(WireError::WorkloadShape {
            what,
            value: value.into(),
            min: min as u64,
            max: max as u64,
        }),
    }
}

/// What a node says while it runs one, or when it has ended.
///
/// # Errors
/// [`WireError::Missing`], [`WireError::Latencies`], [`WireError::Ledger`].
pub fn workload_report(wire: wire::WorkloadReport) -> Result<Report, WireError> {
    let what = "a report";
    match wire.report.ok_or(WireError::Missing { what })? {
        workload_report::Report::Progress(progress) => Ok(Report::Progress(Progress {
            first: progress.first,
            ops: progress.ops,
            elapsed_us: progress.elapsed_us,
        })),
        workload_report::Report::Result(result) => {
            let what = "a tally";
            let witness = result.witness.unwrap_or_default();
            Ok(Report::Ended(Box::new(WorkloadResult {
                tally: tally(result.tally.ok_or(WireError::Missing { what })?)?,
                ledgers: ledgers(result.ledgers)?,
                stall_us: result.stall_us,
                stall_at_us: result.stall_at_us,
                witness: Witnessed {
                    grants: witness.grants,
                    violations: workload_errors(witness.violations),
                    stall_us: witness.stall_us,
                },
            })))
        }
    }
}

/// Errors and the first few of them; none where nothing is said.
#[must_use]
pub fn workload_errors(wire: Option<wire::WorkloadErrors>) -> Errors {
    let wire = wire.unwrap_or_default();
    Errors {
        count: wire.count,
        first: wire.first,
    }
}

/// What tasks know of what they wrote.
///
/// # Errors
/// [`WireError::Ledger`]: a task that cannot be, or pages whose numbers make no sense, or too many of them.
pub fn ledgers(wire: Vec<wire::WorkloadLedger>) -> Result<Vec<Ledger>, WireError> {
    let mut pages = 0;
    let mut one = |wire: wire::WorkloadLedger| {
        let (node, task) = (wire.node, wire.task);
        let nonsense = || WireError::Ledger { node, task };
        if node as usize >= WORKLOAD_NODES_MAX || task as usize >= WORKLOAD_TASKS_MAX {
            return Err(nonsense());
        }
        let mut files = Vec::with_capacity(wire.files.len());
        for file in wire.files {
            pages += file.certain.len();
            let pairs = file.certain.iter().zip(&file.attempted);
            let sane = file.certain.len() == file.attempted.len()
                && pages <= LEDGER_PAGES_MAX * WORKLOAD_NODES_MAX
                && pairs
                    .clone()
                    .all(|(certain, attempted)| certain <= attempted);
            if !sane {
                return Err(nonsense());
            }
            let legal = pairs.map(|(&certain, &attempted)| Legal { certain, attempted });
            files.push(legal.collect());
        }
        Ok(Ledger {
            node: node as u8,
            task: task as u8,
            files,
        })
    };
    wire.into_iter().map(&mut one).collect()
}

fn tally(wire: wire::WorkloadTally) -> Result<Tally, WireError> {
    let latencies = wire.latency_us.unwrap_or_default();
    let buckets = latencies.bucket.into_iter().zip(latencies.count);
    Ok(Tally {
        ops: wire.ops,
        latency_us: Latencies::of_buckets(buckets, latencies.max)?,
        retries: wire.retries,
        trylock_failed: wire.trylock_failed,
        lock_cycles: wire.lock_cycles,
        lock_cycles_max: wire.lock_cycles_max,
        bounced: wire.bounced,
        fallbacks: wire.fallbacks,
        interrupted: wire.interrupted,
        data_errors: workload_errors(wire.data_errors),
        io_errors: workload_errors(wire.io_errors),
        lock_messages: wire.lock_messages,
        elapsed_us: wire.elapsed_us,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::Policy;
    use crate::render;

    const WORKLOAD: Workload = Workload {
        run: 3,
        group: Group::Mixed,
        policy: Policy::Nofault,
        nodes: 4,
        index: 3,
        tasks: 2,
        files: 12,
        io_pages: 8,
        part_ios: 3,
        seed: 1 << 40,
        reads_percent: 100,
        length_us: 5,
    };

    #[test]
    fn a_workload_arrives_as_it_was_meant() {
        for group in Group::ALL {
            for policy in Policy::ALL {
                let one = Workload {
                    group,
                    policy,
                    ..WORKLOAD
                };
                assert_eq!(workload(&render::workload(&one)), Ok(one));
            }
        }
    }

    #[test]
    fn a_workload_that_cannot_be_is_refused_by_name() {
        let refused = |change: fn(&mut wire::Workload)| {
            let mut wire = render::workload(&WORKLOAD);
            change(&mut wire);
            workload(&wire).unwrap_err().to_string()
        };
        for (change, says) in [
            ((|wire| wire.nodes = 0) as fn(&mut wire::Workload), "nodes"),
            (|wire| wire.index = 4, "index"),
            (|wire| wire.tasks = 33, "tasks"),
            (|wire| wire.files = 1, "files"),
            (|wire| wire.io_pages = 0, "pages in one I/O"),
            (|wire| wire.part_ios = 1, "part of a file"),
            (|wire| wire.part_ios = 2049, "part of a file"),
            (|wire| wire.reads_percent = 101, "reads"),
            (|wire| wire.group = 9, "workload"),
            (|wire| wire.policy = 0, "policy"),
            (
                |wire| (wire.tasks, wire.files, wire.io_pages) = (32, 256, 1024),
                "pages of a node",
            ),
        ] {
            let said = refused(change);
            assert!(said.contains(says), "{said}");
        }
    }

    #[test]
    fn a_result_arrives_whole_and_nonsense_does_not() {
        let legal = Legal {
            certain: 3,
            attempted: 4,
        };
        let mut tally = Tally {
            ops: 3,
            lock_cycles_max: 2,
            elapsed_us: 9,
            ..Tally::default()
        };
        tally.latency_us.record(1 << 33);
        tally.data_errors.note(|| "wrong".into());
        let result = WorkloadResult {
            tally,
            ledgers: vec![Ledger {
                node: 3,
                task: 1,
                files: vec![vec![legal], vec![Legal::default()]],
            }],
            stall_us: 6,
            stall_at_us: 7,
            witness: Witnessed {
                grants: 8,
                stall_us: 9,
                ..Witnessed::default()
            },
        };
        for report in [
            Report::Ended(Box::new(result.clone())),
            Report::Progress(Progress {
                first: 4,
                ops: vec![1, 0],
                elapsed_us: 5,
            }),
        ] {
            let wire = render::workload_report(report.clone());
            assert_eq!(workload_report(wire), Ok(report));
        }
        assert!(workload_report(wire::WorkloadReport::default()).is_err());
        let mut wire = render::ledgers(result.ledgers.clone());
        wire[0].files[0].certain[0] = 5;
        assert!(ledgers(wire).is_err(), "more is certain than was tried");
        let mut wire = render::ledgers(result.ledgers);
        wire[0].files[0].attempted.clear();
        assert!(ledgers(wire).unwrap_err().to_string().contains("node 3"));
    }
}

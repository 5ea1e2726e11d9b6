//! One node that somebody starts by hand, beside a lock server and other nodes.

use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use fs_node::{Node, NodeConfig};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::WorkloadArgs;
use crate::workload::tally::Tally;
use crate::workload::{Group, standalone};
use crate::{EXIT_INTERRUPTED, config};

/// Joins the cluster, and leaves it on SIGINT or SIGTERM.
///
/// # Errors
/// The node's, one line.
pub(crate) fn until_signal(config: NodeConfig) -> anyhow::Result<ExitCode> {
    let (name, endpoint) = (config.name.clone(), config.endpoint.clone());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        // A node's calls block their thread.
        let node = tokio::task::spawn_blocking(|| Node::start(config)).await??;
        say(&format!(
            "{name} has joined the cluster at {endpoint}; Ctrl-C ends it"
        ));
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        tokio::task::spawn_blocking(move || node.stop()).await??;
        Ok(ExitCode::SUCCESS)
    })
}

/// Runs a workload on this node, and prints what it counted.
///
/// # Errors
/// The node's or the workload's, one line.
pub(crate) fn workload(
    config: NodeConfig,
    load: &WorkloadArgs,
    group: Group,
) -> anyhow::Result<ExitCode> {
    end_on_signal()?;
    let policy = config.policy;
    let node = Node::start(config)?;
    let plan = config::plan(load, group, policy, (node.inodes(), node.inode_bytes()))?;
    // Two nodes that write the same regions would take each other's data for errors.
    let index = load.index;
    let claim = node
        .claim(&format!("number {index} of this workload"))
        .map_err(|error| anyhow::anyhow!("{error}; give each node an --index of its own"))?;
    let length = Duration::from_secs(load.seconds);
    let result = standalone::run(&node, plan, length, |ops| say(&format!("{ops} operations")))?;
    drop(claim);
    node.stop()?;
    let tally = result.tally;
    let errors = tally.data_errors.first.iter().chain(&tally.io_errors.first);
    errors.for_each(|error| say(error));
    writeln!(io::stdout(), "{}", summary(&tally))?;
    let clean = tally.data_errors.count == 0 && tally.io_errors.count == 0;
    Ok(if clean {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn summary(tally: &Tally) -> String {
    let seconds = tally.elapsed_us.max(1) as f64 / 1e6;
    format!(
        "{} operations, {:.0} a second; p50 {} us, p99 {} us, max {} us; {} retries, {} trylocks \
         failed, {} lock cycles (at most {} in one), {} bounced, {} fallbacks; {} data errors, {} I/O \
         errors",
        tally.ops,
        tally.ops as f64 / seconds,
        tally.latency_us.percentile(50.0),
        tally.latency_us.percentile(99.0),
        tally.latency_us.max(),
        tally.retries,
        tally.trylock_failed,
        tally.lock_cycles,
        tally.lock_cycles_max,
        tally.bounced,
        tally.fallbacks,
        tally.data_errors.count,
        tally.io_errors.count,
    )
}

/// A workload that may be deadlocked can only be ended the hard way; its locks go with its session.
fn end_on_signal() -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let mut interrupt = runtime.block_on(async { signal(SignalKind::interrupt()) })?;
    let mut terminate = runtime.block_on(async { signal(SignalKind::terminate()) })?;
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(move || {
            runtime.block_on(async {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => {}
                }
            });
            std::process::exit(EXIT_INTERRUPTED.into());
        })?;
    Ok(())
}

fn say(line: &str) {
    // Nobody who can be told is there where standard error is gone.
    let _ = writeln!(io::stderr(), "{line}");
}

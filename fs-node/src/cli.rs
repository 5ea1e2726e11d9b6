//! The command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use fs_node::Policy;

use crate::config::{bytes, io_bytes};
use crate::workload::Group;
use crate::workload::layout::{FILES_MAX, NODES_MAX, TASKS_MAX};

/// A cluster-filesystem node.
#[derive(Debug, Parser)]
#[command(name = "fs-node", version, about)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a cluster on this machine: one that deadlocks, and the same one that does not
    Demo(DemoArgs),
    /// Make a volume
    Mkfs(MkfsArgs),
    /// Run one node beside a running dlm-server, with or without a workload
    Run(RunArgs),
    /// The lock server that the demo starts
    #[command(hide = true)]
    LockServer(LockServerArgs),
}

/// Flags of `demo`.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Nodes, each a process
    #[arg(long, default_value_t = 3, value_name = "N", value_parser = count::<2, NODES_MAX>)]
    pub(crate) nodes: usize,
    /// Length of each policy's main run
    #[arg(long, default_value_t = 3, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) seconds: u64,
    /// Policies to run: block, nofault, try-cycle, ordered; all where none is named
    #[arg(long, value_name = "POLICY", value_delimiter = ',')]
    pub(crate) policy: Vec<Policy>,
    /// Seed of all random choices
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Files on the volume [default: twice the nodes, at least 6]
    #[arg(long, value_name = "N", value_parser = count::<2, FILES_MAX>)]
    pub(crate) files: Option<usize>,
    /// Bytes in one I/O: whole pages, such as 32k
    #[arg(long, default_value = "32k", value_name = "BYTES", value_parser = io_bytes)]
    pub(crate) io_size: usize,
    /// Tasks on each node
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = count::<1, TASKS_MAX>)]
    pub(crate) tasks: usize,
    /// File or block device that holds the volume; the content of a flat volume's files is overwritten,
    /// anything else that is not empty is refused [default: a file in a temporary directory]
    #[arg(long, value_name = "PATH")]
    pub(crate) volume: Option<PathBuf>,
    /// Where to draw the lock graph of the deadlock
    #[arg(long, default_value = "glockwork-deadlock.svg", value_name = "FILE")]
    pub(crate) svg: PathBuf,
    /// Print one JSON document instead of the table
    #[arg(long)]
    pub(crate) json: bool,
    /// Minimum hold time of glocks, fixed [default: 2 ms, which adapts]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(0..=10_000))]
    pub(crate) hold_ms: Option<u64>,
}

/// Flags of `mkfs`.
#[derive(Debug, Args)]
pub(crate) struct MkfsArgs {
    /// File or block device
    pub(crate) volume: PathBuf,
    /// How many files it will have
    #[arg(long, value_name = "N")]
    pub(crate) files: u64,
    /// Bytes in each file: whole pages, such as 1m
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub(crate) file_size: u64,
    /// Overwrite whatever is there
    #[arg(long)]
    pub(crate) force: bool,
    /// Leave a volume that is there as it is, where it has at least so many files of at least this size
    #[arg(long, conflicts_with = "force")]
    pub(crate) if_missing: bool,
}

/// Flags of `run`.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    /// File or block device that all nodes share
    #[arg(long, value_name = "PATH")]
    pub(crate) volume: PathBuf,
    /// What the cluster calls this node
    #[arg(long, default_value = "node")]
    pub(crate) name: String,
    /// Where the lock servers are, with commas between them; those that are named need not be all
    #[arg(long = "endpoints", alias = "endpoint", env = "GLOCKWORK_ENDPOINTS", default_value = dlm_client::DEFAULT_ENDPOINT, value_name = "HOST:PORT,...")]
    pub(crate) endpoint: String,
    /// The volume's lockspace [default: glockwork]
    #[arg(long)]
    pub(crate) lockspace: Option<String>,
    /// The rules that direct I/O follows: block, nofault, try-cycle, ordered
    #[arg(long, default_value_t = Policy::Ordered)]
    pub(crate) policy: Policy,
    /// Minimum hold time of glocks, fixed [default: 2 ms, which adapts]
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(0..=10_000))]
    pub(crate) hold_ms: Option<u64>,
    /// Export spans to this collector, by OTLP over gRPC, such as http://127.0.0.1:4317: of each page fault, its
    /// glock, and the lock server's grant, where that exports too
    #[arg(long, env = "GLOCKWORK_OTLP_ENDPOINT", value_name = "URL")]
    pub(crate) otlp_endpoint: Option<String>,
    /// Take orders from standard input
    #[arg(long, hide = true, conflicts_with = "workload")]
    pub(crate) orders: bool,
    /// What to run.
    #[command(flatten)]
    pub(crate) load: WorkloadArgs,
}

/// Flags of a workload on one node.
#[derive(Debug, Args)]
#[command(next_help_heading = "Workload")]
pub(crate) struct WorkloadArgs {
    /// Run this workload: cross or same-file
    #[arg(long, value_name = "NAME")]
    pub(crate) workload: Option<Group>,
    /// Length of the run
    #[arg(long, default_value_t = 10, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub(crate) seconds: u64,
    /// Nodes that run it, this one included; the same on all of them
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = count::<1, NODES_MAX>)]
    pub(crate) nodes: usize,
    /// Which of them this is, from 0
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) index: usize,
    /// Tasks on each node; the same on all of them
    #[arg(long, default_value_t = 2, value_name = "N", value_parser = count::<1, TASKS_MAX>)]
    pub(crate) tasks: usize,
    /// Bytes in one I/O: whole pages, such as 32k; the same on all nodes
    #[arg(long, default_value = "32k", value_name = "BYTES", value_parser = io_bytes)]
    pub(crate) io_size: usize,
    /// Seed of all random choices
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
}

/// Flags of `lock-server`.
#[derive(Debug, Args)]
pub(crate) struct LockServerArgs {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: SocketAddr,
}

/// A number from `MIN` to `MAX`.
fn count<const MIN: usize, const MAX: usize>(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if (MIN..=MAX).contains(&number) => Ok(number),
        _ => Err(format!("it is a number in {MIN}..={MAX}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use clap::error::ErrorKind;

    #[test]
    fn the_declaration_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_is_missing_or_unknown_is_a_usage_error() {
        for (line, kind) in [
            (
                &["fs-node", "mkfs", "v"][..],
                ErrorKind::MissingRequiredArgument,
            ),
            (&["fs-node", "run"], ErrorKind::MissingRequiredArgument),
            (&["fs-node", "demo", "--colour"], ErrorKind::UnknownArgument),
            (&["fs-node", "explode"], ErrorKind::InvalidSubcommand),
            (
                &["fs-node", "run", "--volume", "v", "--workload", "x"],
                ErrorKind::ValueValidation,
            ),
        ] {
            assert_eq!(
                Cli::try_parse_from(line).unwrap_err().kind(),
                kind,
                "{line:?}"
            );
        }
    }
}

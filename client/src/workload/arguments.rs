//! The command line.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use glockwork_runs::Settings;

use crate::nodes::{Group, Policy};

/// The lockspace of nodes that are given none.
const LOCKSPACE: &str = "glockwork";

/// Flags of a workload.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct WorkloadArguments {
    #[command(subcommand)]
    pub(super) action: Option<Action>,

    /// The rules of direct I/O: block, nofault, try-cycle, ordered [default: ordered]
    #[arg(long, value_name = "POLICY", conflicts_with = "compare")]
    policy: Option<Policy>,

    /// Run all policies, or those that are named, one after the other, and put them side by side
    #[arg(long, value_name = "POLICY,...", value_delimiter = ',', num_args = 0..=4, require_equals = true)]
    compare: Option<Vec<Policy>>,

    /// The operations: cross (direct I/O with buffers mapped from the neighbour's file), same-file, counters (loads and
    /// stores in shared pages), mixed (buffered, direct, loads and stores) [default: cross]
    #[arg(long, value_name = "GROUP")]
    group: Option<Group>,

    /// How long [default: 10]
    #[arg(long, value_name = "S")]
    seconds: Option<u64>,

    /// Tasks on each node [default: 2]
    #[arg(long, value_name = "N")]
    tasks: Option<usize>,

    /// Files that they work on [default: twice the nodes, at least 6]
    #[arg(long, value_name = "N")]
    files: Option<usize>,

    /// Bytes of each file that they work on, such as 1m; each task has its part [default: two I/Os for each task]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    file_size: Option<u64>,

    /// Bytes in one I/O: whole pages, such as 32k [default: 32k]
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    io_size: Option<u64>,

    /// Of a hundred operations, how many read [default: 50]
    #[arg(long, value_name = "PERCENT")]
    reads: Option<u8>,

    /// All random choices come from it [default: 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// The nodes that take part, by their names [default: all]
    #[arg(long, value_name = "NAME,...", value_delimiter = ',')]
    pub(super) nodes: Vec<String>,

    /// The lockspace of their volume
    #[arg(long, value_name = "NAME", default_value = LOCKSPACE)]
    pub(super) lockspace: String,

    /// What is to happen meanwhile: a TOML file, such as those in deploy/scenarios. Flags count more than what it says
    /// of the workload
    #[arg(long, value_name = "FILE")]
    pub(super) scenario: Option<PathBuf>,

    /// What breaks members for real, such as deploy/cluster: it is run as COMMAND partition|heal|kill|restart|pause|
    /// resume MEMBER. Without it links are cut by the servers themselves, and processes are left alone
    #[arg(long, value_name = "COMMAND")]
    pub(super) control: Option<String>,

    /// Where to keep the run: its document, report, plots, and what it takes to run it again
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub(super) out: PathBuf,

    /// Do not keep it
    #[arg(long, conflicts_with = "out")]
    pub(super) no_save: bool,

    /// Print one JSON document instead of the report
    #[arg(long)]
    pub(super) json: bool,
}

/// What else can be done.
#[derive(Debug, Subcommand)]
pub(super) enum Action {
    /// Print the report of runs that were kept; of several, side by side
    Report {
        /// Their directories
        #[arg(required = true, value_name = "DIR")]
        runs: Vec<PathBuf>,
        /// Print the documents instead
        #[arg(long)]
        json: bool,
    },
}

impl WorkloadArguments {
    /// What the flags say of the workload, without the policy.
    pub(super) fn settings(&self) -> Settings {
        Settings {
            policy: None,
            group: self.group,
            seconds: self.seconds,
            tasks: self.tasks,
            files: self.files,
            file_bytes: self.file_size,
            io_bytes: self.io_size,
            reads_percent: self.reads,
            seed: self.seed,
        }
    }

    /// The policies to run, one after the other; `None`: whatever a scenario or the default says.
    pub(super) fn policies(&self) -> Vec<Option<Policy>> {
        match &self.compare {
            Some(named) => {
                let wanted = |policy: &Policy| named.is_empty() || named.contains(policy);
                Policy::ALL.into_iter().filter(wanted).map(Some).collect()
            }
            None => vec![self.policy],
        }
    }

    /// Whether they are put side by side.
    pub(super) const fn compares(&self) -> bool {
        self.compare.is_some()
    }
}

/// A number of bytes: digits, and `k`, `m` or `g` for powers of 1024.
///
/// # Errors
/// What a size is, where this is none.
pub fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        _ => {
            return Err("a size is a number with k, m or g for powers of 1024, such as 32k".into());
        }
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| "a size is a number, such as 32k".to_owned())?;
    number
        .checked_mul(1 << shift)
        .ok_or_else(|| "this size does not fit 64 bits".into())
}

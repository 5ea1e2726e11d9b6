//! A workload: what nodes are to do, what they say while they do it, and what comes of it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::tally::{Errors, Tally};

/// How long an interval of a [`Progress`] is, in microseconds.
pub const INTERVAL_US: u64 = 100_000;
/// The most nodes in a workload: a stamp has five bits for them, and half are for a rainy day.
pub const WORKLOAD_NODES_MAX: usize = 16;
/// The most tasks on a node: a thread each.
pub const WORKLOAD_TASKS_MAX: usize = 32;
/// The most files: each is mapped as a whole by every node.
pub const WORKLOAD_FILES_MAX: usize = 256;
/// The most pages in one I/O (4 MiB): far above any window or chunk that a node uses.
pub const WORKLOAD_PAGES_MAX: usize = 1024;
/// The most pages of a file that are one task's (64 MiB): it has memory for two of them.
pub const PART_PAGES_MAX: usize = 1 << 14;
/// The most pages that the tasks of a node write, in all files together: their ledgers have to fit a message.
pub const LEDGER_PAGES_MAX: usize = 1 << 20;

/// Which operations a workload is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Group {
    /// Direct I/O whose buffer lies in mappings of other files: two and more cluster locks at once.
    Cross,
    /// Direct and buffered I/O whose buffer lies in a mapping of the very same file, and private
    /// mappings.
    SameFile,
    /// Loads and stores of words in pages that all nodes share: counters in memory that is mapped.
    Counters,
    /// Buffered I/O, direct I/O, loads and stores in any order on the same files.
    Mixed,
}

impl Group {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Cross, Self::SameFile, Self::Counters, Self::Mixed];

    /// The name on the command line and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cross => "cross",
            Self::SameFile => "same-file",
            Self::Counters => "counters",
            Self::Mixed => "mixed",
        }
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Group {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|group| group.name() == text);
        found.ok_or("a workload is one of cross, same-file, counters, mixed")
    }
}

/// The rules that direct I/O follows, by their names: what they are stands in the node's fault protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Policy {
    /// Waits for whatever it needs, and deadlocks.
    Block,
    /// gfs2's since Linux 5.16.
    Nofault,
    /// The proposal of May 2023.
    TryCycle,
    /// Locks in the order of inode numbers.
    Ordered,
}

impl Policy {
    /// All of them, the worst first.
    pub const ALL: [Self; 4] = [Self::Block, Self::Nofault, Self::TryCycle, Self::Ordered];

    /// The name on the command line and in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Block => "block",
            Self::Nofault => "nofault",
            Self::TryCycle => "try-cycle",
            Self::Ordered => "ordered",
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Policy {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|policy| policy.name() == text);
        found.ok_or("a policy is one of block, nofault, try-cycle, ordered")
    }
}

/// What one node is to do in a workload. All but `index` is the same on all nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workload {
    /// The caller's number for it, another one for each workload.
    pub run: u64,
    /// The operations.
    pub group: Group,
    /// The rules of direct I/O.
    pub policy: Policy,
    /// How many nodes run it, 1 to [`WORKLOAD_NODES_MAX`].
    pub nodes: usize,
    /// Which of them this is, from 0.
    pub index: usize,
    /// Tasks on each, 1 to [`WORKLOAD_TASKS_MAX`].
    pub tasks: usize,
    /// How many files, 2 to [`WORKLOAD_FILES_MAX`]: the inodes from 1 on. The one after them is the witness's.
    pub files: usize,
    /// Pages of 4 KiB in one I/O, 1 to [`WORKLOAD_PAGES_MAX`].
    pub io_pages: usize,
    /// How many I/Os' worth of pages each task has in each file for itself, from 2 on; at most [`PART_PAGES_MAX`] pages.
    pub part_ios: usize,
    /// All choices come from it, the node and the task.
    pub seed: u64,
    /// Of a hundred operations, how many read.
    pub reads_percent: u8,
    /// How long it runs, in microseconds.
    pub length_us: u64,
}

/// What a node says while its tasks run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// The number of the first interval in `ops`, counted from the start; each is [`INTERVAL_US`] long.
    pub first: u64,
    /// Operations that ended in each interval.
    pub ops: Vec<u32>,
    /// How long it runs, in microseconds.
    pub elapsed_us: u64,
}

/// One message of a node that runs a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// It runs.
    Progress(Progress),
    /// It has ended.
    Ended(Box<WorkloadResult>),
}

/// What came of a workload on one node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkloadResult {
    /// The sum over its tasks.
    pub tally: Tally,
    /// What each task wrote.
    pub ledgers: Vec<Ledger>,
    /// The longest time in which no operation ended, in microseconds.
    pub stall_us: u64,
    /// When that began, in microseconds from the start.
    pub stall_at_us: u64,
    /// What the task found that takes turns with other nodes.
    pub witness: Witnessed,
}

/// What came of taking turns under a lock, each holder writing down its token where all of them look.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Witnessed {
    /// Turns.
    pub grants: u64,
    /// Turns in which somebody else had been there meanwhile, or had had a later token.
    pub violations: Errors,
    /// The longest time without a turn, in microseconds.
    pub stall_us: u64,
}

/// Legal sequence numbers of one page.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Legal {
    /// The last that is certain to be there.
    pub certain: u64,
    /// The last that was attempted.
    pub attempted: u64,
}

/// What one task knows of the pages that only it writes: by file, then by page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// The node's index.
    pub node: u8,
    /// The task's index on that node.
    pub task: u8,
    /// All pages of all files.
    pub files: Vec<Vec<Legal>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_are_written() {
        for group in Group::ALL {
            assert_eq!(group.name().parse(), Ok(group));
        }
        for policy in Policy::ALL {
            assert_eq!(policy.name().parse(), Ok(policy));
        }
        assert!("all".parse::<Group>().unwrap_err().contains("mixed"));
        assert!("all".parse::<Policy>().unwrap_err().contains("ordered"));
    }
}

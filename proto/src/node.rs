//! A filesystem node as a service: what it says of itself, and the workloads that it runs for others.

mod latencies;
mod tally;
mod workload;

use std::fmt;

use dlm_core::SessionId;

pub use latencies::Latencies;
pub use tally::{Errors, Tally};
pub use workload::{
    Group, INTERVAL_US, LEDGER_PAGES_MAX, Ledger, Legal, PART_PAGES_MAX, Policy, Progress, Report,
    WORKLOAD_FILES_MAX, WORKLOAD_NODES_MAX, WORKLOAD_PAGES_MAX, WORKLOAD_TASKS_MAX, Witnessed,
    Workload, WorkloadResult,
};

use crate::name::Name;

/// How much longer a slow store may take for one read or write, in microseconds: a minute.
pub const STORE_DELAY_US_MAX: u64 = 60_000_000;

/// The lockspace in which the nodes of a volume's lockspace say where they are.
#[must_use]
pub fn nodes_lockspace(lockspace: &str) -> String {
    format!("{lockspace}.nodes")
}

/// What the name of the lock begins with by which a node says where it is found.
pub const NODE_AT: &str = "at ";
/// What the name of the lock begins with by which a node makes sure that no other has its name.
pub const NODE_NAMED: &str = "named ";

/// What a node does with workloads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// Nothing.
    #[default]
    Idle,
    /// Its part of the files is there, or is being written.
    Prepared,
    /// Its tasks run.
    Running,
    /// They have ended.
    Ended,
}

impl Phase {
    /// Its name, as documents have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Prepared => "prepared",
            Self::Running => "running",
            Self::Ended => "ended",
        }
    }
}

/// A fault of the storage under a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StoreFault {
    /// None: it works.
    #[default]
    None,
    /// Every read and write waits.
    Stall,
    /// Every read and write takes longer.
    Delay {
        /// How much, in microseconds; at most [`STORE_DELAY_US_MAX`].
        us: u64,
    },
    /// Every read and write fails.
    Fail,
}

impl fmt::Display for StoreFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("none"),
            Self::Stall => f.write_str("stall"),
            Self::Delay { us } => write!(f, "delay {us} us"),
            Self::Fail => f.write_str("fail"),
        }
    }
}

/// What a node says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatus {
    /// What the cluster calls it.
    pub name: Name,
    /// The program's version.
    pub version: String,
    /// Drawn when the process began: another number is another process.
    pub incarnation: u64,
    /// How long it runs, in microseconds.
    pub uptime_us: u64,
    /// Its session.
    pub session: SessionId,
    /// What is left of the session's lease, in microseconds, by the node's own clock; `None`: it is over.
    pub lease_left_us: Option<u64>,
    /// The volume's lockspace.
    pub lockspace: Name,
    /// The volume's path on the node.
    pub volume: String,
    /// Inodes of the volume, numbered from 1.
    pub inodes: u64,
    /// Bytes in each.
    pub inode_bytes: u64,
    /// Which rules its direct I/O follows.
    pub policy: Policy,
    /// What it does with workloads.
    pub phase: Phase,
    /// The workload that `phase` is about; 0 where there is none.
    pub run: u64,
    /// What it did since it started.
    pub counters: NodeCounters,
    /// The fault of its storage.
    pub store_fault: StoreFault,
}

/// What a node did since it started; occurrences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeCounters {
    /// Lock operations sent and callbacks received.
    pub lock_messages: u64,
    /// Page faults served.
    pub faults: u64,
    /// Pages read from the volume.
    pub page_fills: u64,
    /// Pages written back to it.
    pub page_write_backs: u64,
    /// Inodes dropped from the cache because their glock went.
    pub invalidations: u64,
    /// Write-backs that failed.
    pub io_errors: u64,
    /// Glocks that tasks asked for.
    pub glock_requests: u64,
    /// Those of them that were granted without a message.
    pub glock_hits: u64,
    /// Glocks that were given up or weakened.
    pub demotions: u64,
}

/// A fault that a node's storage is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreFailure {
    /// Which.
    pub fault: StoreFault,
    /// How long, in microseconds; `None`: until there is another.
    pub for_us: Option<u64>,
}

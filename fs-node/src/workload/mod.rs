//! Workloads that bring the fault protocol into every case it has, and check what they read.
//!
//! Read [`layout`] and [`stamp`] for what is in the files, [`ring`] for who uses which of them; [`cross`],
//! [`same_file`], [`counters`] and [`mixed`] for the operations, [`worker`] for one task and [`crew`] for all
//! tasks of a node. What is written is known exactly to its writer ([`ledger`]) and in part to everybody else
//! ([`witness`]). [`turns`] looks at the lock service itself.

mod counters;
pub(crate) mod crew;
mod cross;
pub(crate) mod gate;
pub(crate) mod layout;
pub(crate) mod ledger;
mod mixed;
pub(crate) mod progress;
mod ring;
mod same_file;
pub(crate) mod stamp;
mod transfer;
mod turns;
pub(crate) mod verify;
mod witness;
mod worker;

pub(crate) use dlm_client::nodes::Group;
use fs_node::Policy;
use serde::{Deserialize, Serialize};

use self::layout::Layout;

/// What the tasks of one node are to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The operations.
    pub(crate) group: Group,
    /// The geometry, the same on all nodes.
    pub(crate) layout: Layout,
    /// All random choices come from it, the node and the task.
    pub(crate) seed: u64,
    /// Which node of the layout this one is.
    pub(crate) node: u8,
    /// Of a hundred operations, how many read.
    pub(crate) reads_percent: u8,
    /// Lock cycles in one operation are checked against the number of its mappings: the promise of the
    /// policy `ordered`.
    pub(crate) bounded: bool,
    /// The number of the run in which this node takes turns with the others: in the inode after the files'. `None`: it
    /// does not.
    pub(crate) turns: Option<u64>,
}

impl Plan {
    /// Whether operations under `policy` are held to the number of their mappings.
    pub(crate) const fn bounds(policy: Policy) -> bool {
        matches!(policy, Policy::Ordered)
    }
}

//! Workloads that bring the fault protocol into every case it has, and check what they read.
//!
//! Read [`layout`] and [`stamp`] for what is in the files, [`ring`] for who uses which of them,
//! [`cross`] and [`same_file`] for the operations, [`worker`] for one task and [`crew`] for all tasks of
//! a node. What is written is known exactly to its writer ([`ledger`]) and in part to everybody else
//! ([`witness`]).

pub(crate) mod crew;
mod cross;
pub(crate) mod histogram;
pub(crate) mod layout;
pub(crate) mod ledger;
mod ring;
mod same_file;
pub(crate) mod stamp;
pub(crate) mod standalone;
pub(crate) mod tally;
mod transfer;
mod witness;
mod worker;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use self::layout::Layout;

/// Which operations a workload is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Group {
    /// Direct I/O whose buffer lies in mappings of other files: two and more cluster locks at once.
    Cross,
    /// Direct and buffered I/O whose buffer lies in a mapping of the very same file, and private
    /// mappings.
    SameFile,
}

impl Group {
    const ALL: [Self; 2] = [Self::Cross, Self::SameFile];

    /// The name on the command line and in reports.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Cross => "cross",
            Self::SameFile => "same-file",
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
        found.ok_or("a workload is one of cross, same-file")
    }
}

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
    /// Lock cycles in one operation are checked against the number of its mappings: the promise of the
    /// policy `ordered`.
    pub(crate) bounded: bool,
}

//! Filesystem nodes as services: where they are, what they say, and the workloads that they run.
//!
//! [`find`] asks the cluster which nodes a volume's lockspace has, and [`NodeHandle`] asks one of them. A node itself
//! answers through [`Door`]: it knows nothing of gRPC, only [`Orders`].

mod door;
mod find;
mod handle;

pub use door::{Door, DoorError, OrderError, Orders};
pub use find::{FoundNode, find};
pub use glockwork_proto::Name;
pub use glockwork_proto::node::{
    Errors, Group, INTERVAL_US, LEDGER_PAGES_MAX, Latencies, Ledger, Legal, NODE_AT, NODE_NAMED,
    NodeCounters, NodeStatus, PART_PAGES_MAX, Phase, Policy, Progress, Report, STORE_DELAY_US_MAX,
    StoreFailure, StoreFault, Tally, WORKLOAD_FILES_MAX, WORKLOAD_NODES_MAX, WORKLOAD_PAGES_MAX,
    WORKLOAD_TASKS_MAX, Witnessed, Workload, WorkloadResult, nodes_lockspace,
};
pub use handle::{NodeCallError, NodeHandle, Reports};

/// The most bytes in a message of a node's service: a result with the ledgers of all its tasks.
const NODE_MESSAGE_BYTES_MAX: usize = 64 << 20;

//! What orders come down to.

use std::process;
use std::time::{Duration, Instant};

use dlm_client::nodes::{
    self, Errors, Ledger, Name, NodeStatus, OrderError, Orders, StoreFailure, Workload,
    WorkloadResult,
};
use fs_node::{Node, Policy, StoreFault};

use super::runs::Runs;

/// How long the answer to an order that ends the process has to get out.
const FAREWELL: Duration = Duration::from_millis(200);

/// A node that takes orders.
pub(super) struct Desk {
    node: Node,
    runs: Runs,
    name: Name,
    volume: String,
    incarnation: u64,
    started: Instant,
}

impl Desk {
    pub(super) fn new(node: Node, runs: Runs, name: Name, volume: String) -> Self {
        Self {
            node,
            runs,
            name,
            volume,
            incarnation: rand::random(),
            started: Instant::now(),
        }
    }
}

impl Orders for Desk {
    fn status(&self) -> NodeStatus {
        let (phase, run) = self.runs.phase();
        let (counters, glocks) = (self.node.counters(), self.node.glock_counters());
        NodeStatus {
            name: self.name.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            incarnation: self.incarnation,
            uptime_us: micros(self.started.elapsed()),
            session: self.node.session(),
            lease_left_us: self.node.lease().ok().map(|lease| micros(lease.left())),
            lockspace: Name::lossy(self.node.lockspace()),
            volume: self.volume.clone(),
            inodes: self.node.inodes(),
            inode_bytes: self.node.inode_bytes(),
            policy: policy_name(self.node.policy()),
            phase,
            run,
            counters: nodes::NodeCounters {
                lock_messages: counters.lock_messages,
                faults: counters.faults,
                page_fills: counters.page_fills,
                page_write_backs: counters.page_write_backs,
                invalidations: counters.invalidations,
                io_errors: counters.io_errors,
                glock_requests: glocks.granted,
                glock_hits: glocks.cached,
                demotions: glocks.demotions,
            },
            store_fault: store_fault_name(self.node.store_fault()),
        }
    }

    fn prepare(&self, workload: Workload) -> Result<Errors, OrderError> {
        self.runs.prepare(workload)
    }

    fn start(&self, run: u64, length_us: Option<u64>) -> Result<(), OrderError> {
        self.runs.start(run, length_us)
    }

    fn progress(
        &self,
        run: u64,
        from: u64,
        intervals_max: usize,
    ) -> Result<nodes::Progress, OrderError> {
        self.runs.progress(run, from, intervals_max)
    }

    fn result(&self, run: u64) -> Result<Option<WorkloadResult>, OrderError> {
        self.runs.result(run)
    }

    fn stop(&self, run: u64, interrupt: bool) -> Result<(), OrderError> {
        self.runs.stop(run, interrupt)
    }

    fn verify(&self, run: u64, ledgers: Vec<Ledger>) -> Result<Errors, OrderError> {
        self.runs.verify(run, ledgers)
    }

    fn glocks(&self) -> String {
        self.node.dump()
    }

    fn withdraw(&self, why: &str) {
        let why = format!("told to withdraw: {why}");
        let node = self.node.clone();
        std::thread::spawn(move || {
            std::thread::sleep(FAREWELL);
            withdraw(&why, Some(&node));
        });
    }

    fn fail_store(&self, failure: StoreFailure) -> Result<(), OrderError> {
        let fault = match failure.fault {
            nodes::StoreFault::None => StoreFault::None,
            nodes::StoreFault::Stall => StoreFault::Stall,
            nodes::StoreFault::Delay { us } => StoreFault::Delay(Duration::from_micros(us)),
            nodes::StoreFault::Fail => StoreFault::Fail,
        };
        let length = failure.for_us.map(Duration::from_micros);
        let failed = self.node.fail_store(fault, length);
        failed.map_err(|_| OrderError::NotAllowed)
    }
}

/// Ends the process without a goodbye: whatever it held stays locked until the cluster has fenced its session. What it
/// knows of its locks goes to standard error.
pub(super) fn withdraw(why: &str, node: Option<&Node>) -> ! {
    tracing::error!("withdrawn: {why}");
    if let Some(node) = node {
        eprint!("{}", node.dump());
    }
    eprintln!("fs-node: withdrawn: {why}; the cluster fences this node's session");
    process::exit(1)
}

fn micros(time: Duration) -> u64 {
    time.as_micros() as u64
}

const fn policy_name(policy: Policy) -> nodes::Policy {
    match policy {
        Policy::Block => nodes::Policy::Block,
        Policy::Nofault => nodes::Policy::Nofault,
        Policy::TryCycle => nodes::Policy::TryCycle,
        Policy::Ordered => nodes::Policy::Ordered,
    }
}

fn store_fault_name(fault: StoreFault) -> nodes::StoreFault {
    match fault {
        StoreFault::None => nodes::StoreFault::None,
        StoreFault::Stall => nodes::StoreFault::Stall,
        StoreFault::Delay(by) => nodes::StoreFault::Delay { us: micros(by) },
        StoreFault::Fail => nodes::StoreFault::Fail,
    }
}

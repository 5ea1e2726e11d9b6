//! What a node says of itself, and what it is asked.

use crate::node::{NodeStatus, Phase, Policy, StoreFailure, StoreFault};
use crate::wire;

/// What a node says of itself.
#[must_use]
pub fn node_status(status: NodeStatus) -> wire::NodeStatusReply {
    let counters = status.counters;
    wire::NodeStatusReply {
        name: status.name.into(),
        version: status.version,
        incarnation: status.incarnation,
        uptime_us: status.uptime_us,
        session: status.session.0,
        lease_left_us: status.lease_left_us,
        lockspace: status.lockspace.into(),
        volume: status.volume,
        inodes: status.inodes,
        inode_bytes: status.inode_bytes,
        policy: policy(status.policy).into(),
        phase: phase(status.phase).into(),
        run: status.run,
        counters: Some(wire::NodeCounters {
            lock_messages: counters.lock_messages,
            faults: counters.faults,
            page_fills: counters.page_fills,
            page_write_backs: counters.page_write_backs,
            invalidations: counters.invalidations,
            io_errors: counters.io_errors,
            glock_requests: counters.glock_requests,
            glock_hits: counters.glock_hits,
            demotions: counters.demotions,
        }),
        store_fault: store_fault(status.store_fault).0,
    }
}

pub(super) const fn policy(policy: Policy) -> wire::WorkloadPolicy {
    match policy {
        Policy::Block => wire::WorkloadPolicy::Block,
        Policy::Nofault => wire::WorkloadPolicy::Nofault,
        Policy::TryCycle => wire::WorkloadPolicy::TryCycle,
        Policy::Ordered => wire::WorkloadPolicy::Ordered,
    }
}

const fn phase(phase: Phase) -> wire::WorkloadPhase {
    match phase {
        Phase::Idle => wire::WorkloadPhase::Idle,
        Phase::Prepared => wire::WorkloadPhase::Prepared,
        Phase::Running => wire::WorkloadPhase::Running,
        Phase::Ended => wire::WorkloadPhase::Ended,
    }
}

/// Asks for a fault of a node's storage.
#[must_use]
pub fn store_failure(failure: StoreFailure) -> wire::FailStoreRequest {
    let (fault, delay_us) = store_fault(failure.fault);
    wire::FailStoreRequest {
        fault,
        delay_us,
        for_us: failure.for_us,
    }
}

fn store_fault(fault: StoreFault) -> (i32, u64) {
    let (kind, us) = match fault {
        StoreFault::None => (wire::StoreFault::None, 0),
        StoreFault::Stall => (wire::StoreFault::Stall, 0),
        StoreFault::Delay { us } => (wire::StoreFault::Delay, us),
        StoreFault::Fail => (wire::StoreFault::Fail, 0),
    };
    (kind.into(), us)
}

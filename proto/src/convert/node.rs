//! What a node says of itself, and what it is asked.

use dlm_core::SessionId;

use crate::error::WireError;
use crate::name::Name;
use crate::node::{
    NodeCounters, NodeStatus, Phase, Policy, STORE_DELAY_US_MAX, StoreFailure, StoreFault,
};
use crate::wire;

/// What a node says of itself.
///
/// # Errors
/// [`WireError::Enumeration`], or what is wrong with a name.
pub fn node_status(wire: wire::NodeStatusReply) -> Result<NodeStatus, WireError> {
    Ok(NodeStatus {
        name: Name::new(wire.name)?,
        version: wire.version,
        incarnation: wire.incarnation,
        uptime_us: wire.uptime_us,
        session: SessionId(wire.session),
        lease_left_us: wire.lease_left_us,
        lockspace: Name::new(wire.lockspace)?,
        volume: wire.volume,
        inodes: wire.inodes,
        inode_bytes: wire.inode_bytes,
        policy: policy(wire.policy)?,
        phase: phase(wire.phase)?,
        run: wire.run,
        counters: wire.counters.map_or_else(NodeCounters::default, counters),
        // What is newer than this program is some fault, and none that it knows the length of.
        store_fault: store_fault(wire.store_fault, 0).unwrap_or(StoreFault::None),
    })
}

/// The rules of direct I/O.
///
/// # Errors
/// [`WireError::Enumeration`].
pub fn policy(value: i32) -> Result<Policy, WireError> {
    use wire::WorkloadPolicy as Wire;
    match Wire::try_from(value) {
        Ok(Wire::Block) => Ok(Policy::Block),
        Ok(Wire::Nofault) => Ok(Policy::Nofault),
        Ok(Wire::TryCycle) => Ok(Policy::TryCycle),
        Ok(Wire::Ordered) => Ok(Policy::Ordered),
        Ok(Wire::Unspecified) | Err(_) => Err(WireError::Enumeration {
            what: "policy",
            value,
        }),
    }
}

fn phase(value: i32) -> Result<Phase, WireError> {
    use wire::WorkloadPhase as Wire;
    match Wire::try_from(value) {
        Ok(Wire::Idle) => Ok(Phase::Idle),
        Ok(Wire::Prepared) => Ok(Phase::Prepared),
        Ok(Wire::Running) => Ok(Phase::Running),
        Ok(Wire::Ended) => Ok(Phase::Ended),
        Ok(Wire::Unspecified) | Err(_) => Err(WireError::Enumeration {
            what: "phase of a workload",
            value,
        }),
    }
}

/// A fault that a node's storage is to have.
///
/// # Errors
/// [`WireError::Enumeration`], [`WireError::StoreDelay`].
pub fn store_failure(wire: wire::FailStoreRequest) -> Result<StoreFailure, WireError> {
    Ok(StoreFailure {
        fault: store_fault(wire.fault, wire.delay_us)?,
        for_us: wire.for_us,
    })
}

fn store_fault(value: i32, us: u64) -> Result<StoreFault, WireError> {
    use wire::StoreFault as Wire;
    match Wire::try_from(value) {
        Ok(Wire::None) => Ok(StoreFault::None),
        Ok(Wire::Stall) => Ok(StoreFault::Stall),
        Ok(Wire::Fail) => Ok(StoreFault::Fail),
        Ok(Wire::Delay) if us <= STORE_DELAY_US_MAX => Ok(StoreFault::Delay { us }),
        Ok(Wire::Delay) => Err(WireError::StoreDelay { us }),
        Ok(Wire::Unspecified) | Err(_) => Err(WireError::Enumeration {
            what: "fault of a store",
            value,
        }),
    }
}

fn counters(wire: wire::NodeCounters) -> NodeCounters {
    NodeCounters {
        lock_messages: wire.lock_messages,
        faults: wire.faults,
        page_fills: wire.page_fills,
        page_write_backs: wire.page_write_backs,
        invalidations: wire.invalidations,
        io_errors: wire.io_errors,
        glock_requests: wire.glock_requests,
        glock_hits: wire.glock_hits,
        demotions: wire.demotions,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render;

    #[test]
    fn a_status_arrives_as_it_was_meant() {
        let status = NodeStatus {
            name: Name::new("node1").unwrap(),
            version: "0.1.0".into(),
            incarnation: 7,
            uptime_us: 8,
            session: SessionId(9),
            lease_left_us: Some(0),
            lockspace: Name::new("glockwork").unwrap(),
            volume: "/dev/vdb".into(),
            inodes: 12,
            inode_bytes: 1 << 20,
            policy: Policy::TryCycle,
            phase: Phase::Running,
            run: 5,
            counters: NodeCounters {
                lock_messages: 1,
                faults: 2,
                page_fills: 3,
                page_write_backs: 4,
                invalidations: 5,
                io_errors: 6,
                glock_requests: 7,
                glock_hits: 8,
                demotions: 9,
            },
            store_fault: StoreFault::Stall,
        };
        assert_eq!(node_status(render::node_status(status.clone())), Ok(status));
        assert!(node_status(wire::NodeStatusReply::default()).is_err());
    }

    #[test]
    fn faults_of_a_store_have_a_kind_and_a_limit() {
        for fault in [
            StoreFault::None,
            StoreFault::Stall,
            StoreFault::Fail,
            StoreFault::Delay {
                us: STORE_DELAY_US_MAX,
            },
        ] {
            for for_us in [None, Some(3)] {
                let failure = StoreFailure { fault, for_us };
                assert_eq!(store_failure(render::store_failure(failure)), Ok(failure));
            }
        }
        let mut wire = render::store_failure(StoreFailure {
            fault: StoreFault::Delay { us: 1 },
            for_us: None,
        });
        wire.delay_us = STORE_DELAY_US_MAX + 1;
        let error = store_failure(wire).unwrap_err().to_string();
        assert!(error.contains("a minute"), "{error}");
        assert!(store_failure(wire::FailStoreRequest::default()).is_err());
    }
}

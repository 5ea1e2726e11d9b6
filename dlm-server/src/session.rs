//! One session as the shard keeps it.

use std::collections::BTreeSet;
use std::sync::Arc;

use dlm_core::{LockspaceId, OpId};
use glockwork_proto::frame::Operation;
use glockwork_proto::{Name, WireError};

use crate::outbox::Outbox;

/// A connected client.
#[derive(Debug)]
pub(crate) struct Session {
    /// What people call it.
    pub(crate) name: Name,
    /// What it has still to be sent.
    pub(crate) outbox: Arc<Outbox>,
    /// The lockspaces it has open.
    pub(crate) lockspaces: BTreeSet<LockspaceId>,
    /// How many operations it has sent.
    pub(crate) operations: u64,
    last_op: Option<OpId>,
}

impl Session {
    /// A session that has done nothing yet.
    pub(crate) fn new(name: Name, outbox: Arc<Outbox>) -> Self {
        Self {
            name,
            outbox,
            lockspaces: BTreeSet::new(),
            operations: 0,
            last_op: None,
        }
    }

    /// Takes note of a frame's operations; within the frame their order was checked when it was parsed.
    pub(crate) fn count(&mut self, operations: &[Operation]) -> Result<(), WireError> {
        let (Some(first), Some(last)) = (operations.first(), operations.last()) else {
            return Ok(());
        };
        if let Some(before) = self.last_op.filter(|&before| before >= first.op) {
            return Err(WireError::OperationOrder {
                op: first.op.0,
                before: before.0,
            });
        }
        self.last_op = Some(last.op);
        self.operations += operations.len() as u64;
        Ok(())
    }
}

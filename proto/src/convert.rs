//! From the wire to the domain: parse, so that nothing behind it has to validate.
//!
//! Two kinds of mistakes are told apart. A message that means nothing is a [`WireError`], and the
//! stream it came on ends. An operation that is well formed but asks for what nobody may have, such
//! as a resource name that is too long, comes out as
//! [`Unreadable`](dlm_core::link::ToServer::Unreadable): its sender learns it under the operation's number and
//! the stream goes on.

mod caches;
mod call;
mod claims;
mod cluster;
mod cluster_state;
mod coverage;
mod events;
mod fault;
mod fence;
mod founding;
mod from_server;
mod glocks;
mod graph;
mod holders;
mod listing;
mod node;
mod peer;
mod peer_image;
mod slot_map;
mod to_server;
mod words;
mod workload;

pub use caches::caches_reply;
pub use call::{
    call, call_add_server, call_answer, call_confirm_fence, call_evict, call_goodbye, call_join,
    call_keep_alive, call_leave_lockspace, call_map, call_open_lockspace, call_remove_server,
    call_replayed, endpoint,
};
pub use cluster::{
    command, join, join_reply, keepalive_reply, map_reply, open_lockspace_reply, plain_reply,
};
pub use cluster_state::{parts, snapshot};
pub use coverage::coverage;
pub use events::{event_kind, events, history};
pub use fault::{active_faults, faults_missed, heal_faults, inject_fault};
pub use fence::{fence_answer, fence_order};
pub use founding::introduction;
pub use from_server::from_server_frame;
pub use glocks::glocks_page;
pub use graph::graph_resources;
pub use listing::{locks_page, lockspaces};
pub use node::{node_status, policy, store_failure};
pub use peer::{peer_frame, peer_welcome};
pub use to_server::to_server_frame;
pub use words::{mode, mode_or_none, queue, reason, role, status};
pub use workload::{ledgers, workload, workload_errors, workload_report};

use dlm_core::{LockspaceOptions, ResourceName, ValueBlock, ValueLength};

use crate::error::WireError;
use crate::wire;

/// A resource's name.
///
/// # Errors
/// [`WireError::ResourceNameLength`].
pub fn resource_name(bytes: &[u8]) -> Result<ResourceName, WireError> {
    ResourceName::new(bytes).map_err(|_| WireError::ResourceNameLength { bytes: bytes.len() })
}

/// A value block.
///
/// # Errors
/// [`WireError::ValueLength`].
pub fn value(bytes: &[u8]) -> Result<ValueBlock, WireError> {
    ValueBlock::new(bytes).map_err(|_| WireError::ValueLength { bytes: bytes.len() })
}

/// What a lockspace is like.
///
/// # Errors
/// [`WireError::LockspaceOptions`].
pub fn lockspace_options(wire: wire::LockspaceOptions) -> Result<LockspaceOptions, WireError> {
    let wire::LockspaceOptions {
        value_length: bytes,
        breaks_deadlocks,
    } = wire;
    let value_length = match bytes {
        0 => Ok(ValueLength::default()),
        bytes => ValueLength::new(bytes as usize),
    };
    Ok(LockspaceOptions {
        value_length: value_length.map_err(|_| WireError::LockspaceOptions { bytes })?,
        breaks_deadlocks,
    })
}

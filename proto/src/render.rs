//! From the domain to the wire.

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
pub(crate) mod words;
mod workload;

pub use caches::caches_reply;
pub use call::{call, call_answer};
pub use cluster::{
    command, join, join_reply, keepalive_reply, map_reply, open_lockspace_reply,
    options as cluster_options, plain_reply,
};
pub use cluster_state::{snapshot, status};
pub use coverage::coverage;
pub use events::{event, event_kind, history};
pub use fault::{active_faults, faults_missed, heal_faults, inject_fault};
pub use fence::{fence_answer, fence_order};
pub use founding::{identity, introduction};
pub use from_server::from_server_frame;
pub use glocks::glocks_page;
pub use graph::{GraphParts, Names, cycles, graph_reply, graph_resources};
pub use listing::{ListedResource, LocksPages, lockspaces};
pub use node::{node_status, store_failure};
pub use peer::{peer_frame, peer_welcome};
pub use to_server::to_server_frame;
pub use workload::{ledgers, workload, workload_errors, workload_report};

use dlm_core::ValueBlock;
use prost::bytes::Bytes;

pub(crate) fn value_bytes(value: &ValueBlock) -> Bytes {
    Bytes::copy_from_slice(value.as_bytes())
}

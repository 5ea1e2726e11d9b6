//! The wire of Glockwork: the `.proto` files, the code generated from them, and the only conversions
//! between what travels and what the programs think in.
//!
//! Read [`link`] and [`peer`] first: the same messages as plain values made of `dlm-core`'s types. [`convert`]
//! parses what came in, so that nothing behind it has to validate again; [`render`] writes what goes
//! out; [`wire`] is generated. No other crate looks at bytes, and a rule about what may travel stands
//! in [`limits`].

pub mod caches;
pub mod call;
pub mod cluster;
pub mod convert;
pub mod coverage;
pub mod descriptor;
pub mod error;
pub mod events;
pub mod fault;
pub mod fence;
pub mod founding;
pub mod glocks;
pub mod holders;
pub mod limits;
pub mod link;
pub mod listing;
pub mod name;
pub mod node;
pub mod peer;
pub mod render;
#[cfg(test)]
mod strategies;
pub mod trace;
pub mod version;

/// What `proto/*.proto` generates: messages, and the clients and servers of the services.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::too_many_lines
)]
pub mod wire {
    tonic::include_proto!("glockwork.v1");
}

pub use descriptor::{FENCE_DESCRIPTORS, NODE_DESCRIPTORS, SERVER_DESCRIPTORS};
pub use error::WireError;
pub use limits::{
    CLAIMS_PER_FRAME_MAX, DEFAULT_ENDPOINT, DEFAULT_PORT, FRAME_BYTES_MAX, GLOCKS_PER_PAGE_MAX,
    LOCKS_PER_PAGE_MAX, OPERATIONS_PER_FRAME_MAX, PEER_MESSAGE_BYTES_MAX, PEER_MESSAGES_MAX,
    REPORT_ENTRIES_MAX,
};
pub use name::Name;
pub use version::{PROTOCOL_VERSION, VersionRange};

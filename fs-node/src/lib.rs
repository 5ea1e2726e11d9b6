//! A cluster-filesystem node as a library.
//!
//! [`Node`] joins a cluster and opens a shared volume; [`Task`] does I/O; [`Mapping`] is real memory whose
//! faults the node serves. `fs-node demo` is built on nothing but these.

pub mod cache;
pub mod io;
pub mod node;
pub mod store;

pub use cache::{AlignedBuf, BusError, Mapping, Protection, Share};
pub use fs_core::fault::Policy;
pub use io::{IoError, Outcome, UserBuf};
pub use node::{
    CACHE_PAGES_DEFAULT, Claim, Node, NodeConfig, NodeCounters, NodeError, OnWithdraw, Presence,
    Task,
};
pub use store::{FlatVolume, RawPage, StoreFault, VolumeError};

/// Whether this process can get a userfaultfd; without one a node does not start.
///
/// # Errors
/// Why not, and the remedy.
pub fn userfaultfd_available() -> Result<(), cache::OpenError> {
    cache::Userfaultfd::open().map(drop)
}

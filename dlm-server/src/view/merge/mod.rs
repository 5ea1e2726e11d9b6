//! Several servers' answers as one.
//!
//! Of a slot that moves two servers may think that they serve it, for a moment: of two resources of one name
//! the one of the later epoch counts.

mod cluster;
mod counts;
mod graph;
mod locks;

pub use cluster::cluster;
pub use counts::{lockspaces, status};
pub use graph::{Joined, join, with_local_waits};
pub use locks::LocksMerge;

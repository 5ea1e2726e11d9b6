//! What servers say of a cluster, as plain data that programs read and people are shown: in `dlm`, in a node's
//! demo, and on a server's own page. Made of wire types here and drawn here, so that all of them show the same.
//!
//! | module | what |
//! |---|---|
//! | [`graph`] | the lock graph: text, JSON, DOT, SVG |
//! | [`events`] | what happens to locks: a line, a JSON object |
//! | [`names`] | what people may mean when they write a resource's name |
//! | [`pattern`] | names with `*` and `?` in them |
//! | [`ClusterStatus`] | servers, sessions, slots, and what does not go on |
//! | [`Coverage`] | what a view lacks |

pub mod events;
pub mod graph;
pub mod names;
pub mod pattern;

mod blocked;
mod cluster;
mod coverage;

pub use blocked::{Blocked, Named};
pub use cluster::{ClusterServer, ClusterSession, ClusterStatus, Report, Slots};
pub use coverage::{Coverage, SLOTS, Unreachable};

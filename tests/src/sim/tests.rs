//! The world itself, the log's replicas in it, and the whole cluster.
//!
//! `GLOCKWORK_SEED=N cargo test -p tests --lib sim::` runs that seed only, `GLOCKWORK_LOUD=1` prints it.

mod cluster;
mod links;
mod log;

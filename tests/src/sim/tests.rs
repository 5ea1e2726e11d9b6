//! The world itself, and the log's replicas in it.
//!
//! `GLOCKWORK_SEED=N cargo test -p tests --lib sim::` runs that seed only, `GLOCKWORK_LOUD=1` prints it.

mod links;
mod log;

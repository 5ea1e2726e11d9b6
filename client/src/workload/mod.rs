//! Workloads on the nodes of a running cluster, all at once: prepared, started, watched, broken on purpose, and judged.
//!
//! A coordinator has no part in the cluster. It finds the nodes by the locks that they hold ([`crate::nodes::find`]),
//! gives each its orders, and writes down what they say; what comes of that is the document of [`glockwork_runs`].
//!
//! | file | what |
//! |---|---|
//! | `arguments.rs`, `command.rs` | the command, the same in `dlm` and in `fs-node` |
//! | `coordinator.rs` | one run, from finding the nodes to the verdict |
//! | `shared.rs` | what its tasks have in common |
//! | `follow.rs` | one node through a run, over the end of its session and back |
//! | `deadlock.rs` | looks for deadlocks, and breaks them up |
//! | `actor.rs` | does what a scenario says, at its times, and undoes it |
//! | `means.rs` | by which it does that: in process, or by another command |
//! | `display.rs` | what is said meanwhile |

mod actor;
mod arguments;
mod command;
mod coordinator;
mod deadlock;
mod display;
mod error;
mod follow;
mod means;
mod shared;

pub use arguments::{WorkloadArguments, bytes};
pub use command::run;
pub use error::WorkloadError;
pub use glockwork_runs as runs;

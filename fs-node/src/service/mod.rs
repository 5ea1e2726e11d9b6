//! The node as a service: it joins a cluster, says where it is, and does what it is asked for over gRPC.
//!
//! | file | what |
//! |---|---|
//! | `serve.rs` | from the start to the end of it |
//! | `desk.rs` | what orders come down to |
//! | `runs.rs` | the one workload that it has |

mod desk;
mod runs;
mod serve;

pub(crate) use serve::{ServiceConfig, serve};

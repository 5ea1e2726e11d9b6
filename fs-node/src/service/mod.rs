//! The node as a service: it joins a cluster, says where it is, and does what it is asked for over gRPC.
//!
//! | file | what |
//! |---|---|
//! | `serve.rs` | from the start to the end of it |
//! | `desk.rs` | what orders come down to |
//! | `runs.rs` | the one workload that it has |
//! | `http.rs`, `metrics.rs` | the HTTP port: what is counted, and whether the node is well |

mod desk;
mod http;
mod metrics;
mod runs;
mod serve;

pub(crate) use serve::{ServiceConfig, serve};

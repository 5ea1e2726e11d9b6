//! Clusters of real processes on this machine, for tests that kill, stop and restart them.
//!
//! [`Servers`] starts `dlm-server`s in a temporary directory, each on an address of the loopback network that no
//! other cluster has. Processes are in process groups of their own; what was started is ended when it is
//! dropped, and nothing else ever is. When a test fails, the servers' logs are shown. Every wait has an end.
//!
//! [`Witness`] is a file to which holders of locks write while they hold them, and which is judged afterwards.
//! [`Contender`] is a client's process that takes locks and writes there, [`Stage`] all of these together.

mod address;
mod binaries;
mod child;
mod contend;
mod contender;
mod masters;
mod nodes;
mod pulse;
mod servers;
mod stage;
mod witness;

pub use binaries::Binaries;
pub use child::Process;
pub use contend::{ContendOptions, LOCKSPACE, contend, kept_name};
pub use contender::{Contender, Contending, Said};
pub use masters::{Masters, master_of, not_served};
pub use nodes::Nodes;
pub use pulse::{Pulse, PulseFile, now_us};
pub use servers::{Servers, ServersOptions};
pub use stage::{Stage, StageOptions, Verdict};
pub use witness::Witness;

use std::time::Duration;

use tokio::time::timeout;

/// Long enough for everything that is waited for, on a machine with much else to do.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Runs a test's body for `limit` at most. What the body owns is dropped either way, and its processes with it.
///
/// # Panics
/// If it takes longer.
pub async fn within<T>(limit: Duration, what: &str, body: impl Future<Output = T>) -> T {
    match timeout(limit, body).await {
        Ok(done) => done,
        Err(_) => panic!("{what}: not done within {limit:?}"),
    }
}

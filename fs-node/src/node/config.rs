//! What a node needs to start.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use dlm_client::{HoldTime, Servers};
use fs_core::fault::Policy;

/// Pages that a node caches at most, by default: 256 MiB.
pub const CACHE_PAGES_DEFAULT: usize = 1 << 16;

/// What a node needs to start.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// What the cluster calls it.
    pub name: String,
    /// The shared volume.
    pub volume: PathBuf,
    /// Where the lock servers are.
    pub servers: Servers,
    /// The volume's lockspace.
    pub lockspace: String,
    /// Which rules direct I/O follows.
    pub policy: Policy,
    /// The minimum hold time of its glocks.
    pub hold: HoldTime,
    /// Pages in the cache at most.
    pub cache_pages_max: usize,
    /// Whether the storage fails on request ([`super::Node::fail_store`]).
    pub allow_faults: bool,
    /// What is done where the volume fails in a way that the node cannot go on after.
    pub on_withdraw: OnWithdraw,
}

/// What is done where dirty pages cannot be written back. gfs2 withdraws then (`gfs2_withdraw`): were the glock given
/// up as if nothing had happened, other nodes would read what is no more true.
#[derive(Clone, Default)]
pub struct OnWithdraw(Option<Arc<End>>);

type End = dyn Fn(&str) + Send + Sync;

impl OnWithdraw {
    /// Calls `end` with the reason, while the glock is still held. It is not to return: the process ends, its session
    /// runs out, and the cluster fences it.
    pub fn new(end: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(end)))
    }

    pub(crate) fn call(&self, why: &str) {
        if let Some(end) = &self.0 {
            end(why);
        }
    }
}

/// Without one the error is logged, and the pages are lost.
impl fmt::Debug for OnWithdraw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnWithdraw")
            .field(&self.0.is_some())
            .finish()
    }
}

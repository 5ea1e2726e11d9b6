//! A node: one session with the lock server, one page cache, and the tasks that do I/O.

mod claim;
mod config;
mod task;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use dlm_client::glocks::{GlockConfig, GlockCounters, Glocks};
use dlm_client::{
    Client, ConnectError, ConnectOptions, Lease, LockError, Lockspace, SessionId, SessionLost,
};
use fs_core::fault::Policy;
use fs_core::flat::Layout;
use fs_core::limits::PAGE_BYTES;

pub use claim::{Claim, Presence};
pub use config::{CACHE_PAGES_DEFAULT, NodeConfig, OnWithdraw};
pub use task::Task;

use crate::cache::{
    Cache, CachedInode, FaultServer, Mapping, OpenError, Protection, Share, Userfaultfd,
};
use crate::io::IoError;
use crate::store::{FaultyVolume, FlatVolume, RawPage, StoreFault, Volume, VolumeError};

/// A node that cannot start, map or stop.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The volume.
    #[error(transparent)]
    Volume(#[from] VolumeError),
    /// userfaultfd.
    #[error(transparent)]
    Userfaultfd(#[from] OpenError),
    /// The lock server.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// The lockspace.
    #[error("the lockspace cannot be opened: {0}")]
    Lockspace(LockError),
    /// Another node has what only one may have.
    #[error("{0}")]
    Claimed(String),
    /// The session with the cluster is over.
    #[error(transparent)]
    Lost(#[from] SessionLost),
    /// It was started without leave.
    #[error(
        "the storage does not fail on request, since the node was started without leave to do so"
    )]
    NoFaults,
    /// A mapping that the inode does not have.
    #[error(
        "a mapping of inode {inode}: offset {offset} and length {len} must be multiples of {PAGE_BYTES} within its {bytes} bytes, and not empty"
    )]
    Range {
        /// The inode.
        inode: u64,
        /// The mapping's first byte.
        offset: u64,
        /// Its length.
        len: usize,
        /// The inode's size.
        bytes: u64,
    },
    /// No such inode.
    #[error("the volume has no inode {0}")]
    NoInode(u64),
    /// The operating system refused.
    #[error("{what}: {source}")]
    System {
        /// What was to be done.
        what: &'static str,
        /// Why it was not.
        source: std::io::Error,
    },
}

/// What a node did since it started; occurrences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NodeCounters {
    /// Lock messages: operations sent and callbacks received.
    pub lock_messages: u64,
    /// Page faults served, of user space's own accesses and of bounced copies.
    pub faults: u64,
    /// Pages read from the volume.
    pub page_fills: u64,
    /// Pages written back to it.
    pub page_write_backs: u64,
    /// Inodes dropped from the cache because their glock went.
    pub invalidations: u64,
    /// Write-backs that failed.
    pub io_errors: u64,
}

pub(crate) struct Inner {
    pub(crate) cache: Arc<Cache>,
    pub(crate) glocks: Glocks,
    layout: Layout,
    client: Client,
    lockspace: Lockspace,
    store: Option<Arc<FaultyVolume>>,
    faults: FaultServer,
    policy: AtomicU8,
    /// Lock messages that the session had cost before the node was ready.
    messages_before: AtomicU64,
    runtime: Option<tokio::runtime::Runtime>,
}

/// A cluster-filesystem node. Cheap to clone; all clones are the same node.
#[derive(Clone)]
pub struct Node {
    inner: Arc<Inner>,
}

impl Node {
    /// Opens the volume, joins the cluster, and serves page faults from now on.
    ///
    /// # Errors
    /// [`NodeError`], one line that says what is missing and what to do.
    pub fn start(config: NodeConfig) -> Result<Self, NodeError> {
        let system = |what| move |source| NodeError::System { what, source };
        let volume = FlatVolume::open(&config.volume)?;
        let layout = volume.layout();
        let mut volume: Arc<dyn Volume> = Arc::new(volume);
        let mut store = None;
        if config.allow_faults {
            let faulty = Arc::new(FaultyVolume::new(volume));
            store = Some(Arc::clone(&faulty));
            volume = faulty;
        }
        let uffd = Arc::new(Userfaultfd::open()?);
        let pages_max = config.cache_pages_max.max(1);
        let cache = Arc::new(Cache::new(volume, uffd, pages_max, config.on_withdraw));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("locks")
            .enable_all()
            .build()
            .map_err(system("starting the runtime"))?;
        let (client, lockspace, glocks) = runtime.block_on(async {
            let options = ConnectOptions {
                servers: config.servers,
                name: config.name,
            };
            let client = Client::connect(options).await?;
            let lockspace = client
                .lockspace(&config.lockspace)
                .await
                .map_err(NodeError::Lockspace)?;
            let glock_config = GlockConfig {
                hold: config.hold,
                ..GlockConfig::default()
            };
            let glocks = Glocks::new(&lockspace, cache.clone(), glock_config);
            Ok::<_, NodeError>((client, lockspace, glocks))
        })?;
        let faults = FaultServer::start(cache.clone(), glocks.clone())
            .map_err(system("starting the fault handler"))?;
        let inner = Inner {
            cache,
            glocks,
            layout,
            client,
            lockspace,
            store,
            faults,
            policy: AtomicU8::new(config.policy as u8),
            messages_before: AtomicU64::new(0),
            runtime: Some(runtime),
        };
        let before = inner.messages();
        inner.messages_before.store(before, Ordering::Relaxed);
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// From now on direct I/O follows `policy`; I/O under way ends under the one it began with.
    pub fn set_policy(&self, policy: Policy) {
        self.inner.policy.store(policy as u8, Ordering::Relaxed);
    }

    /// Under which rules direct I/O begins now.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.inner.policy()
    }

    /// Its session with the cluster.
    #[must_use]
    pub fn session(&self) -> SessionId {
        self.inner.client.id()
    }

    /// How long the session lives if it cannot be renewed any more.
    ///
    /// # Errors
    /// What ended it, once it has ended. From then on every I/O fails: the cluster gives the locks to others.
    pub fn lease(&self) -> Result<Lease, SessionLost> {
        self.inner.client.lease()
    }

    /// Waits for the end of the session, and says what it was. To be called in any tokio runtime.
    pub async fn lost(&self) -> SessionLost {
        self.inner.client.ended().await
    }

    /// The volume's lockspace.
    #[must_use]
    pub fn lockspace(&self) -> &str {
        self.inner.lockspace.name()
    }

    /// From now on the storage has this fault: for `length`, or until there is another.
    ///
    /// # Errors
    /// [`NodeError::NoFaults`].
    pub fn fail_store(&self, fault: StoreFault, length: Option<Duration>) -> Result<(), NodeError> {
        let store = self.inner.store.as_ref().ok_or(NodeError::NoFaults)?;
        store.fail(fault, length);
        Ok(())
    }

    /// The fault that the storage has now.
    #[must_use]
    pub fn store_fault(&self) -> StoreFault {
        let store = self.inner.store.as_ref();
        store.map_or(StoreFault::None, |store| store.fault())
    }

    /// The first page of an inode as it is on the volume, for whoever keeps nodes apart by other means than glocks.
    ///
    /// # Errors
    /// [`NodeError::NoInode`].
    pub fn raw_page(&self, inode: u64) -> Result<RawPage, NodeError> {
        let volume = &self.inner.cache.volume;
        RawPage::new(volume, inode).ok_or(NodeError::NoInode(inode))
    }

    /// How many inodes the volume has, numbered from 1.
    #[must_use]
    pub fn inodes(&self) -> u64 {
        self.inner.layout.inodes
    }

    /// Bytes in each inode.
    #[must_use]
    pub fn inode_bytes(&self) -> u64 {
        self.inner.layout.inode_bytes
    }

    /// Maps a part of an inode into this process.
    ///
    /// # Errors
    /// [`NodeError::Range`], [`NodeError::NoInode`], [`NodeError::System`].
    pub fn map(
        &self,
        inode: u64,
        offset: u64,
        len: usize,
        share: Share,
        protection: Protection,
    ) -> Result<Mapping, NodeError> {
        let system = |source| NodeError::System {
            what: "mapping a file",
            source,
        };
        let cached = self
            .inner
            .cache
            .inode(inode)
            .map_err(system)?
            .ok_or(NodeError::NoInode(inode))?;
        let bytes = cached.bytes() as u64;
        let page = PAGE_BYTES as u64;
        let aligned = offset.is_multiple_of(page) && (len as u64).is_multiple_of(page);
        if !aligned || len == 0 || offset.checked_add(len as u64).is_none_or(|end| end > bytes) {
            return Err(NodeError::Range {
                inode,
                offset,
                len,
                bytes,
            });
        }
        Mapping::new(
            &self.inner.cache,
            cached,
            offset as usize,
            len,
            share,
            protection,
        )
        .map_err(system)
    }

    /// While `on`, every I/O that waits for a lock ends with [`IoError::Interrupted`]. Plain loads and
    /// stores are not told.
    pub fn interrupt(&self, on: bool) {
        self.inner.glocks.interrupt_all(on);
    }

    /// What it did.
    #[must_use]
    pub fn counters(&self) -> NodeCounters {
        let cache = &self.inner.cache.counters;
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        NodeCounters {
            lock_messages: self.inner.messages() - load(&self.inner.messages_before),
            faults: load(&cache.faults),
            page_fills: load(&cache.fills),
            page_write_backs: load(&cache.write_backs),
            invalidations: load(&cache.invalidations),
            io_errors: load(&cache.io_errors),
        }
    }

    /// What its glocks did.
    #[must_use]
    pub fn glock_counters(&self) -> GlockCounters {
        self.inner.glocks.counters()
    }

    /// Its glocks, in the format of gfs2's debugfs file.
    #[must_use]
    pub fn dump(&self) -> String {
        self.inner.glocks.dump()
    }

    /// Writes every dirty page back and makes it durable.
    ///
    /// # Errors
    /// The device's.
    pub fn sync(&self) -> Result<(), NodeError> {
        let system = |source| NodeError::System {
            what: "writing dirty pages back",
            source,
        };
        self.inner.cache.sync_all().map_err(system)
    }

    /// Writes back, gives every glock up and leaves the cluster. Tasks and mappings are to be gone;
    /// a mapping that is left becomes inaccessible.
    ///
    /// # Errors
    /// The device's; then the glocks are given up all the same.
    pub fn stop(self) -> Result<(), NodeError> {
        let result = self.sync();
        self.inner.cache.revoke_mappings();
        self.inner.glocks.release_all();
        self.inner.faults.stop();
        self.inner
            .runtime()
            .block_on(self.inner.client.clone().close());
        result
    }
}

impl Inner {
    pub(crate) fn policy(&self) -> Policy {
        let number = self.policy.load(Ordering::Relaxed);
        Policy::ALL[usize::from(number)]
    }

    pub(crate) fn volume(&self) -> u32 {
        self.cache.volume.number()
    }

    pub(crate) fn inode(&self, number: u64) -> Result<Arc<CachedInode>, IoError> {
        self.cache.inode(number)?.ok_or(IoError::NoInode(number))
    }

    fn runtime(&self) -> &tokio::runtime::Runtime {
        self.runtime.as_ref().expect("it goes with the node")
    }

    fn messages(&self) -> u64 {
        let counters = self.client.counters();
        counters.operations_sent + counters.callbacks_received
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The last clone may go on any thread, one of the runtime's own included.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

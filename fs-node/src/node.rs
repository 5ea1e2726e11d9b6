//! A node: one session with the lock server, one page cache, and the tasks that do I/O.

use std::cell::Cell;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use dlm_client::glocks::{GlockConfig, GlockCounters, Glocks};
use dlm_client::{
    Client, ConnectError, ConnectOptions, Guard, HoldTime, LockError, Lockspace, Mode, Owner,
    Servers,
};
use fs_core::fault::{Direction, Policy};
use fs_core::flat::Layout;
use fs_core::limits::PAGE_BYTES;

use crate::cache::{
    Cache, CachedInode, FaultServer, Mapping, OpenError, Protection, Share, Userfaultfd,
};
use crate::io::{self, IoError, Outcome, UserBuf};
use crate::store::{FlatVolume, VolumeError};

/// Pages that a node caches at most, by default: 256 MiB.
pub const CACHE_PAGES_DEFAULT: usize = 1 << 16;

/// What a node needs to start.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// What the cluster calls it.
    pub name: String,
    /// The shared volume.
    pub volume: PathBuf,
    /// Where the lock server is, `host:port`.
    pub endpoint: String,
    /// The volume's lockspace.
    pub lockspace: String,
    /// Which rules direct I/O follows.
    pub policy: Policy,
    /// The minimum hold time of its glocks.
    pub hold: HoldTime,
    /// Pages in the cache at most.
    pub cache_pages_max: usize,
}

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
    #[error("another node of the cluster is {0} already")]
    Claimed(String),
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
        let uffd = Arc::new(Userfaultfd::open()?);
        let cache = Arc::new(Cache::new(
            Arc::new(volume),
            uffd,
            config.cache_pages_max.max(1),
        ));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("locks")
            .enable_all()
            .build()
            .map_err(system("starting the runtime"))?;
        let (client, lockspace, glocks) = runtime.block_on(async {
            let options = ConnectOptions {
                servers: Servers::parse(&config.endpoint)?,
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

    /// Makes this node the only one in the cluster that is `what`, until the claim is dropped.
    ///
    /// # Errors
    /// [`NodeError::Claimed`]; [`NodeError::Lockspace`] where the lock server cannot say.
    pub fn claim(&self, what: &str) -> Result<Claim, NodeError> {
        let runtime = self.inner.runtime();
        match runtime.block_on(self.inner.lockspace.try_lock(what, Mode::Ex)) {
            Ok(guard) => Ok(Claim { _guard: guard }),
            Err(LockError::TryFailed) => Err(NodeError::Claimed(what.to_owned())),
            Err(error) => Err(NodeError::Lockspace(error)),
        }
    }

    /// A task of the calling thread. `name` is what the lock graph calls it.
    #[must_use]
    pub fn task(&self, name: &str) -> Task {
        let owner = self.inner.glocks.task(name);
        let task = Task {
            inner: self.inner.clone(),
            owner,
            thread: Cell::new(0),
        };
        task.enter();
        task
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

/// What only one node of the cluster is at a time. Given up when dropped, or when the node's session ends.
pub struct Claim {
    _guard: Guard,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // The last clone may go on any thread, one of the runtime's own included.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A task: what does I/O, as a thread of a user's program would. It belongs to one thread at a time.
pub struct Task {
    inner: Arc<Inner>,
    owner: Owner,
    /// The thread that was told to the fault handler.
    thread: Cell<i32>,
}

impl Task {
    /// Reads by direct I/O from `offset` of `inode` into `bufs`, one after the other.
    ///
    /// # Errors
    /// [`IoError`] where not a byte was transferred; otherwise the outcome says how many were.
    pub fn direct_read(
        &self,
        inode: u64,
        offset: u64,
        bufs: &[UserBuf],
    ) -> Result<Outcome, IoError> {
        self.enter();
        io::direct(self, Direction::Read, inode, offset, bufs)
    }

    /// Writes `bufs` by direct I/O to `inode` at `offset`.
    ///
    /// # Errors
    /// As [`Self::direct_read`].
    pub fn direct_write(
        &self,
        inode: u64,
        offset: u64,
        bufs: &[UserBuf],
    ) -> Result<Outcome, IoError> {
        self.enter();
        io::direct(self, Direction::Write, inode, offset, bufs)
    }

    /// Reads through the page cache.
    ///
    /// # Errors
    /// As [`Self::direct_read`].
    pub fn read(&self, inode: u64, offset: u64, bufs: &[UserBuf]) -> Result<Outcome, IoError> {
        self.enter();
        io::buffered_read(self, inode, offset, bufs)
    }

    /// Writes into the page cache.
    ///
    /// # Errors
    /// As [`Self::direct_read`].
    pub fn write(&self, inode: u64, offset: u64, bufs: &[UserBuf]) -> Result<Outcome, IoError> {
        self.enter();
        io::buffered_write(self, inode, offset, bufs)
    }

    /// Tells the fault handler whose the calling thread's faults are.
    fn enter(&self) {
        let thread = crate::cache::thread_number();
        if self.thread.replace(thread) != thread {
            self.inner.faults.register(thread, self.owner);
        }
    }

    pub(crate) fn node(&self) -> &Inner {
        &self.inner
    }

    pub(crate) const fn owner(&self) -> Owner {
        self.owner
    }
}

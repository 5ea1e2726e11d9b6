//! Pages and mappings: real memory, whose faults are the node's to serve.

mod access;
mod fault;
mod inode;
mod mapping;
mod memfd;
mod userfaultfd;

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};

use dlm_client::glocks::Objects;
use dlm_client::{GlockName, GlockType, State};
use fs_core::limits::PAGE_BYTES;

pub use access::BusError;
pub(crate) use fault::FaultServer;
pub(crate) use inode::CachedInode;
pub use mapping::Mapping;
pub(crate) use mapping::Vma;
pub(crate) use memfd::Memory;
pub use memfd::{AlignedBuf, Protection, Share};
pub use userfaultfd::OpenError;
pub(crate) use userfaultfd::{Fault, Userfaultfd, thread_number};

use crate::node::OnWithdraw;
use crate::store::Volume;

/// What the cache did; occurrences since the node started.
#[derive(Debug, Default)]
pub(crate) struct CacheCounters {
    pub(crate) faults: AtomicU64,
    pub(crate) fills: AtomicU64,
    pub(crate) write_backs: AtomicU64,
    pub(crate) invalidations: AtomicU64,
    pub(crate) io_errors: AtomicU64,
}

/// The page cache of one node: every inode in use, and every mapping of user space.
#[derive(Debug)]
pub(crate) struct Cache {
    pub(crate) volume: Arc<dyn Volume>,
    pub(crate) uffd: Arc<Userfaultfd>,
    pub(crate) counters: Arc<CacheCounters>,
    inodes: Mutex<BTreeMap<u64, Arc<CachedInode>>>,
    vmas: RwLock<BTreeMap<usize, Arc<Vma>>>,
    /// Pages in the cache, all inodes together.
    resident: Arc<AtomicUsize>,
    pages_max: usize,
    /// Counts uses, to tell which inode was used least recently.
    clock: AtomicU64,
    on_withdraw: OnWithdraw,
}

impl Cache {
    pub(crate) fn new(
        volume: Arc<dyn Volume>,
        uffd: Arc<Userfaultfd>,
        pages_max: usize,
        on_withdraw: OnWithdraw,
    ) -> Self {
        Self {
            on_withdraw,
            volume,
            uffd,
            counters: Arc::default(),
            inodes: Mutex::default(),
            vmas: RwLock::default(),
            resident: Arc::default(),
            pages_max,
            clock: AtomicU64::new(0),
        }
    }

    /// The inode `number` of the volume, if there is one.
    ///
    /// # Errors
    /// The kernel has no memory file to give.
    pub(crate) fn inode(&self, number: u64) -> io::Result<Option<Arc<CachedInode>>> {
        let Some(bytes) = self.volume.inode_bytes(number) else {
            return Ok(None);
        };
        let mut inodes = self.inodes.lock().expect("the inode table");
        let now = self.clock.fetch_add(1, Ordering::Relaxed);
        if let Some(inode) = inodes.get(&number) {
            inode.used(now);
            return Ok(Some(inode.clone()));
        }
        let inode = Arc::new(CachedInode::new(number, bytes, self)?);
        inode.used(now);
        inodes.insert(number, inode.clone());
        Ok(Some(inode))
    }

    /// The inode `number`, if it is in the cache already.
    fn cached(&self, number: u64) -> Option<Arc<CachedInode>> {
        self.inodes
            .lock()
            .expect("the inode table")
            .get(&number)
            .cloned()
    }

    pub(crate) fn resident_count(&self) -> Arc<AtomicUsize> {
        self.resident.clone()
    }

    /// The mapping that `addr` lies in.
    pub(crate) fn vma_at(&self, addr: usize) -> Option<Arc<Vma>> {
        let vmas = self.vmas.read().expect("the mapping table");
        let (_, vma) = vmas.range(..=addr).next_back()?;
        (addr < vma.end()).then(|| vma.clone())
    }

    /// Where the first mapping above `addr` starts.
    pub(crate) fn next_vma_start(&self, addr: usize) -> Option<usize> {
        let vmas = self.vmas.read().expect("the mapping table");
        vmas.range(addr..).next().map(|(&start, _)| start)
    }

    pub(crate) fn insert_vma(&self, vma: Arc<Vma>) {
        self.vmas
            .write()
            .expect("the mapping table")
            .insert(vma.addr(), vma);
    }

    pub(crate) fn remove_vma(&self, addr: usize) {
        self.vmas.write().expect("the mapping table").remove(&addr);
    }

    /// Whether a page of `inode` is there now.
    pub(crate) fn is_resident(&self, number: u64, index: usize) -> bool {
        self.cached(number)
            .is_some_and(|inode| inode.is_resident(index))
    }

    /// Keeps the cache within its bound: drops pages of the inodes that were used least recently,
    /// writing back what is dirty, and forgets inodes that have neither pages nor mappings. `spare` is
    /// the inode in use right now. Its caller holds no page lock.
    pub(crate) fn reclaim(&self, spare: u64) {
        if self.resident.load(Ordering::Relaxed) <= self.pages_max {
            return;
        }
        let mut oldest: Vec<Arc<CachedInode>> = self
            .inodes
            .lock()
            .expect("the inode table")
            .values()
            .cloned()
            .collect();
        oldest.sort_by_key(|inode| (inode.number() == spare, inode.last_use()));
        for inode in oldest {
            let resident = self.resident.load(Ordering::Relaxed);
            if resident <= self.pages_max {
                break;
            }
            inode.reclaim(resident - self.pages_max);
        }
        // An inode that only the table and we know has no mapping and no user.
        let mut inodes = self.inodes.lock().expect("the inode table");
        inodes.retain(|_, inode| Arc::strong_count(inode) > 1 || inode.resident() > 0);
    }

    /// Writes every dirty page back and makes it durable.
    ///
    /// # Errors
    /// The first error of the device; what could not be written stays dirty.
    pub(crate) fn sync_all(&self) -> io::Result<()> {
        let inodes: Vec<Arc<CachedInode>> = self
            .inodes
            .lock()
            .expect("the inode table")
            .values()
            .cloned()
            .collect();
        for inode in inodes {
            inode.write_back(0..inode.page_count())?;
        }
        self.volume.flush()
    }

    /// Makes every mapping inaccessible, so that nobody reads zeros once userfaultfd is closed.
    pub(crate) fn revoke_mappings(&self) {
        for vma in self.vmas.read().expect("the mapping table").values() {
            vma.make_inaccessible();
        }
    }
}

impl Objects for Cache {
    fn sync(&self, name: GlockName) {
        let Some(inode) = inode_of(name).and_then(|number| self.cached(number)) else {
            return;
        };
        if let Err(error) = inode.write_back(0..inode.page_count()) {
            self.counters.io_errors.fetch_add(1, Ordering::Relaxed);
            let number = inode.number();
            self.on_withdraw
                .call(&format!("inode {number} cannot be written back: {error}"));
            tracing::error!(inode = number, %error, "write-back failed; the pages are lost");
        }
    }

    fn invalidate(&self, name: GlockName, to: State) {
        debug_assert!(
            matches!(to, State::Un | State::Df),
            "a flat inode caches data only"
        );
        let Some(inode) = inode_of(name).and_then(|number| self.cached(number)) else {
            return;
        };
        inode.invalidate();
        self.counters.invalidations.fetch_add(1, Ordering::Relaxed);
    }
}

fn inode_of(name: GlockName) -> Option<u64> {
    (name.kind == GlockType::Inode).then_some(name.number)
}

/// The page that byte `offset` lies in.
pub(crate) const fn page_of(offset: usize) -> usize {
    offset / PAGE_BYTES
}

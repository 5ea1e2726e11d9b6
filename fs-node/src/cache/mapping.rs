//! Mappings of user space.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use fs_core::limits::PAGE_BYTES;

use super::access::{self, BusError};
use super::memfd::UserMemory;
use super::{Cache, CachedInode, Protection, Share, Userfaultfd};
use crate::io::UserBuf;

/// One mapping of an inode, as the node knows it.
#[derive(Debug)]
pub(crate) struct Vma {
    memory: UserMemory,
    inode: u64,
    /// The page of the inode that its first page shows.
    first_page: usize,
    share: Share,
    protection: Protection,
}

impl Vma {
    pub(crate) const fn addr(&self) -> usize {
        self.memory.addr()
    }

    pub(crate) const fn end(&self) -> usize {
        self.memory.addr() + self.memory.len()
    }

    pub(crate) const fn inode(&self) -> u64 {
        self.inode
    }

    pub(crate) const fn share(&self) -> Share {
        self.share
    }

    pub(crate) fn writable(&self) -> bool {
        self.protection == Protection::ReadWrite
    }

    pub(crate) const fn memory(&self) -> &UserMemory {
        &self.memory
    }

    /// The byte of the inode that `addr` shows.
    pub(crate) const fn offset_at(&self, addr: usize) -> usize {
        self.first_page * PAGE_BYTES + (addr - self.memory.addr())
    }

    /// Protects what this mapping shows of `pages` against stores. A private mapping shows nothing
    /// that is writable and not its own.
    pub(crate) fn protect(&self, uffd: &Userfaultfd, pages: Range<usize>) -> io::Result<()> {
        let last = self.first_page + self.memory.len() / PAGE_BYTES;
        let shown = pages.start.max(self.first_page)..pages.end.min(last);
        if self.share == Share::Private || shown.is_empty() {
            return Ok(());
        }
        let addr = self.memory.addr() + (shown.start - self.first_page) * PAGE_BYTES;
        uffd.protect(addr, shown.len() * PAGE_BYTES, true)
    }

    pub(crate) fn make_inaccessible(&self) {
        self.memory.make_inaccessible();
    }
}

/// A mapping of a part of an inode into this process. Loads and stores fault for real and are coherent
/// across the nodes. Unmapped when dropped; what was stored stays in the cache and is written back when
/// the glock goes.
///
/// It can be shared by threads. As with any shared mapping, racing accesses see each other's bytes.
#[derive(Debug)]
pub struct Mapping {
    vma: Arc<Vma>,
    inode: Arc<CachedInode>,
    cache: Arc<Cache>,
}

impl Mapping {
    pub(crate) fn new(
        cache: &Arc<Cache>,
        inode: Arc<CachedInode>,
        offset: usize,
        len: usize,
        share: Share,
        protection: Protection,
    ) -> io::Result<Self> {
        access::install();
        let memory = inode.memory().map_user(offset, len, share, protection)?;
        cache.uffd.register(memory.addr(), memory.len())?;
        let first_page = offset / PAGE_BYTES;
        let vma = Arc::new(Vma {
            memory,
            inode: inode.number(),
            first_page,
            share,
            protection,
        });
        inode.add_vma(vma.clone());
        cache.insert_vma(vma.clone());
        Ok(Self {
            vma,
            inode,
            cache: cache.clone(),
        })
    }

    /// Its first address.
    #[must_use]
    pub fn addr(&self) -> usize {
        self.vma.addr()
    }

    /// Its bytes.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a mapping has at least a page")]
    pub fn len(&self) -> usize {
        self.vma.memory.len()
    }

    /// Loads the word at `offset`, a multiple of 8.
    ///
    /// # Errors
    /// [`BusError`] where the page cannot be had: a program would get SIGBUS.
    pub fn try_load_u64(&self, offset: usize) -> Result<u64, BusError> {
        self.vma.memory.load(offset)
    }

    /// Stores a word at `offset`, a multiple of 8.
    ///
    /// # Errors
    /// [`BusError`] where the page cannot be had: a program would get SIGBUS.
    ///
    /// # Panics
    /// If the mapping is read-only, where a program would get SIGSEGV.
    pub fn try_store_u64(&self, offset: usize, value: u64) -> Result<(), BusError> {
        assert!(self.vma.writable(), "a store into a read-only mapping");
        self.vma.memory.store(offset, value)
    }

    /// As [`Self::try_load_u64`].
    ///
    /// # Panics
    /// Where a program would get SIGBUS.
    #[must_use]
    pub fn load_u64(&self, offset: usize) -> u64 {
        self.try_load_u64(offset).expect("a load from a mapping")
    }

    /// As [`Self::try_store_u64`].
    ///
    /// # Panics
    /// Where a program would get SIGBUS or SIGSEGV.
    pub fn store_u64(&self, offset: usize, value: u64) {
        self.try_store_u64(offset, value)
            .expect("a store into a mapping");
    }

    /// A part of it as a buffer for I/O.
    #[must_use]
    pub fn buf(&self, offset: usize, len: usize) -> UserBuf {
        assert!(offset + len <= self.len(), "a buffer outside the mapping");
        UserBuf {
            addr: self.addr() + offset,
            len,
        }
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let addr = self.vma.addr();
        self.cache.remove_vma(addr);
        self.inode.remove_vma(addr);
        // An I/O in flight may keep the address range for a moment longer; without a fault handler nobody
        // may touch it.
        self.vma.make_inaccessible();
        // Wakes whoever is asleep in a fault here; the pages themselves stay cached.
        let _ = self.cache.uffd.unregister(addr, self.vma.memory.len());
    }
}

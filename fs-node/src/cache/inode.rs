//! One inode's pages: filled from the volume, mapped into user space, written back, dropped.
//!
//! Whoever brings a page in, maps it or pins it holds the inode's glock locally while he does it;
//! whoever revokes runs when nobody holds it. So the glock decides who may, and the page lock, the mutex
//! in here, makes each single step whole. Nothing is waited for under it.

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use fs_core::fault::Access;
use fs_core::limits::PAGE_BYTES;
use fs_core::page::{Lookup, Pages};

use super::{AlignedBuf, Cache, CacheCounters, Memory, Share, Userfaultfd, Vma};
use crate::store::{RawBuf, Volume};

/// Pages written back by one call: large enough to be cheap, small enough to copy at once.
const WRITE_BACK_PAGES: usize = 64;

/// What the page lock protects.
#[derive(Debug)]
struct Inner {
    pages: Pages,
    vmas: Vec<Arc<Vma>>,
}

/// An inode in the cache.
#[derive(Debug)]
pub(crate) struct CachedInode {
    number: u64,
    memory: Memory,
    inner: Mutex<Inner>,
    /// Something that an operation may wait for changed: a fill or write-back ended, a pin went.
    changed: Condvar,
    last_use: AtomicU64,
    volume: Arc<dyn Volume>,
    uffd: Arc<Userfaultfd>,
    counters: Arc<CacheCounters>,
    resident: Arc<AtomicUsize>,
}

impl CachedInode {
    pub(crate) fn new(number: u64, bytes: u64, cache: &Cache) -> io::Result<Self> {
        let bytes = bytes as usize;
        let memory = Memory::new(c"glockwork-inode", bytes)?;
        let pages = Pages::new(bytes / PAGE_BYTES);
        Ok(Self {
            number,
            memory,
            inner: Mutex::new(Inner {
                pages,
                vmas: Vec::new(),
            }),
            changed: Condvar::new(),
            last_use: AtomicU64::new(0),
            volume: cache.volume.clone(),
            uffd: cache.uffd.clone(),
            counters: cache.counters.clone(),
            resident: cache.resident_count(),
        })
    }

    pub(crate) const fn number(&self) -> u64 {
        self.number
    }

    pub(crate) const fn bytes(&self) -> usize {
        self.memory.len()
    }

    pub(crate) const fn page_count(&self) -> usize {
        self.memory.len() / PAGE_BYTES
    }

    pub(crate) const fn memory(&self) -> &Memory {
        &self.memory
    }

    pub(crate) fn used(&self, now: u64) {
        self.last_use.store(now, Ordering::Relaxed);
    }

    pub(crate) fn last_use(&self) -> u64 {
        self.last_use.load(Ordering::Relaxed)
    }

    pub(crate) fn resident(&self) -> usize {
        self.lock().pages.resident()
    }

    pub(crate) fn is_resident(&self, index: usize) -> bool {
        self.lock().pages.is_resident(index)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("a page lock's holder panicked")
    }

    fn wait<'a>(&self, inner: MutexGuard<'a, Inner>) -> MutexGuard<'a, Inner> {
        self.changed
            .wait(inner)
            .expect("a page lock's holder panicked")
    }

    /// Brings page `index` in and returns with the page lock held and the page there. The caller holds
    /// the glock in a state that covers `access`; a page to be written is dirty from now on.
    fn page(&self, index: usize, access: Access) -> io::Result<MutexGuard<'_, Inner>> {
        let mut inner = self.lock();
        loop {
            match inner.pages.look_up(index) {
                Lookup::Resident => break,
                Lookup::Wait => inner = self.wait(inner),
                Lookup::Fill => {
                    drop(inner);
                    let result = self.fill(index);
                    inner = self.lock();
                    inner.pages.filled(index, result.is_ok());
                    self.changed.notify_all();
                    result?;
                    self.resident.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        if access == Access::Write {
            inner.pages.mark_dirty(index);
        }
        Ok(inner)
    }

    fn fill(&self, index: usize) -> io::Result<()> {
        let offset = index * PAGE_BYTES;
        let buf = RawBuf {
            addr: self.memory.address(offset),
            len: PAGE_BYTES,
        };
        let got = self.volume.read(self.number, offset as u64, &[buf])?;
        self.counters.fills.fetch_add(1, Ordering::Relaxed);
        if got == PAGE_BYTES {
            Ok(())
        } else {
            Err(io::ErrorKind::UnexpectedEof.into())
        }
    }

    /// Brings page `index` in, and nothing else. For a fault-in with no lock to keep.
    pub(crate) fn fault_in(&self, index: usize, access: Access) -> io::Result<()> {
        self.page(index, access).map(drop)
    }

    /// Serves a fault of user space: brings the page in and maps it at `addr`.
    pub(crate) fn map_page(
        &self,
        index: usize,
        access: Access,
        vma: &Vma,
        addr: usize,
        protected: bool,
    ) -> io::Result<()> {
        let inner = self.page(index, access)?;
        // The page lock is held: no invalidation comes between the look and the mapping.
        let result = if protected && access == Access::Write {
            self.uffd.protect(addr, PAGE_BYTES, false)
        } else {
            // A private mapping is mapped read-only by the kernel, and its first store makes a copy
            // without a word to us; a shared one is protected until somebody writes.
            let protect = vma.share() == Share::Shared && access == Access::Read;
            self.uffd.map_page(addr, PAGE_BYTES, protect)
        };
        drop(inner);
        match result {
            // The mapping went away in the meantime; whoever is asleep there was woken by that.
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(()),
            other => other,
        }
    }

    /// Brings page `index` in and pins it.
    pub(crate) fn pin(&self, index: usize, access: Access) -> io::Result<()> {
        self.page(index, access)?.pages.pin(index);
        Ok(())
    }

    pub(crate) fn unpin(&self, index: usize, access: Access) {
        self.lock().pages.unpin(index, access == Access::Write);
        self.changed.notify_all();
    }

    /// Copies from the cache, at most to the end of the page that `offset` lies in.
    pub(crate) fn copy_out(&self, offset: usize, to: &mut [u8]) -> io::Result<()> {
        let inner = self.page(offset / PAGE_BYTES, Access::Read)?;
        self.memory.copy_to(offset, to);
        drop(inner);
        Ok(())
    }

    /// Copies into the cache, at most to the end of the page that `offset` lies in.
    pub(crate) fn copy_in(&self, offset: usize, from: &[u8]) -> io::Result<()> {
        let inner = self.page(offset / PAGE_BYTES, Access::Write)?;
        self.memory.copy_from(offset, from);
        drop(inner);
        Ok(())
    }

    /// Writes the dirty pages of `range` back and waits until none is being written.
    ///
    /// A page is protected, marked clean and copied under the page lock, and the copy is written: a
    /// store that comes later faults and makes the page dirty again, a pin that is in flight does so
    /// when it goes.
    ///
    /// # Errors
    /// The device's; the pages are dirty again.
    pub(crate) fn write_back(&self, range: Range<usize>) -> io::Result<()> {
        let mut copy: Option<AlignedBuf> = None;
        let mut inner = self.lock();
        loop {
            let Some(run) = inner
                .pages
                .begin_write_back(range.clone(), WRITE_BACK_PAGES)
            else {
                if !inner.pages.unclean(range.clone()) {
                    return Ok(());
                }
                inner = self.wait(inner);
                continue;
            };
            let mut vmas = inner.vmas.iter();
            if let Err(error) = vmas.try_for_each(|vma| vma.protect(&self.uffd, run.clone())) {
                inner.pages.written_back(run, false);
                self.changed.notify_all();
                return Err(error);
            }
            let (offset, len) = (run.start * PAGE_BYTES, run.len() * PAGE_BYTES);
            let buf = copy.get_or_insert_with(|| AlignedBuf::new(WRITE_BACK_PAGES * PAGE_BYTES));
            self.memory.copy_to(offset, &mut buf[..len]);
            drop(inner);
            let raw = RawBuf {
                addr: buf.addr(),
                len,
            };
            let result = self.volume.write(self.number, offset as u64, &[raw]);
            self.counters
                .write_backs
                .fetch_add(run.len() as u64, Ordering::Relaxed);
            inner = self.lock();
            inner.pages.written_back(run, result.is_ok());
            self.changed.notify_all();
            result?;
        }
    }

    /// Writes back and drops the pages of `range`, so that direct I/O meets none of them. Waits for
    /// their pins.
    ///
    /// # Errors
    /// The device's; dirty pages stay.
    pub(crate) fn clear(&self, range: Range<usize>) -> io::Result<()> {
        loop {
            self.write_back(range.clone())?;
            let mut inner = self.lock();
            while inner.pages.busy(range.clone()) {
                inner = self.wait(inner);
            }
            if !inner.pages.unclean(range.clone()) {
                self.drop_pages(&mut inner, range);
                return Ok(());
            }
        }
    }

    /// The glock is about to go: drops every page, from every mapping too. What is still dirty could
    /// not be written back and is lost with it.
    pub(crate) fn invalidate(&self) {
        let all = 0..self.page_count();
        let mut inner = self.lock();
        while inner.pages.busy(all.clone()) {
            inner = self.wait(inner);
        }
        if inner.pages.unclean(all.clone()) {
            self.resident
                .fetch_sub(inner.pages.resident(), Ordering::Relaxed);
            inner.pages.abandon();
            self.punch(all);
        } else {
            self.drop_pages(&mut inner, all);
        }
    }

    /// Drops up to `count` pages that nobody needs now, the clean ones first.
    pub(crate) fn reclaim(&self, count: usize) {
        let all = 0..self.page_count();
        if self.lock().pages.resident() > 0 && self.write_back(all.clone()).is_err() {
            return;
        }
        let mut inner = self.lock();
        let mut dropped = 0;
        let mut from = 0;
        while dropped < count {
            let Some(run) = inner.pages.droppable(from..all.end) else {
                break;
            };
            let run = run.start..run.end.min(run.start + count - dropped);
            from = run.end;
            dropped += run.len();
            self.drop_pages(&mut inner, run);
        }
    }

    fn drop_pages(&self, inner: &mut Inner, range: Range<usize>) {
        let dropped = inner.pages.drop_range(range.clone());
        if dropped > 0 {
            self.resident.fetch_sub(dropped, Ordering::Relaxed);
            self.punch(range);
        }
    }

    /// Takes the bytes away from every mapping of the inode at once. A page that a private mapping has
    /// copied is its owner's and stays.
    fn punch(&self, range: Range<usize>) {
        // Without it, stale pages stay readable under no lock: there is nothing to go on with.
        self.memory
            .punch(range)
            .expect("dropping pages of a memory file");
    }

    /// A mapping of the inode was made: revocation has to reach it.
    pub(crate) fn add_vma(&self, vma: Arc<Vma>) {
        self.lock().vmas.push(vma);
    }

    pub(crate) fn remove_vma(&self, addr: usize) {
        self.lock().vmas.retain(|vma| vma.addr() != addr);
    }
}

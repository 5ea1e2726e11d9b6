//! Memory that the cache owns: memory files, the node's own view of them, and user space's mappings.
//!
//! A memory file holds the pages of one inode. The node sees all of it through an *alias*, a mapping
//! that userfaultfd never hears of, so that the node's own accesses, and I/O on its pages, never wait
//! for the node. User space's mappings of the same file are separate, and are registered.

use std::ffi::CStr;
use std::io;
use std::ops::Range;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use fs_core::limits::PAGE_BYTES;

use super::access::{self, BusError};

/// A memory file and the node's alias of it.
#[derive(Debug)]
pub(crate) struct Memory {
    fd: OwnedFd,
    alias: usize,
    len: usize,
}

/// Who sees what is stored into a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// Everybody: stores go to the file (MAP_SHARED).
    Shared,
    /// Nobody else: the first store to a page copies it (MAP_PRIVATE).
    Private,
}

/// What user space may do in a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// Load only.
    Read,
    /// Load and store.
    ReadWrite,
}

impl Memory {
    /// A memory file of `len` bytes, a multiple of the page; it takes no memory until pages come.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn new(name: &CStr, len: usize) -> io::Result<Self> {
        // SAFETY: the name is a C string; the call returns a new descriptor or -1.
        let fd = unsafe { libc::memfd_create(name.as_ptr(), libc::MFD_CLOEXEC) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the kernel just made this descriptor for us.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: a plain system call on our descriptor.
        if unsafe { libc::ftruncate(fd.as_raw_fd(), len as libc::off_t) } < 0 {
            return Err(io::Error::last_os_error());
        }
        let alias = map(
            &fd,
            0,
            len,
            libc::MAP_SHARED,
            libc::PROT_READ | libc::PROT_WRITE,
        )?;
        Ok(Self { fd, alias, len })
    }

    /// Bytes in the file.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Where byte `offset` is in the node's own view. For system calls that read or write it there.
    pub(crate) fn address(&self, offset: usize) -> usize {
        assert!(offset < self.len);
        self.alias + offset
    }

    /// Copies from the node's own view. Bytes that user space stores at the same moment may be torn,
    /// as they are for anybody who reads a shared mapping.
    pub(crate) fn copy_to(&self, offset: usize, to: &mut [u8]) {
        assert!(offset + to.len() <= self.len);
        // SAFETY: the range lies in the alias, which lives as long as `self`; `to` is ours alone.
        unsafe {
            ptr::copy_nonoverlapping(
                (self.alias + offset) as *const u8,
                to.as_mut_ptr(),
                to.len(),
            );
        }
    }

    /// Copies into the node's own view.
    pub(crate) fn copy_from(&self, offset: usize, from: &[u8]) {
        assert!(offset + from.len() <= self.len);
        // SAFETY: the range lies in the alias, of which no Rust reference exists; `from` is valid.
        unsafe {
            ptr::copy_nonoverlapping(from.as_ptr(), (self.alias + offset) as *mut u8, from.len());
        }
    }

    /// Drops the bytes of whole pages: they leave every mapping of the file, pages that a private
    /// mapping has copied excepted, and the memory is free.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn punch(&self, pages: Range<usize>) -> io::Result<()> {
        let mode = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
        let start = (pages.start * PAGE_BYTES) as libc::off_t;
        let len = (pages.len() * PAGE_BYTES) as libc::off_t;
        // SAFETY: a plain system call on our descriptor.
        let result = unsafe { libc::fallocate(self.fd.as_raw_fd(), mode, start, len) };
        if result < 0 {
            Err(io::Error::last_os_error())
        } else {
            Ok(())
        }
    }

    /// Maps a part of the file for user space. Forks do not inherit it: a child would read and write
    /// without any lock.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) fn map_user(
        &self,
        offset: usize,
        len: usize,
        share: Share,
        protection: Protection,
    ) -> io::Result<UserMemory> {
        assert!(offset + len <= self.len);
        let flags = match share {
            Share::Shared => libc::MAP_SHARED,
            Share::Private => libc::MAP_PRIVATE,
        };
        let access = match protection {
            Protection::Read => libc::PROT_READ,
            Protection::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
        };
        Ok(UserMemory {
            addr: map(&self.fd, offset, len, flags, access)?,
            len,
        })
    }

    /// Copies between this file and an address that may not be mapped at all: the kernel copies, and
    /// says EFAULT where a load or store would end the process. Returns the bytes copied.
    ///
    /// # Errors
    /// EFAULT where not even the first byte is there.
    pub(crate) fn fetch_user(&self, offset: usize, addr: usize, len: usize) -> io::Result<usize> {
        // SAFETY: the kernel checks the address; it reads there and writes into our file.
        let done = unsafe {
            libc::pwrite(
                self.fd.as_raw_fd(),
                addr as *const _,
                len,
                offset as libc::off_t,
            )
        };
        usize::try_from(done).map_err(|_| io::Error::last_os_error())
    }

    /// The other way of [`Self::fetch_user`].
    ///
    /// # Errors
    /// EFAULT where not even the first byte is there.
    pub(crate) fn store_user(&self, offset: usize, addr: usize, len: usize) -> io::Result<usize> {
        // SAFETY: the kernel checks the address; whoever called the node with it owns the memory there,
        // as with read(2).
        let done = unsafe {
            libc::pread(
                self.fd.as_raw_fd(),
                addr as *mut _,
                len,
                offset as libc::off_t,
            )
        };
        usize::try_from(done).map_err(|_| io::Error::last_os_error())
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: the alias is ours and nothing points into it once its owner goes.
        unsafe { libc::munmap(self.alias as *mut _, self.len) };
    }
}

/// A mapping that user space's loads and stores go to. Unmapped when dropped.
#[derive(Debug)]
pub(crate) struct UserMemory {
    addr: usize,
    len: usize,
}

impl UserMemory {
    /// Where it starts.
    pub(crate) const fn addr(&self) -> usize {
        self.addr
    }

    /// Its bytes.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// A load of user space: a real one, which faults.
    ///
    /// # Errors
    /// [`BusError`] where the page cannot be had.
    pub(crate) fn load(&self, offset: usize) -> Result<u64, BusError> {
        assert!(
            offset.is_multiple_of(8) && offset + 8 <= self.len,
            "load outside the mapping"
        );
        // SAFETY: in the mapping and aligned.
        unsafe { access::load(self.addr + offset) }
    }

    /// A store of user space: a real one, which faults. The caller checked that it is writable.
    ///
    /// # Errors
    /// [`BusError`] where the page cannot be had.
    pub(crate) fn store(&self, offset: usize, value: u64) -> Result<(), BusError> {
        assert!(
            offset.is_multiple_of(8) && offset + 8 <= self.len,
            "store outside the mapping"
        );
        // SAFETY: in the mapping and aligned; no Rust reference points into it.
        unsafe { access::store(self.addr + offset, value) }
    }

    /// Copies out of the mapping by plain loads, which fault.
    ///
    /// # Errors
    /// [`BusError`] where a page cannot be had.
    pub(crate) fn copy_to(&self, offset: usize, to: &mut [u8]) -> Result<(), BusError> {
        assert!(offset + to.len() <= self.len);
        // SAFETY: in the mapping; `to` is ours alone.
        unsafe { access::copy(to.as_mut_ptr() as usize, self.addr + offset, to.len()) }
    }

    /// Copies into the mapping by plain stores, which fault.
    ///
    /// # Errors
    /// [`BusError`] where a page cannot be had.
    pub(crate) fn copy_from(&self, offset: usize, from: &[u8]) -> Result<(), BusError> {
        assert!(offset + from.len() <= self.len);
        // SAFETY: in the mapping, of which no Rust reference exists.
        unsafe { access::copy(self.addr + offset, from.as_ptr() as usize, from.len()) }
    }

    /// Takes every access away: from now on a load or store is a SIGSEGV instead of a page of zeros.
    pub(crate) fn make_inaccessible(&self) {
        // SAFETY: the mapping is ours; whoever loads from it afterwards is told so by a signal.
        unsafe { libc::mprotect(self.addr as *mut _, self.len, libc::PROT_NONE) };
    }
}

impl Drop for UserMemory {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours; its owner is the only one who hands out its address.
        unsafe { libc::munmap(self.addr as *mut _, self.len) };
    }
}

/// Page-aligned plain memory, as user space would have it from `posix_memalign`.
#[derive(Debug)]
pub struct AlignedBuf {
    memory: UserMemory,
}

impl AlignedBuf {
    /// Zeros, at least one page.
    ///
    /// # Panics
    /// If there is no memory.
    #[must_use]
    pub fn new(len: usize) -> Self {
        let len = len.max(1).next_multiple_of(PAGE_BYTES);
        // SAFETY: a new anonymous mapping; nothing else is there.
        let addr = unsafe {
            libc::mmap(
                ptr::null_mut(),
                len,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(
            addr,
            libc::MAP_FAILED,
            "no memory for a buffer of {len} bytes"
        );
        Self {
            memory: UserMemory {
                addr: addr as usize,
                len,
            },
        }
    }

    /// Where it starts.
    #[must_use]
    pub const fn addr(&self) -> usize {
        self.memory.addr
    }
}

impl std::ops::Deref for AlignedBuf {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the mapping is ours, initialized (zeros), and borrowed through `self`.
        unsafe { std::slice::from_raw_parts(self.memory.addr as *const u8, self.memory.len) }
    }
}

impl std::ops::DerefMut for AlignedBuf {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and borrowed exclusively.
        unsafe { std::slice::from_raw_parts_mut(self.memory.addr as *mut u8, self.memory.len) }
    }
}

fn map(fd: &OwnedFd, offset: usize, len: usize, flags: i32, access: i32) -> io::Result<usize> {
    // SAFETY: a new mapping at a place that the kernel chooses; nothing else is there.
    let addr = unsafe {
        libc::mmap(
            ptr::null_mut(),
            len,
            access,
            flags,
            fd.as_raw_fd(),
            offset as libc::off_t,
        )
    };
    if addr == libc::MAP_FAILED {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the mapping was just made.
    unsafe { libc::madvise(addr, len, libc::MADV_DONTFORK) };
    Ok(addr as usize)
}

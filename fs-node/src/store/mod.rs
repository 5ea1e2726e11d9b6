//! Where the bytes of a volume's files are.

mod error;
mod faulty;
mod file;
mod flat;
mod raw_page;

pub use error::VolumeError;
pub use faulty::{FaultyVolume, StoreFault};
pub use flat::FlatVolume;
pub use raw_page::RawPage;

use std::io;

/// A piece of memory that the kernel is to read or write; it checks the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawBuf {
    /// Its address in this process.
    pub addr: usize,
    /// Its bytes.
    pub len: usize,
}

/// A volume, shared by every node, without any cache in between.
pub trait Volume: Send + Sync + std::fmt::Debug {
    /// Its number, the first half of every lock-order key.
    fn number(&self) -> u32;

    /// How long the regular file `inode` is, if there is one of that number.
    fn inode_bytes(&self, inode: u64) -> Option<u64>;

    /// Reads from `offset` of `inode` into `bufs`, one after the other; returns the bytes read, less than
    /// asked for only where an address in `bufs` is not mapped.
    ///
    /// # Errors
    /// EFAULT where the very first byte has no address; EINVAL outside the inode; whatever the device
    /// says.
    fn read(&self, inode: u64, offset: u64, bufs: &[RawBuf]) -> io::Result<usize>;

    /// Writes `bufs` at `offset` of `inode`; as [`Self::read`].
    ///
    /// # Errors
    /// As [`Self::read`].
    fn write(&self, inode: u64, offset: u64, bufs: &[RawBuf]) -> io::Result<usize>;

    /// What was written survives a loss of power after this.
    ///
    /// # Errors
    /// Whatever the device says.
    fn flush(&self) -> io::Result<()>;

    /// Offsets, lengths and addresses are multiples of this.
    fn alignment(&self) -> usize;
}

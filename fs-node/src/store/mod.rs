//! Where a volume's bytes are.

mod file;

pub use file::{FileStore, VolumeError};

use std::io;

/// A piece of memory that the kernel is to read or write; it checks the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawBuf {
    /// Its address in this process.
    pub addr: usize,
    /// Its bytes.
    pub len: usize,
}

/// A volume's bytes, shared by every node, without any cache in between.
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Reads from `offset` into `bufs`, one after the other; returns the bytes read, less than asked
    /// for only where an address in `bufs` is not mapped.
    ///
    /// # Errors
    /// EFAULT where the very first byte has no address; whatever the device says.
    fn read(&self, offset: u64, bufs: &[RawBuf]) -> io::Result<usize>;

    /// Writes `bufs` at `offset`; as [`Self::read`].
    ///
    /// # Errors
    /// As [`Self::read`].
    fn write(&self, offset: u64, bufs: &[RawBuf]) -> io::Result<usize>;

    /// What was written survives a loss of power after this.
    ///
    /// # Errors
    /// Whatever the device says.
    fn flush(&self) -> io::Result<()>;

    /// Offsets, lengths and addresses are multiples of this.
    fn alignment(&self) -> usize;
}

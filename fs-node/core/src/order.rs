//! The one order of locks, the same on every node.
//!
//! Globally: rename glock, directories, regular inodes by [`Key`], quota and resource groups,
//! transaction, page. A direct I/O takes regular inodes only, so for the fault protocol the order is
//! that of the keys. A page's lock (the mutex of its inode's cache) is innermost: nothing is waited for
//! under it but the page's own read from the volume.

use core::fmt;

/// Where a regular inode stands in the order of locks: its volume, then its inode number.
///
/// bcachefs orders by the address of the mapping, which means nothing on another machine; a cluster
/// needs a key that every node computes alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The volume. One I/O can touch mappings of two.
    pub volume: u32,
    /// The inode's number in it.
    pub inode: u64,
}

impl Key {
    /// The key of inode `inode` on the volume `volume`.
    #[must_use]
    pub const fn new(volume: u32, inode: u64) -> Self {
        Self { volume, inode }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{:x}", self.volume, self.inode)
    }
}

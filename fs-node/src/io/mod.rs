//! I/O on user memory.

mod bounce;
mod buffered;
mod direct;
mod pieces;

use dlm_client::glocks::GlockError;

pub(crate) use buffered::{buffered_read, buffered_write};
pub(crate) use direct::direct;

/// A piece of user memory: plain memory, or a part of a mapping of any inode of the volume, or both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UserBuf {
    /// Its first address.
    pub addr: usize,
    /// Its bytes.
    pub len: usize,
}

impl UserBuf {
    /// A part of plain memory.
    #[must_use]
    pub fn of(memory: &mut [u8]) -> Self {
        Self {
            addr: memory.as_mut_ptr() as usize,
            len: memory.len(),
        }
    }
}

/// How an I/O went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Bytes transferred, as read(2) and write(2) return them.
    pub bytes: usize,
    /// Walks over the buffer that were started again.
    pub retries: u32,
    /// Trylocks that failed.
    pub trylock_failed: u32,
    /// Times that locks were dropped and taken again.
    pub lock_cycles: u32,
    /// Whether some of it went through bounce memory.
    pub bounced: bool,
    /// Whether the policy gave up and another path finished.
    pub fallback: bool,
}

/// Why an I/O transferred nothing.
#[derive(Debug, thiserror::Error)]
pub enum IoError {
    /// The buffer's first byte is not mapped, or not with the access needed.
    #[error("EFAULT: the buffer's first address is not mapped with the access that the I/O needs")]
    Fault,
    /// Direct I/O on something unaligned.
    #[error("EINVAL: direct I/O wants offset, addresses and lengths to be multiples of {align}")]
    Unaligned {
        /// The multiple, in bytes.
        align: usize,
    },
    /// No such inode.
    #[error("ENOENT: the volume has no inode {0}")]
    NoInode(u64),
    /// A write that starts at the end of the inode or after it; a flat volume's inodes do not grow.
    #[error("EFBIG: a write at {offset} is beyond the inode's {bytes} bytes, and it does not grow")]
    BeyondEnd {
        /// Where the write starts.
        offset: u64,
        /// The inode's size.
        bytes: u64,
    },
    /// A page of a mapping cannot be had.
    #[error("EFAULT: {0}")]
    Bus(#[from] crate::cache::BusError),
    /// The node interrupts its tasks.
    #[error("EINTR: interrupted while waiting for a lock")]
    Interrupted,
    /// The lock server's session is gone, and all locks with it.
    #[error("EIO: {0}")]
    SessionLost(String),
    /// The glock layer refused, or a hook failed.
    #[error("EIO: {0}")]
    Lock(String),
    /// The volume's device failed.
    #[error("EIO: the volume: {0}")]
    Volume(#[from] std::io::Error),
}

impl From<GlockError> for IoError {
    fn from(error: GlockError) -> Self {
        match error {
            GlockError::Interrupted => Self::Interrupted,
            GlockError::SessionLost(why) => Self::SessionLost(why.to_string()),
            other => Self::Lock(other.to_string()),
        }
    }
}

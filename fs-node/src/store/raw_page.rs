//! One page of an inode as it is on the volume.

use std::io;
use std::sync::Arc;

use fs_core::limits::PAGE_BYTES;

use super::{RawBuf, Volume};
use crate::cache::AlignedBuf;

/// The first page of an inode, past the page cache and without a glock.
#[derive(Debug)]
pub struct RawPage {
    volume: Arc<dyn Volume>,
    inode: u64,
    buf: AlignedBuf,
}

impl RawPage {
    pub(crate) fn new(volume: &Arc<dyn Volume>, inode: u64) -> Option<Self> {
        volume.inode_bytes(inode)?;
        Some(Self {
            volume: Arc::clone(volume),
            inode,
            buf: AlignedBuf::new(PAGE_BYTES),
        })
    }

    /// Reads it.
    ///
    /// # Errors
    /// The device's.
    pub fn read(&mut self) -> io::Result<()> {
        let bufs = [self.place()];
        whole(self.volume.read(self.inode, 0, &bufs)?)
    }

    /// Writes it.
    ///
    /// # Errors
    /// The device's.
    pub fn write(&mut self) -> io::Result<()> {
        let bufs = [self.place()];
        whole(self.volume.write(self.inode, 0, &bufs)?)
    }

    /// One of its 512 words, as it was read or set.
    ///
    /// # Panics
    /// There is no such word.
    #[must_use]
    pub fn word(&self, at: usize) -> u64 {
        let bytes = self.buf[at * 8..][..8].try_into();
        u64::from_le_bytes(bytes.expect("eight bytes"))
    }

    /// Sets one of its words.
    ///
    /// # Panics
    /// There is no such word.
    pub fn set_word(&mut self, at: usize, word: u64) {
        self.buf[at * 8..][..8].copy_from_slice(&word.to_le_bytes());
    }

    fn place(&self) -> RawBuf {
        RawBuf {
            addr: self.buf.addr(),
            len: PAGE_BYTES,
        }
    }
}

fn whole(bytes: usize) -> io::Result<()> {
    if bytes == PAGE_BYTES {
        Ok(())
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

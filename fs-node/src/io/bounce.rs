//! Copies between user memory and memory of the node, with no lock held: the user's pages fault freely.

use std::ffi::CStr;
use std::sync::atomic::Ordering;

use dlm_client::glocks::HolderRequest;
use dlm_client::{GlockName, HolderFlags, Role};
use fs_core::fault::Access;
use fs_core::limits::PAGE_BYTES;

use super::IoError;
use super::pieces::{Piece, Place};
use crate::cache::{Memory, Share, Vma, page_of};
use crate::node::Task;

const NAME: &CStr = c"glockwork-bounce";

/// Memory of the node as large as the pieces that it stands for.
pub(super) struct Bounce {
    pub(super) memory: Memory,
}

impl Bounce {
    pub(super) fn new(bytes: usize) -> Result<Self, IoError> {
        let bytes = bytes.max(1).next_multiple_of(PAGE_BYTES);
        Ok(Self {
            memory: Memory::new(NAME, bytes)?,
        })
    }

    /// Copies a piece of user memory in, to `to`; returns the bytes copied.
    ///
    /// # Errors
    /// A lock that cannot be had; a page that cannot be read.
    pub(super) fn copy_in(&self, task: &Task, piece: &Piece, to: usize) -> Result<usize, IoError> {
        let mut block = vec![0; piece.len];
        match &piece.place {
            Place::Plain => {
                return Ok(self
                    .memory
                    .fetch_user(to, piece.addr, piece.len)
                    .unwrap_or(0));
            }
            Place::Mapped(vma) if vma.share() == Share::Private => {
                vma.memory().copy_to(piece.addr - vma.addr(), &mut block)?;
            }
            Place::Mapped(vma) => {
                let inode = hold(task, vma, piece, Access::Read)?;
                inode.inode.copy_out(inode.offset, &mut block)?;
            }
        }
        self.memory.copy_from(to, &block);
        Ok(piece.len)
    }

    /// Copies from `from` out to a piece of user memory; returns the bytes copied.
    ///
    /// # Errors
    /// A lock that cannot be had; a page that cannot be read.
    pub(super) fn copy_out(
        &self,
        task: &Task,
        piece: &Piece,
        from: usize,
    ) -> Result<usize, IoError> {
        if let Place::Plain = piece.place {
            return Ok(self
                .memory
                .store_user(from, piece.addr, piece.len)
                .unwrap_or(0));
        }
        let mut block = vec![0; piece.len];
        self.memory.copy_to(from, &mut block);
        match &piece.place {
            Place::Mapped(vma) if vma.share() == Share::Shared => {
                let inode = hold(task, vma, piece, Access::Write)?;
                inode.inode.copy_in(inode.offset, &block)?;
            }
            Place::Mapped(vma) => vma.memory().copy_from(piece.addr - vma.addr(), &block)?,
            Place::Plain => unreachable!("handled above"),
        }
        Ok(piece.len)
    }
}

/// An inode under a glock that is held for one page.
struct Held {
    inode: std::sync::Arc<crate::cache::CachedInode>,
    offset: usize,
    _holder: dlm_client::glocks::Holder,
}

/// Enters the fault handler as a function: takes the glock of the page that `piece` lies in.
fn hold(task: &Task, vma: &Vma, piece: &Piece, access: Access) -> Result<Held, IoError> {
    let node = task.node();
    let inode = node.inode(vma.inode())?;
    let holder = node.glocks.lock(HolderRequest {
        name: GlockName::inode(vma.inode()),
        state: access.state(),
        flags: HolderFlags::empty(),
        owner: task.owner(),
        role: Role::Fault,
    })?;
    let offset = vma.offset_at(piece.addr);
    debug_assert_eq!(page_of(offset), page_of(offset + piece.len - 1));
    node.cache.counters.faults.fetch_add(1, Ordering::Relaxed);
    Ok(Held {
        inode,
        offset,
        _holder: holder,
    })
}

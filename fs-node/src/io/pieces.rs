//! What a buffer consists of: the node knows its own mappings, so it can tell before it touches anything.

use std::sync::Arc;

use fs_core::fault::Access;
use fs_core::limits::PAGE_BYTES;

use super::UserBuf;
use crate::cache::{Cache, Share, Vma};

/// The longest piece in a private mapping: it is bounced whole, and bounce memory is bounded.
const PRIVATE_BYTES: usize = 1 << 20;

/// Where a piece of a buffer lies.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// Memory that is no mapping of the volume; the kernel knows whether it is there.
    Plain,
    /// In a mapping. A piece in a shared mapping lies in one page.
    Mapped(Arc<Vma>),
}

/// A piece of a buffer.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    pub(super) addr: usize,
    pub(super) len: usize,
    /// Where it is in the I/O, in bytes from its start.
    pub(super) at: usize,
    pub(super) place: Place,
    /// Whether it goes through bounce memory.
    pub(super) bounced: bool,
}

impl Piece {
    /// The shared mapping that it lies in.
    pub(super) fn shared(&self) -> Option<&Arc<Vma>> {
        match &self.place {
            Place::Mapped(vma) if vma.share() == Share::Shared => Some(vma),
            _ => None,
        }
    }

    /// Whether the mapping it lies in allows `access`. Plain memory is the kernel's to judge.
    pub(super) fn allows(&self, access: Access) -> bool {
        match &self.place {
            Place::Plain => true,
            Place::Mapped(vma) => access == Access::Read || vma.writable(),
        }
    }

    pub(super) const fn end(&self) -> usize {
        self.at + self.len
    }
}

/// Cuts the first `total` bytes of `bufs` into pieces. What lies in a private mapping is bounced: its
/// pages may be its owner's copies, which the cache does not have.
pub(super) fn cut(cache: &Cache, bufs: &[UserBuf], total: usize) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut at = 0;
    for buf in bufs {
        let end = buf.addr.saturating_add(buf.len.min(total - at));
        let mut addr = buf.addr;
        while addr < end {
            let vma = cache.vma_at(addr);
            let len = match &vma {
                Some(vma) if vma.share() == Share::Shared => {
                    let page_end = (addr / PAGE_BYTES + 1) * PAGE_BYTES;
                    end.min(page_end) - addr
                }
                Some(vma) => end.min(vma.end()).min(addr + PRIVATE_BYTES) - addr,
                None => {
                    cache
                        .next_vma_start(addr)
                        .map_or(end, |start| end.min(start))
                        - addr
                }
            };
            let bounced = vma
                .as_ref()
                .is_some_and(|vma| vma.share() == Share::Private);
            let place = vma.map_or(Place::Plain, Place::Mapped);
            pieces.push(Piece {
                addr,
                len,
                at,
                place,
                bounced,
            });
            addr += len;
            at += len;
        }
    }
    pieces
}

/// The access-checked length: bytes up to the first piece whose mapping does not allow `access`.
pub(super) fn allowed(pieces: &[Piece], access: Access) -> usize {
    let bad = pieces.iter().find(|piece| !piece.allows(access));
    bad.map_or_else(|| pieces.last().map_or(0, Piece::end), |piece| piece.at)
}

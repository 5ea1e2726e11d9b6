//! Buffered I/O: through the page cache, under SH to read and EX to write.
//!
//! User memory is touched with no lock held, before the glock is taken or after it is released, so that
//! the buffer may lie in any mapping, one of the same file included.

use dlm_client::glocks::{Holder, HolderRequest};
use dlm_client::{GlockName, HolderFlags, Role};
use fs_core::fault::{Access, Direction};
use fs_core::limits::PAGE_BYTES;

use super::bounce::Bounce;
use super::pieces::{self, Piece};
use super::{IoError, Outcome, UserBuf};
use crate::cache::CachedInode;
use crate::node::Task;

/// Bytes moved under one hold of the glock.
const CHUNK_BYTES: usize = 256 << 10;

pub(crate) fn buffered_read(
    task: &Task,
    number: u64,
    offset: u64,
    bufs: &[UserBuf],
) -> Result<Outcome, IoError> {
    transfer(task, Direction::Read, number, offset, bufs)
}

pub(crate) fn buffered_write(
    task: &Task,
    number: u64,
    offset: u64,
    bufs: &[UserBuf],
) -> Result<Outcome, IoError> {
    transfer(task, Direction::Write, number, offset, bufs)
}

fn transfer(
    task: &Task,
    direction: Direction,
    number: u64,
    offset: u64,
    bufs: &[UserBuf],
) -> Result<Outcome, IoError> {
    let inode = task.node().inode(number)?;
    let total = super::direct::length(&inode, direction, offset, bufs)?;
    let pieces = pieces::cut(&task.node().cache, bufs, total);
    let bytes = move_pieces(task, direction, &inode, offset as usize, &pieces)?;
    task.node().cache.reclaim(number);
    Ok(Outcome {
        bytes,
        ..Outcome::default()
    })
}

/// Moves `pieces`, the first of which belongs at `offset` of the inode less its `at`; returns how far
/// into the I/O it came. EFAULT only where not a byte was moved.
pub(super) fn move_pieces(
    task: &Task,
    direction: Direction,
    inode: &CachedInode,
    offset: usize,
    pieces: &[Piece],
) -> Result<usize, IoError> {
    let Some(first) = pieces.first() else {
        return Ok(0);
    };
    let access = direction.access();
    let allowed = pieces::allowed(pieces, access);
    let mut done = first.at;
    let bounce = Bounce::new(CHUNK_BYTES)?;
    for piece in pieces
        .iter()
        .flat_map(split)
        .take_while(|piece| piece.end() <= allowed)
    {
        let result = match direction {
            Direction::Read => from_cache(task, inode, offset + piece.at, &bounce, piece.len)
                .and_then(|()| bounce.copy_out(task, &piece, 0)),
            Direction::Write => bounce.copy_in(task, &piece, 0).and_then(|bytes| {
                to_cache(task, inode, offset + piece.at, &bounce, bytes).map(|()| bytes)
            }),
        };
        match result {
            Ok(bytes) => {
                done += bytes;
                if bytes < piece.len {
                    break;
                }
            }
            Err(error) if done == first.at => return Err(error),
            Err(_) => break,
        }
    }
    if done == first.at {
        Err(IoError::Fault)
    } else {
        Ok(done)
    }
}

/// A piece may be as long as a mapping; the bounce memory is not.
fn split(piece: &Piece) -> impl Iterator<Item = Piece> {
    let piece = piece.clone();
    (0..piece.len).step_by(CHUNK_BYTES).map(move |from| Piece {
        addr: piece.addr + from,
        len: CHUNK_BYTES.min(piece.len - from),
        at: piece.at + from,
        ..piece.clone()
    })
}

fn hold(task: &Task, inode: &CachedInode, access: Access) -> Result<Holder, IoError> {
    Ok(task.node().glocks.lock(HolderRequest {
        name: GlockName::inode(inode.number()),
        state: access.state(),
        flags: HolderFlags::empty(),
        owner: task.owner(),
        role: Role::Operation,
    })?)
}

fn from_cache(
    task: &Task,
    inode: &CachedInode,
    offset: usize,
    bounce: &Bounce,
    len: usize,
) -> Result<(), IoError> {
    let _holder = hold(task, inode, Access::Read)?;
    let mut block = [0; PAGE_BYTES];
    for (from, len) in by_page(offset, len) {
        inode.copy_out(from, &mut block[..len])?;
        bounce.memory.copy_from(from - offset, &block[..len]);
    }
    Ok(())
}

fn to_cache(
    task: &Task,
    inode: &CachedInode,
    offset: usize,
    bounce: &Bounce,
    len: usize,
) -> Result<(), IoError> {
    let _holder = hold(task, inode, Access::Write)?;
    let mut block = [0; PAGE_BYTES];
    for (to, len) in by_page(offset, len) {
        bounce.memory.copy_to(to - offset, &mut block[..len]);
        inode.copy_in(to, &block[..len])?;
    }
    Ok(())
}

/// The parts of `offset..offset + len` that lie in one page each: where, and how long.
fn by_page(offset: usize, len: usize) -> impl Iterator<Item = (usize, usize)> {
    let end = offset + len;
    let mut from = offset;
    std::iter::from_fn(move || {
        let here = from;
        from = end.min((here / PAGE_BYTES + 1) * PAGE_BYTES);
        (here < end).then(|| (here, from - here))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_cut_at_pages() {
        let parts: Vec<_> = by_page(4000, 4300).collect();
        assert_eq!(parts, [(4000, 96), (4096, 4096), (8192, 108)]);
        assert_eq!(by_page(5, 0).count(), 0);
    }
}

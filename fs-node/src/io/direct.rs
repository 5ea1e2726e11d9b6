//! Direct I/O: between the volume and user memory, which may be mapped from other files of the volume.
//!
//! The I/O holds its target's glock (DF), walks the buffer and pins what lies in mappings, page by page,
//! under the rules of its policy ([`fs_core::fault`]); then the kernel moves the bytes between the device
//! and the pinned pages through the node's own view of them, which never faults.

mod pass;

use fs_core::fault::{Direction, Why};
use fs_core::limits::PAGE_BYTES;

use super::buffered;
use super::pieces::{self, Piece};
use super::{IoError, Outcome, UserBuf};
use crate::cache::CachedInode;
use crate::node::Task;
use pass::{Exit, Pass};

/// Bytes that one record covers. A longer I/O is done in parts: its bounce memory is bounded.
const RECORD_BYTES_MAX: usize = 16 << 20;

pub(crate) fn direct(
    task: &Task,
    direction: Direction,
    number: u64,
    offset: u64,
    bufs: &[UserBuf],
) -> Result<Outcome, IoError> {
    let node = task.node();
    let inode = node.inode(number)?;
    let align = node.cache.volume.alignment();
    let odd = |number: usize| !number.is_multiple_of(align);
    if odd(offset as usize) || bufs.iter().any(|buf| odd(buf.addr) || odd(buf.len)) {
        return Err(IoError::Unaligned { align });
    }
    let total = length(&inode, direction, offset, bufs)?;
    let mut pieces = pieces::cut(&node.cache, bufs, total);
    let allowed = pieces::allowed(&pieces, direction.access());
    let bounced = pieces.iter().any(|piece| piece.bounced);
    let mut outcome = Outcome {
        bounced,
        ..Outcome::default()
    };
    while outcome.bytes < allowed {
        let end = allowed.min(outcome.bytes + RECORD_BYTES_MAX);
        let mut pass = Pass::new(task, direction, &inode, offset as usize, &pieces, end);
        let exit = pass.run(outcome.bytes);
        let stats = pass.stats();
        outcome.retries += stats.retries;
        outcome.trylock_failed += stats.trylock_failed;
        outcome.lock_cycles += stats.lock_cycles;
        outcome.bytes = pass.done();
        drop(pass);
        match exit {
            Ok(Exit::Done) if outcome.bytes >= end => {}
            Ok(Exit::Done | Exit::Stopped) => break,
            Ok(Exit::Left(why)) => {
                leave(
                    task,
                    direction,
                    &inode,
                    offset as usize,
                    &mut pieces,
                    why,
                    &mut outcome,
                )?;
            }
            Err(error) if outcome.bytes == 0 => return Err(error),
            Err(_) => break,
        }
    }
    node.cache.reclaim(number);
    if outcome.bytes == 0 && total > 0 {
        Err(IoError::Fault)
    } else {
        Ok(outcome)
    }
}

/// How many bytes there are to move: less than the buffers hold where a read ends at the inode's end.
pub(super) fn length(
    inode: &CachedInode,
    direction: Direction,
    offset: u64,
    bufs: &[UserBuf],
) -> Result<usize, IoError> {
    let wanted = bufs
        .iter()
        .fold(0usize, |sum, buf| sum.saturating_add(buf.len));
    let bytes = inode.bytes() as u64;
    if direction == Direction::Write && offset >= bytes && wanted > 0 {
        return Err(IoError::BeyondEnd { offset, bytes });
    }
    Ok(wanted.min(bytes.saturating_sub(offset) as usize))
}

/// The record left the direct path: arranges for the rest of the I/O to take another.
fn leave(
    task: &Task,
    direction: Direction,
    inode: &CachedInode,
    offset: usize,
    pieces: &mut [Piece],
    why: Why,
    outcome: &mut Outcome,
) -> Result<(), IoError> {
    match why {
        Why::SameMapping => {
            outcome.bounced = true;
            bounce(pieces, |piece| {
                piece
                    .shared()
                    .is_some_and(|vma| vma.inode() == inode.number())
            });
        }
        Why::OutOfRounds => {
            outcome.fallback = true;
            outcome.bounced = true;
            bounce(pieces, |piece| piece.shared().is_some());
        }
        Why::Buffered => {
            outcome.fallback = true;
            let rest = rest(pieces, outcome.bytes);
            let from = outcome.bytes;
            match buffered::move_pieces(task, direction, inode, offset, &rest) {
                Ok(done) => outcome.bytes = done,
                Err(error) if from == 0 => return Err(error),
                Err(_) => return Ok(()),
            }
            // As direct I/O leaves it: on the volume, and not in the cache.
            pass::clear_under_lock(task, inode, offset + from, offset + outcome.bytes)?;
        }
    }
    Ok(())
}

fn bounce(pieces: &mut [Piece], which: impl Fn(&Piece) -> bool) {
    for piece in pieces {
        piece.bounced |= which(piece);
    }
}

/// What is left of `pieces` when the first `done` bytes are gone.
fn rest(pieces: &[Piece], done: usize) -> Vec<Piece> {
    let mut rest: Vec<Piece> = pieces
        .iter()
        .filter(|piece| piece.end() > done)
        .cloned()
        .collect();
    if let Some(first) = rest.first_mut() {
        let skip = done.saturating_sub(first.at);
        first.addr += skip;
        first.at += skip;
        first.len -= skip;
    }
    rest
}

/// The pages that the bytes `from..to` touch.
const fn pages(from: usize, to: usize) -> std::ops::Range<usize> {
    from / PAGE_BYTES..to.div_ceil(PAGE_BYTES)
}

//! Bytes that are under way: each chunk has the time at which it arrives, and none overtakes another.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::table::Passage;

/// The most bytes that are under way in one direction of a connection; more wait at their sender, as with a
/// socket whose buffer is full. A few times what a kernel buffers.
pub(super) const UNDER_WAY_BYTES_MAX: usize = 4 << 20;

/// Chunks in their order.
#[derive(Debug, Default)]
pub(super) struct Late {
    chunks: VecDeque<Chunk>,
    bytes: usize,
}

#[derive(Debug)]
struct Chunk {
    due: Instant,
    bytes: Vec<u8>,
    /// How many of them are gone.
    done: usize,
}

impl Late {
    pub(super) fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// For how many bytes there is room.
    pub(super) fn room(&self) -> usize {
        UNDER_WAY_BYTES_MAX - self.bytes
    }

    /// Takes as many bytes as there is room for, and says how many.
    pub(super) fn push(&mut self, bytes: &[u8], passage: Passage) -> usize {
        let bytes = &bytes[..bytes.len().min(self.room())];
        let delay = match passage {
            Passage::Late { us } => Duration::from_micros(us),
            _ => Duration::ZERO,
        };
        let now = Instant::now();
        let last = self.chunks.back().map_or(now, |chunk| chunk.due);
        let due = last.max(now + delay);
        if !bytes.is_empty() {
            self.bytes += bytes.len();
            self.chunks.push_back(Chunk {
                due,
                bytes: bytes.into(),
                done: 0,
            });
        }
        bytes.len()
    }

    /// The first bytes, and when they are due.
    pub(super) fn front(&self) -> Option<(Instant, &[u8])> {
        let chunk = self.chunks.front()?;
        Some((chunk.due, &chunk.bytes[chunk.done..]))
    }

    /// So many of the first bytes are gone.
    pub(super) fn advance(&mut self, count: usize) {
        let Some(chunk) = self.chunks.front_mut() else {
            return;
        };
        chunk.done += count;
        self.bytes -= count;
        if chunk.done == chunk.bytes.len() {
            self.chunks.pop_front();
        }
    }

    /// Loses all of them, and says whether there were any.
    pub(super) fn lose(&mut self) -> bool {
        let any = !self.is_empty();
        *self = Self::default();
        any
    }
}

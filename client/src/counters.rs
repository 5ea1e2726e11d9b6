//! What a session has sent and received.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts of a session since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Lock operations sent: requests, conversions, unlocks, cancels.
    pub operations_sent: u64,
    /// Blocking callbacks received.
    pub callbacks_received: u64,
    /// Frames sent, each with any number of operations.
    pub frames_sent: u64,
    /// Frames received.
    pub frames_received: u64,
}

/// The same while they are counted. Only the driver writes them.
#[derive(Debug, Default)]
pub(crate) struct Counting {
    pub(crate) operations_sent: AtomicU64,
    pub(crate) callbacks_received: AtomicU64,
    pub(crate) frames_sent: AtomicU64,
    pub(crate) frames_received: AtomicU64,
}

impl Counting {
    pub(crate) fn add(counter: &AtomicU64, count: usize) {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Counters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            operations_sent: read(&self.operations_sent),
            callbacks_received: read(&self.callbacks_received),
            frames_sent: read(&self.frames_sent),
            frames_received: read(&self.frames_received),
        }
    }
}

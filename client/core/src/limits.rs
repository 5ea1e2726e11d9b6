//! The limits of the glock machine, each with its reason.

/// The most holders, granted and waiting, that one glock may have at once.
///
/// Every holder is a task of this node that has the object open in an operation, so a node with a few
/// thousand threads never reaches it. The queue is walked from its start, and a length in the
/// thousands is where that begins to show. Reached, it is [`crate::Failure::QueueLength`].
pub const HOLDERS_PER_GLOCK_MAX: usize = 4096;

/// A holder that waited longer than this, in microseconds, makes the glock keep its lock for longer
/// the next time (gfs2: one second).
pub const WAIT_LONG_US: u64 = 1_000_000;

//! What goes into a record and what comes out of it.

use glock_core::State;

use crate::order::Key;

/// What the task is doing with its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Volume to memory: the buffer's pages are written.
    Read,
    /// Memory to volume: the buffer's pages are read.
    Write,
}

impl Direction {
    /// The access that the I/O makes to its buffer.
    #[must_use]
    pub const fn access(self) -> Access {
        match self {
            Self::Read => Access::Write,
            Self::Write => Access::Read,
        }
    }
}

/// What is done to a page of a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Access {
    /// The page is read.
    Read,
    /// The page is written, and dirty after it.
    Write,
}

impl Access {
    /// The glock state that it needs: SH to read, EX to write.
    #[must_use]
    pub const fn state(self) -> State {
        match self {
            Self::Read => State::Sh,
            Self::Write => State::Ex,
        }
    }
}

/// How a lock is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trial {
    /// Ask the cluster, do not wait for others, and send them one callback (gfs2's `TRY_1CB`).
    OneCallback,
    /// Only what the cached state allows right now, without a message (gfs2's `NOBLOCK`).
    Local,
}

/// One glock of the set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Held {
    /// Which inode's.
    pub key: Key,
    /// In which state.
    pub state: State,
}

/// Why the I/O leaves the direct path for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// The buffer lies in a mapping of the target itself.
    SameMapping,
    /// The policy's bound on rounds without progress was reached: a fallback.
    OutOfRounds,
    /// `nofault`, a write: gfs2 finishes in the buffered path: a fallback.
    Buffered,
}

/// What happened. The first is [`Event::Begin`], the last [`Event::End`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The I/O starts.
    Begin,
    /// The walk over the buffer reached a page of `mapping`.
    Page {
        /// The inode that the page belongs to.
        mapping: Key,
        /// What the I/O will do to it.
        access: Access,
        /// Whether the page is in the cache now, with that access, under the glock's cached state.
        resident: bool,
    },
    /// The lock that was asked for is held.
    Granted,
    /// The trylock failed.
    Refused,
    /// What was pinned was submitted and unpinned; so many bytes of the I/O are done by it.
    Submitted {
        /// How many.
        bytes: usize,
    },
    /// So many bytes of the window could be faulted in; zero if its first page could not.
    Prefaulted {
        /// How many.
        bytes: usize,
    },
    /// The walk is at its end, or at the most that is pinned at once: the code around the record
    /// submitted and unpinned what was pinned.
    ChunkDone,
    /// The I/O is over, or is given up (an error, an interrupt): release everything. Allowed at any
    /// time, also in place of an answer.
    End,
}

/// What is to be done. To be carried out in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Wait for this lock. Answer: [`Event::Granted`].
    Lock(Held),
    /// Try this lock. Answer: [`Event::Granted`] or [`Event::Refused`].
    Try(Held, Trial),
    /// Release this lock. `cycle`: it is dropped to be taken again, so a demotion that others wait for
    /// runs at once instead of waiting out the minimum hold time.
    Unlock {
        /// Which.
        key: Key,
        /// Whether a cycle of locks drops it.
        cycle: bool,
    },
    /// Unpin every page that is pinned and not submitted: locks that they stand under are about to go.
    UnpinAll,
    /// The target was taken: check size and extents, write back and drop its cached pages in the range.
    Revalidate,
    /// The lock for the page is held: fault it in and pin it, and go on to the next.
    Pin,
    /// Locks were dropped: walk again from the first byte that was not submitted.
    Rewalk,
    /// Submit what is pinned, then unpin it. Answer: [`Event::Submitted`].
    Submit,
    /// No lock is held: fault in at most so many bytes of the buffer, from the first byte that was not
    /// submitted on. Answer: [`Event::Prefaulted`].
    Prefault {
        /// The window.
        bytes: usize,
    },
    /// Everything is released: finish the I/O by another path.
    Leave(Why),
    /// Everything is released and the buffer's first page cannot be had: return what was transferred,
    /// or EFAULT.
    Stop,
}

/// What one record saw; units are occurrences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stats {
    /// Walks that were started again.
    pub retries: u32,
    /// Trylocks that failed at the cluster.
    pub trylock_failed: u32,
    /// Times that locks were dropped and taken again.
    pub lock_cycles: u32,
}

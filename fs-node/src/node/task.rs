//! Tasks: what does I/O.

use std::cell::Cell;
use std::sync::Arc;

use dlm_client::Owner;
use fs_core::fault::Direction;

use super::{Inner, Node};
use crate::io::{self, IoError, Outcome, UserBuf};

impl Node {
    /// A task of the calling thread. `name` is what the lock graph calls it.
    #[must_use]
    pub fn task(&self, name: &str) -> Task {
        let owner = self.inner.glocks.task(name);
        let task = Task {
            inner: self.inner.clone(),
            owner,
            thread: Cell::new(0),
        };
        task.enter();
        task
    }
}

/// A task: what does I/O, as a thread of a user's program would. It belongs to one thread at a time.
pub struct Task {
    inner: Arc<Inner>,
    owner: Owner,
    /// The thread that was told to the fault handler.
    thread: Cell<i32>,
}

impl Task {
    /// Reads by direct I/O from `offset` of `inode` into `bufs`, one after the other.
    ///
    /// # Errors
    /// [`IoError`] where not a byte was transferred; otherwise the outcome says how many were.
    pub fn direct_read(
        &self,
        inode: u64,
        offset: u64,
        bufs: &[UserBuf],
    ) -> Result<Outcome, IoError> {
        self.enter();
        io::direct(self, Direction::Read, inode, offset, bufs)
    }

    /// Writes `bufs` by direct I/O to `inode` at `offset`.
    ///
    /// # Errors
    /// As [`Self::direct_read`].
    pub fn direct_write(
        &self,
        inode: u64,
        offset: u64,
        bufs: &[UserBuf],
    ) -> Result<Outcome, IoError> {
        self.enter();
        io::direct(self, Direction::Write, inode, offset, bufs)
    }

    /// Reads through the page cache.
    ///
    /// # Errors
    /// As [`Self::direct_read`].
    pub fn read(&self, inode: u64, offset: u64, bufs: &[UserBuf]) -> Result<Outcome, IoError> {
        self.enter();
        io::buffered_read(self, inode, offset, bufs)
    }

    /// Writes into the page cache.
    ///
    /// # Errors
    /// As [`Self::direct_read`].
    pub fn write(&self, inode: u64, offset: u64, bufs: &[UserBuf]) -> Result<Outcome, IoError> {
        self.enter();
        io::buffered_write(self, inode, offset, bufs)
    }

    /// Tells the fault handler whose the calling thread's faults are.
    fn enter(&self) {
        let thread = crate::cache::thread_number();
        if self.thread.replace(thread) != thread {
            self.inner.faults.register(thread, self.owner);
        }
    }

    pub(crate) fn node(&self) -> &Inner {
        &self.inner
    }

    pub(crate) const fn owner(&self) -> Owner {
        self.owner
    }
}

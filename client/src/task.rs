//! Tasks: who in this session a lock is for, and what becomes of it when they end.

use dlm_core::Owner;
use dlm_core::link::EverywhereKind;
use glockwork_proto::Name;

use crate::connect::Client;
use crate::error::LockError;
use crate::limits::TASK_NAMES_MAX;

/// A task of a session: a process or thread that locks are held for.
///
/// Its number goes with [`crate::Lockspace::request`], and the lock graph shows its name. A glock table
/// has tasks of its own ([`crate::glocks::Glocks::task`]), whose locks the table keeps when they end.
///
/// Dropping it forgets its name, and nothing else: what it holds stays until it is unlocked.
pub struct Task {
    client: Client,
    owner: Owner,
}

impl Client {
    /// A new task, under a name that the lock graph shows.
    #[must_use]
    pub fn task(&self, name: &str) -> Task {
        let owner = self.session.new_owner();
        let mut tasks = self.session.shared.tasks();
        if tasks.len() < TASK_NAMES_MAX {
            tasks.insert(owner, Name::lossy(name));
        }
        drop(tasks);
        let client = self.clone();
        Task { client, owner }
    }
}

impl Task {
    /// Its number in the session.
    #[must_use]
    pub const fn owner(&self) -> Owner {
        self.owner
    }

    /// It has ended: the locks that it asked for last go, one after the other, and what waits of it is
    /// ended. Those with [`crate::RequestFlags::PERSISTENT`] stay as orphans of the session, to be had by
    /// [`crate::Lockspace::adopt`]. What it held in PW or EX leaves a value that is not valid.
    ///
    /// Answers how many locks went. Guards of them, and of the orphans, learn that they are gone.
    ///
    /// # Errors
    /// [`LockError::QueueFull`], [`LockError::InFlight`] or [`LockError::SessionLost`].
    pub async fn end(self) -> Result<u32, LockError> {
        let owner = self.owner;
        let session = &self.client.session;
        session.purge(EverywhereKind::OwnerEnded { owner }).await
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.client.session.shared.tasks().remove(&self.owner);
    }
}

//! One raw lock: a guard that holds it, converts it, and hears who wants it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use dlm_core::{Mode, Owner, RequestFlags, ResourceName, Status, Token};
use tokio::sync::oneshot;
use tokio_stream::Stream;

use crate::error::LockError;
use crate::lockspace::Lockspace;
use crate::raw::{Busy, RawLock};
use crate::session::{Command, Route, Session};

/// A lock that is held. Dropping it unlocks, without waiting for the answer.
pub struct Guard {
    session: Arc<Session>,
    raw: Arc<RawLock>,
    owner: Owner,
}

impl Guard {
    pub(crate) async fn request(
        lockspace: &Lockspace,
        name: ResourceName,
        mode: Mode,
        (flags, owner): (RequestFlags, Owner),
    ) -> Result<Self, LockError> {
        let session = Arc::clone(&lockspace.client.session);
        session.room()?;
        let lock = session.new_lock();
        let raw = Arc::new(RawLock::new(lock));
        let answer = raw.ask(Busy::Waits);
        let route = Route::Raw(Arc::clone(&raw));
        let lockspace = lockspace.id;
        session.send(Command::Request {
            lockspace,
            lock,
            name,
            mode,
            flags,
            owner,
            route,
        });
        // From here on a drop of this future drops the guard, and with it the lock.
        let guard = Self {
            session,
            raw,
            owner,
        };
        guard.answered(answer).await?;
        Ok(guard)
    }

    async fn answered(&self, answer: oneshot::Receiver<Status>) -> Result<(), LockError> {
        match answer.await {
            Ok(Status::Granted | Status::Unlocked) => Ok(()),
            Ok(Status::TryFailed) => Err(LockError::TryFailed),
            Ok(Status::Deadlock) => Err(LockError::Deadlock),
            Ok(Status::Refused(refusal)) => Err(LockError::Refused(refusal)),
            // Nobody cancels but who has stopped waiting; what is left is the end of the session.
            // Nor does anybody ask for an orphan.
            Ok(
                Status::Cancelled | Status::NothingToCancel | Status::CancelDone | Status::Adopted,
            )
            | Err(_) => Err(self.session.shared.lost_error().into()),
        }
    }

    /// The mode it is held in.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.raw.mode().unwrap_or(Mode::Nl)
    }

    /// The fencing token of the grant: larger than that of every earlier grant that excludes it.
    #[must_use]
    pub fn token(&self) -> Token {
        self.raw.token()
    }

    /// Whether the session is over, and the lock with it.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.session.shared.lost().is_some()
    }

    /// Waits until it is held in `mode`. On an error it keeps the mode it has.
    ///
    /// Dropped before it is done, the conversion is cancelled; the lock then has the old mode, or the
    /// new one where the grant was faster: see [`Guard::mode`] after the next operation.
    ///
    /// # Errors
    /// [`LockError::Deadlock`], [`LockError::Refused`], [`LockError::QueueFull`] or
    /// [`LockError::SessionLost`].
    pub async fn convert(&mut self, mode: Mode) -> Result<(), LockError> {
        self.convert_with(mode, RequestFlags::empty()).await
    }

    /// As [`Guard::convert`], with flags.
    ///
    /// # Errors
    /// [`LockError::TryFailed`], and as [`Guard::convert`].
    pub async fn convert_with(&mut self, mode: Mode, flags: RequestFlags) -> Result<(), LockError> {
        self.session.room()?;
        self.settled().await;
        let answer = self.raw.ask(Busy::Waits);
        let (lock, owner) = (self.raw.lock(), self.owner);
        self.session.send(Command::Convert {
            lock,
            mode,
            flags,
            owner,
        });
        let waiting = CancelOnDrop(self);
        waiting.0.answered(answer).await
    }

    /// Unlocks, and waits until the server has done it.
    ///
    /// # Errors
    /// [`LockError::SessionLost`].
    pub async fn unlock(self) -> Result<(), LockError> {
        self.session.shared.alive()?;
        self.settled().await;
        let answer = self.raw.ask(Busy::Unlocks);
        self.session.send(Command::Unlock {
            lock: self.raw.lock(),
        });
        self.answered(answer).await
    }

    /// Waits for the answer of a conversion whose future was dropped.
    async fn settled(&self) {
        let Some(answer) = self.raw.settle() else {
            return;
        };
        // Whatever the answer is, even that the session is over, nothing is under way after it.
        let _ = answer.await;
    }

    /// Waits until somebody wants the lock, and says in which mode. `None` when the session is over.
    ///
    /// Several callbacks for one mode that nobody has taken yet are one.
    pub async fn blocked(&mut self) -> Option<Mode> {
        poll_fn(|context| self.raw.poll_blocked(context)).await
    }

    /// [`Guard::blocked`] as a stream.
    pub fn callbacks(&mut self) -> Callbacks<'_> {
        Callbacks { guard: self }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(command) = self.raw.abandon() {
            self.session.send(command);
        }
    }
}

/// Takes back the conversion of a future that is dropped.
struct CancelOnDrop<'a>(&'a Guard);

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        let Guard { session, raw, .. } = self.0;
        if raw.waits() {
            session.send(Command::Cancel { lock: raw.lock() });
        }
    }
}

/// The modes in which others want a lock, as they are heard.
pub struct Callbacks<'a> {
    guard: &'a mut Guard,
}

impl Stream for Callbacks<'_> {
    type Item = Mode;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Mode>> {
        self.guard.raw.poll_blocked(context)
    }
}

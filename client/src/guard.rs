//! One raw lock: a guard that holds it, converts it, reads and stores its value, and hears who wants it.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use dlm_core::link::OperationKind;
use dlm_core::value::Transfer;
use dlm_core::{Mode, Owner, RequestFlags, ResourceName, Status, StatusFlags, Token, ValueBlock};
use tokio::sync::oneshot;
use tokio_stream::Stream;
use tracing::{Instrument, debug_span};

use crate::error::LockError;
use crate::lockspace::Lockspace;
use crate::raw::{Busy, Ear, RawLock};
use crate::session::{Answer, Command, Route, Session, Wish};
use crate::value::Value;

/// A lock that is held. Dropping it unlocks, without waiting for the answer.
pub struct Guard {
    session: Arc<Session>,
    raw: Arc<RawLock>,
    owner: Owner,
    /// Whether values go with it: an unlock stores one only then.
    with_value: bool,
    /// Whether a closure hears its callbacks.
    has_closure: bool,
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
        let span = debug_span!("lock", lockspace = lockspace.name(), resource = %name, %mode);
        let kind = OperationKind::Request {
            lockspace: lockspace.id,
            lock,
            name,
            mode,
            flags,
            owner,
        };
        // From here on a drop of this future drops the guard, and with it the lock.
        let guard = Self {
            session,
            raw,
            owner,
            with_value: flags.contains(RequestFlags::VALBLK),
            has_closure: false,
        };
        span.in_scope(|| guard.send(kind));
        guard.granted(answer).instrument(span).await?;
        Ok(guard)
    }

    fn send(&self, kind: OperationKind) {
        let answer = Answer::Lock(Route::Raw(Arc::clone(&self.raw)));
        let wish = Wish::Lock(kind);
        self.session.send(Command::Ask { wish, answer });
    }

    /// The answer to a request or conversion.
    async fn granted(&self, answer: oneshot::Receiver<Status>) -> Result<(), LockError> {
        match answer.await {
            Ok(Status::Granted | Status::Adopted) => Ok(()),
            Ok(Status::TryFailed) => Err(LockError::TryFailed),
            Ok(Status::Deadlock) => Err(LockError::Deadlock),
            Ok(Status::Refused(refusal)) => Err(LockError::Refused(refusal)),
            // Nobody cancels but who has stopped waiting; what is left is an end: the session's, the
            // task's, the lockspace's.
            Ok(
                Status::Cancelled | Status::Unlocked | Status::NothingToCancel | Status::CancelDone,
            )
            | Err(_) => Err(self.session.shared.gone()),
        }
    }

    fn alive(&self) -> Result<(), LockError> {
        if self.is_lost() {
            return Err(self.session.shared.gone());
        }
        Ok(())
    }

    /// The mode it is held in: the one asked for, unless [`Guard::flags`] has ALTMODE. NL when it is lost.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.raw.mode().unwrap_or(Mode::Nl)
    }

    /// The fencing token of the grant: larger than that of every earlier grant that excludes it.
    #[must_use]
    pub fn token(&self) -> Token {
        self.raw.token()
    }

    /// What the last answer said beside its status: ALTMODE, where the lock was granted in the mode that
    /// [`RequestFlags::ALTPR`] or [`RequestFlags::ALTCW`] names; DEMOTED, where it gave up its mode while it
    /// waited ([`RequestFlags::CONVDEADLK`]); VALNOTVALID, which [`Guard::value`] says as well.
    #[must_use]
    pub fn flags(&self) -> StatusFlags {
        self.raw.flags()
    }

    /// The resource's value as the last grant read it. `None` where it read none: it was asked for without
    /// [`RequestFlags::VALBLK`], the conversion was one that stores or moves nothing, or no value was ever
    /// stored.
    ///
    /// # Example
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = dlm_server::embedded::Server::start(([127, 0, 0, 1], 0).into()).await?;
    /// # let servers = dlm_client::Servers::parse(&server.addr().to_string())?;
    /// # let name = "example".to_owned();
    /// # let client = dlm_client::Client::connect(dlm_client::ConnectOptions { servers, name }).await?;
    /// # let lockspace = client.lockspace("jobs").await?;
    /// use dlm_client::{Mode, Value};
    ///
    /// // A resource and its value are there for as long as anybody has a lock on it.
    /// let _keeps = lockspace.lock("counter", Mode::Nl).await?;
    /// let guard = lockspace.lock_with_value("counter", Mode::Ex).await?;
    /// let before = match guard.value() {
    ///     None => 0,
    ///     Some(Value::Valid(bytes)) => u64::from_le_bytes(bytes.as_bytes()[..8].try_into()?),
    ///     Some(Value::NotValid(_)) => panic!("whoever counted last has died over it"),
    /// };
    /// guard.unlock_storing((before + 1).to_le_bytes()).await?;
    ///
    /// let guard = lockspace.lock_with_value("counter", Mode::Cr).await?;
    /// assert_eq!(guard.value().unwrap().valid().unwrap()[..2], [1, 0]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn value(&self) -> Option<Value> {
        self.raw.value()
    }

    /// Whether the lock is gone: with the session, its lockspace, or its task. It looks at the clock: a
    /// session that could not be renewed for its lease is over, whether or not anybody has noticed.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.raw.is_lost() || self.session.shared.lost().is_some()
    }

    /// Waits until it is held in `mode`. On an error it keeps the mode it has.
    ///
    /// Dropped before it is done, the conversion is cancelled; the lock then has the old mode, or the
    /// new one where the grant was faster: see [`Guard::mode`] after the next operation.
    ///
    /// # Errors
    /// [`LockError::Deadlock`], [`LockError::Refused`], [`LockError::QueueFull`], [`LockError::InFlight`],
    /// [`LockError::Gone`] or [`LockError::SessionLost`].
    pub async fn convert(&mut self, mode: Mode) -> Result<(), LockError> {
        self.convert_with(mode, RequestFlags::empty()).await
    }

    /// As [`Guard::convert`], with flags. With [`RequestFlags::VALBLK`] the value is read, where the
    /// conversion is one to a mode that is not weaker.
    ///
    /// # Errors
    /// [`LockError::TryFailed`], and as [`Guard::convert`].
    pub async fn convert_with(&mut self, mode: Mode, flags: RequestFlags) -> Result<(), LockError> {
        self.change(mode, flags, None).await
    }

    /// Stores a value, from PW or EX, on the way to `mode`: EX may stay EX, and PW PW. It is filled with
    /// zeros to the length of the lockspace's value blocks, valid from now on, and kept for as long as
    /// anybody has a lock on the resource, if only in NL.
    ///
    /// # Errors
    /// [`LockError::StoresNothing`], and as [`Guard::convert`]; a value that is too long is
    /// [`LockError::Refused`].
    pub async fn convert_storing(
        &mut self,
        mode: Mode,
        value: impl AsRef<[u8]>,
    ) -> Result<(), LockError> {
        let value = ValueBlock::new(value.as_ref())?;
        self.alive()?;
        self.settled().await;
        let from = self.mode();
        if Transfer::of(Some(from), mode) != Transfer::Write {
            return Err(LockError::StoresNothing { from, to: mode });
        }
        self.change(mode, RequestFlags::VALBLK, Some(value)).await
    }

    async fn change(
        &mut self,
        mode: Mode,
        flags: RequestFlags,
        value: Option<ValueBlock>,
    ) -> Result<(), LockError> {
        self.session.room()?;
        self.alive()?;
        self.settled().await;
        let answer = self.raw.ask(Busy::Waits);
        self.with_value |= flags.contains(RequestFlags::VALBLK);
        let span = debug_span!("convert", %mode);
        let kind = OperationKind::Convert {
            lock: self.raw.lock(),
            mode,
            flags,
            owner: self.owner,
            value,
        };
        span.in_scope(|| self.send(kind));
        let waiting = CancelOnDrop(self);
        waiting.0.granted(answer).instrument(span).await
    }

    /// Unlocks, and waits until the server has done it.
    ///
    /// # Errors
    /// [`LockError::Gone`] or [`LockError::SessionLost`].
    pub async fn unlock(self) -> Result<(), LockError> {
        self.give_up(RequestFlags::empty(), None).await
    }

    /// Unlocks, from PW or EX, and stores a value, as [`Guard::convert_storing`] does.
    ///
    /// # Errors
    /// [`LockError::StoresNothing`], [`LockError::Refused`], and as [`Guard::unlock`]. The lock is given up
    /// all the same.
    pub async fn unlock_storing(mut self, value: impl AsRef<[u8]>) -> Result<(), LockError> {
        if !self.with_value {
            // As in fs/dlm, the unlock of a lock that never had to do with values stores none.
            self.convert_storing(Mode::Nl, value).await?;
            return self.unlock().await;
        }
        let value = ValueBlock::new(value.as_ref())?;
        self.alive()?;
        self.settled().await;
        let from = self.mode();
        if from < Mode::Pw {
            return Err(LockError::StoresNothing { from, to: Mode::Nl });
        }
        self.give_up(RequestFlags::VALBLK, Some(value)).await
    }

    /// Unlocks, and marks the value as not valid where the lock is held in PW or EX: what it describes is
    /// not what the bytes say any more.
    ///
    /// # Errors
    /// As [`Guard::unlock`].
    pub async fn unlock_invalidating(self) -> Result<(), LockError> {
        self.give_up(RequestFlags::IVVALBLK, None).await
    }

    async fn give_up(
        self,
        flags: RequestFlags,
        value: Option<ValueBlock>,
    ) -> Result<(), LockError> {
        self.session.shared.alive()?;
        self.alive()?;
        self.settled().await;
        let answer = self.raw.ask(Busy::Unlocks);
        let lock = self.raw.lock();
        self.send(OperationKind::Unlock { lock, flags, value });
        match answer.await {
            Ok(Status::Unlocked) => Ok(()),
            Ok(Status::Refused(refusal)) => Err(LockError::Refused(refusal)),
            Ok(_) | Err(_) => Err(self.session.shared.gone()),
        }
    }

    /// Waits for the answer of a conversion whose future was dropped.
    async fn settled(&self) {
        let Some(answer) = self.raw.settle() else {
            return;
        };
        // Whatever the answer is, even that the session is over, nothing is under way after it.
        let _ = answer.await;
    }

    /// Waits until somebody wants the lock, and says in which mode. `None` when the lock is gone.
    ///
    /// Several callbacks for one mode that nobody has taken yet are one.
    pub async fn blocked(&mut self) -> Option<Mode> {
        poll_fn(|context| self.raw.poll_blocked(Ear::Guard, context)).await
    }

    /// [`Guard::blocked`] as a stream.
    pub fn callbacks(&mut self) -> Callbacks<'_> {
        Callbacks { guard: self }
    }

    /// Has `call` called whenever somebody wants the lock, with the mode, until the lock is gone. From here
    /// on that is who hears of it, and not [`Guard::blocked`].
    ///
    /// It is called on a task of its own of the runtime that this is called in, one call after the other,
    /// and must not block it. To give the lock up from there, let it tell whoever has the guard.
    ///
    /// # Panics
    /// Outside of a tokio runtime, or when it is called a second time.
    ///
    /// # Example
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let server = dlm_server::embedded::Server::start(([127, 0, 0, 1], 0).into()).await?;
    /// # let servers = dlm_client::Servers::parse(&server.addr().to_string())?;
    /// # let name = "example".to_owned();
    /// # let client = dlm_client::Client::connect(dlm_client::ConnectOptions { servers, name }).await?;
    /// # let lockspace = client.lockspace("jobs").await?;
    /// use dlm_client::Mode;
    ///
    /// let mut guard = lockspace.lock("nightly", Mode::Ex).await?;
    /// let (wanted, mut wants) = tokio::sync::mpsc::unbounded_channel();
    /// guard.on_blocked(move |mode| wanted.send(mode).unwrap_or_default());
    ///
    /// let other = lockspace.clone();
    /// let waits = tokio::spawn(async move { other.lock("nightly", Mode::Pr).await });
    /// assert_eq!(wants.recv().await, Some(Mode::Pr));
    /// drop(guard);
    /// waits.await??;
    /// # Ok(())
    /// # }
    /// ```
    pub fn on_blocked(&mut self, mut call: impl FnMut(Mode) + Send + 'static) {
        let first = !std::mem::replace(&mut self.has_closure, true);
        assert!(first, "a lock has one closure for its callbacks");
        let raw = Arc::clone(&self.raw);
        tokio::spawn(async move {
            let next = || poll_fn(|context| raw.poll_blocked(Ear::Closure, context));
            while let Some(mode) = next().await {
                call(mode);
            }
        });
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
            session.send(Command::cancel(raw.lock()));
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
        self.guard.raw.poll_blocked(Ear::Guard, context)
    }
}

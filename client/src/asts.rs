//! Locks as events: what programs written for fs/dlm's C library know.
//!
//! An operation is asked for and returns at once with its number, a [`Ticket`]; what comes of it arrives
//! on a stream: completions (libdlm's completion *asts*), blocking callbacks (*basts*), and what happens
//! to whole groups of locks. Nothing is undone here: any flags may be asked for and any lock named, one that is
//! gone too, and the answer says what is wrong with it. A lock has one operation in progress at a time, and
//! beside it a cancel: what else is asked of it before the answer is refused as busy.
//!
//! A program that wants locks rather than events takes [`crate::Lockspace::lock`].
//!
//! # Example
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = dlm_server::embedded::Server::start(([127, 0, 0, 1], 0).into()).await?;
//! # let servers = dlm_client::Servers::parse(&server.addr().to_string())?;
//! # let name = "example".to_owned();
//! use dlm_client::asts::Ast;
//! use dlm_client::{Client, ConnectOptions, Mode, Owner, RequestFlags, Status};
//!
//! let client = Client::connect(ConnectOptions { servers, name }).await?;
//! let lockspace = client.lockspace("jobs").await?;
//! let (asts, mut events) = client.asts();
//!
//! let (held, waits) = (asts.new_lock(), asts.new_lock());
//! let flags = RequestFlags::empty();
//! asts.request(&lockspace, held, "nightly", Mode::Ex, flags, Owner(1))?;
//! let ticket = asts.request(&lockspace, waits, "nightly", Mode::Pr, flags, Owner(2))?;
//!
//! assert!(matches!(
//!     events.next().await,
//!     Some(Ast::Completion { status: Status::Granted, mode: Some(Mode::Ex), .. })
//! ));
//! assert_eq!(events.next().await, Some(Ast::Blocking { lock: held, mode: Mode::Pr }));
//! asts.unlock(held, flags, None)?;
//! assert!(matches!(
//!     events.next().await,
//!     Some(Ast::Completion { status: Status::Unlocked, .. })
//! ));
//! assert!(matches!(events.next().await, Some(Ast::Completion { ticket: t, .. }) if t == ticket));
//! # Ok(())
//! # }
//! ```

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use dlm_core::link::{EverywhereKind, OperationKind};
use dlm_core::{LockId, Mode, Owner, RequestFlags, ResourceName, Status, StatusFlags, Token};
use dlm_core::{Refusal, ValueBlock};
use tokio_stream::Stream;

use crate::connect::Client;
use crate::error::LockError;
use crate::limits::ASTS_QUEUED_MAX;
use crate::lockspace::Lockspace;
use crate::session::{Answer, Command, Route, Wish};
use crate::value::Value;

/// The number of an operation, under which its answer comes. No two of a session are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ast {
    /// An operation ended. Every operation ends once: by this, or by [`Ast::Purged`].
    Completion {
        /// Which operation.
        ticket: Ticket,
        /// Of which lock. Where an orphan was adopted this is its own number.
        lock: LockId,
        /// How it ended.
        status: Status,
        /// The mode that is held after it, which is another than was asked for where `flags` say so;
        /// `None` where the lock holds none or is no more.
        mode: Option<Mode>,
        /// The fencing token of the grant by which it is held.
        token: Token,
        /// DEMOTED, VALNOTVALID, ALTMODE.
        flags: StatusFlags,
        /// The resource's value, where the operation read it.
        value: Option<Value>,
    },
    /// A lock is in the way of somebody.
    Blocking {
        /// Which lock.
        lock: LockId,
        /// The mode that somebody wants.
        mode: Mode,
    },
    /// A lock that converts holds less than before: the server that knew of it was lost, and what came of
    /// the conversion with it. Only this is surely held until the conversion is answered.
    Weakened {
        /// Which lock.
        lock: LockId,
        /// What it holds.
        mode: Mode,
    },
    /// A lock has outlived its task.
    Orphaned {
        /// Which.
        lock: LockId,
        /// Whose it was.
        owner: Owner,
    },
    /// An operation that takes many locks away has ended. For what it took away there are no events of
    /// their own, unless something was waited for.
    Purged {
        /// Which operation.
        ticket: Ticket,
        /// How many locks went.
        locks: u32,
    },
}

/// The asking half. Clones ask for the same stream of events.
///
/// What was asked for here is not undone when it is dropped: the locks stay until they are unlocked, or
/// the session ends.
#[derive(Clone)]
pub struct Asts {
    client: Client,
    queue: Arc<AstQueue>,
}

impl Client {
    /// Opens the event-level interface of this session. Each call has a stream of its own.
    ///
    /// Whoever does not read the stream ends the session, when [`ASTS_QUEUED_MAX`] events wait in it.
    #[must_use]
    pub fn asts(&self) -> (Asts, AstEvents) {
        let queue = Arc::new(AstQueue::default());
        self.session.shared.register_asts(&queue);
        let events = AstEvents {
            queue: Arc::clone(&queue),
        };
        let client = self.clone();
        (Asts { client, queue }, events)
    }
}

impl Asts {
    /// A number for a lock, which no other lock of the session has.
    ///
    /// Any other number does too. Whoever makes numbers up keeps out of the way of this session's guards
    /// and glocks, whose numbers come from here: with a session of its own, most simply.
    #[must_use]
    pub fn new_lock(&self) -> LockId {
        self.client.session.new_lock()
    }

    /// Asks for a new lock `lock` on `name` (up to 64 bytes of anything); with
    /// [`RequestFlags::ORPHAN`] for an orphan, which keeps its own number.
    ///
    /// # Errors
    /// A name that is too long is [`LockError::Refused`]; [`LockError::QueueFull`],
    /// [`LockError::InFlight`] or [`LockError::SessionLost`]. Everything else is the server's to say.
    pub fn request(
        &self,
        lockspace: &Lockspace,
        lock: LockId,
        name: impl AsRef<[u8]>,
        mode: Mode,
        flags: RequestFlags,
        owner: Owner,
    ) -> Result<Ticket, LockError> {
        let name = ResourceName::new(name.as_ref()).map_err(LockError::Refused)?;
        self.ask(Wish::Lock(OperationKind::Request {
            lockspace: lockspace.id,
            lock,
            name,
            mode,
            flags,
            owner,
        }))
    }

    /// Asks for another mode of a lock, and stores `value` where the flags and modes are such.
    ///
    /// # Errors
    /// A value that is too long for any lockspace is [`LockError::Refused`], and as [`Asts::request`].
    pub fn convert(
        &self,
        lock: LockId,
        mode: Mode,
        flags: RequestFlags,
        owner: Owner,
        value: Option<&[u8]>,
    ) -> Result<Ticket, LockError> {
        let value = block(value)?;
        self.ask(Wish::Lock(OperationKind::Convert {
            lock,
            mode,
            flags,
            owner,
            value,
        }))
    }

    /// Gives a lock up; with [`RequestFlags::CANCEL`] what it waits for.
    ///
    /// # Errors
    /// As [`Asts::convert`].
    pub fn unlock(
        &self,
        lock: LockId,
        flags: RequestFlags,
        value: Option<&[u8]>,
    ) -> Result<Ticket, LockError> {
        let value = block(value)?;
        self.ask(Wish::Lock(OperationKind::Unlock { lock, flags, value }))
    }

    /// Gives up what a lock waits for. The operation that is cancelled is answered under its own number,
    /// before this one.
    ///
    /// # Errors
    /// As [`Asts::request`].
    pub fn cancel(&self, lock: LockId) -> Result<Ticket, LockError> {
        self.ask(Wish::Lock(OperationKind::Cancel { lock }))
    }

    /// A task has ended: its locks go, or stay as orphans. Not for tasks of a glock table: a lock that the
    /// table caches would go too, and that ends the session.
    ///
    /// # Errors
    /// As [`Asts::request`].
    pub fn owner_ended(&self, owner: Owner) -> Result<Ticket, LockError> {
        self.ask(Wish::Many(EverywhereKind::OwnerEnded { owner }))
    }

    /// Orphans of the session in a lockspace go: all, or those that `owner` left.
    ///
    /// # Errors
    /// As [`Asts::request`].
    pub fn purge_orphans(
        &self,
        lockspace: &Lockspace,
        owner: Option<Owner>,
    ) -> Result<Ticket, LockError> {
        let lockspace = lockspace.id;
        self.ask(Wish::Many(EverywhereKind::PurgeOrphans {
            lockspace,
            owner,
        }))
    }

    /// Returns when every event is there that the servers told this session of before they got to this: a
    /// barrier behind what was asked for before.
    ///
    /// # Errors
    /// [`LockError::QueueFull`], [`LockError::InFlight`] or [`LockError::SessionLost`].
    pub async fn barrier(&self, lockspace: &Lockspace) -> Result<(), LockError> {
        // It goes to every master that has a lock of ours, behind everything, and nobody is its owner.
        let kind = EverywhereKind::PurgeOrphans {
            lockspace: lockspace.id,
            owner: Some(Owner(u64::MAX)),
        };
        self.client.session.purge(kind).await.map(drop)
    }

    fn ask(&self, wish: Wish) -> Result<Ticket, LockError> {
        let session = &self.client.session;
        session.room()?;
        let ticket = session.new_ticket();
        let answer = Answer::Lock(Route::Asts(Arc::clone(&self.queue), ticket));
        session.send(Command::Ask { wish, answer });
        Ok(ticket)
    }
}

fn block(value: Option<&[u8]>) -> Result<Option<ValueBlock>, Refusal> {
    value.map(ValueBlock::new).transpose()
}

impl From<Refusal> for LockError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The events. Those of one resource, and of all resources with the same master, come in the order in which
/// they happened. It ends with the session, after the last of
/// them.
pub struct AstEvents {
    queue: Arc<AstQueue>,
}

impl AstEvents {
    /// The next event; `None` when the session is over. Dropped before it is done, it takes none.
    pub async fn next(&mut self) -> Option<Ast> {
        poll_fn(|context| self.queue.poll(context)).await
    }

    /// An event that is there already; after [`Asts::barrier`], all that came of what was asked for earlier.
    pub fn arrived(&mut self) -> Option<Ast> {
        self.queue.state().events.pop_front()
    }
}

impl Stream for AstEvents {
    type Item = Ast;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Ast>> {
        self.queue.poll(context)
    }
}

impl Drop for AstEvents {
    fn drop(&mut self) {
        self.queue.end();
        self.queue.state().events = VecDeque::new();
    }
}

/// What waits between the driver and the reader of the events.
#[derive(Default)]
pub(crate) struct AstQueue {
    state: Mutex<AstState>,
}

#[derive(Default)]
struct AstState {
    events: VecDeque<Ast>,
    /// Nothing more comes, or nobody reads it.
    ended: bool,
    waker: Option<Waker>,
}

/// There are [`ASTS_QUEUED_MAX`] events in it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct AstsFull;

impl AstQueue {
    fn state(&self) -> MutexGuard<'_, AstState> {
        // Every change is whole before anything that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn push(&self, event: Ast) -> Result<(), AstsFull> {
        let mut state = self.state();
        if state.ended {
            return Ok(());
        }
        if state.events.len() >= ASTS_QUEUED_MAX {
            return Err(AstsFull);
        }
        state.events.push_back(event);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
        Ok(())
    }

    pub(crate) fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    fn poll(&self, context: &mut Context<'_>) -> Poll<Option<Ast>> {
        let mut state = self.state();
        match state.events.pop_front() {
            Some(event) => Poll::Ready(Some(event)),
            None if state.ended => Poll::Ready(None),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_has_an_end_and_a_reader_that_is_gone_fills_nothing() {
        let event = || Ast::Blocking {
            lock: LockId(1),
            mode: Mode::Ex,
        };
        let queue = Arc::new(AstQueue::default());
        for _ in 0..ASTS_QUEUED_MAX {
            assert_eq!(queue.push(event()), Ok(()));
        }
        assert_eq!(queue.push(event()), Err(AstsFull));
        let mut events = AstEvents {
            queue: Arc::clone(&queue),
        };
        assert_eq!(events.arrived(), Some(event()));
        assert_eq!(queue.push(event()), Ok(()));
        drop(events);
        assert_eq!(queue.push(event()), Ok(()));
        assert!(queue.state().events.is_empty());
    }
}

//! What the driver and a guard know of one raw lock, and what follows from an answer.

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use dlm_core::{LockId, Mode, Status, Token};
use tokio::sync::oneshot;

use crate::session::Command;

/// One lock.
pub(crate) struct RawLock {
    lock: LockId,
    state: Mutex<RawState>,
}

#[derive(Default)]
struct RawState {
    mode: Option<Mode>,
    token: Token,
    busy: Busy,
    /// The guard is gone; the lock is to go too.
    abandoned: bool,
    lost: bool,
    answer: Option<oneshot::Sender<Status>>,
    /// Callbacks that nobody has taken yet; at most one for each mode.
    blocked: BTreeSet<Mode>,
    waker: Option<Waker>,
}

/// The operation under way.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Busy {
    #[default]
    No,
    /// One that may wait, and can be cancelled.
    Waits,
    Unlocks,
}

impl RawState {
    fn listen(&mut self) -> oneshot::Receiver<Status> {
        let (sender, receiver) = oneshot::channel();
        if !self.lost {
            self.answer = Some(sender);
        }
        receiver
    }
}

impl RawLock {
    pub(crate) fn new(lock: LockId) -> Self {
        let state = Mutex::new(RawState::default());
        Self { lock, state }
    }

    pub(crate) fn lock(&self) -> LockId {
        self.lock
    }

    pub(crate) fn mode(&self) -> Option<Mode> {
        self.state().mode
    }

    pub(crate) fn token(&self) -> Token {
        self.state().token
    }

    /// Whether what is under way can be cancelled.
    pub(crate) fn waits(&self) -> bool {
        self.state().busy == Busy::Waits
    }

    /// Notes an operation under way, and gives the end on which its answer comes. After the session
    /// is lost that end is closed already.
    pub(crate) fn ask(&self, busy: Busy) -> oneshot::Receiver<Status> {
        let mut state = self.state();
        if !state.lost {
            state.busy = busy;
        }
        state.listen()
    }

    /// The end on which the answer comes to what is under way, if anything is.
    pub(crate) fn settle(&self) -> Option<oneshot::Receiver<Status>> {
        let mut state = self.state();
        (state.busy != Busy::No).then(|| state.listen())
    }

    fn state(&self) -> MutexGuard<'_, RawState> {
        // Every change is whole before anything that could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An answer. Gives the next thing to send, for a lock that nobody wants any more.
    pub(crate) fn done(&self, status: Status, mode: Option<Mode>, token: Token) -> Option<Command> {
        let mut state = self.state();
        state.busy = Busy::No;
        state.mode = mode;
        if status == Status::Granted {
            state.token = token;
        }
        if let Some(answer) = state.answer.take() {
            // Its future may have been dropped; then the guard is abandoned, or settles later.
            let _ = answer.send(status);
        }
        let unlocks = state.abandoned && mode.is_some();
        unlocks.then(|| {
            state.busy = Busy::Unlocks;
            Command::Unlock { lock: self.lock }
        })
    }

    pub(crate) fn blocking(&self, mode: Mode) {
        let mut state = self.state();
        state.blocked.insert(mode);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    pub(crate) fn lost(&self) {
        let mut state = self.state();
        state.lost = true;
        state.busy = Busy::No;
        state.answer = None;
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    pub(crate) fn poll_blocked(&self, context: &mut Context<'_>) -> Poll<Option<Mode>> {
        let mut state = self.state();
        match state.blocked.pop_last() {
            Some(mode) => Poll::Ready(Some(mode)),
            None if state.lost => Poll::Ready(None),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// The guard is dropped: what is to be sent now. What is under way is answered first, and
    /// [`RawLock::done`] does the rest.
    pub(crate) fn abandon(&self) -> Option<Command> {
        let mut state = self.state();
        let lock = self.lock;
        let first = !std::mem::replace(&mut state.abandoned, true);
        match state.busy {
            _ if state.lost || !first => None,
            Busy::Waits => Some(Command::Cancel { lock }),
            Busy::Unlocks => None,
            Busy::No if state.mode.is_some() => {
                state.busy = Busy::Unlocks;
                Some(Command::Unlock { lock })
            }
            Busy::No => None,
        }
    }
}

//! What the driver and a guard know of one raw lock, and what follows from an answer.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use dlm_core::link::OperationKind;
use dlm_core::{LockId, Mode, RequestFlags, Status, StatusFlags, Token};
use tokio::sync::oneshot;

use crate::session::{Answer, Command, Route, Wish};
use crate::value::Value;

/// One lock.
pub(crate) struct RawLock {
    state: Mutex<RawState>,
}

/// The answer to an operation on a lock.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    pub(crate) lock: LockId,
    pub(crate) status: Status,
    pub(crate) mode: Option<Mode>,
    pub(crate) token: Token,
    pub(crate) flags: StatusFlags,
    pub(crate) value: Option<Value>,
}

/// Who listens for callbacks.
#[derive(Clone, Copy)]
pub(crate) enum Ear {
    /// The guard, when it is asked.
    Guard,
    /// The closure that was given to it.
    Closure,
}

struct RawState {
    /// Its number; an orphan that is adopted has its own.
    lock: LockId,
    mode: Option<Mode>,
    token: Token,
    flags: StatusFlags,
    /// As the last grant read it.
    value: Option<Value>,
    busy: Busy,
    /// The guard is gone; the lock is to go too.
    abandoned: bool,
    /// The lock is gone, with its session or without.
    lost: bool,
    answer: Option<oneshot::Sender<Status>>,
    /// Callbacks that nobody has taken yet; at most one for each mode.
    blocked: BTreeSet<Mode>,
    /// One for each [`Ear`].
    wakers: [Option<Waker>; 2],
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

    fn wake(&mut self) {
        for waker in self.wakers.iter_mut().filter_map(Option::take) {
            waker.wake();
        }
    }
}

impl RawLock {
    pub(crate) fn new(lock: LockId) -> Self {
        let state = Mutex::new(RawState {
            lock,
            mode: None,
            token: Token::default(),
            flags: StatusFlags::empty(),
            value: None,
            busy: Busy::No,
            abandoned: false,
            lost: false,
            answer: None,
            blocked: BTreeSet::new(),
            wakers: [None, None],
        });
        Self { state }
    }

    pub(crate) fn lock(&self) -> LockId {
        self.state().lock
    }

    pub(crate) fn flags(&self) -> StatusFlags {
        self.state().flags
    }

    pub(crate) fn value(&self) -> Option<Value> {
        self.state().value.clone()
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.state().lost
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
    pub(crate) fn done(self: &Arc<Self>, done: Done) -> Option<Command> {
        let mut state = self.state();
        state.busy = Busy::No;
        state.mode = done.mode;
        if !matches!(done.status, Status::Refused(_)) {
            state.flags = done.flags;
        }
        match done.status {
            Status::Granted => {
                state.token = done.token;
                state.value = done.value;
            }
            Status::Adopted => {
                state.lock = done.lock;
                state.token = done.token;
                state.value = done.value;
            }
            _ => {}
        }
        if let Some(answer) = state.answer.take() {
            // Its future may have been dropped; then the guard is abandoned, or settles later.
            let _ = answer.send(done.status);
        }
        let unlocks = state.abandoned && state.mode.is_some() && !state.lost;
        unlocks.then(|| {
            state.busy = Busy::Unlocks;
            self.unlocks(state.lock)
        })
    }

    fn unlocks(self: &Arc<Self>, lock: LockId) -> Command {
        Command::Ask {
            wish: Wish::Lock(OperationKind::Unlock {
                lock,
                flags: RequestFlags::empty(),
                value: None,
            }),
            answer: Answer::Lock(Route::Raw(Arc::clone(self))),
        }
    }

    pub(crate) fn blocking(&self, mode: Mode) {
        let mut state = self.state();
        state.blocked.insert(mode);
        state.wake();
    }

    /// While it converts, it holds less than before.
    pub(crate) fn weakened(&self, mode: Mode) {
        self.state().mode = Some(mode);
    }

    /// The lock is gone, and nothing is answered any more.
    pub(crate) fn lost(&self) {
        let mut state = self.state();
        state.lost = true;
        state.mode = None;
        state.busy = Busy::No;
        state.answer = None;
        state.wake();
    }

    pub(crate) fn poll_blocked(&self, ear: Ear, context: &mut Context<'_>) -> Poll<Option<Mode>> {
        let mut state = self.state();
        if state.lost || state.abandoned {
            return Poll::Ready(None);
        }
        match state.blocked.pop_last() {
            Some(mode) => Poll::Ready(Some(mode)),
            None => {
                state.wakers[ear as usize] = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// The guard is dropped: what is to be sent now. What is under way is answered first, and
    /// [`RawLock::done`] does the rest.
    pub(crate) fn abandon(self: &Arc<Self>) -> Option<Command> {
        let mut state = self.state();
        let lock = state.lock;
        state.wake();
        let first = !std::mem::replace(&mut state.abandoned, true);
        match state.busy {
            _ if state.lost || !first => None,
            Busy::Waits => Some(Command::cancel(lock)),
            Busy::Unlocks => None,
            Busy::No if state.mode.is_some() => {
                state.busy = Busy::Unlocks;
                Some(self.unlocks(lock))
            }
            Busy::No => None,
        }
    }
}

//! What the parts of a session share: the way to the driver, the numbers it gives out, its end.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use dlm_core::{LockId, LockspaceId, Mode, Owner, RequestFlags, ResourceName};
use glockwork_proto::Name;
use tokio::sync::{mpsc, oneshot, watch};

use crate::counters::Counting;
use crate::error::{LockError, SessionLost};
use crate::glocks::{self, GlockName};
use crate::limits::OPERATIONS_QUEUED_MAX;
use crate::raw::RawLock;

/// What is asked of the driver, in the order in which it is to be sent.
pub(crate) enum Command {
    /// Open a lockspace.
    Open {
        name: Name,
        answer: oneshot::Sender<Result<LockspaceId, LockError>>,
    },
    /// Make a lock. Answers and callbacks go along `route` until the lock is gone.
    Request {
        lockspace: LockspaceId,
        lock: LockId,
        name: ResourceName,
        mode: Mode,
        flags: RequestFlags,
        owner: Owner,
        route: Route,
    },
    /// Convert a lock.
    Convert {
        lock: LockId,
        mode: Mode,
        flags: RequestFlags,
        owner: Owner,
    },
    /// Give a lock up.
    Unlock { lock: LockId },
    /// Take back what waits on a lock.
    Cancel { lock: LockId },
    /// Say goodbye and end.
    Close,
    /// End: something is wrong.
    Abort { why: String },
}

/// Whose a lock is.
#[derive(Clone)]
pub(crate) enum Route {
    /// A [`crate::Guard`]'s.
    Raw(Arc<RawLock>),
    /// A glock's.
    Glock(Weak<glocks::Inner>, GlockName),
}

/// Why nothing new may be asked for.
pub(crate) enum NoRoom {
    Lost(SessionLost),
    QueueFull,
}

impl From<NoRoom> for LockError {
    fn from(why: NoRoom) -> Self {
        match why {
            NoRoom::Lost(lost) => Self::SessionLost(lost),
            NoRoom::QueueFull => Self::QueueFull,
        }
    }
}

/// The client's side of a session. When the last handle is dropped the driver says goodbye.
pub(crate) struct Session {
    pub(crate) shared: Arc<Shared>,
    commands: mpsc::UnboundedSender<Command>,
}

/// What the driver has in common with everyone else.
pub(crate) struct Shared {
    pub(crate) endpoint: String,
    pub(crate) counting: Counting,
    /// Commands sent and not yet taken by the driver.
    queued: AtomicUsize,
    next_lock: AtomicU64,
    next_holder: AtomicU64,
    next_owner: AtomicU64,
    lost: OnceLock<SessionLost>,
    ended: watch::Sender<bool>,
    glocks: Mutex<Vec<Weak<glocks::Inner>>>,
}

impl Session {
    pub(crate) fn new(endpoint: String) -> (Self, mpsc::UnboundedReceiver<Command>) {
        let (commands, receiver) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            endpoint,
            counting: Counting::default(),
            queued: AtomicUsize::new(0),
            next_lock: AtomicU64::new(1),
            next_holder: AtomicU64::new(1),
            next_owner: AtomicU64::new(1),
            lost: OnceLock::new(),
            ended: watch::channel(false).0,
            glocks: Mutex::new(Vec::new()),
        });
        (Self { shared, commands }, receiver)
    }

    /// Queues what frees others, or what the caller has asked [`Self::room`] for. After the session is
    /// lost it goes nowhere, and whoever waits for the answer has been told.
    pub(crate) fn send(&self, command: Command) {
        self.shared.queued.fetch_add(1, Ordering::Relaxed);
        // A closed channel means that the driver has ended. It has told everyone that it knew of, and a
        // lock that is only asked for now is none of them.
        let Err(mpsc::error::SendError(command)) = self.commands.send(command) else {
            return;
        };
        if let Command::Request {
            route: Route::Raw(raw),
            ..
        } = command
        {
            raw.lost();
        }
    }

    /// Whether something new may be asked for.
    pub(crate) fn room(&self) -> Result<(), NoRoom> {
        self.shared.alive().map_err(NoRoom::Lost)?;
        if self.shared.queued.load(Ordering::Relaxed) >= OPERATIONS_QUEUED_MAX {
            return Err(NoRoom::QueueFull);
        }
        Ok(())
    }

    pub(crate) fn new_lock(&self) -> LockId {
        LockId(self.shared.next_lock.fetch_add(1, Ordering::Relaxed))
    }

    /// A number that no other holder of the session has.
    pub(crate) fn new_holder(&self) -> u64 {
        self.shared.next_holder.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn new_owner(&self) -> Owner {
        Owner(self.shared.next_owner.fetch_add(1, Ordering::Relaxed))
    }

    /// Waits for the driver's end.
    pub(crate) async fn ended(&self) {
        // An error would say that the sender is gone, which `shared` has.
        let _ = self.shared.ended.subscribe().wait_for(|&ended| ended).await;
    }
}

impl Shared {
    pub(crate) fn taken(&self, commands: usize) {
        self.queued.fetch_sub(commands, Ordering::Relaxed);
    }

    /// # Errors
    /// What ended the session, once it has ended.
    pub(crate) fn alive(&self) -> Result<(), SessionLost> {
        self.lost.get().map_or(Ok(()), |lost| Err(lost.clone()))
    }

    pub(crate) fn lost(&self) -> Option<&SessionLost> {
        self.lost.get()
    }

    /// The error for somebody whose answer will never come.
    pub(crate) fn lost_error(&self) -> SessionLost {
        let unknown = || SessionLost {
            endpoint: self.endpoint.clone(),
            why: "its driver has stopped".to_owned(),
        };
        self.lost.get().cloned().unwrap_or_else(unknown)
    }

    /// Marks the session as over, then tells every glock. Those who register later see the mark.
    pub(crate) fn lose(&self, why: String) {
        let endpoint = self.endpoint.clone();
        // The first reason is the true one.
        let _ = self.lost.set(SessionLost { endpoint, why });
        for glocks in self.glocks() {
            glocks.session_lost();
        }
    }

    pub(crate) fn end(&self) {
        self.ended.send_replace(true);
    }

    /// The glock tables over this session.
    pub(crate) fn glocks(&self) -> Vec<Arc<glocks::Inner>> {
        let mut registered = self.registered();
        registered.retain(|glocks| glocks.strong_count() > 0);
        registered.iter().filter_map(Weak::upgrade).collect()
    }

    pub(crate) fn register(&self, glocks: &Arc<glocks::Inner>) {
        self.registered().push(Arc::downgrade(glocks));
        if self.lost.get().is_some() {
            glocks.session_lost();
        }
    }

    fn registered(&self) -> MutexGuard<'_, Vec<Weak<glocks::Inner>>> {
        // The list is whole at every moment, whoever panicked with it.
        self.glocks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

//! What the parts of a session share: the way to the driver, the numbers it gives out, its end.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use dlm_core::cluster::{ClusterOptions, Name as LockspaceName};
use dlm_core::link::{EverywhereKind, OperationKind};
use dlm_core::{LockId, LockspaceId, Owner, SessionId, Tick};
use glock_core::session::Loss;
use glockwork_proto::Name;
use glockwork_proto::trace::TraceContext;
use tokio::sync::{mpsc, oneshot, watch};

use crate::asts::{AstQueue, Ticket};
use crate::clock;
use crate::counters::Counting;
use crate::error::{LockError, SessionLost};
use crate::glocks::{self, GlockName};
use crate::limits::{OPERATIONS_IN_FLIGHT_MAX, OPERATIONS_QUEUED_MAX};
use crate::raw::RawLock;
use crate::traces::{self, Traces};

/// What is asked of the driver, in the order in which it is to be sent.
pub(crate) enum Command {
    /// An operation for the servers.
    Ask {
        /// What.
        wish: Wish,
        /// Who hears the answer.
        answer: Answer,
    },
    /// Say goodbye and end.
    Close,
    /// End without a goodbye: something is wrong, and what this node may still do under its locks is for the
    /// cluster to wait out, or to fence.
    Abort {
        /// What.
        why: String,
    },
}

/// What is wanted of the servers.
pub(crate) enum Wish {
    /// An operation on one lock.
    Lock(OperationKind),
    /// One on many locks.
    Many(EverywhereKind),
    /// A lockspace is opened.
    Open {
        /// Its name.
        name: LockspaceName,
        /// What it is to be like, where that matters.
        options: Option<ClusterOptions>,
    },
}

impl Command {
    /// A cancel whose own answer means nothing: the operation that is cancelled has its own.
    pub(crate) fn cancel(lock: LockId) -> Self {
        Self::Ask {
            wish: Wish::Lock(OperationKind::Cancel { lock }),
            answer: Answer::Nobody,
        }
    }

    /// It goes nowhere any more.
    pub(crate) fn lost(self) {
        if let Self::Ask { answer, .. } = self {
            answer.lost();
        }
    }
}

/// Who hears the answer to an operation.
pub(crate) enum Answer {
    /// Whoever opens a lockspace.
    Opened(oneshot::Sender<Result<Opened, LockError>>),
    /// Whoever takes many locks away.
    Purged(oneshot::Sender<Result<u32, LockError>>),
    /// Whose the lock is. Callbacks go there too, until the lock is gone.
    Lock(Route),
    /// Nobody.
    Nobody,
}

impl Answer {
    /// It will never come.
    pub(crate) fn lost(self) {
        if let Self::Lock(Route::Raw(raw)) = self {
            raw.lost();
        }
        // Those who wait on a channel see it close; the rest is told with the session.
    }
}

/// A lockspace that was opened.
#[derive(Clone, Debug)]
pub(crate) struct Opened {
    pub(crate) id: LockspaceId,
    pub(crate) options: ClusterOptions,
    pub(crate) replays: Vec<SessionId>,
}

/// Whose a lock is.
#[derive(Clone)]
pub(crate) enum Route {
    /// A [`crate::Guard`]'s.
    Raw(Arc<RawLock>),
    /// A glock's.
    Glock(Weak<glocks::Inner>, GlockName),
    /// One of the event-level interface, with the number of what was asked for.
    Asts(Arc<AstQueue>, Ticket),
}

/// Why nothing new may be asked for.
pub(crate) enum NoRoom {
    Lost(SessionLost),
    QueueFull,
    InFlight,
}

impl From<NoRoom> for LockError {
    fn from(why: NoRoom) -> Self {
        match why {
            NoRoom::Lost(lost) => Self::SessionLost(lost),
            NoRoom::QueueFull => Self::QueueFull,
            NoRoom::InFlight => Self::InFlight,
        }
    }
}

/// The client's side of a session. When the last handle is dropped the driver says goodbye.
pub(crate) struct Session {
    pub(crate) shared: Arc<Shared>,
    commands: mpsc::UnboundedSender<Command>,
}

/// How long a session lives if it cannot be renewed any more. It ends before the cluster gives its locks to
/// others, by a margin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lease {
    /// When it ends by this machine's boot time (`CLOCK_BOOTTIME`), which goes on while the machine sleeps.
    pub ends: Duration,
    /// How long it would live if it were renewed now.
    pub whole: Duration,
}

impl Lease {
    /// How much time is left of it.
    #[must_use]
    pub fn left(&self) -> Duration {
        let now = Duration::from_micros(clock::now().0);
        self.ends.saturating_sub(now)
    }
}

/// What the driver has in common with everyone else.
pub(crate) struct Shared {
    /// The endpoints that the client was given.
    pub(crate) servers: String,
    pub(crate) counting: Counting,
    /// Commands sent and not yet taken by the driver.
    queued: AtomicUsize,
    /// Operations sent and not yet answered.
    in_flight: AtomicUsize,
    next_lock: AtomicU64,
    next_holder: AtomicU64,
    next_owner: AtomicU64,
    next_ticket: AtomicU64,
    /// When the session ends by this machine's clock, unless it is renewed; in microseconds.
    lease_ends: AtomicU64,
    /// How long it may use a lease; in microseconds.
    lease_held: AtomicU64,
    lost: OnceLock<SessionLost>,
    ended: watch::Sender<bool>,
    glocks: Mutex<Vec<Weak<glocks::Inner>>>,
    asts: Mutex<Vec<Weak<AstQueue>>>,
    tasks: Mutex<BTreeMap<Owner, Name>>,
    /// The traces of operations that are recorded.
    pub(crate) traces: Traces,
}

impl Session {
    pub(crate) fn new(servers: String) -> (Self, mpsc::UnboundedReceiver<Command>) {
        let (commands, receiver) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            servers,
            counting: Counting::default(),
            queued: AtomicUsize::new(0),
            in_flight: AtomicUsize::new(0),
            next_lock: AtomicU64::new(1),
            next_holder: AtomicU64::new(1),
            next_owner: AtomicU64::new(1),
            next_ticket: AtomicU64::new(1),
            lease_ends: AtomicU64::new(u64::MAX),
            lease_held: AtomicU64::new(u64::MAX),
            lost: OnceLock::new(),
            ended: watch::channel(false).0,
            glocks: Mutex::default(),
            asts: Mutex::default(),
            tasks: Mutex::default(),
            traces: Traces::default(),
        });
        (Self { shared, commands }, receiver)
    }

    /// Queues what frees others, or what the caller has asked [`Self::room`] for. After the session is
    /// lost it goes nowhere, and whoever waits for the answer has been told.
    pub(crate) fn send(&self, command: Command) {
        self.send_for(command, traces::current());
    }

    /// The same, for whoever records this trace.
    pub(crate) fn send_for(&self, command: Command, trace: Option<TraceContext>) {
        self.shared.queued.fetch_add(1, Ordering::Relaxed);
        if let Command::Ask { wish, .. } = &command {
            self.shared.asks(1);
            if let Wish::Lock(kind) = wish
                && let Some(trace) = trace
            {
                self.shared.traces.asked(kind, trace);
            }
        }
        // A closed channel means that the driver has ended. It has told everyone that it knew of, and a
        // lock that is only asked for now is none of them.
        let Err(mpsc::error::SendError(command)) = self.commands.send(command) else {
            return;
        };
        command.lost();
    }

    /// Whether something new may be asked for.
    pub(crate) fn room(&self) -> Result<(), NoRoom> {
        self.shared.alive().map_err(NoRoom::Lost)?;
        if self.shared.queued.load(Ordering::Relaxed) >= OPERATIONS_QUEUED_MAX {
            return Err(NoRoom::QueueFull);
        }
        if self.shared.in_flight.load(Ordering::Relaxed) >= OPERATIONS_IN_FLIGHT_MAX {
            return Err(NoRoom::InFlight);
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

    pub(crate) fn new_ticket(&self) -> Ticket {
        Ticket(self.shared.next_ticket.fetch_add(1, Ordering::Relaxed))
    }

    /// Asks for what takes many locks away, and waits until it is done.
    pub(crate) async fn purge(&self, kind: EverywhereKind) -> Result<u32, LockError> {
        self.room()?;
        let (answer, purged) = oneshot::channel();
        let answer = Answer::Purged(answer);
        let wish = Wish::Many(kind);
        self.send(Command::Ask { wish, answer });
        purged.await.map_err(|_| self.shared.lost_error())?
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

    /// So many operations are in flight from now on.
    pub(crate) fn asks(&self, operations: usize) {
        self.in_flight.fetch_add(operations, Ordering::Relaxed);
    }

    /// So many operations were answered.
    pub(crate) fn answered(&self, operations: usize) {
        self.in_flight.fetch_sub(operations, Ordering::Relaxed);
    }

    /// The driver says how long the session lives. It looks afterwards whether somebody has found it over.
    pub(crate) fn lives_until(&self, ends: Option<Tick>, held_us: Option<u64>) {
        if let (Some(ends), Some(held_us)) = (ends, held_us) {
            self.lease_held.store(held_us, Ordering::Relaxed);
            self.lease_ends.store(ends.0, Ordering::Release);
        }
    }

    /// # Errors
    /// What ended the session, once it has ended.
    pub(crate) fn lease(&self) -> Result<Lease, SessionLost> {
        self.alive()?;
        // The end first: what is read of the whole is then that lease's, or a later one's.
        let ends = Duration::from_micros(self.lease_ends.load(Ordering::Acquire));
        let whole = Duration::from_micros(self.lease_held.load(Ordering::Relaxed));
        Ok(Lease { ends, whole })
    }

    /// # Errors
    /// What ended the session, once it has ended.
    pub(crate) fn alive(&self) -> Result<(), SessionLost> {
        self.lost().map_or(Ok(()), |lost| Err(lost.clone()))
    }

    /// What ended the session, once it has ended. Whoever asks looks at the clock itself: after a stop of the
    /// machine or the process it may run before the driver does, and the locks may be somebody else's.
    pub(crate) fn lost(&self) -> Option<&SessionLost> {
        if self.lost.get().is_none() && clock::now().0 >= self.lease_ends.load(Ordering::Acquire) {
            self.mark_lost(Loss::Lease.to_string());
        }
        self.lost.get()
    }

    fn mark_lost(&self, why: String) {
        let servers = self.servers.clone();
        // The first reason is the true one.
        let _ = self.lost.set(SessionLost { servers, why });
    }

    /// The error for somebody whose answer will never come.
    pub(crate) fn lost_error(&self) -> SessionLost {
        let unknown = || SessionLost {
            servers: self.servers.clone(),
            why: "its driver has stopped".to_owned(),
        };
        self.lost().cloned().unwrap_or_else(unknown)
    }

    /// The error for the holder of a lock that went: with the session, or without it.
    pub(crate) fn gone(&self) -> LockError {
        let lost = self.lost().cloned();
        lost.map_or(LockError::Gone, LockError::SessionLost)
    }

    /// Marks the session as over, then tells everyone. Those who register later see the mark.
    pub(crate) fn lose(&self, why: String) {
        self.mark_lost(why);
        for glocks in self.glocks() {
            glocks.session_lost();
        }
        for queue in listed(&self.asts).drain(..) {
            queue.upgrade().inspect(|queue| queue.end());
        }
    }

    pub(crate) fn end(&self) {
        self.ended.send_replace(true);
    }

    /// The glock tables over this session.
    pub(crate) fn glocks(&self) -> Vec<Arc<glocks::Inner>> {
        let mut registered = listed(&self.glocks);
        registered.retain(|glocks| glocks.strong_count() > 0);
        registered.iter().filter_map(Weak::upgrade).collect()
    }

    pub(crate) fn register(&self, glocks: &Arc<glocks::Inner>) {
        let mut registered = listed(&self.glocks);
        registered.retain(|glocks| glocks.strong_count() > 0);
        registered.push(Arc::downgrade(glocks));
        drop(registered);
        if self.lost.get().is_some() {
            glocks.session_lost();
        }
    }

    pub(crate) fn register_asts(&self, queue: &Arc<AstQueue>) {
        let mut registered = listed(&self.asts);
        registered.retain(|queue| queue.strong_count() > 0);
        registered.push(Arc::downgrade(queue));
        drop(registered);
        if self.lost.get().is_some() {
            queue.end();
        }
    }

    /// The tasks that are no glock table's, with their names.
    pub(crate) fn tasks(&self) -> MutexGuard<'_, BTreeMap<Owner, Name>> {
        listed(&self.tasks)
    }
}

/// Each of these lists is whole at every moment, whoever panicked with it.
fn listed<T>(list: &Mutex<T>) -> MutexGuard<'_, T> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(session: &Session) {
        session.send(Command::cancel(LockId(1)));
    }

    #[test]
    fn a_lease_that_ran_out_is_found_by_whoever_asks_first() {
        let (session, _commands) = Session::new("a:1,b:2".into());
        let now = clock::now();
        let lives_until = |ends| session.shared.lives_until(ends, Some(5_000_000));
        lives_until(Some(now.plus(1_000_000_000)));
        assert!(session.room().is_ok());
        lives_until(None);
        assert!(session.room().is_ok());
        let lease = session.shared.lease().unwrap();
        assert_eq!(lease.whole, Duration::from_secs(5));
        assert!(lease.left() <= Duration::from_secs(1000));
        lives_until(Some(now));
        assert!(session.shared.lease().is_err());
        let error = session.room().map_err(LockError::from).unwrap_err();
        assert!(error.to_string().contains("a:1,b:2"), "{error}");
        assert!(error.to_string().contains("lease"), "{error}");
        // It does not come back.
        lives_until(Some(now.plus(1_000_000_000)));
        assert!(session.room().is_err());
    }

    #[test]
    fn what_queues_and_what_is_in_flight_has_a_limit() {
        let (session, _commands) = Session::new("nowhere".into());
        for _ in 0..OPERATIONS_QUEUED_MAX {
            assert!(session.room().is_ok());
            ask(&session);
        }
        assert!(matches!(session.room(), Err(NoRoom::QueueFull)));
        session.shared.taken(OPERATIONS_QUEUED_MAX);
        for _ in OPERATIONS_QUEUED_MAX..OPERATIONS_IN_FLIGHT_MAX {
            assert!(session.room().is_ok());
            ask(&session);
            session.shared.taken(1);
        }
        let error = session.room().map_err(LockError::from).unwrap_err();
        assert_eq!(error, LockError::InFlight);
        assert!(error.to_string().contains("65536"), "{error}");
        session.shared.answered(1);
        assert!(session.room().is_ok());
    }
}

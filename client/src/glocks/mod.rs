//! Glocks: cluster locks that this node caches and hands out to its own tasks.
//!
//! A [`Glocks`] is a table of the pure machines of [`glock_core`] over one lockspace. What happens to a
//! glock (a task comes or goes, the server answers or calls back, a hook returns, a time is reached) is
//! one step of its machine under a short lock (`table.rs`); nothing waits under that lock.
//!
//! # Example
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let server = dlm_server::embedded::Server::start(([127, 0, 0, 1], 0).into()).await?;
//! # let servers = dlm_client::Servers::parse(&server.addr().to_string())?;
//! # let name = "example".to_owned();
//! # let client = dlm_client::Client::connect(dlm_client::ConnectOptions { servers, name }).await?;
//! # let lockspace = client.lockspace("volume").await?;
//! use std::sync::Arc;
//!
//! use dlm_client::glocks::{GlockConfig, Glocks, HolderRequest, Objects};
//! use dlm_client::{GlockName, HolderFlags, Role, State};
//!
//! struct Cache;
//! impl Objects for Cache {
//!     fn sync(&self, name: GlockName) {
//!         println!("write back {name}");
//!     }
//!     fn invalidate(&self, name: GlockName, to: State) {
//!         println!("drop what {to} does not allow of {name}");
//!     }
//! }
//!
//! let glocks = Glocks::new(&lockspace, Arc::new(Cache), GlockConfig::default());
//! let request = HolderRequest {
//!     name: GlockName::inode(0x102ab),
//!     state: State::Ex,
//!     flags: HolderFlags::empty(),
//!     owner: glocks.task("writer"),
//!     role: Role::Operation,
//! };
//! let holder = glocks.lock_async(request).await?;
//! // … change the object …
//! drop(holder); // the lock stays cached until somebody else wants it
//! assert_eq!(glocks.cached(GlockName::inode(0x102ab)), State::Ex);
//! # tokio::task::spawn_blocking(move || glocks.release_all()).await?;
//! # Ok(())
//! # }
//! ```

mod config;
mod counters;
mod error;
mod holder;
mod hooks;
mod report;
mod sweep;
mod table;
mod timer;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use dlm_core::{LockspaceId, Mode, Owner, Status, Tick, Token};
use glock_core::{HolderId, Input};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};
use tracing::{Instrument, Span, debug_span};

pub use config::{GlockConfig, Objects};
pub use counters::GlockCounters;
pub use dlm_core::deadlock::Role;
pub use error::GlockError;
pub use glock_core::glock::HoldTime;
pub use glock_core::{GlockName, GlockType, HolderFlags, Release, State};
use holder::Tag;
pub use holder::{Holder, HolderRequest};
pub(crate) use report::answer;
use table::{Enqueued, Granting, Shard};

use crate::limits::TASK_NAMES_MAX;
use crate::lockspace::Lockspace;
use crate::session::Session;

/// How many parts the table has, each with its own lock: more than a node has processors.
const SHARDS: usize = 64;

/// A table of glocks over one lockspace. Clones are the same table.
///
/// Call [`Glocks::release_all`] before dropping the last one: what is cached stays locked, and its hooks
/// uncalled, until the session ends otherwise.
#[derive(Clone)]
pub struct Glocks {
    inner: Arc<Inner>,
}

/// What all parts of a table share.
pub(crate) struct Inner {
    session: Arc<Session>,
    lockspace: LockspaceId,
    objects: Arc<dyn Objects>,
    config: GlockConfig,
    shards: [Mutex<Shard>; SHARDS],
    /// The zero of the machines' clock.
    started: Instant,
    runtime: Handle,
    timers: mpsc::UnboundedSender<(Instant, GlockName)>,
    tasks: Mutex<BTreeMap<Owner, String>>,
    interrupted: AtomicBool,
    closed: AtomicBool,
    /// Signalled when a part of the table has become empty.
    emptied: (Mutex<()>, Condvar),
}

impl Glocks {
    /// Makes a table over `lockspace`, whose hooks are `objects`.
    ///
    /// It answers the server's question who holds what in this session.
    ///
    /// # Panics
    /// Outside of a tokio runtime; the table's hooks and timers run on the runtime of this call.
    #[must_use]
    pub fn new(lockspace: &Lockspace, objects: Arc<dyn Objects>, config: GlockConfig) -> Self {
        let runtime = Handle::current();
        let (timers, times) = mpsc::unbounded_channel();
        let inner = Arc::new(Inner {
            session: Arc::clone(&lockspace.client.session),
            lockspace: lockspace.id,
            objects,
            config,
            shards: std::array::from_fn(|_| Mutex::default()),
            started: Instant::now(),
            runtime: runtime.clone(),
            timers,
            tasks: Mutex::default(),
            interrupted: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            emptied: (Mutex::new(()), Condvar::new()),
        });
        runtime.spawn(timer::run(Arc::downgrade(&inner), times));
        inner.session.shared.register(&inner);
        Self { inner }
    }

    /// A new task, under a name that reports show.
    #[must_use]
    pub fn task(&self, name: &str) -> Owner {
        let owner = self.inner.session.new_owner();
        let mut tasks = self.inner.tasks();
        if tasks.len() < TASK_NAMES_MAX {
            tasks.insert(owner, name.to_owned());
        }
        owner
    }

    /// Forgets a task's name. What it still holds is reported under its number.
    pub fn end_task(&self, owner: Owner) {
        self.inner.tasks().remove(&owner);
    }

    /// Waits for a glock. Blocks the calling thread, which must be none of the runtime's.
    ///
    /// # Errors
    /// [`GlockError`].
    ///
    /// # Panics
    /// On a thread of the runtime, if it would have to wait.
    pub fn lock(&self, request: HolderRequest) -> Result<Holder, GlockError> {
        let _span = span(&request).entered();
        let (holder, enqueued) = self.enqueue(request);
        let answer = match enqueued {
            Enqueued::Answered(answer) => Ok(answer),
            Enqueued::Waits(answer) => answer.blocking_recv(),
        };
        self.granted(holder, answer)
    }

    /// Waits for a glock. Dropped before it is done, it leaves the queue, and a request that was sent
    /// for it is cancelled.
    ///
    /// # Errors
    /// [`GlockError`].
    pub async fn lock_async(&self, request: HolderRequest) -> Result<Holder, GlockError> {
        let span = span(&request);
        let (holder, enqueued) = span.in_scope(|| self.enqueue(request));
        let answer = match enqueued {
            Enqueued::Answered(answer) => Ok(answer),
            Enqueued::Waits(answer) => answer.instrument(span).await,
        };
        self.granted(holder, answer)
    }

    /// Puts a holder into the queue. From here on its drop takes it out again.
    fn enqueue(&self, request: HolderRequest) -> (Holder, Enqueued) {
        let id = HolderId(self.inner.session.new_holder());
        let tag = Arc::new(Tag::new(request.role));
        let holder = Holder {
            inner: Arc::clone(&self.inner),
            tag: Arc::clone(&tag),
            name: request.name,
            id,
            state: request.state,
            token: Token(0),
            release: Some(Release::Normal),
        };
        (holder, self.inner.enqueue(request, id, tag))
    }

    fn granted(
        &self,
        mut holder: Holder,
        answer: Result<Granting, oneshot::error::RecvError>,
    ) -> Result<Holder, GlockError> {
        // Nobody drops the other end without an answer while the table lives.
        let answer = answer.unwrap_or_else(|_| Err(self.inner.session.shared.lost_error().into()));
        match answer {
            Ok(token) => {
                holder.token = token;
                Ok(holder)
            }
            Err(error) => {
                // It is in no queue any more.
                holder.release = None;
                Err(error)
            }
        }
    }

    /// While on, every wait ends with [`GlockError::Interrupted`], those under way too; requests under
    /// way are cancelled. What is granted without waiting is granted as ever.
    ///
    /// A wait with [`HolderFlags::FAULT`] goes on: a load or store has no way to be told. Whoever serves a
    /// fault holds nothing, so it ends once those that it waits for have been interrupted.
    pub fn interrupt_all(&self, on: bool) {
        // Before the sweep: whoever begins to wait sees the flag, or is seen by the sweep.
        self.inner.interrupted.store(on, Ordering::SeqCst);
        if on {
            self.inner.cancel_waits(false);
        }
    }

    /// The cached state of a glock; UN where it is not cached.
    #[must_use]
    pub fn cached(&self, name: GlockName) -> State {
        self.inner.cached(name)
    }

    /// What was counted since the table was made.
    #[must_use]
    pub fn counters(&self) -> GlockCounters {
        self.inner.counters().0
    }

    /// Demotes a glock to UN, with its hooks, as soon as nobody holds it.
    pub fn demote(&self, name: GlockName) {
        self.inner.step(name, Input::Demote);
    }

    /// Demotes a glock to UN, with its hooks, as soon as nobody holds it, and unlocks it. Whoever asks for
    /// it meanwhile revokes that.
    pub fn free(&self, name: GlockName) {
        self.inner.step(name, Input::Free);
    }

    /// Whether the table has this glock, in whatever state.
    pub(crate) fn has(&self, name: GlockName) -> bool {
        self.inner.shard(name).glocks.contains_key(&name)
    }

    /// Demotes everything to UN, with its hooks, and unlocks it; then the table is closed. Waits for
    /// those who still hold. Blocks the calling thread, which must be none of the runtime's.
    ///
    /// Waits under way are interrupted, and whoever comes later gets [`GlockError::Closed`].
    pub fn release_all(&self) {
        self.inner.closed.store(true, Ordering::SeqCst);
        self.inner.cancel_waits(true);
        self.inner.step_all(Input::Free);
        self.inner.wait_until_empty();
    }
}

/// Of a wait for a glock, for whoever records spans. A cached one is a short span.
fn span(request: &HolderRequest) -> Span {
    let (name, state) = (request.name, request.state);
    debug_span!("glock", %name, %state)
}

impl Inner {
    fn now(&self) -> Tick {
        Tick(self.started.elapsed().as_micros() as u64)
    }

    /// What was counted, and how many glocks there are.
    fn counters(&self) -> (GlockCounters, usize) {
        let (mut sum, mut glocks) = (GlockCounters::default(), 0);
        for shard in self.shards() {
            sum += shard.counters;
            glocks += shard.glocks.len();
        }
        (sum, glocks)
    }

    fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::SeqCst)
    }

    fn closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// Whether it is over that lockspace, and not released.
    pub(crate) fn uses(&self, lockspace: LockspaceId) -> bool {
        let empty = || self.shards().all(|shard| shard.glocks.is_empty());
        self.lockspace == lockspace && !(self.closed() && empty())
    }

    fn cached(&self, name: GlockName) -> State {
        let shard = self.shard(name);
        shard
            .glocks
            .get(&name)
            .map_or(State::Un, |entry| entry.glock.state())
    }

    fn tasks(&self) -> MutexGuard<'_, BTreeMap<Owner, String>> {
        // Inserting and removing leave it whole.
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn shards(&self) -> impl Iterator<Item = MutexGuard<'_, Shard>> {
        self.shards
            .iter()
            .map(|shard| shard.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The server's answer for the lock of a glock.
    pub(crate) fn done(
        self: &Arc<Self>,
        name: GlockName,
        (status, mode, token): (Status, Option<Mode>, Token),
    ) {
        self.step(
            name,
            Input::Reply {
                status,
                mode,
                token,
            },
        );
    }

    /// The server's blocking callback for the lock of a glock.
    pub(crate) fn blocking(self: &Arc<Self>, name: GlockName, wanted: Mode) {
        self.shard(name).counters.callbacks += 1;
        self.step(name, Input::Callback { wanted });
    }

    /// The session is over.
    pub(crate) fn session_lost(self: &Arc<Self>) {
        self.step_all(Input::SessionLost);
    }
}

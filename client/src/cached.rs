//! Cached locks: a lock that stays with this session when nobody here uses it, until another wants it.
//!
//! Taking a lock that is cached costs no message. What a program computes or reads under it may stay in
//! memory between two uses; two closures say when that ends: one writes back, one forgets.
//!
//! It is the glock machine with names of one's own: each cached lock is a glock with a number, and
//! [`Objects::resource`] says which resource the number stands for.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use dlm_core::{Owner, ResourceName, Token};

use crate::error::LockError;
use crate::glocks::{GlockConfig, GlockError, GlockName, GlockType, Glocks, Holder};
use crate::glocks::{HolderFlags, HolderRequest, Objects, Role, State};
use crate::lockspace::Lockspace;

/// How a cached lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Access {
    /// With others who share it, here and elsewhere: to look.
    Shared,
    /// Alone: to change.
    Exclusive,
}

impl Access {
    const fn state(self) -> State {
        match self {
            Self::Shared => State::Sh,
            Self::Exclusive => State::Ex,
        }
    }
}

type Hook = Box<dyn Fn() + Send + Sync>;

/// What is to happen to what a program has cached under a lock, before another gets it.
///
/// The closures are called on threads that may block, one at a time, while nobody here holds the lock.
/// They must not wait for a lock of this session. One that panics ends the session: nobody knows what is
/// still cached.
#[derive(Default)]
pub struct CacheHooks {
    write_back: Option<Hook>,
    forget: Option<Hook>,
}

impl CacheHooks {
    /// None: nothing is cached but the lock.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Called when others may look or change from now on, after the lock was exclusive: what was changed
    /// here and is not stored where they look has to be now. Not called when the session is lost: then it
    /// may not be stored any more.
    #[must_use]
    pub fn on_write_back(mut self, call: impl Fn() + Send + Sync + 'static) -> Self {
        self.write_back = Some(Box::new(call));
        self
    }

    /// Called when others may change from now on, after the other closure: what is in memory is not true
    /// any more. Called when the session is lost, too.
    #[must_use]
    pub fn on_forget(mut self, call: impl Fn() + Send + Sync + 'static) -> Self {
        self.forget = Some(Box::new(call));
        self
    }
}

/// A lock that is cached. Clones share it; each call of [`Lockspace::cached`] makes one of its own, and two
/// of one name exclude each other as those of two programs do.
///
/// When the last clone and the last guard are dropped, the lock is given back, its closures called.
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
/// use std::sync::{Arc, Mutex};
///
/// use dlm_client::{Access, CacheHooks};
///
/// let settings: Arc<Mutex<Option<String>>> = Arc::default();
/// let forgets = Arc::clone(&settings);
/// let hooks = CacheHooks::new().on_forget(move || *forgets.lock().unwrap() = None);
/// let cached = lockspace.cached_with("settings", hooks)?;
///
/// for _ in 0..1000 {
///     let _held = cached.lock(Access::Shared).await?; // the first asks the server, the others do not
///     let mut settings = settings.lock().unwrap();
///     settings.get_or_insert_with(|| "read from where they are stored".to_owned());
/// }
///
/// // Somebody else changes them: what is cached here is forgotten first.
/// let other = lockspace.cached("settings")?;
/// let _changes = other.lock(Access::Exclusive).await?;
/// assert_eq!(*settings.lock().unwrap(), None);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct CachedLock {
    lock: Arc<Lock>,
}

struct Lock {
    glocks: Glocks,
    names: Arc<Names>,
    name: GlockName,
}

impl Lockspace {
    /// A lock on `name` (up to 64 bytes of anything) that this session keeps until another wants it. No
    /// message is sent before it is first used.
    ///
    /// # Errors
    /// [`LockError::Refused`] where the name is too long.
    ///
    /// # Panics
    /// Outside of a tokio runtime, on which the closures are called.
    pub fn cached(&self, name: impl AsRef<[u8]>) -> Result<CachedLock, LockError> {
        self.cached_with(name, CacheHooks::new())
    }

    /// As [`Lockspace::cached`], with what is to be done before another gets it.
    ///
    /// # Errors
    /// As [`Lockspace::cached`].
    ///
    /// # Panics
    /// As [`Lockspace::cached`].
    pub fn cached_with(
        &self,
        name: impl AsRef<[u8]>,
        hooks: CacheHooks,
    ) -> Result<CachedLock, LockError> {
        let resource = ResourceName::new(name.as_ref())?;
        let Table { glocks, names } = self.cached.table(self);
        let name = names.add(resource, hooks);
        let lock = Lock {
            glocks: glocks.clone(),
            names: Arc::clone(names),
            name,
        };
        Ok(CachedLock {
            lock: Arc::new(lock),
        })
    }
}

impl CachedLock {
    /// Waits for the lock. Costs no message while what is cached suffices.
    ///
    /// A shared hold does not become exclusive: whoever asks for that while it has a shared one waits for
    /// itself. Dropped before it is done, it leaves the queue.
    ///
    /// # Errors
    /// [`LockError::Refused`], [`LockError::Limit`], [`LockError::SessionLost`]; [`LockError::Gone`] when
    /// the lockspace was left.
    pub async fn lock(&self, access: Access) -> Result<CachedGuard, LockError> {
        self.hold(access, HolderFlags::empty()).await
    }

    /// The lock, if nobody is in the way, here or elsewhere. Whoever has it cached elsewhere and does not
    /// hold it is in the way, too; it is told, so that a later try may do better.
    ///
    /// # Errors
    /// [`LockError::TryFailed`], and as [`CachedLock::lock`].
    pub async fn try_lock(&self, access: Access) -> Result<CachedGuard, LockError> {
        self.hold(access, HolderFlags::TRY | HolderFlags::TRY_1CB)
            .await
    }

    async fn hold(&self, access: Access, flags: HolderFlags) -> Result<CachedGuard, LockError> {
        let request = HolderRequest {
            name: self.lock.name,
            state: access.state(),
            flags,
            owner: Owner(0),
            role: Role::Operation,
        };
        let holder = self.lock.glocks.lock_async(request).await?;
        Ok(CachedGuard {
            holder,
            _lock: self.clone(),
        })
    }

    /// What is cached: how the lock can be had without a message, unless somebody here is in the way.
    #[must_use]
    pub fn cached(&self) -> Option<Access> {
        match self.lock.glocks.cached(self.lock.name) {
            State::Ex => Some(Access::Exclusive),
            State::Sh => Some(Access::Shared),
            State::Un | State::Df => None,
        }
    }

    /// Lets go of what is cached as soon as nobody here holds it, as if another wanted it. Does not wait
    /// for that.
    pub fn give_back(&self) {
        self.lock.glocks.demote(self.lock.name);
    }
}

impl fmt::Debug for CachedLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let resource = self.lock.names.resource(self.lock.name);
        write!(f, "CachedLock(\"{}\")", resource.as_bytes().escape_ascii())
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        self.names.unused(self.name, self.glocks.clone());
        self.glocks.free(self.name);
        if !self.glocks.has(self.name) {
            self.names.freed(self.name);
        }
    }
}

/// A cached lock that is held. Dropping it lets go, and leaves the lock cached.
pub struct CachedGuard {
    holder: Holder,
    /// The lock is not given back while it is held: fields are dropped in their order.
    _lock: CachedLock,
}

impl CachedGuard {
    /// The fencing token of the lock that it holds under: larger than that of every earlier grant that
    /// excludes it. It does not change while the lock stays cached.
    #[must_use]
    pub fn token(&self) -> Token {
        self.holder.token()
    }

    /// Whether the session was lost, and the lock with it: what is done from now on is done unprotected.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.holder.lost()
    }
}

impl fmt::Debug for CachedGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CachedGuard({})", self.holder.state())
    }
}

/// The cached locks of a lockspace. Their table is made with the first.
#[derive(Default)]
pub(crate) struct Cached {
    table: OnceLock<Table>,
}

struct Table {
    glocks: Glocks,
    names: Arc<Names>,
}

impl Cached {
    fn table(&self, lockspace: &Lockspace) -> &Table {
        self.table.get_or_init(|| {
            let names = Arc::new(Names::default());
            let config = GlockConfig {
                instantiate: false,
                ..GlockConfig::default()
            };
            let glocks = Glocks::new(lockspace, Arc::<Names>::clone(&names), config);
            Table { glocks, names }
        })
    }

    /// Gives all of them back, for good.
    pub(crate) async fn release(&self) {
        if let Some(table) = self.table.get() {
            let glocks = table.glocks.clone();
            let released = tokio::task::spawn_blocking(move || glocks.release_all());
            // It ends before its time only with the runtime, and this with it.
            let _ = released.await;
        }
    }
}

/// Which numbers stand for which names.
#[derive(Default)]
struct Names {
    last: AtomicU64,
    entries: Mutex<HashMap<u64, Entry>>,
}

struct Entry {
    resource: ResourceName,
    hooks: Arc<CacheHooks>,
    /// Set when nobody can ask for it any more: it goes when its glock is forgotten, and until then the
    /// table has to be there for the server's answers.
    unused: Option<Glocks>,
}

impl Names {
    fn add(&self, resource: ResourceName, hooks: CacheHooks) -> GlockName {
        let number = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let entry = Entry {
            resource,
            hooks: Arc::new(hooks),
            unused: None,
        };
        self.entries().insert(number, entry);
        GlockName {
            kind: GlockType::Nondisk,
            number,
        }
    }

    fn unused(&self, name: GlockName, glocks: Glocks) {
        if let Some(entry) = self.entries().get_mut(&name.number) {
            entry.unused = Some(glocks);
        }
    }

    fn hooks(&self, name: GlockName) -> Option<Arc<CacheHooks>> {
        let entries = self.entries();
        let entry = entries.get(&name.number)?;
        Some(Arc::clone(&entry.hooks))
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<u64, Entry>> {
        // Every change is whole before anything that could panic.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Objects for Names {
    fn sync(&self, name: GlockName) {
        if let Some(call) = self
            .hooks(name)
            .as_ref()
            .and_then(|hooks| hooks.write_back.as_ref())
        {
            call();
        }
    }

    fn invalidate(&self, name: GlockName, _: State) {
        if let Some(call) = self
            .hooks(name)
            .as_ref()
            .and_then(|hooks| hooks.forget.as_ref())
        {
            call();
        }
    }

    fn resource(&self, name: GlockName) -> ResourceName {
        let entries = self.entries();
        let entry = entries.get(&name.number);
        entry.map_or_else(|| name.resource(), |entry| entry.resource.clone())
    }

    fn freed(&self, name: GlockName) {
        let mut entries = self.entries();
        let gone = match entries.get(&name.number) {
            Some(entry) if entry.unused.is_some() => entries.remove(&name.number),
            _ => None,
        };
        drop(entries);
        // The closures may own anything, even cached locks.
        drop(gone);
    }
}

impl From<GlockError> for LockError {
    fn from(error: GlockError) -> Self {
        match error {
            GlockError::TryFailed | GlockError::Interrupted => Self::TryFailed,
            GlockError::SessionLost(lost) => Self::SessionLost(lost),
            GlockError::Refused(refusal) => Self::Refused(refusal),
            GlockError::Limit { what, max } => Self::Limit { what, max },
            // The table was released because its lockspace was left. The others do not happen without
            // tasks, to a state that can be held, and without objects to read in.
            GlockError::Closed
            | GlockError::Recursion { .. }
            | GlockError::Unlocked
            | GlockError::Io(_) => Self::Gone,
        }
    }
}

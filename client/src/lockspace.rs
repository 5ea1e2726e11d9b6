//! A lockspace: where locks have names.

use std::sync::Arc;

use dlm_core::link::EverywhereKind;
use dlm_core::{LockspaceId, LockspaceOptions, Mode, Owner, RequestFlags, ResourceName, SessionId};

use crate::cached::Cached;
use crate::connect::Client;
use crate::error::LockError;
use crate::guard::Guard;
use crate::session::Opened;

/// A lockspace that this session has opened. Clones are the same.
///
/// Whatever waits in here waits for as long as it takes; [`tokio::time::timeout`] around it bounds that,
/// since a future that is dropped leaves nothing behind.
///
/// # Example
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = dlm_server::embedded::Server::start(([127, 0, 0, 1], 0).into()).await?;
/// # let servers = dlm_client::Servers::parse(&server.addr().to_string())?;
/// # let name = "example".to_owned();
/// # let client = dlm_client::Client::connect(dlm_client::ConnectOptions { servers, name }).await?;
/// use std::time::Duration;
///
/// use dlm_client::{LockError, LockspaceOptions, Mode, ValueLength};
/// use tokio::time::timeout;
///
/// let value_length = ValueLength::new(64)?;
/// let options = LockspaceOptions { value_length, ..LockspaceOptions::default() };
/// let lockspace = client.lockspace_with("jobs", options).await?;
///
/// let held = lockspace.lock("nightly", Mode::Ex).await?;
/// assert_eq!(lockspace.try_lock("nightly", Mode::Pr).await.err(), Some(LockError::TryFailed));
/// let waits = lockspace.lock("nightly", Mode::Pr);
/// assert!(timeout(Duration::from_millis(10), waits).await.is_err());
///
/// assert_eq!(lockspace.leave().await?, 1);
/// assert!(held.is_lost());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Lockspace {
    pub(crate) client: Client,
    pub(crate) id: LockspaceId,
    name: String,
    options: LockspaceOptions,
    replays: Arc<[SessionId]>,
    pub(crate) cached: Arc<Cached>,
}

impl Lockspace {
    pub(crate) fn new(client: Client, opened: Opened, name: String) -> Self {
        Self {
            client,
            id: opened.id,
            name,
            options: opened.options.locks,
            replays: opened.replays.into(),
            cached: Arc::default(),
        }
    }

    /// Its number in the cluster.
    #[must_use]
    pub fn id(&self) -> LockspaceId {
        self.id
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is like: chosen by whoever made it.
    #[must_use]
    pub const fn options(&self) -> LockspaceOptions {
        self.options
    }

    /// The dead sessions whose journals this session was named to replay before it takes a lock here; none,
    /// where nothing is written under the locks that would have to be put right.
    #[must_use]
    pub fn replays(&self) -> &[SessionId] {
        &self.replays
    }

    /// The session that opened it.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Waits for a lock on `name` (1 to 64 bytes of anything).
    ///
    /// Dropped before it is done, it leaves no lock behind: the request is cancelled, and where the
    /// grant was faster, unlocked.
    ///
    /// # Errors
    /// [`LockError::Refused`], [`LockError::Deadlock`], [`LockError::QueueFull`], [`LockError::InFlight`],
    /// [`LockError::Gone`] or [`LockError::SessionLost`].
    pub async fn lock(&self, name: impl AsRef<[u8]>, mode: Mode) -> Result<Guard, LockError> {
        self.request(name, mode, RequestFlags::empty(), Owner(0))
            .await
    }

    /// A lock on `name` if it can be had without waiting for others.
    ///
    /// # Errors
    /// [`LockError::TryFailed`], and as [`Lockspace::lock`].
    pub async fn try_lock(&self, name: impl AsRef<[u8]>, mode: Mode) -> Result<Guard, LockError> {
        self.request(name, mode, RequestFlags::NOQUEUE, Owner(0))
            .await
    }

    /// As [`Lockspace::lock`], and reads the resource's value: see [`Guard::value`].
    ///
    /// # Errors
    /// As [`Lockspace::lock`].
    pub async fn lock_with_value(
        &self,
        name: impl AsRef<[u8]>,
        mode: Mode,
    ) -> Result<Guard, LockError> {
        self.request(name, mode, RequestFlags::VALBLK, Owner(0))
            .await
    }

    /// A lock with flags, for a task of this session ([`crate::Task::owner`], or 0 for none in
    /// particular).
    ///
    /// The mode granted may be another than `mode` where the flags allow it: see [`Guard::mode`].
    ///
    /// # Errors
    /// As [`Lockspace::try_lock`].
    pub async fn request(
        &self,
        name: impl AsRef<[u8]>,
        mode: Mode,
        flags: RequestFlags,
        owner: Owner,
    ) -> Result<Guard, LockError> {
        let name = ResourceName::new(name.as_ref())?;
        Guard::request(self, name, mode, (flags, owner)).await
    }

    /// Takes over an orphan of this session: a lock that was asked for with
    /// [`RequestFlags::PERSISTENT`] and whose task has ended, held in `mode`.
    ///
    /// It does not wait. Dropped before it is done, the orphan is unlocked if it was found.
    ///
    /// # Errors
    /// [`LockError::Refused`], where there is no such orphan or it is held in another mode, and as
    /// [`Lockspace::lock`].
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
    /// use dlm_client::{Mode, RequestFlags};
    ///
    /// let task = client.task("mount");
    /// let persistent = RequestFlags::PERSISTENT;
    /// let guard = lockspace.request("volume", Mode::Ex, persistent, task.owner()).await?;
    /// task.end().await?;
    /// assert!(guard.is_lost());
    ///
    /// let adopted = lockspace.adopt("volume", Mode::Ex).await?;
    /// assert_eq!(adopted.mode(), Mode::Ex);
    /// adopted.unlock().await?;
    /// assert_eq!(lockspace.purge_orphans(None).await?, 0);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn adopt(&self, name: impl AsRef<[u8]>, mode: Mode) -> Result<Guard, LockError> {
        self.request(name, mode, RequestFlags::ORPHAN, Owner(0))
            .await
    }

    /// Orphans of this session in the lockspace go: all of them, or those that `owner` left. Answers how
    /// many.
    ///
    /// # Errors
    /// [`LockError::QueueFull`], [`LockError::InFlight`] or [`LockError::SessionLost`].
    pub async fn purge_orphans(&self, owner: Option<Owner>) -> Result<u32, LockError> {
        let lockspace = self.id;
        let kind = EverywhereKind::PurgeOrphans { lockspace, owner };
        self.client.session.purge(kind).await
    }

    /// Gives the lockspace up, for the whole session: all its locks there go, orphans too, and guards of
    /// them learn it. What is cached is written back and dropped first ([`Lockspace::cached`]). Answers how
    /// many locks went.
    ///
    /// # Errors
    /// [`LockError::GlocksInUse`], where a [`crate::glocks::Glocks`] over it was not released, or
    /// [`LockError::QueueFull`], [`LockError::InFlight`], [`LockError::SessionLost`].
    pub async fn leave(self) -> Result<u32, LockError> {
        self.cached.release().await;
        let lockspace = self.id;
        let session = &self.client.session;
        let uses = |glocks: &Arc<crate::glocks::Inner>| glocks.uses(lockspace);
        if session.shared.glocks().iter().any(uses) {
            return Err(LockError::GlocksInUse);
        }
        let kind = EverywhereKind::LeaveLockspace { lockspace };
        session.purge(kind).await
    }
}

//! A lockspace: where locks have names.

use dlm_core::{LockspaceId, Mode, Owner, RequestFlags, ResourceName};

use crate::connect::Client;
use crate::error::LockError;
use crate::guard::Guard;

/// A lockspace that this session has opened.
#[derive(Clone)]
pub struct Lockspace {
    pub(crate) client: Client,
    pub(crate) id: LockspaceId,
    pub(crate) name: String,
}

impl Lockspace {
    /// Its number at the server.
    #[must_use]
    pub fn id(&self) -> LockspaceId {
        self.id
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
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
    /// [`LockError::Refused`], [`LockError::QueueFull`] or [`LockError::SessionLost`].
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

    /// A lock with flags, for a task of this session.
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
        let name = ResourceName::new(name.as_ref()).map_err(LockError::Refused)?;
        Guard::request(self, name, mode, (flags, owner)).await
    }
}

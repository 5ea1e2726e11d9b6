//! What the owner of a glock table brings along: the hooks and the numbers.

use dlm_core::ResourceName;
use glock_core::glock::HoldTime;
use glock_core::{GlockName, GlockType, State};

use crate::limits::GLOCKS_MAX_DEFAULT;

/// What is cached under the glocks: gfs2's glock operations.
///
/// [`Objects::resource`], [`Objects::freed`] and [`Objects::dump`] only look; they must be quick, and call
/// nothing of [`super::Glocks`]. The others, the hooks, are called on threads that may block, never under a
/// lock of [`super::Glocks`], and for one glock never two at once. They must not wait for a glock. A hook
/// that panics ends the session: nobody knows what is still cached.
pub trait Objects: Send + Sync + 'static {
    /// Writes back everything dirty. Called before a glock leaves EX for anything else; nobody holds it.
    fn sync(&self, name: GlockName);

    /// Drops what may not be cached in state `to`: everything for UN, data for DF. Called after
    /// [`Objects::sync`] and before the lock manager hears of the change. Called without a sync when the
    /// session is lost: what is dirty then may not be written any more.
    fn invalidate(&self, name: GlockName, to: State);

    /// Reads the object in, on its first use after UN.
    ///
    /// # Errors
    /// What went wrong; the holder gets it as [`super::GlockError::Io`].
    fn instantiate(&self, name: GlockName) -> Result<(), String> {
        let _ = name;
        Ok(())
    }

    /// What the lock manager knows a glock as. A glock's name is a type and a number; where these stand for
    /// something with a name of its own, this is that name.
    fn resource(&self, name: GlockName) -> ResourceName {
        name.resource()
    }

    /// The table has forgotten a glock: nothing of it is cached, and the lock manager knows no lock of it.
    /// It may come back.
    fn freed(&self, name: GlockName) {
        let _ = name;
    }

    /// The object's own line for the dump.
    fn dump(&self, name: GlockName) -> Option<String> {
        let _ = name;
        None
    }
}

/// The numbers of a glock table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GlockConfig {
    /// The minimum hold time of inode glocks; other types have none, as in gfs2.
    pub hold: HoldTime,
    /// Whether [`Objects::instantiate`] is called. Without, a first use saves a change of threads.
    pub instantiate: bool,
    /// The most glocks cached; one more is [`super::GlockError::Limit`].
    pub glocks_max: usize,
}

impl Default for GlockConfig {
    fn default() -> Self {
        Self {
            hold: HoldTime::GLOCKWORK,
            instantiate: true,
            glocks_max: GLOCKS_MAX_DEFAULT,
        }
    }
}

impl GlockConfig {
    /// The hold time of this glock.
    pub(super) fn hold_of(&self, name: GlockName) -> HoldTime {
        if name.kind == GlockType::Inode {
            self.hold
        } else {
            HoldTime::NONE
        }
    }
}

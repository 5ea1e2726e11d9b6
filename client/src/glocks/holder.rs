//! A granted holder, as its task has it.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

use dlm_core::{Owner, Token};
use glock_core::{GlockName, HolderFlags, HolderId, Input, Release, State};

use super::{Inner, Role};

/// What a task asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HolderRequest {
    /// Which glock.
    pub name: GlockName,
    /// In which state: SH, DF or EX.
    pub state: State,
    /// How.
    pub flags: HolderFlags,
    /// The task; 0 for nobody in particular. See [`super::Glocks::task`].
    pub owner: Owner,
    /// What for, for the lock graph.
    pub role: Role,
}

/// A hold on a glock. Dropping it is [`Release::Normal`].
pub struct Holder {
    pub(super) inner: Arc<Inner>,
    pub(super) tag: Arc<Tag>,
    pub(super) name: GlockName,
    pub(super) id: HolderId,
    pub(super) state: State,
    pub(super) token: Token,
    /// How it goes when it is dropped; `None` where it is gone from the queue already.
    pub(super) release: Option<Release>,
}

/// What the lock graph shows of a holder, and its task may change while it holds.
#[derive(Debug)]
pub(super) struct Tag {
    role: AtomicU8,
    pins: AtomicU32,
}

impl Tag {
    pub(super) fn new(role: Role) -> Self {
        Self {
            role: AtomicU8::new(number(role)),
            pins: AtomicU32::new(0),
        }
    }

    pub(super) fn role(&self) -> Role {
        let number = self.role.load(Ordering::Relaxed);
        ROLES[usize::from(number) % ROLES.len()]
    }

    pub(super) fn pins(&self) -> u32 {
        self.pins.load(Ordering::Relaxed)
    }
}

const ROLES: [Role; 3] = [Role::Operation, Role::Pin, Role::Fault];

const fn number(role: Role) -> u8 {
    match role {
        Role::Operation => 0,
        Role::Pin => 1,
        Role::Fault => 2,
    }
}

impl Holder {
    /// Which glock it holds.
    #[must_use]
    pub fn name(&self) -> GlockName {
        self.name
    }

    /// The state that was asked for, and that the task may rely on.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// The state that the node has cached, which may be stronger. It does not change while anybody
    /// holds.
    #[must_use]
    pub fn cached_state(&self) -> State {
        self.inner.cached(self.name)
    }

    /// The fencing token of the lock that it holds under.
    #[must_use]
    pub fn token(&self) -> Token {
        self.token
    }

    /// Whether the session was lost, and the lock with it: what is done from now on is done unprotected.
    #[must_use]
    pub fn lost(&self) -> bool {
        self.inner.session.shared.lost().is_some()
    }

    /// Changes what the lock graph says it is held for.
    pub fn set_role(&self, role: Role) {
        self.tag.role.store(number(role), Ordering::Relaxed);
    }

    /// How many pages are pinned under it, for the lock graph; the task counts them here.
    #[must_use]
    pub fn pins(&self) -> &AtomicU32 {
        &self.tag.pins
    }

    /// Lets go.
    pub fn release(mut self, how: Release) {
        self.release = Some(how);
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            self.inner.step(
                self.name,
                Input::Dequeue {
                    holder: self.id,
                    release,
                },
            );
        }
    }
}

impl fmt::Debug for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Holder({} {})", self.name, self.state)
    }
}

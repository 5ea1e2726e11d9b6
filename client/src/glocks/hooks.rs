//! Calling the owner's hooks, on threads that may block.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use glock_core::{GlockName, Input};

use super::Inner;
use super::table::Hook;
use crate::session::Command;

impl Inner {
    /// Starts a hook; its return is the glock's next step.
    pub(super) fn call(self: &Arc<Self>, name: GlockName, hook: Hook) {
        let inner = Arc::clone(self);
        self.runtime
            .spawn_blocking(move || inner.run_hook(name, hook));
    }

    fn run_hook(self: Arc<Self>, name: GlockName, hook: Hook) {
        let objects = &*self.objects;
        let run = || match hook {
            Hook::Sync => {
                objects.sync(name);
                (Input::HookDone, None)
            }
            Hook::Invalidate(to) => {
                objects.invalidate(name, to);
                (Input::HookDone, None)
            }
            Hook::Instantiate => {
                let done = objects.instantiate(name);
                (Input::Instantiated { ok: done.is_ok() }, done.err())
            }
        };
        // What a hook leaves behind is never looked at after a panic: the session ends.
        match catch_unwind(AssertUnwindSafe(run)) {
            Ok((input, error)) => self.step_with(name, input, error.as_deref()),
            Err(_) => self.broken(name),
        }
    }

    /// A hook panicked: nobody knows what is still cached, and nothing may be given away as if it were
    /// written back.
    fn broken(self: &Arc<Self>, name: GlockName) {
        let why = format!("a hook of glock {name} panicked");
        tracing::error!(%name, "{why}; the session ends");
        self.session.send(Command::Abort { why });
        self.step(name, Input::SessionLost);
        self.step(name, Input::HookDone);
    }
}

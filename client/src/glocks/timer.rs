//! The timers of a table: one task and one heap.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Weak;
use std::time::{Duration, Instant};

use dlm_core::Tick;
use glock_core::{GlockName, Input};
use tokio::sync::mpsc;
use tokio::time::sleep_until;

use super::Inner;

impl Inner {
    /// Arms the timer of a glock. One that was armed before stays and does no harm.
    pub(super) fn arm(&self, at: Tick, name: GlockName) {
        let at = self.started + Duration::from_micros(at.0);
        // The other end lives as long as the table, or the runtime is gone and with it the session.
        let _ = self.timers.send((at, name));
    }
}

/// Waits, and steps the glocks whose time has come, until the table is dropped.
pub(super) async fn run(
    inner: Weak<Inner>,
    mut armed: mpsc::UnboundedReceiver<(Instant, GlockName)>,
) {
    let mut times = BinaryHeap::new();
    loop {
        let first = times.peek().map(|&Reverse((at, _))| at);
        tokio::select! {
            timer = armed.recv() => match timer {
                Some(timer) => times.push(Reverse(timer)),
                None => return,
            },
            () = sleep_until(first.unwrap_or_else(Instant::now).into()), if first.is_some() => {
                let Some(inner) = inner.upgrade() else { return };
                let now = Instant::now();
                while let Some(&Reverse((at, name))) = times.peek()
                    && at <= now
                {
                    times.pop();
                    inner.step(name, Input::Timer);
                }
            }
        }
    }
}

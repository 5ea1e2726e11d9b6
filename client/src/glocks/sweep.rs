//! What is done to all glocks of a table.

use std::sync::{Arc, PoisonError};

use glock_core::{Glock, GlockName, HolderFlags, Input};

use super::Inner;
use super::table::After;

impl Inner {
    /// The same step for every glock.
    pub(super) fn step_all(self: &Arc<Self>, input: Input) {
        self.each(|_| vec![input]);
    }

    pub(super) fn cancel_waits(self: &Arc<Self>, faults_too: bool) {
        self.each(|glock| {
            let waits = glock.holders().filter(|holder| {
                !holder.granted && (faults_too || !holder.flags.contains(HolderFlags::FAULT))
            });
            waits
                .map(|waiter| Input::CancelWait { holder: waiter.id })
                .collect()
        });
    }

    /// For every glock, in no order, the steps that `inputs` gives for it.
    fn each(self: &Arc<Self>, inputs: impl Fn(&Glock) -> Vec<Input>) {
        for mut shard in self.shards() {
            let mut after = After::default();
            let names: Vec<GlockName> = shard.glocks.keys().copied().collect();
            for name in names {
                let inputs = shard.glocks.get(&name).map(|entry| inputs(&entry.glock));
                for input in inputs.into_iter().flatten() {
                    self.step_locked(&mut shard, name, (input, None), &mut after);
                }
            }
            drop(shard);
            self.finish(after);
        }
    }

    pub(super) fn wait_until_empty(&self) {
        let (lock, condition) = &self.emptied;
        let mut guard = lock.lock().unwrap_or_else(PoisonError::into_inner);
        while !self.shards().all(|shard| shard.glocks.is_empty()) {
            guard = condition
                .wait(guard)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    pub(super) fn emptied(&self) {
        let (lock, condition) = &self.emptied;
        // Between a waiter's look and its wait this lock is held, so that no signal falls in between.
        drop(lock.lock().unwrap_or_else(PoisonError::into_inner));
        condition.notify_all();
    }
}

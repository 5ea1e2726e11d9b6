//! What is remembered of resources that are gone: that their value was not valid.
//!
//! In fs/dlm a resource without locks is kept for a while (`ci_toss_secs`), its value is freed at once,
//! and the mark that it is not valid survives. So does ours, and no more than the mark.

use alloc::collections::{BTreeMap, VecDeque};

use crate::ids::{LockspaceId, ResourceName, Tick};

/// fs/dlm's `ci_toss_secs`, in microseconds.
const KEPT_US: u64 = 10_000_000;

/// The most marks. Beyond that the oldest goes: a value block that nobody holds a lock on is no promise.
const REMNANTS_MAX: usize = 1 << 12;

type Name = (LockspaceId, ResourceName);

/// The marks, each with the time when its resource went.
#[derive(Clone, Debug, Default)]
pub(super) struct Remnants {
    gone: BTreeMap<Name, Tick>,
    /// The same in order of time, with entries that are not in `gone` any more.
    order: VecDeque<(Tick, Name)>,
}

impl Remnants {
    /// A resource whose value is not valid is gone.
    pub(super) fn insert(&mut self, now: Tick, name: Name) {
        self.gone.insert(name.clone(), now);
        self.order.push_back((now, name));
        self.expire(now);
    }

    /// Whether a resource that comes into being has such a value, from its earlier life.
    pub(super) fn take(&mut self, now: Tick, lockspace: LockspaceId, name: &ResourceName) -> bool {
        if self.gone.is_empty() {
            return false;
        }
        self.expire(now);
        self.gone.remove(&(lockspace, name.clone())).is_some()
    }

    /// All marks, the oldest first.
    pub(super) fn all(&self) -> impl Iterator<Item = &(Tick, Name)> {
        let is_there = |(since, name): &&(Tick, Name)| self.gone.get(name) == Some(since);
        self.order.iter().filter(is_there)
    }

    fn expire(&mut self, now: Tick) {
        while let Some((since, name)) = self.order.front() {
            if self.order.len() <= REMNANTS_MAX && now.since(*since) <= KEPT_US {
                return;
            }
            if self.gone.get(name) == Some(since) {
                self.gone.remove(name);
            }
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: usize) -> ResourceName {
        ResourceName::new(&number.to_le_bytes()).expect("a name")
    }

    #[test]
    fn a_mark_is_kept_for_ten_seconds() {
        let mut remnants = Remnants::default();
        let space = LockspaceId(1);
        remnants.insert(Tick(0), (space, name(0)));
        assert!(!remnants.take(Tick(1), LockspaceId(2), &name(0)));
        assert!(remnants.take(Tick(KEPT_US), space, &name(0)));
        assert!(
            !remnants.take(Tick(KEPT_US), space, &name(0)),
            "it was taken"
        );
        remnants.insert(Tick(0), (space, name(0)));
        assert!(!remnants.take(Tick(KEPT_US + 1), space, &name(0)));
    }

    #[test]
    fn there_are_never_too_many() {
        let mut remnants = Remnants::default();
        let space = LockspaceId(1);
        for number in 0..=REMNANTS_MAX {
            remnants.insert(Tick(0), (space, name(number)));
        }
        assert_eq!(remnants.order.len(), REMNANTS_MAX);
        assert!(!remnants.take(Tick(0), space, &name(0)), "the oldest went");
        assert!(remnants.take(Tick(0), space, &name(1)));
    }
}

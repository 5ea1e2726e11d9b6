//! A resource with many granted locks: who is in the way is found without asking all of them.
//!
//! A few granted locks are asked one after the other whether they are in the way and were not told. Of
//! ten thousand that would be ten thousand questions at every step while somebody waits, also when all
//! were told long ago. So where there are many they are kept by what they hold and what they were told
//! of, and only those are touched that a callback goes to.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::queue::{FEW_MAX, ModeCounts, Queues};
use super::{LockKey, Locks, Resource};
use crate::mode::Mode;

/// From so many granted locks on they are kept in order; up to here it is cheaper to ask all. With
/// debug assertions two are many, so that whatever is tested is tested with it.
const MANY: usize = if cfg!(debug_assertions) { 2 } else { 64 };

/// What else is kept of a resource with many locks.
#[derive(Clone, Debug, Default)]
pub(crate) struct Crowd {
    /// The locks beyond the [`FEW_MAX`] that a resource counts of a mode.
    beyond: ModeCounts,
    /// The granted locks, by the mode they hold, the mode they were told of, and the order in which they
    /// came; the last stands first in its queue.
    told: [[BTreeMap<u64, LockKey>; Mode::ALL.len()]; Mode::ALL.len()],
}

impl Crowd {
    fn kept(&mut self, locks: &Locks, key: LockKey) -> Option<&mut BTreeMap<u64, LockKey>> {
        let lock = &locks[key];
        let held = lock.granted?;
        Some(&mut self.told[held as usize][lock.told as usize])
    }

    /// A lock came to be granted, or holds or knows another mode than before.
    pub(super) fn insert(&mut self, locks: &Locks, key: LockKey) {
        let serial = locks[key].serial;
        if let Some(kept) = self.kept(locks, key) {
            kept.insert(serial, key);
        }
    }

    /// A granted lock goes, or is about to hold or know another mode.
    pub(super) fn remove(&mut self, locks: &Locks, key: LockKey) {
        let serial = locks[key].serial;
        if let Some(kept) = self.kept(locks, key) {
            kept.remove(&serial);
        }
    }

    /// Those of the granted locks, in the order of their queue, that hold and were told of modes for
    /// which there is `news`.
    pub(super) fn select(&self, news: impl Fn(Mode, Mode) -> bool) -> Vec<LockKey> {
        let mut found: Vec<(u64, LockKey)> = Vec::new();
        for (held, by_told) in Mode::ALL.into_iter().zip(&self.told) {
            for (told, kept) in Mode::ALL.into_iter().zip(by_told) {
                if !kept.is_empty() && news(held, told) {
                    found.extend(kept.iter().map(|(&serial, &key)| (serial, key)));
                }
            }
        }
        found.sort_unstable_by(|(a, _), (b, _)| b.cmp(a));
        found.into_iter().map(|(_, key)| key).collect()
    }
}

impl Resource {
    /// The crowd, where there is one.
    pub(crate) fn crowd(&self) -> Option<&Crowd> {
        self.queues.as_ref()?.crowd.as_deref()
    }

    #[inline]
    pub(super) fn crowd_mut(&mut self) -> Option<&mut Crowd> {
        self.queues.as_mut()?.crowd.as_deref_mut()
    }

    /// How many locks hold each mode.
    pub(crate) fn held_counts(&self) -> ModeCounts {
        let mut counts = self.held.counts();
        if let Some(crowd) = self.crowd() {
            counts.add_all(&crowd.beyond);
        }
        counts
    }

    /// One more lock holds `mode`.
    #[inline]
    pub(super) fn hold(&mut self, locks: &Locks, mode: Mode) {
        if self.held.of(mode) < FEW_MAX {
            return self.held.add(mode);
        }
        if self.crowd().is_none() {
            self.gather(locks);
        }
        if let Some(crowd) = self.crowd_mut() {
            crowd.beyond.add(mode);
        }
    }

    /// One lock less holds `mode`.
    #[inline]
    pub(super) fn release(&mut self, mode: Mode) {
        match self.crowd_mut() {
            Some(crowd) if crowd.beyond.has(mode) => crowd.beyond.remove(mode),
            _ => self.held.remove(mode),
        }
    }

    /// A lock stands first of the granted ones now.
    #[inline]
    pub(super) fn joined(&mut self, locks: &Locks, key: LockKey) {
        if let Some(crowd) = self.crowd_mut() {
            crowd.insert(locks, key);
        } else if self.granted.len() > MANY {
            self.gather(locks);
        }
    }

    /// A lock is about to leave the granted ones.
    #[inline]
    pub(super) fn leaving(&mut self, locks: &Locks, key: LockKey) {
        if let Some(crowd) = self.crowd_mut() {
            crowd.remove(locks, key);
        }
    }

    /// Makes the crowd of the granted locks.
    fn gather(&mut self, locks: &Locks) {
        let mut crowd = Box::<Crowd>::default();
        for key in self.granted.iter(locks) {
            crowd.insert(locks, key);
        }
        self.queues.get_or_insert_default().crowd = Some(crowd);
    }

    /// Frees what is not needed any more. A crowd stays until it is half as large as when it was made:
    /// one lock that comes and goes does not make it and unmake it.
    #[inline]
    pub(super) fn shrink(&mut self) {
        let Some(queues) = &mut self.queues else {
            return;
        };
        let few = self.granted.len() <= MANY / 2;
        if few
            && queues
                .crowd
                .as_ref()
                .is_some_and(|crowd| crowd.beyond.is_empty())
        {
            queues.crowd = None;
        }
        if queues.is_empty() {
            self.queues = None;
        }
    }
}

impl Queues {
    /// Whether there is nothing to keep.
    pub(crate) const fn is_empty(&self) -> bool {
        self.converting.list.is_empty() && self.waiting.list.is_empty() && self.crowd.is_none()
    }
}

/// Whether what a crowd keeps is what stands in the resource's queue of granted locks, in that order.
#[cfg(debug_assertions)]
pub(crate) fn agrees(resource: &Resource, locks: &Locks) -> bool {
    let Some(crowd) = resource.crowd() else {
        return resource.granted.len() <= MANY;
    };
    let fits = |(held, told): (usize, usize)| {
        let mut kept = crowd.told[held][told].values();
        kept.all(|&key| {
            let lock = &locks[key];
            let modes = (lock.granted.map(|mode| mode as usize), lock.told as usize);
            lock.queue == crate::deadlock::Queue::Granted && modes == (Some(held), told)
        })
    };
    let modes = 0..Mode::ALL.len();
    let mut pairs = modes
        .clone()
        .flat_map(|held| modes.clone().map(move |told| (held, told)));
    let in_order = crowd.select(|_, _| true).into_iter();
    pairs.all(fits) && in_order.eq(resource.granted.iter(locks))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{LockId, LockspaceId, OpId, Owner, ResourceName, SessionId, Tick};
    use crate::{Input, Limits, LockTable, RequestFlags};
    use std::cell::Cell;

    const HOLDERS: u64 = 600;

    /// CR locks on one resource, and then one that wants EX. What that one's request said.
    fn table() -> (LockTable, Vec<crate::Output>) {
        let (session, lockspace) = (SessionId(1), LockspaceId(1));
        let mut table = LockTable::new(Limits::DEFAULT, 1);
        let mut out = Vec::new();
        let opened = Input::OpenLockspace { session, lockspace };
        table.step(Tick(0), Input::SessionStarted { session }, &mut out);
        table.step(Tick(0), opened, &mut out);
        for lock in 0..=HOLDERS {
            out.clear();
            let mode = if lock < HOLDERS { Mode::Cr } else { Mode::Ex };
            let request = Input::Request {
                session,
                op: OpId(lock),
                lockspace,
                lock: LockId(lock),
                name: ResourceName::new(b"crowd").expect("a name"),
                mode,
                flags: RequestFlags::empty(),
                owner: Owner(0),
            };
            table.step(Tick(0), request, &mut out);
        }
        (table, out)
    }

    #[test]
    fn all_holders_are_told_once_and_then_none_is_asked() {
        let (mut table, called) = table();
        // One is the request's own: that it waits.
        assert_eq!(called.len() as u64, HOLDERS + 1);
        let (_, resource) = table.resources.iter().next().expect("the resource");
        assert_eq!(resource.held.of(Mode::Cr), FEW_MAX);
        let asked = Cell::new(0);
        let crowd = resource.crowd().expect("there are many");
        let told = crowd.select(|held, told| {
            asked.set(asked.get() + 1);
            told < Mode::Ex && !held.compatible(Mode::Ex)
        });
        assert_eq!((told.len(), asked.get()), (0, 1), "all are of one kind");
        let mut out = Vec::new();
        for lock in 0..HOLDERS {
            out.clear();
            let unlock = Input::Unlock {
                session: SessionId(1),
                op: OpId(0),
                lock: LockId(lock),
                flags: RequestFlags::empty(),
                value: None,
            };
            table.step(Tick(1), unlock, &mut out);
            let expected = if lock + 1 < HOLDERS { 1 } else { 2 };
            assert_eq!(out.len(), expected, "the last one lets EX in");
        }
        let (_, resource) = table.resources.iter().next().expect("the resource");
        assert!(resource.queues.is_none(), "nothing is left of the crowd");
    }
}

//! Looking at a table closely: every lock with all that there is to know of it, for listings and dumps.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::deadlock::Queue;
use crate::flags::{RequestFlags, StatusFlags};
use crate::ids::{LockId, LockspaceId, Owner, ResourceName, SessionId, Tick, Token};
use crate::mode::Mode;
use crate::resource::{LockKey, Marks, ResourceKey};
use crate::table::LockTable;
use crate::value::ValueBlock;

/// A resource with its locks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResourceDetail {
    /// The lockspace.
    pub lockspace: LockspaceId,
    /// The resource's name.
    pub name: ResourceName,
    /// Its value; `None` where nobody has stored one.
    pub value: Option<ValueBlock>,
    /// Whether whoever wrote the value last was neither lost nor said that it is not valid.
    pub value_valid: bool,
    /// Its locks: granted (the newest first), converting, waiting, each queue in its order.
    pub locks: Vec<LockDetail>,
}

/// A lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LockDetail {
    /// Whose it is.
    pub session: SessionId,
    /// Its number in that session.
    pub lock: LockId,
    /// The task that asked last.
    pub owner: Owner,
    /// Where it stands.
    pub queue: Queue,
    /// The mode it has; `None` while it waits for its first grant.
    pub granted: Option<Mode>,
    /// The mode it waits for, if it waits.
    pub requested: Option<Mode>,
    /// The flags of the last request or conversion, and of every unlock and cancel since.
    pub flags: RequestFlags,
    /// What its last answer said beside the status.
    pub status: StatusFlags,
    /// The token of its last grant, zero before the first.
    pub token: Token,
    /// The strongest mode of which it was told since its last grant that somebody wants it.
    pub told: Option<Mode>,
    /// When it got where it stands.
    pub since: Tick,
    /// Whether its owner is gone and nobody adopted it.
    pub orphan: bool,
}

/// How much there is in a lockspace.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LockspaceCounts {
    /// Resources with a lock on them.
    pub resources: usize,
    /// Locks, held or waited for.
    pub locks: usize,
    /// Those that convert or wait.
    pub waiting: usize,
    /// Those whose owner is gone.
    pub orphans: usize,
}

/// Where a listing goes on: in a resource that is begun, or with the next one where that is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DetailCursor {
    /// The resource's lockspace.
    pub lockspace: LockspaceId,
    /// Its name.
    pub name: ResourceName,
    /// How many of its locks were listed.
    pub listed: usize,
}

impl LockTable {
    /// As [`detail`](Self::detail), from a cursor on, with at most `locks_max` locks; and where the rest
    /// begins. What changes between two pages may be in both or in none.
    #[must_use]
    pub fn detail_page(
        &self,
        lockspace: Option<LockspaceId>,
        from: Option<&DetailCursor>,
        locks_max: usize,
    ) -> (Vec<ResourceDetail>, Option<DetailCursor>) {
        let wanted = |id: LockspaceId| lockspace.is_none_or(|only| only == id);
        let begins = from.map(|from| (from.lockspace, from.name.as_bytes()));
        let mut places: Vec<_> = self
            .resources
            .iter()
            .map(|(place, resource)| ((resource.lockspace, resource.name.as_bytes()), place))
            .filter(|((id, _), _)| wanted(*id))
            .filter(|(name, _)| begins.is_none_or(|begins| begins <= *name))
            .collect();
        places.sort_unstable();
        let (mut page, mut room) = (Vec::new(), locks_max);
        for (name, place) in places {
            let listed = from.filter(|_| Some(name) == begins);
            let listed = listed.map_or(0, |from| from.listed);
            let locks: Vec<LockKey> = self.keys_of(place).skip(listed).take(room).collect();
            if locks.is_empty() && listed > 0 {
                continue;
            }
            let whole = self.keys_of(place).nth(listed + locks.len()).is_none();
            room -= locks.len();
            let mut detail = self.detail_without_locks(place);
            detail.locks = locks.into_iter().map(|key| self.lock_detail(key)).collect();
            let next = DetailCursor {
                lockspace: detail.lockspace,
                name: detail.name.clone(),
                listed: listed + detail.locks.len(),
            };
            // With no room left the next page begins here, and finds that there is no more of it.
            let full = room == 0 || !whole;
            if !detail.locks.is_empty() {
                page.push(detail);
            }
            if full {
                return (page, Some(next));
            }
        }
        (page, None)
    }

    /// All resources, or those of one lockspace, in the order of lockspace and name.
    #[must_use]
    pub fn detail(&self, lockspace: Option<LockspaceId>) -> Vec<ResourceDetail> {
        let wanted = |id: LockspaceId| lockspace.is_none_or(|only| only == id);
        let places = self.resources.iter();
        let places = places.filter(|(_, resource)| wanted(resource.lockspace));
        let mut all: Vec<_> = places.map(|(place, _)| self.detail_of(place)).collect();
        all.sort_unstable_by(|a, b| (a.lockspace, &a.name).cmp(&(b.lockspace, &b.name)));
        all
    }

    /// What is in each lockspace, counted one by one. One without locks is not in it.
    #[must_use]
    pub fn lockspace_counts(&self) -> BTreeMap<LockspaceId, LockspaceCounts> {
        let mut all = BTreeMap::new();
        for (place, resource) in self.resources.iter() {
            let counts: &mut LockspaceCounts = all.entry(resource.lockspace).or_default();
            counts.resources += 1;
            counts.waiting += resource.queue_length();
            for key in self.keys_of(place) {
                counts.locks += 1;
                counts.orphans += usize::from(self.locks[key].marks.contains(Marks::ORPHAN));
            }
        }
        all
    }

    /// The mode and the token that a session's lock is held with; `None` where it is not held.
    #[must_use]
    pub fn held(&self, session: SessionId, lock: LockId) -> Option<(Mode, Token)> {
        let lock = &self.locks[self.find(session, lock).ok()?];
        Some((lock.granted?, lock.token))
    }

    /// Since when the lock has waited that has waited longest in these lockspaces.
    #[must_use]
    pub fn oldest_wait(&self, wanted: impl Fn(LockspaceId) -> bool) -> Option<Tick> {
        if self.waiting() == 0 {
            return None;
        }
        let waits = self.locks.iter().map(|(_, lock)| lock).filter(|lock| {
            lock.queue != Queue::Granted && wanted(self.resources[lock.resource].lockspace)
        });
        waits.map(|lock| lock.since).min()
    }

    fn detail_of(&self, place: ResourceKey) -> ResourceDetail {
        let locks = self.keys_of(place).map(|key| self.lock_detail(key));
        ResourceDetail {
            locks: locks.collect(),
            ..self.detail_without_locks(place)
        }
    }

    fn detail_without_locks(&self, place: ResourceKey) -> ResourceDetail {
        let resource = &self.resources[place];
        ResourceDetail {
            lockspace: resource.lockspace,
            name: resource.name.to_name(),
            value: resource.value.as_deref().map(|stored| stored.value.clone()),
            value_valid: !resource.value_invalid(),
            locks: Vec::new(),
        }
    }

    fn lock_detail(&self, key: LockKey) -> LockDetail {
        let lock = &self.locks[key];
        LockDetail {
            session: lock.session,
            lock: lock.id,
            owner: lock.owner,
            queue: lock.queue,
            granted: lock.granted,
            requested: lock.requested,
            flags: lock.flags,
            status: lock.status,
            token: lock.token,
            told: (lock.told != Mode::Nl).then_some(lock.told),
            since: lock.since,
            orphan: lock.marks.contains(Marks::ORPHAN),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::Limits;
    use crate::message::Input;
    use crate::{OpId, Owner};
    use std::vec;

    /// Three resources in two lockspaces: with one lock, five, and one.
    fn table() -> LockTable {
        let mut table = LockTable::new(Limits::DEFAULT, 7);
        let mut out = Vec::new();
        let session = SessionId(1);
        let mut step = |input| table.step(Tick(1), input, &mut out);
        step(Input::SessionStarted { session });
        for lockspace in [LockspaceId(1), LockspaceId(2)] {
            step(Input::OpenLockspace { session, lockspace });
        }
        let locks = [(1, "b", 1), (1, "c", 5), (2, "a", 1)];
        let mut lock = 0;
        for (lockspace, name, count) in locks {
            for _ in 0..count {
                lock += 1;
                step(Input::Request {
                    session,
                    op: OpId(lock),
                    lockspace: LockspaceId(lockspace),
                    lock: LockId(lock),
                    name: ResourceName::new(name.as_bytes()).expect("a name"),
                    mode: Mode::Cr,
                    flags: RequestFlags::empty(),
                    owner: Owner(0),
                });
            }
        }
        table
    }

    #[test]
    fn pages_of_every_size_have_all_locks_in_order_and_no_more_than_fit() {
        let table = table();
        let all = |details: &[ResourceDetail]| -> Vec<_> {
            let locks = details.iter().flat_map(|resource| {
                let of = (resource.lockspace, resource.name.clone());
                resource
                    .locks
                    .iter()
                    .map(move |lock| (of.clone(), lock.lock))
            });
            locks.collect()
        };
        for lockspace in [None, Some(LockspaceId(1)), Some(LockspaceId(3))] {
            let expected = all(&table.detail(lockspace));
            for size in 1..=8 {
                let (mut listed, mut from) = (vec![], None);
                loop {
                    let (page, next) = table.detail_page(lockspace, from.as_ref(), size);
                    let page = all(&page);
                    assert!(page.len() <= size);
                    listed.extend(page);
                    from = next;
                    if from.is_none() {
                        break;
                    }
                }
                assert_eq!(listed, expected, "pages of {size}");
            }
        }
    }

    #[test]
    fn a_page_goes_on_after_a_resource_that_is_gone() {
        let from = DetailCursor {
            lockspace: LockspaceId(1),
            name: ResourceName::new(b"bb").expect("a name"),
            listed: 3,
        };
        let (page, next) = table().detail_page(None, Some(&from), 100);
        let names: Vec<_> = page
            .iter()
            .map(|one| one.name.as_bytes().to_vec())
            .collect();
        assert_eq!((names, next), (vec![b"c".to_vec(), b"a".to_vec()], None));
        assert_eq!(page[0].locks.len(), 5);
    }
}

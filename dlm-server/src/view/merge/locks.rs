//! Lists of locks from several servers, each in order, as one in order.

use std::collections::VecDeque;

use glockwork_proto::wire;

/// The lists. Of each a page is in memory; which one is needed next, [`wants`](Self::wants) says.
#[derive(Debug)]
pub struct LocksMerge {
    sources: Vec<Source>,
    /// What was given out last, and by which source: parts of it may follow.
    last: Option<(Key, usize)>,
}

#[derive(Debug, Default)]
struct Source {
    read: VecDeque<wire::LockedResource>,
    ended: bool,
}

/// What the order goes by: the lockspace's name and the resource's.
type Key = (String, Vec<u8>);

fn key(resource: &wire::LockedResource) -> (&str, &[u8]) {
    (&resource.lockspace, &resource.name)
}

impl LocksMerge {
    /// Of so many lists.
    #[must_use]
    pub fn new(sources: usize) -> Self {
        Self {
            sources: (0..sources).map(|_| Source::default()).collect(),
            last: None,
        }
    }

    /// The list whose next page is needed before anything more can be given out.
    #[must_use]
    pub fn wants(&self) -> Option<usize> {
        let mut sources = self.sources.iter();
        sources.position(|source| source.read.is_empty() && !source.ended)
    }

    /// The next page of a list.
    pub fn page(&mut self, source: usize, resources: Vec<wire::LockedResource>) {
        if let Some(source) = self.sources.get_mut(source) {
            source.read.extend(resources);
        }
    }

    /// A list has no more pages, or its server does not answer any more.
    pub fn end(&mut self, source: usize) {
        if let Some(source) = self.sources.get_mut(source) {
            source.ended = true;
        }
    }

    /// The next resource, or the next part of one; `None` where a page is wanted first, or at the end.
    pub fn take(&mut self) -> Option<wire::LockedResource> {
        loop {
            if self.wants().is_some() {
                return None;
            }
            let heads = self.sources.iter().enumerate();
            let heads = heads.filter_map(|(at, source)| Some((at, source.read.front()?)));
            // Of one name the latest epoch comes first, and the others are dropped when they come.
            let order = |resource: &wire::LockedResource| {
                let (lockspace, name) = key(resource);
                let epoch = std::cmp::Reverse(resource.epoch);
                (lockspace.to_owned(), name.to_vec(), epoch)
            };
            let (at, _) = heads.min_by_key(|(at, head)| (order(head), *at))?;
            let resource = self.sources[at].read.pop_front()?;
            let (lockspace, name) = key(&resource);
            let key = (lockspace.to_owned(), name.to_vec());
            match &self.last {
                Some((last, of)) if *last == key && *of != at => {}
                _ => {
                    self.last = Some((key, at));
                    return Some(resource);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resource(name: &str, server: u64, epoch: u32, lock: u64) -> wire::LockedResource {
        let lock = wire::LockedLock {
            lock,
            ..wire::LockedLock::default()
        };
        wire::LockedResource {
            lockspace: "volume".into(),
            name: name.to_owned().into(),
            locks: vec![lock],
            server,
            epoch,
            ..wire::LockedResource::default()
        }
    }

    fn listed(merge: &mut LocksMerge) -> Vec<(String, u64, u64)> {
        let all = std::iter::from_fn(|| merge.take());
        all.map(|one| {
            let name = String::from_utf8_lossy(&one.name).into_owned();
            (name, one.server, one.locks[0].lock)
        })
        .collect()
    }

    fn is(list: &[(&str, u64, u64)]) -> Vec<(String, u64, u64)> {
        let owned = |&(name, server, lock): &(&str, u64, u64)| (name.to_owned(), server, lock);
        list.iter().map(owned).collect()
    }

    #[test]
    fn lists_in_order_are_one_in_order_whatever_their_pages_are() {
        let mut merge = LocksMerge::new(3);
        assert_eq!(merge.wants(), Some(0));
        merge.page(0, vec![resource("a", 1, 1, 1), resource("d", 1, 1, 2)]);
        assert_eq!(merge.wants(), Some(1));
        merge.end(1);
        merge.page(2, vec![resource("b", 3, 1, 3)]);
        // What comes after b is not known yet.
        assert_eq!(listed(&mut merge), is(&[("a", 1, 1), ("b", 3, 3)]));
        assert_eq!(merge.wants(), Some(2));
        merge.page(2, vec![resource("c", 3, 1, 4)]);
        assert_eq!(listed(&mut merge), is(&[("c", 3, 4)]));
        merge.end(2);
        assert_eq!(listed(&mut merge), is(&[("d", 1, 2)]));
        merge.end(0);
        assert_eq!((merge.wants(), merge.take()), (None, None));
    }

    #[test]
    fn of_a_resource_that_two_servers_list_the_later_epoch_counts_with_all_its_parts() {
        let mut merge = LocksMerge::new(2);
        let early = [resource("a", 1, 4, 1), resource("a", 1, 4, 2)];
        merge.page(0, [&early[..], &[resource("b", 1, 1, 3)]].concat());
        merge.page(1, vec![resource("a", 2, 5, 4)]);
        assert_eq!(listed(&mut merge), is(&[("a", 2, 4)]));
        merge.page(1, vec![resource("a", 2, 5, 5), resource("c", 2, 1, 6)]);
        merge.end(1);
        assert_eq!(listed(&mut merge), is(&[("a", 2, 5), ("b", 1, 3)]));
        merge.end(0);
        assert_eq!(listed(&mut merge), is(&[("c", 2, 6)]));
    }
}

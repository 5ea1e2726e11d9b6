//! The last events of each resource, for so many resources; the one that nothing has happened to for longest
//! is forgotten when another comes.

use std::collections::{HashMap, VecDeque};

use dlm_core::{LockspaceBase, LockspaceId, ResourceName};

use super::Entry;
use crate::limits::{EVENTS_PER_RESOURCE_MAX, RESOURCES_REMEMBERED_MAX};

/// A lockspace that ends and is opened again keeps its base, and so do its resources their past.
type Key = (LockspaceBase, ResourceName);

/// What is remembered of each resource.
#[derive(Debug, Default)]
pub(super) struct Resources {
    /// Where each stands. Nobody walks it.
    places: HashMap<Key, usize>,
    all: Vec<Resource>,
    /// The one that something happened to last, and the one that nothing has for longest.
    ends: Option<(usize, usize)>,
    forgotten: u64,
}

/// One of them, in a chain from the newest to the oldest.
#[derive(Debug)]
struct Resource {
    key: Key,
    last: VecDeque<Entry>,
    dropped: u64,
    newer: Option<usize>,
    older: Option<usize>,
}

/// What is known of one resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfResource {
    /// Its events, the oldest first.
    pub entries: Vec<Entry>,
    /// So many before them are not known any more.
    pub dropped: u64,
}

/// How much is remembered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Remembered {
    /// Of so many resources.
    pub resources: usize,
    /// So many others were forgotten.
    pub forgotten: u64,
}

impl Resources {
    pub(super) fn write(&mut self, entry: &Entry) {
        let key = (entry.lockspace.base(), entry.name.clone());
        let at = match self.places.get(&key) {
            Some(&at) => {
                self.unlink(at);
                at
            }
            None => self.place(key),
        };
        self.link_newest(at);
        let resource = &mut self.all[at];
        if resource.last.len() == EVENTS_PER_RESOURCE_MAX {
            resource.last.pop_front();
            resource.dropped += 1;
        }
        resource.last.push_back(entry.clone());
    }

    pub(super) fn read(&self, lockspace: LockspaceId, name: &ResourceName) -> OfResource {
        let at = self.places.get(&(lockspace.base(), name.clone()));
        at.map_or_else(OfResource::default, |&at| OfResource {
            entries: self.all[at].last.iter().cloned().collect(),
            dropped: self.all[at].dropped,
        })
    }

    pub(super) const fn remembered(&self) -> Remembered {
        Remembered {
            resources: self.all.len(),
            forgotten: self.forgotten,
        }
    }

    /// A place for another resource, in no chain: a new one, or that of the oldest.
    fn place(&mut self, key: Key) -> usize {
        let at = match self.ends {
            Some((_, oldest)) if self.all.len() == RESOURCES_REMEMBERED_MAX => {
                self.unlink(oldest);
                let resource = &mut self.all[oldest];
                let gone = std::mem::replace(&mut resource.key, key.clone());
                resource.last.clear();
                resource.dropped = 0;
                self.places.remove(&gone);
                self.forgotten += 1;
                oldest
            }
            _ => {
                self.all.push(Resource {
                    key: key.clone(),
                    last: VecDeque::new(),
                    dropped: 0,
                    newer: None,
                    older: None,
                });
                self.all.len() - 1
            }
        };
        self.places.insert(key, at);
        at
    }

    fn unlink(&mut self, at: usize) {
        let Resource { newer, older, .. } = self.all[at];
        if let Some(newer) = newer {
            self.all[newer].older = older;
        }
        if let Some(older) = older {
            self.all[older].newer = newer;
        }
        self.ends = match self.ends {
            Some((newest, oldest)) => {
                let newest = if newest == at { older } else { Some(newest) };
                let oldest = if oldest == at { newer } else { Some(oldest) };
                newest.zip(oldest)
            }
            None => None,
        };
    }

    fn link_newest(&mut self, at: usize) {
        let before = self.ends;
        let older = before.map(|(newest, _)| newest);
        if let Some(older) = older {
            self.all[older].newer = Some(at);
        }
        (self.all[at].newer, self.all[at].older) = (None, older);
        self.ends = Some((at, before.map_or(at, |(_, oldest)| oldest)));
    }
}

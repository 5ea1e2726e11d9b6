//! What has happened to locks, as far as it is remembered: the last events of all, and of each resource.
//!
//! **It costs a lock next to nothing**: an event is written into a place that is there already, names as the
//! numbers that they have in the table. Whoever watches comes and reads; nobody is told, so nobody who is slow
//! makes anything grow. What was overwritten before it was read is counted by its numbers.
//!
//! | file | what |
//! |---|---|
//! | `entry.rs` | an event as it is kept |
//! | `resources.rs` | the last events of each resource, the least recently used of which is forgotten |
//! | `names.rs` | what sessions and lockspaces are called that may have ended since |

mod entry;
mod names;
mod resources;

use std::collections::{BTreeMap, HashMap, VecDeque};

use dlm_core::{Epoch, LockId, LockspaceId, Mode, ResourceName, SessionId, SlotId, Tick};
use glockwork_proto::events::EventKind;

pub use entry::Entry;
pub use names::NamesKnown;
use resources::Resources;
pub use resources::{OfResource, Remembered};

use crate::limits::{EVENTS_MAX, WAITS_TIMED_MAX};

/// The journal of one server's process.
#[derive(Debug)]
pub struct Journal {
    /// The number of the next event.
    next: u64,
    last: VecDeque<Entry>,
    resources: Resources,
    /// When the locks that wait began to. Nothing depends on the order in which it is walked.
    waits: HashMap<(SessionId, LockId), Wait>,
    /// The last service of each slot.
    services: BTreeMap<SlotId, Entry>,
    names: NamesKnown,
}

/// A wait that has not ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    /// On a resource of which slot.
    pub slot: SlotId,
    /// Since when.
    pub since: Tick,
    /// The mode that the lock has meanwhile, and since when it has that.
    pub had: Option<(Mode, Tick)>,
}

/// What a reader finds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// The events, the oldest first.
    pub entries: Vec<Entry>,
    /// The number from which on to read next.
    pub next: u64,
    /// So many were gone before they were read.
    pub missed: u64,
}

impl Default for Journal {
    fn default() -> Self {
        Self {
            next: 1,
            last: VecDeque::new(),
            resources: Resources::default(),
            waits: HashMap::new(),
            services: BTreeMap::new(),
            names: NamesKnown::default(),
        }
    }
}

impl Journal {
    /// Something happened; the entry gets its number here.
    pub fn write(&mut self, mut entry: Entry) {
        entry.sequence = self.next;
        self.next += 1;
        if self.last.len() == EVENTS_MAX {
            self.last.pop_front();
        }
        if entry.kind.is_of_slot() {
            self.services.insert(entry.slot, entry.clone());
        } else {
            self.resources.write(&entry);
        }
        self.last.push_back(entry);
    }

    /// So many things happened that are not written down: whoever reads has missed them.
    pub fn skip(&mut self, events: u64) {
        self.next += events;
    }

    /// A lock waits.
    pub fn waits(&mut self, of: (SessionId, LockId), wait: Wait) {
        if self.waits.len() < WAITS_TIMED_MAX {
            self.waits.insert(of, wait);
        }
    }

    /// A lock waits no more. `None` where it is not known since when it did.
    pub fn waited(&mut self, of: (SessionId, LockId)) -> Option<Wait> {
        self.waits.remove(&of)
    }

    /// What waits in a slot is another server's, or another table's.
    pub fn left(&mut self, slot: SlotId) {
        if !self.waits.is_empty() {
            self.waits.retain(|_, wait| wait.slot != slot);
        }
    }

    /// All tables are gone.
    pub fn lost(&mut self) {
        self.waits.clear();
    }

    /// A session is over.
    pub fn ended(&mut self, session: SessionId) {
        if !self.waits.is_empty() {
            self.waits.retain(|(of, _), _| *of != session);
        }
    }

    /// What things are called.
    #[must_use]
    pub const fn names(&self) -> &NamesKnown {
        &self.names
    }

    /// To learn what things are called.
    pub const fn names_mut(&mut self) -> &mut NamesKnown {
        &mut self.names
    }

    /// The number that the next event will have.
    #[must_use]
    pub const fn next(&self) -> u64 {
        self.next
    }

    /// The events from a number on, as far as they are remembered.
    pub fn since(&self, from: u64) -> impl Iterator<Item = &Entry> {
        // No more than there are numbers; fewer where some were skipped.
        let numbers = usize::try_from(self.next.saturating_sub(from)).unwrap_or(usize::MAX);
        let begin = self.last.len().saturating_sub(numbers);
        let last = self.last.range(begin..);
        last.skip_while(move |entry| entry.sequence < from)
    }

    /// At most so many events from a number on.
    #[must_use]
    pub fn read(&self, from: u64, max: usize) -> Read {
        let begin = self.last.partition_point(|entry| entry.sequence < from);
        let entries: Vec<Entry> = self.last.range(begin..).take(max).cloned().collect();
        let is_all = begin + entries.len() == self.last.len();
        let last = entries.last().map(|entry| entry.sequence + 1);
        let next = match last {
            Some(after) if !is_all => after,
            _ => self.next.max(from),
        };
        Read {
            missed: (next - from) - entries.len() as u64,
            next,
            entries,
        }
    }

    /// The last events of a resource, and of its slot the last service.
    #[must_use]
    pub fn of_resource(&self, lockspace: LockspaceId, name: &ResourceName) -> OfResource {
        let mut found = self.resources.read(lockspace, name);
        let service = self.services.get(&SlotId::of(lockspace, name));
        if let Some(service) = service {
            let after = |entry: &Entry| entry.sequence > service.sequence;
            let at = found.entries.iter().position(after);
            let at = at.unwrap_or(found.entries.len());
            found.entries.insert(at, service.clone());
        }
        found
    }

    /// Of how many resources something is remembered.
    #[must_use]
    pub fn remembered(&self) -> Remembered {
        self.resources.remembered()
    }
}

/// A slot is served.
#[must_use]
pub fn service(at: Tick, (slot, epoch): (SlotId, Epoch), kind: EventKind) -> Entry {
    let nothing = ResourceName::new(b"").expect("no bytes are a name");
    Entry {
        slot,
        epoch,
        ..Entry::new(at, kind, (LockspaceId(0), nothing))
    }
}

#[cfg(test)]
mod tests;

//! The slot map as a client has it, and what each slot still owes to its master.

use alloc::vec::Vec;

use dlm_core::slot::SLOTS;
use dlm_core::{Epoch, LogIndex, SlotId};

use super::link::{MasterPlace, PlaceOrigin, SlotMap, SlotPlace};

/// A slot as the client knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Slot {
    pub(super) epoch: Epoch,
    pub(super) since: LogIndex,
    pub(super) master: Option<MasterPlace>,
    pub(super) serving: bool,
    /// The entry as of which that is true.
    index: LogIndex,
    /// The claims for this epoch.
    pub(super) claims: Claims,
    /// What of the slot happened in an earlier epoch means nothing any more: this one was answered.
    pub(super) floor: Epoch,
}

/// How far a slot's claims are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Claims {
    /// None are owed, or all were sent.
    #[default]
    None,
    /// They are owed, and none was sent.
    Owed,
}

/// All slots.
#[derive(Clone, Debug)]
pub(super) struct Map {
    slots: Vec<Slot>,
    /// The newest entry as of which anything is known.
    pub(super) index: LogIndex,
    /// The session's first entry: nothing older is believed.
    joined: LogIndex,
}

/// What a newer map changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moved {
    pub(super) slot: SlotId,
    pub(super) lost: bool,
}

impl Map {
    pub(super) fn new(joined: LogIndex) -> Self {
        Self {
            slots: alloc::vec![Slot::default(); SLOTS.into()],
            index: LogIndex(0),
            joined,
        }
    }

    pub(super) fn slot(&self, slot: SlotId) -> &Slot {
        &self.slots[slot.index()]
    }

    pub(super) fn slot_mut(&mut self, slot: SlotId) -> &mut Slot {
        &mut self.slots[slot.index()]
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = (SlotId, &Slot)> {
        SlotId::all().zip(&self.slots)
    }

    /// Takes what is newer of a map, and returns the slots that have another epoch.
    pub(super) fn take(&mut self, map: SlotMap) -> Vec<Moved> {
        let mut moved = Vec::new();
        if map.index < self.joined {
            return moved;
        }
        self.index = self.index.max(map.index);
        for place in map.slots {
            moved.extend(self.take_slot(map.index, place));
        }
        moved
    }

    fn take_slot(&mut self, index: LogIndex, place: SlotPlace) -> Option<Moved> {
        let slot = &mut self.slots[place.slot.index()];
        // Both grow together; a message that says otherwise is not believed.
        if index < slot.index || place.epoch < slot.epoch {
            return None;
        }
        let is_first = slot.index == LogIndex(0);
        let has_moved = place.epoch > slot.epoch || is_first;
        slot.index = index;
        slot.serving = place.serving;
        slot.master = place.master;
        if !has_moved {
            return None;
        }
        slot.epoch = place.epoch;
        slot.since = place.since;
        let lost = place.origin == PlaceOrigin::Lost;
        // A session that was not there when the epoch began is not asked. One that still owes claims for an
        // earlier epoch owes them: a slot is moved with its table only when it is served.
        let asked = place.since > self.joined;
        if lost {
            slot.claims = if asked { Claims::Owed } else { Claims::None };
        }
        Some(Moved {
            slot: place.slot,
            lost,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn place(epoch: u32, since: u64, origin: PlaceOrigin) -> SlotPlace {
        SlotPlace {
            slot: SlotId::new(3).expect("a slot"),
            epoch: Epoch(epoch),
            since: LogIndex(since),
            origin,
            serving: false,
            master: None,
        }
    }

    fn take(map: &mut Map, index: u64, place: SlotPlace) -> usize {
        let (index, slots) = (LogIndex(index), vec![place]);
        map.take(SlotMap { index, slots }).len()
    }

    #[test]
    fn the_newest_wins_and_nothing_from_before_the_session_counts() {
        let mut map = Map::new(LogIndex(10));
        let slot = SlotId::new(3).expect("a slot");
        assert_eq!(take(&mut map, 9, place(4, 9, PlaceOrigin::Lost)), 0);
        assert_eq!(map.slot(slot).epoch, Epoch(0));
        assert_eq!(take(&mut map, 12, place(4, 9, PlaceOrigin::Lost)), 1);
        assert_eq!(map.slot(slot).claims, Claims::None, "it joined later");
        assert_eq!(take(&mut map, 20, place(5, 20, PlaceOrigin::Lost)), 1);
        assert_eq!(map.slot(slot).claims, Claims::Owed);
        assert_eq!(take(&mut map, 15, place(4, 9, PlaceOrigin::Lost)), 0);
        assert_eq!(map.slot(slot).epoch, Epoch(5));
        assert_eq!(take(&mut map, 21, place(5, 20, PlaceOrigin::Lost)), 0);
    }
}

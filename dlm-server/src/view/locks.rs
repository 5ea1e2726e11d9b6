//! Pages of locks.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use dlm_core::detail::{DetailCursor, ResourceDetail};
use dlm_core::{LockspaceId, SlotId};
use glockwork_proto::render::{ListedResource, Names};

use super::{LOOK_COST_MAX, first_slot};
use crate::node::Node;

/// Where a listing goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocksCursor {
    /// In this slot, or the next one that is served here.
    pub slot: SlotId,
    /// From there on, where that slot is begun.
    pub within: Option<DetailCursor>,
}

impl LocksCursor {
    /// The beginning.
    #[must_use]
    pub fn start() -> Self {
        Self {
            slot: first_slot(),
            within: None,
        }
    }
}

/// A piece of the list of locks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LocksPiece {
    /// The locks, slot by slot.
    pub resources: Vec<ListedResource>,
    /// The slots that were looked at to the end.
    pub slots: Vec<SlotId>,
    /// Where the rest begins.
    pub next: Option<LocksCursor>,
}

/// The locks of one lockspace or of all, from a cursor on, as many as one look may take.
#[must_use]
pub fn locks(node: &Node, lockspace: Option<LockspaceId>, from: &LocksCursor) -> LocksPiece {
    let mut piece = LocksPiece::default();
    let mut room = LOOK_COST_MAX;
    for master in node.served().filter(|master| master.slot() >= from.slot) {
        let slot = master.slot();
        if room == 0 {
            piece.next = Some(LocksCursor { slot, within: None });
            break;
        }
        let begun = from.within.as_ref().filter(|_| slot == from.slot);
        let (page, within) = master.table().detail_page(lockspace, begun, room);
        let taken: usize = page.iter().map(|resource| resource.locks.len()).sum();
        // Finding out that there is nothing has its price, too.
        room = room.saturating_sub(taken.max(1));
        let epoch = master.epoch();
        let listed = page
            .into_iter()
            .map(|detail| ListedResource { epoch, detail });
        piece.resources.extend(listed);
        if within.is_some() {
            piece.next = Some(LocksCursor { slot, within });
            break;
        }
        piece.slots.push(slot);
    }
    piece
}

/// Puts a list into the order of lockspaces' and resources' names. The parts of a resource that came in
/// several pieces stay in their order.
pub fn sort(resources: &mut [ListedResource], names: &Names) {
    let mut known: BTreeMap<LockspaceId, String> = BTreeMap::new();
    for listed in resources.iter() {
        let id = listed.detail.lockspace;
        known.entry(id).or_insert_with(|| names.lockspace(id));
    }
    let order = |a: &ResourceDetail, b: &ResourceDetail| -> Ordering {
        let lockspace = known[&a.lockspace].cmp(&known[&b.lockspace]);
        lockspace.then_with(|| a.name.cmp(&b.name))
    };
    resources.sort_by(|a, b| order(&a.detail, &b.detail));
}

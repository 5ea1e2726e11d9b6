//! Slots and their masters.

use dlm_core::link::{MasterPlace, PlaceOrigin, SlotMap};

use crate::wire;

pub(super) fn slot_map(map: SlotMap) -> wire::SlotMap {
    // A handful of servers master all slots: looking through them costs less than an index of them.
    let mut servers: Vec<MasterPlace> = Vec::new();
    let mut index_of = |master: MasterPlace| {
        let known = servers.iter().position(|server| *server == master);
        let index = known.unwrap_or_else(|| {
            servers.push(master);
            servers.len() - 1
        });
        index as u32
    };
    let slots = map.slots.into_iter().map(|place| wire::MapSlot {
        slot: place.slot.number(),
        epoch: place.epoch.0,
        since: place.since.0,
        planned: place.origin == PlaceOrigin::Planned,
        serving: place.serving,
        master: place.master.map(&mut index_of),
    });
    let slots = slots.collect();
    let servers = servers.into_iter().map(|master| wire::MapServer {
        server: master.server.0,
        incarnation: master.incarnation.0,
        endpoint: master.endpoint.into(),
    });
    wire::SlotMap {
        index: map.index.0,
        servers: servers.collect(),
        slots,
    }
}

//! Slots and their masters.

use dlm_core::link::{MasterPlace, PlaceOrigin, SlotMap, SlotPlace};
use dlm_core::slot::SLOTS;
use dlm_core::{Epoch, Incarnation, LogIndex, ServerId};

use super::cluster::{slot_id, text};
use crate::error::WireError;
use crate::wire;

pub(super) fn slot_map(wire: wire::SlotMap) -> Result<SlotMap, WireError> {
    for count in [wire.slots.len(), wire.servers.len()] {
        if count > usize::from(SLOTS) {
            return Err(WireError::MapTooLong { count });
        }
    }
    let server = |one: wire::MapServer| -> Result<MasterPlace, WireError> {
        Ok(MasterPlace {
            server: ServerId(one.server),
            incarnation: Incarnation(one.incarnation),
            endpoint: text("a server's address", one.endpoint)?,
        })
    };
    let servers = wire.servers.into_iter().map(server);
    let servers: Vec<MasterPlace> = servers.collect::<Result<_, _>>()?;
    let slots = wire.slots.iter().map(|one| place(one, &servers));
    Ok(SlotMap {
        index: LogIndex(wire.index),
        slots: slots.collect::<Result<_, _>>()?,
    })
}

fn place(wire: &wire::MapSlot, servers: &[MasterPlace]) -> Result<SlotPlace, WireError> {
    let master = |index: u32| {
        let found = servers.get(index as usize).cloned();
        found.ok_or(WireError::MapServer {
            index,
            servers: servers.len(),
        })
    };
    Ok(SlotPlace {
        slot: slot_id(wire.slot)?,
        epoch: Epoch(wire.epoch),
        since: LogIndex(wire.since),
        origin: if wire.planned {
            PlaceOrigin::Planned
        } else {
            PlaceOrigin::Lost
        },
        serving: wire.serving,
        master: wire.master.map(master).transpose()?,
    })
}

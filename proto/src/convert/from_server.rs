//! What a session reads on a stream.

use dlm_core::link::{Done, Event, FromServer, StreamRefusal, Welcome};
use dlm_core::{Epoch, Incarnation, LockId, OpId, Owner, StatusFlags, Token};

use super::cluster::slot_id;
use super::slot_map::slot_map;
use super::{mode, mode_or_none, status, value};
use crate::error::WireError;
use crate::holders::QueryId;
use crate::link::FromServerFrame;
use crate::wire;

/// What a server sends.
///
/// # Errors
/// [`WireError::EventKind`], [`WireError::Missing`], or what is wrong with a part of it.
pub fn from_server_frame(frame: wire::FromServerFrame) -> Result<FromServerFrame, WireError> {
    let mut messages = Vec::with_capacity(frame.items.len() + 1);
    if let Some(wire) = frame.welcome {
        messages.push(FromServer::Welcome(welcome(wire)?));
    }
    for each in frame.items {
        messages.push(item(each)?);
    }
    let glocks_query = frame.glocks_query.as_ref().map(super::glocks::query);
    Ok(FromServerFrame {
        messages,
        holders_query: frame.holders_query.map(|query| QueryId(query.query)),
        glocks_query: glocks_query.transpose()?,
    })
}

fn welcome(wire: wire::StreamWelcome) -> Result<Welcome, WireError> {
    let what = "a slot map";
    Ok(Welcome {
        version: wire.version,
        incarnation: Incarnation(wire.incarnation),
        last_number: wire.last_number,
        map: slot_map(wire.map.ok_or(WireError::Missing { what })?)?,
    })
}

fn item(wire: wire::FromServerItem) -> Result<FromServer, WireError> {
    use wire::from_server_item::Kind;

    Ok(match wire.kind.ok_or(WireError::EventKind)? {
        Kind::Event(wire) => {
            let epoch = Epoch(wire.epoch);
            let at = |number| slot_id(number).map(|slot| (slot, epoch));
            FromServer::Event {
                sequence: wire.sequence,
                slot: wire.slot.map(at).transpose()?,
                event: event(wire.kind)?,
            }
        }
        Kind::Map(wire) => FromServer::Map(slot_map(wire)?),
        Kind::Refused(why) => FromServer::Refused {
            why: stream_refusal(why)?,
        },
    })
}

pub(super) fn event(wire: Option<wire::stream_event::Kind>) -> Result<Event, WireError> {
    use wire::stream_event::Kind;

    Ok(match wire.ok_or(WireError::EventKind)? {
        Kind::Done(wire) => Event::Done(done(&wire)?),
        Kind::Queued(queued) => Event::Queued {
            op: OpId(queued.op),
            lock: LockId(queued.lock),
            serial: queued.serial,
        },
        Kind::Blocking(blocking) => Event::Blocking {
            lock: LockId(blocking.lock),
            mode: mode(blocking.mode)?,
        },
        Kind::Orphaned(orphaned) => Event::Orphaned {
            lock: LockId(orphaned.lock),
            owner: Owner(orphaned.owner),
        },
        Kind::OrphanPurged(orphan) => Event::OrphanPurged {
            lock: LockId(orphan.lock),
        },
        Kind::Purged(purged) => Event::Purged {
            op: OpId(purged.op),
            locks: purged.locks,
        },
        Kind::NotMaster(not) => Event::NotMaster {
            op: not.op.map(OpId),
            slot: slot_id(not.slot)?,
            epoch: Epoch(not.epoch),
        },
        Kind::ClaimsTaken(taken) => Event::ClaimsTaken {
            slot: slot_id(taken.slot)?,
            epoch: Epoch(taken.epoch),
        },
    })
}

fn done(wire: &wire::Done) -> Result<Done, WireError> {
    let read = wire.value.as_deref().map(value).transpose()?;
    Ok(Done {
        op: OpId(wire.op),
        lock: LockId(wire.lock),
        status: status(wire.status, wire.refusal)?,
        mode: mode_or_none(wire.mode)?,
        token: Token(wire.token),
        // Bits without a name here are a newer server's.
        flags: StatusFlags::from_bits_truncate(wire.flags as u8),
        value: read.map(|read| (wire.value_number, read)),
        value_sequence: wire.value_sequence,
    })
}

fn stream_refusal(value: i32) -> Result<StreamRefusal, WireError> {
    let what = "reason to end a stream";
    Ok(match wire::StreamRefusal::try_from(value) {
        Ok(wire::StreamRefusal::SessionUnknown) => StreamRefusal::SessionUnknown,
        Ok(wire::StreamRefusal::SessionDead) => StreamRefusal::SessionDead,
        Ok(wire::StreamRefusal::OlderGeneration) => StreamRefusal::OlderGeneration,
        Ok(wire::StreamRefusal::Numbers) => StreamRefusal::Numbers,
        Ok(wire::StreamRefusal::Version) => StreamRefusal::Version,
        Ok(wire::StreamRefusal::Full) => StreamRefusal::Full,
        Ok(wire::StreamRefusal::OtherSlot) => StreamRefusal::OtherSlot,
        Ok(wire::StreamRefusal::Unspecified) | Err(_) => {
            return Err(WireError::Enumeration { what, value });
        }
    })
}

#[cfg(test)]
mod tests;

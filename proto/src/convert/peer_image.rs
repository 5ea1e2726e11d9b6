//! A piece of a slot's table, and what its sessions may not know yet.

use dlm_core::peer::{HandedLedger, HandedSession, PeerMessage};
use dlm_core::recovery::{
    IMAGE_ENTRIES_MAX, ImageChunk, ImageEntry, ImageLock, ImageResource, ImageStart, StreamPart,
};
use dlm_core::{
    Epoch, LockId, LockspaceId, OpId, Owner, RequestFlags, SessionId, StatusFlags, Token,
    ValueBlock,
};

use super::cluster::slot_id;
use super::from_server::event;
use super::{mode, mode_or_none, queue, resource_name, value};
use crate::error::WireError;
use crate::wire;

pub(super) fn image(wire: wire::SlotImage) -> Result<PeerMessage, WireError> {
    let count = wire.entries.len();
    if count > IMAGE_ENTRIES_MAX {
        return Err(WireError::ImageTooLong { count });
    }
    Ok(PeerMessage::Image {
        slot: slot_id(wire.slot)?,
        epoch: Epoch(wire.epoch),
        chunk: ImageChunk {
            number: wire.chunk,
            last: wire.last,
            start: wire.start.map(start),
            entries: all(wire.entries, entry)?,
        },
        ledger: wire.ledger.map(ledger).transpose()?,
    })
}

fn all<W, T>(
    wire: Vec<W>,
    one: impl FnMut(W) -> Result<T, WireError>,
) -> Result<Vec<T>, WireError> {
    wire.into_iter().map(one).collect()
}

fn start(wire: wire::ImageStart) -> ImageStart {
    let streams = wire.streams.into_iter().map(|part| StreamPart {
        session: SessionId(part.session),
        bytes: part.bytes.as_ref().into(),
    });
    let unknown = wire.unknown.into_iter().map(|one| {
        let lockspaces = one.lockspaces.into_iter().map(LockspaceId);
        (SessionId(one.session), lockspaces.collect())
    });
    ImageStart {
        streams: streams.collect(),
        unknown: unknown.collect(),
    }
}

fn entry(wire: wire::ImageEntry) -> Result<ImageEntry, WireError> {
    use wire::image_entry::Kind;

    let what = "an entry of a table";
    Ok(match wire.kind.ok_or(WireError::Missing { what })? {
        Kind::Resource(one) => ImageEntry::Resource(resource(&one)?),
        Kind::Lock(one) => ImageEntry::Lock(lock(&one)?),
        Kind::Order(one) => ImageEntry::Order(SessionId(one.session), LockId(one.lock)),
        Kind::Remnant(one) => ImageEntry::Remnant(
            LockspaceId(one.lockspace),
            resource_name(&one.name)?,
            one.age_us,
        ),
    })
}

fn resource(wire: &wire::ImageResource) -> Result<ImageResource, WireError> {
    let stored = |one: &wire::ImageValue| -> Result<(u64, ValueBlock), WireError> {
        Ok((one.sequence, value(&one.bytes)?))
    };
    Ok(ImageResource {
        lockspace: LockspaceId(wire.lockspace),
        name: resource_name(&wire.name)?,
        token: Token(wire.token),
        token_modes: bits("modes", wire.token_modes)?,
        value: wire.value.as_ref().map(stored).transpose()?,
        value_invalid: wire.value_invalid,
    })
}

fn lock(wire: &wire::ImageLock) -> Result<ImageLock, WireError> {
    Ok(ImageLock {
        session: SessionId(wire.session),
        lock: LockId(wire.lock),
        owner: Owner(wire.owner),
        op: OpId(wire.op),
        age_us: wire.age_us,
        serial: wire.serial,
        token: Token(wire.token),
        flags: RequestFlags::from_bits_retain(wire.flags),
        queue: queue(wire.queue)?,
        granted: mode_or_none(wire.granted)?,
        requested: mode_or_none(wire.requested)?,
        told: mode(wire.told)?,
        // Bits without a name here are a newer server's.
        status: StatusFlags::from_bits_truncate(bits("status flags", wire.status_flags)?),
        marks: bits("marks of a lock", wire.marks)?,
        unstored: wire.unstored.as_deref().map(value).transpose()?,
    })
}

fn bits(what: &'static str, bits: u32) -> Result<u8, WireError> {
    u8::try_from(bits).map_err(|_| WireError::Bits { what, bits })
}

fn ledger(wire: wire::HandedLedger) -> Result<HandedLedger, WireError> {
    Ok(HandedLedger {
        sessions: all(wire.sessions, handed)?,
    })
}

fn handed(wire: wire::HandedSession) -> Result<HandedSession, WireError> {
    let answer = |one: wire::HandedAnswer| {
        let what = "an event";
        let answer = one.event.ok_or(WireError::Missing { what })?;
        Ok((OpId(one.op), event(answer.kind)?))
    };
    let waiting = wire.waiting.into_iter();
    let waiting = waiting.map(|one| (OpId(one.op), LockId(one.lock), one.serial));
    Ok(HandedSession {
        session: SessionId(wire.session),
        answered: all(wire.answered, answer)?,
        waiting: waiting.collect(),
        notices: all(wire.notices, |one| event(one.kind))?,
    })
}

//! A piece of a slot's table, and what its sessions may not know yet.

use dlm_core::link::Event;
use dlm_core::peer::{HandedLedger, HandedSession};
use dlm_core::recovery::{ImageChunk, ImageEntry, ImageLock, ImageResource, ImageStart};
use dlm_core::{Epoch, ResourceName, SlotId};
use prost::bytes::Bytes;

use super::from_server::event;
use super::value_bytes;
use super::words;
use crate::wire;

pub(super) fn image(
    (slot, epoch): (SlotId, Epoch),
    chunk: ImageChunk,
    handed: Option<HandedLedger>,
) -> wire::SlotImage {
    wire::SlotImage {
        slot: slot.number(),
        epoch: epoch.0,
        chunk: chunk.number,
        last: chunk.last,
        start: chunk.start.map(start),
        entries: chunk.entries.into_iter().map(entry).collect(),
        ledger: handed.map(ledger),
    }
}

fn start(start: ImageStart) -> wire::ImageStart {
    let streams = start.streams.into_iter().map(|part| wire::StreamPart {
        session: part.session.0,
        bytes: Bytes::from(part.bytes),
    });
    let unknown = start.unknown.into_iter();
    let unknown = unknown.map(|(session, lockspaces)| wire::UnknownLocks {
        session: session.0,
        lockspaces: lockspaces.into_iter().map(|one| one.0).collect(),
    });
    wire::ImageStart {
        streams: streams.collect(),
        unknown: unknown.collect(),
    }
}

fn entry(entry: ImageEntry) -> wire::ImageEntry {
    use wire::image_entry::Kind;

    let kind = match entry {
        ImageEntry::Resource(one) => Kind::Resource(resource(&one)),
        ImageEntry::Lock(one) => Kind::Lock(lock(&one)),
        ImageEntry::Order(session, lock) => Kind::Order(wire::ImageOrder {
            session: session.0,
            lock: lock.0,
        }),
        ImageEntry::Remnant(lockspace, resource, age_us) => Kind::Remnant(wire::ImageRemnant {
            lockspace: lockspace.0,
            name: name(&resource),
            age_us,
        }),
    };
    wire::ImageEntry { kind: Some(kind) }
}

fn name(name: &ResourceName) -> Bytes {
    Bytes::copy_from_slice(name.as_bytes())
}

fn resource(image: &ImageResource) -> wire::ImageResource {
    let value = image.value.as_ref();
    wire::ImageResource {
        lockspace: image.lockspace.0,
        name: name(&image.name),
        token: image.token.0,
        token_modes: image.token_modes.into(),
        value: value.map(|(sequence, value)| wire::ImageValue {
            sequence: *sequence,
            bytes: value_bytes(value),
        }),
        value_invalid: image.value_invalid,
    }
}

fn lock(image: &ImageLock) -> wire::ImageLock {
    wire::ImageLock {
        session: image.session.0,
        lock: image.lock.0,
        owner: image.owner.0,
        op: image.op.0,
        age_us: image.age_us,
        serial: image.serial,
        token: image.token.0,
        flags: image.flags.bits(),
        queue: words::queue(image.queue).into(),
        granted: words::mode_or_none(image.granted).into(),
        requested: words::mode_or_none(image.requested).into(),
        told: words::mode(image.told).into(),
        status_flags: image.status.bits().into(),
        marks: image.marks.into(),
        unstored: image.unstored.as_ref().map(value_bytes),
    }
}

fn ledger(ledger: HandedLedger) -> wire::HandedLedger {
    wire::HandedLedger {
        sessions: ledger.sessions.into_iter().map(handed).collect(),
    }
}

fn handed(part: HandedSession) -> wire::HandedSession {
    let answered = part.answered.into_iter();
    let answered = answered.map(|(op, answer)| wire::HandedAnswer {
        op: op.0,
        event: Some(told(answer)),
    });
    let waiting = part.waiting.into_iter();
    let waiting = waiting.map(|(op, lock, serial)| wire::Queued {
        op: op.0,
        lock: lock.0,
        serial,
    });
    wire::HandedSession {
        session: part.session.0,
        answered: answered.collect(),
        waiting: waiting.collect(),
        notices: part.notices.into_iter().map(told).collect(),
    }
}

fn told(what: Event) -> wire::StreamEvent {
    wire::StreamEvent {
        kind: Some(event(what)),
        ..wire::StreamEvent::default()
    }
}

//! What a server writes on a stream.

use dlm_core::link::{Done, Event, FromServer, StreamRefusal, Welcome};

use super::slot_map::slot_map;
use super::value_bytes;
use super::words;
use crate::limits::OPERATIONS_PER_FRAME_MAX;
use crate::link::FromServerFrame;
use crate::wire;

/// What a server sends.
///
/// # Panics
/// Where the messages count more than [`OPERATIONS_PER_FRAME_MAX`]: the caller splits them
/// ([`FromServerFrame::of_queue`]).
#[must_use]
pub fn from_server_frame(frame: FromServerFrame) -> wire::FromServerFrame {
    use wire::from_server_item::Kind;

    let count: usize = frame.messages.iter().map(FromServerFrame::entries_of).sum();
    assert!(count <= OPERATIONS_PER_FRAME_MAX);
    let mut wire = wire::FromServerFrame {
        welcome: None,
        items: Vec::with_capacity(frame.messages.len()),
        holders_query: frame
            .holders_query
            .map(|query| wire::HoldersQuery { query: query.0 }),
        glocks_query: frame.glocks_query.as_ref().map(super::glocks::query),
    };
    for message in frame.messages {
        let kind = match message {
            FromServer::Welcome(one) => {
                wire.welcome = Some(welcome(one));
                continue;
            }
            FromServer::Event {
                sequence,
                slot: at,
                event: what,
            } => Kind::Event(wire::StreamEvent {
                sequence,
                slot: at.map(|(slot, _)| slot.number()),
                epoch: at.map_or(0, |(_, epoch)| epoch.0),
                kind: Some(event(what)),
            }),
            FromServer::Map(map) => Kind::Map(slot_map(map)),
            FromServer::Refused { why } => Kind::Refused(stream_refusal(why).into()),
        };
        wire.items.push(wire::FromServerItem { kind: Some(kind) });
    }
    wire
}

fn welcome(welcome: Welcome) -> wire::StreamWelcome {
    wire::StreamWelcome {
        version: welcome.version,
        incarnation: welcome.incarnation.0,
        last_number: welcome.last_number,
        map: Some(slot_map(welcome.map)),
    }
}

pub(super) fn event(event: Event) -> wire::stream_event::Kind {
    use wire::stream_event::Kind;

    match event {
        Event::Done(one) => Kind::Done(done(&one)),
        Event::Queued { op, lock, serial } => Kind::Queued(wire::Queued {
            op: op.0,
            lock: lock.0,
            serial,
        }),
        Event::Blocking { lock, mode } => Kind::Blocking(wire::Blocking {
            lock: lock.0,
            mode: words::mode(mode).into(),
        }),
        Event::Orphaned { lock, owner } => Kind::Orphaned(wire::Orphaned {
            lock: lock.0,
            owner: owner.0,
        }),
        Event::OrphanPurged { lock } => Kind::OrphanPurged(wire::OrphanPurged { lock: lock.0 }),
        Event::Purged { op, locks } => Kind::Purged(wire::Purged { op: op.0, locks }),
        Event::NotMaster { op, slot, epoch } => Kind::NotMaster(wire::NotMaster {
            op: op.map(|op| op.0),
            slot: slot.number(),
            epoch: epoch.0,
        }),
        Event::ClaimsTaken { slot, epoch } => Kind::ClaimsTaken(wire::ClaimsTaken {
            slot: slot.number(),
            epoch: epoch.0,
        }),
    }
}

fn done(done: &Done) -> wire::Done {
    let (status, refusal) = words::status(done.status);
    let read = done.value.as_ref();
    wire::Done {
        op: done.op.0,
        lock: done.lock.0,
        status: status.into(),
        refusal: refusal.into(),
        mode: words::mode_or_none(done.mode).into(),
        token: done.token.0,
        flags: done.flags.bits().into(),
        value: read.map(|(_, value)| value_bytes(value)),
        value_number: read.map_or(0, |&(number, _)| number),
        value_sequence: done.value_sequence,
    }
}

const fn stream_refusal(why: StreamRefusal) -> wire::StreamRefusal {
    match why {
        StreamRefusal::SessionUnknown => wire::StreamRefusal::SessionUnknown,
        StreamRefusal::SessionDead => wire::StreamRefusal::SessionDead,
        StreamRefusal::OlderGeneration => wire::StreamRefusal::OlderGeneration,
        StreamRefusal::Numbers => wire::StreamRefusal::Numbers,
        StreamRefusal::Version => wire::StreamRefusal::Version,
        StreamRefusal::Full => wire::StreamRefusal::Full,
        StreamRefusal::OtherSlot => wire::StreamRefusal::OtherSlot,
    }
}

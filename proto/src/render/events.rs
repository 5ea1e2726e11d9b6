//! A server's journal.

use prost::bytes::Bytes;

use super::words;
use crate::events::{Event, EventKind, History};
use crate::wire;

/// An event.
#[must_use]
pub fn event(event: Event) -> wire::Event {
    let by = event.by.map(|(by, name)| (by.0, name));
    let (by, by_name) = by.unwrap_or_default();
    let status = event.status.map(words::status);
    wire::Event {
        server: event.server.0,
        sequence: event.sequence,
        at_us: event.at_us,
        age_us: event.age_us,
        kind: event_kind(event.kind).into(),
        lockspace: event.lockspace,
        name: Bytes::copy_from_slice(event.name.as_bytes()),
        session: event.session.0,
        session_name: event.session_name,
        lock: event.lock.0,
        owner: event.owner.0,
        had: words::mode_or_none(event.had).into(),
        mode: words::mode_or_none(event.mode).into(),
        token: event.token.0,
        waited_us: event.waited_us,
        held_us: event.held_us,
        status: status.map_or(0, |(status, _)| status.into()),
        refusal: status.map_or(0, |(_, refusal)| refusal.into()),
        by,
        by_name,
        ended: event.ended,
        slot: event.slot.number(),
        epoch: event.epoch.0,
    }
}

/// The last events of a resource.
#[must_use]
pub fn history(history: History) -> wire::HistoryReply {
    wire::HistoryReply {
        events: history.events.into_iter().map(event).collect(),
        server: history.server.0,
        slot: history.slot.number(),
        epoch: history.epoch.0,
        dropped: history.dropped,
        resources: history.resources,
        forgotten: history.forgotten,
    }
}

/// A kind of event.
#[must_use]
pub const fn event_kind(kind: EventKind) -> wire::EventKind {
    match kind {
        EventKind::Waits => wire::EventKind::Waits,
        EventKind::Granted => wire::EventKind::Granted,
        EventKind::Converted => wire::EventKind::Converted,
        EventKind::Demoted => wire::EventKind::Demoted,
        EventKind::Callback => wire::EventKind::Callback,
        EventKind::Released => wire::EventKind::Released,
        EventKind::Cancelled => wire::EventKind::Cancelled,
        EventKind::Denied => wire::EventKind::Denied,
        EventKind::Recovered => wire::EventKind::Recovered,
        EventKind::Moved => wire::EventKind::Moved,
    }
}

//! What a client reads of a server's journal.

use dlm_core::{Epoch, LockId, Owner, ServerId, SessionId, SlotId, Status, Token};

use super::{mode_or_none, resource_name, status};
use crate::error::WireError;
use crate::events::{Event, EventKind, History};
use crate::wire;

/// Events. Those of a kind that is not known here are a newer server's, and are left out.
///
/// # Errors
/// [`WireError::ResourceNameLength`], [`WireError::Slot`] or [`WireError::Enumeration`].
pub fn events(events: Vec<wire::Event>) -> Result<Vec<Event>, WireError> {
    let known = events.into_iter().filter_map(|wire| {
        let kind = event_kind(wire.kind).ok()?;
        Some(event(kind, wire))
    });
    known.collect()
}

/// The last events of a resource.
///
/// # Errors
/// As [`events`].
pub fn history(wire: wire::HistoryReply) -> Result<History, WireError> {
    Ok(History {
        events: events(wire.events)?,
        server: ServerId(wire.server),
        slot: slot(wire.slot)?,
        epoch: Epoch(wire.epoch),
        dropped: wire.dropped,
        resources: wire.resources,
        forgotten: wire.forgotten,
    })
}

/// A kind of event.
///
/// # Errors
/// [`WireError::Enumeration`], for "unspecified" too.
pub fn event_kind(value: i32) -> Result<EventKind, WireError> {
    use wire::EventKind as Wire;
    Ok(match Wire::try_from(value) {
        Ok(Wire::Waits) => EventKind::Waits,
        Ok(Wire::Granted) => EventKind::Granted,
        Ok(Wire::Converted) => EventKind::Converted,
        Ok(Wire::Demoted) => EventKind::Demoted,
        Ok(Wire::Callback) => EventKind::Callback,
        Ok(Wire::Released) => EventKind::Released,
        Ok(Wire::Cancelled) => EventKind::Cancelled,
        Ok(Wire::Denied) => EventKind::Denied,
        Ok(Wire::Recovered) => EventKind::Recovered,
        Ok(Wire::Moved) => EventKind::Moved,
        Ok(Wire::Unspecified) | Err(_) => {
            let what = "kind of event";
            return Err(WireError::Enumeration { what, value });
        }
    })
}

fn slot(number: u32) -> Result<SlotId, WireError> {
    SlotId::new(number).ok_or(WireError::Slot { number })
}

fn event(kind: EventKind, wire: wire::Event) -> Result<Event, WireError> {
    let by = (wire.by != 0).then_some((SessionId(wire.by), wire.by_name));
    Ok(Event {
        server: ServerId(wire.server),
        sequence: wire.sequence,
        at_us: wire.at_us,
        age_us: wire.age_us,
        kind,
        lockspace: wire.lockspace,
        name: resource_name(&wire.name)?,
        session: SessionId(wire.session),
        session_name: wire.session_name,
        lock: LockId(wire.lock),
        owner: Owner(wire.owner),
        had: mode_or_none(wire.had)?,
        mode: mode_or_none(wire.mode)?,
        token: Token(wire.token),
        waited_us: wire.waited_us,
        held_us: wire.held_us,
        status: why(wire.status, wire.refusal)?,
        by,
        ended: wire.ended,
        slot: slot(wire.slot)?,
        epoch: Epoch(wire.epoch),
    })
}

fn why(value: i32, refusal: i32) -> Result<Option<Status>, WireError> {
    match value {
        0 => Ok(None),
        value => status(value, refusal).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use dlm_core::{Mode, Refusal, ResourceName};

    use super::*;
    use crate::render;

    fn denied() -> Event {
        Event {
            server: ServerId(2),
            sequence: 7,
            at_us: 1_000_000,
            age_us: 40,
            kind: EventKind::Denied,
            lockspace: "volume".into(),
            name: ResourceName::new(b"\0binary").expect("a name"),
            session: SessionId(3),
            session_name: "node1".into(),
            lock: LockId(9),
            owner: Owner(4),
            had: Some(Mode::Pr),
            mode: Some(Mode::Ex),
            token: Token(77),
            waited_us: Some(0),
            held_us: None,
            status: Some(Status::Refused(Refusal::Busy)),
            by: Some((SessionId(4), "node2".into())),
            ended: true,
            slot: SlotId::new(255).expect("a slot"),
            epoch: Epoch(6),
        }
    }

    #[test]
    fn every_kind_comes_back_as_it_was() {
        let all = EventKind::ALL.map(|kind| Event { kind, ..denied() });
        let wire = all.iter().cloned().map(render::event).collect();
        assert_eq!(events(wire), Ok(all.to_vec()));
        let plain = Event {
            status: None,
            by: None,
            waited_us: None,
            held_us: Some(1),
            had: None,
            ..denied()
        };
        assert_eq!(events(vec![render::event(plain.clone())]), Ok(vec![plain]));
    }

    #[test]
    fn what_a_newer_server_tells_is_left_out() {
        let newer = wire::Event {
            kind: 99,
            ..render::event(denied())
        };
        let events = events(vec![newer, render::event(denied())]);
        assert_eq!(events, Ok(vec![denied()]));
    }

    #[test]
    fn what_means_nothing_is_refused() {
        let slot = wire::Event {
            slot: 256,
            ..render::event(denied())
        };
        assert_eq!(events(vec![slot]), Err(WireError::Slot { number: 256 }));
        let name = wire::Event {
            name: vec![0; 65].into(),
            ..render::event(denied())
        };
        let bytes = 65;
        assert_eq!(
            events(vec![name]),
            Err(WireError::ResourceNameLength { bytes })
        );
    }

    #[test]
    fn a_history_comes_back_as_it_was() {
        let all = History {
            events: vec![denied()],
            server: ServerId(2),
            slot: SlotId::new(255).expect("a slot"),
            epoch: Epoch(6),
            dropped: 3,
            resources: 5,
            forgotten: 8,
        };
        assert_eq!(history(render::history(all.clone())), Ok(all));
    }
}

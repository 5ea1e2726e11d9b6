//! What a watcher wants to hear of.

use std::collections::BTreeSet;

use glockwork_proto::{WireError, convert, wire};
use glockwork_views::events::{Event, EventKind, object};
use glockwork_views::pattern::fits_object;

/// The parts of a [`wire::WatchRequest`] that events have to fit.
#[derive(Debug)]
pub(in super::super) struct Filter {
    lockspace: Option<String>,
    resource: Option<String>,
    session: Option<String>,
    kinds: BTreeSet<EventKind>,
}

impl Filter {
    /// # Errors
    /// [`WireError::Enumeration`].
    pub(in super::super) fn read(request: &wire::WatchRequest) -> Result<Self, WireError> {
        let given = |text: &String| (!text.is_empty()).then(|| text.clone());
        let kinds = request.kinds.iter();
        Ok(Self {
            lockspace: given(&request.lockspace),
            resource: given(&request.resource),
            session: given(&request.session),
            kinds: kinds
                .map(|&kind| convert::event_kind(kind))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Whether the watcher wants to hear of it. Events of slots are for whoever wants those of everything.
    pub(in super::super) fn passes(&self, event: &Event) -> bool {
        if !self.kinds.is_empty() && !self.kinds.contains(&event.kind) {
            return false;
        }
        if event.kind.is_of_slot() {
            let narrow = (&self.lockspace, &self.session, self.resource.is_some());
            return narrow == (&None, &None, false);
        }
        let is_like =
            |pattern: &String| object(event).is_some_and(|object| fits_object(pattern, &object));
        let of = |session: &String| {
            *session == event.session_name || *session == event.session.0.to_string()
        };
        self.lockspace
            .as_ref()
            .is_none_or(|only| *only == event.lockspace)
            && self.session.as_ref().is_none_or(of)
            && self.resource.as_ref().is_none_or(is_like)
    }
}

#[cfg(test)]
mod tests {
    use dlm_core::{Epoch, LockId, Owner, ResourceName, ServerId, SessionId, SlotId, Token};

    use super::*;

    fn event(kind: EventKind) -> Event {
        Event {
            server: ServerId(1),
            sequence: 1,
            at_us: 1,
            age_us: 0,
            kind,
            lockspace: "jobs".into(),
            name: ResourceName::new(b"night\x01").expect("a name"),
            session: SessionId(7),
            session_name: "backup".into(),
            lock: LockId(1),
            owner: Owner(0),
            had: None,
            mode: None,
            token: Token::default(),
            waited_us: None,
            held_us: None,
            status: None,
            by: None,
            ended: false,
            slot: SlotId::all().next().expect("a slot"),
            epoch: Epoch(1),
        }
    }

    #[test]
    fn what_is_not_asked_for_does_not_pass() {
        let all = wire::WatchRequest::default;
        let request = |lockspace: &str, resource: &str, session: &str| wire::WatchRequest {
            lockspace: lockspace.into(),
            resource: resource.into(),
            session: session.into(),
            ..all()
        };
        for (request, lock, slot) in [
            (all(), true, true),
            (request("jobs", "", ""), true, false),
            (request("others", "", ""), false, false),
            (request("", "night*", "backup"), true, false),
            (request("", "night\\x0?", "7"), true, false),
            (request("", "night", ""), false, false),
            (request("", "", "back"), false, false),
        ] {
            let filter = Filter::read(&request).expect("it can be read");
            assert_eq!(
                filter.passes(&event(EventKind::Granted)),
                lock,
                "{request:?}"
            );
            assert_eq!(filter.passes(&event(EventKind::Moved)), slot, "{request:?}");
        }
        let kinds = vec![wire::EventKind::Waits.into(), wire::EventKind::Moved.into()];
        let filter = Filter::read(&wire::WatchRequest { kinds, ..all() }).expect("kinds");
        assert!(filter.passes(&event(EventKind::Waits)));
        assert!(filter.passes(&event(EventKind::Moved)));
        assert!(!filter.passes(&event(EventKind::Granted)));
        let kinds = vec![99];
        assert!(Filter::read(&wire::WatchRequest { kinds, ..all() }).is_err());
    }
}

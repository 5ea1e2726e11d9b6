//! What has happened to locks, as tables: the last events of all servers, and those of one resource.

use std::collections::{BTreeMap, VecDeque};
use std::time::SystemTime;

use dlm_core::ServerId;
use glockwork_views::events::{Event, History, clock, date, object, what};
use glockwork_views::graph::Object;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

use super::sight::Unseen;
use super::tables::{Cell, paragraph, table};

/// The most events that the page shows.
pub(super) const EVENTS_SHOWN_MAX: usize = 50;

/// An event, and when it was by this machine's clock.
#[derive(Clone, Debug)]
pub(super) struct Dated {
    at: SystemTime,
    event: Event,
}

impl Dated {
    /// An event that was just read.
    pub(super) fn now(event: Event) -> Self {
        let at = date(&event, SystemTime::now());
        Self { at, event }
    }
}

/// The last events of all servers.
#[derive(Debug, Default)]
pub(super) struct Recent {
    last: VecDeque<Dated>,
    /// Of each server, the number of the last one. Whoever begins to watch reads some twice.
    read: BTreeMap<ServerId, u64>,
    missed: u64,
}

impl Recent {
    /// Of these.
    pub(super) fn of(events: Vec<Event>) -> Self {
        let mut recent = Self::default();
        events.into_iter().for_each(|event| recent.push(event));
        recent
    }

    /// Something happened.
    pub(super) fn push(&mut self, event: Event) {
        let read = self.read.entry(event.server).or_default();
        if event.sequence <= *read {
            return;
        }
        *read = event.sequence;
        self.last.push_back(Dated::now(event));
        if self.last.len() > EVENTS_SHOWN_MAX {
            self.last.pop_front();
        }
    }

    /// So many more happened, and nobody read them.
    pub(super) fn miss(&mut self, events: u64) {
        self.missed += events;
    }

    /// As a part of the page, the newest first.
    pub(super) fn html(&self) -> String {
        let events = self.last.iter().rev();
        let mut html = events_table("The last events, the newest first", events);
        if self.missed > 0 {
            let text = format!("{} events came too fast and are not shown", self.missed);
            html.push_str(&paragraph("note", &text));
        }
        html
    }
}

/// What has happened to a resource, the oldest first.
pub(super) fn of_resource(object: &Object, seen: Result<History, Unseen>) -> String {
    let history = match seen {
        Ok(history) => history,
        Err(unseen) => return paragraph("trouble", &unseen.to_string()),
    };
    let title = format!(
        "{object}: what server {} remembers, as the master of slot {} in epoch {}",
        history.server.0,
        history.slot.number(),
        history.epoch.0
    );
    let events: Vec<Dated> = history.events.into_iter().map(Dated::now).collect();
    let mut html = events_table(&title, events.iter());
    if history.dropped > 0 {
        let text = format!("{} events before them are forgotten", history.dropped);
        html.push_str(&paragraph("note", &text));
    }
    html
}

/// The address of a resource's history, from the page.
pub(super) fn address(object: &Object) -> String {
    let lockspace = percent_encode(object.lockspace.as_bytes(), NON_ALPHANUMERIC);
    let name = percent_encode(object.name.as_bytes(), NON_ALPHANUMERIC);
    format!("history?lockspace={lockspace}&name={name}")
}

fn events_table<'a>(caption: &str, events: impl Iterator<Item = &'a Dated>) -> String {
    let columns = [
        "time (UTC)",
        "event",
        "resource",
        "session",
        "mode",
        "token",
    ];
    table(
        caption,
        columns,
        events.map(row).collect(),
        EVENTS_SHOWN_MAX,
    )
}

fn row(dated: &Dated) -> [Cell; 6] {
    let event = &dated.event;
    let resource = match object(event) {
        None => Cell::from(format!(
            "slot {}, epoch {}",
            event.slot.number(),
            event.epoch.0
        )),
        Some(object) => Cell::Link {
            text: object.to_string(),
            address: address(&object),
        },
    };
    let token = match event.token.0 {
        0 => Cell::from(""),
        token => Cell::from(token),
    };
    [
        clock(dated.at).into(),
        event.kind.name().into(),
        resource,
        event.session_name.clone().into(),
        what(event).into(),
        token,
    ]
}

#[cfg(test)]
mod tests {
    use dlm_core::{Epoch, LockId, Mode, Owner, ResourceName, SessionId, SlotId, Status, Token};
    use glockwork_views::events::EventKind;

    use super::*;

    fn event(sequence: u64, kind: EventKind) -> Event {
        Event {
            server: ServerId(1),
            sequence,
            at_us: 0,
            age_us: 0,
            kind,
            lockspace: "jobs".into(),
            name: ResourceName::new(b"a&b\xff").expect("a name"),
            session: SessionId(2),
            session_name: "<node>".into(),
            lock: LockId(3),
            owner: Owner(0),
            had: Some(Mode::Pr),
            mode: Some(Mode::Ex),
            token: Token(9),
            waited_us: Some(1500),
            held_us: None,
            status: Some(Status::TryFailed),
            by: None,
            ended: false,
            slot: SlotId::new(0).expect("a slot"),
            epoch: Epoch(1),
        }
    }

    #[test]
    fn the_newest_come_first_and_each_once() {
        let mut recent = Recent::default();
        for sequence in [1, 2, 2, 1, 3] {
            recent.push(event(sequence, EventKind::Granted));
        }
        assert_eq!(recent.last.len(), 3);
        for sequence in 4..200 {
            recent.push(event(sequence, EventKind::Waits));
        }
        recent.miss(7);
        let html = recent.html();
        assert_eq!(html.matches("<tr>").count(), 1 + EVENTS_SHOWN_MAX);
        assert!(html.contains("7 events came too fast"));
    }

    #[test]
    fn names_stay_names_in_text_and_in_addresses() {
        let mut recent = Recent::default();
        recent.push(event(1, EventKind::Converted));
        let html = recent.html();
        assert!(html.contains("PR to EX, waited 1 ms"), "{html}");
        assert!(html.contains("&lt;node&gt;") && !html.contains("<node>"));
        let address = "href=\"history?lockspace=jobs&amp;name=a%26b%FF\"";
        assert!(html.contains(address), "{html}");
    }

    #[test]
    fn each_kind_says_something() {
        for kind in EventKind::ALL {
            let mut recent = Recent::default();
            recent.push(event(1, kind));
            assert!(recent.html().contains(kind.name()), "{kind:?}");
        }
    }
}

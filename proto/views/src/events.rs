//! What happens to locks, as people and programs are told.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dlm_core::{Mode, Refusal, Status};
pub use glockwork_proto::events::{Event, EventKind, History};
use serde::{Serialize, Serializer};

use crate::graph::{Object, json, time};

/// What it happened to; `None` where it is about a slot.
#[must_use]
pub fn object(event: &Event) -> Option<Object> {
    let of_lock = !event.kind.is_of_slot();
    of_lock.then(|| Object {
        lockspace: event.lockspace.clone(),
        name: event.name.clone(),
    })
}

/// When it happened, by this machine's clock; `read` is when it was read.
#[must_use]
pub fn date(event: &Event, read: SystemTime) -> SystemTime {
    let age = Duration::from_micros(event.age_us);
    read.checked_sub(age).unwrap_or(UNIX_EPOCH)
}

/// The time of day in UTC, to the millisecond.
#[must_use]
pub fn clock(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (day, ms) = (since.as_secs() % 86_400, since.subsec_millis());
    let (hours, minutes, seconds) = (day / 3600, day / 60 % 60, day % 60);
    format!("{hours:02}:{minutes:02}:{seconds:02}.{ms:03}")
}

/// The modes, and how long it took.
#[must_use]
pub fn what(event: &Event) -> String {
    let Some(object) = object(event) else {
        return String::new();
    };
    let mode = event.mode.map(|mode| object.mode(mode)).unwrap_or_default();
    let had = event.had.map(|mode| object.mode(mode));
    let text = match event.kind {
        EventKind::Waits => match had {
            Some(had) => format!("{had}, wants {mode}"),
            None => format!("wants {mode}"),
        },
        EventKind::Callback => {
            let by = event.by.as_ref().map(|(_, name)| format!(" by {name}"));
            format!(
                "{}, wanted in {mode}{}",
                had.unwrap_or_default(),
                by.unwrap_or_default()
            )
        }
        EventKind::Denied => {
            let why = event.status.map(denial).unwrap_or_default();
            format!("{mode}: {why}")
        }
        EventKind::Released => had.unwrap_or_default(),
        EventKind::Converted | EventKind::Demoted => {
            format!("{} to {mode}", had.unwrap_or_default())
        }
        EventKind::Granted | EventKind::Cancelled => mode,
        EventKind::Recovered | EventKind::Moved => String::new(),
    };
    let waited = event.waited_us.map(|us| format!(", waited {}", time(us)));
    let held = event.held_us.map(|us| format!(", held {}", time(us)));
    let held = held.filter(|_| event.kind == EventKind::Released);
    format!(
        "{text}{}{}",
        waited.unwrap_or_default(),
        held.unwrap_or_default()
    )
}

/// What stands over the columns of [`line()`].
pub const HEADER: &str =
    "TIME (UTC)    EVENT      SESSION           RESOURCE                      WHAT";

/// One line: when, what, whose, on what, and how.
#[must_use]
pub fn line(event: &Event, read: SystemTime) -> String {
    let (at, kind) = (clock(date(event, read)), event.kind.name());
    let session = &event.session_name;
    let on = match object(event) {
        Some(object) => object.to_string(),
        None => {
            let (slot, epoch, server) = (event.slot.number(), event.epoch.0, event.server.0);
            format!("slot {slot}, epoch {epoch}, at server {server}")
        }
    };
    let line = format!(
        "{at}  {kind:9}  {session:16}  {on:28}  {what}",
        what = what(event)
    );
    line.trim_end().to_owned()
}

/// Why a request or a conversion got nothing, as metrics call it.
#[must_use]
pub const fn denial(status: Status) -> &'static str {
    match status {
        Status::TryFailed => "try",
        Status::Deadlock => "deadlock",
        Status::Refused(refusal) => match refusal {
            Refusal::NameLength => "name_length",
            Refusal::ValueLength => "value_length",
            Refusal::Flags => "flags",
            Refusal::LockIdInUse => "lock_id_in_use",
            Refusal::NoSuchLock => "no_such_lock",
            Refusal::NoSuchOrphan => "no_such_orphan",
            Refusal::OrphanMode => "orphan_mode",
            Refusal::NoSuchLockspace => "no_such_lockspace",
            Refusal::Busy => "busy",
            Refusal::AlreadyCancelled => "already_cancelled",
            Refusal::LocksPerSession => "locks_per_session",
            Refusal::QueueLength => "queue_length",
            Refusal::Resources => "resources",
            Refusal::NoSuchSession => "no_such_session",
        },
        Status::Granted
        | Status::Cancelled
        | Status::Unlocked
        | Status::NothingToCancel
        | Status::CancelDone
        | Status::Adopted => "none",
    }
}

/// An event as one JSON object: modes by their two letters, times in microseconds, names with every byte that
/// is not printable ASCII as `\xNN`. What an event of its kind does not have is `null`.
#[derive(Clone, Debug, Serialize)]
pub struct EventDocument<'a> {
    /// Which server's journal it is in.
    pub server: u64,
    /// Its number there.
    pub sequence: u64,
    /// When it happened, in microseconds since 1970, by the clock of whoever made this.
    pub time_us: u64,
    /// [`EventKind::name`].
    pub kind: &'static str,
    /// The resource, and the glock that its name is of.
    #[serde(flatten)]
    pub object: Option<Object>,
    /// Whose lock it is.
    pub session: u64,
    /// What people call that session.
    pub session_name: &'a str,
    /// The lock's number in that session.
    pub lock: u64,
    /// The task that asked last.
    pub owner: u64,
    /// The mode that it had, or has.
    #[serde(serialize_with = "json::mode_or_none")]
    pub had: Option<Mode>,
    /// The mode that it has now, waits for, was denied, or that somebody wants.
    #[serde(serialize_with = "json::mode_or_none")]
    pub mode: Option<Mode>,
    /// The grant's fencing token; 0 where there is none.
    pub token: u64,
    /// How long it had waited.
    pub waited_us: Option<u64>,
    /// How long it had had the mode that it gave up.
    pub held_us: Option<u64>,
    /// Why it was denied: [`denial`].
    #[serde(serialize_with = "reason")]
    pub denied: Option<Status>,
    /// Of a callback: the session that wants it.
    pub by: Option<u64>,
    /// And what people call that.
    pub by_name: Option<&'a str>,
    /// Whether it went with its task, its session, or the session's leave.
    pub ended: bool,
    /// The slot.
    pub slot: u32,
    /// That one's epoch.
    pub epoch: u32,
}

impl<'a> EventDocument<'a> {
    /// Of an event that was read then.
    #[must_use]
    pub fn new(event: &'a Event, read: SystemTime) -> Self {
        let since = date(event, read).duration_since(UNIX_EPOCH);
        let time_us = since.unwrap_or_default().as_micros();
        Self {
            server: event.server.0,
            sequence: event.sequence,
            time_us: u64::try_from(time_us).unwrap_or(u64::MAX),
            kind: event.kind.name(),
            object: object(event),
            session: event.session.0,
            session_name: &event.session_name,
            lock: event.lock.0,
            owner: event.owner.0,
            had: event.had,
            mode: event.mode,
            token: event.token.0,
            waited_us: event.waited_us,
            held_us: event.held_us,
            denied: event.status,
            by: event.by.as_ref().map(|(session, _)| session.0),
            by_name: event.by.as_ref().map(|(_, name)| &name[..]),
            ended: event.ended,
            slot: event.slot.number(),
            epoch: event.epoch.0,
        }
    }
}

fn reason<S: Serializer>(status: &Option<Status>, to: S) -> Result<S::Ok, S::Error> {
    status.map(denial).serialize(to)
}

#[cfg(test)]
pub(crate) mod examples {
    use dlm_core::{Epoch, LockId, Owner, ServerId, SessionId, SlotId, Token};

    use super::*;

    /// The direct I/O of a node on an inode.
    pub(crate) fn event(kind: EventKind) -> Event {
        Event {
            server: ServerId(1),
            sequence: 7,
            at_us: 0,
            age_us: 4,
            kind,
            lockspace: "volume".into(),
            name: glock_core::GlockName::inode(0x102ab).resource(),
            session: SessionId(2),
            session_name: "node2".into(),
            lock: LockId(3),
            owner: Owner(0),
            had: Some(Mode::Pr),
            mode: Some(Mode::Ex),
            token: Token(9),
            waited_us: Some(1500),
            held_us: None,
            status: None,
            by: None,
            ended: false,
            slot: SlotId::new(0).expect("a slot"),
            epoch: Epoch(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::examples::event;
    use super::*;

    const READ: Duration = Duration::from_millis(86_400_000 + 3_723_004);

    #[test]
    fn a_line_says_when_what_whose_on_what_and_how() {
        let mut denied = event(EventKind::Denied);
        denied.status = Some(Status::TryFailed);
        denied.waited_us = None;
        let mut moved = event(EventKind::Moved);
        moved.session_name.clear();
        let lines: Vec<String> = [event(EventKind::Converted), denied, moved]
            .iter()
            .map(|event| line(event, UNIX_EPOCH + READ))
            .collect();
        let expected = "\
TIME (UTC)    EVENT      SESSION           RESOURCE                      WHAT
01:02:03.003  converted  node2             volume inode 0x102ab          PR (SH) to EX, waited 1 ms
01:02:03.003  denied     node2             volume inode 0x102ab          EX: try
01:02:03.003  moved                        slot 0, epoch 1, at server 1";
        assert_eq!(format!("{HEADER}\n{}", lines.join("\n")), expected);
    }

    #[test]
    fn each_kind_says_something() {
        for kind in EventKind::ALL {
            assert!(line(&event(kind), UNIX_EPOCH).contains(kind.name()));
        }
        assert_eq!(clock(UNIX_EPOCH + READ), "01:02:03.004");
        // What is older than the clock's zero is of then.
        assert_eq!(
            clock(date(&event(EventKind::Waits), UNIX_EPOCH)),
            "00:00:00.000"
        );
    }

    #[test]
    fn the_document_has_what_a_program_needs() {
        let mut event = event(EventKind::Denied);
        event.status = Some(Status::Deadlock);
        event.by = Some((dlm_core::SessionId(4), "node4".into()));
        let document = EventDocument::new(&event, UNIX_EPOCH + READ);
        let document = serde_json::to_value(document).expect("JSON");
        let expected = json!({
            "server": 1, "sequence": 7, "time_us": 90_123_003_996_u64, "kind": "denied",
            "lockspace": "volume", "name": "       2           102ab", "glock": "2/102ab",
            "session": 2, "session_name": "node2", "lock": 3, "owner": 0, "had": "PR", "mode": "EX",
            "token": 9, "waited_us": 1500, "held_us": null, "denied": "deadlock",
            "by": 4, "by_name": "node4", "ended": false, "slot": 0, "epoch": 1,
        });
        assert_eq!(document, expected);
    }
}

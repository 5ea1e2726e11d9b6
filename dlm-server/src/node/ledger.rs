//! What a slot's sessions may not know yet: it moves with the slot.
//!
//! When a slot moves as planned, its table goes to the next master, and clients send every operation
//! again that they have no answer to. Some of those were applied: their answers are on the way, or lost
//! with the old server. So the old master hands over, for each session, the answers that were not
//! acknowledged and the operations that wait in the table; the new one answers an operation that it finds
//! here with what is here, and applies it **not a second time**.

use std::collections::BTreeMap;

use dlm_core::link::Event;
pub use dlm_core::peer::{HandedLedger, HandedSession};
use dlm_core::{LockId, OpId, SessionId};

use super::config::ANSWERED_MAX;

/// A slot's ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ledger {
    sessions: BTreeMap<SessionId, Known>,
}

/// What is known of a session's operations in a slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Known {
    answered: BTreeMap<OpId, Event>,
    waiting: BTreeMap<OpId, Waits>,
}

/// An operation that waits in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Waits {
    lock: LockId,
    serial: u64,
    /// It came with the table: the session may yet send it again, even after it was answered here.
    inherited: bool,
}

impl Ledger {
    /// What an operation is answered that was sent before: its answer, or its position.
    pub(super) fn again(&self, session: SessionId, op: OpId) -> Option<Event> {
        let known = self.sessions.get(&session)?;
        let answered = known.answered.get(&op).cloned();
        answered.or_else(|| {
            let &Waits { lock, serial, .. } = known.waiting.get(&op)?;
            Some(Event::Queued { op, lock, serial })
        })
    }

    /// An operation waits in the table.
    pub(super) fn queued(&mut self, session: SessionId, op: OpId, lock: LockId, serial: u64) {
        let known = self.sessions.entry(session).or_default();
        let inherited = false;
        known.waiting.insert(
            op,
            Waits {
                lock,
                serial,
                inherited,
            },
        );
    }

    /// An operation is answered.
    pub(super) fn done(&mut self, session: SessionId, op: OpId, answer: &Event) {
        let Some(known) = self.sessions.get_mut(&session) else {
            return;
        };
        if known.waiting.remove(&op).is_some_and(|it| it.inherited) {
            known.answer(op, answer.clone());
        }
    }

    /// A session is gone.
    pub(super) fn drop_session(&mut self, session: SessionId) {
        self.sessions.remove(&session);
    }

    /// Takes all for the next master; `unacknowledged` is what each session was told about this slot and
    /// has not acknowledged.
    pub(super) fn hand_over(
        &mut self,
        unacknowledged: impl Iterator<Item = (SessionId, Event)>,
    ) -> HandedLedger {
        let mut notices: BTreeMap<SessionId, Vec<Event>> = BTreeMap::new();
        for (session, event) in unacknowledged {
            match &event {
                Event::Done(done) => {
                    let op = done.op;
                    self.sessions.entry(session).or_default().answer(op, event);
                }
                Event::Blocking { .. } | Event::Orphaned { .. } | Event::OrphanPurged { .. } => {
                    notices.entry(session).or_default().push(event);
                    self.sessions.entry(session).or_default();
                }
                _ => {}
            }
        }
        let sessions = std::mem::take(&mut self.sessions).into_iter();
        let sessions = sessions.map(|(session, known)| HandedSession {
            session,
            answered: known.answered.into_iter().collect(),
            waiting: known
                .waiting
                .into_iter()
                .map(|(op, waits)| (op, waits.lock, waits.serial))
                .collect(),
            notices: notices.remove(&session).unwrap_or_default(),
        });
        HandedLedger {
            sessions: sessions.collect(),
        }
    }

    /// Takes over what the master before handed over; gives back what the sessions are to be told again.
    pub(super) fn take_over(&mut self, handed: HandedLedger) -> Vec<(SessionId, Event)> {
        let mut notices = Vec::new();
        for part in handed.sessions {
            let known = self.sessions.entry(part.session).or_default();
            for (op, answer) in part.answered {
                known.answer(op, answer);
            }
            let waiting = part.waiting.into_iter();
            let inherited = true;
            known.waiting.extend(waiting.map(|(op, lock, serial)| {
                let waits = Waits {
                    lock,
                    serial,
                    inherited,
                };
                (op, waits)
            }));
            let again = part.notices.into_iter();
            notices.extend(again.map(|event| (part.session, event)));
        }
        notices
    }
}

impl Known {
    /// The oldest operations are forgotten first: whoever sends so many more has had their answers.
    fn answer(&mut self, op: OpId, answer: Event) {
        self.answered.insert(op, answer);
        if self.answered.len() > ANSWERED_MAX {
            self.answered.pop_first();
        }
    }
}

#[cfg(test)]
mod tests {
    use dlm_core::link::Done;
    use dlm_core::{Mode, Status, StatusFlags, Token};

    use super::*;

    const SESSION: SessionId = SessionId(1);

    fn done(op: u64) -> Event {
        Event::Done(Done {
            op: OpId(op),
            lock: LockId(op),
            status: Status::Granted,
            mode: Some(Mode::Ex),
            token: Token(op),
            flags: StatusFlags::empty(),
            value: None,
            value_sequence: 0,
        })
    }

    fn moved(ledger: &mut Ledger, unacknowledged: Vec<Event>) -> (Ledger, Vec<(SessionId, Event)>) {
        let unacknowledged = unacknowledged.into_iter().map(|event| (SESSION, event));
        let handed = ledger.hand_over(unacknowledged);
        let mut next = Ledger::default();
        let again = next.take_over(handed);
        (next, again)
    }

    /// The session sends an operation again that waited, and hears meanwhile that it is granted.
    #[test]
    fn what_waited_when_the_slot_moved_is_known_when_it_is_answered_there() {
        let mut first = Ledger::default();
        first.queued(SESSION, OpId(1), LockId(1), 7);
        let (mut second, _) = moved(&mut first, vec![done(2)]);
        let (op, lock, serial) = (OpId(1), LockId(1), 7);
        let queued = Event::Queued { op, lock, serial };
        assert_eq!(second.again(SESSION, OpId(1)), Some(queued));
        assert_eq!(second.again(SESSION, OpId(2)), Some(done(2)));
        assert_eq!(second.again(SESSION, OpId(3)), None);
        second.done(SESSION, OpId(1), &done(1));
        assert_eq!(second.again(SESSION, OpId(1)), Some(done(1)));
        // It moves once more before the session was heard of.
        let (third, _) = moved(&mut second, Vec::new());
        assert_eq!(third.again(SESSION, OpId(1)), Some(done(1)));
        assert_eq!(third.again(SESSION, OpId(2)), Some(done(2)));
    }

    /// What was asked here is answered on this server's stream, and its number keeps it from coming twice.
    #[test]
    fn what_waited_here_only_is_not_kept() {
        let mut ledger = Ledger::default();
        ledger.queued(SESSION, OpId(1), LockId(1), 7);
        ledger.done(SESSION, OpId(1), &done(1));
        assert_eq!(ledger.again(SESSION, OpId(1)), None);
    }

    /// The old master may be lost before it said so.
    #[test]
    fn a_callback_that_was_not_acknowledged_is_said_again() {
        let (lock, mode) = (LockId(1), Mode::Pr);
        let blocking = Event::Blocking { lock, mode };
        let (_, again) = moved(&mut Ledger::default(), vec![blocking.clone()]);
        assert_eq!(again, [(SESSION, blocking)]);
    }
}

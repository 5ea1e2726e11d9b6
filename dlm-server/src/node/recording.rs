//! What the masters do to locks gets into the journal.
//!
//! A table says what has to be sent, and not of which resource; and of a lock that is gone it knows nothing. So
//! what a step is about is looked up before it, and what follows from it afterwards.

use dlm_core::cluster::Effect;
use dlm_core::deadlock::{LockView, Queue};
use dlm_core::recovery::{SlotInput, SlotOutput};
use dlm_core::{
    Input, LockId, LockTable, LockspaceId, Mode, OpId, Output as TableOutput, OwnedLock, Owner,
    ResourceName, SessionId, Status, StatusFlags, Tick, Token,
};
use glockwork_proto::events::EventKind;

use super::Node;
use super::masters::{Key, Mastered};
use crate::journal::{self, Entry, Journal, Wait};
use crate::limits::RELEASES_TOLD_MAX;

/// A lock and what it is on.
type Standing = (LockspaceId, ResourceName, LockView);

/// What a step is about, as it was before.
#[derive(Debug)]
enum Before {
    /// No lock in particular.
    Nothing,
    /// A lock that is to be.
    Asked {
        of: (SessionId, LockId),
        owner: Owner,
        on: (LockspaceId, ResourceName),
        mode: Mode,
    },
    /// A lock that was there, and the mode that is wanted of it.
    Lock(Standing, Option<Mode>),
    /// Many locks of a session, which go or become orphans, and how many more there were.
    Many {
        session: SessionId,
        locks: Vec<Standing>,
        left_out: u64,
    },
}

impl Node {
    /// Steps a master, and writes down what that did to locks.
    pub(super) fn step_recorded(&mut self, key: Key, input: SlotInput) -> Vec<SlotOutput> {
        let mut said = Vec::new();
        let Some(mastered) = self.masters.all.get_mut(&key) else {
            return said;
        };
        let before = Before::of(mastered.master.table(), &input);
        mastered.master.step(self.now, input, &mut said);
        let recording = Recording {
            now: self.now,
            key,
            table: mastered.master.table(),
            before: &before,
            journal: &mut self.journal,
        };
        recording.record(&said);
        said
    }

    /// A slot is served from now on.
    pub(super) fn record_service(&mut self, key: Key) {
        let arrived = |master: &Mastered| master.arrival.is_some();
        let moved = self.masters.all.get(&key).is_some_and(arrived);
        let kind = match moved {
            true => EventKind::Moved,
            false => EventKind::Recovered,
        };
        self.journal.write(journal::service(self.now, key, kind));
    }

    /// What sessions and lockspaces are called, and which are over.
    pub(super) fn record_effect(&mut self, effect: &Effect) {
        let names = self.journal.names_mut();
        match effect {
            Effect::SessionJoined { session } => names.joined(&self.state, *session),
            Effect::LockspaceOpened { lockspace, .. } => names.opened(&self.state, *lockspace),
            _ => {}
        }
    }

    /// What has happened to locks here.
    #[must_use]
    pub const fn journal(&self) -> &Journal {
        &self.journal
    }
}

impl Before {
    fn of(table: &LockTable, input: &SlotInput) -> Self {
        match input {
            SlotInput::Operation { operation, .. } => Self::of_operation(table, operation),
            &SlotInput::EndWait { session, lock, .. } => Self::one(table, (session, lock), None),
            &SlotInput::PurgeOrphans {
                session,
                lockspace,
                owner,
            } => Self::orphans(table, session, (lockspace, owner)),
            &SlotInput::Purged { session, .. } => Self::many(table, session, |_| true),
            &SlotInput::LockspaceLeft { session, lockspace } => {
                Self::many(table, session, |one| one.lockspace == lockspace)
            }
            _ => Self::Nothing,
        }
    }

    fn of_operation(table: &LockTable, operation: &Input) -> Self {
        match operation {
            Input::Request {
                session,
                lockspace,
                lock,
                name,
                mode,
                owner,
                ..
            } => Self::Asked {
                of: (*session, *lock),
                owner: *owner,
                on: (*lockspace, name.clone()),
                mode: *mode,
            },
            &Input::Convert {
                session,
                lock,
                mode,
                ..
            } => Self::one(table, (session, lock), Some(mode)),
            &Input::Unlock { session, lock, .. } | &Input::Cancel { session, lock, .. } => {
                Self::one(table, (session, lock), None)
            }
            &Input::OwnerEnded { session, owner, .. } => {
                Self::many(table, session, |one| one.owner == owner && !one.orphan)
            }
            &Input::PurgeOrphans {
                session,
                lockspace,
                owner,
                ..
            } => Self::orphans(table, session, (lockspace, owner)),
            &Input::LeaveLockspace {
                session, lockspace, ..
            } => Self::many(table, session, |one| one.lockspace == lockspace),
            _ => Self::Nothing,
        }
    }

    fn one(table: &LockTable, (session, lock): (SessionId, LockId), wanted: Option<Mode>) -> Self {
        let standing = table.lock(session, lock);
        standing.map_or(Self::Nothing, |standing| Self::Lock(standing, wanted))
    }

    fn orphans(
        table: &LockTable,
        session: SessionId,
        (lockspace, owner): (LockspaceId, Option<Owner>),
    ) -> Self {
        Self::many(table, session, |one| {
            one.orphan && one.lockspace == lockspace && owner.is_none_or(|owner| one.owner == owner)
        })
    }

    /// Those that the operation means: as the table chooses them.
    fn many(table: &LockTable, session: SessionId, means: impl Fn(&OwnedLock) -> bool) -> Self {
        let mut all = table.locks_of_session(session).filter(means);
        let told = all.by_ref().take(RELEASES_TOLD_MAX);
        let locks = told.filter_map(|one| table.lock(session, one.lock));
        Self::Many {
            session,
            locks: locks.collect(),
            left_out: all.count() as u64,
        }
    }

    /// The session whose operation the step is.
    const fn session(&self) -> Option<SessionId> {
        match self {
            Self::Asked { of, .. } => Some(of.0),
            Self::Lock((_, _, view), _) => Some(view.session),
            Self::Nothing | Self::Many { .. } => None,
        }
    }

    /// The lock, if it is this one and was there.
    fn lock(&self, of: (SessionId, LockId)) -> Option<&Standing> {
        match self {
            Self::Lock(standing, _) => {
                ((standing.2.session, standing.2.lock) == of).then_some(standing)
            }
            _ => None,
        }
    }
}

/// One step, after it was taken.
struct Recording<'a> {
    now: Tick,
    key: Key,
    table: &'a LockTable,
    before: &'a Before,
    journal: &'a mut Journal,
}

/// The parts of [`TableOutput::Done`] that are written down.
struct Done {
    op: OpId,
    of: (SessionId, LockId),
    status: Status,
    mode: Option<Mode>,
    token: Token,
    demoted: bool,
}

impl Recording<'_> {
    fn record(mut self, said: &[SlotOutput]) {
        self.releases();
        for output in said {
            let SlotOutput::Table(output) = output else {
                continue;
            };
            match *output {
                TableOutput::Done {
                    session,
                    op,
                    lock,
                    status,
                    mode,
                    token,
                    flags,
                    ..
                } => self.done(&Done {
                    op,
                    of: (session, lock),
                    status,
                    mode,
                    token,
                    demoted: flags.contains(StatusFlags::DEMOTED),
                }),
                TableOutput::Queued {
                    session, op, lock, ..
                } => self.queued((session, lock), op),
                TableOutput::Blocking {
                    session,
                    lock,
                    mode,
                } => self.blocking((session, lock), mode),
                TableOutput::Orphaned { .. } | TableOutput::Purged { .. } => {}
            }
        }
    }

    /// What went with a task, a session, or its leave from a lockspace: nobody is answered for it.
    fn releases(&mut self) {
        let Before::Many {
            session,
            locks,
            left_out,
        } = self.before
        else {
            return;
        };
        for standing in locks {
            let view = &standing.2;
            if self.table.lock(*session, view.lock).is_some() {
                continue;
            }
            let wait = self.journal.waited((*session, view.lock));
            let mut entry = match view.granted {
                Some(_) => Entry {
                    held_us: held_us(view, wait, self.now),
                    ..self.entry(EventKind::Released, standing)
                },
                None => Entry {
                    mode: view.requested,
                    waited_us: Some(self.now.since(view.since)),
                    ..self.entry(EventKind::Cancelled, standing)
                },
            };
            entry.ended = true;
            self.journal.write(entry);
        }
        if *left_out > 0 {
            self.journal.skip(*left_out);
        }
    }

    fn done(&mut self, done: &Done) {
        match done.status {
            Status::Granted | Status::Adopted => self.granted(done),
            Status::Unlocked => self.unlocked(done),
            Status::Cancelled => self.not_granted(done, EventKind::Cancelled),
            Status::Deadlock | Status::TryFailed | Status::Refused(_) => {
                self.not_granted(done, EventKind::Denied);
            }
            // They answer the cancel; what that did is the other operation's answer.
            Status::NothingToCancel | Status::CancelDone => {}
        }
    }

    fn granted(&mut self, done: &Done) {
        let wait = self.journal.waited(done.of);
        let Some(standing) = self.table.lock(done.of.0, done.of.1) else {
            return;
        };
        // What the lock was before it waited, or, where it did not, before this step.
        let had = match wait {
            Some(wait) => wait.had,
            None => self.before.lock(done.of).and_then(|before| {
                let view = &before.2;
                Some((view.granted?, view.since))
            }),
        };
        let mut entry = Entry {
            mode: done.mode,
            token: done.token,
            op: Some(done.op),
            waited_us: wait.map(|wait| self.now.since(wait.since)),
            held_us: had.map(|(_, since)| self.now.since(since)),
            had: had.map(|(mode, _)| mode),
            ..self.entry(EventKind::Granted, &standing)
        };
        if done.demoted && had.is_some() {
            // It had to give its mode up before it got the new one.
            self.journal.write(Entry {
                kind: EventKind::Demoted,
                mode: Some(Mode::Nl),
                token: Token::default(),
                op: None,
                waited_us: None,
                ..entry.clone()
            });
            (entry.had, entry.held_us) = (Some(Mode::Nl), None);
        }
        entry.kind = match (entry.had, entry.mode) {
            (Some(had), Some(mode)) if had != mode && had.is_down_to(mode) => EventKind::Demoted,
            (Some(_), _) => EventKind::Converted,
            (None, _) => EventKind::Granted,
        };
        self.journal.write(entry);
    }

    fn unlocked(&mut self, done: &Done) {
        let wait = self.journal.waited(done.of);
        let Some(standing) = self.before.lock(done.of) else {
            return;
        };
        if standing.2.granted.is_some() {
            self.journal.write(Entry {
                op: Some(done.op),
                held_us: held_us(&standing.2, wait, self.now),
                ..self.entry(EventKind::Released, standing)
            });
        }
    }

    fn not_granted(&mut self, done: &Done, kind: EventKind) {
        let wait = self.journal.waited(done.of);
        let entry = match self.before {
            Before::Asked {
                of,
                owner,
                on,
                mode,
            } if *of == done.of => Entry {
                session: of.0,
                lock: of.1,
                owner: *owner,
                mode: Some(*mode),
                slot: self.key.0,
                epoch: self.key.1,
                ..Entry::new(self.now, kind, on.clone())
            },
            Before::Lock(standing, wanted) if (standing.2.session, standing.2.lock) == done.of => {
                Entry {
                    mode: standing.2.requested.or(*wanted),
                    ..self.entry(kind, standing)
                }
            }
            _ => match self.table.lock(done.of.0, done.of.1) {
                Some(standing) => self.entry(kind, &standing),
                None => return,
            },
        };
        self.journal.write(Entry {
            op: Some(done.op),
            status: (kind == EventKind::Denied).then_some(done.status),
            waited_us: wait.map(|wait| self.now.since(wait.since)),
            ..entry
        });
    }

    fn queued(&mut self, of: (SessionId, LockId), op: OpId) {
        let Some(standing) = self.table.lock(of.0, of.1) else {
            return;
        };
        let before = self.before.lock(of).map(|before| &before.2);
        let had = before.and_then(|view| Some((view.granted?, view.since)));
        let wait = Wait {
            slot: self.key.0,
            since: self.now,
            had,
        };
        self.journal.waits(of, wait);
        self.journal.write(Entry {
            op: Some(op),
            mode: standing.2.requested,
            ..self.entry(EventKind::Waits, &standing)
        });
    }

    fn blocking(&mut self, of: (SessionId, LockId), mode: Mode) {
        if let Some(standing) = self.table.lock(of.0, of.1) {
            self.journal.write(Entry {
                mode: Some(mode),
                by: self.before.session(),
                ..self.entry(EventKind::Callback, &standing)
            });
        }
    }

    /// About a lock, with the mode that it has.
    fn entry(&self, kind: EventKind, standing: &Standing) -> Entry {
        let (lockspace, name, view) = standing;
        Entry {
            session: view.session,
            lock: view.lock,
            owner: view.owner,
            had: view.granted,
            slot: self.key.0,
            epoch: self.key.1,
            ..Entry::new(self.now, kind, (*lockspace, name.clone()))
        }
    }
}

/// How long a lock that goes had its mode. While it converts it is known where the wait is.
fn held_us(view: &LockView, wait: Option<Wait>, now: Tick) -> Option<u64> {
    match (view.queue, wait) {
        (Queue::Granted, _) => Some(now.since(view.since)),
        (
            _,
            Some(Wait {
                had: Some((_, since)),
                ..
            }),
        ) => Some(now.since(since)),
        _ => None,
    }
}

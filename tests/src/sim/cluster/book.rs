//! What a client has and wants: its locks, its tickets, and the facts that the checkers are told.

use std::collections::{BTreeMap, BTreeSet};

use dlm_core::link::OperationKind;
use dlm_core::{LockId, LockspaceId, Mode, RequestFlags, ResourceName, Status};
use dlm_core::{StatusFlags, Tick, Token};
use glock_core::session::{Answer, Completion, Failure, Ticket as SessionTicket};

use super::coverage::{Seen, Tally};
use crate::checkers::{ClientId, End, Fact, Lock, Resource, Stored, Ticket, Want};

/// What a ticket is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Main,
    Cancel,
    Unlock,
}

/// One lock.
#[derive(Clone, Debug)]
pub(super) struct Mine {
    pub(super) mode: Option<Mode>,
    main: Option<Ticket>,
    cancel: Option<Ticket>,
    unlock: Option<Ticket>,
    /// When the request or conversion was asked for, and how long it may wait.
    pub(super) since: Tick,
    pub(super) patience_us: u64,
    /// Somebody wants it.
    pub(super) blocked: bool,
    /// In which lockspace it is.
    space: Option<LockspaceId>,
    /// It was requested with a value block, without which it never stores one.
    pub(super) values: bool,
}

impl Mine {
    /// Held, and nothing is under way.
    pub(super) const fn is_idle(&self) -> bool {
        self.mode.is_some() && self.main.is_none() && self.cancel.is_none() && self.unlock.is_none()
    }

    /// What it holds, and whether it may store values.
    pub(super) fn held(&self) -> Option<(Mode, bool)> {
        Some((self.mode?, self.values))
    }

    /// Something waits, and nobody has given it up.
    pub(super) const fn waits(&self) -> bool {
        self.main.is_some() && self.cancel.is_none() && self.unlock.is_none()
    }

    const fn is_gone(&self) -> bool {
        self.mode.is_none() && self.main.is_none() && self.cancel.is_none() && self.unlock.is_none()
    }
}

/// What a session's client knows.
#[derive(Clone, Debug)]
pub(super) struct Book {
    client: ClientId,
    tally: Tally,
    pub(super) joined: bool,
    /// The lockspaces that are open, in the order in which they were asked for.
    pub(super) spaces: Vec<LockspaceId>,
    pub(super) locks: BTreeMap<LockId, Mine>,
    tickets: BTreeMap<Ticket, (LockId, What)>,
    calls: BTreeSet<Ticket>,
    /// The last lockspace is being left.
    leaves: Option<Ticket>,
    next_ticket: u64,
    next_lock: u64,
}

impl Book {
    pub(super) const fn new(client: ClientId, tally: Tally) -> Self {
        Self {
            client,
            tally,
            joined: false,
            spaces: Vec::new(),
            locks: BTreeMap::new(),
            tickets: BTreeMap::new(),
            calls: BTreeSet::new(),
            leaves: None,
            next_ticket: 1,
            next_lock: 1,
        }
    }

    /// A call of the cluster, in words.
    pub(super) fn called(&mut self, what: String, facts: &mut Vec<Fact>) -> SessionTicket {
        let ticket = self.ticket();
        self.calls.insert(ticket);
        facts.push(Fact::Called {
            client: self.client,
            ticket,
            what,
        });
        SessionTicket(ticket.0)
    }

    /// A task waits for a glock.
    pub(super) fn waits(&mut self, what: String, facts: &mut Vec<Fact>) -> Ticket {
        let (client, ticket) = (self.client, self.ticket());
        facts.push(Fact::Called {
            client,
            ticket,
            what,
        });
        ticket
    }

    /// It waits no more.
    pub(super) fn waited(&self, ticket: Ticket, how: String, facts: &mut Vec<Fact>) {
        let client = self.client;
        facts.push(Fact::Answered {
            client,
            ticket,
            how,
        });
    }

    /// It holds the glock.
    pub(super) fn holds(
        &self,
        holder: Ticket,
        (resource, mode, token): (Resource, Mode, Token),
        facts: &mut Vec<Fact>,
    ) {
        self.waited(holder, "holds".to_owned(), facts);
        facts.push(Fact::Holds {
            client: self.client,
            holder,
            resource,
            mode,
            token,
        });
    }

    /// It lets go.
    pub(super) fn lets_go(&self, holder: Ticket, facts: &mut Vec<Fact>) {
        let client = self.client;
        facts.push(Fact::LetGo { client, holder });
    }

    /// The lockspace that was opened last, where no lock is in it.
    pub(super) fn unused(&self) -> Option<LockspaceId> {
        let last = self.spaces.last().copied()?;
        let mut locks = self.locks.values();
        (!locks.any(|mine| mine.space == Some(last))).then_some(last)
    }

    /// It is left.
    pub(super) fn leaves(&mut self, facts: &mut Vec<Fact>) -> SessionTicket {
        let ticket = self.called("leaves a lockspace".to_owned(), facts);
        self.leaves = Some(Ticket(ticket.0));
        ticket
    }

    /// The session has begun.
    pub(super) fn has_joined(&mut self, facts: &mut Vec<Fact>) {
        self.joined = true;
        let ticket = Ticket(1);
        self.calls.remove(&ticket);
        facts.push(Fact::Answered {
            client: self.client,
            ticket,
            how: "joined".to_owned(),
        });
    }

    /// Whether anything is not answered.
    pub(super) fn waits_for_calls(&self) -> bool {
        !self.calls.is_empty()
    }

    const fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket - 1)
    }

    const fn key(&self, lock: LockId) -> Lock {
        Lock {
            client: self.client,
            lock,
        }
    }

    /// The number for a new lock.
    pub(super) const fn new_lock(&mut self) -> LockId {
        self.next_lock += 1;
        LockId(self.next_lock - 1)
    }

    /// Takes down what is asked of a lock.
    pub(super) fn asks(
        &mut self,
        now: Tick,
        kind: &OperationKind,
        patience_us: u64,
        facts: &mut Vec<Fact>,
    ) -> SessionTicket {
        let ticket = self.ticket();
        let id = kind.lock();
        let (want, flags, value, what) = as_wanted(kind);
        let mine = self.locks.entry(id).or_insert_with(|| Mine {
            mode: None,
            main: None,
            cancel: None,
            unlock: None,
            since: now,
            patience_us,
            blocked: false,
            space: match kind {
                OperationKind::Request { lockspace, .. } => Some(*lockspace),
                _ => None,
            },
            values: flags.contains(RequestFlags::VALBLK),
        });
        match what {
            What::Main => {
                mine.main = Some(ticket);
                (mine.since, mine.patience_us) = (now, patience_us);
            }
            What::Cancel => mine.cancel = Some(ticket),
            What::Unlock => mine.unlock = Some(ticket),
        }
        self.tickets.insert(ticket, (id, what));
        facts.push(Fact::Asked {
            lock: self.key(id),
            ticket,
            want,
            flags,
            value,
        });
        SessionTicket(ticket.0)
    }

    /// Takes an answer down.
    pub(super) fn answered(
        &mut self,
        ticket: SessionTicket,
        answer: Answer,
        facts: &mut Vec<Fact>,
    ) {
        let ticket = Ticket(ticket.0);
        match answer {
            Answer::Lock(completion) => self.completed(ticket, completion, facts),
            // The end of the session says it.
            Answer::Failed(Failure::Over) => {
                self.tickets.remove(&ticket);
                self.calls.remove(&ticket);
            }
            answer => {
                assert!(self.calls.remove(&ticket), "{ticket:?} {answer:?}");
                if let Answer::Opened { lockspace, .. } = answer {
                    self.spaces.push(lockspace);
                    if lockspace.generation() > 1 {
                        self.tally.saw(Seen::LockspaceAgain);
                    }
                }
                if self.leaves == Some(ticket) {
                    let left = matches!(answer, Answer::Purged { .. });
                    assert!(left, "it was open, and nobody else leaves it: {answer:?}");
                    self.leaves = None;
                    self.spaces.pop();
                    self.tally.saw(Seen::LockspaceLeft);
                }
                facts.push(Fact::Answered {
                    client: self.client,
                    ticket,
                    how: format!("{answer:?}"),
                });
            }
        }
    }

    fn completed(&mut self, ticket: Ticket, completion: Completion, facts: &mut Vec<Fact>) {
        let (id, what) = self.tickets.remove(&ticket).expect("it was asked for");
        self.count(&completion);
        let key = self.key(id);
        let mine = self.locks.get_mut(&id).expect("it is not gone");
        mine.mode = completion.mode;
        match what {
            What::Main => mine.main = None,
            What::Cancel => mine.cancel = None,
            What::Unlock => mine.unlock = None,
        }
        if mine.is_gone() {
            self.locks.remove(&id);
        }
        let not_valid = completion.flags.contains(StatusFlags::VALNOTVALID);
        let value = completion.value.map(|value| {
            if not_valid {
                Stored::NotValid
            } else {
                Stored::Valid(value.as_bytes().to_vec())
            }
        });
        let end = End {
            status: completion.status,
            mode: completion.mode,
            token: completion.token,
            value,
        };
        facts.push(Fact::Ended {
            lock: key,
            ticket,
            end,
        });
    }

    fn count(&self, completion: &Completion) {
        match completion.status {
            Status::Cancelled => self.tally.saw(Seen::Cancelled),
            Status::Deadlock => self.tally.saw(Seen::Deadlock),
            Status::TryFailed => self.tally.saw(Seen::TryFailed),
            _ => {}
        }
        if let Some(value) = &completion.value {
            if completion.flags.contains(StatusFlags::VALNOTVALID) {
                self.tally.saw(Seen::NotValid);
            } else if value.as_bytes().iter().any(|byte| *byte != 0) {
                self.tally.saw(Seen::ValueRead);
            }
        }
        let other = StatusFlags::DEMOTED | StatusFlags::ALTMODE;
        if completion.flags.intersects(other) {
            self.tally.saw(Seen::OtherMode);
        }
    }

    /// A lock holds less.
    pub(super) fn weakened(&mut self, id: LockId, mode: Mode, facts: &mut Vec<Fact>) {
        self.tally.saw(Seen::Weakened);
        if let Some(mine) = self.locks.get_mut(&id) {
            mine.mode = Some(mode);
        }
        let lock = self.key(id);
        facts.push(Fact::Weakened { lock, mode });
    }

    /// Somebody wants a lock.
    pub(super) fn blocked(&mut self, id: LockId, mode: Mode, facts: &mut Vec<Fact>) {
        if let Some(mine) = self.locks.get_mut(&id) {
            mine.blocked = true;
            let lock = self.key(id);
            facts.push(Fact::Blocked { lock, mode });
        }
    }

    /// The request or conversion that is under way on a lock.
    pub(super) fn main(&self, lock: LockId) -> Option<Ticket> {
        self.locks.get(&lock)?.main
    }

    /// A place in a queue was told.
    pub(super) fn queued(&self, id: LockId, of: Ticket, serial: u64, facts: &mut Vec<Fact>) {
        if self.main(id) == Some(of) {
            facts.push(Fact::Queued {
                lock: self.key(id),
                ticket: of,
                serial,
            });
        }
    }
}

fn as_wanted(kind: &OperationKind) -> (Want, RequestFlags, Option<Vec<u8>>, What) {
    let none = RequestFlags::empty();
    match kind {
        OperationKind::Request {
            lockspace,
            name,
            mode,
            flags,
            ..
        } => {
            let (mode, resource) = (*mode, resource(*lockspace, name));
            (Want::Request { resource, mode }, *flags, None, What::Main)
        }
        OperationKind::Convert {
            mode, flags, value, ..
        } => {
            let value = value.as_ref().map(|value| value.as_bytes().to_vec());
            let mode = *mode;
            (Want::Convert { mode }, *flags, value, What::Main)
        }
        OperationKind::Unlock { flags, value, .. } => {
            let value = value.as_ref().map(|value| value.as_bytes().to_vec());
            (Want::Unlock, *flags, value, What::Unlock)
        }
        OperationKind::Cancel { .. } => (Want::Cancel, none, None, What::Cancel),
    }
}

fn resource(lockspace: LockspaceId, name: &ResourceName) -> Resource {
    let name = name.clone();
    Resource { lockspace, name }
}

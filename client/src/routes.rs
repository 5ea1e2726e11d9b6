//! Where answers and callbacks go: the operations under way, and the locks that exist at the server.

use std::collections::HashMap;

use dlm_core::{LockId, LockspaceId, OpId, Owner, Status};
use glockwork_proto::frame::{Event, OperationKind};

use crate::asts::Ast;
use crate::counters::Counting;
use crate::error::LockError;
use crate::raw::Done;
use crate::session::{Answer, Command, Opened, Route, Shared};
use crate::value::Value;

/// The driver's memory of its session.
#[derive(Default)]
pub(crate) struct Routes {
    /// Operations that are not answered yet.
    awaited: HashMap<OpId, Awaited>,
    /// Locks that are held, and whose they are.
    locks: HashMap<LockId, Held>,
}

struct Awaited {
    answer: Answer,
    about: About,
}

/// What an operation changes in what is remembered of locks.
#[derive(Clone, Copy)]
enum About {
    Nothing,
    /// It makes a lock, or adopts one.
    NewLock(LockspaceId, Owner),
    /// The lock is that task's from now on.
    Owner(Owner),
    EndOf(Whose),
}

/// What takes locks away without an answer for each.
#[derive(Clone, Copy)]
enum Whose {
    Owner(Owner),
    Lockspace(LockspaceId),
}

struct Held {
    route: Route,
    lockspace: LockspaceId,
    owner: Owner,
}

impl Held {
    fn is(&self, whose: Whose) -> bool {
        match whose {
            Whose::Owner(owner) => self.owner == owner,
            Whose::Lockspace(lockspace) => self.lockspace == lockspace,
        }
    }
}

impl Routes {
    /// An operation goes out.
    pub(crate) fn asked(&mut self, op: OpId, kind: &OperationKind, answer: Answer) {
        let about = match *kind {
            OperationKind::Request {
                lockspace, owner, ..
            } => About::NewLock(lockspace, owner),
            OperationKind::Convert { owner, .. } => About::Owner(owner),
            OperationKind::OwnerEnded { owner } => About::EndOf(Whose::Owner(owner)),
            OperationKind::LeaveLockspace { lockspace } => {
                About::EndOf(Whose::Lockspace(lockspace))
            }
            OperationKind::OpenLockspace { .. }
            | OperationKind::Unlock { .. }
            | OperationKind::Cancel { .. }
            | OperationKind::PurgeOrphans { .. } => About::Nothing,
        };
        self.awaited.insert(op, Awaited { answer, about });
    }

    /// An event came in. Gives what is to be sent next, if anything is, for a lock that nobody wants any
    /// more.
    ///
    /// # Errors
    /// Why the session cannot go on.
    pub(crate) fn event(
        &mut self,
        event: Event,
        shared: &Shared,
    ) -> Result<Option<Command>, String> {
        match event {
            Event::LockspaceOpened {
                op,
                lockspace,
                options,
            } => {
                let opened = Opened {
                    id: lockspace,
                    options,
                };
                self.opened(op, Ok(opened), shared);
            }
            Event::LockspaceRefused { op, why } => {
                self.opened(op, Err(LockError::LockspaceRefused(why)), shared);
            }
            Event::Done {
                op,
                lock,
                status,
                mode,
                token,
                flags,
                value,
            } => {
                let value = value.map(|block| Value::new(block, flags));
                let done = Done {
                    lock,
                    status,
                    mode,
                    token,
                    flags,
                    value,
                };
                return self.done(op, done, shared);
            }
            Event::Blocking { lock, mode } => {
                Counting::add(&shared.counting.callbacks_received, 1);
                match self.locks.get(&lock).map(|held| &held.route) {
                    Some(Route::Raw(raw)) => raw.blocking(mode),
                    Some(Route::Glock(glocks, name)) => {
                        if let Some(glocks) = glocks.upgrade() {
                            glocks.blocking(*name, mode);
                        }
                    }
                    Some(Route::Asts(queue, _)) => {
                        let event = Ast::Blocking { lock, mode };
                        queue.push(event).map_err(|_| NOT_READ)?;
                    }
                    None => tracing::debug!(?lock, "a callback for a lock that is gone"),
                }
            }
            Event::Orphaned { lock, owner } => {
                if let Some(held) = self.locks.remove(&lock) {
                    if let Route::Asts(queue, _) = &held.route {
                        let event = Ast::Orphaned { lock, owner };
                        queue.push(event).map_err(|_| NOT_READ)?;
                    }
                    gone(held)?;
                }
            }
            Event::Purged { op, locks } => self.purged(op, locks, shared)?,
        }
        Ok(None)
    }

    fn answered(&mut self, op: OpId, shared: &Shared) -> Option<Awaited> {
        let awaited = self.awaited.remove(&op);
        match awaited {
            Some(_) => shared.answered(1),
            None => tracing::debug!(?op, "an answer to nothing that was asked"),
        }
        awaited
    }

    fn opened(&mut self, op: OpId, opened: Result<Opened, LockError>, shared: &Shared) {
        let awaited = self.answered(op, shared);
        if let Some(Answer::Opened(opener)) = awaited.map(|awaited| awaited.answer) {
            // Whoever opened it may have stopped waiting.
            let _ = opener.send(opened);
        }
    }

    fn done(&mut self, op: OpId, done: Done, shared: &Shared) -> Result<Option<Command>, String> {
        let Some(Awaited { answer, about }) = self.answered(op, shared) else {
            return Ok(None);
        };
        let route = match answer {
            Answer::Lock(route) => route,
            // What is not about a lock is answered like this only where it is refused. Whoever asked may
            // have stopped waiting.
            Answer::Opened(opener) => {
                let _ = opener.send(Err(refused(done.status)));
                return Ok(None);
            }
            Answer::Purged(waits) => {
                let _ = waits.send(Err(refused(done.status)));
                return Ok(None);
            }
            Answer::Nobody => return Ok(None),
        };
        self.note(&done, about, &route);
        match route {
            Route::Raw(raw) => return Ok(raw.done(done)),
            Route::Glock(glocks, name) => {
                if let Some(glocks) = glocks.upgrade() {
                    glocks.done(name, (done.status, done.mode, done.token));
                }
            }
            Route::Asts(queue, ticket) => {
                let Done {
                    lock,
                    status,
                    mode,
                    token,
                    flags,
                    value,
                } = done;
                let event = Ast::Completion {
                    ticket,
                    lock,
                    status,
                    mode,
                    token,
                    flags,
                    value,
                };
                queue.push(event).map_err(|_| NOT_READ)?;
            }
        }
        Ok(None)
    }

    /// Keeps what is remembered of the lock true. What is refused changed nothing.
    fn note(&mut self, done: &Done, about: About, route: &Route) {
        match (done.status, done.mode) {
            (Status::Refused(_), _) => {}
            (_, None) => {
                self.locks.remove(&done.lock);
            }
            (_, Some(_)) => match about {
                About::NewLock(lockspace, owner) => {
                    let route = route.clone();
                    let held = Held {
                        route,
                        lockspace,
                        owner,
                    };
                    self.locks.insert(done.lock, held);
                }
                About::Owner(owner) => {
                    if let Some(held) = self.locks.get_mut(&done.lock) {
                        held.owner = owner;
                    }
                }
                About::Nothing | About::EndOf(_) => {}
            },
        }
    }

    fn purged(&mut self, op: OpId, locks: u32, shared: &Shared) -> Result<(), String> {
        let Some(Awaited { answer, about }) = self.answered(op, shared) else {
            return Ok(());
        };
        if let About::EndOf(whose) = about {
            let ended: Vec<LockId> = self
                .locks
                .iter()
                .filter_map(|(&lock, held)| held.is(whose).then_some(lock))
                .collect();
            for lock in ended {
                self.locks.remove(&lock).map_or(Ok(()), gone)?;
            }
        }
        match answer {
            Answer::Purged(waits) => {
                // Whoever asked may have stopped waiting.
                let _ = waits.send(Ok(locks));
            }
            Answer::Lock(Route::Asts(queue, ticket)) => {
                let event = Ast::Purged { ticket, locks };
                queue.push(event).map_err(|_| NOT_READ)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// The session is over: everyone who waits for an answer is told. Those who wait on a channel see it
    /// close.
    pub(crate) fn lost(self) {
        for held in self.locks.into_values() {
            if let Route::Raw(raw) = held.route {
                raw.lost();
            }
        }
        for awaited in self.awaited.into_values() {
            awaited.answer.lost();
        }
    }
}

const NOT_READ: &str = "its events were not read by this client";

/// A lock went without having been unlocked.
fn gone(held: Held) -> Result<(), String> {
    match held.route {
        Route::Raw(raw) => raw.lost(),
        Route::Glock(_, name) => {
            // The node may have it cached, and somebody else may be granted it now.
            return Err(format!(
                "the lock of glock {name} was taken away with its task"
            ));
        }
        Route::Asts(..) => {}
    }
    Ok(())
}

fn refused(status: Status) -> LockError {
    match status {
        Status::Refused(refusal) => LockError::Refused(refusal),
        _ => LockError::Gone,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dlm_core::{Mode, RequestFlags, ResourceName, StatusFlags, Token};

    use super::*;
    use crate::asts::{AstQueue, Ticket};
    use crate::limits::ASTS_QUEUED_MAX;
    use crate::session::Session;

    const LOCK: LockId = LockId(1);

    fn done(op: u64, mode: Option<Mode>) -> Event {
        Event::Done {
            op: OpId(op),
            lock: LOCK,
            status: Status::Granted,
            mode,
            token: Token(1),
            flags: StatusFlags::empty(),
            value: None,
        }
    }

    fn granted(routes: &mut Routes, shared: &Shared, queue: &Arc<AstQueue>) {
        let kind = OperationKind::Request {
            lockspace: LockspaceId(1),
            lock: LOCK,
            name: ResourceName::new(b"x").unwrap(),
            mode: Mode::Ex,
            flags: RequestFlags::empty(),
            owner: Owner(5),
        };
        let answer = Answer::Lock(Route::Asts(Arc::clone(queue), Ticket(1)));
        shared.asks(1);
        routes.asked(OpId(1), &kind, answer);
        assert!(routes.event(done(1, Some(Mode::Ex)), shared).is_ok());
    }

    #[test]
    fn events_that_nobody_reads_end_the_session() {
        let (session, _commands) = Session::new("nowhere".into());
        let (mut routes, queue) = (Routes::default(), Arc::default());
        granted(&mut routes, &session.shared, &queue);
        let mut blocking = || {
            let event = Event::Blocking {
                lock: LOCK,
                mode: Mode::Pr,
            };
            routes.event(event, &session.shared).map(drop)
        };
        for _ in 1..ASTS_QUEUED_MAX {
            assert_eq!(blocking(), Ok(()));
        }
        assert_eq!(blocking(), Err(NOT_READ.to_owned()));
    }

    #[test]
    fn nothing_is_remembered_of_what_is_gone() {
        let (session, _commands) = Session::new("nowhere".into());
        let shared = &session.shared;
        let (mut routes, queue) = (Routes::default(), Arc::default());
        let ends = [
            OperationKind::OwnerEnded { owner: Owner(5) },
            OperationKind::LeaveLockspace {
                lockspace: LockspaceId(1),
            },
        ];
        for kind in ends {
            granted(&mut routes, shared, &queue);
            assert_eq!(routes.locks.len(), 1);
            routes.asked(OpId(2), &kind, Answer::Nobody);
            shared.asks(1);
            let (op, locks) = (OpId(2), 1);
            assert!(routes.event(Event::Purged { op, locks }, shared).is_ok());
            assert!(routes.locks.is_empty() && routes.awaited.is_empty());
        }
        // An answer that is none changes nothing.
        assert!(routes.event(done(9, Some(Mode::Ex)), shared).is_ok());
        assert!(routes.locks.is_empty());
    }
}

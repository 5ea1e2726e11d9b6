//! Where answers and callbacks go: the operations under way, and the locks that exist at the servers.

use std::collections::{HashMap, VecDeque};

use dlm_core::link::{EverywhereKind, OperationKind};
use dlm_core::{LockId, LockspaceId, Mode, Owner, Status};
use glock_core::session::{self as machine, CALLS_MAX, Completion, EVERYWHERE_MAX, Failure};

use crate::asts::Ast;
use crate::counters::Counting;
use crate::error::LockError;
use crate::raw::Done;
use crate::session::{Answer, Command, Opened, Route, Shared, Wish};
use crate::value::Value;

/// The driver's memory of its session.
#[derive(Default)]
pub(crate) struct Routes {
    last: u64,
    /// Operations that are not answered yet.
    awaited: HashMap<u64, Awaited>,
    /// Locks that are held, and whose they are.
    locks: HashMap<LockId, Held>,
    /// What was asked of locks that are being cancelled. A lock has one operation at a time and its cancel,
    /// and what is cancelled is answered before the cancel is: whoever hears that asks for the next thing.
    cancelling: HashMap<LockId, VecDeque<Command>>,
    counts: Counts,
    /// What follows from what was heard, for locks that nobody wants any more or that wait for a cancel.
    next: VecDeque<Command>,
}

/// How many are under way of some kinds of operations.
#[derive(Clone, Copy, Default)]
struct Counts {
    unlocks: usize,
    many: usize,
    opens: usize,
}

struct Awaited {
    answer: Answer,
    about: About,
}

/// What an operation changes in what is remembered of locks.
#[derive(Clone, Copy)]
enum About {
    /// It opens a lockspace.
    Lockspace,
    /// It makes a lock, or adopts one.
    NewLock(LockspaceId, Owner),
    /// The lock is that task's from now on.
    Owner(Owner),
    Unlock,
    Cancel(LockId),
    Orphans,
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
    /// The operation by which it was asked for. What takes many locks away takes none that was asked for
    /// after it.
    first: u64,
}

impl Held {
    fn is(&self, whose: Whose) -> bool {
        match whose {
            Whose::Owner(owner) => self.owner == owner,
            Whose::Lockspace(lockspace) => self.lockspace == lockspace,
        }
    }
}

impl About {
    const fn of(wish: &Wish) -> Self {
        match wish {
            Wish::Open { .. } => Self::Lockspace,
            Wish::Lock(kind) => match *kind {
                OperationKind::Request {
                    lockspace, owner, ..
                } => Self::NewLock(lockspace, owner),
                OperationKind::Convert { owner, .. } => Self::Owner(owner),
                OperationKind::Unlock { lock, flags, .. } => {
                    if flags.contains(dlm_core::RequestFlags::CANCEL) {
                        Self::Cancel(lock)
                    } else {
                        Self::Unlock
                    }
                }
                OperationKind::Cancel { lock } => Self::Cancel(lock),
            },
            Wish::Many(kind) => match *kind {
                EverywhereKind::OwnerEnded { owner } => Self::EndOf(Whose::Owner(owner)),
                EverywhereKind::LeaveLockspace { lockspace } => {
                    Self::EndOf(Whose::Lockspace(lockspace))
                }
                EverywhereKind::PurgeOrphans { .. } => Self::Orphans,
            },
        }
    }
}

impl Routes {
    /// Whether the session has room for any operation, as far as is counted here.
    pub(crate) const fn has_room(&self) -> bool {
        self.counts.many < EVERYWHERE_MAX && self.counts.opens < CALLS_MAX
    }

    /// Whether locks are being unlocked.
    pub(crate) const fn unlocks(&self) -> bool {
        self.counts.unlocks > 0
    }

    /// What is to be asked next, before anything else.
    pub(crate) fn next(&mut self) -> Option<Command> {
        self.next.pop_front()
    }

    /// An operation goes to the session, under a number; or it waits for a cancel.
    pub(crate) fn asked(&mut self, wish: Wish, answer: Answer) -> Option<(machine::Ticket, Wish)> {
        if let Wish::Lock(kind) = &wish
            && let Some(waiting) = self.cancelling.get_mut(&kind.lock())
        {
            waiting.push_back(Command::Ask { wish, answer });
            return None;
        }
        let about = About::of(&wish);
        if let About::Cancel(lock) = about {
            self.cancelling.insert(lock, VecDeque::new());
        }
        self.count(about, 1);
        self.last += 1;
        self.awaited.insert(self.last, Awaited { answer, about });
        Some((machine::Ticket(self.last), wish))
    }

    const fn count(&mut self, about: About, by: isize) {
        let counts = &mut self.counts;
        let count = match about {
            About::Unlock => &mut counts.unlocks,
            About::Orphans | About::EndOf(Whose::Owner(_)) => &mut counts.many,
            // To leave a lockspace takes both, one after the other.
            About::EndOf(Whose::Lockspace(_)) | About::Lockspace => &mut counts.opens,
            About::NewLock(..) | About::Owner(_) | About::Cancel(_) => return,
        };
        *count = count.saturating_add_signed(by);
    }

    /// An answer.
    ///
    /// # Errors
    /// Why the session cannot go on.
    pub(crate) fn answered(
        &mut self,
        ticket: machine::Ticket,
        answer: machine::Answer,
        shared: &Shared,
    ) -> Result<(), String> {
        let Some(awaited) = self.awaited.remove(&ticket.0) else {
            // Everyone was told that the session is over.
            return Ok(());
        };
        shared.answered(1);
        self.count(awaited.about, -1);
        if let About::Cancel(lock) = awaited.about {
            self.next
                .extend(self.cancelling.remove(&lock).unwrap_or_default());
        }
        match answer {
            machine::Answer::Lock(completion) => self.done(ticket.0, awaited, completion, shared),
            machine::Answer::Purged { locks } => self.purged(ticket.0, awaited, locks),
            machine::Answer::Opened {
                lockspace,
                options,
                replays,
            } => {
                if let Answer::Opened(opener) = awaited.answer {
                    let id = lockspace;
                    // Whoever opened it may have stopped waiting.
                    let _ = opener.send(Ok(Opened {
                        id,
                        options,
                        replays,
                    }));
                }
                Ok(())
            }
            machine::Answer::Failed(failure) => failed(awaited.answer, failure),
        }
    }

    fn done(
        &mut self,
        ticket: u64,
        awaited: Awaited,
        completion: Completion,
        shared: &Shared,
    ) -> Result<(), String> {
        // Only operations on locks are answered so.
        let Answer::Lock(route) = awaited.answer else {
            return Ok(());
        };
        let value = completion.value;
        let done = Done {
            lock: completion.lock,
            status: completion.status,
            mode: completion.mode,
            token: completion.token,
            flags: completion.flags,
            value: value.map(|block| Value::new(block, completion.flags)),
        };
        self.note(ticket, &done, awaited.about, &route);
        match route {
            Route::Raw(raw) => {
                if let Some(next) = raw.done(done) {
                    shared.asks(1);
                    self.next.push_back(next);
                }
            }
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
        Ok(())
    }

    /// Keeps what is remembered of the lock true. What is refused changed nothing.
    fn note(&mut self, first: u64, done: &Done, about: About, route: &Route) {
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
                        first,
                    };
                    self.locks.insert(done.lock, held);
                }
                About::Owner(owner) => {
                    if let Some(held) = self.locks.get_mut(&done.lock) {
                        held.owner = owner;
                    }
                }
                _ => {}
            },
        }
    }

    fn purged(&mut self, ticket: u64, awaited: Awaited, locks: u64) -> Result<(), String> {
        let locks = u32::try_from(locks).unwrap_or(u32::MAX);
        if let About::EndOf(whose) = awaited.about {
            let ended: Vec<LockId> = self
                .locks
                .iter()
                .filter(|(_, held)| held.is(whose) && held.first < ticket)
                .map(|(&lock, _)| lock)
                .collect();
            for lock in ended {
                self.locks.remove(&lock).map_or(Ok(()), gone)?;
            }
        }
        match awaited.answer {
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

    /// A lock is in somebody's way.
    ///
    /// # Errors
    /// As [`Self::answered`].
    pub(crate) fn blocking(&self, lock: LockId, mode: Mode, shared: &Shared) -> Result<(), String> {
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
        Ok(())
    }

    /// A lock whose conversion is under way holds less than before.
    ///
    /// # Errors
    /// As [`Self::answered`].
    pub(crate) fn weakened(&self, lock: LockId, mode: Mode) -> Result<(), String> {
        match self.locks.get(&lock).map(|held| &held.route) {
            Some(Route::Raw(raw)) => raw.weakened(mode),
            // A glock converts when nobody holds it, and has dropped what it may not cache on the way; with
            // the answer it learns what it has.
            Some(Route::Glock(..)) | None => {}
            Some(Route::Asts(queue, _)) => {
                let event = Ast::Weakened { lock, mode };
                queue.push(event).map_err(|_| NOT_READ)?;
            }
        }
        Ok(())
    }

    /// A lock outlived its owner.
    ///
    /// # Errors
    /// As [`Self::answered`].
    pub(crate) fn orphaned(&mut self, lock: LockId, owner: Owner) -> Result<(), String> {
        let Some(held) = self.locks.remove(&lock) else {
            return Ok(());
        };
        if let Route::Asts(queue, _) = &held.route {
            let event = Ast::Orphaned { lock, owner };
            queue.push(event).map_err(|_| NOT_READ)?;
        }
        gone(held)
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
        let waiting = self.cancelling.into_values().flatten();
        for command in waiting.chain(self.next) {
            command.lost();
        }
    }
}

const NOT_READ: &str = "its events were not read by this client";

/// Nothing came of an operation.
fn failed(answer: Answer, failure: Failure) -> Result<(), String> {
    let error = match failure {
        Failure::Over => {
            answer.lost();
            return Ok(());
        }
        Failure::Refused(why) => LockError::LockspaceRefused(why),
        // The driver asks for no more than there is room for, and for nothing before the session began.
        Failure::Operations | Failure::NotJoined => return Err(failure.to_string()),
    };
    match answer {
        // Whoever asked may have stopped waiting.
        Answer::Opened(opener) => {
            let _ = opener.send(Err(error));
        }
        Answer::Purged(waits) => {
            let _ = waits.send(Err(error));
        }
        Answer::Lock(_) | Answer::Nobody => {}
    }
    Ok(())
}

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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dlm_core::{RequestFlags, ResourceName, StatusFlags, Token};

    use super::*;
    use crate::asts::{AstQueue, Ticket};
    use crate::limits::ASTS_QUEUED_MAX;
    use crate::session::Session;

    const LOCK: LockId = LockId(1);

    fn completed(status: Status, mode: Option<Mode>) -> machine::Answer {
        machine::Answer::Lock(Completion {
            lock: LOCK,
            status,
            mode,
            token: Token(1),
            flags: StatusFlags::empty(),
            value: None,
        })
    }

    fn asks(routes: &mut Routes, shared: &Shared, wish: Wish) -> Option<machine::Ticket> {
        shared.asks(1);
        let asked = routes.asked(wish, Answer::Nobody);
        asked.map(|(ticket, _)| ticket)
    }

    fn granted(routes: &mut Routes, shared: &Shared, queue: &Arc<AstQueue>) {
        let wish = Wish::Lock(OperationKind::Request {
            lockspace: LockspaceId(1),
            lock: LOCK,
            name: ResourceName::new(b"x").unwrap(),
            mode: Mode::Ex,
            flags: RequestFlags::empty(),
            owner: Owner(5),
        });
        let answer = Answer::Lock(Route::Asts(Arc::clone(queue), Ticket(1)));
        shared.asks(1);
        let (ticket, _) = routes.asked(wish, answer).unwrap();
        let answer = completed(Status::Granted, Some(Mode::Ex));
        assert_eq!(routes.answered(ticket, answer, shared), Ok(()));
    }

    fn convert() -> Wish {
        Wish::Lock(OperationKind::Convert {
            lock: LOCK,
            mode: Mode::Pr,
            flags: RequestFlags::empty(),
            owner: Owner(5),
            value: None,
        })
    }

    #[test]
    fn events_that_nobody_reads_end_the_session() {
        let (session, _commands) = Session::new("nowhere".into());
        let (mut routes, queue) = (Routes::default(), Arc::default());
        granted(&mut routes, &session.shared, &queue);
        let blocking = || routes.blocking(LOCK, Mode::Pr, &session.shared);
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
            EverywhereKind::OwnerEnded { owner: Owner(5) },
            EverywhereKind::LeaveLockspace {
                lockspace: LockspaceId(1),
            },
        ];
        for kind in ends {
            granted(&mut routes, shared, &queue);
            assert_eq!(routes.locks.len(), 1);
            let ticket = asks(&mut routes, shared, Wish::Many(kind)).unwrap();
            let purged = machine::Answer::Purged { locks: 1 };
            assert_eq!(routes.answered(ticket, purged, shared), Ok(()));
            assert!(routes.locks.is_empty() && routes.awaited.is_empty());
        }
        // An answer that is none changes nothing.
        let answer = completed(Status::Granted, Some(Mode::Ex));
        let ticket = machine::Ticket(99);
        assert_eq!(routes.answered(ticket, answer, shared), Ok(()));
        assert!(routes.locks.is_empty());
    }

    #[test]
    fn what_was_asked_for_after_a_task_ended_does_not_go_with_it() {
        let (session, _commands) = Session::new("nowhere".into());
        let shared = &session.shared;
        let (mut routes, queue) = (Routes::default(), Arc::default());
        let kind = EverywhereKind::OwnerEnded { owner: Owner(5) };
        let ended = asks(&mut routes, shared, Wish::Many(kind)).unwrap();
        granted(&mut routes, shared, &queue);
        let purged = machine::Answer::Purged { locks: 0 };
        assert_eq!(routes.answered(ended, purged, shared), Ok(()));
        assert_eq!(routes.locks.len(), 1);
    }

    #[test]
    fn what_is_asked_of_a_lock_waits_for_its_cancel() {
        let (session, _commands) = Session::new("nowhere".into());
        let shared = &session.shared;
        let (mut routes, queue) = (Routes::default(), Arc::default());
        granted(&mut routes, shared, &queue);
        let converts = asks(&mut routes, shared, convert()).unwrap();
        let cancel = Wish::Lock(OperationKind::Cancel { lock: LOCK });
        let cancels = asks(&mut routes, shared, cancel).unwrap();
        assert_eq!(asks(&mut routes, shared, convert()), None);
        let cancelled = completed(Status::Cancelled, Some(Mode::Ex));
        assert_eq!(routes.answered(converts, cancelled, shared), Ok(()));
        assert!(routes.next().is_none());
        let done = completed(Status::CancelDone, Some(Mode::Ex));
        assert_eq!(routes.answered(cancels, done, shared), Ok(()));
        let Some(Command::Ask { wish, answer }) = routes.next() else {
            panic!("it is asked now");
        };
        assert!(routes.asked(wish, answer).is_some());
        assert!(routes.next().is_none() && routes.cancelling.is_empty());
    }
}

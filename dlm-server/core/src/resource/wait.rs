//! A new lock, and how a lock goes: cancelled while it waits, or unlocked.

use super::grant::Verdict;
use super::{Lock, LockKey, Resource, ResourceKey, Step};
use crate::deadlock::Queue;
use crate::flags::RequestFlags;
use crate::ids::{LockId, OpId, Owner, SessionId, Token};
use crate::message::Output;
use crate::mode::Mode;
use crate::status::{Refusal, Status};

/// A request for a new lock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) session: SessionId,
    pub(crate) op: OpId,
    pub(crate) lock: LockId,
    pub(crate) owner: Owner,
    pub(crate) mode: Mode,
    pub(crate) flags: RequestFlags,
}

impl Resource {
    /// Grants or queues a new lock. `None` where no lock came of it, and the answer says why.
    ///
    /// A request that is granted on arrival changes nothing for what waits, since nothing does.
    pub(crate) fn request(
        &mut self,
        step: &mut Step<'_>,
        place: ResourceKey,
        request: Request,
        queue_length_max: usize,
    ) -> Option<LockKey> {
        let Request {
            session,
            op,
            lock,
            owner,
            mode,
            flags,
        } = request;
        let verdict = self.judge(mode, None, flags, queue_length_max);
        let failed = match verdict {
            Verdict::Grant | Verdict::Queue => None,
            Verdict::TryFailed => Some(Status::TryFailed),
            Verdict::Full => Some(Status::Refused(Refusal::QueueLength)),
            Verdict::Deadlock => {
                unreachable!("a new lock holds nothing that others could wait for")
            }
        };
        if let Some(status) = failed {
            step.out.push(Output::Done {
                session,
                op,
                lock,
                status,
                mode: None,
                token: Token::default(),
            });
            if status == Status::TryFailed && flags.contains(RequestFlags::NOQUEUEBAST) {
                self.call_all(step, mode, None);
            }
            return None;
        }
        let key = step.locks.insert(Lock {
            session,
            id: lock,
            owner,
            op,
            since: step.now,
            serial: 0,
            token: Token::default(),
            resource: place,
            prev: None,
            next: None,
            queue: Queue::Waiting,
            granted: None,
            requested: Some(mode),
            told: Mode::Nl,
        });
        self.enter(step, key);
        if verdict == Verdict::Grant {
            self.grant(step, key);
        } else {
            self.call_holders(step, mode, key);
        }
        Some(key)
    }

    /// Ends what the lock waits for: a waiting lock is gone (`true`), a converting one keeps its mode.
    pub(crate) fn cancel(&mut self, step: &mut Step<'_>, key: LockKey, op: OpId) -> bool {
        self.leave(step, key);
        let lock = &mut step.locks[key];
        lock.requested = None;
        step.out.push(lock.done(lock.op, Status::Cancelled));
        step.out.push(lock.done(op, Status::CancelDone));
        let gone = lock.granted.is_none();
        if gone {
            step.locks.remove(key);
        } else {
            lock.queue = Queue::Granted;
            self.enter(step, key);
        }
        self.settle(step);
        gone
    }

    /// Unlocks a granted lock.
    pub(crate) fn unlock(&mut self, step: &mut Step<'_>, key: LockKey, op: OpId) {
        let mut lock = self.purge(step, key);
        lock.granted = None;
        lock.token = Token::default();
        step.out.push(lock.done(op, Status::Unlocked));
        self.settle(step);
    }

    /// Takes a lock away, wherever it stands. The caller settles the resource afterwards.
    pub(crate) fn purge(&mut self, step: &mut Step<'_>, key: LockKey) -> Lock {
        self.leave(step, key);
        step.locks.remove(key)
    }
}

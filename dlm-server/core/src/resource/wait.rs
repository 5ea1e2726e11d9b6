//! A new lock, and an orphan that finds a new owner.

use super::grant::Verdict;
use super::{Lock, LockKey, Marks, Resource, ResourceKey, Step};
use crate::deadlock::Queue;
use crate::flags::{RequestFlags, StatusFlags};
use crate::ids::{LockId, OpId, Owner, SessionId, Tick, Token};
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

/// Whether these flags go with a new lock (fs/dlm's `set_lock_args`).
pub(crate) fn flags_fit(flags: RequestFlags, mode: Mode) -> bool {
    use RequestFlags as F;
    let expedites = flags.contains(F::EXPEDITE);
    !flags.intersects(F::CANCEL | F::QUECVT | F::CONVDEADLK)
        && !(expedites && (flags.contains(F::NOQUEUE) || mode != Mode::Nl))
}

impl Request {
    /// Says that no lock came of it.
    fn failed(&self, status: Status) -> Output {
        Output::Done {
            session: self.session,
            op: self.op,
            lock: self.lock,
            status,
            mode: None,
            token: Token::default(),
            flags: StatusFlags::empty(),
            value: None,
            value_sequence: 0,
        }
    }

    /// The lock that comes of it; it stands in no queue yet.
    pub(crate) fn lock(&self, place: ResourceKey) -> Lock {
        let mut lock = Lock {
            session: self.session,
            id: self.lock,
            owner: self.owner,
            op: self.op,
            since: Tick::default(),
            serial: 0,
            token: Token::default(),
            resource: place,
            prev: None,
            next: None,
            older: None,
            newer: None,
            flags: RequestFlags::empty(),
            queue: Queue::Waiting,
            granted: None,
            requested: Some(self.mode),
            told: Mode::Nl,
            status: StatusFlags::empty(),
            marks: Marks::empty(),
        };
        let seen = self.flags.contains(RequestFlags::VALBLK);
        lock.marks.set(Marks::VALUE_SEEN, seen);
        lock.accept(self.flags);
        lock
    }
}

impl Resource {
    /// Grants or queues a new lock. `None` where no lock came of it, and the answer says why.
    ///
    /// A request that is granted on arrival changes nothing for what waits.
    pub(crate) fn request(
        &mut self,
        step: &mut Step<'_>,
        place: ResourceKey,
        request: &Request,
    ) -> Option<LockKey> {
        let (mode, flags) = (request.mode, request.flags);
        match self.judge(mode, None, flags, step.queue_length_max) {
            Verdict::Grant(offer) => {
                let key = step.locks.insert(request.lock(place));
                self.grant(step, key, offer, None);
                let passed = self.queues.is_some();
                step.locks[key].marks.set(Marks::PASSED, passed);
                Some(key)
            }
            Verdict::Queue => {
                let key = step.locks.insert(request.lock(place));
                self.enter(step, key);
                step.say_queued(key);
                self.call_holders(step, mode, key);
                Some(key)
            }
            Verdict::TryFailed => {
                step.out.push(request.failed(Status::TryFailed));
                if flags.contains(RequestFlags::NOQUEUEBAST) {
                    self.call_all(step, mode, None);
                }
                None
            }
            Verdict::Full => {
                let full = Status::Refused(Refusal::QueueLength);
                step.out.push(request.failed(full));
                None
            }
            Verdict::Deadlock | Verdict::Demote => {
                unreachable!("a new lock holds nothing that others could wait for")
            }
        }
    }
}

impl Resource {
    /// Gives an orphan to who asked for it, flags and all; nothing about them is checked, as in fs/dlm
    /// (`dlm_user_adopt_orphan`). The orphan may convert: somebody who knows its number may have asked.
    pub(crate) fn adopt(&mut self, step: &mut Step<'_>, key: LockKey, request: &Request) {
        let lock = &mut step.locks[key];
        lock.marks.remove(Marks::ORPHAN);
        lock.owner = request.owner;
        lock.status = StatusFlags::empty();
        lock.flags = request.flags;
        // It goes on standing where its old flags put it.
        let fits = !lock.marks.contains(Marks::OUT_OF_TURN);
        if let (true, Some((queued, out_of_turn))) = (fits, self.queued_mut(lock.queue)) {
            let out_of_turn = request.flags.intersects(out_of_turn);
            lock.marks.set(Marks::OUT_OF_TURN, out_of_turn);
            queued.out_of_turn += u32::from(out_of_turn);
        }
        step.answer(key, request.op, Status::Adopted);
        step.say_value(None, self.value_sequence());
    }
}

//! Operations on single locks, from the caller's wish to the master's answer.

use alloc::vec::Vec;

use dlm_core::{LockId, Mode, OpId, Owner, Refusal, RequestFlags, SlotId};
use dlm_core::{Status, StatusFlags, Token, ValueBlock};

use super::event::{Answer, Completion, Failure, Output, Ticket};
use super::link::{Done, OperationKind, ToServer};
use super::locks::{LOCKS_MAX, Lock, Pending};
use super::{Phase, Session, fail};

/// The most operations in progress at once, those that wait for a lock included. A node queues once for
/// each glock it waits for, and has a few thousand tasks.
pub const OPERATIONS_MAX: usize = 1 << 17;

/// An operation that is not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Op {
    pub(super) ticket: Ticket,
    pub(super) kind: OperationKind,
    pub(super) slot: SlotId,
    /// Whether a master may have applied it, or was told of it by a claim.
    pub(super) sent: bool,
    /// How often it was sent, to whomever.
    pub(super) times: u32,
    /// Its position, where it was told one.
    pub(super) serial: Option<u64>,
    /// Whether it was under way when the slot's table moved.
    pub(super) moved: bool,
    /// A blocking callback that came since then; said again after the answer.
    pub(super) blocking: Option<Mode>,
}

impl Session {
    pub(super) fn operate(&mut self, ticket: Ticket, kind: OperationKind, out: &mut Vec<Output>) {
        let failure = match self.phase {
            Phase::Joining => Some(Failure::NotJoined),
            Phase::Leaving | Phase::Over => Some(Failure::Over),
            Phase::Live if self.ops.len() >= OPERATIONS_MAX => Some(Failure::Operations),
            Phase::Live => None,
        };
        if let Some(failure) = failure {
            return fail(ticket, failure, out);
        }
        let mut kind = match kind {
            // With flags that do not fit it is refused by the master, as what it is.
            OperationKind::Unlock { lock, flags, .. }
                if flags.contains(RequestFlags::CANCEL) && flags.fit_unlock() =>
            {
                OperationKind::Cancel { lock }
            }
            kind => kind,
        };
        let op = OpId(self.next_op);
        let slot = match self.enter(op, &mut kind) {
            Ok(slot) => slot,
            Err(refusal) => {
                let completion = Completion {
                    lock: kind.lock(),
                    status: Status::Refused(refusal),
                    mode: self.book.get(kind.lock()).and_then(|lock| lock.granted),
                    token: Token(0),
                    flags: StatusFlags::empty(),
                    value: None,
                };
                let answer = Answer::Lock(completion);
                out.push(Output::Answer { ticket, answer });
                return;
            }
        };
        self.next_op += 1;
        let entry = Op {
            ticket,
            kind,
            slot,
            sent: false,
            times: 0,
            serial: None,
            moved: false,
            blocking: None,
        };
        self.ops.insert(op, entry);
        self.by_slot.insert((slot, op));
        self.unsent.insert((slot, op));
        self.send_slot(slot, out);
    }

    /// Puts an operation into the lock book. What cannot be, or is in progress already, is refused here as
    /// the master would: then what a lock's claim has to say is never in doubt, and always makes sense.
    fn enter(&mut self, op: OpId, kind: &mut OperationKind) -> Result<SlotId, Refusal> {
        let is_full = self.book.len() >= LOCKS_MAX;
        let id = kind.lock();
        let known = self.book.get_mut(id);
        if let OperationKind::Request {
            lockspace,
            name,
            owner,
            ..
        } = kind
        {
            if known.is_some() {
                return Err(Refusal::LockIdInUse);
            }
            let space = self.spaces.get(lockspace);
            if space.is_none_or(|space| space.leaving) {
                return Err(Refusal::NoSuchLockspace);
            }
            if is_full {
                return Err(Refusal::LocksPerSession);
            }
            let lock = new_lock(op, (*lockspace, name), *owner);
            let slot = lock.slot();
            self.book.insert(id, lock);
            return Ok(slot);
        }
        let lock = known.ok_or(Refusal::NoSuchLock)?;
        // Filled up as the master does it: what is stored is claimed as others read it.
        if let Some(value) = value_of(kind) {
            let length = self.spaces.get(&lock.lockspace);
            let fitted = length.and_then(|space| value.clone().fitted(space.value_length));
            *value = fitted.ok_or(Refusal::ValueLength)?;
        }
        // As in fs/dlm, what would never do is said before what does not now.
        let fits = match kind {
            OperationKind::Convert { flags, .. } => flags.fit_conversion(),
            OperationKind::Unlock { flags, .. } => flags.fit_unlock(),
            _ => true,
        };
        let pending = &mut lock.pending;
        if !fits && pending.any() {
            return Err(Refusal::Flags);
        }
        let place = match kind {
            OperationKind::Convert { .. } if pending.any() => return Err(Refusal::Busy),
            OperationKind::Cancel { .. } if pending.unlock.is_some() => return Err(Refusal::Busy),
            OperationKind::Convert { .. } => &mut pending.main,
            OperationKind::Cancel { .. } => &mut pending.cancel,
            _ => &mut pending.unlock,
        };
        if place.is_some() {
            return Err(Refusal::Busy);
        }
        *place = Some(op);
        Ok(lock.slot())
    }

    /// Everything unanswered in a slot has to be sent to another master.
    pub(super) fn send_again(&mut self, slot: SlotId) {
        for op in self.ops_in(slot) {
            self.unsent.insert((slot, op));
            if let Some(op) = self.ops.get_mut(&op) {
                op.moved |= op.sent;
            }
        }
    }

    pub(super) fn ops_in(&self, slot: SlotId) -> Vec<OpId> {
        in_slot(&self.by_slot, slot)
    }

    /// Sends what waits, where its slot's master is in reach.
    pub(super) fn send_unsent(&mut self, out: &mut Vec<Output>) {
        let mut next = self.unsent.first().map(|&(slot, _)| slot);
        while let Some(slot) = next {
            self.send_slot(slot, out);
            let after = (slot, OpId(u64::MAX));
            next = self.unsent.range(after..).next().map(|&(slot, _)| slot);
        }
    }

    /// Sends what waits in a slot, in the order in which it was asked for. Claims come before.
    fn send_slot(&mut self, slot: SlotId, out: &mut Vec<Output>) {
        if self.owes_claims(slot) || self.stream_of(slot).is_none() {
            return;
        }
        let epoch = self.map.slot(slot).epoch;
        for op in in_slot(&self.unsent, slot) {
            self.unsent.remove(&(slot, op));
            let Some(entry) = self.ops.get_mut(&op) else {
                continue;
            };
            entry.sent = true;
            entry.times = entry.times.saturating_add(1);
            let kind = entry.kind.clone();
            if let Some(stream) = self.stream_of(slot) {
                let message = |number| ToServer::Operation {
                    number,
                    op,
                    slot,
                    epoch,
                    kind,
                };
                stream.send(message, out);
            }
        }
    }

    /// An answer. One that was heard already, from the master before, is not heard again.
    pub(super) fn done(&mut self, done: Done, out: &mut Vec<Output>) {
        let Some(op) = self.ops.remove(&done.op) else {
            return;
        };
        self.by_slot.remove(&(op.slot, done.op));
        self.unsent.remove(&(op.slot, done.op));
        let lock = op.kind.lock();
        if let Some(entry) = self.book.get_mut(lock) {
            let pending = &mut entry.pending;
            for place in [&mut pending.main, &mut pending.cancel, &mut pending.unlock] {
                if *place == Some(done.op) {
                    *place = None;
                }
            }
            if done.status != Status::Adopted {
                entry.done(&op.kind, &done);
            }
        }
        if done.status == Status::Adopted {
            self.adopted(&op, &done);
        }
        self.forget_if_gone(lock);
        let mode = self.book.get(done.lock).and_then(|lock| lock.granted);
        let completion = Completion {
            lock: done.lock,
            status: done.status,
            mode,
            token: done.token,
            flags: done.flags,
            value: done.value.map(|(_, value)| value),
        };
        let answer = Answer::Lock(completion);
        let ticket = op.ticket;
        out.push(Output::Answer { ticket, answer });
        if let (Some(mode), true) = (op.blocking, mode.is_some()) {
            out.push(Output::Blocking { lock, mode });
        }
    }

    /// The orphan keeps its number; the entry under which it was looked for goes.
    fn adopted(&mut self, op: &Op, done: &Done) {
        if let Some(orphan) = self.book.get_mut(done.lock) {
            orphan.orphan = false;
            orphan.done(&op.kind, done);
        }
    }

    /// A lock that holds nothing, and of which nothing is in progress, is none.
    pub(super) fn forget_if_gone(&mut self, lock: LockId) {
        let is_gone = |entry: &Lock| entry.granted.is_none() && !entry.pending.any();
        if self.book.get(lock).is_some_and(is_gone) {
            self.book.remove(lock);
        }
    }

    pub(super) fn queued(&mut self, op: OpId, serial: u64) {
        if let Some(op) = self.ops.get_mut(&op) {
            op.serial = Some(serial);
        }
    }

    pub(super) fn blocking(&mut self, lock: LockId, mode: Mode, out: &mut Vec<Output>) {
        let Some(entry) = self.book.get(lock) else {
            return;
        };
        if let Some(op) = entry.pending.main.and_then(|op| self.ops.get_mut(&op))
            && op.moved
        {
            op.blocking = op.blocking.max(Some(mode));
        }
        out.push(Output::Blocking { lock, mode });
    }

    pub(super) fn orphaned(&mut self, lock: LockId, owner: Owner, out: &mut Vec<Output>) {
        if let Some(entry) = self.book.get_mut(lock) {
            entry.orphan = true;
            entry.owner = owner;
            out.push(Output::Orphaned { lock, owner });
        }
    }

    /// Nothing is claimed of it any more. What is under way on it is answered by itself. (That it was orphaned
    /// may be heard later, from the master before this one.)
    pub(super) fn orphan_purged(&mut self, lock: LockId) {
        if let Some(entry) = self.book.get_mut(lock) {
            (entry.granted, entry.told) = (None, None);
            self.forget_if_gone(lock);
        }
    }
}

const fn value_of(kind: &mut OperationKind) -> Option<&mut ValueBlock> {
    match kind {
        OperationKind::Convert { value, .. } | OperationKind::Unlock { value, .. } => {
            value.as_mut()
        }
        _ => None,
    }
}

pub(super) fn in_slot(
    all: &alloc::collections::BTreeSet<(SlotId, OpId)>,
    slot: SlotId,
) -> Vec<OpId> {
    let range = all.range((slot, OpId(0))..=(slot, OpId(u64::MAX)));
    range.map(|&(_, op)| op).collect()
}

fn new_lock(
    op: OpId,
    (lockspace, name): (dlm_core::LockspaceId, &dlm_core::ResourceName),
    owner: Owner,
) -> Lock {
    Lock {
        lockspace,
        name: name.as_bytes().into(),
        owner,
        flags: RequestFlags::empty(),
        granted: None,
        told: None,
        token: Token(0),
        orphan: false,
        uses_values: false,
        asked_values: false,
        value_sequence: 0,
        value: None,
        first: op,
        pending: Pending {
            main: Some(op),
            ..Pending::default()
        },
    }
}

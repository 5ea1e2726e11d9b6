//! Operations that came before the slot is served: they wait in the order in which they came.

use alloc::collections::{BTreeMap, VecDeque};

use crate::flags::{RequestFlags, StatusFlags};
use crate::ids::{LockId, OpId, SessionId, Token};
use crate::message::{Input, Output};
use crate::mode::Mode;
use crate::status::Status;

/// The operations.
#[derive(Clone, Debug, Default)]
pub(super) struct Operations {
    queue: VecDeque<Input>,
    counts: BTreeMap<SessionId, usize>,
}

impl Operations {
    /// Puts one behind all others; whether it has room.
    pub(super) fn push(&mut self, session: SessionId, operation: Input, max: usize) -> bool {
        let count = self.counts.entry(session).or_default();
        if *count >= max {
            return false;
        }
        *count += 1;
        self.queue.push_back(operation);
        true
    }

    /// Takes the first one out.
    pub(super) fn pop(&mut self) -> Option<Input> {
        let first = self.queue.pop_front();
        if first.is_none() {
            self.counts.clear();
        }
        first
    }

    /// The session's operations are not done any more.
    pub(super) fn drop_session(&mut self, session: SessionId) {
        self.counts.remove(&session);
        let is_its = |input: &Input| asked_by(input).is_some_and(|(it, _)| it == session);
        self.queue.retain(|input| !is_its(input));
    }
}

/// Who asked, under which number; `None` for what no session asks.
pub(super) const fn asked_by(input: &Input) -> Option<(SessionId, OpId)> {
    match input {
        Input::Request { session, op, .. }
        | Input::Convert { session, op, .. }
        | Input::Unlock { session, op, .. }
        | Input::Cancel { session, op, .. }
        | Input::OwnerEnded { session, op, .. }
        | Input::PurgeOrphans { session, op, .. }
        | Input::LeaveLockspace { session, op, .. } => Some((*session, *op)),
        _ => None,
    }
}

/// What a lock holds, under which token, and the number of its resource's value by the last answer.
pub(super) type Held = (Mode, Token, u64);

/// The answer to an operation that may not wait. `held` says what a lock holds, as far as that is known;
/// a conversion of a lock that is not known has to wait all the same.
pub(super) fn try_failed(
    input: &Input,
    held: impl FnOnce(SessionId, LockId) -> Option<Held>,
) -> Option<Output> {
    let (session, op, lock, flags, held) = match input {
        Input::Request {
            session,
            op,
            lock,
            flags,
            ..
        } => (*session, *op, *lock, *flags, None),
        Input::Convert {
            session,
            op,
            lock,
            flags,
            ..
        } => (*session, *op, *lock, *flags, Some(held(*session, *lock)?)),
        _ => return None,
    };
    flags.contains(RequestFlags::NOQUEUE).then(|| Output::Done {
        session,
        op,
        lock,
        status: Status::TryFailed,
        mode: held.map(|(mode, ..)| mode),
        token: held.map(|(_, token, _)| token).unwrap_or_default(),
        flags: StatusFlags::empty(),
        value: None,
        value_sequence: held.map_or(0, |(.., value)| value),
    })
}

//! Between what goes over a stream and what a slot's table takes and says.

use dlm_core::link::{Done, Event, EverywhereKind, OperationKind};
use dlm_core::{Input, LockId, Mode, OpId, Output, Refusal, RequestFlags, SessionId, SlotId};
use dlm_core::{Status, StatusFlags, Token};

/// An operation on one lock, as a table takes it.
pub(super) fn operation(session: SessionId, op: OpId, kind: OperationKind) -> Input {
    match kind {
        OperationKind::Request {
            lockspace,
            lock,
            name,
            mode,
            flags,
            owner,
        } => Input::Request {
            session,
            op,
            lockspace,
            lock,
            name,
            mode,
            flags,
            owner,
        },
        OperationKind::Convert {
            lock,
            mode,
            flags,
            owner,
            value,
        } => Input::Convert {
            session,
            op,
            lock,
            mode,
            flags,
            owner,
            value,
        },
        OperationKind::Unlock { lock, flags, value } => Input::Unlock {
            session,
            op,
            lock,
            flags,
            value,
        },
        OperationKind::Cancel { lock } => Input::Cancel { session, op, lock },
    }
}

/// An operation on many locks, as a table takes it.
pub(super) const fn everywhere(session: SessionId, op: OpId, kind: EverywhereKind) -> Input {
    match kind {
        EverywhereKind::OwnerEnded { owner } => Input::OwnerEnded { session, op, owner },
        EverywhereKind::PurgeOrphans { lockspace, owner } => Input::PurgeOrphans {
            session,
            op,
            lockspace,
            owner,
        },
        EverywhereKind::LeaveLockspace { lockspace } => Input::LeaveLockspace {
            session,
            op,
            lockspace,
        },
    }
}

/// Whether a request names a resource of another slot; everything else names a lock that is there.
pub(super) fn is_of_other_slot(slot: SlotId, kind: &OperationKind) -> bool {
    match kind {
        OperationKind::Request {
            lockspace, name, ..
        } => SlotId::of(*lockspace, name) != slot,
        _ => false,
    }
}

/// Whether an operation does not wait.
pub(super) const fn is_try(input: &Input) -> bool {
    match input {
        Input::Request { flags, .. } | Input::Convert { flags, .. } => {
            flags.contains(RequestFlags::NOQUEUE)
        }
        _ => false,
    }
}

/// What a table says, and to whom.
pub(super) fn event(output: Output) -> (SessionId, Event) {
    match output {
        Output::Done {
            session,
            op,
            lock,
            status,
            mode,
            token,
            flags,
            value,
            value_sequence,
        } => (
            session,
            Event::Done(Done {
                op,
                lock,
                status,
                mode,
                token,
                flags,
                value: value.map(|value| (value_sequence, value)),
                value_sequence,
            }),
        ),
        Output::Queued {
            session,
            op,
            lock,
            serial,
        } => (session, Event::Queued { op, lock, serial }),
        Output::Blocking {
            session,
            lock,
            mode,
        } => (session, Event::Blocking { lock, mode }),
        Output::Orphaned {
            session,
            lock,
            owner,
        } => (session, Event::Orphaned { lock, owner }),
        Output::Purged { session, op, locks } => (session, Event::Purged { op, locks }),
    }
}

/// The answer to an operation that is refused before a table sees it.
pub(super) fn refused(op: OpId, lock: LockId, why: Refusal) -> Event {
    not_done_on(op, lock, Status::Refused(why), None)
}

/// The answer to an operation that was not done, on a lock that is held as `held` says.
pub(super) fn not_done(
    input: &Input,
    status: Status,
    held: Option<(Mode, Token)>,
) -> Option<Event> {
    let (op, lock) = match input {
        Input::Request { op, lock, .. }
        | Input::Convert { op, lock, .. }
        | Input::Unlock { op, lock, .. }
        | Input::Cancel { op, lock, .. } => (*op, *lock),
        _ => return None,
    };
    Some(not_done_on(op, lock, status, held))
}

fn not_done_on(op: OpId, lock: LockId, status: Status, held: Option<(Mode, Token)>) -> Event {
    Event::Done(Done {
        op,
        lock,
        status,
        mode: held.map(|(mode, _)| mode),
        token: held.map(|(_, token)| token).unwrap_or_default(),
        flags: StatusFlags::empty(),
        value: None,
        value_sequence: 0,
    })
}

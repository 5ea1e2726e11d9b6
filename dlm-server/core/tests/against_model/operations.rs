//! Random operations: every input, every flag, right and wrong.

use dlm_core::deadlock::Queue;
use dlm_core::{Input, LockId, LockTable, LockspaceId, LockspaceOptions, Mode, OpId, Owner};
use dlm_core::{RequestFlags as F, ResourceName, SessionId, ValueBlock};
use proptest::prelude::*;

/// A step before it gets its operation's number.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    Request {
        session: u64,
        lockspace: u32,
        lock: u64,
        name: u8,
        mode: Mode,
        flags: F,
        owner: u64,
    },
    Convert {
        session: u64,
        lock: u64,
        mode: Mode,
        flags: F,
        owner: u64,
        value: Option<Vec<u8>>,
    },
    Unlock {
        session: u64,
        lock: u64,
        flags: F,
        value: Option<Vec<u8>>,
    },
    Cancel {
        session: u64,
        lock: u64,
    },
    EndWait {
        session: u64,
        lock: u64,
        /// Not the wait that is, but the one before.
        stale: bool,
    },
    EndOwner {
        session: u64,
        owner: u64,
    },
    Purge {
        session: u64,
        owner: Option<u64>,
    },
    End {
        session: u64,
    },
    Start {
        session: u64,
    },
    Open {
        session: u64,
        lockspace: u32,
    },
    Leave {
        session: u64,
        lockspace: u32,
    },
    Configure {
        lockspace: u32,
        options: LockspaceOptions,
    },
}

/// Two sessions with a lockspace.
pub(crate) fn setup(options: LockspaceOptions) -> Vec<Op> {
    let lockspace = 1;
    let mut ops = vec![Op::Configure { lockspace, options }];
    for session in 0..2 {
        ops.push(Op::Start { session });
        ops.push(Op::Open { session, lockspace });
    }
    ops
}

/// Each flag with its own chance, in percent; they shrink to none.
fn flags(chances: &'static [(F, u32)]) -> impl Strategy<Value = F> {
    proptest::collection::vec(0..100_u32, chances.len()).prop_map(move |dice| {
        let drawn = chances
            .iter()
            .zip(dice)
            .filter(|((_, chance), die)| die + chance >= 100);
        drawn.map(|((flag, _), _)| *flag).collect()
    })
}

const OF_REQUEST: &[(F, u32)] = &[
    (F::NOQUEUE, 12),
    (F::NOQUEUEBAST, 8),
    (F::VALBLK, 40),
    (F::IVVALBLK, 4),
    (F::PERSISTENT, 30),
    (F::ORPHAN, 12),
    (F::HEADQUE, 10),
    (F::NOORDER, 10),
    (F::EXPEDITE, 3),
    (F::ALTPR, 8),
    (F::ALTCW, 8),
    (F::NODLCKWT, 4),
    (F::FORCEUNLOCK, 2),
    (F::CONVERT, 1),
    (F::CANCEL, 1),
    (F::QUECVT, 1),
    (F::CONVDEADLK, 1),
    (
        F::TIMEOUT
            .union(F::NODLCKBLK)
            .union(F::from_bits_retain(1 << 31)),
        3,
    ),
];

const OF_CONVERT: &[(F, u32)] = &[
    (F::NOQUEUE, 8),
    (F::NOQUEUEBAST, 8),
    (F::VALBLK, 40),
    (F::IVVALBLK, 6),
    (F::QUECVT, 12),
    (F::CONVDEADLK, 20),
    (F::NODLCKWT, 12),
    (F::HEADQUE, 12),
    (F::NOORDER, 8),
    (F::ALTPR, 10),
    (F::ALTCW, 10),
    (F::PERSISTENT, 12),
    (F::FORCEUNLOCK, 2),
    (F::CANCEL, 1),
    (F::EXPEDITE, 1),
    (F::CONVERT.union(F::ORPHAN), 4),
];

const OF_UNLOCK: &[(F, u32)] = &[
    (F::VALBLK, 40),
    (F::IVVALBLK, 8),
    (F::FORCEUNLOCK, 15),
    (F::CANCEL, 10),
    (F::NOQUEUE, 2),
];

/// One operation.
pub(crate) fn op() -> impl Strategy<Value = Op> {
    let (session, lock, owner) = (0..2_u64, 0..9_u64, 0..3_u64);
    let mode = (0..6_u8).prop_map(|number| Mode::from_number(number).expect("six modes"));
    // One lockspace is open in every session, the other one has to be opened.
    let lockspace = prop_oneof![19 => Just(1_u32), 1 => Just(2)];
    let value = prop_oneof![
        2 => Just(None),
        6 => proptest::collection::vec(0..4_u8, 0..=8).prop_map(Some),
        // Too long for the first lockspace.
        1 => Just(Some(vec![1; 9])),
    ];
    let name = prop_oneof![6 => Just(0_u8), 2 => Just(1), 1 => Just(2)];
    let lock_of = (session.clone(), lock);
    let request = (
        lock_of.clone(),
        lockspace.clone(),
        name,
        mode.clone(),
        flags(OF_REQUEST),
        owner.clone(),
    );
    let convert = (
        lock_of.clone(),
        mode,
        flags(OF_CONVERT),
        owner.clone(),
        value.clone(),
    );
    prop_oneof![
        90 => request.prop_map(|((session, lock), lockspace, name, mode, flags, owner)| {
            Op::Request { session, lockspace, lock, name, mode, flags, owner }
        }),
        60 => convert.prop_map(|((session, lock), mode, flags, owner, value)| {
            Op::Convert { session, lock, mode, flags, owner, value }
        }),
        20 => (lock_of.clone(), flags(OF_UNLOCK), value).prop_map(|((session, lock), flags, value)| {
            Op::Unlock { session, lock, flags, value }
        }),
        16 => lock_of.clone().prop_map(|(session, lock)| Op::Cancel { session, lock }),
        6 => (lock_of, proptest::bool::weighted(0.2))
            .prop_map(|((session, lock), stale)| Op::EndWait { session, lock, stale }),
        4 => (session.clone(), owner.clone())
            .prop_map(|(session, owner)| Op::EndOwner { session, owner }),
        1 => (session.clone(), proptest::option::of(owner))
            .prop_map(|(session, owner)| Op::Purge { session, owner }),
        1 => session.clone().prop_map(|session| Op::End { session }),
        1 => (session.clone(), lockspace.clone())
            .prop_map(|(session, lockspace)| Op::Leave { session, lockspace }),
        // What has ended or left comes back soon, or nothing would happen most of the time.
        12 => session.clone().prop_map(|session| Op::Start { session }),
        16 => (session, lockspace).prop_map(|(session, lockspace)| Op::Open { session, lockspace }),
    ]
}

/// The input for the table, and for the model.
pub(crate) fn input(op: &Op, number: u64, table: &LockTable) -> (Input, Input) {
    let id = OpId(number);
    let block = |bytes: &Option<Vec<u8>>| {
        let bytes = bytes.as_deref();
        bytes.map(|bytes| ValueBlock::new(bytes).expect("it is short"))
    };
    let input = match *op {
        Op::Request {
            session,
            lockspace,
            lock,
            name,
            mode,
            flags,
            owner,
        } => Input::Request {
            session: SessionId(session),
            op: id,
            lockspace: LockspaceId(lockspace),
            lock: LockId(lock),
            name: ResourceName::new(&vec![b'a'; usize::from(name) * 30]).expect("a name"),
            mode,
            flags,
            owner: Owner(owner),
        },
        Op::Convert {
            session,
            lock,
            mode,
            flags,
            owner,
            ref value,
        } => Input::Convert {
            session: SessionId(session),
            op: id,
            lock: LockId(lock),
            mode,
            flags,
            owner: Owner(owner),
            value: block(value),
        },
        Op::Unlock {
            session,
            lock,
            flags,
            ref value,
        } => Input::Unlock {
            session: SessionId(session),
            op: id,
            lock: LockId(lock),
            flags,
            value: block(value),
        },
        Op::Cancel { session, lock } => Input::Cancel {
            session: SessionId(session),
            op: id,
            lock: LockId(lock),
        },
        Op::EndWait {
            session,
            lock,
            stale,
        } => {
            return end_wait((SessionId(session), LockId(lock)), stale, table);
        }
        ref other => of_sessions(other, id),
    };
    (input.clone(), input)
}

fn of_sessions(op: &Op, id: OpId) -> Input {
    match *op {
        Op::EndOwner { session, owner } => Input::OwnerEnded {
            session: SessionId(session),
            op: id,
            owner: Owner(owner),
        },
        Op::Purge { session, owner } => Input::PurgeOrphans {
            session: SessionId(session),
            op: id,
            lockspace: LockspaceId(1),
            owner: owner.map(Owner),
        },
        Op::End { session } => Input::SessionEnded {
            session: SessionId(session),
        },
        Op::Start { session } => Input::SessionStarted {
            session: SessionId(session),
        },
        Op::Open { session, lockspace } => Input::OpenLockspace {
            session: SessionId(session),
            lockspace: LockspaceId(lockspace),
        },
        Op::Leave { session, lockspace } => Input::LeaveLockspace {
            session: SessionId(session),
            op: id,
            lockspace: LockspaceId(lockspace),
        },
        Op::Configure { lockspace, options } => Input::ConfigureLockspace {
            lockspace: LockspaceId(lockspace),
            options,
        },
        _ => unreachable!("an operation on a lock"),
    }
}

/// The end of a wait: with its serial for the table; the model is told whether it stands.
fn end_wait(
    (session, lock): (SessionId, LockId),
    stale: bool,
    table: &LockTable,
) -> (Input, Input) {
    let views = table.view(None);
    let mut locks = views.iter().flat_map(|resource| &resource.locks);
    let found = locks.find(|view| (view.session, view.lock) == (session, lock));
    let waits = found.filter(|view| view.queue != Queue::Granted);
    let serial = waits.map_or(u64::MAX, |view| view.serial - u64::from(stale));
    let with = |serial| Input::EndWait {
        session,
        lock,
        serial,
    };
    (with(serial), with(u64::from(stale || waits.is_none())))
}

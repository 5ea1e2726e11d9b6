//! Arbitrary messages for the property tests of both directions.

pub(crate) mod link;
pub(crate) mod peer;

use dlm_core::deadlock::{GlockReport, HolderReport, Role};
use dlm_core::{
    LockId, LockspaceId, LockspaceOptions, Mode, OpId, Owner, Refusal, RequestFlags, ResourceName,
    Status, StatusFlags, Token, ValueBlock, ValueLength,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::frame::{
    ClientFrame, Event, HoldersReport, LockspaceRefusal, Operation, OperationKind, QueryId,
    ServerFrame,
};
use crate::glocks::{Glock, GlockHolder, GlocksQuery, GlocksReport, ObjectLines};
use crate::name::Name;

fn mode() -> impl Strategy<Value = Mode> {
    select(&Mode::ALL[..])
}

fn name() -> impl Strategy<Value = Name> {
    any::<String>().prop_map(|text| Name::lossy(&text))
}

fn resource_name() -> impl Strategy<Value = ResourceName> {
    vec(any::<u8>(), 0..=64).prop_map(|bytes| ResourceName::new(&bytes).unwrap())
}

fn flags() -> impl Strategy<Value = RequestFlags> {
    any::<u32>().prop_map(RequestFlags::from_bits_retain)
}

fn value() -> impl Strategy<Value = Option<ValueBlock>> {
    option::of(vec(any::<u8>(), 0..=256).prop_map(|bytes| ValueBlock::new(&bytes).unwrap()))
}

fn options() -> impl Strategy<Value = LockspaceOptions> {
    (1usize..=32, any::<bool>()).prop_map(|(words, breaks_deadlocks)| LockspaceOptions {
        value_length: ValueLength::new(8 * words).unwrap(),
        breaks_deadlocks,
    })
}

fn kind() -> impl Strategy<Value = OperationKind> {
    prop_oneof![on_a_lock(), on_many()]
}

fn on_many() -> impl Strategy<Value = OperationKind> {
    let owner = || any::<u64>().prop_map(Owner);
    let lockspace = || any::<u32>().prop_map(LockspaceId);
    prop_oneof![
        (name(), option::of(options()))
            .prop_map(|(name, options)| OperationKind::OpenLockspace { name, options }),
        lockspace().prop_map(|lockspace| OperationKind::LeaveLockspace { lockspace }),
        owner().prop_map(|owner| OperationKind::OwnerEnded { owner }),
        (lockspace(), option::of(owner()))
            .prop_map(|(lockspace, owner)| OperationKind::PurgeOrphans { lockspace, owner }),
    ]
}

fn on_a_lock() -> impl Strategy<Value = OperationKind> {
    let lock = || any::<u64>().prop_map(LockId);
    let owner = || any::<u64>().prop_map(Owner);
    prop_oneof![
        (
            any::<u32>(),
            lock(),
            resource_name(),
            mode(),
            flags(),
            owner()
        )
            .prop_map(|(lockspace, lock, name, mode, flags, owner)| {
                OperationKind::Request {
                    lockspace: LockspaceId(lockspace),
                    lock,
                    name,
                    mode,
                    flags,
                    owner,
                }
            }),
        (lock(), mode(), flags(), owner(), value()).prop_map(
            |(lock, mode, flags, owner, value)| {
                OperationKind::Convert {
                    lock,
                    mode,
                    flags,
                    owner,
                    value,
                }
            }
        ),
        (lock(), flags(), value()).prop_map(|(lock, flags, value)| OperationKind::Unlock {
            lock,
            flags,
            value
        }),
        lock().prop_map(|lock| OperationKind::Cancel { lock }),
    ]
}

fn holder() -> impl Strategy<Value = HolderReport> {
    let role = select(&[Role::Operation, Role::Pin, Role::Fault][..]);
    (any::<(u64, u64, bool, u32, u64)>(), mode(), role).prop_map(
        |((serial, owner, granted, pins, age_us), mode, role)| HolderReport {
            serial,
            owner: Owner(owner),
            mode,
            granted,
            role,
            pins,
            age_us,
        },
    )
}

fn report() -> impl Strategy<Value = HoldersReport> {
    let task = (any::<u64>().prop_map(Owner), name());
    let glock = (any::<u32>(), resource_name(), vec(holder(), 0..4)).prop_map(
        |(lockspace, name, holders)| GlockReport {
            lockspace: LockspaceId(lockspace),
            name,
            holders,
        },
    );
    (any::<u64>(), vec(task, 0..4), vec(glock, 0..4)).prop_map(|(query, tasks, glocks)| {
        HoldersReport {
            query: QueryId(query),
            tasks,
            glocks,
        }
    })
}

fn glock_holder() -> impl Strategy<Value = GlockHolder> {
    (any::<(u32, bool, u64, u64)>(), mode(), option::of(name())).prop_map(
        |((flags, granted, owner, age_us), state, task)| GlockHolder {
            state,
            flags,
            granted,
            owner: Owner(owner),
            task,
            age_us,
        },
    )
}

fn glock() -> impl Strategy<Value = Glock> {
    (
        (resource_name(), mode(), mode(), option::of(mode())),
        any::<(u64, u32, u32, u32, u32)>(),
        vec(glock_holder(), 0..4),
        any::<String>(),
    )
        .prop_map(
            |((name, state, target, demanded), numbers, holders, object)| {
                let (demanded_us, flags, references, hold_ms, holders_left_out) = numbers;
                Glock {
                    name,
                    state,
                    target,
                    demanded,
                    demanded_us,
                    flags,
                    references,
                    hold_ms,
                    holders,
                    holders_left_out,
                    object: ObjectLines::lossy(&object),
                }
            },
        )
}

fn glocks_report() -> impl Strategy<Value = GlocksReport> {
    (any::<(u64, bool)>(), vec(glock(), 0..4)).prop_map(|((query, more), glocks)| GlocksReport {
        query: QueryId(query),
        glocks,
        more,
    })
}

fn glocks_query() -> impl Strategy<Value = GlocksQuery> {
    // No name is empty where it is the last of a page.
    let after = resource_name().prop_map(|name| Some(name).filter(|it| !it.as_bytes().is_empty()));
    (any::<(u64, u32)>(), after).prop_map(|((query, lockspace), after)| GlocksQuery {
        query: QueryId(query),
        lockspace: LockspaceId(lockspace),
        after,
    })
}

/// A frame with operations numbered from 1.
pub(crate) fn client_frame() -> impl Strategy<Value = ClientFrame> {
    (
        vec(kind(), 0..8),
        option::of(report()),
        option::of(glocks_report()),
        any::<bool>(),
    )
        .prop_map(|(kinds, report, glocks, goodbye)| ClientFrame {
            operations: (1..)
                .zip(kinds)
                .map(|(op, kind)| Operation { op: OpId(op), kind })
                .collect(),
            report,
            glocks,
            goodbye,
        })
}

fn event() -> impl Strategy<Value = Event> {
    let statuses = [
        Status::Granted,
        Status::TryFailed,
        Status::CancelDone,
        Status::Adopted,
        Status::Refused(Refusal::Busy),
        Status::Refused(Refusal::NoSuchSession),
    ];
    prop_oneof![
        (
            any::<(u64, u64, u64)>(),
            select(statuses.to_vec()),
            option::of(mode()),
            (0u8..8, value()),
        )
            .prop_map(
                |((op, lock, token), status, mode, (flags, value))| Event::Done {
                    op: OpId(op),
                    lock: LockId(lock),
                    status,
                    mode,
                    token: Token(token),
                    flags: StatusFlags::from_bits_truncate(flags),
                    value,
                }
            ),
        (any::<u64>(), mode()).prop_map(|(lock, mode)| Event::Blocking {
            lock: LockId(lock),
            mode,
        }),
        (any::<(u64, u32)>(), options()).prop_map(|((op, lockspace), options)| {
            Event::LockspaceOpened {
                op: OpId(op),
                lockspace: LockspaceId(lockspace),
                options,
            }
        }),
        (any::<u64>(), options(), 0usize..4).prop_map(|(op, options, which)| {
            let whys = [
                LockspaceRefusal::Name,
                LockspaceRefusal::ValueLength,
                LockspaceRefusal::Options(options),
                LockspaceRefusal::TooMany,
            ];
            Event::LockspaceRefused {
                op: OpId(op),
                why: whys[which],
            }
        }),
        any::<(u64, u64)>().prop_map(|(lock, owner)| Event::Orphaned {
            lock: LockId(lock),
            owner: Owner(owner),
        }),
        any::<(u64, u32)>().prop_map(|(op, locks)| Event::Purged {
            op: OpId(op),
            locks
        }),
    ]
}

/// Any frame but a welcome.
pub(crate) fn server_frame() -> impl Strategy<Value = ServerFrame> {
    (
        vec(event(), 0..8),
        option::of(any::<u64>()),
        option::of(glocks_query()),
    )
        .prop_map(|(events, query, glocks_query)| ServerFrame {
            events,
            query: query.map(QueryId),
            glocks_query,
        })
}

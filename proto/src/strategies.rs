//! Arbitrary messages for the property tests of both directions.

use dlm_core::deadlock::{GlockReport, HolderReport, Role};
use dlm_core::{
    LockId, LockspaceId, Mode, OpId, Owner, Refusal, RequestFlags, ResourceName, Status, Token,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::frame::{
    ClientFrame, Event, HoldersReport, Operation, OperationKind, QueryId, ServerFrame,
};
use crate::name::Name;

fn mode() -> impl Strategy<Value = Mode> {
    select(&Mode::ALL[..])
}

fn name() -> impl Strategy<Value = Name> {
    any::<String>().prop_map(|text| Name::lossy(&text))
}

fn resource_name() -> impl Strategy<Value = ResourceName> {
    vec(any::<u8>(), 1..=64).prop_map(|bytes| ResourceName::new(&bytes).unwrap())
}

fn flags() -> impl Strategy<Value = RequestFlags> {
    any::<u32>().prop_map(RequestFlags::from_bits_retain)
}

fn kind() -> impl Strategy<Value = OperationKind> {
    let lock = || any::<u64>().prop_map(LockId);
    let owner = || any::<u64>().prop_map(Owner);
    prop_oneof![
        name().prop_map(|name| OperationKind::OpenLockspace { name }),
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
        (lock(), mode(), flags(), owner()).prop_map(|(lock, mode, flags, owner)| {
            OperationKind::Convert {
                lock,
                mode,
                flags,
                owner,
            }
        }),
        lock().prop_map(|lock| OperationKind::Unlock { lock }),
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

/// A frame with operations numbered from 1.
pub(crate) fn client_frame() -> impl Strategy<Value = ClientFrame> {
    (vec(kind(), 0..8), option::of(report()), any::<bool>()).prop_map(|(kinds, report, goodbye)| {
        ClientFrame {
            operations: (1..)
                .zip(kinds)
                .map(|(op, kind)| Operation { op: OpId(op), kind })
                .collect(),
            report,
            goodbye,
        }
    })
}

fn event() -> impl Strategy<Value = Event> {
    let statuses = [
        Status::Granted,
        Status::TryFailed,
        Status::CancelDone,
        Status::Refused(Refusal::Busy),
        Status::Refused(Refusal::NoSuchSession),
    ];
    prop_oneof![
        (
            any::<(u64, u64, u64)>(),
            select(statuses.to_vec()),
            option::of(mode())
        )
            .prop_map(|((op, lock, token), status, mode)| Event::Done {
                op: OpId(op),
                lock: LockId(lock),
                status,
                mode,
                token: Token(token),
            }),
        (any::<u64>(), mode()).prop_map(|(lock, mode)| Event::Blocking {
            lock: LockId(lock),
            mode,
        }),
        any::<(u64, u32)>().prop_map(|(op, lockspace)| Event::LockspaceOpened {
            op: OpId(op),
            lockspace: LockspaceId(lockspace),
        }),
    ]
}

/// Any frame but a welcome.
pub(crate) fn server_frame() -> impl Strategy<Value = ServerFrame> {
    (vec(event(), 0..8), option::of(any::<u64>())).prop_map(|(events, query)| ServerFrame {
        events,
        query: query.map(QueryId),
    })
}

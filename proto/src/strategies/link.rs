//! What goes over the streams of a cluster.

use dlm_core::cluster::{Endpoint, Versions};
use dlm_core::link::{
    Done, Event, EverywhereKind, FromServer, Hello, MasterPlace, OperationKind, PlaceOrigin,
    SlotMap, SlotPlace, StreamRefusal, ToServer, Welcome,
};
use dlm_core::recovery::{Claim, KnownValue, Stands};
use dlm_core::{
    Epoch, Incarnation, LockId, LockspaceId, LogIndex, OpId, Owner, Refusal, ServerId, SessionId,
    SlotId, Status, StatusFlags, Token,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::{flags, glocks_query, glocks_report, mode, name, report, resource_name, value};
use crate::holders::QueryId;
use crate::link::{FromServerFrame, ToServerFrame};
use crate::trace::TraceContext;

fn op() -> impl Strategy<Value = OpId> {
    any::<u64>().prop_map(OpId)
}

fn lock() -> impl Strategy<Value = LockId> {
    any::<u64>().prop_map(LockId)
}

pub(crate) fn slot() -> impl Strategy<Value = SlotId> {
    (0u32..256).prop_map(|number| SlotId::new(number).expect("a slot"))
}

pub(crate) fn at() -> impl Strategy<Value = (SlotId, Epoch)> {
    (slot(), any::<u32>().prop_map(Epoch))
}

fn hello() -> impl Strategy<Value = Hello> {
    (
        any::<(u32, u32, u64, u128, u64, u64)>(),
        option::of(any::<u64>().prop_map(Incarnation)),
    )
        .prop_map(
            |((min, max, session, nonce, generation, after), incarnation)| Hello {
                versions: Versions { min, max },
                session: SessionId(session),
                nonce,
                generation,
                incarnation,
                after,
            },
        )
}

fn operation_kind() -> impl Strategy<Value = OperationKind> {
    let lock = || any::<u64>().prop_map(LockId);
    let owner = || any::<u64>().prop_map(Owner);
    let lockspace = any::<u32>().prop_map(LockspaceId);
    let request = (lockspace, lock(), resource_name(), mode(), flags(), owner());
    let convert = (lock(), mode(), flags(), owner(), value());
    prop_oneof![
        request.prop_map(|(lockspace, lock, name, mode, flags, owner)| {
            OperationKind::Request {
                lockspace,
                lock,
                name,
                mode,
                flags,
                owner,
            }
        }),
        convert.prop_map(|(lock, mode, flags, owner, value)| OperationKind::Convert {
            lock,
            mode,
            flags,
            owner,
            value,
        }),
        (lock(), flags(), value()).prop_map(|(lock, flags, value)| OperationKind::Unlock {
            lock,
            flags,
            value
        }),
        lock().prop_map(|lock| OperationKind::Cancel { lock }),
    ]
}

fn everywhere_kind() -> impl Strategy<Value = EverywhereKind> {
    let owner = || any::<u64>().prop_map(Owner);
    let lockspace = || any::<u32>().prop_map(LockspaceId);
    prop_oneof![
        owner().prop_map(|owner| EverywhereKind::OwnerEnded { owner }),
        (lockspace(), option::of(owner()))
            .prop_map(|(lockspace, owner)| EverywhereKind::PurgeOrphans { lockspace, owner }),
        lockspace().prop_map(|lockspace| EverywhereKind::LeaveLockspace { lockspace }),
    ]
}

fn stands() -> impl Strategy<Value = Stands> {
    let serial = || option::of(any::<u64>());
    prop_oneof![
        (mode(), option::of(op()))
            .prop_map(|(mode, unanswered)| Stands::Granted { mode, unanswered }),
        (mode(), mode(), op(), serial(), value()).prop_map(|(held, wanted, op, serial, given)| {
            Stands::Converting {
                held,
                wanted,
                op,
                serial,
                given,
            }
        }),
        (mode(), op(), serial()).prop_map(|(wanted, op, serial)| Stands::Waiting {
            wanted,
            op,
            serial
        }),
        (op(), option::of(op())).prop_map(|(op, ends)| Stands::Unlocked { op, ends }),
    ]
}

fn claim() -> impl Strategy<Value = Claim> {
    (
        any::<(u64, u32, u64, u64, u64, bool, bool)>(),
        (resource_name(), flags(), stands(), option::of(mode())),
        (any::<(u64, bool)>(), value()),
    )
        .prop_map(|(numbers, (name, flags, stands, granted), known)| {
            let (lock, lockspace, owner, token, value_sequence, orphan, uses_values) = numbers;
            let ((sequence, valid), bytes) = known;
            Claim {
                lock: LockId(lock),
                lockspace: LockspaceId(lockspace),
                name,
                owner: Owner(owner),
                flags,
                stands,
                granted,
                token: Token(token),
                orphan,
                uses_values,
                value_sequence,
                value: bytes.map(|bytes| KnownValue {
                    sequence,
                    bytes,
                    valid,
                }),
            }
        })
}

/// What is numbered.
fn numbered() -> impl Strategy<Value = ToServer> {
    prop_oneof![
        (any::<u64>(), op(), at(), operation_kind()).prop_map(
            |(number, op, (slot, epoch), kind)| ToServer::Operation {
                number,
                op,
                slot,
                epoch,
                kind,
            }
        ),
        (any::<u64>(), op(), everywhere_kind())
            .prop_map(|(number, op, kind)| ToServer::Everywhere { number, op, kind }),
        (any::<(u64, bool)>(), at(), vec(claim(), 0..4)).prop_map(
            |((number, done), (slot, epoch), claims)| ToServer::Claims {
                number,
                slot,
                epoch,
                claims,
                done,
            }
        ),
    ]
}

fn trace() -> impl Strategy<Value = (OpId, TraceContext)> {
    (any::<u64>(), 1..=u128::MAX, 1..=u64::MAX).prop_map(|(op, trace, span)| {
        let context = TraceContext::new(trace, span);
        (OpId(op), context.expect("neither is 0"))
    })
}

fn of_messages() -> impl Strategy<Value = ToServerFrame> {
    let acknowledge = any::<u64>().prop_map(|sequence| ToServer::Acknowledge { sequence });
    (
        vec(numbered(), 0..8),
        option::of(acknowledge),
        option::of(report()),
        option::of(glocks_report()),
        vec(trace(), 0..4),
    )
        .prop_map(|(mut messages, acknowledge, holders, glocks, traces)| {
            messages.extend(acknowledge);
            ToServerFrame {
                messages,
                holders,
                glocks,
                traces,
            }
        })
}

/// Any frame of a session.
pub(crate) fn to_server_frame() -> impl Strategy<Value = ToServerFrame> {
    let hello = hello().prop_map(|hello| ToServerFrame {
        messages: vec![ToServer::Hello(hello)],
        ..ToServerFrame::default()
    });
    prop_oneof![1 => hello, 8 => of_messages()]
}

fn status() -> impl Strategy<Value = Status> {
    select(vec![
        Status::Granted,
        Status::Unlocked,
        Status::Deadlock,
        Status::Adopted,
        Status::Refused(Refusal::Busy),
        Status::Refused(Refusal::NoSuchSession),
    ])
}

fn done() -> impl Strategy<Value = Done> {
    (
        any::<(u64, u64, u64, u64, u64)>(),
        (status(), option::of(mode()), 0u8..8, value()),
    )
        .prop_map(|(numbers, (status, mode, flags, value))| {
            let (op, lock, token, value_number, value_sequence) = numbers;
            Done {
                op: OpId(op),
                lock: LockId(lock),
                status,
                mode,
                token: Token(token),
                flags: StatusFlags::from_bits_truncate(flags),
                value: value.map(|value| (value_number, value)),
                value_sequence,
            }
        })
}

/// Anything that may happen to a session's locks.
pub(crate) fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        3 => done().prop_map(Event::Done),
        1 => (op(), lock(), any::<u64>())
            .prop_map(|(op, lock, serial)| Event::Queued { op, lock, serial }),
        1 => (lock(), mode()).prop_map(|(lock, mode)| Event::Blocking { lock, mode }),
        1 => (lock(), any::<u64>().prop_map(Owner))
            .prop_map(|(lock, owner)| Event::Orphaned { lock, owner }),
        1 => lock().prop_map(|lock| Event::OrphanPurged { lock }),
        1 => (op(), any::<u32>()).prop_map(|(op, locks)| Event::Purged { op, locks }),
        1 => (option::of(op()), at())
            .prop_map(|(op, (slot, epoch))| Event::NotMaster { op, slot, epoch }),
        1 => at().prop_map(|(slot, epoch)| Event::ClaimsTaken { slot, epoch }),
    ]
}

fn master() -> impl Strategy<Value = MasterPlace> {
    // Few, so that slots share them.
    (0u64..3, 0u64..2, name()).prop_map(|(server, incarnation, name)| MasterPlace {
        server: ServerId(server),
        incarnation: Incarnation(incarnation),
        endpoint: Endpoint::new(name.as_str()).expect("an address"),
    })
}

/// Any slot map.
pub(crate) fn slot_map() -> impl Strategy<Value = SlotMap> {
    let place = (
        any::<(u64, bool, bool)>(),
        at(),
        option::of(any::<prop::sample::Index>()),
    );
    (any::<u64>(), vec(master(), 1..4), vec(place, 0..12)).prop_map(|(index, masters, places)| {
        let place = |((since, planned, serving), (slot, epoch), master): (
            (u64, bool, bool),
            (SlotId, Epoch),
            Option<prop::sample::Index>,
        )| SlotPlace {
            slot,
            epoch,
            since: LogIndex(since),
            origin: if planned {
                PlaceOrigin::Planned
            } else {
                PlaceOrigin::Lost
            },
            serving,
            master: master.map(|master| master.get(&masters).clone()),
        };
        SlotMap {
            index: LogIndex(index),
            slots: places.into_iter().map(place).collect(),
        }
    })
}

fn stream_refusal() -> impl Strategy<Value = StreamRefusal> {
    select(vec![
        StreamRefusal::SessionUnknown,
        StreamRefusal::SessionDead,
        StreamRefusal::OlderGeneration,
        StreamRefusal::Numbers,
        StreamRefusal::Version,
        StreamRefusal::Full,
        StreamRefusal::OtherSlot,
    ])
}

/// Any frame of a server.
pub(crate) fn from_server_frame() -> impl Strategy<Value = FromServerFrame> {
    let welcome = (any::<(u32, u64, u64)>(), slot_map()).prop_map(
        |((version, incarnation, last_number), map)| {
            FromServer::Welcome(Welcome {
                version,
                incarnation: Incarnation(incarnation),
                last_number,
                map,
            })
        },
    );
    let message = prop_oneof![
        4 => (any::<u64>(), option::of(at()), event()).prop_map(|(sequence, slot, event)| {
            FromServer::Event {
                sequence,
                slot,
                event,
            }
        }),
        1 => slot_map().prop_map(FromServer::Map),
        1 => stream_refusal().prop_map(|why| FromServer::Refused { why }),
    ];
    (
        option::of(welcome),
        vec(message, 0..8),
        option::of(any::<u64>().prop_map(QueryId)),
        option::of(glocks_query()),
    )
        .prop_map(
            |(welcome, messages, holders_query, glocks_query)| FromServerFrame {
                messages: welcome.into_iter().chain(messages).collect(),
                holders_query,
                glocks_query,
            },
        )
}

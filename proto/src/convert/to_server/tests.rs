//! What a server takes on a stream, and what it does not.

use dlm_core::recovery::{Claim, KnownValue, Stands};
use dlm_core::{Mode, SlotId, Token};
use proptest::prelude::*;
use prost::Message;
use wire::slot_operation::Kind as Op;
use wire::to_server_item::Kind;

use super::*;
use crate::{CLAIMS_PER_FRAME_MAX, FRAME_BYTES_MAX, REPORT_ENTRIES_MAX, render, strategies};

proptest! {
    /// Whatever comes is read or refused; what is read means the same when it is written again.
    #[test]
    fn no_damage_breaks_the_decoder(
        frame in strategies::link::to_server_frame(),
        damage in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..6),
        keep in any::<proptest::sample::Index>(),
    ) {
        let mut bytes = render::to_server_frame(frame).encode_to_vec();
        for (at, byte) in damage {
            let len = bytes.len().max(1);
            if let Some(place) = bytes.get_mut(at % len) {
                *place = byte;
            }
        }
        read_again(&bytes)?;
        bytes.truncate(keep.index(bytes.len() + 1));
        read_again(&bytes)?;
    }

    #[test]
    fn what_was_rendered_is_read_back(frame in strategies::link::to_server_frame()) {
        let bytes = render::to_server_frame(frame.clone()).encode_to_vec();
        let decoded = wire::ToServerFrame::decode(&bytes[..]).unwrap();
        prop_assert_eq!(to_server_frame(decoded), Ok(frame));
    }
}

fn read_again(bytes: &[u8]) -> Result<(), TestCaseError> {
    let Ok(decoded) = wire::ToServerFrame::decode(bytes) else {
        return Ok(());
    };
    let Ok(parsed) = to_server_frame(decoded) else {
        return Ok(());
    };
    let unreadable = |message: &ToServer| matches!(message, ToServer::Unreadable { .. });
    if !parsed.messages.iter().any(unreadable) {
        let again = render::to_server_frame(parsed.clone()).encode_to_vec();
        let again = to_server_frame(wire::ToServerFrame::decode(&again[..]).unwrap());
        prop_assert_eq!(again.unwrap(), parsed);
    }
    Ok(())
}

fn items(kinds: Vec<Option<Kind>>) -> wire::ToServerFrame {
    let number = |(number, kind)| wire::ToServerItem { number, kind };
    wire::ToServerFrame {
        items: (1..).zip(kinds).map(number).collect(),
        ..wire::ToServerFrame::default()
    }
}

fn on_slot(op: u64, slot: u32, kind: Option<Op>) -> Option<Kind> {
    Some(Kind::Operation(wire::SlotOperation {
        op,
        slot,
        epoch: 1,
        kind,
    }))
}

fn request(name: &'static [u8], mode: i32) -> Option<Op> {
    Some(Op::Request(wire::Request {
        lockspace: 1,
        lock: 9,
        name: Bytes::from_static(name),
        mode,
        flags: 0x8000_0000,
        owner: 0,
    }))
}

#[test]
fn what_nobody_may_have_is_unreadable_under_its_numbers() {
    let long = Some(Bytes::from_static(&[1; 257]));
    let unlock = Op::Unlock(wire::Unlock {
        lock: 8,
        flags: 0,
        value: long.clone(),
    });
    let convert = Op::Convert(wire::Convert {
        lock: 7,
        mode: 1,
        flags: 0,
        owner: 0,
        value: long,
    });
    let frame = to_server_frame(items(vec![
        on_slot(11, 0, Some(unlock)),
        on_slot(12, 0, request(&[7; 65], 3)),
        on_slot(13, 255, request(&[7; 64], 3)),
        on_slot(14, 0, Some(convert)),
    ]))
    .unwrap();
    let unreadable = |number, op, lock, why| ToServer::Unreadable {
        number,
        op: OpId(op),
        lock: LockId(lock),
        why,
    };
    let [first, second, third, fourth] = &frame.messages[..] else {
        panic!("each stands where it was");
    };
    assert_eq!(first, &unreadable(1, 11, 8, Refusal::ValueLength));
    assert_eq!(second, &unreadable(2, 12, 9, Refusal::NameLength));
    assert_eq!(fourth, &unreadable(4, 14, 7, Refusal::ValueLength));
    let ToServer::Operation {
        kind: OperationKind::Request { flags, .. },
        ..
    } = third
    else {
        panic!("a request");
    };
    assert_eq!(flags.bits(), 0x8000_0000, "bits without a name do nothing");
    // Whoever passes one on does not make something else of it.
    let again = render::to_server_frame(frame);
    let op = 11;
    assert_eq!(to_server_frame(again), Err(WireError::OperationKind { op }));
}

#[test]
fn what_means_nothing_ends_the_stream() {
    let read = |kind| to_server_frame(items(vec![kind]));
    assert_eq!(read(None), Err(WireError::ItemKind { number: 1 }));
    let op = 5;
    assert_eq!(
        read(on_slot(op, 0, None)),
        Err(WireError::OperationKind { op })
    );
    let everywhere = wire::EverywhereOperation { op, kind: None };
    assert_eq!(
        read(Some(Kind::Everywhere(everywhere))),
        Err(WireError::OperationKind { op })
    );
    for mode in [-1, 0, 7] {
        let value = mode;
        let what = "mode";
        assert_eq!(
            read(on_slot(op, 0, request(b"a", mode))),
            Err(WireError::Enumeration { what, value })
        );
    }
    let number = 256;
    assert_eq!(
        read(on_slot(op, number, request(b"a", 3))),
        Err(WireError::Slot { number })
    );
}

#[test]
fn a_claim_that_means_nothing_ends_the_stream() {
    let read = |claim: wire::Claim| {
        to_server_frame(items(vec![Some(Kind::Claims(wire::SlotClaims {
            claims: vec![claim],
            ..wire::SlotClaims::default()
        }))]))
    };
    let claim = || wire::Claim {
        stands: Some(wire::claim::Stands::Unlocked(wire::ClaimUnlocked::default())),
        ..wire::Claim::default()
    };
    assert!(read(claim()).is_ok());
    let mut one = claim();
    one.stands = None;
    assert!(matches!(read(one), Err(WireError::Missing { .. })));
    let mut one = claim();
    one.name = Bytes::from_static(&[1; 65]);
    let bytes = 65;
    assert_eq!(read(one), Err(WireError::ResourceNameLength { bytes }));
    let mut one = claim();
    one.value = Some(wire::KnownValue {
        bytes: Bytes::from_static(&[1; 257]),
        ..wire::KnownValue::default()
    });
    let bytes = 257;
    assert_eq!(read(one), Err(WireError::ValueLength { bytes }));
    let mut one = claim();
    one.stands = Some(wire::claim::Stands::Held(wire::ClaimHeld::default()));
    assert!(matches!(read(one), Err(WireError::Enumeration { .. })));
}

#[test]
fn a_hello_stands_alone_and_has_16_bytes_for_a_nonce() {
    let hello = Some(wire::StreamHello {
        nonce: Bytes::from_static(&[1; 16]),
        ..wire::StreamHello::default()
    });
    let alone = wire::ToServerFrame {
        hello,
        ..wire::ToServerFrame::default()
    };
    let read = to_server_frame(alone.clone()).unwrap();
    assert!(matches!(read.messages[..], [ToServer::Hello(_)]));
    let more = wire::ToServerFrame {
        acknowledge: Some(0),
        ..alone.clone()
    };
    assert_eq!(to_server_frame(more), Err(WireError::HelloNotAlone));
    let mut short = alone;
    short.hello.as_mut().unwrap().nonce.truncate(15);
    let bytes = 15;
    assert_eq!(
        to_server_frame(short),
        Err(WireError::NonceLength { bytes })
    );
}

#[test]
fn a_trace_of_nothing_is_an_error() {
    let with = |trace: &[u8], span| {
        to_server_frame(wire::ToServerFrame {
            traces: vec![wire::OperationTrace {
                op: 7,
                trace: trace.to_vec().into(),
                span,
            }],
            ..wire::ToServerFrame::default()
        })
    };
    let read = with(&[9; 16], 5).unwrap();
    let context = TraceContext::new(u128::from_be_bytes([9; 16]), 5);
    assert_eq!(read.traces, [(OpId(7), context.unwrap())]);
    for (trace, span) in [(&[0; 16][..], 5), (&[9; 16], 0), (&[9; 15], 5), (&[], 5)] {
        assert_eq!(with(trace, span), Err(WireError::Trace), "{trace:?}");
    }
    let many = wire::ToServerFrame {
        traces: vec![wire::OperationTrace::default(); OPERATIONS_PER_FRAME_MAX + 1],
        ..wire::ToServerFrame::default()
    };
    let count = OPERATIONS_PER_FRAME_MAX + 1;
    assert_eq!(
        to_server_frame(many),
        Err(WireError::OperationsTooMany { count })
    );
}

#[test]
fn the_largest_acknowledgement_counts_and_comes_last() {
    let acknowledge = |sequence| ToServer::Acknowledge { sequence };
    let number = 1;
    let op = OpId(2);
    let owner = Owner(3);
    let kind = EverywhereKind::OwnerEnded { owner };
    let ended = ToServer::Everywhere { number, op, kind };
    let frame = ToServerFrame {
        messages: vec![
            acknowledge(4),
            acknowledge(9),
            ended.clone(),
            acknowledge(7),
        ],
        ..ToServerFrame::default()
    };
    let read = to_server_frame(render::to_server_frame(frame)).unwrap();
    assert_eq!(read.messages, [ended, acknowledge(9)]);
}

fn largest_claim() -> Claim {
    let value = ValueBlock::new(&[255; 256]).unwrap();
    Claim {
        lock: LockId(u64::MAX),
        lockspace: LockspaceId(u32::MAX),
        name: ResourceName::new(&[255; 64]).unwrap(),
        owner: Owner(u64::MAX),
        flags: RequestFlags::from_bits_retain(u32::MAX),
        stands: Stands::Converting {
            held: Mode::Ex,
            wanted: Mode::Ex,
            op: OpId(u64::MAX),
            serial: Some(u64::MAX),
            given: Some(value.clone()),
        },
        granted: Some(Mode::Ex),
        token: Token(u64::MAX),
        orphan: true,
        uses_values: true,
        value_sequence: u64::MAX,
        value: Some(KnownValue {
            sequence: u64::MAX,
            bytes: value,
            valid: true,
        }),
    }
}

/// The room that a report leaves in a frame is enough for whatever may be in it.
#[test]
fn the_fullest_frames_fit_and_one_more_is_too_many() {
    let slot = SlotId::new(255).unwrap();
    let epoch = Epoch(u32::MAX);
    let claims = |count| ToServer::Claims {
        number: u64::MAX,
        slot,
        epoch,
        claims: vec![largest_claim(); count],
        done: true,
    };
    let convert = ToServer::Operation {
        number: u64::MAX,
        op: OpId(u64::MAX),
        slot,
        epoch,
        kind: OperationKind::Convert {
            lock: LockId(u64::MAX),
            mode: Mode::Ex,
            flags: RequestFlags::from_bits_retain(u32::MAX),
            owner: Owner(u64::MAX),
            value: Some(ValueBlock::new(&[255; 256]).unwrap()),
        },
    };
    let fullest = [
        vec![claims(CLAIMS_PER_FRAME_MAX)],
        vec![claims(1); CLAIMS_PER_FRAME_MAX],
        vec![convert; OPERATIONS_PER_FRAME_MAX],
    ];
    for messages in fullest {
        let frame = ToServerFrame {
            messages,
            ..ToServerFrame::default()
        };
        let mut wire = render::to_server_frame(frame);
        let bytes = wire.encoded_len() + 100 * REPORT_ENTRIES_MAX;
        assert!(bytes <= FRAME_BYTES_MAX, "{bytes}");
        assert!(to_server_frame(wire.clone()).is_ok());
        wire.items.push(wire::ToServerItem::default());
        let count = OPERATIONS_PER_FRAME_MAX + 1;
        assert_eq!(
            to_server_frame(wire),
            Err(WireError::OperationsTooMany { count })
        );
    }
}

//! What a server takes from a client, and what it does not.

use dlm_core::deadlock::{GlockReport, HolderReport};
use proptest::prelude::*;
use prost::Message;
use prost::bytes::Bytes;
use wire::operation::Kind;

use super::*;
use crate::frame::{HoldersReport, QueryId};
use crate::glocks::{Glock, GlockHolder, GlocksReport, ObjectLines};
use crate::limits::OBJECT_BYTES_MAX;
use crate::{FRAME_BYTES_MAX, GLOCKS_PER_PAGE_MAX, REPORT_ENTRIES_MAX, render, strategies};

proptest! {
    /// Whatever comes is read or refused; what is read means the same when it is written again.
    #[test]
    fn no_bytes_break_the_decoder(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
        read_again(&bytes)?;
    }

    /// The same of frames that were damaged on the way, which get deeper than noise does.
    #[test]
    fn no_damage_breaks_the_decoder(
        frame in strategies::client_frame(),
        damage in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..6),
        keep in any::<proptest::sample::Index>(),
    ) {
        let mut bytes = render::client_frame(&frame).encode_to_vec();
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
    fn what_was_rendered_is_read_back(frame in strategies::client_frame()) {
        let bytes = render::client_frame(&frame).encode_to_vec();
        let decoded = wire::ClientFrame::decode(&bytes[..]).unwrap();
        let parsed = client_frame(decoded);
        prop_assert_eq!(parsed, Ok(ParsedClientFrame { frame, refused: Vec::new() }));
    }
}

fn read_again(bytes: &[u8]) -> Result<(), TestCaseError> {
    let Ok(decoded) = wire::ClientFrame::decode(bytes) else {
        return Ok(());
    };
    // A hello is read by another function, and must not break that one either.
    let _ = hello(decoded.clone());
    if let Ok(parsed) = client_frame(decoded) {
        let again = render::client_frame(&parsed.frame).encode_to_vec();
        let again = client_frame(wire::ClientFrame::decode(&again[..]).unwrap());
        prop_assert_eq!(again.unwrap().frame, parsed.frame);
    }
    Ok(())
}

fn operations(kinds: Vec<Option<Kind>>) -> wire::ClientFrame {
    let number = |(op, kind)| wire::Operation { op, kind };
    wire::ClientFrame {
        operations: (1..).zip(kinds).map(number).collect(),
        ..wire::ClientFrame::default()
    }
}

fn request(name: &'static [u8], mode: i32, flags: u32) -> Option<Kind> {
    Some(Kind::Request(wire::Request {
        lockspace: 1,
        lock: 9,
        name: Bytes::from_static(name),
        mode,
        flags,
        owner: 0,
    }))
}

#[test]
fn a_hello_comes_first_alone_and_once() {
    let said = Hello {
        versions: VersionRange { min: 1, max: 3 },
        name: Name::new("node1").unwrap(),
    };
    let frame = render::hello(&said);
    assert_eq!(hello(frame.clone()), Ok(said));
    assert_eq!(client_frame(frame.clone()), Err(WireError::HelloAgain));
    let with_more = wire::ClientFrame {
        goodbye: true,
        ..frame.clone()
    };
    assert_eq!(hello(with_more), Err(WireError::HelloNotAlone));
    let nothing = wire::ClientFrame::default();
    assert_eq!(hello(nothing), Err(WireError::HelloMissing));
    let mut nameless = frame;
    nameless.hello.as_mut().unwrap().name.clear();
    assert_eq!(hello(nameless), Err(WireError::NameLength { bytes: 0 }));
}

#[test]
fn what_nobody_may_have_is_refused_under_its_number() {
    let open = |name: String, value_length| {
        let breaks_deadlocks = false;
        let options = wire::LockspaceOptions {
            value_length,
            breaks_deadlocks,
        };
        let options = Some(options);
        Some(Kind::OpenLockspace(wire::OpenLockspace { name, options }))
    };
    let unlock = Some(Kind::Unlock(wire::Unlock {
        lock: 8,
        flags: 0,
        value: Some(Bytes::from_static(&[1; 257])),
    }));
    let parsed = client_frame(operations(vec![
        unlock,
        request(&[7; 65], 3, 0),
        request(b"", 3, 0x1),
        request(b"ok", 3, 0x2),
        open("x".repeat(65), 0),
        open("x".into(), 12),
    ]))
    .unwrap();
    let refused = |op, lock, refusal| RefusedOperation::Lock {
        op: OpId(op),
        lock: LockId(lock),
        refusal,
    };
    let not_opened = |op, why| RefusedOperation::Lockspace { op: OpId(op), why };
    assert_eq!(
        parsed.refused,
        [
            refused(1, 8, Refusal::ValueLength),
            refused(2, 9, Refusal::NameLength),
            not_opened(5, LockspaceRefusal::Name),
            not_opened(6, LockspaceRefusal::ValueLength),
        ]
    );
    let [third, fourth] = &parsed.frame.operations[..] else {
        panic!("two can be read");
    };
    assert_eq!((third.op, fourth.op), (OpId(3), OpId(4)));
    let OperationKind::Request { flags, .. } = fourth.kind else {
        panic!("a request");
    };
    assert_eq!(flags.bits(), 0x2, "for the table to refuse");
}

#[test]
fn what_means_nothing_ends_the_stream() {
    let kind = client_frame(operations(vec![None]));
    assert_eq!(kind, Err(WireError::OperationKind { op: 1 }));
    for mode in [-1, 0, 7] {
        assert_eq!(
            client_frame(operations(vec![request(b"a", mode, 0)])),
            Err(WireError::Enumeration {
                what: "mode",
                value: mode
            })
        );
    }
    let unlock = || {
        Some(Kind::Unlock(wire::Unlock {
            lock: 1,
            ..wire::Unlock::default()
        }))
    };
    let mut twice = operations(vec![unlock(), unlock()]);
    twice.operations[1].op = 1;
    assert_eq!(
        client_frame(twice),
        Err(WireError::OperationOrder { op: 1, before: 1 })
    );
    let count = OPERATIONS_PER_FRAME_MAX + 1;
    let many = client_frame(operations(vec![unlock(); count]));
    assert_eq!(many, Err(WireError::OperationsTooMany { count }));
}

#[test]
fn a_report_that_means_nothing_ends_the_stream() {
    let read = |holders| {
        client_frame(wire::ClientFrame {
            holders: Some(holders),
            ..wire::ClientFrame::default()
        })
        .unwrap_err()
    };
    let with_glock = |name: &'static [u8], mode, role| wire::HoldersReport {
        glocks: vec![wire::GlockHolders {
            name: Bytes::from_static(name),
            holders: vec![wire::LocalHolder {
                mode,
                role,
                ..wire::LocalHolder::default()
            }],
            ..wire::GlockHolders::default()
        }],
        ..wire::HoldersReport::default()
    };
    let bad_length = WireError::ResourceNameLength { bytes: 65 };
    assert_eq!(read(with_glock(&[7; 65], 1, 1)), bad_length);
    let unknown = |what| WireError::Enumeration { what, value: 0 };
    assert_eq!(read(with_glock(b"a", 0, 1)), unknown("mode"));
    assert_eq!(read(with_glock(b"a", 1, 0)), unknown("role"));
    let count = REPORT_ENTRIES_MAX + 1;
    let long = wire::HoldersReport {
        tasks: vec![wire::TaskName::default(); count],
        ..wire::HoldersReport::default()
    };
    assert_eq!(read(long), WireError::ReportTooLong { count });
}

/// The constants in `limits` promise that whatever may be sent in one frame can be.
#[test]
fn the_fullest_frame_fits_and_a_longer_report_is_cut() {
    let largest = Operation {
        op: OpId(u64::MAX),
        kind: OperationKind::Convert {
            lock: LockId(u64::MAX),
            mode: dlm_core::Mode::Ex,
            flags: RequestFlags::from_bits_retain(u32::MAX),
            owner: Owner(u64::MAX),
            value: ValueBlock::new(&[0xff; 256]).ok(),
        },
    };
    let holder = HolderReport {
        serial: u64::MAX,
        owner: Owner(u64::MAX),
        mode: dlm_core::Mode::Ex,
        granted: true,
        role: dlm_core::deadlock::Role::Fault,
        pins: u32::MAX,
        age_us: u64::MAX,
    };
    let glock = GlockReport {
        lockspace: LockspaceId(u32::MAX),
        name: ResourceName::new(&[0xff; 64]).unwrap(),
        holders: vec![holder],
    };
    let task = (Owner(u64::MAX), Name::lossy(&"x".repeat(64)));
    let mut frame = ClientFrame {
        operations: vec![largest; OPERATIONS_PER_FRAME_MAX],
        report: Some(HoldersReport {
            query: QueryId(u64::MAX),
            tasks: vec![task; REPORT_ENTRIES_MAX],
            glocks: vec![glock; REPORT_ENTRIES_MAX / 4],
        }),
        glocks: None,
        goodbye: true,
    };
    let mut rendered = render::client_frame(&frame);
    assert!(rendered.encoded_len() <= FRAME_BYTES_MAX);
    for (number, operation) in (1..).zip(&mut rendered.operations) {
        operation.op = number;
    }
    let report = client_frame(rendered).unwrap().frame.report.unwrap();
    assert_eq!(report.entries(), REPORT_ENTRIES_MAX);
    assert_eq!(report.glocks.len(), REPORT_ENTRIES_MAX / 4);

    frame.report = None;
    frame.glocks = Some(fullest_page());
    let mut rendered = render::client_frame(&frame);
    assert!(rendered.encoded_len() <= FRAME_BYTES_MAX);
    rendered.operations.clear();
    let page = client_frame(rendered.clone()).unwrap().frame.glocks;
    assert_eq!(page, frame.glocks);
    let glocks = &mut rendered.glocks.as_mut().unwrap().glocks;
    glocks.push(wire::Glock::default());
    let count = GLOCKS_PER_PAGE_MAX + 1;
    let refused = client_frame(rendered);
    assert_eq!(refused, Err(WireError::GlocksTooMany { count }));
}

fn fullest_page() -> GlocksReport {
    let holder = GlockHolder {
        state: dlm_core::Mode::Ex,
        flags: u32::MAX,
        granted: true,
        owner: Owner(u64::MAX),
        task: Some(Name::lossy(&"x".repeat(64))),
        age_us: u64::MAX,
    };
    let glock = |holders: usize| Glock {
        name: ResourceName::new(&[0xff; 64]).unwrap(),
        state: dlm_core::Mode::Ex,
        target: dlm_core::Mode::Ex,
        demanded: Some(dlm_core::Mode::Ex),
        demanded_us: u64::MAX,
        flags: u32::MAX,
        references: u32::MAX,
        hold_ms: u32::MAX,
        holders: vec![holder.clone(); holders],
        holders_left_out: u32::MAX,
        object: ObjectLines::lossy(&"x".repeat(OBJECT_BYTES_MAX)),
    };
    let alone = glock(2 * GLOCKS_PER_PAGE_MAX).cut();
    assert_eq!(alone.entries(), GLOCKS_PER_PAGE_MAX);
    assert_eq!(alone.holders_left_out as usize, GLOCKS_PER_PAGE_MAX + 1);
    GlocksReport {
        query: QueryId(u64::MAX),
        glocks: vec![glock(0); GLOCKS_PER_PAGE_MAX],
        more: true,
    }
}

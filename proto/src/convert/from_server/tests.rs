//! What a session takes on a stream, and what it does not.

use dlm_core::cluster::Endpoint;
use dlm_core::link::{MasterPlace, PlaceOrigin, SlotMap, SlotPlace};
use dlm_core::{LogIndex, Mode, Refusal, ServerId, SlotId, Status, ValueBlock};
use proptest::prelude::*;
use prost::Message;
use wire::from_server_item::Kind;

use super::*;
use crate::{FRAME_BYTES_MAX, GLOCKS_PER_PAGE_MAX, OPERATIONS_PER_FRAME_MAX, render, strategies};

proptest! {
    /// A server that lost its mind does no more to its client than to end the stream.
    #[test]
    fn no_damage_breaks_the_decoder(
        frame in strategies::link::from_server_frame(),
        damage in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = render::from_server_frame(frame).encode_to_vec();
        for (at, byte) in damage {
            let len = bytes.len().max(1);
            if let Some(place) = bytes.get_mut(at % len) {
                *place = byte;
            }
        }
        if let Ok(decoded) = wire::FromServerFrame::decode(&bytes[..])
            && let Ok(parsed) = from_server_frame(decoded)
        {
            let again = render::from_server_frame(parsed.clone());
            prop_assert_eq!(from_server_frame(again), Ok(parsed));
        }
    }

    #[test]
    fn what_was_rendered_is_read_back(frame in strategies::link::from_server_frame()) {
        let bytes = render::from_server_frame(frame.clone()).encode_to_vec();
        let decoded = wire::FromServerFrame::decode(&bytes[..]).unwrap();
        prop_assert_eq!(from_server_frame(decoded), Ok(frame));
    }
}

fn read(kind: Option<Kind>) -> Result<FromServerFrame, WireError> {
    from_server_frame(wire::FromServerFrame {
        items: vec![wire::FromServerItem { kind }],
        ..wire::FromServerFrame::default()
    })
}

#[test]
fn an_item_without_a_meaning_is_an_error() {
    assert_eq!(read(None), Err(WireError::EventKind));
    let event = wire::StreamEvent::default();
    assert_eq!(read(Some(Kind::Event(event))), Err(WireError::EventKind));
    for value in [0, 8] {
        let what = "reason to end a stream";
        assert_eq!(
            read(Some(Kind::Refused(value))),
            Err(WireError::Enumeration { what, value })
        );
    }
    let welcome = wire::FromServerFrame {
        welcome: Some(wire::StreamWelcome::default()),
        ..wire::FromServerFrame::default()
    };
    let what = "a slot map";
    assert_eq!(from_server_frame(welcome), Err(WireError::Missing { what }));
}

#[test]
fn a_map_that_contradicts_itself_is_an_error() {
    let slot = wire::MapSlot {
        master: Some(1),
        ..wire::MapSlot::default()
    };
    let server = wire::MapServer {
        endpoint: "a:1".into(),
        ..wire::MapServer::default()
    };
    let map = |slots, servers| {
        read(Some(Kind::Map(wire::SlotMap {
            index: 1,
            servers,
            slots,
        })))
    };
    let (index, servers) = (1, 1);
    assert_eq!(
        map(vec![slot], vec![server.clone()]),
        Err(WireError::MapServer { index, servers })
    );
    assert!(map(vec![slot], vec![server.clone(), server.clone()]).is_ok());
    let count = 257;
    let too_long = Err(WireError::MapTooLong { count });
    assert_eq!(map(vec![slot; count], vec![server.clone(); 2]), too_long);
    assert_eq!(map(Vec::new(), vec![server; count]), too_long);
}

fn full_map(servers: u64) -> SlotMap {
    let place = |slot: SlotId| SlotPlace {
        slot,
        epoch: Epoch(u32::MAX),
        since: LogIndex(u64::MAX),
        origin: PlaceOrigin::Planned,
        serving: true,
        master: Some(MasterPlace {
            server: ServerId(u64::MAX - u64::from(slot.number()) % servers),
            incarnation: Incarnation(u64::MAX),
            endpoint: Endpoint::new("x".repeat(260)).unwrap(),
        }),
    };
    SlotMap {
        index: LogIndex(u64::MAX),
        slots: SlotId::all().map(place).collect(),
    }
}

#[test]
fn a_map_names_each_server_once() {
    let frame = FromServerFrame {
        messages: vec![FromServer::Map(full_map(3))],
        ..FromServerFrame::default()
    };
    let bytes = render::from_server_frame(frame).encoded_len();
    assert!(bytes < 256 * 32 + 3 * 300, "{bytes}");
}

#[test]
fn the_fullest_frames_fit() {
    let done = FromServer::Event {
        sequence: u64::MAX,
        slot: Some((SlotId::new(255).unwrap(), Epoch(u32::MAX))),
        event: Event::Done(Done {
            op: OpId(u64::MAX),
            lock: LockId(u64::MAX),
            status: Status::Refused(Refusal::Busy),
            mode: Some(Mode::Ex),
            token: Token(u64::MAX),
            flags: StatusFlags::all(),
            value: Some((u64::MAX, ValueBlock::new(&[255; 256]).unwrap())),
            value_sequence: u64::MAX,
        }),
    };
    let map = FromServer::Map(full_map(256));
    let maps = OPERATIONS_PER_FRAME_MAX / FromServerFrame::entries_of(&map);
    for messages in [vec![done; OPERATIONS_PER_FRAME_MAX], vec![map; maps]] {
        let frame = FromServerFrame {
            messages,
            ..FromServerFrame::default()
        };
        let bytes = render::from_server_frame(frame).encoded_len();
        assert!(bytes + GLOCKS_PER_PAGE_MAX < FRAME_BYTES_MAX / 4, "{bytes}");
    }
}

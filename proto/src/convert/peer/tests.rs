//! What one server takes of another, and what it does not.

use dlm_core::ServerId;
use dlm_core::recovery::IMAGE_ENTRIES_MAX;
use proptest::prelude::*;
use prost::Message;
use prost::bytes::Bytes;
use wire::peer_item::Kind;

use super::*;
use crate::{render, strategies};

proptest! {
    #[test]
    fn what_was_rendered_is_read_back(frame in strategies::peer::frame()) {
        let bytes = render::peer_frame(frame.clone()).encode_to_vec();
        let decoded = wire::PeerFrame::decode(&bytes[..]).unwrap();
        prop_assert_eq!(peer_frame(decoded), Ok(frame));
    }

    #[test]
    fn a_welcome_comes_back_as_it_was(welcome in strategies::peer::welcome()) {
        let bytes = render::peer_welcome(welcome).encode_to_vec();
        let decoded = wire::PeerWelcome::decode(&bytes[..]).unwrap();
        prop_assert_eq!(peer_welcome(&decoded), Ok(welcome));
    }

    #[test]
    fn no_message_takes_more_than_is_counted_for_it(message in strategies::peer::message()) {
        let counted = PeerFrame::bytes_of(&message);
        let frame = render::peer_frame(PeerFrame { hello: None, messages: vec![message] });
        prop_assert!(frame.encoded_len() <= counted, "{} of {counted}", frame.encoded_len());
    }

    /// Whatever comes is read or refused; what is read means the same when it is written again.
    #[test]
    fn no_damage_breaks_the_decoder(
        frame in strategies::peer::frame(),
        damage in proptest::collection::vec((any::<usize>(), any::<u8>()), 1..6),
        keep in any::<proptest::sample::Index>(),
    ) {
        let mut bytes = render::peer_frame(frame).encode_to_vec();
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
}

fn read_again(bytes: &[u8]) -> Result<(), TestCaseError> {
    let Ok(decoded) = wire::PeerFrame::decode(bytes) else {
        return Ok(());
    };
    let Ok(parsed) = peer_frame(decoded) else {
        return Ok(());
    };
    let again = render::peer_frame(parsed.clone()).encode_to_vec();
    let again = peer_frame(wire::PeerFrame::decode(&again[..]).unwrap());
    prop_assert_eq!(again, Ok(parsed));
    Ok(())
}

fn hello_of(change: impl FnOnce(&mut wire::PeerFrame)) -> Result<PeerFrame, WireError> {
    let mut frame = wire::PeerFrame {
        hello: Some(wire::PeerHello {
            cluster: Bytes::from_static(&[1; 16]),
            server: 3,
            identity: Bytes::from_static(&[2; 16]),
            version_min: 1,
            version_max: 1,
            endpoint: "10.0.0.3:7170".to_owned(),
        }),
        items: Vec::new(),
    };
    change(&mut frame);
    peer_frame(frame)
}

#[test]
fn a_hello_stands_alone_and_says_who_it_is() {
    let hello = |change: fn(&mut wire::PeerHello)| {
        hello_of(|frame| change(frame.hello.as_mut().expect("a hello")))
    };
    let whole = hello_of(|_| {}).unwrap();
    assert_eq!(whole.hello.map(|hello| hello.server), Some(ServerId(3)));
    let item = wire::PeerItem { kind: None };
    let crowded = hello_of(|frame| frame.items.push(item));
    assert_eq!(crowded, Err(WireError::HelloNotAlone));
    let what = "a server's number";
    let missing = Err(WireError::Missing { what });
    assert_eq!(hello(|hello| hello.server = 0), missing);
    let short = |what| Err(WireError::IdentityLength { what, bytes: 0 });
    assert_eq!(
        hello(|hello| hello.cluster.clear()),
        short("a cluster's identity")
    );
    assert_eq!(
        hello(|hello| hello.identity.clear()),
        short("a server's identity")
    );
    let versions = WireError::VersionRange { min: 1, max: 0 };
    assert_eq!(hello(|hello| hello.version_max = 0), Err(versions));
    let nowhere = hello(|hello| hello.endpoint.clear());
    assert!(matches!(nowhere, Err(WireError::Text { .. })));
    let welcome = peer_welcome(&wire::PeerWelcome::default());
    let what = "a cluster's identity";
    assert_eq!(welcome, Err(WireError::IdentityLength { what, bytes: 0 }));
}

fn refusal_of(kind: Option<Kind>) -> WireError {
    let items = vec![wire::PeerItem { kind }];
    let hello = None;
    peer_frame(wire::PeerFrame { hello, items }).unwrap_err()
}

#[test]
fn a_message_without_a_part_is_refused() {
    let missing = |kind| match refusal_of(kind) {
        WireError::Missing { what } => what,
        other => panic!("{other}"),
    };
    let relay = |asked| Some(Kind::Relay(wire::RelayedCall { call: 1, asked }));
    let relayed = |answer| Some(Kind::Relayed(wire::RelayedAnswer { call: 1, answer }));
    let empty = wire::CallAnswered::default();
    assert_eq!(missing(None), "a kind that we know");
    assert_eq!(missing(relay(None)), "a call");
    assert_eq!(missing(relay(Some(wire::CallAsked::default()))), "a call");
    assert_eq!(missing(relayed(None)), "an answer");
    assert_eq!(missing(relayed(Some(empty))), "an answer");
    let proposed = wire::Proposed::default();
    assert_eq!(missing(Some(Kind::Propose(proposed))), "a proposal");
    let image = |image| missing(Some(Kind::Image(image)));
    let entries = vec![wire::ImageEntry::default()];
    let nothing = wire::SlotImage {
        entries,
        ..wire::SlotImage::default()
    };
    assert_eq!(image(nothing), "an entry of a table");
    let session = wire::HandedSession {
        answered: vec![wire::HandedAnswer::default()],
        ..wire::HandedSession::default()
    };
    let ledger = Some(wire::HandedLedger {
        sessions: vec![session],
    });
    let unanswered = wire::SlotImage {
        ledger,
        ..wire::SlotImage::default()
    };
    assert_eq!(image(unanswered), "an event");
}

#[test]
fn there_are_so_many_messages_entries_slots_and_bits() {
    let items = vec![wire::PeerItem::default(); PEER_MESSAGES_MAX + 1];
    let hello = None;
    let crowded = peer_frame(wire::PeerFrame { hello, items });
    let count = PEER_MESSAGES_MAX + 1;
    assert_eq!(crowded, Err(WireError::PeerMessagesTooMany { count }));

    let image = |entries| {
        refusal_of(Some(Kind::Image(wire::SlotImage {
            entries,
            ..wire::SlotImage::default()
        })))
    };
    let count = IMAGE_ENTRIES_MAX + 1;
    let long = image(vec![wire::ImageEntry::default(); count]);
    assert_eq!(long, WireError::ImageTooLong { count });

    let wanted = wire::ImageWanted {
        slot: 256,
        ..wire::ImageWanted::default()
    };
    let slot = refusal_of(Some(Kind::ImageWanted(wanted)));
    assert_eq!(slot, WireError::Slot { number: 256 });

    let resource = wire::ImageResource {
        token_modes: 0x100,
        ..wire::ImageResource::default()
    };
    let lock = wire::ImageLock {
        queue: wire::LockQueue::Granted.into(),
        told: wire::Mode::Nl.into(),
        ..wire::ImageLock::default()
    };
    let (mut marked, mut flagged) = (lock.clone(), lock);
    (marked.marks, flagged.status_flags) = (0x100, 0x100);
    let entries = [
        ("modes", wire::image_entry::Kind::Resource(resource)),
        ("marks of a lock", wire::image_entry::Kind::Lock(marked)),
        ("status flags", wire::image_entry::Kind::Lock(flagged)),
    ];
    for (what, kind) in entries {
        let bits = 0x100;
        let refused = image(vec![wire::ImageEntry { kind: Some(kind) }]);
        assert_eq!(refused, WireError::Bits { what, bits });
    }
}

#[test]
fn a_server_that_started_has_a_number_and_versions() {
    let started = |server, version_min| {
        let started = wire::ServerStartedCommand {
            server,
            nonce: Bytes::from_static(&[3; 16]),
            endpoint: "10.0.0.3:7170".to_owned(),
            peer_endpoint: "10.0.0.3:7171".to_owned(),
            version_min,
            version_max: 1,
        };
        let kind = Some(wire::proposed::Kind::Started(started));
        refusal_of(Some(Kind::Propose(wire::Proposed { kind })))
    };
    let what = "a server's number";
    assert_eq!(started(0, 1), WireError::Missing { what });
    assert_eq!(started(3, 2), WireError::VersionRange { min: 2, max: 1 });
}

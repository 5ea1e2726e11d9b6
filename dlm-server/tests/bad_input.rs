//! What a client must not send. A stream that breaks a rule ends, with one clear line or a last word; its
//! session lives on with all that it holds, and the others do not notice.

use dlm_core::link::{Event, OperationKind, StreamRefusal, ToServer};
use dlm_core::recovery::{Claim, Stands};
use dlm_core::{
    Epoch, LockId, LockspaceId, Mode, OpId, Owner, Refusal, RequestFlags, SessionId, SlotId,
    Status, Token,
};
use dlm_server::ServeError;
use dlm_server::embedded::Server;
use glockwork_proto::{FRAME_BYTES_MAX, OPERATIONS_PER_FRAME_MAX, REPORT_ENTRIES_MAX, wire};
use tokio_stream::StreamExt;
use tonic::Code;
use tonic::codegen::http::uri::PathAndQuery;
use tonic_prost::ProstCodec;

use crate::raw::{
    Ended, Link, Raw, Told, VERSIONS, channel, first_frame, frame, hello, nonce, serve,
};

mod raw;

type Item = wire::to_server_item::Kind;

/// Holds a lock, sends the frame, and goes on over another stream with what it has. Says how the first one
/// ended.
async fn ends_stream(made: impl FnOnce(&mut Raw) -> wire::ToServerFrame) -> Ended {
    let server = serve().await;
    let mut bad = Raw::join(&server, "bad").await;
    let mut good = Raw::join(&server, "good").await;
    bad.hold(1, "r", Mode::Ex).await;
    let taken = bad.number;
    let sent = made(&mut bad);
    bad.link.send(sent).await;
    let ended = bad.link.ended().await;

    assert!(!good.could_get("r", Mode::Cr).await, "it is still held");
    let welcome = bad.link_again().await;
    assert_eq!(welcome.last_number, taken, "nothing of the frame was taken");
    bad.number = taken;
    bad.unlock(1).await;
    assert_eq!(bad.told().await, Told::Done(1, Status::Unlocked, None));
    assert!(good.could_get("r", Mode::Ex).await);
    ended
}

/// A frame with these parts, numbered from the next number on.
fn items(of: &Raw, kinds: impl IntoIterator<Item = Option<Item>>) -> wire::ToServerFrame {
    let numbers = of.number + 1..;
    let items = numbers
        .zip(kinds)
        .map(|(number, kind)| wire::ToServerItem { number, kind });
    wire::ToServerFrame {
        items: items.collect(),
        ..wire::ToServerFrame::default()
    }
}

fn operation(kind: Option<wire::slot_operation::Kind>) -> Option<Item> {
    Some(Item::Operation(wire::SlotOperation {
        op: 100,
        epoch: 1,
        kind,
        ..wire::SlotOperation::default()
    }))
}

fn cancel() -> Option<wire::slot_operation::Kind> {
    Some(wire::slot_operation::Kind::Cancel(wire::Cancel { lock: 1 }))
}

fn claim() -> wire::Claim {
    wire::Claim {
        lock: 1,
        stands: Some(wire::claim::Stands::Waiting(wire::ClaimWaiting {
            wanted: wire::Mode::Ex.into(),
            ..wire::ClaimWaiting::default()
        })),
        ..wire::Claim::default()
    }
}

#[tokio::test]
async fn a_frame_that_is_too_long() {
    let ended = ends_stream(|bad| {
        let request = wire::Request {
            name: vec![0; FRAME_BYTES_MAX].into(),
            ..wire::Request::default()
        };
        let request = wire::slot_operation::Kind::Request(request);
        items(bad, [operation(Some(request))])
    });
    let status = ended.await.status();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("4194304 bytes"), "{status}");
}

#[tokio::test]
async fn a_frame_of_too_many_items() {
    let many = OPERATIONS_PER_FRAME_MAX + 1;
    let ended = ends_stream(|bad| items(bad, vec![operation(cancel()); many]));
    let status = ended.await.status();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("2049 operations"), "{status}");

    // Each claim counts as two.
    let ended = ends_stream(|bad| {
        let claims = wire::SlotClaims {
            claims: vec![claim(); 1025],
            epoch: 1,
            ..wire::SlotClaims::default()
        };
        items(bad, [Some(Item::Claims(claims))])
    });
    let status = ended.await.status();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("2050 operations"), "{status}");
}

#[tokio::test]
async fn a_report_that_is_too_long() {
    let ended = ends_stream(|_| {
        let task = wire::TaskName {
            owner: 1,
            name: "t".into(),
        };
        wire::ToServerFrame {
            holders: Some(wire::HoldersReport {
                query: 1,
                tasks: vec![task; REPORT_ENTRIES_MAX + 1],
                ..wire::HoldersReport::default()
            }),
            ..wire::ToServerFrame::default()
        }
    });
    let status = ended.await.status();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("32769 entries"), "{status}");
}

#[tokio::test]
async fn items_that_mean_nothing() {
    let convert = |mode| {
        operation(Some(wire::slot_operation::Kind::Convert(wire::Convert {
            lock: 1,
            mode,
            ..wire::Convert::default()
        })))
    };
    let of_slot = |slot| {
        Some(Item::Operation(wire::SlotOperation {
            op: 100,
            slot,
            epoch: 1,
            kind: cancel(),
        }))
    };
    let nowhere = Some(Item::Claims(wire::SlotClaims {
        slot: 256,
        ..wire::SlotClaims::default()
    }));
    let standing_nowhere = Some(Item::Claims(wire::SlotClaims {
        claims: vec![wire::Claim {
            stands: None,
            ..claim()
        }],
        ..wire::SlotClaims::default()
    }));
    let everywhere = Some(Item::Everywhere(wire::EverywhereOperation {
        op: 100,
        kind: None,
    }));
    for (item, has) in [
        (None, "of no known kind"),
        (operation(None), "operation 100 is of no known kind"),
        (everywhere, "operation 100 is of no known kind"),
        (convert(77), "77 is not a mode"),
        (convert(0), "0 is not a mode"),
        (of_slot(256), "slot 256 of 256"),
        (nowhere, "slot 256 of 256"),
        (standing_nowhere, "set it"),
    ] {
        let status = ends_stream(|bad| items(bad, [item])).await.status();
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        assert!(status.message().contains(has), "{status}");
    }
}

#[tokio::test]
async fn a_second_hello() {
    let ended = ends_stream(|bad| first_frame(bad.next_hello())).await;
    let status = ended.status();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("second hello"), "{status}");
}

#[tokio::test]
async fn a_number_that_is_left_out() {
    let ended = ends_stream(|bad| {
        bad.number += 1;
        let unlock = bad.numbered(Raw::unlock_of(1));
        frame(vec![unlock])
    });
    assert_eq!(ended.await.refusal(), StreamRefusal::Numbers);
}

#[tokio::test]
async fn a_slot_that_is_not_the_resources() {
    let ended = ends_stream(|bad| {
        let kind = bad.request_for(2, "s", Mode::Ex);
        let ToServer::Operation {
            number,
            op,
            slot,
            epoch,
            kind,
        } = bad.numbered(kind)
        else {
            panic!("an operation");
        };
        let slot = SlotId::new((slot.number() + 1) % 256).unwrap();
        frame(vec![ToServer::Operation {
            number,
            op,
            slot,
            epoch,
            kind,
        }])
    });
    assert_eq!(ended.await.refusal(), StreamRefusal::OtherSlot);
}

/// Strings where messages belong: the decoder cannot make a frame of them.
#[tokio::test]
async fn bytes_that_are_no_frame() {
    let server = serve().await;
    let mut grpc = tonic::client::Grpc::new(channel(&server).await);
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static("/glockwork.v1.Link/Stream");
    let frames =
        tokio_stream::iter([String::from("\u{7f}no frame")]).chain(tokio_stream::pending());
    let codec = ProstCodec::<String, wire::FromServerFrame>::default();
    let request = tonic::Request::new(frames);
    let response = grpc.streaming(request, path, codec).await.unwrap();
    let status = response.into_inner().message().await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("does not parse"), "{status}");
    assert!(!status.message().contains('\n'), "{status}");
    Raw::join(&server, "another").await;
}

/// How a stream ends that begins with this, beside a session that lives and goes on.
async fn begins_with(made: impl FnOnce(&Raw) -> wire::ToServerFrame) -> Ended {
    let server = serve().await;
    let mut other = Raw::join(&server, "other").await;
    other.hold(1, "r", Mode::Ex).await;
    let ended = Link::open(&channel(&server).await, made(&other))
        .await
        .ended()
        .await;
    other.unlock(1).await;
    let unlocked = Told::Done(1, Status::Unlocked, None);
    assert_eq!(other.told().await, unlocked, "on the stream that it had");
    ended
}

#[tokio::test]
async fn a_first_frame_that_is_no_hello() {
    let status = begins_with(|_| wire::ToServerFrame::default())
        .await
        .status();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("no hello"), "{status}");
    let status = begins_with(|of| items(of, [operation(cancel())]))
        .await
        .status();
    assert!(status.message().contains("no hello"), "{status}");
    let with_more = begins_with(|of| wire::ToServerFrame {
        acknowledge: Some(0),
        ..first_frame(of.next_hello())
    });
    let status = with_more.await.status();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("hello alone"), "{status}");
    let short = begins_with(|of| {
        let mut first = first_frame(of.next_hello());
        first.hello.as_mut().unwrap().nonce = vec![1; 15].into();
        first
    });
    let status = short.await.status();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("15 bytes"), "{status}");
}

#[tokio::test]
async fn a_hello_of_somebody_else() {
    let unknown = begins_with(|_| first_frame(hello(SessionId(999), nonce())));
    assert_eq!(unknown.await.refusal(), StreamRefusal::SessionUnknown);
    // Whoever guesses a session's number learns as much.
    let foreign = begins_with(|of| first_frame(hello(of.session, nonce())));
    assert_eq!(foreign.await.refusal(), StreamRefusal::SessionUnknown);
}

#[tokio::test]
async fn a_hello_of_another_version_or_of_an_older_stream() {
    let speaking = |min, max| {
        begins_with(move |of| {
            let mut hello = of.next_hello();
            (hello.versions.min, hello.versions.max) = (min, max);
            first_frame(hello)
        })
    };
    let newer = VERSIONS.max + 1;
    for (min, max) in [(newer, newer + 8), (2, 1), (0, 0)] {
        let ended = speaking(min, max).await;
        assert_eq!(ended.refusal(), StreamRefusal::Version, "{min} to {max}");
    }
    let same = begins_with(|of| {
        let mut hello = of.next_hello();
        hello.generation = of.generation;
        first_frame(hello)
    });
    assert_eq!(same.await.refusal(), StreamRefusal::OlderGeneration);
}

/// It is answered under its number, and the stream goes on.
#[tokio::test]
async fn what_is_asked_for_in_vain() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    let refused = |lock, refusal, mode| Told::Done(lock, Status::Refused(refusal), mode);
    a.unlock(9).await;
    assert_eq!(a.told().await, refused(9, Refusal::NoSuchLock, None));
    a.hold(1, "r", Mode::Ex).await;
    a.request(1, "r", Mode::Ex).await;
    let in_use = refused(1, Refusal::LockIdInUse, Some(Mode::Ex));
    assert_eq!(a.told().await, in_use);
    a.send(OperationKind::Convert {
        lock: LockId(1),
        mode: Mode::Nl,
        flags: RequestFlags::QUECVT,
        owner: Owner(0),
        value: None,
    })
    .await;
    let flags = refused(1, Refusal::Flags, Some(Mode::Ex));
    assert_eq!(a.told().await, flags);
    let elsewhere = OperationKind::Request {
        lockspace: LockspaceId(77),
        lock: LockId(3),
        name: raw::resource("r"),
        mode: Mode::Ex,
        flags: RequestFlags::empty(),
        owner: Owner(0),
    };
    a.send(elsewhere).await;
    let closed = refused(3, Refusal::NoSuchLockspace, None);
    assert_eq!(a.told().await, closed);

    // What the renderer would not write.
    let request = wire::slot_operation::Kind::Request(wire::Request {
        lock: 2,
        name: vec![b'x'; 65].into(),
        mode: wire::Mode::Ex.into(),
        ..wire::Request::default()
    });
    let unlock = wire::slot_operation::Kind::Unlock(wire::Unlock {
        lock: 1,
        value: Some(vec![b'x'; 257].into()),
        ..wire::Unlock::default()
    });
    for (kind, lock, refusal) in [
        (request, 2, Refusal::NameLength),
        (unlock, 1, Refusal::ValueLength),
    ] {
        let sent = items(&a, [operation(Some(kind))]);
        a.number += 1;
        a.link.send(sent).await;
        let Event::Done(done) = a.event().await else {
            panic!("an answer");
        };
        assert_eq!((done.op.0, done.lock.0), (100, lock));
        assert_eq!(done.status, Status::Refused(refusal));
    }
    a.unlock(1).await;
    assert_eq!(a.told().await, Told::Done(1, Status::Unlocked, None));
}

/// A claim for a slot that nobody lost, a lock of an epoch that never was, an event that was never sent.
#[tokio::test]
async fn claims_and_epochs_out_of_nowhere() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    let slot = a.slot_of("r");
    let Epoch(now) = a.epochs[&slot];
    let earlier = Epoch(now - 1);
    let claim = Claim {
        lock: LockId(1),
        lockspace: a.lockspace,
        name: raw::resource("r"),
        owner: Owner(0),
        flags: RequestFlags::empty(),
        stands: Stands::Granted {
            mode: Mode::Ex,
            unanswered: None,
        },
        granted: Some(Mode::Ex),
        token: Token(1),
        orphan: false,
        uses_values: false,
        value_sequence: 0,
        value: None,
    };
    let mut said = Vec::new();
    for (epoch, number) in [(earlier, 1), (Epoch(now), 2)] {
        said.push(ToServer::Claims {
            number,
            slot,
            epoch,
            claims: vec![claim.clone()],
            done: true,
        });
    }
    said.push(ToServer::Acknowledge { sequence: u64::MAX });
    a.number = 2;
    a.acknowledges = false;
    a.send_all(said).await;
    a.acknowledges = true;
    let not_master = Event::NotMaster {
        op: None,
        slot,
        epoch: Epoch(now),
    };
    assert_eq!(a.event().await, not_master);
    let epoch = Epoch(now);
    assert_eq!(a.event().await, Event::ClaimsTaken { slot, epoch });
    // Nothing came of any of it.
    a.hold(1, "r", Mode::Ex).await;
}

#[tokio::test]
async fn a_port_that_is_taken() {
    let server = serve().await;
    let error = Server::start(server.addr()).await.unwrap_err();
    assert!(matches!(error, ServeError::AddressInUse { addr } if addr == server.addr()));
    assert!(error.to_string().contains("--listen"), "{error}");
}

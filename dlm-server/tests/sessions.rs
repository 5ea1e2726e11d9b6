//! Sessions over real streams: what one does, and what the others learn of it.

use std::time::Duration;

use dlm_core::{
    LockId, LockspaceOptions, Mode, Owner, Refusal, RequestFlags, ResourceName, Status,
};
use dlm_server::limits::OUTPUTS_QUEUED_MAX;
use glockwork_proto::OPERATIONS_PER_FRAME_MAX;
use glockwork_proto::frame::{ClientFrame, Event, OperationKind};
use glockwork_proto::wire::inspect_client::InspectClient;
use glockwork_proto::{convert, wire};
use tokio::time::sleep;

use crate::raw::{Raw, Told, channel, serve};

mod raw;

#[tokio::test]
async fn a_lock_is_granted_waited_for_and_given_on() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    let mut b = Raw::join(&server, "b").await;
    assert_ne!(a.session, b.session);
    assert_eq!(a.lockspace, b.lockspace);

    a.hold(1, "r", Mode::Ex).await;
    b.request(7, "r", Mode::Pr).await;
    assert_eq!(a.told().await, Told::Blocking(1, Mode::Pr));
    a.unlock(1).await;
    assert_eq!(a.told().await, Told::Done(1, Status::Unlocked, None));
    let granted = Told::Done(7, Status::Granted, Some(Mode::Pr));
    assert_eq!(b.told().await, granted);
    assert!(b.tokens[0] > a.tokens[0], "a later incompatible grant");
    server.stop().await;
}

#[tokio::test]
async fn a_waiting_request_can_be_cancelled() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    let mut b = Raw::join(&server, "b").await;
    a.hold(1, "r", Mode::Ex).await;
    b.request(1, "r", Mode::Ex).await;
    b.cancel(1).await;
    assert_eq!(b.told().await, Told::Done(1, Status::Cancelled, None));
    assert_eq!(b.told().await, Told::Done(1, Status::CancelDone, None));
}

#[tokio::test]
async fn the_end_of_a_stream_releases_what_the_session_had() {
    let server = serve().await;
    let mut waiter = Raw::join(&server, "waiter").await;
    for (lock, goodbye) in [(1, true), (2, false)] {
        let mut holder = Raw::join(&server, "holder").await;
        holder.hold(1, "r", Mode::Ex).await;
        waiter.request(lock, "r", Mode::Ex).await;
        assert_eq!(holder.told().await, Told::Blocking(1, Mode::Ex));
        if goodbye {
            let goodbye = ClientFrame {
                goodbye,
                ..ClientFrame::default()
            };
            holder.send_frame(&goodbye).await;
            assert_eq!(holder.stream.next().await.unwrap(), None, "a quiet end");
        } else {
            drop(holder);
        }
        let granted = Told::Done(lock, Status::Granted, Some(Mode::Ex));
        assert_eq!(waiter.told().await, granted);
        waiter.unlock(lock).await;
        let unlocked = Told::Done(lock, Status::Unlocked, None);
        assert_eq!(waiter.told().await, unlocked);
    }
}

#[tokio::test]
async fn what_was_sent_before_the_goodbye_is_answered() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    let request = a.request_for(1, "r", Mode::Ex);
    let operations = vec![a.operation(request)];
    a.send_frame(&ClientFrame {
        operations,
        goodbye: true,
        ..ClientFrame::default()
    })
    .await;
    let granted = Told::Done(1, Status::Granted, Some(Mode::Ex));
    assert_eq!(a.told().await, granted);
    assert_eq!(a.stream.next().await.unwrap(), None);
}

#[tokio::test]
async fn a_frame_of_many_operations_is_done_in_order() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    let mut operations = Vec::new();
    let mut expected = Vec::new();
    for round in 0..200 {
        let request = a.request_for(round, "r", Mode::Ex);
        operations.push(a.operation(request));
        let lock = LockId(round);
        operations.push(a.operation(OperationKind::Unlock {
            lock,
            flags: RequestFlags::empty(),
            value: None,
        }));
        expected.push(Told::Done(round, Status::Granted, Some(Mode::Ex)));
        expected.push(Told::Done(round, Status::Unlocked, None));
    }
    a.send_frame(&ClientFrame {
        operations,
        ..ClientFrame::default()
    })
    .await;
    for each in expected {
        assert_eq!(a.told().await, each);
    }
}

#[tokio::test]
async fn a_lockspace_opens_after_what_was_asked_before_and_keeps_its_id() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    let request = a.request_for(1, "r", Mode::Ex);
    let name = glockwork_proto::Name::new("test").unwrap();
    let operations = vec![
        a.operation(request),
        a.operation(OperationKind::OpenLockspace {
            name,
            options: None,
        }),
    ];
    let second = operations[1].op;
    a.send_frame(&ClientFrame {
        operations,
        ..ClientFrame::default()
    })
    .await;
    assert!(matches!(a.event().await, Event::Done { .. }));
    let opened = Event::LockspaceOpened {
        op: second,
        lockspace: a.lockspace,
        options: LockspaceOptions::default(),
    };
    assert_eq!(a.event().await, opened);
}

#[tokio::test]
async fn what_cannot_be_done_is_refused_and_the_session_goes_on() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    let refused = |lock, refusal, mode| Told::Done(lock, Status::Refused(refusal), mode);
    a.unlock(9).await;
    assert_eq!(a.told().await, refused(9, Refusal::NoSuchLock, None));
    a.hold(1, "r", Mode::Ex).await;
    a.request(1, "s", Mode::Ex).await;
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

    // What the renderer would not write.
    let longest = ResourceName::new(&[b'x'; 64]).unwrap();
    let request = OperationKind::Request {
        lockspace: a.lockspace,
        lock: LockId(2),
        name: longest,
        mode: Mode::Ex,
        flags: RequestFlags::empty(),
        owner: Owner(0),
    };
    let operations = vec![a.operation(request)];
    let mut frame = glockwork_proto::render::client_frame(&ClientFrame {
        operations,
        ..ClientFrame::default()
    });
    let Some(wire::operation::Kind::Request(request)) = &mut frame.operations[0].kind else {
        panic!("a request");
    };
    request.name = [b'x'; 65].to_vec().into();
    a.stream.frames.send(frame).await.unwrap();
    assert_eq!(a.told().await, refused(2, Refusal::NameLength, None));
}

/// More answers than the server would ever keep for a client that does not read: reading from it
/// pauses instead.
#[tokio::test]
async fn a_client_that_reads_late_is_slowed_down_and_loses_nothing() {
    const FIRST: u64 = 100;
    let server = serve().await;
    let mut stream = Raw::join(&server, "a").await.stream;
    let frames = 2 * OUTPUTS_QUEUED_MAX / OPERATIONS_PER_FRAME_MAX;
    let all = FIRST + (frames * OPERATIONS_PER_FRAME_MAX) as u64;
    let outgoing = stream.frames.clone();
    let sending = tokio::spawn(async move {
        let ops: Vec<u64> = (FIRST..all).collect();
        for ops in ops.chunks(OPERATIONS_PER_FRAME_MAX) {
            outgoing.send(unlocks(ops)).await.unwrap();
        }
    });

    // It is read from until the answers have no room, and not further.
    let mut inspect = InspectClient::new(channel(&server).await);
    let (mut before, mut taken) = (0, 1);
    while before < taken {
        sleep(Duration::from_millis(100)).await;
        let status = inspect
            .status(wire::StatusRequest::default())
            .await
            .unwrap();
        before = taken;
        taken = status.into_inner().sessions[0].operations;
    }
    assert!((taken as usize) < OUTPUTS_QUEUED_MAX, "{taken} were taken");
    assert!(!sending.is_finished());

    let mut next = FIRST;
    while next < all {
        let frame = stream.next().await.unwrap().unwrap();
        for event in convert::server_frame(frame).unwrap().events {
            assert!(matches!(event, Event::Done { op, .. } if op.0 == next));
            next += 1;
        }
    }
    sending.await.unwrap();
}

fn unlocks(ops: &[u64]) -> wire::ClientFrame {
    let unlock = |&op: &u64| wire::Operation {
        op,
        kind: Some(wire::operation::Kind::Unlock(wire::Unlock {
            lock: 1,
            ..wire::Unlock::default()
        })),
    };
    wire::ClientFrame {
        operations: ops.iter().map(unlock).collect(),
        ..wire::ClientFrame::default()
    }
}

#[tokio::test]
async fn a_server_that_stops_says_so() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    let addr = server.addr();
    server.stop().await;
    let status = a.stream.error().await;
    assert_eq!(status.code(), tonic::Code::Unavailable);
    assert!(status.message().contains("stopping"), "{status}");
    // The port is free again.
    dlm_server::embedded::Server::start(addr).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_dropped_stops() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    drop(server);
    assert_eq!(a.stream.error().await.code(), tonic::Code::Unavailable);
}

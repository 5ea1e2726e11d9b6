//! What a shard does that no well-behaved client ever sees.

use dlm_core::{LockId, Mode, OpId, Owner, RequestFlags, ResourceName, Status};
use glockwork_proto::Name;
use glockwork_proto::OPERATIONS_PER_FRAME_MAX;
use glockwork_proto::convert;
use glockwork_proto::frame::{ClientFrame, Operation, OperationKind, ServerFrame};
use tokio_stream::StreamExt;

use super::*;
use crate::limits::OUTPUTS_QUEUED_MAX;
use crate::outbox::OutboxStream;

fn join(shard: &mut Shard, name: &str) -> (SessionId, OutboxStream) {
    let (outbox, stream) = Outbox::new();
    let hello = Hello {
        versions: VersionRange::OURS,
        name: Name::new(name).unwrap(),
    };
    (shard.join(hello, outbox).unwrap(), stream)
}

/// One frame, without what the reader does before it: waiting until the client has read.
fn frame(shard: &mut Shard, session: SessionId, first: u64, kinds: Vec<OperationKind>) {
    let number = |(op, kind)| Operation { op: OpId(op), kind };
    let frame = ClientFrame {
        operations: (first..).zip(kinds).map(number).collect(),
        ..ClientFrame::default()
    };
    let refused = Vec::new();
    let parsed = ParsedClientFrame { frame, refused };
    let stepped = shard.step(Command::Frame { session, parsed });
    assert!(stepped.is_continue());
    shard.deliver();
}

fn open_and_request() -> Vec<OperationKind> {
    let name = Name::new("test").unwrap();
    let request = OperationKind::Request {
        lockspace: dlm_core::LockspaceId(1),
        lock: LockId(1),
        name: ResourceName::new(b"r").unwrap(),
        mode: Mode::Ex,
        flags: RequestFlags::empty(),
        owner: Owner(0),
    };
    let options = None;
    vec![OperationKind::OpenLockspace { name, options }, request]
}

async fn events(stream: &mut OutboxStream) -> Vec<Event> {
    loop {
        let frame = stream.next().await.unwrap().unwrap();
        if frame.welcome.is_none() {
            let ServerFrame { events, .. } = convert::server_frame(frame).unwrap();
            return events;
        }
    }
}

#[tokio::test]
async fn a_session_that_reads_nothing_is_ended_and_its_locks_go_on() {
    let mut shard = Shard::new(Limits::default());
    let (deaf, mut deaf_stream) = join(&mut shard, "deaf");
    let (next, mut next_stream) = join(&mut shard, "next");
    frame(&mut shard, deaf, 1, open_and_request());
    frame(&mut shard, next, 1, open_and_request());

    let nothing = OperationKind::Cancel { lock: LockId(99) };
    let mut op = 10;
    while shard.sessions.contains_key(&deaf) {
        frame(
            &mut shard,
            deaf,
            op,
            vec![nothing.clone(); OPERATIONS_PER_FRAME_MAX],
        );
        op += OPERATIONS_PER_FRAME_MAX as u64;
        assert!(op < 2 * OUTPUTS_QUEUED_MAX as u64, "it is still there");
    }
    assert!(op > OUTPUTS_QUEUED_MAX as u64, "it was ended too early");

    let end = loop {
        match deaf_stream.next().await.unwrap() {
            Ok(frame) => assert!(frame.events.is_empty(), "what was queued is dropped"),
            Err(status) => break status,
        }
    };
    assert_eq!(end.code(), tonic::Code::ResourceExhausted);
    let granted = events(&mut next_stream).await;
    assert!(matches!(
        granted.last(),
        Some(Event::Done {
            lock: LockId(1),
            status: Status::Granted,
            mode: Some(Mode::Ex),
            ..
        })
    ));
}

#[tokio::test]
async fn sessions_have_a_limit() {
    let mut shard = Shard::new(Limits::default());
    let mut streams: Vec<_> = (0..SESSIONS_MAX)
        .map(|_| join(&mut shard, "one of many"))
        .collect();
    let (outbox, _stream) = Outbox::new();
    let hello = || Hello {
        versions: VersionRange::OURS,
        name: Name::new("one more").unwrap(),
    };
    let refused = shard.join(hello(), Arc::clone(&outbox));
    assert_eq!(refused, Err(SessionError::Sessions));
    let (session, _) = streams.pop().unwrap();
    shard.leave(session, End::Quiet);
    assert!(shard.join(hello(), outbox).is_ok());
}

/// Open twice is open once: the lockspace goes when its last session goes.
#[tokio::test]
async fn a_lockspace_is_counted_once_for_each_session() {
    let mut shard = Shard::new(Limits::default());
    let name = Name::new("test").unwrap();
    let (a, _a_stream) = join(&mut shard, "a");
    frame(&mut shard, a, 1, open_and_request());
    frame(&mut shard, a, 10, open_and_request());
    assert!(shard.lockspaces.id(&name).is_some());
    shard.leave(a, End::Quiet);
    assert_eq!(shard.lockspaces.id(&name), None);
    assert_eq!(shard.table.locks(), 0);
}

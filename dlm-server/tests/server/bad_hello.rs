//! Streams that begin badly: who is refused, with what, and that nobody else notices.

use dlm_core::link::{StreamRefusal, ToServer};
use dlm_core::{Mode, SessionId, Status};
use glockwork_proto::wire;
use tonic::Code;

use crate::raw::{
    Ended, Link, Raw, Told, VERSIONS, channel, first_frame, frame, hello, nonce, serve,
};

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
    let early = begins_with(|_| frame(vec![ToServer::Acknowledge { sequence: 0 }]));
    let status = early.await.status();
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

//! What a client must not send. Its session ends with one clear line and its locks are released; the
//! others do not notice.

use dlm_core::{Mode, Status};
use dlm_server::ServeError;
use dlm_server::embedded::Server;
use glockwork_proto::frame::Hello;
use glockwork_proto::{FRAME_BYTES_MAX, Name, VersionRange, render, wire};
use tokio_stream::StreamExt;
use tonic::Code;
use tonic::codegen::http::uri::PathAndQuery;
use tonic_prost::ProstCodec;

use crate::raw::{Raw, Told, channel, hello, open, serve};

mod raw;

/// Holds a lock, sends the frame, and checks that another gets the lock and the sender the status.
async fn ends_session(frame: wire::ClientFrame) -> tonic::Status {
    let server = serve().await;
    let mut bad = Raw::join(&server, "bad").await;
    let mut good = Raw::join(&server, "good").await;
    bad.hold(1, "r", Mode::Ex).await;
    good.request(1, "r", Mode::Ex).await;
    bad.stream.frames.send(frame).await.unwrap();
    let status = bad.stream.error().await;
    let granted = Told::Done(1, Status::Granted, Some(Mode::Ex));
    assert_eq!(good.told().await, granted);
    good.hold(2, "s", Mode::Pr).await;
    one_line(&status);
    status
}

/// The first frame does not make a session.
async fn refused(first: wire::ClientFrame) -> tonic::Status {
    let server = serve().await;
    let status = open(&server, &[first]).await.error().await;
    Raw::join(&server, "another").await;
    one_line(&status);
    status
}

fn one_line(status: &tonic::Status) {
    let message = status.message();
    assert!(!message.is_empty() && !message.contains('\n'), "{message}");
}

fn operations(operations: Vec<wire::Operation>) -> wire::ClientFrame {
    wire::ClientFrame {
        operations,
        ..wire::ClientFrame::default()
    }
}

#[tokio::test]
async fn a_frame_that_is_too_long() {
    let name = vec![0; FRAME_BYTES_MAX].into();
    let request = wire::Request {
        name,
        ..wire::Request::default()
    };
    let long = wire::Operation {
        op: 100,
        kind: Some(wire::operation::Kind::Request(request)),
    };
    let status = ends_session(operations(vec![long])).await;
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("send its operations in several"));
}

#[tokio::test]
async fn a_frame_of_too_many_operations() {
    let unlock = |op| wire::Operation {
        op,
        kind: Some(wire::operation::Kind::Unlock(wire::Unlock {
            lock: 1,
            ..wire::Unlock::default()
        })),
    };
    let status = ends_session(operations((100..5000).map(unlock).collect())).await;
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("4900 operations"), "{status}");
}

#[tokio::test]
async fn an_operation_of_no_kind_out_of_order_or_of_no_mode() {
    let nothing = wire::Operation {
        op: 100,
        kind: None,
    };
    let status = ends_session(operations(vec![nothing])).await;
    assert_eq!(status.code(), Code::InvalidArgument);
    let convert = |op, mode| wire::Operation {
        op,
        kind: Some(wire::operation::Kind::Convert(wire::Convert {
            lock: 1,
            mode,
            ..wire::Convert::default()
        })),
    };
    let status = ends_session(operations(vec![convert(1, 3)])).await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(
        status.message().contains("operation 1 came after"),
        "{status}"
    );
    let status = ends_session(operations(vec![convert(100, 77)])).await;
    assert!(status.message().contains("77 is not a mode"), "{status}");
}

#[tokio::test]
async fn a_second_hello() {
    let status = ends_session(hello("again")).await;
    assert_eq!(status.code(), Code::InvalidArgument);
}

/// Strings where messages belong: the decoder cannot make a frame of them.
#[tokio::test]
async fn bytes_that_are_no_frame() {
    let server = serve().await;
    let mut grpc = tonic::client::Grpc::new(channel(&server).await);
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static("/glockwork.v1.Lock/Session");
    let frames =
        tokio_stream::iter([String::from("\u{7f}no frame")]).chain(tokio_stream::pending());
    let codec = ProstCodec::<String, wire::ServerFrame>::default();
    let request = tonic::Request::new(frames);
    let response = grpc.streaming(request, path, codec).await.unwrap();
    let status = response.into_inner().message().await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("does not parse"), "{status}");
    one_line(&status);
    Raw::join(&server, "another").await;
}

#[tokio::test]
async fn a_first_frame_that_is_no_hello() {
    let status = refused(wire::ClientFrame::default()).await;
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("no hello"), "{status}");
    let with_more = wire::ClientFrame {
        goodbye: true,
        ..hello("a")
    };
    assert_eq!(refused(with_more).await.code(), Code::InvalidArgument);
    let mut nameless = hello("a");
    nameless.hello.as_mut().unwrap().name.clear();
    assert_eq!(refused(nameless).await.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn versions_without_one_in_common() {
    let status = refused(render::hello(&Hello {
        versions: VersionRange { min: 90, max: 91 },
        name: Name::new("from the future").unwrap(),
    }))
    .await;
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("90 to 91"), "{status}");
}

#[tokio::test]
async fn a_port_that_is_taken() {
    let server = serve().await;
    let error = Server::start(server.addr()).await.unwrap_err();
    assert!(matches!(error, ServeError::AddressInUse { addr } if addr == server.addr()));
    assert!(error.to_string().contains("--listen"), "{error}");
}

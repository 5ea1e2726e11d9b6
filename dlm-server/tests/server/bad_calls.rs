//! Calls that mean nothing, and versions: who speaks an older protocol and a newer one as well is understood.

use dlm_core::cluster::{ClusterOptions, CommandRefusal};
use dlm_core::{LockspaceOptions, Mode, SessionId};
use glockwork_proto::cluster::Answer;
use glockwork_proto::peer::{PeerFrame, PeerHello};
use glockwork_proto::wire::cluster_client::ClusterClient;
use glockwork_proto::wire::founding_client::FoundingClient;
use glockwork_proto::wire::peer_client::PeerClient;
use glockwork_proto::{VersionRange, convert, render, wire};
use tonic::transport::Channel;
use tonic::{Code, Status};

use crate::raw::{Raw, VERSIONS, channel, connect, join_request, nonce, of_table, serve};

/// A refused call says one line that has this in it.
fn says<T: std::fmt::Debug>(reply: Result<T, Status>, code: Code, has: &str) {
    let status = reply.unwrap_err();
    let message = status.message();
    assert_eq!(status.code(), code, "{status}");
    assert!(message.contains(has) && !message.contains('\n'), "{status}");
}

#[tokio::test]
async fn who_joins_has_a_nonce_a_name_and_a_version() {
    let server = serve().await;
    let mut client = ClusterClient::new(channel(&server).await);
    let good = || join_request(nonce(), "a");
    let with = |change: fn(&mut wire::JoinRequest)| {
        let mut request = good();
        change(&mut request);
        request
    };
    for (request, has) in [
        (with(|it| it.nonce = vec![1; 15].into()), "15 bytes"),
        (with(|it| it.nonce.clear()), "0 bytes"),
        (with(|it| it.name.clear()), "name"),
        (with(|it| it.name = "x".repeat(65)), "name"),
        (with(|it| it.name = "a\u{1b}[2J".into()), "name"),
        (with(|it| it.version_min = 3), "versions from 3 to 1"),
    ] {
        says(client.join(request).await, Code::InvalidArgument, has);
    }
    client.join(good()).await.unwrap();
}

#[tokio::test]
async fn whoever_is_nobody_is_told_so() {
    let server = serve().await;
    let mut client = ClusterClient::new(channel(&server).await);
    let session = 999;
    let refused = Answer::Refused(CommandRefusal::NoSuchSession);
    let nonce = render::identity(nonce());
    let request = wire::KeepAliveRequest {
        session,
        nonce: nonce.clone(),
    };
    let reply = client.keep_alive(request).await;
    let reply = reply.unwrap().into_inner();
    assert_eq!(
        convert::keepalive_reply(reply).unwrap(),
        refused_as(&refused)
    );
    let request = wire::GoodbyeRequest {
        session,
        nonce: nonce.clone(),
    };
    let reply = client.goodbye(request).await;
    let reply = reply.unwrap().into_inner();
    assert_eq!(convert::plain_reply(reply).unwrap(), refused);
    let reply = client.evict(wire::EvictRequest { session }).await;
    let reply = reply.unwrap().into_inner();
    assert_eq!(convert::plain_reply(reply).unwrap(), refused);
    let confirm = wire::ConfirmFenceRequest { session };
    let reply = client.confirm_fence(confirm).await.unwrap().into_inner();
    assert_eq!(convert::plain_reply(reply).unwrap(), refused);
    let leave = wire::LeaveLockspaceRequest {
        session,
        nonce: nonce.clone(),
        lockspace: 1,
    };
    let reply = client.leave_lockspace(leave).await.unwrap().into_inner();
    assert_eq!(convert::plain_reply(reply).unwrap(), refused);
    let replayed = wire::ReplayedRequest {
        dead: session,
        lockspace: 1,
        by: session,
        nonce,
    };
    let reply = client.replayed(replayed).await.unwrap().into_inner();
    let answer = convert::plain_reply(reply).unwrap();
    assert!(matches!(answer, Answer::Refused(_)), "{answer:?}");
}

/// Its locks, its lease and its lockspaces are the session's own.
#[tokio::test]
async fn whoever_knows_a_sessions_number_only_can_do_nothing_in_its_name() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    a.hold(1, "r", Mode::Ex).await;
    let mut client = ClusterClient::new(channel(&server).await);
    let (session, nonce) = (a.session.0, render::identity(nonce()));
    let refused = Answer::Refused(CommandRefusal::NotYours);
    let request = wire::KeepAliveRequest {
        session,
        nonce: nonce.clone(),
    };
    let reply = client.keep_alive(request).await.unwrap().into_inner();
    assert_eq!(
        convert::keepalive_reply(reply).unwrap(),
        refused_as(&refused)
    );
    let open = wire::OpenLockspaceRequest {
        session,
        nonce: nonce.clone(),
        name: "other".into(),
        options: None,
    };
    let reply = client.open_lockspace(open).await.unwrap().into_inner();
    let answer = convert::open_lockspace_reply(reply).unwrap();
    assert_eq!(answer, refused_as(&refused));
    let leave = wire::LeaveLockspaceRequest {
        session,
        nonce: nonce.clone(),
        lockspace: a.lockspace.0,
    };
    let reply = client.leave_lockspace(leave).await.unwrap().into_inner();
    assert_eq!(convert::plain_reply(reply).unwrap(), refused);
    let replayed = wire::ReplayedRequest {
        dead: 1,
        lockspace: a.lockspace.0,
        by: session,
        nonce: nonce.clone(),
    };
    let reply = client.replayed(replayed).await.unwrap().into_inner();
    assert_eq!(convert::plain_reply(reply).unwrap(), refused);
    let goodbye = wire::GoodbyeRequest { session, nonce };
    let reply = client.goodbye(goodbye).await.unwrap().into_inner();
    assert_eq!(convert::plain_reply(reply).unwrap(), refused);
    let mut b = Raw::join(&server, "b").await;
    assert!(!b.could_get("r", Mode::Ex).await, "it is still held");
    a.goodbye().await;
}

fn refused_as<T>(answer: &Answer<()>) -> Answer<T> {
    match answer {
        Answer::Refused(why) => Answer::Refused(why.clone()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn lockspaces_that_nobody_can_have() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    let asked = |name: &str, value_length| wire::OpenLockspaceRequest {
        session: a.session.0,
        nonce: render::identity(a.nonce),
        name: name.into(),
        options: Some(wire::ClusterOptions {
            locks: Some(wire::LockspaceOptions {
                value_length,
                ..wire::LockspaceOptions::default()
            }),
            ..wire::ClusterOptions::default()
        }),
    };
    for (request, has) in [
        (asked("", 32), "name"),
        (asked(&"x".repeat(65), 32), "name"),
        (asked("a\nb", 32), "name"),
        (asked("a", 33), "value blocks of 33 bytes"),
        (asked("a", 264), "value blocks of 264 bytes"),
    ] {
        let reply = a.calls.open_lockspace(request).await;
        says(reply, Code::InvalidArgument, has);
    }
    let fenced = ClusterOptions {
        fenced: true,
        ..of_table(LockspaceOptions::default())
    };
    let like = ClusterOptions::default();
    let refused = a.open("test", Some(fenced)).await;
    assert_eq!(refused, Err(CommandRefusal::Options(like)));
    a.goodbye().await;
    let gone = a.open("test", None).await.unwrap_err();
    let text = gone.to_string();
    assert!(text.contains("join again"), "{text}");
}

#[tokio::test]
async fn servers_that_are_none() {
    let server = serve().await;
    let mut client = ClusterClient::new(channel(&server).await);
    let add = |server, at: &str| wire::AddServerRequest {
        server,
        peer_endpoint: at.into(),
        ..wire::AddServerRequest::default()
    };
    let reply = client.add_server(add(2, "")).await;
    says(reply, Code::InvalidArgument, "address");
    let reply = client.add_server(add(2, &"x".repeat(261))).await;
    says(reply, Code::InvalidArgument, "address");
    // Nobody is there: its own line says what to start, and how.
    let reply = client.add_server(add(2, "127.0.0.1:1")).await;
    says(reply, Code::FailedPrecondition, "--id 2 --join");
    // Whoever is there has another number.
    let own = server.addr().to_string();
    let reply = client.add_server(add(2, &own)).await;
    says(reply, Code::FailedPrecondition, "server 1 answers at");
    for (number, why) in [
        (1, CommandRefusal::LastServer),
        (7, CommandRefusal::NoSuchServer),
    ] {
        let request = wire::RemoveServerRequest { server: number };
        let reply = client.remove_server(request).await.unwrap().into_inner();
        assert_eq!(convert::plain_reply(reply).unwrap(), Answer::Refused(why));
    }
    let request = wire::RemoveServerRequest { server: 0 };
    let reply = client.remove_server(request).await;
    assert_eq!(reply.unwrap_err().code(), Code::InvalidArgument);
}

/// Joins with these versions.
async fn joins_with(
    client: &mut ClusterClient<Channel>,
    (min, max): (u32, u32),
) -> Result<u32, CommandRefusal> {
    let request = wire::JoinRequest {
        version_min: min,
        version_max: max,
        ..join_request(nonce(), "a")
    };
    let reply = client.join(request).await.unwrap().into_inner();
    match convert::join_reply(reply).unwrap() {
        Answer::Done(joined) => Ok(joined.version),
        Answer::Refused(why) => Err(why),
        Answer::Leader(at) => panic!("another server leads: {at:?}"),
    }
}

#[tokio::test]
async fn the_newest_version_that_both_speak_is_spoken() {
    let server = serve().await;
    let mut client = ClusterClient::new(channel(&server).await);
    let ours = VERSIONS.max;
    assert_eq!(joins_with(&mut client, (1, ours)).await, Ok(ours));
    assert_eq!(joins_with(&mut client, (0, 9)).await, Ok(ours));
    assert_eq!(joins_with(&mut client, (1, 9)).await, Ok(ours));
    for none in [(9, 9), (ours + 1, 20), (0, 0)] {
        let why = joins_with(&mut client, none).await.unwrap_err();
        let (min, max) = (VERSIONS.min, VERSIONS.max);
        assert_eq!(why, CommandRefusal::Versions { min, max });
        let text = why.to_string();
        assert!(text.contains("upgrade") && !text.contains('\n'), "{text}");
    }
}

/// What another server of the same cluster would begin with, which speaks these versions.
async fn greeted_with(channel: &Channel, versions: VersionRange) -> Result<u32, Status> {
    let mut founding = FoundingClient::new(channel.clone());
    let ours = wire::Introduction {
        server: 2,
        identity: render::identity(5),
        ..wire::Introduction::default()
    };
    let theirs = founding.introduce(ours).await.unwrap().into_inner();
    let cluster = theirs.cluster.expect("it has one");
    let mut peer = PeerClient::new(channel.clone());
    let hello = PeerHello {
        cluster: u128::from_be_bytes(cluster[..].try_into().unwrap()),
        server: dlm_core::ServerId(2),
        identity: 5,
        versions,
        endpoint: dlm_core::cluster::Endpoint::new("127.0.0.1:2").unwrap(),
    };
    let first = render::peer_frame(PeerFrame::from(hello));
    let mut replies = peer.stream(tokio_stream::iter([first])).await?.into_inner();
    let welcome = replies.message().await?.expect("a welcome");
    Ok(convert::peer_welcome(&welcome).unwrap().version)
}

#[tokio::test]
async fn servers_of_a_rolling_upgrade_understand_each_other() {
    let server = serve().await;
    let channel = connect(server.addr()).await;
    let ours = VersionRange::OURS;
    let newer = VersionRange { min: 1, max: 9 };
    for both in [ours, newer] {
        assert_eq!(greeted_with(&channel, both).await.unwrap(), ours.max);
    }
    let future = VersionRange { min: 7, max: 9 };
    let reply = greeted_with(&channel, future).await;
    says(reply, Code::FailedPrecondition, "7 to 9");
    let backwards = VersionRange { min: 9, max: 7 };
    let reply = greeted_with(&channel, backwards).await;
    says(reply, Code::InvalidArgument, "versions from 9 to 7");
}

#[tokio::test]
async fn a_server_of_another_cluster_is_told_so() {
    let server = serve().await;
    let mut peer = PeerClient::new(channel(&server).await);
    let hello = wire::PeerHello {
        cluster: render::identity(77),
        server: 2,
        identity: render::identity(5),
        version_min: 1,
        version_max: 1,
        endpoint: "127.0.0.1:2".into(),
    };
    let greet = |hello| {
        let first = wire::PeerFrame {
            hello,
            ..wire::PeerFrame::default()
        };
        tokio_stream::iter([first])
    };
    let reply = peer.stream(greet(Some(hello.clone()))).await;
    says(reply, Code::FailedPrecondition, "correct the address");
    let reply = peer.stream(greet(None)).await;
    says(reply, Code::InvalidArgument, "no hello");
    let nobody = wire::PeerHello { server: 0, ..hello };
    let reply = peer.stream(greet(Some(nobody))).await;
    assert_eq!(reply.unwrap_err().code(), Code::InvalidArgument);
    let session = SessionId(1);
    let reply = ClusterClient::new(channel(&server).await)
        .keep_alive(wire::KeepAliveRequest {
            session: session.0,
            nonce: render::identity(nonce()),
        })
        .await;
    assert!(reply.is_ok(), "the others are served");
}

//! Health, reflection, numbers, and the lock graph.

use dlm_core::Mode;
use glockwork_proto::wire::cluster_client::ClusterClient;
use glockwork_proto::wire::inspect_client::InspectClient;
use glockwork_proto::{convert, wire};
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::{v1, v1alpha};

use crate::raw::{Raw, Told, channel, serve};

const SERVICES: [&str; 7] = [
    "glockwork.v1.Link",
    "glockwork.v1.Cluster",
    "glockwork.v1.Inspect",
    "glockwork.v1.Lock",
    "glockwork.v1.Peer",
    "glockwork.v1.Founding",
    "glockwork.v1.Fault",
];

#[tokio::test]
async fn health_says_serving() {
    let server = serve().await;
    let mut client = HealthClient::new(channel(&server).await);
    for service in ["", SERVICES[0], SERVICES[1], SERVICES[2]] {
        let service = service.into();
        let reply = client.check(HealthCheckRequest { service }).await.unwrap();
        assert_eq!(reply.into_inner().status(), ServingStatus::Serving);
    }
}

#[tokio::test]
async fn reflection_lists_the_services_and_describes_them() {
    use v1::server_reflection_request::MessageRequest;
    use v1::server_reflection_response::MessageResponse;

    let server = serve().await;
    let channel = channel(&server).await;
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(channel);
    let ask = |message_request| v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(message_request),
    };
    let described = SERVICES.map(|name| ask(MessageRequest::FileContainingSymbol(name.into())));
    let list = ask(MessageRequest::ListServices(String::new()));
    let requests = tokio_stream::iter([list].into_iter().chain(described));
    let response = client.server_reflection_info(requests).await.unwrap();
    let mut answers = response.into_inner();
    let mut answer = async || answers.message().await.unwrap().unwrap().message_response;
    let Some(MessageResponse::ListServicesResponse(list)) = answer().await else {
        panic!("a list");
    };
    let names: Vec<_> = list.service.into_iter().map(|it| it.name).collect();
    for wanted in SERVICES.iter().chain(&["grpc.health.v1.Health"]) {
        assert!(names.iter().any(|name| name == wanted), "{names:?}");
    }
    for name in SERVICES {
        let Some(MessageResponse::FileDescriptorResponse(_)) = answer().await else {
            panic!("a description of {name}");
        };
    }
}

/// Older tools know only this one.
#[tokio::test]
async fn reflection_speaks_the_older_version_too() {
    use v1alpha::server_reflection_request::MessageRequest;
    use v1alpha::server_reflection_response::MessageResponse;

    let server = serve().await;
    let channel = channel(&server).await;
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(channel);
    let request = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let requests = tokio_stream::iter([request]);
    let response = client.server_reflection_info(requests).await.unwrap();
    let answer = response.into_inner().message().await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
        panic!("a list");
    };
    assert!(list.service.iter().any(|it| it.name == SERVICES[0]));
}

#[tokio::test]
async fn the_status_counts_sessions_locks_and_waiters() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    let mut b = Raw::join(&server, "b").await;
    a.hold(1, "r", Mode::Ex).await;
    b.request(1, "r", Mode::Ex).await;
    assert_eq!(a.told().await, Told::Blocking(1, Mode::Ex));

    let mut client = InspectClient::new(channel(&server).await);
    let reply = client.status(wire::StatusRequest { local: false }).await;
    let status = reply.unwrap().into_inner();
    assert_eq!(status.lockspaces, ["test"]);
    assert_eq!((status.resources, status.locks, status.waiting), (1, 2, 1));
    let sessions: Vec<_> = status
        .sessions
        .iter()
        .map(|it| {
            let link = (it.operations, it.streams, it.dead);
            (&it.name[..], it.locks, it.waiting, link)
        })
        .collect();
    let link = (1, 1, false);
    assert_eq!(sessions, [("a", 1, 0, link), ("b", 1, 1, link)]);
    assert!(status.uptime_us > 0 && !status.version.is_empty());
    assert_eq!((status.server, status.leader), (1, 1));
    let coverage = status.coverage.expect("how much it shows");
    assert_eq!((coverage.slots.len(), coverage.unreachable.len()), (256, 0));
}

#[tokio::test]
async fn the_clusters_status_counts_leases_and_streams() {
    let server = serve().await;
    let a = Raw::join(&server, "a").await;
    let mut client = ClusterClient::new(channel(&server).await);
    let of_session = wire::lease_left::Who::Session(a.session.0);
    // The leader looks once a tick which sessions there are.
    let status = loop {
        let reply = client.status(wire::ClusterStatusRequest { local: false });
        let status = reply.await.unwrap().into_inner();
        let mut leases = status.leases.iter();
        if leases.any(|one| one.who == Some(of_session)) {
            break status;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((status.leader, status.server), (1, 1));
    let [report] = &status.reports[..] else {
        panic!("one report: {status:?}");
    };
    assert_eq!((report.serving, report.streams), (256, 1));
    let mut leases = status.leases.iter();
    let lease = leases.find(|one| one.who == Some(of_session));
    let left_us = lease.expect("it has a lease").left_us;
    assert!(left_us > 0 && left_us <= status.session_lease_us);
    let state = status.state.expect("a state");
    assert!(state.sessions.iter().all(|one| one.nonce.is_empty()));
}

async fn graph(client: &mut InspectClient<tonic::transport::Channel>) -> wire::GraphReply {
    let request = wire::GraphRequest::default();
    client.graph(request).await.unwrap().into_inner()
}

/// Each has one and waits for the other's: the plain deadlock of two.
#[tokio::test]
async fn the_graph_finds_a_cycle_of_two_and_says_who_was_silent() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    let mut b = Raw::join(&server, "b").await;
    let mut client = InspectClient::new(channel(&server).await);
    a.hold(1, "first", Mode::Ex).await;
    b.hold(1, "second", Mode::Ex).await;
    a.request(2, "second", Mode::Pr).await;
    assert_eq!(b.told().await, Told::Blocking(1, Mode::Pr));

    let looking = async {
        let reply = graph(&mut client).await;
        assert!(reply.cycles.is_empty(), "nobody waits for the first");
        assert_eq!(reply.edges.len(), 1);
        assert!(reply.silent.is_empty());
    };
    tokio::join!(looking, a.answer_query(), b.answer_query());

    b.request(2, "first", Mode::Pw).await;
    assert_eq!(a.told().await, Told::Blocking(1, Mode::Pw));
    // Only one of them answers, to both looks.
    let answering = async {
        a.answer_query().await;
        a.answer_query().await;
    };
    let (reply, ()) = tokio::join!(graph(&mut client), answering);
    assert_eq!(reply.silent, ["b"]);
    assert_eq!(reply.cycles.len(), 1);
    let cycle: Vec<_> = reply.cycles[0]
        .edges
        .iter()
        .map(|&index| {
            let edge = &reply.edges[index as usize];
            let waiter = edge.waiter.as_ref().unwrap();
            let holder = edge.holder.as_ref().unwrap();
            (
                &waiter.session_name[..],
                &holder.session_name[..],
                &edge.name[..],
                convert::mode(edge.wants).unwrap(),
                convert::mode(edge.holds).unwrap(),
            )
        })
        .collect();
    let a_for_b = ("a", "b", &b"second"[..], Mode::Pr, Mode::Ex);
    let b_for_a = ("b", "a", &b"first"[..], Mode::Pw, Mode::Ex);
    assert!(
        cycle == [a_for_b, b_for_a] || cycle == [b_for_a, a_for_b],
        "{cycle:?}"
    );

    a.cancel(2).await;
    let looking = graph(&mut client);
    let (reply, (), ()) = tokio::join!(looking, a.answer_query(), b.answer_query());
    assert!(reply.cycles.is_empty(), "it was broken up");
}

#[tokio::test]
async fn the_graph_of_one_lockspace_and_of_one_that_is_not() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    a.hold(1, "r", Mode::Pr).await;
    let client = InspectClient::new(channel(&server).await);
    let ask = |lockspace: &str| {
        let request = wire::GraphRequest {
            lockspace: lockspace.into(),
            ..wire::GraphRequest::default()
        };
        let mut client = client.clone();
        async move { client.graph(request).await }
    };
    let reply = ask("test").await.unwrap().into_inner();
    assert_eq!(reply.resources.len(), 1);
    assert_eq!(reply.resources[0].lockspace, "test");
    let status = ask("other").await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains("other"), "{status}");
}

/// What ends a wait names it exactly, or ends nothing.
#[tokio::test]
async fn a_wait_that_is_not_there_is_not_ended() {
    let server = serve().await;
    let a = Raw::join(&server, "a").await;
    let mut client = InspectClient::new(channel(&server).await);
    let request = wire::EndWaitRequest {
        slot: 256,
        ..wire::EndWaitRequest::default()
    };
    let status = client.end_wait(request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let request = wire::EndWaitRequest {
        slot: 0,
        epoch: a.epochs[&dlm_core::SlotId::new(0).unwrap()].0,
        session: a.session.0,
        lock: 1,
        serial: 1,
    };
    let reply = client.end_wait(request).await.unwrap().into_inner();
    assert!(!reply.ended);
}

//! TLS and access rules: who gets in, and what for.

use std::fs;
use std::net::SocketAddr;

use dlm_core::cluster::{CommandRefusal, Endpoint};
use dlm_core::link::{Hello, StreamRefusal};
use dlm_core::{Mode, ServerId};
use dlm_server::access::{Access, Pattern, Rule};
use dlm_server::embedded::{Cluster, Server, Settings};
use dlm_server::tls::{Tls, TlsFiles, to_server};
use glockwork_proto::cluster::Answer;
use glockwork_proto::wire::cluster_client::ClusterClient;
use glockwork_proto::wire::founding_client::FoundingClient;
use glockwork_proto::wire::inspect_client::InspectClient;
use glockwork_proto::wire::lock_client::LockClient;
use glockwork_proto::wire::peer_client::PeerClient;
use glockwork_proto::{convert, render, wire};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use tempfile::TempDir;
use tokio::time::timeout;
use tonic::transport::{Certificate, Channel, ClientTlsConfig};
use tonic::{Code, Status};

use crate::raw::{Link, PATIENCE, Raw, first_frame, hello, join_request, nonce};

/// An authority, with the files that it issued.
struct Authority {
    directory: TempDir,
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        let directory = TempDir::new().unwrap();
        fs::write(directory.path().join("ca.pem"), issuer.pem()).unwrap();
        Self { directory, issuer }
    }

    /// A certificate for whoever is called so; it names the hosts that it may be found at.
    fn issue(&self, name: &str, hosts: &[&str]) -> Tls {
        let hosts: Vec<String> = hosts.iter().map(|&host| host.to_owned()).collect();
        let mut params = CertificateParams::new(hosts).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let [cert, own, ca] = [&format!("{name}.pem"), &format!("{name}.key"), "ca.pem"]
            .map(|file| self.directory.path().join(file));
        fs::write(&cert, certificate.pem()).unwrap();
        fs::write(&own, key.serialize_pem()).unwrap();
        let key = own;
        Tls::read(&TlsFiles { cert, key, ca }).unwrap()
    }

    fn server(&self, number: u64) -> Tls {
        self.issue(&format!("dlm{number}"), &["127.0.0.1"])
    }
}

fn access() -> Access {
    let rule = |name: &str, lockspaces: &[&str], admin| Rule {
        name: Pattern::new(name),
        lockspaces: lockspaces.iter().map(|one| Pattern::new(one)).collect(),
        admin,
    };
    Access::ByCertificate {
        rules: vec![
            rule("node*", &["a*"], false),
            rule("operator", &["*"], true),
        ],
        servers: vec![Pattern::new("dlm?")],
    }
}

async fn serve(authority: &Authority) -> Server {
    let settings = Settings {
        tls: Some(authority.server(1)),
        access: access(),
        ..Settings::alone(([127, 0, 0, 1], 0).into())
    };
    Server::start_with(&settings).await.unwrap()
}

fn endpoint(at: SocketAddr) -> Endpoint {
    Endpoint::new(at.to_string()).unwrap()
}

/// Connects with a certificate.
async fn connect(at: SocketAddr, tls: &Tls) -> Channel {
    let target = to_server(&endpoint(at), Some(tls)).unwrap();
    target.connect().await.unwrap()
}

/// A call is denied, in one line that has all of this in it.
fn denied<T: std::fmt::Debug>(reply: Result<T, Status>, has: &[&str]) {
    let status = reply.unwrap_err();
    let message = status.message();
    assert_eq!(status.code(), Code::PermissionDenied, "{status}");
    assert!(!message.contains('\n'), "{status}");
    for one in has {
        assert!(message.contains(one), "{status}");
    }
}

#[tokio::test]
async fn without_a_certificate_nobody_gets_in() {
    let authority = Authority::new();
    let server = serve(&authority).await;
    let at = endpoint(server.addr());
    let joins = async |target: tonic::transport::Endpoint| {
        let mut client = ClusterClient::new(target.connect_lazy());
        let joined = client.join(join_request(nonce(), "node7")).await;
        joined.map(|reply| reply.into_inner().session)
    };
    let ca = fs::read(authority.directory.path().join("ca.pem")).unwrap();
    let without = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(ca));
    let known = authority.issue("node7", &[]);
    let target = to_server(&at, Some(&known)).unwrap();
    let none = joins(target.clone().tls_config(without).unwrap()).await;
    assert!(none.is_err(), "without a certificate");
    let plain = joins(to_server(&at, None).unwrap()).await;
    assert!(plain.is_err(), "in plain text");
    let foreign = Authority::new().issue("node7", &[]);
    let other = joins(to_server(&at, Some(&foreign)).unwrap()).await;
    assert!(other.is_err(), "of another authority");
    assert!(joins(target).await.is_ok(), "with one it does");
}

#[tokio::test]
async fn a_certificate_is_for_the_lockspaces_that_its_rules_name() {
    let authority = Authority::new();
    let server = serve(&authority).await;
    let node = connect(server.addr(), &authority.issue("node7", &[])).await;
    let mut a = Raw::join_over(&node, "a", "abc").await;
    a.hold(1, "r", Mode::Ex).await;
    let open = |name: &str| wire::OpenLockspaceRequest {
        session: a.session.0,
        nonce: render::identity(a.nonce),
        name: name.into(),
        options: None,
    };
    let refused = a.calls.open_lockspace(open("b")).await;
    denied(refused, &["\"node7\"", "\"b\"", "[[access]]"]);
    // The rest of what it may not.
    let session = a.session.0;
    let evicted = a.calls.evict(wire::EvictRequest { session }).await;
    denied(evicted, &["\"node7\"", "evict a session", "admin"]);
    let removed = wire::RemoveServerRequest { server: 1 };
    denied(a.calls.remove_server(removed).await, &["remove a server"]);
    let added = wire::AddServerRequest {
        server: 2,
        peer_endpoint: "127.0.0.1:1".into(),
        ..wire::AddServerRequest::default()
    };
    denied(a.calls.add_server(added).await, &["add a server"]);
    let confirmed = wire::ConfirmFenceRequest { session };
    denied(a.calls.confirm_fence(confirmed).await, &["confirm a fence"]);
    let purge = |lockspace: &str, local| wire::PurgeRequest {
        lockspace: lockspace.into(),
        session,
        owner: None,
        local,
    };
    let mut locks = LockClient::new(node.clone());
    denied(locks.purge(purge("b", false)).await, &["\"b\""]);
    denied(
        locks.purge(purge("abc", true)).await,
        &["not that of a server"],
    );
    assert!(locks.purge(purge("abc", false)).await.is_ok());
    // It may look.
    let mut inspect = InspectClient::new(node);
    let status = inspect.status(wire::StatusRequest { local: false }).await;
    assert_eq!(status.unwrap().into_inner().locks, 1);
}

/// Whoever got hold of a session's number and nonce has not got its certificate.
#[tokio::test]
async fn a_session_is_the_certificates_that_joined_it() {
    let authority = Authority::new();
    let server = serve(&authority).await;
    let own = authority.issue("node7", &[]);
    let mut a = Raw::join_over(&connect(server.addr(), &own).await, "a", "abc").await;
    a.hold(1, "r", Mode::Ex).await;
    let other = connect(server.addr(), &authority.issue("node8", &[])).await;
    let (session, nonce) = (a.session.0, render::identity(a.nonce));
    let mut client = ClusterClient::new(other.clone());
    let refused = |reply: wire::PlainReply| {
        let answer = convert::plain_reply(reply).unwrap();
        assert_eq!(answer, Answer::Refused(CommandRefusal::NotYours));
    };
    let request = wire::KeepAliveRequest {
        session,
        nonce: nonce.clone(),
    };
    let reply = client.keep_alive(request).await.unwrap().into_inner();
    let answer = convert::keepalive_reply(reply).unwrap();
    assert_eq!(answer, Answer::Refused(CommandRefusal::NotYours));
    let leave = wire::LeaveLockspaceRequest {
        session,
        nonce: nonce.clone(),
        lockspace: a.lockspace.0,
    };
    refused(client.leave_lockspace(leave).await.unwrap().into_inner());
    let goodbye = wire::GoodbyeRequest { session, nonce };
    refused(client.goodbye(goodbye).await.unwrap().into_inner());
    let first = first_frame(Hello {
        generation: 100,
        ..hello(a.session, a.nonce)
    });
    let ended = Link::open(&other, first).await.ended().await;
    assert_eq!(ended.refusal(), StreamRefusal::SessionUnknown);
    // Another connection of its own is as good as the first.
    let mut again = ClusterClient::new(connect(server.addr(), &own).await);
    let request = wire::KeepAliveRequest {
        session,
        nonce: render::identity(a.nonce),
    };
    let reply = again.keep_alive(request).await.unwrap().into_inner();
    let answer = convert::keepalive_reply(reply).unwrap();
    assert!(matches!(answer, Answer::Done(_)), "{answer:?}");
    a.goodbye().await;
}

#[tokio::test]
async fn an_operator_may_evict() {
    let authority = Authority::new();
    let server = serve(&authority).await;
    let node = connect(server.addr(), &authority.issue("node7", &[])).await;
    let a = Raw::join_over(&node, "a", "abc").await;
    let operator = connect(server.addr(), &authority.issue("operator", &[])).await;
    let session = a.session.0;
    let mut client = ClusterClient::new(operator);
    let evicted = client.evict(wire::EvictRequest { session }).await;
    assert_eq!(evicted.unwrap().into_inner(), wire::PlainReply::default());
}

#[tokio::test]
async fn a_stranger_may_only_look() {
    let authority = Authority::new();
    let server = serve(&authority).await;
    let stranger = connect(server.addr(), &authority.issue("stranger", &[])).await;
    let mut client = ClusterClient::new(stranger.clone());
    let nonce = nonce();
    let joined = client.join(join_request(nonce, "a")).await;
    let session = joined.unwrap().into_inner().session;
    let name = "abc".into();
    let open = wire::OpenLockspaceRequest {
        session,
        nonce: render::identity(nonce),
        name,
        options: None,
    };
    denied(client.open_lockspace(open).await, &["\"stranger\""]);
    let mut inspect = InspectClient::new(stranger);
    let graph = inspect.graph(wire::GraphRequest::default()).await;
    assert!(graph.is_ok());
}

#[tokio::test]
async fn a_client_is_no_server() {
    let authority = Authority::new();
    let server = serve(&authority).await;
    for name in ["node7", "operator", "dlm12"] {
        let channel = connect(server.addr(), &authority.issue(name, &[])).await;
        let hello = wire::PeerHello {
            cluster: render::identity(1),
            server: 2,
            identity: render::identity(2),
            version_min: 1,
            version_max: 1,
            endpoint: "127.0.0.1:2".into(),
        };
        let first = wire::PeerFrame {
            hello: Some(hello),
            ..wire::PeerFrame::default()
        };
        let mut peer = PeerClient::new(channel.clone());
        let opened = peer.stream(tokio_stream::iter([first])).await;
        denied(opened, &[name, "`servers`"]);
        let introduction = wire::Introduction {
            server: 2,
            identity: render::identity(2),
            ..wire::Introduction::default()
        };
        let mut founding = FoundingClient::new(channel.clone());
        denied(founding.introduce(introduction).await, &[name]);
        let mut inspect = InspectClient::new(channel);
        let ended = inspect.end_wait(wire::EndWaitRequest::default()).await;
        denied(ended, &[name]);
    }
}

#[tokio::test]
async fn three_servers_found_a_cluster_over_mutual_tls() {
    let authority = Authority::new();
    let dir = TempDir::new().unwrap();
    let secured = |settings: Settings| Settings {
        tls: Some(authority.server(settings.server.0)),
        access: access(),
        ..settings
    };
    let cluster = Cluster::start_with(3, dir.path(), secured).await.unwrap();
    timeout(PATIENCE, cluster.ready()).await.expect("ready");
    let node = authority.issue("node7", &[]);
    let channel = connect(cluster.addr(ServerId(1)), &node).await;
    let mut client = ClusterClient::new(channel);
    let reach_each_other = async {
        loop {
            let request = wire::ClusterStatusRequest { local: false };
            let status = client.status(request).await.unwrap().into_inner();
            if status.leader != 0 && status.reports.len() == 3 {
                return;
            }
        }
    };
    timeout(PATIENCE, reach_each_other).await.expect("they do");
    cluster.stop().await;
}

//! TLS over real connections: who gets in, and what the server knows of whoever did.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::net::TcpListener;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{ClientTlsConfig, Server};
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::authority::Authority;
use super::*;
use crate::access::{Access, Caller, Pattern, Rule};

type Seen = Arc<Mutex<Vec<Caller>>>;

/// Serves the health service in TLS, and notes who asked.
async fn serve(tls: &Tls) -> (SocketAddr, Seen) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let access = Access::ByCertificate {
        rules: vec![Rule {
            name: Pattern::new("node*"),
            lockspaces: vec![Pattern::new("vol")],
            admin: false,
        }],
        servers: vec![Pattern::new("localhost")],
    };
    let seen = Seen::default();
    let noted = Arc::clone(&seen);
    let note = move |request: Request<()>| -> Result<Request<()>, Status> {
        let caller = access.authorized(request.extensions())?;
        noted.lock().unwrap().push(caller);
        Ok(request)
    };
    let (_, health) = tonic_health::server::health_reporter();
    let router = Server::builder()
        .tls_config(tls.server())
        .unwrap()
        .layer(tonic::service::InterceptorLayer::new(note))
        .add_service(health);
    tokio::spawn(router.serve_with_incoming(TcpIncoming::from(listener)));
    (at, seen)
}

async fn ask(to: tonic::transport::Endpoint) -> Result<(), Status> {
    let mut client = HealthClient::new(to.connect_lazy());
    let asked = client.check(HealthCheckRequest::default());
    asked.await.map(|_| ())
}

fn endpoint(at: SocketAddr) -> Endpoint {
    Endpoint::new(format!("localhost:{}", at.port())).unwrap()
}

#[tokio::test]
async fn servers_know_each_other() {
    let authority = Authority::new();
    let tls = authority.tls("localhost");
    let (at, seen) = serve(&tls).await;
    ask(to_server(&endpoint(at), Some(&tls)).unwrap())
        .await
        .unwrap();
    let caller = seen.lock().unwrap().remove(0);
    assert_eq!(caller.server(), Ok(()));
    assert!(caller.lockspace("vol").is_err());
}

#[tokio::test]
async fn a_client_is_who_its_certificate_says() {
    let authority = Authority::new();
    let (at, seen) = serve(&authority.tls("localhost")).await;
    let node = authority.tls("node7");
    ask(to_server(&endpoint(at), Some(&node)).unwrap())
        .await
        .unwrap();
    let caller = seen.lock().unwrap().remove(0);
    assert_eq!(caller.lockspace("vol"), Ok(()));
    assert!(caller.server().is_err());
    let refused = caller.lockspace("other").unwrap_err();
    assert_eq!(Status::from(refused).code(), Code::PermissionDenied);
}

#[tokio::test]
async fn nobody_else_gets_in() {
    let authority = Authority::new();
    let tls = authority.tls("localhost");
    let (at, seen) = serve(&tls).await;
    let endpoint = endpoint(at);
    let dial =
        |config: ClientTlsConfig| to_server(&endpoint, Some(&tls)).unwrap().tls_config(config);

    let authority_only = Certificate::from_pem(&tls.authority_pem);
    let without = ClientTlsConfig::new().ca_certificate(authority_only.clone());
    assert!(
        ask(dial(without).unwrap()).await.is_err(),
        "without a certificate"
    );
    let foreign = Authority::new().tls("node7").identity();
    let foreign = ClientTlsConfig::new()
        .ca_certificate(authority_only)
        .identity(foreign);
    assert!(
        ask(dial(foreign).unwrap()).await.is_err(),
        "of another authority"
    );
    assert!(
        ask(to_server(&endpoint, None).unwrap()).await.is_err(),
        "in plain text"
    );
    assert_eq!(*seen.lock().unwrap(), []);
}

/// Whoever was put in a server's place is not told anything.
#[tokio::test]
async fn a_server_of_another_name_or_authority_is_not_asked() {
    let authority = Authority::new();
    let client = authority.tls("node7");
    for tls in [
        authority.tls("dlm9.example"),
        Authority::new().tls("localhost"),
    ] {
        let (at, seen) = serve(&tls).await;
        assert!(
            ask(to_server(&endpoint(at), Some(&client)).unwrap())
                .await
                .is_err()
        );
        assert_eq!(*seen.lock().unwrap(), []);
    }
}

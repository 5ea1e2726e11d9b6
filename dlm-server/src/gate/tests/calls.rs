//! gRPC over gates, and faults that are passed on to other servers.

use std::sync::Arc;
use std::time::Duration;

use dlm_core::ServerId;
use dlm_core::cluster::Endpoint;
use glockwork_proto::fault::{ActiveFault, Fault, Healing};
use glockwork_proto::wire::fault_client::FaultClient;
use glockwork_proto::wire::fault_server::FaultServer;
use glockwork_proto::{convert, render, wire};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tonic::Code;
use tonic::transport::{Channel, Server};

use super::both_ways;
use crate::gate::Gates;
use crate::access::Access;
use crate::rpc::{FaultService, Reach};
use crate::runtime::Channels;

/// Long enough for what comes.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long it is listened to silence; a shorter time could only hide a fault.
const SILENCE: Duration = Duration::from_millis(200);

struct Cluster {
    gates: [Gates; 4],
    endpoints: Vec<Endpoint>,
}

impl Cluster {
    /// Servers 1 and 2; 3, which does not allow faults; and 4, which is down.
    async fn start() -> Self {
        let gates = [
            Gates::new(ServerId(1)),
            Gates::new(ServerId(2)),
            Gates::absent(),
            Gates::new(ServerId(4)),
        ];
        let (mut listeners, mut endpoints) = (Vec::new(), Vec::new());
        for _ in 0..4 {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            endpoints.push(Endpoint::new(address.to_string()).unwrap());
            listeners.push(listener);
        }
        drop(listeners.pop());
        for (at, listener) in listeners.into_iter().enumerate() {
            let numbered = (1..).map(ServerId).zip(endpoints.iter().cloned());
            let me = ServerId(at as u64 + 1);
            let channels = Channels {
                tls: None,
                gates: gates[at].clone(),
            };
            let reach = Reach::new(me, channels, Access::Everything);
            let others = numbered.filter(|(server, _)| *server != me).collect();
            reach.others.send_replace(others);
            let service = FaultServer::new(FaultService::new(Arc::new(reach)));
            let incoming = gates[at].incoming(listener);
            let router = Server::builder().add_service(service);
            tokio::spawn(router.serve_with_incoming(incoming));
        }
        Self { gates, endpoints }
    }

    async fn operator(&self, of: usize) -> FaultClient<Channel> {
        let at = Channel::from_shared(format!("http://{}", self.endpoints[of])).unwrap();
        FaultClient::new(at.connect().await.unwrap())
    }
}

async fn list(client: &mut FaultClient<Channel>) -> Vec<ActiveFault> {
    let asking = client.list(wire::ListFaultsRequest {});
    let listed = timeout(PATIENCE, asking)
        .await
        .expect("it answers")
        .unwrap();
    convert::active_faults(listed.into_inner()).unwrap()
}

#[tokio::test]
async fn a_fault_goes_to_all_servers_and_whoever_does_not_take_it_is_named() {
    let cluster = Cluster::start().await;
    let mut operator = cluster.operator(0).await;
    let mut cut = both_ways(Fault::Cut, "1", "2");
    cut.here_only = false;
    let said = operator.inject(render::inject_fault(&cut)).await.unwrap();
    let missed = convert::faults_missed(said.into_inner());
    let names: Vec<u64> = missed.iter().map(|missed| missed.server.0).collect();
    assert_eq!(names, [3, 4]);
    assert!(missed[0].why.contains("--allow-faults"), "{missed:?}");
    assert!(missed[1].why.contains("cannot reach it"), "{missed:?}");
    for at in [0, 1] {
        // Over a link that is cut, too: who asks for faults says no name.
        assert_eq!(list(&mut cluster.operator(at).await).await.len(), 2);
    }
    let said = operator
        .heal(render::heal_faults(&Healing::default()))
        .await;
    let missed = convert::faults_missed(said.unwrap().into_inner());
    assert_eq!(missed.len(), 2);
    for gates in &cluster.gates {
        assert_eq!(gates.list(), []);
    }
}

#[tokio::test]
async fn a_call_that_waits_over_a_cut_goes_on_when_it_is_healed() {
    let cluster = Cluster::start().await;
    let channels = Channels {
        tls: None,
        gates: cluster.gates[0].clone(),
    };
    let connected = channels.connect(ServerId(2), &cluster.endpoints[1]);
    let channel = connected.await.unwrap();
    let mut peer = FaultClient::new(channel);
    assert_eq!(list(&mut peer).await, []);
    cluster.gates[0]
        .inject(both_ways(Fault::Cut, "1", "2"))
        .unwrap();
    let mut call = Box::pin(list(&mut peer));
    assert!(timeout(SILENCE, &mut call).await.is_err());
    cluster.gates[0].heal(Healing::default());
    assert_eq!(call.await, []);
    // A connection that lost bytes ends, and with it the call; the next one gets another connection.
    cluster.gates[0]
        .inject(both_ways(Fault::Drop, "1", "2"))
        .unwrap();
    let mut call = Box::pin(peer.list(wire::ListFaultsRequest {}));
    assert!(timeout(SILENCE, &mut call).await.is_err());
    cluster.gates[0].heal(Healing::default());
    let lost = timeout(PATIENCE, call).await.expect("it ends");
    assert!(lost.is_err());
    assert_eq!(list(&mut peer).await, []);
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let cluster = Cluster::start().await;
    let mut operator = cluster.operator(0).await;
    let mut refused = async |from: &str, to: &str| {
        let mut cut = both_ways(Fault::Cut, from, to);
        cut.here_only = false;
        let asking = operator.inject(render::inject_fault(&cut)).await;
        let status = asking.unwrap_err();
        (status.code(), status.message().to_owned())
    };
    let (code, said) = refused("1", "9").await;
    assert_eq!(code, Code::NotFound);
    assert!(
        said.contains("no server 9") && said.contains("1, 2, 3, 4"),
        "{said}"
    );
    assert_eq!(refused("a", "b").await.0, Code::InvalidArgument);
    assert_eq!(cluster.gates[0].list(), []);
    let mut operator = cluster.operator(2).await;
    let status = operator.list(wire::ListFaultsRequest {}).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("--allow-faults"));
}

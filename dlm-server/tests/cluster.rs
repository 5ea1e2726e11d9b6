//! Several servers in one process, over real sockets and with their storages in files.

use std::time::Duration;

use dlm_core::ServerId;
use dlm_core::cluster::Endpoint;
use dlm_server::error::ServeError;
use dlm_server::founding::FoundingError;
use dlm_server::runtime::{Cluster, Server};
use dlm_server::settings::Settings;
use glockwork_proto::wire;
use glockwork_proto::wire::cluster_client::ClusterClient;
use tokio::time::{sleep, timeout};
use tonic::transport::Channel;

/// Far longer than anything here takes: what does not happen in it does not happen.
const WAIT_MAX: Duration = Duration::from_secs(30);

async fn client(cluster: &Cluster, server: u64) -> ClusterClient<Channel> {
    let at = format!("http://{}", cluster.addr(ServerId(server)));
    let channel = Channel::from_shared(at).expect("an address");
    ClusterClient::new(channel.connect().await.expect("connected"))
}

async fn status(client: &mut ClusterClient<Channel>) -> wire::ClusterStatusReply {
    let request = wire::ClusterStatusRequest::default();
    client.status(request).await.expect("a status").into_inner()
}

/// Asks until it is so.
async fn until(client: &mut ClusterClient<Channel>, so: impl Fn(&wire::ClusterStatusReply) -> bool) {
    let asked = async {
        loop {
            let status = status(client).await;
            if so(&status) {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(WAIT_MAX, asked).await.expect("it becomes so");
}

fn slot_of(slot: &wire::SlotState) -> u64 {
    slot.master.as_ref().map_or(0, |master| master.server)
}

/// Whether all slots are served, each by one of these.
fn served_by(status: &wire::ClusterStatusReply, servers: &[u64]) -> bool {
    let state = status.state.as_ref().expect("a state");
    state.slots.len() == 256
        && state
            .slots
            .iter()
            .all(|slot| slot.serving && servers.contains(&slot_of(slot)))
        && servers
            .iter()
            .all(|server| state.slots.iter().any(|slot| slot_of(slot) == *server))
}

async fn join(client: &mut ClusterClient<Channel>, nonce: u8) -> wire::JoinReply {
    let request = wire::JoinRequest {
        nonce: vec![nonce; 16].into(),
        name: "test".into(),
        version_min: 1,
        version_max: 1,
        attests: None,
    };
    client.join(request).await.expect("an answer").into_inner()
}

#[tokio::test]
async fn three_servers_found_a_cluster_and_agree_on_a_session() {
    let dir = tempfile::tempdir().expect("a directory");
    let cluster = Cluster::start(3, dir.path()).await.expect("started");
    timeout(WAIT_MAX, cluster.ready()).await.expect("ready");
    let mut first = client(&cluster, 1).await;
    until(&mut first, |status| served_by(status, &[1, 2, 3])).await;

    // Any server may be asked; one that does not lead says who does.
    let leader = status(&mut first).await.leader;
    let other = leader % 3 + 1;
    let reply = join(&mut client(&cluster, other).await, 7).await;
    let at = reply.head.expect("a head").leader.expect("the leader");
    assert_eq!(at, cluster.addr(ServerId(leader)).to_string());
    let joined = join(&mut client(&cluster, leader).await, 7).await;
    assert_eq!(joined.head.unwrap_or_default(), wire::ReplyHead::default());
    let again = join(&mut client(&cluster, leader).await, 7).await;
    assert_eq!(again.session, joined.session, "joining twice is joining once");
    for server in 1..=3 {
        let mut client = client(&cluster, server).await;
        until(&mut client, |status| {
            let state = status.state.as_ref().expect("a state");
            state.sessions.iter().any(|one| one.session == joined.session)
        })
        .await;
    }
    cluster.stop().await;
}

#[tokio::test]
async fn a_cluster_that_was_stopped_goes_on_and_a_wiped_server_does_not_come_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut cluster = Cluster::start(3, dir.path()).await.expect("started");
    timeout(WAIT_MAX, cluster.ready()).await.expect("ready");
    for server in 1..=3 {
        cluster.stop_server(ServerId(server)).await;
    }
    for server in 1..=3 {
        cluster.start_server(ServerId(server)).await.expect("started");
    }
    timeout(WAIT_MAX, cluster.ready()).await.expect("ready again");
    let mut first = client(&cluster, 1).await;
    until(&mut first, |status| served_by(status, &[1, 2, 3])).await;

    cluster.stop_server(ServerId(3)).await;
    std::fs::remove_dir_all(dir.path().join("3")).expect("wiped");
    let settings = cluster.settings(ServerId(3));
    let mut wiped = Server::start_with(&settings).await.expect("it listens");
    let ended = timeout(WAIT_MAX, wiped.ended()).await.expect("it ends");
    let error = ended.expect_err("it does not come back");
    assert!(
        matches!(error, ServeError::Founding(FoundingError::Wiped { .. })),
        "{error}"
    );
    let text = error.to_string();
    assert!(text.contains("dlm server remove 3"), "{text}");
    cluster.stop().await;
}

#[tokio::test]
async fn a_fourth_server_is_added_and_takes_its_share() {
    let dir = tempfile::tempdir().expect("a directory");
    let cluster = Cluster::start(3, dir.path()).await.expect("started");
    timeout(WAIT_MAX, cluster.ready()).await.expect("ready");
    let settings = cluster.settings(ServerId(1));
    let settings = Settings {
        server: ServerId(4),
        join: true,
        data: Some(dir.path().join("4")),
        peers: settings.peers.clone(),
        ..Settings::alone(([127, 0, 0, 1], 0).into())
    };
    let fourth = Server::start_with(&settings).await.expect("started");
    let mut first = client(&cluster, 1).await;
    let leader = timeout(WAIT_MAX, async {
        loop {
            let leader = status(&mut first).await.leader;
            if leader != 0 {
                return leader;
            }
            sleep(Duration::from_millis(20)).await;
        }
    });
    let leader = leader.await.expect("a leader");
    let endpoint = Endpoint::new(fourth.addr().to_string()).expect("an endpoint");
    let request = wire::AddServerRequest {
        server: 4,
        peer_endpoint: endpoint.to_string(),
        ..wire::AddServerRequest::default()
    };
    let reply = client(&cluster, leader).await.add_server(request).await;
    let reply = reply.expect("an answer").into_inner();
    assert_eq!(reply.head.unwrap_or_default(), wire::ReplyHead::default());
    timeout(WAIT_MAX, fourth.announced()).await.expect("known");
    until(&mut first, |status| served_by(status, &[1, 2, 3, 4])).await;
    fourth.stop().await;
    cluster.stop().await;
}

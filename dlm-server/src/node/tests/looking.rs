//! Looking at a cluster over gRPC: the world's servers, each behind a service of its own.
//!
//! The world stands still but where a test runs it; only the services live in real time.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard};

use dlm_core::cluster::{ClusterOptions, Endpoint};
use dlm_core::{LockId, LockspaceOptions, Mode, SessionId, SlotId, Status, Tick};
use glockwork_proto::glocks::{GlocksQuery, GlocksReport};
use glockwork_proto::holders::HoldersReport;
use glockwork_proto::{convert, wire};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tonic::codegen::http::Extensions;
use tonic::transport::Channel;
use tonic::transport::server::TcpIncoming;
use wire::inspect_client::InspectClient;
use wire::inspect_server::InspectServer;

use super::super::{Input, Node, OrderId, Ordered};
use super::client::{SPACE, name};
use super::world::{World, endpoint};
use crate::access::{Access, AccessError, Caller};
use crate::error::LookError;
use crate::inspect::{InspectService, Look, break_once, cluster_status, purge};

/// A way to one of the world's servers.
#[derive(Clone)]
struct Way {
    world: Arc<Mutex<World>>,
    server: usize,
    /// Where each server's service listens.
    addrs: Arc<BTreeMap<Endpoint, SocketAddr>>,
}

impl Way {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().expect("no test has failed")
    }
}

impl Look for Way {
    async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Node, Tick) -> T + Send + 'static,
    ) -> Result<T, LookError> {
        let world = self.world();
        Ok(look(world.node(self.server), world.now))
    }

    async fn order(
        &self,
        order: impl FnOnce(OrderId) -> Input + Send + 'static,
    ) -> Result<Ordered, LookError> {
        let mut world = self.world();
        world.input(self.server, order(OrderId(7)));
        Ok(world.ordered.pop().expect("it is answered at once").1)
    }

    async fn holders(&self, session: SessionId) -> Result<Option<HoldersReport>, LookError> {
        let report = HoldersReport {
            query: glockwork_proto::holders::QueryId(0),
            tasks: Vec::new(),
            glocks: Vec::new(),
        };
        // The second session says nothing.
        Ok((session != SessionId(2)).then_some(report))
    }

    async fn glocks(
        &self,
        _: SessionId,
        query: GlocksQuery,
    ) -> Result<Option<GlocksReport>, LookError> {
        // All streams are to the last server.
        Ok((self.server == 2).then_some(GlocksReport {
            query: query.query,
            glocks: Vec::new(),
            more: false,
            caches: Vec::new(),
        }))
    }

    fn caller(&self, extensions: &Extensions) -> Result<Caller, AccessError> {
        Access::Everything.authorized(extensions)
    }

    fn channel(&self, endpoint: &Endpoint) -> Result<Channel, String> {
        let addr = self.addrs[endpoint];
        let target = tonic::transport::Endpoint::from_shared(format!("http://{addr}"));
        Ok(target.expect("an address").connect_lazy())
    }
}

struct Stage {
    ways: Vec<Way>,
    serving: Vec<JoinHandle<()>>,
}

impl Stage {
    async fn new(world: World) -> Self {
        let mut listeners = Vec::new();
        let mut addrs = BTreeMap::new();
        for server in 0..3 {
            let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
            let addr = listener.local_addr().expect("an address");
            addrs.insert(endpoint(server), addr);
            listeners.push(listener);
        }
        let (world, addrs) = (Arc::new(Mutex::new(world)), Arc::new(addrs));
        let (mut ways, mut serving) = (Vec::new(), Vec::new());
        for (server, listener) in listeners.into_iter().enumerate() {
            let way = Way {
                world: Arc::clone(&world),
                server,
                addrs: Arc::clone(&addrs),
            };
            let service = InspectServer::new(InspectService::new(way.clone()));
            let router = tonic::transport::Server::builder().add_service(service);
            let incoming = TcpIncoming::from(listener);
            serving.push(tokio::spawn(async move {
                // Until the test is over.
                let _ = router.serve_with_incoming(incoming).await;
            }));
            ways.push(way);
        }
        Self { ways, serving }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.ways[0].world()
    }

    async fn client(&self, server: usize) -> InspectClient<Channel> {
        let channel = self.ways[0].channel(&endpoint(server));
        InspectClient::new(channel.expect("a channel"))
    }

    async fn graph(&self, server: usize) -> wire::GraphReply {
        let mut client = self.client(server).await;
        let reply = client.graph(wire::GraphRequest::default()).await;
        reply.expect("a graph").into_inner()
    }

    /// A process dies, and its service with it.
    fn kill(&mut self, server: usize) {
        self.serving[server].abort();
        self.world().kill(server);
    }
}

fn options() -> ClusterOptions {
    let locks = LockspaceOptions {
        breaks_deadlocks: true,
        ..LockspaceOptions::default()
    };
    ClusterOptions {
        locks,
        ..ClusterOptions::default()
    }
}

/// Two names whose slots different servers master.
fn two_names(world: &World) -> [String; 2] {
    let of = |text: &String| world.master_of(SlotId::of(SPACE, &name(text)));
    let mut names = (0..).map(|number| format!("r{number}"));
    let first = names.next().expect("a name");
    let second = names.find(|other| of(other) != of(&first));
    [first, second.expect("another server's")]
}

/// Clients 0 and 1 hold one name each and wait for the other one's.
fn deadlocked() -> (World, [String; 2], [dlm_core::OpId; 2]) {
    let mut world = World::with_clients(3, 2, options());
    let names = two_names(&world);
    for (client, own) in names.iter().enumerate() {
        let op = world.clients[client].lock(1, own, Mode::Ex);
        world.until_status(client, op, Status::Granted);
    }
    let waits = [0, 1].map(|client| world.clients[client].lock(2, &names[1 - client], Mode::Ex));
    world.until("the holders are asked", |world| {
        (0..2).all(|client| !world.clients[client].blocked.is_empty())
    });
    (world, names, waits)
}

#[tokio::test]
async fn any_server_shows_the_cycle_that_goes_through_two_of_them() {
    let (world, names, _) = deadlocked();
    let stage = Stage::new(world).await;
    for server in 0..3 {
        let reply = stage.graph(server).await;
        assert_eq!((reply.resources.len(), reply.cycles.len()), (2, 1));
        assert_eq!(reply.silent, ["client1"]);
        assert!(convert::coverage(reply.coverage).unwrap().is_whole());
    }
    let mut client = stage.client(1).await;
    let request = wire::LocksRequest::default();
    let mut pages = client.locks(request).await.unwrap().into_inner();
    let (mut listed, mut coverage) = (Vec::new(), None);
    while let Some(page) = pages.message().await.unwrap() {
        assert!(coverage.is_none(), "the last page has it");
        coverage = page.coverage.clone();
        listed.extend(convert::locks_page(page).unwrap());
    }
    let listed: Vec<_> = listed
        .iter()
        .map(|one| (one.name.to_string(), one.locks.len(), one.server.0))
        .collect();
    let masters = names.each_ref().map(|text| {
        let slot = SlotId::of(SPACE, &name(text));
        stage.world().master_of(slot) as u64 + 1
    });
    let [first, second] = names;
    assert_eq!(listed, [(first, 2, masters[0]), (second, 2, masters[1])]);
    assert!(convert::coverage(coverage).unwrap().is_whole());

    let status = client.status(wire::StatusRequest::default()).await.unwrap();
    let status = status.into_inner();
    assert_eq!((status.locks, status.waiting, status.resources), (4, 2, 2));
    let locks: Vec<_> = status
        .sessions
        .iter()
        .map(|one| (one.locks, one.streams))
        .collect();
    assert_eq!(locks, [(2, 3), (2, 3)]);
    let spaces = client.lockspaces(wire::LockspacesRequest::default()).await;
    let spaces = convert::lockspaces(spaces.unwrap().into_inner()).unwrap();
    assert_eq!((spaces[0].locks, spaces[0].waiting), (4, 2));
    assert_eq!(spaces[0].sessions.len(), 2);
}

#[tokio::test]
async fn the_leader_breaks_the_deadlock_at_the_master_of_the_victims_slot() {
    let (mut world, _, waits) = deadlocked();
    world.run(200_000);
    let leader = world.leader().expect("a leader");
    let stage = Stage::new(world).await;
    for (server, way) in stage.ways.iter().enumerate() {
        let expected = (server == leader).then_some(1);
        assert_eq!(break_once(way).await, Ok(expected));
    }
    let ended = {
        let mut world = stage.world();
        world.run(100_000);
        [0, 1].map(|client| world.clients[client].status(waits[client]))
    };
    // The younger one of the two gives way.
    assert_eq!(ended, [None, Some(Status::Deadlock)]);
    assert!(stage.graph(0).await.cycles.is_empty());
    assert_eq!(break_once(&stage.ways[leader]).await, Ok(Some(0)));
}

#[tokio::test]
async fn a_server_that_is_not_reached_is_named_and_its_slots_are_missing() {
    let (mut world, names, _) = deadlocked();
    // The world does not go on: the cluster has not found out yet.
    world.run(1_000);
    let mut stage = Stage::new(world).await;
    let dead = {
        let world = stage.world();
        world.master_of(SlotId::of(SPACE, &name(&names[0])))
    };
    stage.kill(dead);
    let asked = (dead + 1) % 3;
    let reply = stage.graph(asked).await;
    assert!(reply.cycles.is_empty());
    let coverage = convert::coverage(reply.coverage).unwrap();
    let missing: Vec<u64> = coverage.unreachable.keys().map(|server| server.0).collect();
    assert_eq!(missing, [dead as u64 + 1]);
    assert!((160..=180).contains(&coverage.slots.len()), "{coverage:?}");

    let status = cluster_status(&stage.ways[asked], wire::ClusterStatusRequest::default());
    let status = status.await.unwrap();
    let reports: Vec<u64> = status.reports.iter().map(|one| one.server).collect();
    assert_eq!(reports, [asked as u64 + 1], "Cluster is not served here");
    let coverage = convert::coverage(status.coverage).unwrap();
    assert_eq!(coverage.unreachable.len(), 2);
}

#[tokio::test]
async fn what_one_server_does_not_get_of_a_session_another_one_does() {
    let (world, ..) = deadlocked();
    let stage = Stage::new(world).await;
    let mut client = stage.client(0).await;
    let pages = client.glocks(wire::GlocksRequest::default()).await;
    let mut pages = pages.unwrap().into_inner();
    // No page at all is the answer of a session without glocks.
    assert_eq!(pages.message().await.unwrap(), None);
    let local = wire::GlocksRequest {
        local: true,
        ..wire::GlocksRequest::default()
    };
    let mut pages = client.glocks(local).await.unwrap().into_inner();
    assert!(pages.message().await.unwrap().expect("a page").silent);
    let unknown = wire::GlocksRequest {
        session: 99,
        ..wire::GlocksRequest::default()
    };
    let refused = client.glocks(unknown).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::NotFound);
}

#[tokio::test]
async fn orphans_are_not_gone_everywhere_where_a_server_is_missing() {
    let (world, ..) = deadlocked();
    let session = world.clients[0].session().expect("it joined");
    let held = world.clients[0].locks[&LockId(1)].held;
    assert_eq!(held, Some(Mode::Ex));
    let stage = Stage::new(world).await;
    let request = wire::PurgeRequest {
        lockspace: "space".into(),
        session: session.0,
        ..wire::PurgeRequest::default()
    };
    // The other servers here have no such service.
    let reply = purge(&stage.ways[0], request.clone()).await.unwrap();
    assert_eq!(reply.locks, 0);
    assert_eq!(
        convert::coverage(reply.coverage).unwrap().unreachable.len(),
        2
    );
    let nobody = wire::PurgeRequest {
        session: 99,
        ..request.clone()
    };
    let refused = purge(&stage.ways[0], nobody).await;
    assert_eq!(refused, Err(LookError::NoSuchSession(99)));
    let nowhere = wire::PurgeRequest {
        lockspace: "nowhere".into(),
        ..request
    };
    let refused = purge(&stage.ways[0], nowhere).await;
    assert_eq!(refused, Err(LookError::NoSuchLockspace("nowhere".into())));
}

//! What happens to locks, told while it happens and remembered afterwards, at one server and at three.

use std::fmt;
use std::time::Duration;

use dlm_core::link::{EverywhereKind, OperationKind};
use dlm_core::{Mode, Owner, ServerId, Status};
use dlm_server::embedded::Server;
use dlm_server::runtime::Cluster;
use glockwork_proto::wire;
use glockwork_proto::wire::inspect_client::InspectClient;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Code, Streaming};
use wire::EventKind as Kind;

use crate::raw::{Raw, Told, connect, serve};

/// Far longer than a server takes to be found lost, and its slots to be served by others.
const RECOVERY_MAX: Duration = Duration::from_secs(30);

/// Somebody who watches.
struct Watcher {
    replies: Streaming<wire::WatchReply>,
    events: Vec<wire::Event>,
    missed: u64,
    appeared: usize,
    gone: usize,
    coverage: wire::Coverage,
}

impl Watcher {
    /// Watches, and has heard how much is seen: what happens from now on is told.
    async fn new(channel: Channel, request: wire::WatchRequest) -> Self {
        let mut client = InspectClient::new(channel);
        let replies = client.watch(request).await.expect("it is taken");
        let mut watcher = Self {
            replies: replies.into_inner(),
            events: Vec::new(),
            missed: 0,
            appeared: 0,
            gone: 0,
            coverage: wire::Coverage::default(),
        };
        watcher.hear().await;
        watcher
    }

    async fn hear(&mut self) {
        let reply = self.replies.message().await.expect("it goes on");
        let reply = reply.expect("it goes on");
        self.missed += reply.missed.iter().map(|missed| missed.events).sum::<u64>();
        self.appeared += reply.appeared.len();
        self.gone += reply.gone.len();
        self.events.extend(reply.events);
        if let Some(coverage) = reply.coverage {
            self.coverage = coverage;
        }
    }

    async fn until(&mut self, so: impl Fn(&Self) -> bool) {
        let hearing = async {
            while !so(self) {
                self.hear().await;
            }
        };
        let heard = timeout(RECOVERY_MAX, hearing).await.is_ok();
        assert!(heard, "{self}");
    }

    /// What happened to locks, by the names of their sessions.
    fn told(&self) -> Vec<(&str, Kind, Mode)> {
        let told = self.events.iter().filter(|event| event.session != 0);
        told.map(|event| {
            let mode = event.mode().or_else_had(event.had());
            (event.session_name.as_str(), event.kind(), mode)
        })
        .collect()
    }
}

impl fmt::Display for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for event in &self.events {
            let (kind, name) = (event.kind(), String::from_utf8_lossy(&event.name));
            let (server, session) = (event.server, &event.session_name);
            writeln!(
                f,
                "server {server}: {kind:?} {name} {session} slot {}",
                event.slot
            )?;
        }
        write!(f, "missed {}, {:?}", self.missed, self.coverage)
    }
}

/// A mode of the wire, or the other one where there is none.
trait OrElse {
    fn or_else_had(self, had: wire::Mode) -> Mode;
}

impl OrElse for wire::Mode {
    fn or_else_had(self, had: wire::Mode) -> Mode {
        let mode = if self == Self::Unspecified { had } else { self };
        glockwork_proto::convert::mode(mode.into()).expect("a mode")
    }
}

async fn watch(server: &Server) -> Watcher {
    let request = wire::WatchRequest::default();
    Watcher::new(connect(server.addr()).await, request).await
}

async fn history(channel: Channel, name: &str) -> wire::HistoryReply {
    let request = wire::HistoryRequest {
        lockspace: "test".into(),
        name: name.as_bytes().to_vec().into(),
        local: false,
    };
    let mut client = InspectClient::new(channel);
    client
        .history(request)
        .await
        .expect("an answer")
        .into_inner()
}

#[tokio::test]
async fn every_step_of_a_lock_is_told_and_remembered() {
    let server = serve().await;
    let mut watcher = watch(&server).await;
    let mut a = Raw::join(&server, "a").await;
    let mut b = Raw::join(&server, "b").await;
    a.hold(1, "r", Mode::Ex).await;
    b.request(1, "r", Mode::Pr).await;
    b.queued(1).await;
    assert_eq!(a.told().await, Told::Blocking(1, Mode::Pr));
    a.unlock(1).await;
    assert_eq!(a.told().await, Told::Done(1, Status::Unlocked, None));
    let granted = Told::Done(1, Status::Granted, Some(Mode::Pr));
    assert_eq!(b.told().await, granted);
    assert!(!a.could_get("r", Mode::Ex).await);
    watcher.until(|it| it.told().len() == 6).await;
    assert_eq!(
        watcher.told(),
        [
            ("a", Kind::Granted, Mode::Ex),
            ("b", Kind::Waits, Mode::Pr),
            ("a", Kind::Callback, Mode::Pr),
            ("a", Kind::Released, Mode::Ex),
            ("b", Kind::Granted, Mode::Pr),
            ("a", Kind::Denied, Mode::Ex),
        ]
    );
    let events = &watcher.events;
    let of = |kind, name: &str| {
        let is_one = |event: &&wire::Event| event.kind() == kind && event.session_name == name;
        events.iter().find(is_one).expect("it was told")
    };
    assert_eq!(of(Kind::Granted, "a").token, a.tokens[0].0);
    assert!(of(Kind::Granted, "a").waited_us.is_none());
    assert!(of(Kind::Granted, "b").waited_us.is_some());
    assert!(of(Kind::Released, "a").held_us.is_some());
    assert_eq!(of(Kind::Callback, "a").by_name, "b");
    assert_eq!(watcher.missed, 0);

    let remembered = history(connect(server.addr()).await, "r").await;
    let kinds = |events: &[wire::Event]| -> Vec<Kind> {
        let of_locks = events.iter().filter(|event| event.session != 0);
        of_locks.map(wire::Event::kind).collect()
    };
    assert_eq!(kinds(&remembered.events), kinds(events));
    assert_eq!((remembered.server, remembered.dropped), (1, 0));
    server.stop().await;
}

#[tokio::test]
async fn of_many_that_go_together_the_rest_is_missed_and_nothing_else_is() {
    const LOCKS: u64 = 300;
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    for lock in 1..=LOCKS + 1 {
        let mut request = a.request_for(lock, "r", Mode::Cr);
        if let OperationKind::Request { owner, .. } = &mut request {
            *owner = Owner(if lock > LOCKS { 2 } else { 1 });
        }
        a.send(request).await;
        let granted = Told::Done(lock, Status::Granted, Some(Mode::Cr));
        assert_eq!(a.told().await, granted);
    }
    let mut watcher = watch(&server).await;
    // The others are not meant: nothing of them is told, or missed.
    let one = EverywhereKind::OwnerEnded { owner: Owner(2) };
    a.send_everywhere(one).await;
    assert_eq!(a.purged().await, 1);
    watcher.until(|it| !it.events.is_empty()).await;
    assert!(watcher.events[0].ended && watcher.events[0].lock == LOCKS + 1);
    let many = EverywhereKind::OwnerEnded { owner: Owner(1) };
    a.send_everywhere(many).await;
    assert_eq!(a.purged().await as u64, LOCKS);
    watcher
        .until(|it| it.events.len() as u64 - 1 + it.missed == LOCKS)
        .await;
    assert_eq!(watcher.missed, LOCKS - 256);
    server.stop().await;
}

#[tokio::test]
async fn only_what_is_asked_for_is_told() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    let request = wire::WatchRequest {
        lockspace: "test".into(),
        resource: "wanted*".into(),
        kinds: vec![Kind::Released.into()],
        ..wire::WatchRequest::default()
    };
    let mut watcher = Watcher::new(connect(server.addr()).await, request).await;
    for (lock, name) in [(1, "other"), (2, "wanted1"), (3, "unwanted")] {
        a.hold(lock, name, Mode::Ex).await;
        a.unlock(lock).await;
        assert_eq!(a.told().await, Told::Done(lock, Status::Unlocked, None));
    }
    watcher.until(|it| !it.events.is_empty()).await;
    let told: Vec<&[u8]> = watcher.events.iter().map(|event| &event.name[..]).collect();
    assert_eq!(told, [b"wanted1"]);
    let request = wire::WatchRequest {
        kinds: vec![99],
        ..wire::WatchRequest::default()
    };
    let mut client = InspectClient::new(connect(server.addr()).await);
    let refused = client
        .watch(request)
        .await
        .expect_err("there is no such kind");
    assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    server.stop().await;
}

#[tokio::test]
async fn a_deadlock_appears_and_goes() {
    let server = serve().await;
    let mut watcher = watch(&server).await;
    let mut a = Raw::join(&server, "a").await;
    let mut b = Raw::join(&server, "b").await;
    a.hold(1, "left", Mode::Ex).await;
    b.hold(1, "right", Mode::Ex).await;
    a.request(2, "right", Mode::Ex).await;
    a.queued(2).await;
    assert_eq!(b.told().await, Told::Blocking(1, Mode::Ex));
    b.request(2, "left", Mode::Ex).await;
    b.queued(2).await;
    watcher.until(|it| it.appeared == 1).await;
    // Whoever comes later is told as well.
    let mut late = watch(&server).await;
    late.until(|it| it.appeared == 1).await;
    b.unlock(1).await;
    watcher.until(|it| it.gone == 1).await;
    late.until(|it| it.gone == 1).await;
    assert_eq!((watcher.appeared, late.appeared), (1, 1));
    server.stop().await;
}

#[tokio::test]
async fn so_many_may_watch_and_one_more_is_told_so() {
    let server = serve().await;
    let channel = connect(server.addr()).await;
    let mut there = Vec::new();
    for _ in 0..64 {
        there.push(Watcher::new(channel.clone(), wire::WatchRequest::default()).await);
    }
    let mut client = InspectClient::new(channel);
    let refused = client.watch(wire::WatchRequest::default()).await;
    let refused = refused.expect_err("there is no room");
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_goes_is_named_until_it_is_back() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut cluster = Cluster::start(3, dir.path()).await.expect("started");
    timeout(RECOVERY_MAX, cluster.ready()).await.expect("ready");
    let channel = connect(cluster.addr(ServerId(1))).await;
    let mut watcher = Watcher::new(channel, wire::WatchRequest::default()).await;
    let missing = |it: &Watcher| -> Vec<u64> {
        let unreachable = it.coverage.unreachable.iter();
        unreachable.map(|one| one.server).collect()
    };
    watcher.until(|it| missing(it).is_empty()).await;
    cluster.stop_server(ServerId(3)).await;
    watcher.until(|it| missing(it) == [3]).await;
    // Its slots are served by others, who say so.
    watcher
        .until(|it| {
            let served = |kind| matches!(kind, Kind::Recovered | Kind::Moved);
            let mut events = it.events.iter();
            events.any(|event| served(event.kind()) && event.server != 3)
        })
        .await;
    cluster
        .start_server(ServerId(3))
        .await
        .expect("it starts again");
    watcher.until(|it| missing(it).is_empty()).await;
    cluster.stop().await;
}

//! A session from its beginning to its end.

use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use dlm_client::{
    Client, CommandRefusal, ConnectError, ConnectOptions, LockError, Lockspace, Mode, Servers,
    SessionId,
};

use crate::scripted::Script;

/// What a test waits for happens within seconds or never.
pub(crate) async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), what)
        .await
        .expect("it never happens")
}

async fn eventually(is_so: impl Fn() -> bool) {
    within(async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

async fn connect(servers: Servers) -> Result<Client, ConnectError> {
    let name = "node1".to_owned();
    within(Client::connect(ConnectOptions { servers, name })).await
}

async fn lockspace(script: &Arc<Script>) -> Lockspace {
    let client = connect(script.servers()).await.unwrap();
    client.lockspace("volume").await.unwrap()
}

/// An address at which nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[tokio::test]
async fn a_lock_goes_to_its_master_and_comes_back_when_it_is_dropped() {
    let script = Script::start().await;
    let space = lockspace(&script).await;
    assert_eq!(space.client().id(), SessionId(7));
    assert_eq!(space.replays(), [SessionId(2)]);
    let guard = within(space.lock("x", Mode::Ex)).await.unwrap();
    assert_eq!((guard.mode(), guard.token().0), (Mode::Ex, 9));
    drop(guard);
    within(space.client().clone().close()).await;
    // It says goodbye when the unlock is there, and not before.
    let expected = [
        "join node1",
        "open volume",
        "hello 1",
        "request",
        "unlock",
        "goodbye",
    ];
    let mut heard = script.heard();
    heard.sort_by_key(|what| expected.iter().position(|each| each == what));
    assert_eq!(heard, expected);
    assert_eq!(script.heard()[3..], expected[3..]);
}

#[tokio::test]
async fn a_session_that_cannot_be_renewed_is_lost_by_its_own_clock() {
    let script = Script::start().await;
    script.lease_us.store(2_000_000, Ordering::SeqCst);
    let space = lockspace(&script).await;
    let mut guard = within(space.lock("x", Mode::Ex)).await.unwrap();
    script.forgets.store(true, Ordering::SeqCst);
    let other = space.clone();
    let waits = tokio::spawn(async move { other.lock("y", Mode::Pr).await.map(drop) });
    script.silent.store(true, Ordering::SeqCst);
    while !guard.is_lost() {
        let may_expire = script.may_expire();
        assert!(guard.is_lost() || !may_expire, "it ends first");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(within(guard.blocked()).await, None);
    let waited = within(waits).await.unwrap().unwrap_err();
    let locked = space.lock("z", Mode::Ex).await.map(drop).unwrap_err();
    let opened = space.client().lockspace("z").await.map(drop).unwrap_err();
    for error in [waited, locked, opened] {
        let LockError::SessionLost(lost) = error else {
            panic!("{error}");
        };
        assert!(lost.why.contains("lease"), "{lost}");
        assert_eq!(lost.servers, script.addr.to_string());
    }
    // Nobody is told that all is well, and nothing was asked of a lock that may be another's.
    drop(guard);
    within(space.client().clone().close()).await;
    let heard = script.heard();
    assert!(
        !heard.iter().any(|it| it == "goodbye" || it == "unlock"),
        "{heard:?}"
    );
}

#[tokio::test]
async fn a_broken_stream_is_opened_again_and_nothing_is_asked_twice() {
    let script = Script::start().await;
    let space = lockspace(&script).await;
    let first = within(space.lock("x", Mode::Ex)).await.unwrap();
    script.end_streams();
    eventually(|| script.heard().contains(&"hello 2".to_owned())).await;
    let second = within(space.lock("y", Mode::Ex)).await.unwrap();
    assert!(!first.is_lost() && !second.is_lost());
    let count = |what: &str| script.heard().iter().filter(|each| *each == what).count();
    assert_eq!(count("request"), 2);
    within(first.unlock()).await.unwrap();
    within(second.unlock()).await.unwrap();
    assert_eq!(count("unlock"), 2);
}

#[tokio::test]
async fn whoever_is_up_lets_the_client_in_and_the_leader_is_found() {
    let (script, leader) = (Script::start().await, Script::start().await);
    *script.leader.lock().unwrap() = Some(Some(leader.addr));
    let list = format!("{},{}", nobody(), script.addr);
    let client = connect(Servers::parse(&list).unwrap()).await.unwrap();
    assert_eq!(client.servers().to_string(), list);
    assert_eq!(leader.heard()[0], "join node1");
    let space = client.lockspace("volume").await.unwrap();
    within(space.lock("x", Mode::Pr)).await.unwrap();
    assert!(script.heard().iter().all(|it| it == "join node1"));
}

#[tokio::test]
async fn nobody_in_reach_is_one_line_with_all_that_were_tried() {
    let (one, other) = (nobody(), nobody());
    let servers = Servers::parse(&format!("{one},{other}")).unwrap();
    let error = connect(servers).await.map(drop).unwrap_err();
    assert!(
        matches!(error, ConnectError::Unreachable { .. }),
        "{error:?}"
    );
    let said = error.to_string();
    assert!(said.contains(&one) && said.contains(&other), "{said}");
    assert_eq!(said.matches("refused").count(), 2, "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}

#[tokio::test]
async fn a_lockspace_that_the_cluster_refuses_is_told() {
    let script = Script::start().await;
    *script.refuses.lock().unwrap() = Some(CommandRefusal::Lockspaces);
    let client = connect(script.servers()).await.unwrap();
    let refused = client.lockspace("volume").await.map(drop);
    assert_eq!(
        refused,
        Err(LockError::LockspaceRefused(CommandRefusal::Lockspaces))
    );
    *script.refuses.lock().unwrap() = None;
    let space = client.lockspace("volume").await.unwrap();
    assert_eq!(within(space.leave()).await, Ok(0));
    assert!(script.heard().contains(&"left".to_owned()));
}

#[tokio::test]
async fn many_operations_share_a_frame() {
    let script = Script::start().await;
    let space = lockspace(&script).await;
    let before = space.client().counters();
    let names: Vec<[u8; 4]> = (0..2000u32).map(u32::to_be_bytes).collect();
    let mut all: Vec<_> = names
        .iter()
        .map(|name| Box::pin(space.lock(name, Mode::Ex)))
        .collect();
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    for each in &mut all {
        assert!(each.as_mut().poll(&mut context).is_pending());
    }
    for each in all {
        within(each).await.unwrap();
    }
    let after = space.client().counters();
    assert!(after.operations_sent - before.operations_sent >= 2000);
    let frames = after.frames_sent - before.frames_sent;
    assert!(frames < 500, "{frames} frames");
}

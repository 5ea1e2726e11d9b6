//! The ends of a session, and the ways into one that fail.

use std::net::TcpListener;

use dlm_client::glocks::{GlockConfig, GlockError};
use dlm_client::{Client, ConnectError, ConnectOptions, LockError, Mode, Servers, State};

use crate::stage::{FILE, Hooks, Node, client, lockspace, request, server, within};

#[tokio::test]
async fn a_server_that_is_not_there_is_named_in_one_line() {
    let free = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .to_string();
    let options = ConnectOptions {
        servers: Servers::parse(&free).unwrap(),
        name: "a".into(),
    };
    let error = Client::connect(options).await.err().unwrap();
    assert!(
        matches!(error, ConnectError::Unreachable { .. }),
        "{error:?}"
    );
    let text = error.to_string();
    assert!(
        text.contains(&free) && text.contains("refused") && text.contains("dlm-server"),
        "{text}"
    );
    assert_eq!(text.lines().count(), 1);

    let options = ConnectOptions {
        servers: Servers::parse(&free).unwrap(),
        name: String::new(),
    };
    assert!(matches!(
        Client::connect(options).await.err(),
        Some(ConnectError::Name(_))
    ));
}

#[tokio::test]
async fn the_end_of_a_session_releases_its_locks() {
    let server = server().await;
    let b = lockspace(&server, "b").await;

    let a = lockspace(&server, "a").await;
    let held = a.lock("x", Mode::Ex).await.unwrap();
    a.client().clone().close().await;
    assert!(held.is_lost());
    let lost = a.lock("y", Mode::Ex).await.err().unwrap();
    assert!(lost.to_string().contains("closed by this client"), "{lost}");
    within(b.lock("x", Mode::Ex))
        .await
        .unwrap()
        .unlock()
        .await
        .unwrap();

    // The last handle dropped says goodbye as well.
    let a = lockspace(&server, "a").await;
    let held = a.lock("x", Mode::Ex).await.unwrap();
    std::mem::forget(held);
    drop(a);
    let waits = b.try_lock("x", Mode::Ex).await;
    assert_eq!(
        waits.err(),
        Some(LockError::TryFailed),
        "a forgotten guard keeps the session"
    );
    let a = lockspace(&server, "a").await;
    drop(a.lock("y", Mode::Ex).await.unwrap());
    drop(a);
    within(b.lock("y", Mode::Ex)).await.unwrap();
}

#[tokio::test]
async fn a_server_that_goes_is_told_to_everyone() {
    let server = server().await;
    let endpoint = server.addr().to_string();
    let (a, b) = (lockspace(&server, "a").await, lockspace(&server, "b").await);
    let mut held = a.lock("x", Mode::Ex).await.unwrap();
    let waits = tokio::spawn(async move { b.lock("x", Mode::Ex).await });
    assert_eq!(within(held.blocked()).await, Some(Mode::Ex));
    server.stop().await;

    let error = within(waits).await.unwrap().err().unwrap();
    assert!(matches!(error, LockError::SessionLost(_)), "{error:?}");
    assert!(error.to_string().contains(&endpoint), "{error}");
    assert_eq!(error.to_string().lines().count(), 1);
    assert_eq!(within(held.blocked()).await, None);
    assert!(held.is_lost());
    assert!(matches!(
        held.convert(Mode::Nl).await,
        Err(LockError::SessionLost(_))
    ));
    assert!(matches!(
        a.client().lockspace("z").await,
        Err(LockError::SessionLost(_))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn glocks_that_lose_their_session_drop_the_cache_unwritten() {
    let server = server().await;
    let node = Node::start(&server, "a").await;
    let held = node.lock(State::Ex).await.unwrap();
    let waits = node.lock(State::Ex);
    tokio::pin!(waits);
    tokio::select! {
        _ = &mut waits => panic!("it is held"),
        () = node.shows("f:W") => {}
    }
    node.hooks.take();
    server.stop().await;
    assert!(matches!(
        within(waits).await,
        Err(GlockError::SessionLost(_))
    ));
    assert!(held.lost());
    assert!(matches!(
        node.lock(State::Sh).await,
        Err(GlockError::SessionLost(_))
    ));
    assert!(node.hooks.take().is_empty(), "not while it is held");
    drop(held);
    let glocks = node.glocks.clone();
    within(tokio::task::spawn_blocking(move || glocks.release_all()))
        .await
        .unwrap();
    assert_eq!(node.hooks.take(), ["invalidate UN"]);
    assert_eq!(node.glocks.cached(FILE), State::Un);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_that_panics_ends_the_session() {
    let server = server().await;
    let hooks = Hooks {
        sync_panics: true,
        ..Hooks::default()
    };
    let bad = Node::with(&server, "bad", GlockConfig::default(), hooks).await;
    let good = Node::start(&server, "good").await;
    drop(bad.lock(State::Ex).await.unwrap());
    within(good.lock(State::Ex))
        .await
        .expect("the end of the session released it");
    let error = bad.lock(State::Sh).await.unwrap_err();
    assert!(error.to_string().contains("panicked"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_thread_is_told_too() {
    let server = server().await;
    let (holds, waits) = (
        Node::start(&server, "a").await,
        Node::start(&server, "b").await,
    );
    let _held = holds.lock(State::Ex).await.unwrap();
    let glocks = waits.glocks.clone();
    let request = request(State::Ex, dlm_client::HolderFlags::empty());
    let thread = std::thread::spawn(move || glocks.lock(request).map(drop));
    waits.shows("f:W").await;
    waits.client.clone().close().await;
    assert!(matches!(
        thread.join().unwrap(),
        Err(GlockError::SessionLost(_))
    ));
}

#[tokio::test]
async fn sessions_have_numbers_and_endpoints() {
    let server = server().await;
    let (a, b) = (client(&server, "a").await, client(&server, "b").await);
    assert_ne!(a.id(), b.id());
    assert_eq!(a.servers().to_string(), server.addr().to_string());
}

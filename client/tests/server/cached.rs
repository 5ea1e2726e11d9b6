//! Cached locks: what they cost, when they go, and what is called before.

use std::sync::{Arc, Mutex};

use dlm_client::{Access, CacheHooks, LockError, Lockspace, Mode};

use crate::stage::{lockspace, server, within};

type Calls = Arc<Mutex<Vec<&'static str>>>;

fn hooks() -> (CacheHooks, Calls) {
    let calls = Calls::default();
    let (writes, forgets) = (Arc::clone(&calls), Arc::clone(&calls));
    let hooks = CacheHooks::new()
        .on_write_back(move || writes.lock().unwrap().push("write back"))
        .on_forget(move || forgets.lock().unwrap().push("forget"));
    (hooks, calls)
}

fn taken(calls: &Calls) -> Vec<&'static str> {
    std::mem::take(&mut calls.lock().unwrap())
}

/// Waits until nobody has the lock at the server.
async fn free(other: &Lockspace, name: &str) {
    drop(within(other.lock(name, Mode::Ex)).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cached_costs_no_message_and_goes_when_it_is_wanted() {
    let server = server().await;
    let (a, b) = (lockspace(&server, "a").await, lockspace(&server, "b").await);
    let (hooks, calls) = hooks();
    let name = "any name of up to 64 bytes, this one of 46 too";
    let mine = a.cached_with(name, hooks).unwrap();
    assert_eq!(mine.cached(), None);
    let held = mine.lock(Access::Exclusive).await.unwrap();
    assert!(held.token().0 > 0);
    drop(held);
    let before = a.client().counters();
    for access in [Access::Shared, Access::Exclusive] {
        drop(mine.lock(access).await.unwrap());
        drop(mine.clone().try_lock(access).await.unwrap());
    }
    assert_eq!(a.client().counters(), before);
    assert_eq!(mine.cached(), Some(Access::Exclusive));
    assert!(taken(&calls).is_empty());

    // It is the resource of that name, for raw locks as well.
    let theirs = b.cached(name).unwrap();
    let shared = within(theirs.lock(Access::Shared)).await.unwrap();
    assert_eq!(taken(&calls), ["write back"]);
    let ours = mine.lock(Access::Shared).await.unwrap();
    assert_eq!(mine.cached(), Some(Access::Shared));
    let tried = mine.try_lock(Access::Exclusive).await.err();
    assert_eq!(tried, Some(LockError::TryFailed));
    drop((shared, ours));
    let raw = within(b.lock(name, Mode::Ex)).await.unwrap();
    assert_eq!(taken(&calls), ["forget"]);
    // The grant may be here before the answer that it was given up for.
    within(async {
        while mine.cached().is_some() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(
        theirs.cached(),
        None,
        "those of one session exclude each other, too"
    );
    raw.unlock().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_holder_is_waited_for_and_a_dropped_wait_leaves_nothing() {
    let server = server().await;
    let (a, b) = (lockspace(&server, "a").await, lockspace(&server, "b").await);
    let mine = a.cached("x").unwrap();
    let held = mine.lock(Access::Exclusive).await.unwrap();
    let theirs = b.cached("x").unwrap();
    {
        let waits = theirs.lock(Access::Exclusive);
        let limit = std::time::Duration::from_millis(20);
        assert!(tokio::time::timeout(limit, waits).await.is_err());
    }
    let waits = tokio::spawn(async move { theirs.lock(Access::Exclusive).await });
    let token = held.token();
    drop(held);
    let held = within(waits).await.unwrap().unwrap();
    assert!(held.token() > token && !held.is_lost());
    drop(held);
    free(&a, "x").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_given_back_when_nobody_can_use_it_any_more() {
    let server = server().await;
    let (a, b) = (lockspace(&server, "a").await, lockspace(&server, "b").await);
    let (hooks, calls) = hooks();
    let mine = a.cached_with("x", hooks).unwrap();
    let held = mine.lock(Access::Exclusive).await.unwrap();
    mine.give_back();
    assert!(taken(&calls).is_empty(), "not while it is held");
    drop(mine);
    let tried = b.try_lock("x", Mode::Cr).await.err();
    assert_eq!(tried, Some(LockError::TryFailed));
    let handles = Arc::strong_count(&calls);
    assert_eq!(handles, 3);
    drop(held);
    free(&b, "x").await;
    assert_eq!(taken(&calls), ["write back", "forget"]);
    // Its closures are dropped when the server's answer has come.
    within(async {
        while Arc::strong_count(&calls) > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    // One that was never used leaves nothing either.
    let (hooks, unused) = self::hooks();
    drop(a.cached_with("y", hooks).unwrap());
    assert_eq!(Arc::strong_count(&unused), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn leaving_the_lockspace_writes_back_first() {
    let server = server().await;
    let (a, b) = (lockspace(&server, "a").await, lockspace(&server, "b").await);
    let (hooks, calls) = hooks();
    let mine = a.cached_with("x", hooks).unwrap();
    drop(mine.lock(Access::Exclusive).await.unwrap());
    let raw = a.lock("y", Mode::Ex).await.unwrap();
    assert_eq!(within(a.clone().leave()).await, Ok(1), "the raw one");
    assert_eq!(taken(&calls), ["write back", "forget"]);
    assert!(raw.is_lost());
    assert_eq!(mine.lock(Access::Shared).await.err(), Some(LockError::Gone));
    free(&b, "x").await;

    // A table of glocks is its owner's to release.
    let node = crate::stage::Node::start(&server, "node").await;
    drop(node.lock(dlm_client::State::Ex).await.unwrap());
    let space = node.client.lockspace("volume").await.unwrap();
    assert_eq!(space.clone().leave().await, Err(LockError::GlocksInUse));
    let glocks = node.glocks.clone();
    within(tokio::task::spawn_blocking(move || glocks.release_all()))
        .await
        .unwrap();
    assert_eq!(within(space.leave()).await, Ok(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_cached_is_forgotten_with_the_session_and_not_written() {
    let server = server().await;
    let a = lockspace(&server, "a").await;
    let (hooks, calls) = hooks();
    let mine = a.cached_with("x", hooks).unwrap();
    let held = mine.lock(Access::Exclusive).await.unwrap();
    server.stop().await;
    let error = within(mine.lock(Access::Shared)).await.err().unwrap();
    assert!(matches!(error, LockError::SessionLost(_)), "{error}");
    assert!(held.is_lost());
    drop(held);
    within(async {
        while calls.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(taken(&calls), ["forget"]);
    let error = a.cached([0; 65]).err();
    assert!(matches!(error, Some(LockError::Refused(_))));
}

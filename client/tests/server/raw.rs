//! Raw locks: grants, tries, conversions, callbacks, and futures that are dropped.

use std::time::Duration;

use dlm_client::{LockError, Lockspace, Mode, Refusal, RequestFlags};
use tokio_stream::StreamExt;

use crate::stage::{lockspace, server, within};

/// Returns when the server has read everything that this session sent before.
async fn barrier(lockspace: &Lockspace) {
    lockspace
        .lock("barrier", Mode::Nl)
        .await
        .unwrap()
        .unlock()
        .await
        .unwrap();
}

#[tokio::test]
async fn an_exclusive_lock_excludes_until_it_is_dropped() {
    let server = server().await;
    let (a, b) = (lockspace(&server, "a").await, lockspace(&server, "b").await);
    let first = a.lock("x", Mode::Ex).await.unwrap();
    assert_eq!(first.mode(), Mode::Ex);
    assert_eq!(
        b.try_lock("x", Mode::Cr).await.err(),
        Some(LockError::TryFailed)
    );

    let token = first.token();
    let waits = tokio::spawn(async move { b.lock("x", Mode::Ex).await });
    drop(first);
    let second = within(waits).await.unwrap().unwrap();
    assert!(
        second.token() > token,
        "a later grant that excludes has a larger token"
    );
}

#[tokio::test]
async fn the_holder_hears_who_wants_it() {
    let server = server().await;
    let (a, b) = (lockspace(&server, "a").await, lockspace(&server, "b").await);
    let mut held = a.lock("x", Mode::Ex).await.unwrap();
    let waits = tokio::spawn(async move { b.lock("x", Mode::Pr).await });
    assert_eq!(within(held.blocked()).await, Some(Mode::Pr));
    held.convert(Mode::Pr).await.unwrap();
    assert_eq!(held.mode(), Mode::Pr);
    let other = within(waits).await.unwrap().unwrap();

    let try_callback = RequestFlags::NOQUEUE | RequestFlags::NOQUEUEBAST;
    let c = lockspace(&server, "c").await;
    let tried = c
        .request("x", Mode::Ex, try_callback, dlm_client::Owner(0))
        .await;
    assert_eq!(tried.err(), Some(LockError::TryFailed));
    assert_eq!(within(held.callbacks().next()).await, Some(Mode::Ex));
    other.unlock().await.unwrap();
}

#[tokio::test]
async fn two_upgrades_that_wait_for_each_other_are_told() {
    let server = server().await;
    let (a, b) = (lockspace(&server, "a").await, lockspace(&server, "b").await);
    let mut first = a.lock("x", Mode::Pr).await.unwrap();
    let mut second = b.lock("x", Mode::Pr).await.unwrap();
    let waits = tokio::spawn(async move { first.convert(Mode::Ex).await.map(|()| first) });
    assert_eq!(
        within(second.blocked()).await,
        Some(Mode::Ex),
        "the first one waits now"
    );
    assert_eq!(second.convert(Mode::Ex).await, Err(LockError::Deadlock));
    assert_eq!(second.mode(), Mode::Pr, "it keeps what it had");
    drop(second);
    assert_eq!(within(waits).await.unwrap().unwrap().mode(), Mode::Ex);
}

#[tokio::test]
async fn a_dropped_request_leaves_no_lock_behind() {
    let server = server().await;
    let (a, b) = (lockspace(&server, "a").await, lockspace(&server, "b").await);
    let mut held = a.lock("x", Mode::Ex).await.unwrap();
    {
        let waits = b.lock("x", Mode::Ex);
        tokio::pin!(waits);
        // The callback says that the request has reached the queue.
        tokio::select! {
            _ = &mut waits => panic!("it is held"),
            wanted = held.blocked() => assert_eq!(wanted, Some(Mode::Ex)),
        }
    }
    barrier(&b).await;
    held.unlock().await.unwrap();
    let c = lockspace(&server, "c").await;
    c.try_lock("x", Mode::Ex)
        .await
        .expect("nobody waits and nobody holds")
        .unlock()
        .await
        .unwrap();

    // And where the grant is faster than the cancel.
    for _ in 0..50 {
        let quick = b.lock("x", Mode::Ex);
        // Which of the two it is does not matter.
        let _ = tokio::time::timeout(Duration::ZERO, quick).await;
    }
    barrier(&b).await;
    barrier(&b).await;
    c.try_lock("x", Mode::Ex)
        .await
        .expect("every grant that nobody took was unlocked");
}

#[tokio::test]
async fn a_dropped_conversion_keeps_the_lock_usable() {
    let server = server().await;
    let (a, b) = (lockspace(&server, "a").await, lockspace(&server, "b").await);
    let mut mine = a.lock("x", Mode::Pr).await.unwrap();
    let mut other = b.lock("x", Mode::Pr).await.unwrap();
    {
        let waits = mine.convert(Mode::Ex);
        tokio::pin!(waits);
        tokio::select! {
            _ = &mut waits => panic!("the other one holds"),
            wanted = other.blocked() => assert_eq!(wanted, Some(Mode::Ex)),
        }
    }
    within(mine.convert(Mode::Cr)).await.unwrap();
    assert_eq!(mine.mode(), Mode::Cr);
    other.convert(Mode::Nl).await.unwrap();
    within(mine.convert(Mode::Ex)).await.unwrap();
    mine.unlock().await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_asked_for_is_refused_by_name() {
    let server = server().await;
    let a = lockspace(&server, "a").await;
    let refused = Some(LockError::Refused(Refusal::NameLength));
    assert_eq!(a.lock([0; 65], Mode::Ex).await.err(), refused);
    let mut held = a.lock("x", Mode::Ex).await.unwrap();
    let refused = held.convert_with(Mode::Pr, RequestFlags::QUECVT).await;
    assert_eq!(refused, Err(LockError::Refused(Refusal::Flags)));
    assert_eq!(held.mode(), Mode::Ex);
    assert!(matches!(
        a.client().lockspace("").await,
        Err(LockError::LockspaceName(_))
    ));
}

#[tokio::test]
async fn many_operations_share_a_frame() {
    let server = server().await;
    let a = lockspace(&server, "a").await;
    let before = a.client().counters();
    let names: Vec<[u8; 4]> = (0..2000u32).map(u32::to_be_bytes).collect();
    let mut all: Vec<_> = names
        .iter()
        .map(|name| Box::pin(a.lock(name, Mode::Ex)))
        .collect();
    // Each is asked for by its first poll, before any answer can come.
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    for each in &mut all {
        assert!(each.as_mut().poll(&mut context).is_pending());
    }
    for each in all {
        within(each).await.unwrap();
    }
    let after = a.client().counters();
    assert!(after.operations_sent - before.operations_sent >= 2000);
    let frames = after.frames_sent - before.frames_sent;
    assert!(frames < 500, "{frames} frames");
}

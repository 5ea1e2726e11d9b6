//! What one node caches, and when it lets go.

use std::time::Duration;

use dlm_client::glocks::{GlockConfig, GlockError};
use dlm_client::{GlockName, HoldTime, HolderFlags, Owner, Release, Role, State};

use crate::stage::{Hooks, Node, PLAIN, request, server, within};

#[tokio::test(flavor = "multi_thread")]
async fn a_cached_glock_costs_no_message() {
    let server = server().await;
    let node = Node::start(&server, "a").await;
    let held = node.lock(State::Ex).await.unwrap();
    assert!(held.token().0 > 0);
    drop(held);
    let before = node.client.counters();
    for state in [State::Sh, State::Df, State::Ex] {
        let held = node.lock(state).await.unwrap();
        assert_eq!((held.state(), held.cached_state()), (state, State::Ex));
    }
    assert_eq!(node.client.counters(), before);
    let counters = node.glocks.counters();
    assert_eq!(
        (counters.granted, counters.cached, counters.messages),
        (4, 3, 1)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn hooks_run_in_order_before_the_other_node_is_granted() {
    let server = server().await;
    let (a, b) = (
        Node::start(&server, "a").await,
        Node::start(&server, "b").await,
    );
    drop(a.lock(State::Ex).await.unwrap());
    assert_eq!(a.hooks.take(), ["instantiate"]);

    let reader = within(b.lock(State::Sh)).await.unwrap();
    assert_eq!(
        a.hooks.take(),
        ["sync"],
        "a reader leaves clean data cached"
    );
    a.shows("s:SH").await;
    drop(a.lock(State::Sh).await.unwrap());
    assert!(a.hooks.take().is_empty());
    drop(reader);

    drop(within(b.lock(State::Ex)).await.unwrap());
    assert_eq!(a.hooks.take(), ["invalidate UN"]);
    assert_eq!(
        b.hooks.take(),
        ["instantiate"],
        "once, for the conversion too"
    );

    drop(within(a.lock(State::Df)).await.unwrap());
    assert_eq!(b.hooks.take(), ["sync", "invalidate DF"]);
    b.shows("s:DF").await;
    assert_eq!(a.hooks.take(), ["instantiate"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn releasing_all_writes_back_and_unlocks() {
    let server = server().await;
    let (a, b) = (
        Node::start(&server, "a").await,
        Node::start(&server, "b").await,
    );
    for number in 1..50 {
        let name = GlockName::inode(number);
        a.glocks.lock_async(of(name)).await.unwrap();
    }
    a.hooks.take();
    let glocks = a.glocks.clone();
    within(tokio::task::spawn_blocking(move || glocks.release_all()))
        .await
        .unwrap();
    let calls = a.hooks.take();
    assert_eq!(calls.iter().filter(|call| *call == "sync").count(), 49);
    assert_eq!(
        calls.iter().filter(|call| *call == "invalidate UN").count(),
        49
    );
    assert_eq!(a.glocks.dump(), "");
    let before = a.client.counters().callbacks_received;
    for number in 1..50 {
        let mut request = of(GlockName::inode(number));
        request.flags = HolderFlags::TRY;
        b.glocks
            .lock_async(request)
            .await
            .expect("nobody holds any lock");
    }
    assert_eq!(a.client.counters().callbacks_received, before);
    assert_eq!(a.lock(State::Sh).await.unwrap_err(), GlockError::Closed);
}

fn of(name: GlockName) -> dlm_client::glocks::HolderRequest {
    dlm_client::glocks::HolderRequest {
        name,
        ..request(State::Ex, PLAIN)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_served_fault_keeps_the_glock_until_its_task_gives_way() {
    let server = server().await;
    let hold = HoldTime::fixed(Duration::from_secs(3600).as_micros() as u64);
    let config = GlockConfig {
        hold,
        ..GlockConfig::default()
    };
    let a = Node::with(&server, "a", config, Hooks::default()).await;
    let b = Node::start(&server, "b").await;
    drop(a.lock_with(State::Ex, HolderFlags::FAULT).await.unwrap());
    let wants = b.lock(State::Ex);
    tokio::pin!(wants);
    tokio::select! {
        _ = &mut wants => panic!("the hold time is an hour"),
        () = a.shows("d:UN") => {}
    }
    let again = a.lock_with(State::Ex, HolderFlags::FAULT).await.unwrap();
    again.release(Release::Yield);
    drop(within(wants).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hold_time_ends_by_itself() {
    let server = server().await;
    let config = GlockConfig {
        hold: HoldTime::fixed(2_000),
        ..GlockConfig::default()
    };
    let a = Node::with(&server, "a", config, Hooks::default()).await;
    let b = Node::start(&server, "b").await;
    drop(a.lock_with(State::Ex, HolderFlags::FAULT).await.unwrap());
    within(b.lock(State::Ex)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_cannot_be_read_in_is_an_error() {
    let server = server().await;
    let hooks = Hooks {
        instantiate_fails: true,
        ..Hooks::default()
    };
    let node = Node::with(&server, "a", GlockConfig::default(), hooks).await;
    let error = node.lock(State::Sh).await.unwrap_err();
    assert_eq!(error, GlockError::Io("bad block".into()));
    drop(node.lock_with(State::Sh, HolderFlags::SKIP).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_and_mistakes_have_names() {
    let server = server().await;
    let config = GlockConfig {
        glocks_max: 1,
        instantiate: false,
        ..GlockConfig::default()
    };
    let node = Node::with(&server, "a", config, Hooks::default()).await;
    assert_eq!(
        node.lock(State::Un).await.unwrap_err(),
        GlockError::Unlocked
    );
    let errors = (0..1000).map(|number| node.glocks.lock_async(of(GlockName::inode(number))));
    let mut full = None;
    for each in errors {
        full = full.or(each.await.err());
    }
    assert_eq!(
        full,
        Some(GlockError::Limit {
            what: "glocks cached",
            max: 1
        })
    );
    assert!(
        node.hooks.take().is_empty(),
        "not instantiated where that is switched off"
    );

    let owner = node.glocks.task("twice");
    let mut request = of(GlockName::inode(0));
    request.owner = owner;
    let _held = node.glocks.lock_async(request).await.unwrap();
    let error = node.glocks.lock_async(request).await.unwrap_err();
    assert_eq!(
        error,
        GlockError::Recursion {
            name: GlockName::inode(0),
            owner
        }
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dump_names_tasks_and_objects() {
    let server = server().await;
    let node = Node::start(&server, "a").await;
    let owner = node.glocks.task("writer");
    assert_ne!(owner, Owner(0));
    let request = dlm_client::glocks::HolderRequest {
        owner,
        role: Role::Fault,
        ..request(State::Ex, PLAIN)
    };
    let _held = node.glocks.lock_async(request).await.unwrap();
    let dump = node.glocks.dump();
    let lines: Vec<&str> = dump.lines().collect();
    assert!(
        lines[0].starts_with("G:  s:EX n:2/102ab f:qo t:EX d:EX/0"),
        "{dump}"
    );
    assert_eq!(lines[1], format!(" H: s:EX f:H e:0 p:{} [writer]", owner.0));
    assert!(lines[2].starts_with(" I: n:1/66219"), "{dump}");
    node.glocks.end_task(owner);
    assert!(node.glocks.dump().contains("[(none)]"));
}

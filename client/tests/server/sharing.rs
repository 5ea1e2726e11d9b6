//! Nodes against each other: exclusion, tries, interrupts, and what the lock graph is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dlm_client::glocks::{GlockError, HolderRequest};
use dlm_client::{HolderFlags, Role, State};
use glockwork_proto::wire::inspect_client::InspectClient;
use glockwork_proto::wire::{self, GraphRequest};
use tonic::transport::Endpoint;

use crate::stage::{Node, PLAIN, request, server, within};

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_count_together() {
    const ROUNDS: u64 = 100;
    const TASKS: u64 = 2;
    let server = server().await;
    let nodes = [
        Node::start(&server, "a").await,
        Node::start(&server, "b").await,
    ];
    // Read and written in two steps: without exclusion, counts are lost.
    let count = Arc::new(AtomicU64::new(0));
    let mut threads = Vec::new();
    for node in &nodes {
        for _ in 0..TASKS {
            let (glocks, count) = (node.glocks.clone(), Arc::clone(&count));
            threads.push(std::thread::spawn(move || {
                let owner = glocks.task("counter");
                for _ in 0..ROUNDS {
                    let request = HolderRequest {
                        owner,
                        ..request(State::Ex, PLAIN)
                    };
                    let held = glocks.lock(request).unwrap();
                    let read = count.load(Ordering::Relaxed);
                    std::thread::yield_now();
                    count.store(read + 1, Ordering::Relaxed);
                    drop(held);
                }
            }));
        }
    }
    let joined =
        tokio::task::spawn_blocking(|| threads.into_iter().for_each(|t| t.join().unwrap()));
    within(joined).await.unwrap();
    assert_eq!(count.load(Ordering::Relaxed), 2 * TASKS * ROUNDS);
    let demotions: u64 = nodes
        .iter()
        .map(|node| node.glocks.counters().demotions)
        .sum();
    assert!(demotions > 0, "the glock went back and forth");
}

#[tokio::test(flavor = "multi_thread")]
async fn direct_io_and_sharing_exclude_each_other() {
    let server = server().await;
    let (a, b) = (
        Node::start(&server, "a").await,
        Node::start(&server, "b").await,
    );
    let shared = a.lock(State::Sh).await.unwrap();
    drop(within(b.lock(State::Sh)).await.unwrap());
    let tried = b.lock_with(State::Df, HolderFlags::TRY).await;
    assert_eq!(tried.unwrap_err(), GlockError::TryFailed);
    let wants = b.lock(State::Df);
    tokio::pin!(wants);
    tokio::select! {
        _ = &mut wants => panic!("it is shared"),
        () = a.shows("f:Dq") => {}
    }
    drop(shared);
    let direct = within(wants).await.unwrap();
    assert!(a.hooks.take().contains(&"invalidate DF".to_owned()));
    let _beside = within(a.lock(State::Df)).await.unwrap();
    drop(direct);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_try_with_a_callback_gets_it_soon_if_nobody_uses_it() {
    let server = server().await;
    let (a, b) = (
        Node::start(&server, "a").await,
        Node::start(&server, "b").await,
    );
    drop(a.lock(State::Ex).await.unwrap());
    let silent = b.lock_with(State::Ex, HolderFlags::TRY).await;
    assert_eq!(silent.unwrap_err(), GlockError::TryFailed);
    assert_eq!(a.client.counters().callbacks_received, 0);
    let mut tries = 0;
    within(async {
        while b.lock_with(State::Ex, HolderFlags::TRY_1CB).await.is_err() {
            tries += 1;
        }
    })
    .await;
    assert!(tries > 0, "the first one sends the callback");
    assert_eq!(b.glocks.counters().try_failed, 1 + tries);
    let busy = a.lock_with(State::Sh, HolderFlags::NOBLOCK).await;
    assert_eq!(busy.unwrap_err(), GlockError::TryFailed);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_ends_waits_and_takes_their_requests_back() {
    let server = server().await;
    let (a, b) = (
        Node::start(&server, "a").await,
        Node::start(&server, "b").await,
    );
    let held = a.lock(State::Ex).await.unwrap();
    let glocks = b.glocks.clone();
    let thread = std::thread::spawn(move || glocks.lock(request(State::Ex, PLAIN)).map(drop));
    b.shows("f:W").await;
    b.glocks.interrupt_all(true);
    assert_eq!(thread.join().unwrap(), Err(GlockError::Interrupted));
    assert_eq!(
        b.lock(State::Sh).await.unwrap_err(),
        GlockError::Interrupted
    );
    b.glocks.interrupt_all(false);
    drop(held);
    let c = Node::start(&server, "c").await;
    within(c.lock(State::Ex)).await.unwrap();
    within(b.lock(State::Ex)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_wait_leaves_the_queue() {
    let server = server().await;
    let (a, b) = (
        Node::start(&server, "a").await,
        Node::start(&server, "b").await,
    );
    let held = a.lock(State::Ex).await.unwrap();
    {
        let wants = b.lock(State::Ex);
        tokio::pin!(wants);
        tokio::select! {
            _ = &mut wants => panic!("it is held"),
            () = b.shows("f:W") => {}
        }
    }
    within(async {
        while !b.glocks.dump().is_empty() {
            tokio::task::yield_now().await;
        }
    })
    .await;
    drop(held);
    drop(within(b.lock(State::Ex)).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_lock_graph_sees_the_tasks_behind_a_glock() {
    let server = server().await;
    let (a, b) = (
        Node::start(&server, "a").await,
        Node::start(&server, "b").await,
    );
    let task = |node: &Node, name: &str, role| HolderRequest {
        owner: node.glocks.task(name),
        role,
        ..request(State::Ex, PLAIN)
    };
    let held = a
        .glocks
        .lock_async(task(&a, "reader", Role::Operation))
        .await
        .unwrap();
    held.set_role(Role::Pin);
    held.pins().store(3, Ordering::Relaxed);
    let wants = b.glocks.lock_async(task(&b, "writer", Role::Fault));
    tokio::pin!(wants);
    tokio::select! {
        _ = &mut wants => panic!("it is held"),
        () = a.shows("f:Dq") => {}
    }
    let uri = format!("http://{}", server.addr());
    let mut inspect =
        InspectClient::new(Endpoint::from_shared(uri).unwrap().connect().await.unwrap());
    let look = inspect.graph(GraphRequest::default());
    let graph = tokio::select! {
        _ = &mut wants => panic!("it is held"),
        graph = look => graph.unwrap().into_inner(),
    };
    let [edge] = &graph.edges[..] else {
        panic!("{graph:?}")
    };
    let name = |task: &Option<wire::GraphTask>| {
        task.as_ref()
            .map(|task| (task.session_name.clone(), task.name.clone()))
    };
    assert_eq!(name(&edge.waiter), Some(("b".into(), "writer".into())));
    assert_eq!(name(&edge.holder), Some(("a".into(), "reader".into())));
    assert_eq!((edge.role(), edge.pins), (wire::Role::Pin, 3));
    assert!(graph.silent.is_empty());
    drop(held);
    drop(within(wants).await.unwrap());
}

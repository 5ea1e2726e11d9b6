//! `dlm caches`: what nodes count of their glocks.

use dlm_client::{Role, State};
use serde_json::Value;

use crate::node::Node;
use crate::stage::{PATIENCE, join, serve, succeeds};

async fn listed(endpoint: &str) -> Value {
    let text = succeeds(endpoint, &["caches", "--json"]).await;
    serde_json::from_str(&text).expect("a document")
}

#[tokio::test]
async fn what_was_granted_without_a_message_counts_as_a_hit() {
    let (_server, endpoint) = serve().await;
    assert_eq!(
        succeeds(&endpoint, &["caches"]).await,
        "No session caches glocks.\n"
    );
    let a = Node::join(&endpoint, "node1").await;
    let b = Node::join(&endpoint, "node2").await;
    let raw = join(&endpoint, "backup").await;
    for _ in 0..4 {
        drop(
            a.lock(1, State::Ex, Role::Operation)
                .await
                .expect("it is free"),
        );
    }
    drop(
        a.lock(2, State::Sh, Role::Operation)
            .await
            .expect("it is free"),
    );
    let text = succeeds(&endpoint, &["caches"]).await;
    let rows: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert_eq!(rows.len(), 1 + 2, "{text}");
    let counted = ["1", "node1", "volume", "2", "5", "60.0", "%", "0", "0"];
    assert_eq!(rows[1], counted);
    assert_eq!(rows[2][1..5], ["node2", "volume", "0", "0"]);

    // The other one takes it away.
    let held = b
        .lock(1, State::Ex, Role::Operation)
        .await
        .expect("it comes");
    let all = listed(&endpoint).await;
    let first = &all["caches"][0];
    assert_eq!(
        (&first["callbacks"], &first["demotions"]),
        (&1.into(), &1.into())
    );
    assert_eq!((&first["requests"], &first["hits"]), (&5.into(), &3.into()));
    assert_eq!(first["hit_rate"], 0.6);
    assert_eq!(all["silent"], Value::Array(Vec::new()));
    drop((held, raw));
}

#[tokio::test]
async fn a_node_that_is_gone_is_not_listed() {
    let (_server, endpoint) = serve().await;
    let a = Node::join(&endpoint, "node1").await;
    let b = Node::join(&endpoint, "node2").await;
    drop(
        a.lock(1, State::Ex, Role::Operation)
            .await
            .expect("it is free"),
    );
    b.leave().await;
    let before = std::time::Instant::now();
    loop {
        let all = listed(&endpoint).await;
        let caches = all["caches"].as_array().expect("a list").len();
        if caches == 1 && all["silent"].as_array().is_some_and(Vec::is_empty) {
            return;
        }
        assert!(before.elapsed() < PATIENCE, "{all}");
    }
}

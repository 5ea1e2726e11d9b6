//! `dlm history`: what happened to a resource last.

use dlm_client::{Mode, Role, State};
use serde_json::Value;

use crate::node::Node;
use crate::stage::{fails, join, run, serve, succeeds};

fn kinds(history: &str) -> Vec<Value> {
    let document: Value = serde_json::from_str(history).expect("a document");
    let events = document["events"].as_array().expect("a list");
    let of_locks = events.iter().filter(|event| event["kind"] != "recovered");
    of_locks.map(|event| event["kind"].clone()).collect()
}

#[tokio::test]
async fn what_happened_to_a_resource_is_told_in_order() {
    let (_server, endpoint) = serve().await;
    let client = join(&endpoint, "backup").await;
    let jobs = client.lockspace("jobs").await.expect("it opens");
    let mut guard = jobs.lock("nightly", Mode::Ex).await.expect("it is free");
    guard.convert(Mode::Pr).await.expect("it goes down");
    drop(guard);
    let until_released = async {
        loop {
            let text = succeeds(&endpoint, &["history", "jobs", "nightly"]).await;
            if text.contains("released") {
                return text;
            }
        }
    };
    let text = until_released.await;
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].starts_with("jobs \"nightly\": slot "), "{text}");
    let told = |kind: &str, how: &str| {
        let mut lines = lines.iter();
        let line = lines.find(|line| line.contains(kind));
        let line = line.unwrap_or_else(|| panic!("{kind} is missing: {text}"));
        assert!(line.contains("backup") && line.contains(how), "{line}");
    };
    told("granted", "EX");
    told("demoted", "EX to PR");
    told("released", "PR, held ");
    let document = succeeds(&endpoint, &["history", "jobs", "nightly", "--json"]).await;
    assert_eq!(kinds(&document), ["granted", "demoted", "released"]);
}

#[tokio::test]
async fn glocks_go_by_the_names_that_listings_show() {
    let (_server, endpoint) = serve().await;
    let node = Node::join(&endpoint, "node1").await;
    let _held = node
        .lock(0x2a, State::Ex, Role::Operation)
        .await
        .expect("it is free");
    for name in ["inode 0x2a", "2/2a", "       2              2a"] {
        let document = succeeds(&endpoint, &["history", "volume", name, "--json"]).await;
        assert_eq!(kinds(&document), ["granted"], "{name}");
    }
    // What only looks like a glock is found where the glock has no history.
    let client = join(&endpoint, "backup").await;
    let volume = client.lockspace("volume").await.expect("it opens");
    let _odd = volume.lock("2/2b", Mode::Pr).await.expect("it is free");
    let text = succeeds(&endpoint, &["history", "volume", "2/2b"]).await;
    assert!(text.starts_with("volume \"2/2b\": "), "{text}");
}

#[tokio::test]
async fn what_there_is_not_is_said() {
    let (_server, endpoint) = serve().await;
    let said = fails(&endpoint, &["history", "nowhere", "nightly"]).await;
    assert!(said.contains("nowhere"), "{said}");
    let client = join(&endpoint, "backup").await;
    let _jobs = client.lockspace("jobs").await.expect("it opens");
    let text = succeeds(&endpoint, &["history", "jobs", "nightly"]).await;
    assert!(!text.contains("granted"), "{text}");
    let long = "a".repeat(65);
    let output = run(&endpoint, &["history", "jobs", &long]).await;
    assert_eq!(output.status.code(), Some(2));
}

//! `dlm fault` against a server that allows it, and one that does not.

use std::time::Duration;

use dlm_client::Mode;
use tokio::time::timeout;

use crate::stage::{PATIENCE, fails, join, run, serve, serve_allowing_faults, succeeds};

#[tokio::test]
async fn a_session_that_is_cut_off_waits_and_goes_on_when_it_is_healed() {
    let (_server, endpoint) = serve_allowing_faults().await;
    let client = join(&endpoint, "node1").await;
    let lockspace = client.lockspace("jobs").await.unwrap();
    let cut = ["fault", "partition", "1,node1"];
    assert_eq!(
        succeeds(&endpoint, &cut).await,
        "1 <-> node1: cut, until healed.\n"
    );
    let mut lock = Box::pin(lockspace.lock("nightly", Mode::Ex));
    // Silence is no clock's matter: a shorter time could only hide that it is not silent.
    let silence = timeout(Duration::from_millis(200), &mut lock).await;
    assert!(silence.is_err());
    let listed = succeeds(&endpoint, &["fault", "list"]).await;
    assert_eq!(listed.lines().count(), 3, "{listed}");
    let other = join(&endpoint, "node2").await;
    other.lockspace("jobs").await.unwrap();
    let healed = succeeds(&endpoint, &["fault", "heal"]).await;
    assert_eq!(healed, "All faults are healed.\n");
    timeout(PATIENCE, lock).await.expect("it goes on").unwrap();
}

#[tokio::test]
async fn what_is_said_of_faults() {
    let (_server, endpoint) = serve_allowing_faults().await;
    let late = [
        "fault",
        "delay",
        "client,1",
        "50ms",
        "--one-way",
        "--for",
        "1h",
    ];
    assert_eq!(
        succeeds(&endpoint, &late).await,
        "client -> 1: 50ms late, for 3600s.\n"
    );
    let stalled = ["fault", "stall", "1,node1", "--json"];
    let said = succeeds(&endpoint, &stalled).await;
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(said, serde_json::json!({"missed": []}));
    let listed = succeeds(&endpoint, &["fault", "list", "--json"]).await;
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let faults = listed["faults"].as_array().unwrap();
    assert_eq!(faults.len(), 3, "{listed}");
    let delay = faults
        .iter()
        .find(|fault| fault["fault"] == "delay")
        .unwrap();
    assert_eq!(
        (&delay["from"], &delay["to"]),
        (&"client".into(), &"1".into())
    );
    assert_eq!(delay["delay_us"], 50_000);
    assert!(delay["left_us"].as_u64().unwrap() <= 3_600_000_000);
    succeeds(&endpoint, &["fault", "heal", "1,client"]).await;
    let listed = succeeds(&endpoint, &["fault", "list"]).await;
    assert!(
        listed.contains("stall") && !listed.contains("delay"),
        "{listed}"
    );
    let said = fails(&endpoint, &["fault", "drop", "1,2"]).await;
    assert!(said.contains("no server 2"), "{said}");
    let usage = run(&endpoint, &["fault", "drop", "node1,node2"]).await;
    assert_eq!(usage.status.code(), Some(2));
    for page in ["fault", "fault-partition"] {
        let page = succeeds(&endpoint, &["manual", page]).await;
        assert!(page.contains("partition"), "{page}");
    }
}

#[tokio::test]
async fn a_server_that_was_not_told_so_has_no_faults() {
    let (_server, endpoint) = serve().await;
    for arguments in [
        &["fault", "list"][..],
        &["fault", "heal"],
        &["fault", "partition", "1,client"],
    ] {
        let said = fails(&endpoint, arguments).await;
        assert!(said.contains("--allow-faults"), "{said}");
    }
}

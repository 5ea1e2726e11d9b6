//! `dlm graph` and `dlm status`: what they say, and how they exit.

use std::io::Read;
use std::time::{Duration, Instant};

use dlm_client::glocks::GlockError;
use dlm_client::{Mode, Role, State, graph, inspect};
use tokio::time::sleep;

use crate::node::Node;
use crate::stage::{dlm, fails, join, run, serve, servers, succeeds};

/// Direct I/O on each node, into a mapping of the file that the other does direct I/O on: what this
/// project is about. Seen through everything there is, from the nodes' reports to the command.
#[tokio::test]
async fn the_deadlock_of_two_direct_ios_is_shown_down_to_the_task() {
    let (_server, endpoint) = serve().await;
    let a = Node::join(&endpoint, "node1").await;
    let b = Node::join(&endpoint, "node2").await;
    let a_target = a.lock(1, State::Df, Role::Operation).await.unwrap();
    let b_target = b.lock(2, State::Df, Role::Operation).await.unwrap();
    b_target.set_role(Role::Pin);
    b_target
        .pins()
        .store(3, std::sync::atomic::Ordering::SeqCst);

    let show = async {
        let before = Instant::now();
        let text = loop {
            let text = succeeds(&endpoint, &["graph"]).await;
            if text.contains("DEADLOCK") {
                break text;
            }
            assert!(before.elapsed() < Duration::from_secs(20), "{text}");
            sleep(Duration::from_millis(20)).await;
        };
        let svg = succeeds(&endpoint, &["graph", "--format", "svg"]).await;
        let json = succeeds(&endpoint, &["graph", "--json"]).await;
        a.glocks.interrupt_all(true);
        b.glocks.interrupt_all(true);
        (text, svg, json)
    };
    let (a_fault, b_fault, (text, svg, json)) = tokio::join!(
        a.lock(2, State::Sh, Role::Fault),
        b.lock(1, State::Ex, Role::Fault),
        show
    );
    assert!(matches!(a_fault, Err(GlockError::Interrupted)));
    assert!(matches!(b_fault, Err(GlockError::Interrupted)));

    assert!(text.contains("DEADLOCK of 2 tasks:"), "{text}");
    let line = |start: &str| text.lines().find(|line| line.starts_with(start));
    let a_waits = line("  node1/dio 0 waits for PR (SH) of volume inode 0x2 ").expect(&text);
    let b_waits = line("  node2/dio 0 waits for EX of volume inode 0x1 ").expect(&text);
    let (a_way, b_way) = (
        "held by node2/dio 0 in CW (DF), pin of 3 pages",
        "held by node1/dio 0 in CW (DF), operation",
    );
    assert!(
        a_waits.ends_with(a_way) && b_waits.ends_with(b_way),
        "{text}"
    );
    assert!(svg.contains("pin of 3 pages") && svg.contains("1 deadlock"));
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["cycles"][0].as_array().unwrap().len(), 2);

    drop((a_target, b_target));
    let after = inspect::graph(&servers(&endpoint)).await.unwrap();
    assert!(after.cycles.is_empty(), "{}", graph::text::render(&after));
}

#[tokio::test]
async fn the_status_names_the_sessions() {
    let (_server, endpoint) = serve().await;
    let client = join(&endpoint, "backup").await;
    let lockspace = client.lockspace("jobs").await.unwrap();
    let _guard = lockspace.lock("nightly", Mode::Ex).await.unwrap();
    let text = succeeds(&endpoint, &["status"]).await;
    assert!(text.contains("backup") && text.contains("jobs"), "{text}");
    let json = succeeds(&endpoint, &["status", "--json"]).await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["sessions"][0]["locks"], 1);
    assert_eq!(json["lockspaces"][0], "jobs");
    let graph = succeeds(&endpoint, &["graph", "--lockspace", "jobs"]).await;
    assert!(
        graph.contains("jobs \"nightly\"") && graph.contains("backup"),
        "{graph}"
    );
}

#[tokio::test]
async fn a_server_that_is_not_there_is_one_line_and_1() {
    let (server, endpoint) = serve().await;
    server.stop().await;
    for command in ["graph", "status"] {
        let said = fails(&endpoint, &[command]).await;
        let start = format!("dlm: cannot reach a lock server at {endpoint}: ");
        assert!(said.starts_with(&start), "{said}");
        let remedy = "; start one with dlm-server, or name another with --endpoints\n";
        assert!(said.ends_with(remedy), "{said}");
    }
}

#[tokio::test]
async fn other_failures_are_one_line_and_1_too() {
    let (_server, endpoint) = serve().await;
    let said = fails(&endpoint, &["graph", "--lockspace", "nowhere"]).await;
    assert!(said.contains("\"nowhere\""), "{said}");
    let said = fails(&endpoint, &["graph", "--output", "/nowhere/graph.svg"]).await;
    assert!(
        said.contains("/nowhere/graph.svg") && said.contains("--output"),
        "{said}"
    );
}

#[tokio::test]
async fn a_usage_error_is_2() {
    for arguments in [
        &["graph", "--format", "png"][..],
        &["status", "--endpoints", "x"],
        &[],
    ] {
        let output = run("127.0.0.1:1", arguments).await;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
}

#[tokio::test]
async fn a_picture_goes_to_the_file_that_is_named() {
    let (_server, endpoint) = serve().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("graph.svg");
    let name = file.to_str().unwrap();
    let said = succeeds(&endpoint, &["graph", "--format", "svg", "--output", name]).await;
    assert_eq!(said, "");
    assert!(std::fs::read_to_string(file).unwrap().starts_with("<svg "));
    let dot = succeeds(&endpoint, &["graph", "--format", "dot"]).await;
    assert!(dot.starts_with("digraph "), "{dot}");
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_failure() {
    let (_server, endpoint) = serve().await;
    let client = join(&endpoint, "backup").await;
    let lockspace = client.lockspace("jobs").await.unwrap();
    let mut guards = Vec::new();
    for number in 0..2000 {
        let name = format!("job {number}");
        guards.push(lockspace.lock(&name, Mode::Pr).await.unwrap());
    }
    // Far more than a pipe holds, so that the program is still writing when nobody reads any more.
    let (mut reading, writing) = std::io::pipe().unwrap();
    let mut child = dlm(&endpoint, &["graph", "--json"])
        .stdout(writing)
        .spawn()
        .unwrap();
    let read = tokio::task::spawn_blocking(move || reading.read_exact(&mut [0; 10]));
    read.await.unwrap().unwrap();
    let status = child.wait().await.unwrap();
    let mut said = String::new();
    let mut stderr = child.stderr.take().unwrap();
    tokio::io::AsyncReadExt::read_to_string(&mut stderr, &mut said)
        .await
        .unwrap();
    assert_eq!((status.code(), &said[..]), (Some(0), ""));
}

//! `dlm watch`: what happens, as it happens.

use dlm_client::glocks::GlockError;
use dlm_client::{Mode, Role, State};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout};
use tokio::time::timeout;

use crate::node::Node;
use crate::stage::{PATIENCE, dlm, join, serve};

/// A `dlm watch` that runs.
struct Watching {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watching {
    /// Returns when it hears all servers.
    async fn start(endpoint: &str, arguments: &[&str]) -> Self {
        let arguments = [&["watch", "--json"], arguments].concat();
        let mut child = dlm(endpoint, &arguments).spawn().expect("it starts");
        let stdout = child.stdout.take().expect("it is piped");
        let lines = BufReader::new(stdout).lines();
        let mut watching = Self { child, lines };
        let first = watching.next().await;
        assert_eq!(
            (&first["type"], &first["slots"]),
            (&"coverage".into(), &256.into())
        );
        watching
    }

    async fn next(&mut self) -> Value {
        let line = timeout(PATIENCE, self.lines.next_line()).await;
        let line = line.expect("in time").expect("it can be read");
        let line = line.expect("it says something");
        serde_json::from_str(&line).expect("a document")
    }

    /// The next line of this type.
    async fn next_of(&mut self, kind: &str) -> Value {
        loop {
            let line = self.next().await;
            if line["type"] == kind {
                return line;
            }
        }
    }

    async fn interrupt(mut self) -> Option<i32> {
        let id = self.child.id().expect("it was not waited for");
        let pid = Pid::from_raw(i32::try_from(id).expect("a number")).expect("not 0");
        kill_process(pid, Signal::INT).expect("it runs");
        self.child.wait().await.expect("it ends").code()
    }
}

#[tokio::test]
async fn what_is_asked_for_is_told_and_ctrl_c_ends_it() {
    let (_server, endpoint) = serve().await;
    let asked = [
        "--resource",
        "night*",
        "--node",
        "backup",
        "--kind",
        "granted,released",
    ];
    let mut watching = Watching::start(&endpoint, &asked).await;
    let client = join(&endpoint, "backup").await;
    let other = join(&endpoint, "other").await;
    let jobs = client.lockspace("jobs").await.expect("it opens");
    let others = other.lockspace("jobs").await.expect("it opens");
    drop(others.lock("nightly", Mode::Pr).await.expect("it is free"));
    drop(jobs.lock("daily", Mode::Ex).await.expect("it is free"));
    let mut guard = jobs.lock("nightly", Mode::Ex).await.expect("it comes");
    guard.convert(Mode::Pr).await.expect("it goes down");
    let token = guard.token().0;
    drop(guard);
    let granted = watching.next().await;
    assert_eq!(granted["type"], "event");
    assert_eq!(
        (&granted["kind"], &granted["mode"]),
        (&"granted".into(), &"EX".into())
    );
    assert_eq!(
        (&granted["name"], &granted["session_name"]),
        (&"nightly".into(), &"backup".into())
    );
    assert!(granted["token"].as_u64() <= Some(token), "{granted}");
    assert_eq!(watching.next().await["kind"], "released");
    assert_eq!(watching.interrupt().await, Some(130));
}

#[tokio::test]
async fn a_deadlock_is_told_when_it_appears_and_when_it_goes() {
    let (_server, endpoint) = serve().await;
    let a = Node::join(&endpoint, "node1").await;
    let b = Node::join(&endpoint, "node2").await;
    let mut watching = Watching::start(&endpoint, &["--kind", "moved"]).await;
    let a_held = a
        .lock(1, State::Df, Role::Operation)
        .await
        .expect("it is free");
    let b_held = b
        .lock(2, State::Df, Role::Operation)
        .await
        .expect("it is free");
    let show = async {
        let deadlock = watching.next_of("deadlock").await;
        // One that begins to watch now is told, too.
        let mut later = Watching::start(&endpoint, &["--kind", "moved"]).await;
        let again = later.next_of("deadlock").await;
        for each in [&a, &b] {
            each.glocks.interrupt_all(true);
        }
        (deadlock, again)
    };
    let (first, second, (deadlock, again)) = tokio::join!(
        a.lock(2, State::Sh, Role::Fault),
        b.lock(1, State::Ex, Role::Fault),
        show
    );
    for fault in [first, second] {
        assert!(matches!(fault, Err(GlockError::Interrupted)));
    }
    for told in [deadlock, again] {
        assert_eq!(told["edges"].as_array().map(Vec::len), Some(2), "{told}");
    }
    let gone = watching.next_of("deadlock-gone").await;
    assert_eq!(gone["edges"].as_array().map(Vec::len), Some(2));
    drop((a_held, b_held));
}

#[tokio::test]
async fn where_a_server_is_lost_it_goes_on_with_another() {
    let (first, endpoint) = serve().await;
    let (_second, other) = serve().await;
    let mut watching = Watching::start(&format!("{endpoint},{other}"), &[]).await;
    first.stop().await;
    assert_eq!(watching.next_of("lost").await["endpoint"], endpoint[..]);
    assert_eq!(watching.next_of("back").await["endpoint"], other[..]);
    let client = join(&other, "backup").await;
    let jobs = client.lockspace("jobs").await.expect("it opens");
    let _guard = jobs.lock("nightly", Mode::Ex).await.expect("it is free");
    loop {
        let event = watching.next_of("event").await;
        if event["name"] == "nightly" {
            assert_eq!(event["kind"], "granted");
            return;
        }
    }
}

#[tokio::test]
async fn people_get_a_line_for_each_event_under_a_header() {
    let (_server, endpoint) = serve().await;
    let mut child = dlm(&endpoint, &["watch", "--kind", "granted"])
        .spawn()
        .expect("it starts");
    let stdout = child.stdout.take().expect("it is piped");
    let mut lines = BufReader::new(stdout).lines();
    let mut next = async || {
        let line = timeout(PATIENCE, lines.next_line()).await;
        line.expect("in time")
            .expect("it can be read")
            .expect("a line")
    };
    assert!(next().await.starts_with("TIME (UTC)"));
    assert_eq!(next().await, "* all servers are heard");
    let client = join(&endpoint, "backup").await;
    let jobs = client.lockspace("jobs").await.expect("it opens");
    let _guard = jobs.lock("nightly", Mode::Ex).await.expect("it is free");
    let line = next().await;
    let words: Vec<&str> = line.split_whitespace().collect();
    assert_eq!(
        words[1..],
        ["granted", "backup", "jobs", "\"nightly\"", "EX"],
        "{line}"
    );
}

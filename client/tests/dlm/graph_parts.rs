//! `dlm graph`, parts of it and again and again.

use std::fs;
use std::time::Instant;

use dlm_client::Mode;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::timeout;

use crate::stage::{PATIENCE, dlm, eventually, join, run, serve, succeeds};

/// Somebody who holds, somebody who waits for it, and somebody with something else.
struct Scene {
    _server: dlm_server::embedded::Server,
    endpoint: String,
    _guards: Vec<dlm_client::Guard>,
    waiting: tokio::task::JoinHandle<()>,
}

impl Scene {
    async fn new() -> Self {
        let (server, endpoint) = serve().await;
        let mut guards = Vec::new();
        for (name, job) in [("holder", "nightly"), ("other", "daily")] {
            let client = join(&endpoint, name).await;
            let jobs = client.lockspace("jobs").await.expect("it opens");
            guards.push(jobs.lock(job, Mode::Ex).await.expect("it is free"));
        }
        let waiter = join(&endpoint, "waiter").await;
        let jobs = waiter.lockspace("jobs").await.expect("it opens");
        let waiting = tokio::spawn(async move {
            let _ = jobs.lock("nightly", Mode::Pr).await;
        });
        let scene = Self {
            _server: server,
            endpoint,
            _guards: guards,
            waiting,
        };
        let before = Instant::now();
        while !scene.graph(&[]).await.contains("waiter") {
            assert!(before.elapsed() < PATIENCE, "it does not wait");
        }
        scene
    }

    async fn graph(&self, arguments: &[&str]) -> String {
        succeeds(&self.endpoint, &[&["graph"], arguments].concat()).await
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        self.waiting.abort();
    }
}

#[tokio::test]
async fn only_what_is_wanted_is_shown() {
    let scene = Scene::new().await;
    for (arguments, nightly, daily) in [
        (&[][..], true, true),
        (&["--node", "waiter"], true, false),
        (&["--node", "other"], false, true),
        (&["--resource", "d*"], false, true),
        (
            &["--lockspace", "jobs", "--resource", "nightl?"],
            true,
            false,
        ),
        (&["--cycles-only"], false, false),
        (&["--waits-longer-than", "1ms"], true, false),
        (&["--waits-longer-than", "10h"], false, false),
    ] {
        let text = scene.graph(arguments).await;
        assert_eq!(
            text.contains("\"nightly\""),
            nightly,
            "{arguments:?}: {text}"
        );
        assert_eq!(text.contains("\"daily\""), daily, "{arguments:?}: {text}");
        let json: Value =
            serde_json::from_str(&scene.graph(&[arguments, &["--json"]].concat()).await)
                .expect("a document");
        let resources = json["resources"].as_array().map(Vec::len);
        assert_eq!(resources, Some(usize::from(nightly) + usize::from(daily)));
        let dot = scene
            .graph(&[arguments, &["--format", "dot"]].concat())
            .await;
        assert_eq!(dot.contains("->"), nightly, "{arguments:?}: {dot}");
    }
}

#[tokio::test]
async fn a_file_is_kept_up_to_date() {
    let scene = Scene::new().await;
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("graph.svg");
    let name = file.to_str().expect("text");
    let arguments = [
        "graph", "--format", "svg", "--output", name, "--watch", "0.1",
    ];
    let mut child = dlm(&scene.endpoint, &arguments).spawn().expect("it starts");
    let shows = |text: &str| fs::read_to_string(&file).is_ok_and(|svg| svg.contains(text));
    eventually("the wait is drawn", || shows("waiter")).await;
    scene.waiting.abort();
    eventually("nobody waits", || shows("nobody waits")).await;
    // Whoever reads the file sees a whole one, and nothing else stays behind.
    child.kill().await.expect("it runs");
    let left = fs::read_dir(directory.path()).expect("a directory").count();
    assert!(left <= 2, "{left} files");
}

#[tokio::test]
async fn on_a_pipe_one_comes_after_the_other() {
    let scene = Scene::new().await;
    let arguments = ["graph", "--watch", "0.1"];
    let mut child = dlm(&scene.endpoint, &arguments).spawn().expect("it starts");
    let stdout = child.stdout.take().expect("it is piped");
    let mut lines = BufReader::new(stdout).lines();
    let mut graphs = 0;
    while graphs < 3 {
        let line = timeout(PATIENCE, lines.next_line()).await.expect("in time");
        let line = line.expect("it can be read").expect("it goes on");
        assert!(!line.contains('\u{1b}'), "{line}");
        graphs += usize::from(line == "no deadlock");
    }
    drop(lines);
    // It ends when nobody reads any more, and that is no failure.
    let ended = timeout(PATIENCE, child.wait()).await.expect("in time");
    assert_eq!(ended.expect("it ends").code(), Some(0));
}

#[tokio::test]
async fn pictures_one_after_another_are_no_picture() {
    for format in ["svg", "dot"] {
        let output = run("127.0.0.1:1", &["graph", "--watch", "--format", format]).await;
        assert_eq!(output.status.code(), Some(2));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("--output"), "{said}");
    }
}

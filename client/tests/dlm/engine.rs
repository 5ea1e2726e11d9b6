//! A container engine as far as a fence agent can tell: Docker's API over a socket, with containers that are made up.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// A container, and what was done to it.
#[derive(Clone, Debug)]
pub(crate) struct Fake {
    pub(crate) node: &'static str,
    pub(crate) cluster: &'static str,
    pub(crate) state: Run,
    pub(crate) started: SystemTime,
    /// How long a kill takes.
    pub(crate) kill_takes: Duration,
    /// Whether the engine fails to kill it.
    pub(crate) kill_fails: bool,
    pub(crate) kills: usize,
    pub(crate) starts: usize,
}

/// What it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Run {
    Up,
    /// It ended, and its restart policy is about to start it again.
    Restarting,
    Down,
}

impl Fake {
    pub(crate) fn up(node: &'static str, age: Duration) -> Self {
        Self {
            node,
            cluster: "one",
            state: Run::Up,
            started: SystemTime::now() - age,
            kill_takes: Duration::ZERO,
            kill_fails: false,
            kills: 0,
            starts: 0,
        }
    }
}

type Containers = Arc<Mutex<BTreeMap<String, Fake>>>;

/// The engine, until it is dropped.
pub(crate) struct FakeEngine {
    directory: TempDir,
    containers: Containers,
    serving: JoinHandle<()>,
}

impl FakeEngine {
    pub(crate) fn start(containers: impl IntoIterator<Item = Fake>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let containers = containers.into_iter();
        let named = containers.map(|fake| (format!("id-{}-{}", fake.cluster, fake.node), fake));
        let containers: Containers = Arc::new(Mutex::new(named.collect()));
        let listener = UnixListener::bind(socket(directory.path())).unwrap();
        let all = Arc::clone(&containers);
        let serving = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, Arc::clone(&all)));
            }
        });
        Self {
            directory,
            containers,
            serving,
        }
    }

    pub(crate) fn socket(&self) -> PathBuf {
        socket(self.directory.path())
    }

    /// It is not there any more.
    pub(crate) fn stop(&self) {
        self.serving.abort();
        std::fs::remove_file(self.socket()).unwrap();
    }

    pub(crate) fn of(&self, node: &str) -> Fake {
        let containers = self.containers.lock().unwrap();
        let mut found = containers.values().filter(|fake| fake.node == node);
        found.next().expect("a container").clone()
    }
}

fn socket(directory: &Path) -> PathBuf {
    directory.join("engine.sock")
}

async fn serve(stream: UnixStream, containers: Containers) {
    let mut stream = BufReader::new(stream);
    let mut first = String::new();
    stream.read_line(&mut first).await.unwrap();
    let mut line = String::new();
    while stream.read_line(&mut line).await.unwrap() > 2 {
        line.clear();
    }
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap());
    let (status, body) = answer(method, path, &containers).await;
    let body = if body.is_null() {
        String::new()
    } else {
        body.to_string()
    };
    let head = format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    // Who asked may have gone.
    let _ = stream.write_all((head + &body).as_bytes()).await;
}

async fn answer(method: &str, path: &str, containers: &Containers) -> (u16, Value) {
    if path == "/_ping" {
        return (200, json!("OK"));
    }
    if let Some(filters) = path.strip_prefix("/containers/json?all=true&filters=") {
        return (200, list(filters, containers));
    }
    let id = path
        .split('/')
        .nth(2)
        .expect("a container's number")
        .to_owned();
    let Some(fake) = containers.lock().unwrap().get(&id).cloned() else {
        return (404, json!({ "message": "No such container" }));
    };
    let change = |what: fn(&mut Fake)| what(containers.lock().unwrap().get_mut(&id).unwrap());
    match (method, path.rsplit('/').next().unwrap()) {
        ("GET", "json") => (200, describe(&id, &fake)),
        ("POST", "kill?signal=SIGKILL") if fake.kill_fails => {
            (500, json!({ "message": "the host is on fire" }))
        }
        ("POST", "kill?signal=SIGKILL") => {
            sleep(fake.kill_takes).await;
            change(|fake| (fake.state, fake.kills) = (Run::Down, fake.kills + 1));
            (204, Value::Null)
        }
        ("POST", "start") => {
            change(|fake| {
                (fake.state, fake.started) = (Run::Up, SystemTime::now());
                fake.starts += 1;
            });
            (204, Value::Null)
        }
        other => panic!("nobody asks an engine for {other:?}"),
    }
}

fn list(filters: &str, containers: &Containers) -> Value {
    let filters = percent_encoding::percent_decode_str(filters)
        .decode_utf8()
        .unwrap();
    let filters: Value = serde_json::from_str(&filters).unwrap();
    let labels = filters["label"].as_array().unwrap();
    let has = |fake: &Fake, label: &Value| {
        let labels = [
            format!("io.glockwork.node={}", fake.node),
            format!("io.glockwork.cluster={}", fake.cluster),
        ];
        labels.iter().any(|one| label == one)
    };
    let containers = containers.lock().unwrap();
    let fits = |fake: &Fake| labels.iter().all(|label| has(fake, label));
    let found = containers.iter().filter(|(_, fake)| fits(fake));
    found.map(|(id, _)| json!({ "Id": id })).collect()
}

fn describe(id: &str, fake: &Fake) -> Value {
    let started = prost_types::Timestamp::from(fake.started);
    json!({
        "Id": id,
        "Name": format!("/{}-{}", fake.cluster, fake.node),
        "State": {
            "Running": fake.state != Run::Down,
            "Restarting": fake.state == Run::Restarting,
            "Pid": if fake.state == Run::Up { 4711 } else { 0 },
            "StartedAt": started.to_string(),
        },
    })
}

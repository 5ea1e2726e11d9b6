//! A cluster of `dlm-server` processes.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use super::address::free;
use super::{Binaries, PATIENCE, Process};

/// How long one question to a server may take.
const ANSWER_WAIT: Duration = Duration::from_secs(15);

/// What a cluster is started with.
#[derive(Clone, Debug)]
pub struct ServersOptions {
    /// How many servers; one is a server alone.
    pub count: usize,
    /// What else each server's command line has: `--allow-faults`, say.
    pub arguments: Vec<String>,
    /// Servers whose files are somewhere else, and where.
    pub elsewhere: BTreeMap<usize, PathBuf>,
}

impl Default for ServersOptions {
    fn default() -> Self {
        Self {
            count: 3,
            arguments: Vec::new(),
            elsewhere: BTreeMap::new(),
        }
    }
}

/// The servers, numbered from 1. They and their files go when it is dropped; where that is because the test
/// failed, their last words are shown.
#[derive(Debug)]
pub struct Servers {
    options: ServersOptions,
    addresses: Vec<SocketAddr>,
    /// The one that was started last under each number.
    processes: Vec<Option<Process>>,
    dir: TempDir,
}

impl Servers {
    /// Starts them, and returns when all are ready.
    ///
    /// # Panics
    /// If they cannot be started, or are not ready in time.
    pub async fn start(options: ServersOptions) -> Self {
        let addresses = free(options.count).expect("free ports");
        let mut servers = Self {
            processes: addresses.iter().map(|_| None).collect(),
            dir: tempfile::tempdir().expect("a temporary directory"),
            addresses,
            options,
        };
        for number in servers.numbers() {
            servers.run(number);
        }
        servers.ready().await;
        servers
    }

    /// The servers' numbers.
    pub fn numbers(&self) -> impl Iterator<Item = usize> + use<> {
        1..=self.addresses.len()
    }

    /// Where a server is.
    #[must_use]
    pub fn endpoint(&self, number: usize) -> String {
        self.addresses[number - 1].to_string()
    }

    /// Where all are: `A,B,C`.
    #[must_use]
    pub fn endpoints(&self) -> String {
        let all: Vec<String> = self.addresses.iter().map(ToString::to_string).collect();
        all.join(",")
    }

    /// A directory for the test's own files.
    #[must_use]
    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// The process of a server.
    ///
    /// # Panics
    /// If it does not run.
    pub fn process(&mut self, number: usize) -> &mut Process {
        let process = self.processes[number - 1].as_mut();
        process.expect("the server was started")
    }

    /// Kills a server without a word. Its files stay.
    pub async fn kill(&mut self, number: usize) {
        self.process(number).kill().await;
    }

    /// Stops a server where it stands; see [`Process::resume`].
    pub fn stop(&mut self, number: usize) {
        self.process(number).stop();
    }

    /// Lets a stopped server go on.
    pub fn resume(&mut self, number: usize) {
        self.process(number).resume();
    }

    /// Starts a server that has ended, with the files that it had.
    ///
    /// # Panics
    /// If it runs.
    pub fn restart(&mut self, number: usize) {
        let ended = self.process(number).ended();
        assert!(ended.is_some(), "server {number} runs");
        self.run(number);
    }

    /// Waits until every server that runs is ready: it answers, and its cluster has a leader where it is one.
    ///
    /// # Panics
    /// If that takes too long, or one of them ends.
    pub async fn ready(&mut self) {
        for number in self.numbers() {
            if self.process(number).ended().is_none() {
                self.until(number, "is ready", is_ready).await;
            }
        }
    }

    /// Waits until what a server says of itself (`dlm status --json`) is so.
    ///
    /// # Panics
    /// If that takes too long, or the server ends.
    pub async fn until(&mut self, number: usize, what: &str, is_so: impl Fn(&Value) -> bool) {
        let before = Instant::now();
        let mut last = None;
        loop {
            if let Some(status) = self.status(number).await {
                if is_so(&status) {
                    return;
                }
                last = Some(status);
            }
            let ended = self.process(number).ended();
            assert!(ended.is_none(), "server {number} ended: {ended:?}");
            assert!(
                before.elapsed() < PATIENCE,
                "server {number} {what}: not within {PATIENCE:?}; it said last: {last:?}"
            );
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// What a server says of itself; none where it says nothing.
    pub async fn status(&self, number: usize) -> Option<Value> {
        let output = self
            .dlm(&self.endpoint(number), &["status", "--json"])
            .await?;
        let document = output.status.success().then_some(output.stdout)?;
        serde_json::from_slice(&document).ok()
    }

    /// What a server's metrics are, where it was started with `--metrics-listen`.
    ///
    /// # Panics
    /// If it serves none.
    pub async fn metrics(&mut self, number: usize) -> String {
        let said = self.process(number).said();
        let at = said.rsplit("metrics are at http://").next();
        let at = at.and_then(|rest| rest.split('/').next());
        let at = at.expect("the server says where they are").to_owned();
        let mut connection = TcpStream::connect(&at).await.expect("its metrics");
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n\r\n");
        let mut reply = String::new();
        let asking = async {
            connection.write_all(request.as_bytes()).await?;
            connection.read_to_string(&mut reply).await
        };
        let asked = timeout(ANSWER_WAIT, asking).await.expect("its metrics");
        asked.expect("its metrics");
        reply
    }

    /// What `dlm` says, asked at `endpoint`; none where it takes longer than it may. It is ended then.
    ///
    /// # Panics
    /// If it cannot be started.
    pub async fn dlm(&self, endpoint: &str, arguments: &[&str]) -> Option<Output> {
        let output = self.dlm_command(endpoint).args(arguments).output();
        let output = timeout(ANSWER_WAIT, output).await.ok()?;
        Some(output.expect("dlm runs"))
    }

    /// `dlm`, to be started by the test. It is killed when its process is dropped.
    #[must_use]
    pub fn dlm_command(&self, endpoint: &str) -> Command {
        let mut command = Command::new(Binaries::built().path("dlm"));
        command
            .env("GLOCKWORK_ENDPOINT", endpoint)
            .env("GLOCKWORK_ENDPOINTS", endpoint)
            .kill_on_drop(true);
        command
    }

    /// `dlm fault …` at a server, which passes it on to the others.
    ///
    /// # Panics
    /// If it says nothing or something else than expected: servers that do not run do not take it.
    pub async fn fault(&self, at: usize, arguments: &[&str], all_take_it: bool) {
        let arguments = [&["fault"], arguments].concat();
        let output = self.dlm(&self.endpoint(at), &arguments).await;
        let output = output.expect("faults are never held up");
        let said = String::from_utf8_lossy(&output.stderr);
        let expected = output.status.success() || (!all_take_it && said.contains("took it"));
        assert!(expected, "{arguments:?}: {said}");
    }

    fn run(&mut self, number: usize) {
        let own = || self.dir.path().join(format!("server{number}"));
        let elsewhere = self.options.elsewhere.get(&number).cloned();
        let data = elsewhere.unwrap_or_else(own);
        fs::create_dir_all(&data).expect("a directory for a server");
        let mut command = Command::new(Binaries::built().path("dlm-server"));
        command.arg("--listen").arg(self.endpoint(number));
        if self.addresses.len() > 1 {
            command
                .args(["--id", &number.to_string()])
                .arg("--data")
                .arg(&data);
            for peer in self.numbers() {
                let address = self.endpoint(peer);
                command.arg("--peer").arg(format!("{peer}={address}"));
            }
        }
        command.args(&self.options.arguments);
        let log = self.dir.path().join(format!("server{number}.log"));
        let process = Process::start(&format!("server {number}"), &mut command, &log);
        self.processes[number - 1] = Some(process.expect("a server starts"));
    }
}

/// A server alone is ready as soon as it answers. One of several says who leads: 0 or nothing is nobody.
fn is_ready(status: &Value) -> bool {
    match status.get("leader") {
        None => true,
        Some(leader) => leader.as_u64().is_some_and(|leader| leader != 0),
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for process in self.processes.iter().flatten() {
                eprintln!("{}", process.last_words());
            }
        }
    }
}

//! A server, and the program run against it.

use std::fs;
use std::net::SocketAddr;
use std::process::{ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use dlm_client::{Client, ConnectOptions, Servers};
use dlm_server::embedded::{Server, Settings};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::sleep;

pub(crate) fn dlm(endpoint: &str, arguments: &[&str]) -> Command {
    // What the test itself was started with is none of its business: a shell's background job ignores
    // SIGINT, and so would dlm and its command.
    let mut command = Command::new("env");
    command
        .args(["--default-signal", env!("CARGO_BIN_EXE_dlm")])
        .args(arguments)
        .env("GLOCKWORK_ENDPOINTS", endpoint)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

pub(crate) async fn run(endpoint: &str, arguments: &[&str]) -> Output {
    dlm(endpoint, arguments).output().await.unwrap()
}

pub(crate) async fn succeeds(endpoint: &str, arguments: &[&str]) -> String {
    let output = run(endpoint, arguments).await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    String::from_utf8(output.stdout).unwrap()
}

/// It fails with 1 and says so in one line.
pub(crate) async fn fails(endpoint: &str, arguments: &[&str]) -> String {
    let output = run(endpoint, arguments).await;
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

pub(crate) async fn serve() -> (Server, String) {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::start(any).await.unwrap();
    let endpoint = server.addr().to_string();
    (server, endpoint)
}

pub(crate) async fn serve_allowing_faults() -> (Server, String) {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::start_with(&allowing_faults(any)).await.unwrap();
    let endpoint = server.addr().to_string();
    (server, endpoint)
}

fn allowing_faults(listen: SocketAddr) -> Settings {
    Settings {
        faults: true,
        ..Settings::alone(listen)
    }
}

pub(crate) fn servers(endpoint: &str) -> Servers {
    Servers::parse(endpoint).unwrap()
}

pub(crate) async fn join(endpoint: &str, name: &str) -> Client {
    let (servers, name) = (servers(endpoint), name.into());
    Client::connect(ConnectOptions { servers, name })
        .await
        .unwrap()
}

/// Long enough for everything that is waited for, on a machine with much else to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) async fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let before = Instant::now();
    while !is_so() {
        assert!(
            before.elapsed() < PATIENCE,
            "{what}: not within {PATIENCE:?}"
        );
        sleep(Duration::from_millis(10)).await;
    }
}

/// The state and the parent of a process, if there is one.
fn state(pid: Pid) -> Option<(char, i32)> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid())).ok()?;
    // The program's name stands in parentheses, and may have any character in it.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    let state = fields.next()?.chars().next()?;
    Some((state, fields.next()?.parse().ok()?))
}

/// Whether it runs, or could.
pub(crate) fn is_alive(pid: Pid) -> bool {
    state(pid).is_some_and(|(state, _)| state != 'Z' && state != 'X')
}

fn children(of: Pid) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").unwrap();
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let pids = names.filter_map(|name| Pid::from_raw(name.parse().ok()?));
    pids.filter(|&pid| state(pid).is_some_and(|(_, parent)| parent == of.as_raw_pid()))
        .collect()
}

/// A `dlm lock` whose command waits until it is told to end.
pub(crate) struct Held {
    child: Child,
    stdin: ChildStdin,
    _stdout: BufReader<ChildStdout>,
}

impl Held {
    /// Returns when the command runs: a shell that has a child.
    pub(crate) async fn start(endpoint: &str, lock: &[&str]) -> Self {
        Self::run(
            endpoint,
            lock,
            "sleep 1000 & echo ready; read line; kill $!",
        )
        .await
    }

    /// As [`Self::start`], with a command that ignores TERM.
    pub(crate) async fn start_deaf(endpoint: &str, lock: &[&str]) -> Self {
        let script = "trap '' TERM; sleep 1000 & echo ready; read line; kill -9 $!";
        Self::run(endpoint, lock, script).await
    }

    async fn run(endpoint: &str, lock: &[&str], script: &str) -> Self {
        let arguments = [lock, &["sh", "-c", script]].concat();
        let mut child = dlm(endpoint, &arguments)
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).await.unwrap();
        assert_eq!(line, "ready\n");
        Self {
            stdin: child.stdin.take().unwrap(),
            child,
            _stdout: stdout,
        }
    }

    pub(crate) fn pid(&self) -> Pid {
        let id = self.child.id().expect("it was not waited for");
        Pid::from_raw(i32::try_from(id).unwrap()).unwrap()
    }

    /// `dlm` itself, its watchdog, the command, and the command's child.
    pub(crate) fn pids(&self) -> Vec<Pid> {
        let mut pids = vec![self.pid()];
        let mut known = 0;
        while known < pids.len() {
            pids.extend(children(pids[known]));
            known += 1;
        }
        assert_eq!(pids.len(), 4, "{pids:?}");
        pids
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Lets the command end, as it should.
    pub(crate) async fn finish(mut self) {
        tokio::io::AsyncWriteExt::write_all(&mut self.stdin, b"end\n")
            .await
            .unwrap();
        let (status, said) = self.wait().await;
        assert_eq!((status.code(), &said[..]), (Some(0), ""));
    }

    /// Waits for the end, and gives what was said to standard error.
    pub(crate) async fn wait(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().await.unwrap();
        let mut said = String::new();
        let mut stderr = self.child.stderr.take().unwrap();
        stderr.read_to_string(&mut said).await.unwrap();
        (status, said)
    }
}

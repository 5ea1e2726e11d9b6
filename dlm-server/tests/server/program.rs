//! The program: its exit codes, and what it says.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use dlm_core::ServerId;
use dlm_server::embedded::Server;
use dlm_server::members::{Member, Members, ServerIdentity};
use dlm_server::storage::{ClusterId, EngineStorage, Founding, Identity};

fn program(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dlm-server"));
    command
        .args(arguments)
        .env_remove("GLOCKWORK_LISTEN")
        .env_remove("GLOCKWORK_LOG")
        .env_remove("DLM_SERVER_CONFIG")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_usage_error_is_2_and_help_is_0() {
    let output = program(&["--listen", "here"]).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(!output.stderr.is_empty());
    let output = program(&["--help"]).output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    let help = String::from_utf8(output.stdout).unwrap();
    assert!(help.contains("127.0.0.1:7170"), "{help}");
}

#[test]
fn all_mistakes_are_said_a_line_each() {
    let output = program(&["--listen", "here", "--id", "0", "--peer", "2"])
        .env("DLM_SERVER_LOG", "dlm_server=loud")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let said = String::from_utf8(output.stderr).unwrap();
    for begins in ["--listen: ", "--id: ", "--peer: ", "DLM_SERVER_LOG: "] {
        let begins = format!("dlm-server: {begins}");
        assert!(said.lines().any(|line| line.starts_with(&begins)), "{said}");
    }
    let all_ours = said.lines().all(|line| line.starts_with("dlm-server: "));
    assert!(all_ours, "{said}");
}

#[test]
fn a_check_shows_what_is_in_effect_and_does_not_serve() {
    let output = program(&["--check", "--listen", "127.0.0.1:1"])
        .env("DLM_SERVER_SESSION_LEASE_MS", "7000")
        .env("DLM_SERVER_LISTN", "x")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    let shown = String::from_utf8(output.stdout).unwrap();
    for line in [
        "listen = \"127.0.0.1:1\"  # --listen",
        "session-lease-ms = 7000  # DLM_SERVER_SESSION_LEASE_MS",
        "log = \"info,raft_engine=warn\"  # default",
        "# data is not set",
    ] {
        assert!(shown.lines().any(|one| one == line), "{line}: {shown}");
    }
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("DLM_SERVER_LISTN"), "{said}");

    let output = program(&["--check", "--json", "--id", "3"])
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    let document: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let id = serde_json::json!({ "value": 3, "source": "--id" });
    assert_eq!(document["settings"]["id"], id);
}

#[tokio::test]
async fn a_taken_port_is_1_and_one_line() {
    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let server = Server::start(any).await.unwrap();
    let listen = server.addr().to_string();
    let output = program(&["--log", "off", "--listen", &listen])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(
        said.contains(&listen) && said.contains("--listen"),
        "{said}"
    );
}

#[test]
fn it_says_where_it_serves_and_stops_on_a_signal() {
    let mut server = Killed(program(&["--listen", "127.0.0.1:0"]).spawn().unwrap());
    let mut log = BufReader::new(server.0.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("serving on") {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0, "it says so");
    }
    let (_, addr) = line.trim_end().rsplit_once(' ').unwrap();
    let addr: SocketAddr = addr.parse().unwrap_or_else(|_| panic!("{line}"));
    TcpStream::connect(addr).unwrap();

    let pid = server.0.id().to_string();
    let sent = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    assert!(sent.success());
    assert_eq!(server.0.wait().unwrap().code(), Some(0));
}

/// One of three servers, of which two are lost for good.
#[test]
fn one_of_three_goes_on_alone_when_it_is_told_to() {
    let data = tempfile::tempdir().unwrap();
    let dir = data.path().to_str().unwrap();
    let forced = |arguments: &[&str]| {
        let line = [&["force-single", "--data", dir], arguments].concat();
        let output = program(&line).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    let (code, said) = forced(&["--yes"]);
    assert_eq!((code, said.lines().count()), (Some(1), 1), "{said}");
    assert!(said.contains(dir), "{said}");

    let identity = Identity {
        cluster: ClusterId(5),
        server: ServerId(1),
        server_identity: ServerIdentity(1),
    };
    let members = Members::new((1..=3).map(|number: u64| {
        let identity = ServerIdentity(number.into());
        let voter = true;
        (ServerId(number), Member { identity, voter })
    }));
    EngineStorage::create(data.path(), identity, Founding::Together(members)).unwrap();
    let (code, said) = forced(&[]);
    assert_eq!((code, said.lines().count()), (Some(2), 1), "{said}");
    assert!(said.contains("--yes"), "{said}");
    let cluster = |data: &std::path::Path| EngineStorage::open(data).unwrap().1.identity.cluster;
    assert_eq!(cluster(data.path()), ClusterId(5), "nothing was done");

    let (code, said) = forced(&["--yes"]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("dlm server add"), "{said}");
    assert_ne!(cluster(data.path()), ClusterId(5));
    let serve = ["--listen", "127.0.0.1:0", "--data", dir];
    let mut server = Killed(program(&serve).spawn().unwrap());
    let mut log = BufReader::new(server.0.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("serving on") {
        line.clear();
        assert!(log.read_line(&mut line).unwrap() > 0, "it leads itself");
    }
}

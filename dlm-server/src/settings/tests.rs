//! Settings as a whole: which place counts, what does not fit together, what is shown of it.

use std::fs;
use std::path::Path;
use std::time::Duration;

use clap::Parser;
use tempfile::TempDir;

use super::*;

mod tls;

#[derive(Debug, Parser)]
struct Program {
    #[command(flatten)]
    flags: Flags,
}

fn load(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Loaded, Mistakes> {
    let arguments = std::iter::once(&"dlm-server").chain(arguments);
    let program = Program::try_parse_from(arguments).expect("flags that there are");
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    Settings::load(program.flags, &environment.iter().map(owned).collect())
}

fn settings(arguments: &[&str]) -> Settings {
    load(arguments, &[])
        .unwrap_or_else(|why| panic!("{why}"))
        .settings
}

/// The lines that are said, each of them one line.
fn refused(arguments: &[&str]) -> Vec<String> {
    let mistakes = load(arguments, &[]).unwrap_err();
    let lines: Vec<String> = mistakes.0.iter().map(ToString::to_string).collect();
    assert!(lines.iter().all(|line| !line.contains('\n')), "{lines:?}");
    assert_eq!(mistakes.to_string().lines().count(), lines.len());
    lines
}

/// One line is said, which begins so and has that in it.
#[track_caller]
fn refused_for(arguments: &[&str], begins: &str, has: &str) {
    let lines = refused(arguments);
    let fits = lines.len() == 1 && lines[0].starts_with(begins) && lines[0].contains(has);
    assert!(fits, "{arguments:?}: {lines:#?}");
}

struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

#[test]
fn nothing_said_is_a_server_alone() {
    let loaded = load(&[], &[]).unwrap();
    let alone = Settings::alone("127.0.0.1:7170".parse().unwrap());
    assert_eq!(format!("{:?}", loaded.settings), format!("{alone:?}"));
    assert_eq!(loaded.notes, Vec::<String>::new());
}

#[test]
fn a_flag_before_the_environment_before_the_file_before_the_default() {
    let files = Files::new();
    let file = files.write(
        "a.toml",
        "id = 2\nlog = \"warn\"\nlisten = \"127.0.0.1:2\"\n",
    );
    let environment = [
        ("DLM_SERVER_CONFIG", file.as_str()),
        ("DLM_SERVER_LOG", "error"),
        ("DLM_SERVER_LISTEN", "127.0.0.1:3"),
    ];
    let loaded = load(&["--listen", "127.0.0.1:4"], &environment).unwrap();
    let settings = loaded.settings;
    assert_eq!(settings.server, ServerId(2));
    assert_eq!(settings.log, "error");
    assert_eq!(settings.listen.port(), 4);
    let json = loaded.effective.json();
    let source = |key: &str| json["settings"][key]["source"].as_str().unwrap().to_owned();
    assert_eq!(source("id"), format!("{file}:1"));
    assert_eq!(source("log"), "DLM_SERVER_LOG");
    assert_eq!(source("listen"), "--listen");
    assert_eq!(source("join"), "default");
}

#[test]
fn a_switch_can_be_taken_back() {
    let files = Files::new();
    let file = files.write("a.toml", "allow-faults = true\n");
    assert!(settings(&["--config", &file]).faults);
    assert!(!settings(&["--config", &file, "--allow-faults=false"]).faults);
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let files = Files::new();
    let file = files.write("a.toml", "listn = \"x\"\nfence-seconds = \"x\"\n");
    let arguments = [
        "--id=0",
        "--listen=here",
        "--peer=x",
        "--peer=2=dlm2",
        "--log=a=loud",
    ];
    let more = [
        "--data=/etc/passwd",
        "--fence-command=no-such-program-anywhere",
        "--session-lease-ms=1",
        "--tls-cert=no/such/file.pem",
        "--metrics-listen=there",
        "--config",
        &file,
    ];
    let lines = refused(&[&arguments[..], &more].concat());
    for begins in [
        &format!("{file}:1: "),
        &format!("{file}:2: "),
        "--id: ",
        "--listen: ",
        "--peer: \"x\"",
        "--peer: \"dlm2\"",
        "--log: ",
        "--data: ",
        "--fence-command: ",
        "--session-lease-ms: ",
        "tls-key (not set): ",
        "tls-ca (not set): ",
        "--metrics-listen: ",
    ] {
        let said = lines.iter().filter(|line| line.starts_with(begins)).count();
        assert_eq!(said, 1, "{begins}: {lines:#?}");
    }
    assert_eq!(lines.len(), 13, "{lines:#?}");
}

const THREE: [&str; 5] = [
    "--peer=1=127.0.0.1:1",
    "--peer=2=127.0.0.1:2",
    "--peer=3=127.0.0.1:3",
    "--data=no/such/directory",
    "--id=2",
];

#[test]
fn the_same_peers_on_all_servers() {
    let settings = settings(&THREE);
    assert_eq!(settings.advertise.as_str(), "127.0.0.1:2");
    assert_eq!(settings.peers.len(), 3);
    assert_eq!(
        settings.data.as_deref(),
        Some(Path::new("no/such/directory"))
    );
}

#[test]
fn a_server_adds_itself_to_its_peers() {
    let settings = settings(&["--peer=2=b:2", "--data=d", "--listen=127.0.0.1:9"]);
    let at: Vec<&str> = settings.peers.values().map(|at| at.as_str()).collect();
    assert_eq!(at, ["127.0.0.1:9", "b:2"]);
}

#[test]
fn peers_that_do_not_fit_together() {
    refused_for(&THREE[..3], "--peer", "--data");
    let another = [&THREE[..], &["--advertise=127.0.0.1:9"]].concat();
    refused_for(&another, "--advertise", "make them the same");
    let twice = [&THREE[..], &["--peer=3=127.0.0.1:9"]].concat();
    refused_for(&twice, "--peer", "server 3 is at");
    let same = [&THREE[..], &["--peer=4=127.0.0.1:1"]].concat();
    refused_for(&same, "--peer", "the same address");
    refused_for(
        &["--peer=2=b:2", "--data=d", "--listen=127.0.0.1:0"],
        "--listen",
        "--advertise",
    );
    refused_for(&["--join"], "--join", "--peer");
    refused_for(&["--join", "--peer=1=a:1", "--data=d"], "--join", "--peer");
    let many: Vec<String> = (1..=65)
        .map(|n| format!("--peer={n}=127.0.0.1:{n}"))
        .collect();
    let many: Vec<&str> = many
        .iter()
        .map(String::as_str)
        .chain(["--data=d"])
        .collect();
    refused_for(&many, "--peer", "at most 64");
}

#[test]
fn plain_text_is_for_loopback_or_said_to_be_meant() {
    refused_for(&["--listen=10.0.0.1:7170"], "--listen", "--insecure");
    assert!(settings(&["--listen=10.0.0.1:7170", "--insecure"]).insecure);
    settings(&["--listen=[::1]:7170"]);
    settings(&["--listen=[::ffff:127.0.0.1]:7170"]);
    refused_for(
        &["--listen=0.0.0.0:7170", "--insecure"],
        "--listen",
        "--advertise",
    );
    let known = settings(&["--listen=0.0.0.0:7170", "--insecure", "--advertise=a:1"]);
    assert_eq!(known.advertise.as_str(), "a:1");
}

#[test]
fn a_free_port_is_advertised_when_it_is_known() {
    let bound = "127.0.0.1:5555".parse().unwrap();
    let free = settings(&["--listen=127.0.0.1:0"]);
    assert_eq!(free.advertised(bound).as_str(), "127.0.0.1:5555");
    let named = settings(&["--listen=127.0.0.1:0", "--advertise=a:1"]);
    assert_eq!(named.advertised(bound).as_str(), "a:1");
}

#[test]
fn fences_and_leases() {
    let fenced = settings(&["--fence-command=sh -c 'exit 0'", "--fence-seconds=7"]);
    let fence = fenced.fence.unwrap();
    assert_eq!(fence.args, ["-c", "exit 0"]);
    assert_eq!(fence.time_limit, Duration::from_secs(7));
    assert_eq!(fenced.timing.fence_us_max, 7_000_000);
    refused_for(&["--fence-seconds=7"], "--fence-seconds", "--fence-command");

    let long = settings(&["--session-lease-ms=60000", "--server-lease-ms=1000"]).timing;
    assert_eq!(
        (long.session_lease_us, long.server_lease_us),
        (60_000_000, 1_000_000)
    );
    assert_eq!(long.check(), Ok(()));
    refused_for(
        &["--session-lease-ms=1000"],
        "--session-lease-ms",
        "is the shortest that does",
    );
    refused_for(
        &["--server-lease-ms=10"],
        "--server-lease-ms",
        "is the shortest that does",
    );
    refused_for(
        &["--server-lease-ms=60000"],
        "--server-lease-ms",
        "lengthen the other lease",
    );
}

#[test]
fn rules_without_tls_are_refused() {
    let files = Files::new();
    let file = files.write("a.toml", "\n[[access]]\nname = \"*\"\n");
    refused_for(&["--config", &file], &format!("{file}:2"), "without TLS");
}

/// What is printed is a file, and says the same.
#[test]
fn what_is_in_effect_is_a_file() {
    let files = Files::new();
    let arguments = [
        &THREE[..],
        &[
            "--fence-command=sh -c 'echo \"a b\" \\\\'",
            "--metrics-listen=127.0.0.1:9",
            "--join",
        ],
    ]
    .concat();
    let first = load(&arguments, &[]).unwrap();
    let file = files.write("a.toml", &first.effective.to_string());
    let second = load(&["--config", &file], &[]).unwrap_or_else(|why| panic!("{why}"));
    assert_eq!(
        format!("{:?}", second.settings),
        format!("{:?}", first.settings)
    );
}

/// The example has all settings, and is what it says: only the files that it names are not here.
#[test]
fn the_example_is_true() {
    let text = include_str!("../../../docs/dlm-server.toml");
    let says = file::parse("dlm-server.toml", text);
    assert_eq!(says.mistakes, []);
    let commented = [
        Key::FenceCommand,
        Key::FenceSeconds,
        Key::MetricsListen,
        Key::OtlpEndpoint,
    ];
    for key in Key::ALL {
        let there = says.layer.contains_key(&key);
        assert_eq!(there, !commented.contains(&key), "{key}");
        assert!(text.contains(&format!("{key} = ")), "{key}");
    }
    assert_eq!(says.rules.len(), 2);
    let mut given = says.layer.clone();
    given.retain(|key, _| ![Key::TlsCert, Key::TlsKey, Key::TlsCa].contains(key));
    let insecure = layer::Given::one("true".into(), Source::Flag(Key::Insecure));
    given.insert(Key::Insecure, insecure);
    let (settings, _) = resolve::resolve(given, file::FileSays::default()).unwrap();
    assert_eq!(settings.timing, Timing::DEFAULT);
    assert_eq!(settings.peers.len(), 3);
}

#[test]
fn every_setting_is_documented() {
    let document = include_str!("../../../docs/operations.md");
    let rows: Vec<&str> = document
        .lines()
        .filter(|line| line.starts_with("| `"))
        .collect();
    for key in Key::ALL {
        let name = format!("`{key}`");
        assert!(rows.iter().any(|row| row.contains(&name)), "{key}");
    }
}

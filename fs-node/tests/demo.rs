//! The demo as a person runs it: the real program, its processes, its one JSON document, Ctrl-C.

mod machine;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use machine::has_userfaultfd;
use serde_json::Value;
use tempfile::TempDir;

/// A demo with its temporary files in a directory of the test's own.
fn demo(dir: &TempDir, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fs-node"));
    command.arg("demo").args(arguments);
    command.arg("--svg").arg(dir.path().join("deadlock.svg"));
    command.env("TMPDIR", scratch(dir)).stdin(Stdio::null());
    command
}

fn scratch(dir: &TempDir) -> std::path::PathBuf {
    let scratch = dir.path().join("scratch");
    fs::create_dir_all(&scratch).expect("a directory");
    scratch
}

fn run(dir: &TempDir, arguments: &[&str]) -> Output {
    let output = demo(dir, arguments).output().expect("the demo starts");
    assert_nothing_left(dir);
    output
}

fn json(output: &Output) -> Value {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    serde_json::from_slice(&output.stdout).expect("one JSON document and nothing else")
}

/// No temporary file, and no process that was started with this test's directory.
fn assert_nothing_left(dir: &TempDir) {
    let files: Vec<_> = fs::read_dir(scratch(dir)).expect("readable").collect();
    assert!(files.is_empty(), "left behind: {files:?}");
    let marker = scratch(dir).display().to_string();
    let start = Instant::now();
    loop {
        let left: Vec<String> = processes_with(&marker);
        if left.is_empty() {
            return;
        }
        assert!(
            start.elapsed() < Duration::from_secs(10),
            "left behind: {left:?}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn processes_with(marker: &str) -> Vec<String> {
    let has_marker = |process: &Path| {
        let environment = fs::read(process.join("environ")).unwrap_or_default();
        String::from_utf8_lossy(&environment).contains(marker)
    };
    fs::read_dir("/proc")
        .expect("/proc")
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| has_marker(path))
        .map(|path| path.display().to_string())
        .collect()
}

fn number(policy: &Value, key: &str) -> u64 {
    policy[key]
        .as_u64()
        .unwrap_or_else(|| panic!("{key} is a number in {policy}"))
}

#[test]
fn ordered_ends_and_block_deadlocks() {
    if !has_userfaultfd() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let output = run(&dir, &["--json", "--seconds", "2", "--seed", "5"]);
    let report = json(&output);
    assert_eq!(report["seed"], 5);
    assert_eq!(report["nodes"], 3);
    for group in ["policies", "same_file"] {
        let policies = report[group].as_array().expect("a list");
        let names: Vec<_> = policies.iter().map(|policy| &policy["policy"]).collect();
        assert_eq!(names, ["block", "nofault", "try-cycle", "ordered"]);
        for policy in policies {
            assert_eq!(policy["data_errors"], 0, "{policy}");
            // Lists of the second group lie in other files as well, so there it may or may not.
            let block = policy["policy"] == "block";
            let may_deadlock = block && group == "same_file";
            let deadlocks = block && group == "policies";
            assert!(
                may_deadlock || policy["deadlocked"] == deadlocks,
                "{policy}"
            );
            assert!(block || number(policy, "ops") > 0, "{policy}");
        }
    }
    check_block(&report["policies"][0]);
    check_ordered(&report["policies"][3]);
    let picture = fs::read_to_string(dir.path().join("deadlock.svg")).expect("a picture");
    assert!(picture.contains("<svg") && picture.contains("</svg>"));
}

fn check_block(block: &Value) {
    let cycle = block["cycle"].as_array().expect("a cycle");
    assert!(cycle.len() >= 2);
    let distinct = |key: &str| {
        let mut values: Vec<String> = cycle.iter().map(|edge| edge[key].to_string()).collect();
        values.sort();
        values.dedup();
        values.len()
    };
    assert!(
        distinct("resource") >= 2,
        "over at least two glocks: {cycle:?}"
    );
    assert!(distinct("waiter") == cycle.len(), "{cycle:?}");
    for (edge, next) in cycle.iter().zip(cycle.iter().cycle().skip(1)) {
        assert_eq!(edge["holder"], next["waiter"], "the cycle closes");
    }
}

fn check_ordered(ordered: &Value) {
    assert_eq!(ordered["bounced"], 0, "{ordered}");
    assert_eq!(ordered["fallbacks"], 0, "{ordered}");
    assert!(
        number(ordered, "trylock_failed") > 0,
        "the mechanism is exercised: {ordered}"
    );
    assert!(number(ordered, "lock_cycles_total") > 0, "{ordered}");
    // Six files, one of them the target.
    assert!(number(ordered, "lock_cycles_max") <= 5, "{ordered}");
}

#[test]
fn two_nodes_and_five_work_as_well() {
    if !has_userfaultfd() {
        return;
    }
    for nodes in ["2", "5"] {
        let dir = tempfile::tempdir().expect("a directory");
        let arguments = [
            "--json",
            "--seconds",
            "1",
            "--nodes",
            nodes,
            "--policy",
            "ordered",
            "--io-size",
            "8k",
        ];
        let report = json(&run(&dir, &arguments));
        assert_eq!(report["policies"].as_array().map(Vec::len), Some(1));
        assert_eq!(report["policies"][0]["data_errors"], 0);
        assert_eq!(report["policies"][0]["fallbacks"], 0);
    }
}

#[test]
fn an_interrupt_leaves_nothing_behind() {
    if !has_userfaultfd() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let mut child = demo(&dir, &["--seconds", "60", "--policy", "ordered"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the demo starts");
    let mut progress = BufReader::new(child.stderr.take().expect("piped")).lines();
    let running = progress.find(|line| line.as_ref().is_ok_and(|line| line.contains("operations")));
    assert!(running.is_some(), "there is progress to see");
    let interrupted = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupted.is_ok_and(|status| status.success()));
    std::thread::spawn(move || progress.for_each(drop));
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), Some(130), "as a shell tells an interrupt");
    assert_nothing_left(&dir);
}

#[test]
fn a_demo_that_is_killed_leaves_no_process() {
    if !has_userfaultfd() {
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let mut child = demo(&dir, &["--seconds", "60", "--policy", "ordered"])
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .expect("the demo starts");
    let mut progress = BufReader::new(child.stderr.take().expect("piped")).lines();
    assert!(progress.any(|line| line.is_ok_and(|line| line.contains("operations"))));
    child.kill().expect("killed");
    child.wait().expect("it ends");
    let _ = fs::remove_dir_all(scratch(&dir));
    assert_nothing_left(&dir);
}

//! The recordings of the kernel's lock manager, replayed on the table, on the model of it, and on a server
//! over gRPC; and random scenarios in their language, on which all three must agree.
//!
//! `GLOCKWORK_LONG=1` makes a hundred times as many. `GLOCKWORK_SEED=N` replays one.

// The property tests of the core use more of it.
#[allow(dead_code)]
#[path = "../../dlm-server/core/tests/against_model/model/mod.rs"]
mod model;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use dlm_core::{Input, Limits, Output, RequestFlags, Tick};
use model::table::Model;
use tests::oracle::desk::{Desk, LOCKSPACE, Locks, SESSION};
use tests::oracle::random::{Random, scenario};
use tests::oracle::{Answer, Kernel, Operation, Outcome, Server, Table, read, replay};

/// The model behind the desk.
struct Slow {
    model: Model,
    now: Tick,
}

impl Slow {
    fn desk() -> Desk<Self> {
        let mut slow = Self {
            model: Model::new(Limits::DEFAULT),
            now: Tick(0),
        };
        slow.step(Input::SessionStarted { session: SESSION });
        slow.step(Input::OpenLockspace {
            session: SESSION,
            lockspace: LOCKSPACE,
        });
        Desk::new(slow)
    }
}

impl Locks for Slow {
    fn step(&mut self, input: Input) -> Vec<Output> {
        self.now = self.now.plus(1);
        self.model.step(self.now, input)
    }

    fn wait(&mut self, ms: u64) {
        self.now = self.now.plus(ms * 1000);
    }
}

/// Every recording but those of a node's death, which is no matter of one lock manager.
fn recordings() -> Vec<PathBuf> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/kernel-dlm");
    let files = data.read_dir().expect("the recordings");
    let files = files.map(|file| file.expect("a file").path());
    let is_recording = |path: &PathBuf| {
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        name.ends_with(".jsonl") && !name.starts_with("node_death")
    };
    let mut recordings: Vec<PathBuf> = files.filter(is_recording).collect();
    recordings.sort();
    recordings
}

fn assert_all_pass<K: Kernel>(fresh: impl Fn() -> K) {
    let mut passed = 0;
    for path in recordings() {
        let scenarios = read(&path).expect("a recording");
        let outcome = replay(&scenarios, &fresh);
        let first = outcome.disagreements.first();
        assert_eq!(first.map(ToString::to_string), None, "{}", path.display());
        passed += outcome.passed;
    }
    assert_eq!(passed, 1903, "all recordings are there");
}

#[test]
fn the_table_answers_as_the_kernel_did() {
    assert_all_pass(Table::desk);
}

#[test]
fn so_does_the_model() {
    assert_all_pass(Slow::desk);
}

#[test]
fn so_does_a_server_over_grpc() {
    let server = Server::start().expect("a server");
    assert_all_pass(|| server.desk());
}

/// The seeds to try: `normally` many, or the one that is to be replayed.
fn seeds(normally: u64) -> std::ops::Range<u64> {
    if let Ok(seed) = std::env::var("GLOCKWORK_SEED") {
        let seed: u64 = seed.parse().expect("GLOCKWORK_SEED is a number");
        return seed..seed + 1;
    }
    let long = std::env::var_os("GLOCKWORK_LONG").is_some_and(|value| value == "1");
    0..if long { normally * 100 } else { normally }
}

/// Whether both answer each step alike.
fn assert_agree(seed: u64, lines: &[String], mut ours: impl Kernel, mut expected: impl Kernel) {
    for (step, line) in lines.iter().enumerate() {
        let operation = Operation::parse(line).expect("of the language");
        let (ours, expected) = (ours.step(&operation), expected.step(&operation));
        assert_eq!(
            Answer::new(ours.0, &ours.1),
            Answer::new(expected.0, &expected.1),
            "GLOCKWORK_SEED={seed}, step {step} of\n{}",
            lines.join("\n")
        );
    }
}

#[test]
fn the_table_and_the_model_agree_on_random_scenarios() {
    for seed in seeds(2_000) {
        let lines = scenario(&mut Random::new(seed));
        assert_agree(seed, &lines, Table::desk(), Slow::desk());
    }
}

#[test]
fn a_server_and_the_table_agree_on_random_scenarios() {
    let server = Server::start().expect("a server");
    for seed in seeds(200) {
        let mut lines = scenario(&mut Random::new(seed));
        // Time is real there, and a lock that waits is waited for by nobody.
        lines.retain(|line| !line.starts_with("wait"));
        assert_agree(seed, &lines, server.desk(), Table::desk());
    }
}

/// The random scenarios have everything in them that the kernel's own recordings have, and more.
#[test]
fn random_scenarios_use_the_whole_language() {
    let mut missing: BTreeSet<String> = RequestFlags::all()
        .iter_names()
        .map(|(name, _)| format!(" {name}"))
        .collect();
    let words = [
        "lock ",
        "conv ",
        "unlock ",
        "cancel ",
        "close ",
        "wait ",
        "rawlkid ",
        "nobast",
        " lvb=",
        " namelen=",
        " modeval=",
        " noast",
        " 0x",
    ];
    missing.extend(words.map(str::to_owned));
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 0..1_000 {
        let mut table = Table::desk();
        for line in scenario(&mut Random::new(seed)) {
            missing.retain(|word| !line.contains(word.as_str()));
            let (ret, events) = table.step(&Operation::parse(&line).expect("of the language"));
            *seen.entry(ret.to_owned()).or_default() += 1;
            for event in events {
                let text = event.what.to_string();
                let kind = text.split([' ', ')']).next().map(str::to_owned);
                let details = ["DEMOTED", "VALNOTVALID", "ALTMODE", "lvb=\"v"];
                let details = details.into_iter().filter(|detail| text.contains(detail));
                for word in kind.into_iter().chain(details.map(str::to_owned)) {
                    *seen.entry(word).or_default() += 1;
                }
            }
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
    let rare = |outcome: &&&str| seen.get(**outcome).is_none_or(|&count| count < 10);
    let rare: Vec<_> = OUTCOMES.iter().filter(rare).collect();
    assert!(rare.is_empty(), "{rare:?} of {seen:?}");
}

/// What is answered in the recordings.
const OUTCOMES: &[&str] = &[
    "lkid",
    "0",
    "-EINVAL",
    "-ENOENT",
    "-EBUSY",
    "-EAGAIN",
    "ast(0",
    "ast(-EAGAIN",
    "ast(-EDEADLK",
    "ast(-DLM_ECANCEL",
    "ast(-DLM_EUNLOCK",
    "bast(CR",
    "bast(EX",
    "DEMOTED",
    "VALNOTVALID",
    "ALTMODE",
    "lvb=\"v",
];

#[test]
fn a_wrong_recording_is_seen() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("wrong.jsonl");
    let granted = r#"{"ev":"ast","c":1,"t":"a","st":"0"}"#;
    let lines = [
        format!(r#"{{"s":"right","i":1,"op":"lock 1 a R EX","ret":"lkid","ev":[{granted}]}}"#),
        format!(r#"{{"s":"wrong","i":1,"op":"lock 1 a R EX","ret":"0","ev":[{granted}]}}"#),
        r#"{"s":"wrong","i":2,"op":"unlock 1 a","ret":"0","ev":[]}"#.to_owned(),
    ];
    std::fs::write(&path, lines.join("\n")).expect("a file");
    let Outcome {
        passed,
        failed,
        disagreements,
    } = replay(&read(&path).expect("a recording"), Table::desk);
    assert_eq!((passed, failed, disagreements.len()), (1, 1, 2));
    assert_eq!(
        disagreements[1].to_string(),
        "wrong, step 2: unlock 1 a\n  expected: 0\n  got:      0; client 1 a: ast(-DLM_EUNLOCK)"
    );
}

#[test]
fn what_is_no_recording_is_named_with_its_line() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("wrong.jsonl");
    let good = r#"{"s":"x","i":1,"op":"wait 0","ret":"0","ev":[]}"#;
    for (line, what) in [
        (r#"{"s":"x"}"#, "op is not a string"),
        ("[]", "it is no object"),
        ("{", "EOF while parsing"),
        (
            r#"{"s":"x","i":1,"op":"lokc 1 a R EX"}"#,
            "\"lokc\" is no operation",
        ),
        (
            r#"{"s":"x","i":1,"op":"wait 0","ret":"0"}"#,
            "ev is not a list",
        ),
        (
            r#"{"s":"x","i":1,"op":"wait 0","ret":"0","ev":[{"ev":"cast"}]}"#,
            "\"cast\" is no event",
        ),
        (
            r#"{"s":"x","i":1,"op":"wait 0","ret":"0","ev":[{"ev":"ast","st":"0","sbf":"NEW"}]}"#,
            "sbf",
        ),
        (
            r#"{"s":"x","i":1,"op":"wait 0","ret":"0","ev":[],"nobast":1}"#,
            "nobast is not",
        ),
    ] {
        std::fs::write(&path, format!("{good}\n{line}\n")).expect("a file");
        let error = read(&path).expect_err("no recording").to_string();
        assert!(
            error.contains("wrong.jsonl:2: ") && error.contains(what),
            "{error}"
        );
        assert_eq!(error.lines().count(), 1);
    }
    std::fs::write(&path, "\n").expect("a file");
    let error = read(&path).expect_err("no recording").to_string();
    assert!(error.contains("no step"), "{error}");
}

#[test]
fn the_program_says_how_it_went_with_its_last_line_and_its_exit_status() {
    let directory = tempfile::tempdir().expect("a directory");
    let (right, wrong, none) = ("right.jsonl", "wrong.jsonl", "none.jsonl");
    let step = r#"{"s":"x","i":1,"op":"close 1","ret":"0","ev":[]}"#;
    for (name, text) in [
        (right, step.to_owned()),
        (wrong, step.replace(r#""ret":"0""#, r#""ret":"-EINVAL""#)),
        (none, format!("{step}\n{}", step.replace("close", "shut"))),
    ] {
        std::fs::write(directory.path().join(name), text).expect("a file");
    }
    let table: &[(&[&str], i32, &str)] = &[
        (&[right], 0, "1 passed, 0 failed\n"),
        (&["--over", "grpc", right, wrong], 1, "1 passed, 1 failed\n"),
        (
            &["--over", "table", wrong],
            1,
            "got:      0\n0 passed, 1 failed\n",
        ),
        (&[right, none], 2, ""),
        (&["nowhere.jsonl"], 2, ""),
        (&["--over", "air", right], 2, ""),
        (&["--under", right], 2, ""),
        (&[], 2, ""),
    ];
    for &(arguments, code, last) in table {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_oracle"))
            .args(arguments)
            .current_dir(directory.path())
            .output()
            .expect("it runs");
        let (said, complaint) = (output.stdout, String::from_utf8_lossy(&output.stderr));
        assert_eq!(
            output.status.code(),
            Some(code),
            "{arguments:?}: {complaint}"
        );
        let said = String::from_utf8_lossy(&said);
        assert!(
            said.ends_with(last) && said.is_empty() == last.is_empty(),
            "{arguments:?}: {said}"
        );
        let names = |file: &&&str| file.ends_with("none.jsonl") || file.ends_with("nowhere.jsonl");
        if let Some(file) = arguments.iter().find(names) {
            assert!(
                complaint.starts_with(&format!("oracle: {file}:")),
                "{complaint}"
            );
            assert_eq!(complaint.lines().count(), 1);
        }
    }
}

#[test]
fn whoever_asks_for_no_callbacks_gets_none_however_it_is_said() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("silent.jsonl");
    let (granted, b) = (
        r#"{"ev":"ast","c":1,"t":"a","st":"0"}"#,
        r#""ret":"lkid","ev":[]}"#,
    );
    let scenario = |before: &str, key: &str| {
        let lock =
            format!(r#"{{"s":"x","i":1,"op":"lock 1 a R EX",{key}"ret":"lkid","ev":[{granted}]}}"#);
        format!("{before}{lock}\n{{\"s\":\"x\",\"i\":2,\"op\":\"lock 2 b R EX\",{b}\n")
    };
    let step = "{\"s\":\"x\",\"i\":0,\"op\":\"nobast\",\"ret\":\"0\",\"ev\":[]}\n";
    for (text, passed) in [
        (scenario("", ""), 0),
        (scenario(step, ""), 1),
        (scenario("", "\"nobast\":true,"), 1),
    ] {
        std::fs::write(&path, &text).expect("a file");
        let outcome = replay(&read(&path).expect("a recording"), Table::desk);
        assert_eq!(outcome.passed, passed, "{text}");
    }
    std::fs::write(&path, scenario("", "")).expect("a file");
    let list = directory.path().join("silent.scenarios.txt");
    std::fs::write(list, "scenario x\nnobast\nlock 1 a R EX\nlock 2 b R EX\n").expect("a file");
    assert_eq!(
        replay(&read(&path).expect("a recording"), Table::desk).passed,
        1
    );
}

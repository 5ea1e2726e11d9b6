//! The recordings of the kernel's lock manager, replayed; and random scenarios in their language, on which
//! the table and the model of it must agree.
//!
//! `GLOCKWORK_LONG=1` makes a hundred times as many.

// The property tests of the core use more of it.
#[allow(dead_code)]
#[path = "../../dlm-server/core/tests/against_model/model/mod.rs"]
mod model;

use std::path::{Path, PathBuf};

use dlm_core::{Input, Limits, Output, Tick};
use model::table::Model;
use tests::oracle::desk::{Desk, LOCKSPACE, Locks, SESSION};
use tests::oracle::random::{Random, scenario};
use tests::oracle::{Answer, Kernel, Operation, Outcome, Table, read, replay};

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
fn the_table_and_the_model_agree_on_random_scenarios() {
    let long = std::env::var_os("GLOCKWORK_LONG").is_some_and(|value| value == "1");
    for seed in 0..if long { 200_000 } else { 2_000 } {
        let lines = scenario(&mut Random::new(seed));
        let (mut table, mut slow) = (Table::desk(), Slow::desk());
        for (step, line) in lines.iter().enumerate() {
            let operation = Operation::parse(line).expect("of the language");
            let (ours, expected) = (table.step(&operation), slow.step(&operation));
            assert_eq!(
                Answer::new(ours.0, &ours.1),
                Answer::new(expected.0, &expected.1),
                "seed {seed}, step {step} of\n{}",
                lines.join("\n")
            );
        }
    }
}

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

    std::fs::write(&path, "{\"s\":\"x\"}").expect("a file");
    let error = read(&path).expect_err("no recording").to_string();
    assert!(
        error.ends_with("wrong.jsonl:1: op is not a string"),
        "{error}"
    );
}

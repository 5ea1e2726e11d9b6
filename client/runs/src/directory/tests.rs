//! Directories of runs: written, read back, and what is wrong with others.

use std::fs;

use glockwork_proto::node::{Errors, Policy, Progress, Tally, WorkloadResult};
use proptest::prelude::*;

use super::*;
use crate::event::{Event, EventKind};
use crate::sample::{self, SECOND};
use crate::seen::{Life, NodeSeen};

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_run_is_read_back_and_is_a_scenario() {
    let dir = tempfile::tempdir().unwrap();
    let runs = dir.path().join("a/runs");
    let written = "# as it was written\n[[at]]\ntime = \"5s\"\ndo = \"cut\"\ntarget = \"node2\"\nfor = \"8s\"\n";
    let scenario = Scenario::parse("node-cut.toml", written).unwrap();
    let run = sample::cut();
    let path = save(&runs, &run, Some(&scenario)).unwrap();
    assert_eq!(path, runs.join("20261201-053000-ordered-cross-seed1"));
    let all = [
        "config.toml",
        "costs.svg",
        "latency.svg",
        "ops.svg",
        "report.txt",
        "run.json",
        "scenario.toml",
    ];
    assert_eq!(names(&path), all);
    for given in [path.clone(), path.join("run.json")] {
        assert_eq!(load(&given).unwrap(), std::slice::from_ref(&run));
    }
    assert_eq!(
        fs::read_to_string(path.join("scenario.toml")).unwrap(),
        written
    );
    let again = Scenario::read(&path.join("config.toml")).unwrap();
    assert_eq!(again.settings, run.config.settings());
    assert_eq!(again.actions.len(), 2);
    let second = save(&runs, &run, None).unwrap();
    assert_eq!(second, runs.join("20261201-053000-ordered-cross-seed1-2"));
    assert!(!second.join("scenario.toml").exists());
    assert_eq!(names(&runs).len(), 2, "nothing unfinished is left");
}

#[test]
fn a_comparison_has_its_runs_below_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut runs = sample::policies();
    runs.push(runs[3].clone());
    let path = save_comparison(dir.path(), &runs, None).unwrap();
    assert_eq!(path, dir.path().join("20261201-053000-compare-cross-seed1"));
    let all = [
        "block",
        "compare.json",
        "costs.svg",
        "latency.svg",
        "nofault",
        "ops.svg",
        "ordered",
        "ordered-2",
        "report.txt",
        "try-cycle",
    ];
    assert_eq!(names(&path), all);
    assert_eq!(load(&path).unwrap(), runs);
    assert_eq!(load(&path.join("nofault")).unwrap(), [runs[1].clone()]);
    assert!(matches!(
        save_comparison(dir.path(), &[], None),
        Err(DirectoryError::Nothing)
    ));
}

#[test]
fn what_cannot_be_read_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let said = |path: &Path| load(path).unwrap_err().to_string();
    let missing = dir.path().join("missing");
    assert!(said(&missing).starts_with(&format!("cannot read {}: ", missing.display())));
    assert!(said(dir.path()).contains("has neither run.json nor compare.json: give a directory"));
    let document = dir.path().join("run.json");
    for (text, wanted) in [
        ("", "is not the document of a run: EOF"),
        ("{}", "missing field `format`"),
        ("{\"format\":1}", "missing field `verdict`"),
        (
            "{\"format\":2}",
            "has format 2, and this program reads those up to 1: use a newer one",
        ),
    ] {
        fs::write(&document, text).unwrap();
        let said = said(dir.path());
        assert!(
            said.contains("run.json") && said.contains(wanted),
            "{text}: {said}"
        );
    }
    fs::File::create(&document)
        .unwrap()
        .set_len(1 << 40)
        .unwrap();
    assert!(said(dir.path()).contains("has 1099511627776 bytes"));
    fs::remove_file(&document).unwrap();
    for part in ["..", "a/b", "/etc", ""] {
        let text = format!("{{\"format\":1,\"runs\":[\"{part}\"]}}");
        fs::write(dir.path().join("compare.json"), text).unwrap();
        assert!(
            said(dir.path()).contains("is not a directory beside it"),
            "{part}"
        );
    }
}

#[test]
fn what_cannot_be_written_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    let error = save(&file, &sample::cut(), None).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("name another directory for runs"),
        "{error}"
    );
    fs::write(dir.path().join("20261201-053000-ordered-cross-seed1"), "").unwrap();
    let path = save(dir.path(), &sample::cut(), None).unwrap();
    assert!(
        path.ends_with("20261201-053000-ordered-cross-seed1-2"),
        "a file has that name"
    );
    let unfinished = Unfinished::begin(dir.path()).unwrap();
    unfinished.write(Path::new("half"), "a").unwrap();
    drop(unfinished);
    assert_eq!(names(dir.path()).len(), 3);
}

fn event() -> impl Strategy<Value = Event> {
    let kind = prop::sample::select(EventKind::ALL.to_vec());
    let nodes = prop::collection::vec("node[1-4]", 0..3);
    let servers = prop::collection::vec(1_u64..4, 0..3);
    (0_u64..40 * SECOND, kind, nodes, servers, ".{0,20}").prop_map(
        |(at_us, kind, nodes, servers, text)| Event {
            at_us,
            kind,
            nodes,
            servers,
            text,
        },
    )
}

fn life() -> impl Strategy<Value = Life> {
    let ops = prop::collection::vec(0_u32..50, 0..100);
    let latencies = prop::collection::vec(any::<u64>(), 0..20);
    (0_u64..40 * SECOND, ops, latencies, 0_u8..3, 0_u64..3).prop_map(
        |(from_us, ops, latencies, end, errors)| {
            let mut life = Life::new(from_us);
            let mut tally = Tally {
                ops: ops.iter().map(|&ops| u64::from(ops)).sum(),
                elapsed_us: ops.len() as u64 * 100_000,
                ..Tally::default()
            };
            latencies
                .into_iter()
                .for_each(|us| tally.latency_us.record(us));
            (0..errors).for_each(|_| tally.io_errors.note(|| "\"é\n".into()));
            life.progress(&Progress {
                first: 0,
                ops,
                elapsed_us: 0,
            });
            match end {
                0 => {}
                1 => life.lost(from_us + 1, "lost"),
                _ => life.ended(WorkloadResult {
                    tally,
                    ..WorkloadResult::default()
                }),
            }
            life
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is seen has a document that reads as it was written, a report and pictures.
    #[test]
    fn any_run_is_written_and_read(
        lives in prop::collection::vec(prop::collection::vec(life(), 0..4), 0..5),
        events in prop::collection::vec(event(), 0..30),
        checked in prop::option::of(0_u64..3),
        elapsed_us in 0..60 * SECOND,
    ) {
        let mut seen = sample::seen(Policy::Ordered, 4, 30);
        seen.elapsed_us = elapsed_us;
        seen.nodes = lives.into_iter().enumerate().map(|(number, lives)| {
            NodeSeen { name: format!("node{}", number + 1), lives }
        }).collect();
        seen.events = events;
        seen.checked = checked.map(|count| Errors { count, first: vec![] });
        let run = Run::of(seen);
        let text = serde_json::to_string(&run).unwrap();
        let again: Run = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&again, &run);
        prop_assert_eq!(crate::Verdict::of(&again), again.verdict.clone());
        for (name, text) in files::of_run(&run, None) {
            if name.ends_with(".svg") {
                prop_assert!(roxmltree::Document::parse(&text).is_ok(), "{}", name);
            }
        }
        files::of_comparison(std::slice::from_ref(&run), &["ordered".into()]);
    }
}

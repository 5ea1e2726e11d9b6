//! Fence commands of all kinds, as scripts.

use std::fs;
use std::path::Path;
use std::time::Instant;

use rustix::process::test_kill_process;

use super::*;

/// Longer than any of these tests takes; so whoever waits for it fails.
const LONG: &str = "1000";

fn shell(script: &str, time_limit: Duration) -> FenceCommand {
    FenceCommand {
        program: "/bin/sh".into(),
        args: ["-c", script, "fence"].map(String::from).into(),
        time_limit,
    }
}

async fn run(command: &FenceCommand) -> FenceOutcome {
    let dead = DeadSession {
        session: SessionId(42),
        name: Name::new("node 7; rm -r .").expect("a name"),
        age: SessionAge {
            at_least_us: 7_999,
            lease_left_us: 3_001,
        },
        cluster: 0xa0,
    };
    command.run(&dead).await
}

async fn reason(command: &FenceCommand) -> String {
    match run(command).await {
        FenceOutcome::Failed(reason) => reason.as_str().to_owned(),
        done @ FenceOutcome::Done(_) => panic!("{done:?}"),
    }
}

/// The process whose number is in the file, when it is there as a whole.
async fn process(file: &Path) -> Pid {
    loop {
        let text = fs::read_to_string(file).unwrap_or_default();
        if let Some(number) = text.strip_suffix('\n') {
            let number = number.parse().expect("a number");
            return Pid::from_raw(number).expect("a process");
        }
        time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until a process is gone; it may be a zombie of the first process until that has looked.
async fn is_gone(process: Pid) {
    loop {
        let stat = format!("/proc/{}/stat", process.as_raw_nonzero());
        let zombie = fs::read_to_string(stat).is_ok_and(|stat| stat.contains(") Z "));
        if zombie || test_kill_process(process).is_err() {
            return;
        }
        time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn the_command_is_told_whom_to_fence() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("told");
    let script = format!(
        "cat; printf '%s|' \"$@\" \"$GLOCKWORK_SESSION\" \"$GLOCKWORK_NAME\" \
         \"$GLOCKWORK_CLUSTER_ID\" \"$GLOCKWORK_AGE_MS\" \"$GLOCKWORK_LEASE_LEFT_MS\" >{}",
        file.display()
    );
    let mut command = shell(&script, TIME_LIMIT);
    command.args.push("--hard".into());
    let outcome = run(&command).await;
    assert_eq!(outcome, FenceOutcome::Done(Fenced::Command));
    let told = fs::read_to_string(file).expect("written");
    assert_eq!(
        told,
        "--hard|42|node 7; rm -r .|42|node 7; rm -r .|000000000000000000000000000000a0|7|4|"
    );
}

#[tokio::test]
async fn a_failure_has_a_reason() {
    for (script, expected) in [
        ("echo no power; exit 3", "/bin/sh exited with 3"),
        ("kill -9 $$", "/bin/sh was ended by signal 9"),
        (
            "echo first >&2; echo ' no answer\t' >&2; echo >&2; exit 1",
            "no answer",
        ),
        ("printf 'no\\033answer' >&2; exit 1", "no?answer"),
        ("exec 2>&-; exit 4", "/bin/sh exited with 4"),
    ] {
        assert_eq!(
            reason(&shell(script, TIME_LIMIT)).await,
            expected,
            "{script}"
        );
    }
    let mut command = shell("", TIME_LIMIT);
    command.program = "/no/such/program".into();
    let reason = reason(&command).await;
    assert!(
        reason.starts_with("cannot start /no/such/program: "),
        "{reason}"
    );
}

#[tokio::test]
async fn what_it_says_is_bounded() {
    // More than a pipe holds, on both; and it does not wait for anybody to read it.
    let script = "yes 'it says a lot' | head -c 300000 >&2; yes | head -c 300000; \
                  printf '%0500d' 0 >&2; exit 1";
    let reason = reason(&shell(script, TIME_LIMIT)).await;
    assert!(reason.len() <= dlm_core::cluster::REASON_BYTES_MAX);
    assert!(reason.contains("000000"), "{reason}");
    let mut tail = Tail::default();
    tail.read(&mut &[b'x'; 100_000][..]).await;
    assert_eq!(tail.0.len(), TAIL_BYTES_MAX);
}

#[tokio::test]
async fn what_takes_too_long_is_killed_with_all_it_started() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("child");
    let script = format!(
        "trap '' TERM; sleep {LONG} & echo $! >{}; sleep {LONG}; exit 0",
        file.display()
    );
    let command = shell(&script, Duration::from_secs(2));
    let started = Instant::now();
    let reason = reason(&command).await;
    assert_eq!(reason, "/bin/sh took longer than 2 s and was killed");
    assert!(started.elapsed() >= command.time_limit);
    is_gone(process(&file).await).await;
}

#[tokio::test]
async fn what_it_leaves_behind_does_not_hold_it_up() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("child");
    let script = |exit| {
        let file = file.display();
        format!("sleep {LONG} & echo $! >{file}; echo gone >&2; exit {exit}")
    };
    assert_eq!(reason(&shell(&script(1), TIME_LIMIT)).await, "gone");
    is_gone(process(&file).await).await;
    let outcome = run(&shell(&script(0), TIME_LIMIT)).await;
    assert_eq!(outcome, FenceOutcome::Done(Fenced::Command));
    is_gone(process(&file).await).await;
}

#[tokio::test]
async fn it_is_killed_where_nobody_waits_for_it_any_more() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("child");
    let script = format!("sleep {LONG} & echo $! >{}; wait", file.display());
    let command = shell(&script, TIME_LIMIT);
    let running = tokio::spawn(async move { run(&command).await });
    let child = process(&file).await;
    running.abort();
    assert!(running.await.expect_err("aborted").is_cancelled());
    is_gone(child).await;
}

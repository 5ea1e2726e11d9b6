//! `dlm lock`: what it holds, what its command is told, and how it exits.

use std::time::Duration;

use dlm_client::{LockError, Mode, inspect};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::sleep;

use crate::stage::{Held, dlm, fails, join, run, serve, servers, succeeds};

#[tokio::test]
async fn the_lock_is_held_while_the_command_runs() {
    let (_server, endpoint) = serve().await;
    let client = join(&endpoint, "other").await;
    let lockspace = client.lockspace("default").await.unwrap();

    let held = Held::start(&endpoint, &["lock", "nightly", "--"]).await;
    let refused = lockspace.try_lock("nightly", Mode::Cr).await;
    assert!(matches!(refused, Err(LockError::TryFailed)));
    held.finish().await;
    // It was told before dlm ended.
    let guard = lockspace.try_lock("nightly", Mode::Ex).await.unwrap();

    // And the other way round.
    let mut waiting = dlm(&endpoint, &["lock", "nightly", "--", "echo", "mine"])
        .spawn()
        .unwrap();
    while inspect::status(&servers(&endpoint)).await.unwrap().waiting == 0 {
        sleep(Duration::from_millis(10)).await;
    }
    assert!(waiting.try_wait().unwrap().is_none());
    drop(guard);
    let output = waiting.wait_with_output().await.unwrap();
    assert_eq!(output.stdout, b"mine\n");
    assert_eq!(inspect::status(&servers(&endpoint)).await.unwrap().locks, 0);
}

#[tokio::test]
async fn modes_that_are_compatible_run_together() {
    let (_server, endpoint) = serve().await;
    let reader = ["lock", "table", "--mode", "pr", "--"];
    let one = Held::start(&endpoint, &reader).await;
    let two = Held::start(&endpoint, &reader).await;
    let writer = ["lock", "table", "--mode", "PW", "--try", "--", "true"];
    assert_eq!(run(&endpoint, &writer).await.status.code(), Some(75));
    let elsewhere = ["lock", "table", "--try", "--lockspace", "b", "--", "true"];
    succeeds(&endpoint, &elsewhere).await;
    one.finish().await;
    two.finish().await;
    succeeds(&endpoint, &writer).await;
}

#[tokio::test]
async fn a_lock_that_cannot_be_had_is_75_and_leaves_nothing() {
    let (_server, endpoint) = serve().await;
    let held = Held::start(&endpoint, &["lock", "nightly", "--"]).await;
    for waits in [&["--try"][..], &["--timeout", "200ms"]] {
        let arguments = [&["lock", "nightly"], waits, &["--", "echo", "ran"]].concat();
        let output = run(&endpoint, &arguments).await;
        assert_eq!(output.status.code(), Some(75));
        assert!(output.stdout.is_empty());
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(
            said.contains("\"nightly\"") && said.lines().count() == 1,
            "{said}"
        );
    }
    let status = inspect::status(&servers(&endpoint)).await.unwrap();
    assert_eq!((status.locks, status.waiting), (1, 0));
    held.finish().await;
    let patient = ["lock", "nightly", "--timeout", "20s", "--", "true"];
    succeeds(&endpoint, &patient).await;
}

#[tokio::test]
async fn the_commands_exit_status_is_passed_on() {
    let (_server, endpoint) = serve().await;
    for (script, code) in [
        ("exit 0", 0),
        ("exit 1", 1),
        ("exit 75", 75),
        ("exit 255", 255),
        ("kill -TERM $$", 143),
        ("kill -KILL $$", 137),
    ] {
        let output = run(&endpoint, &["lock", "job", "--", "sh", "-c", script]).await;
        assert_eq!(output.status.code(), Some(code), "{script}");
        assert!(output.stderr.is_empty(), "{output:?}");
    }
}

#[tokio::test]
async fn the_command_is_told_what_it_holds_and_its_token_grows() {
    let (_server, endpoint) = serve().await;
    let script = "echo $GLOCKWORK_LOCKSPACE/$GLOCKWORK_LOCK/$GLOCKWORK_MODE/$GLOCKWORK_TOKEN";
    let mut before = 0_u64;
    for _ in 0..3 {
        let said = succeeds(&endpoint, &["lock", "a job", "--", "sh", "-c", script]).await;
        let (what, token) = said.trim().rsplit_once('/').unwrap();
        assert_eq!(what, "default/a job/EX");
        let token = token.parse().unwrap();
        assert!(token > before, "{token} after {before}");
        before = token;
    }
}

#[tokio::test]
async fn the_command_is_told_the_value_and_whether_it_is_valid() {
    let (_server, endpoint) = serve().await;
    let client = join(&endpoint, "other").await;
    let lockspace = client.lockspace("default").await.unwrap();
    let script = "echo ${GLOCKWORK_VALUE-none} ${GLOCKWORK_VALUE_VALID-none}";
    let command = ["lock", "job", "--mode", "PR", "--", "sh", "-c", script];
    // What is in the environment already is no value.
    let stale = dlm(&endpoint, &command)
        .env("GLOCKWORK_VALUE", "00")
        .env("GLOCKWORK_VALUE_VALID", "1")
        .output()
        .await
        .unwrap();
    assert_eq!(stale.stdout, b"none none\n");

    let _keeps = lockspace.lock("job", Mode::Nl).await.unwrap();
    let writer = lockspace.lock("job", Mode::Ex).await.unwrap();
    writer.unlock_storing(b"\x00\xfe=v").await.unwrap();
    let value = "00fe3d76".to_owned() + &"00".repeat(28);
    assert_eq!(succeeds(&endpoint, &command).await, format!("{value} 1\n"));
    let writer = lockspace.lock("job", Mode::Ex).await.unwrap();
    writer.unlock_invalidating().await.unwrap();
    assert_eq!(succeeds(&endpoint, &command).await, format!("{value} 0\n"));
}

#[tokio::test]
async fn standard_streams_are_the_commands() {
    let (_server, endpoint) = serve().await;
    let script = "tr a-z A-Z; echo aside >&2";
    let mut child = dlm(&endpoint, &["lock", "job", "--", "sh", "-c", script])
        .stdin(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(b"through").await.unwrap();
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    assert_eq!(output.stdout, b"THROUGH");
    assert_eq!(output.stderr, b"aside\n");
    // Nothing is open in it beside them that would not be without dlm.
    let list = ["ls", "/proc/self/fd"];
    let without = Command::new(list[0]).args(&list[1..]).output().await;
    let without = String::from_utf8(without.unwrap().stdout).unwrap();
    let with = succeeds(&endpoint, &[&["lock", "job", "--"], &list[..]].concat()).await;
    assert_eq!(with, without);
}

#[tokio::test]
async fn failures_before_the_command_are_one_line_and_1() {
    let (server, endpoint) = serve().await;
    let said = fails(&endpoint, &["lock", "job", "--", "/nowhere/program"]).await;
    assert!(
        said.contains("\"/nowhere/program\": No such file"),
        "{said}"
    );
    let long = "n".repeat(65);
    let said = fails(&endpoint, &["lock", &long, "--", "true"]).await;
    assert!(said.contains("64 bytes"), "{said}");
    assert_eq!(inspect::status(&servers(&endpoint)).await.unwrap().locks, 0);
    server.stop().await;
    let said = fails(&endpoint, &["lock", "job", "--", "true"]).await;
    assert!(
        said.starts_with("dlm: cannot reach a lock server at "),
        "{said}"
    );
}

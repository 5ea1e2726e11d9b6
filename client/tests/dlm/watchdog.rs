//! What becomes of a command when its lock is lost, or `dlm lock` is.

use std::time::Duration;

use dlm_client::{Mode, inspect};
use rustix::process::Signal;
use tokio::time::sleep;

use crate::stage::{
    Held, eventually, is_alive, join, run, serve, serve_allowing_faults, servers, succeeds,
};

const LOCK: [&str; 3] = ["lock", "nightly", "--"];

#[tokio::test]
async fn a_server_that_goes_takes_the_command_with_it() {
    let (server, endpoint) = serve().await;
    let held = Held::start(&endpoint, &LOCK).await;
    let pids = held.pids();
    server.stop().await;
    let (status, said) = held.wait().await;
    assert_eq!(status.code(), Some(1));
    assert!(said.starts_with("dlm: the lock was "), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    for pid in pids {
        assert!(!is_alive(pid), "{pid} is left");
    }
}

#[tokio::test]
async fn a_command_that_does_not_heed_term_is_killed() {
    let (server, endpoint) = serve().await;
    let held = Held::start_deaf(&endpoint, &LOCK).await;
    let pids = held.pids();
    server.stop().await;
    let (status, _) = held.wait().await;
    assert_eq!(status.code(), Some(1));
    for pid in pids {
        assert!(!is_alive(pid), "{pid} is left");
    }
}

/// Only the client is cut off: the servers wait for its lease, and give the lock to the next.
#[tokio::test]
async fn whoever_gets_the_lock_next_finds_nothing_of_the_command() {
    let (_server, endpoint) = serve_allowing_faults().await;
    let held = Held::start_deaf(&endpoint, &LOCK).await;
    let pids = held.pids();
    let listed = succeeds(&endpoint, &["sessions", "--json"]).await;
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let name = listed["sessions"][0]["name"].as_str().unwrap();
    let client = join(&endpoint, "next").await;
    let lockspace = client.lockspace("default").await.unwrap();
    succeeds(&endpoint, &["fault", "partition", &format!("1,{name}")]).await;
    let _next = lockspace.lock("nightly", Mode::Ex).await.unwrap();
    for &pid in &pids[2..] {
        assert!(!is_alive(pid), "{pid} outlived its lock");
    }
    let (status, said) = held.wait().await;
    assert_eq!(status.code(), Some(1));
    assert!(said.starts_with("dlm: the lock was "), "{said}");
}

#[tokio::test]
async fn a_dlm_that_is_killed_takes_the_command_with_it() {
    let (_server, endpoint) = serve().await;
    let held = Held::start(&endpoint, &LOCK).await;
    let pids = held.pids();
    held.signal(Signal::KILL);
    for pid in pids {
        eventually("it ends", || !is_alive(pid)).await;
    }
    let client = join(&endpoint, "other").await;
    let lockspace = client.lockspace("default").await.unwrap();
    lockspace.lock("nightly", Mode::Ex).await.unwrap();
}

/// The lock is still held then: the server has not given the stopped client up.
#[tokio::test]
async fn a_dlm_that_is_stopped_takes_the_command_with_it_while_it_still_has_the_lock() {
    let (_server, endpoint) = serve().await;
    let held = Held::start_deaf(&endpoint, &LOCK).await;
    let [dlm, watchdog, commands @ ..] = &held.pids()[..] else {
        panic!("dlm, the watchdog, and the command");
    };
    assert_eq!(*dlm, held.pid());
    held.signal(Signal::STOP);
    for &pid in commands {
        eventually("it ends", || !is_alive(pid)).await;
    }
    assert_eq!(inspect::status(&servers(&endpoint)).await.unwrap().locks, 1);
    eventually("the watchdog ends", || !is_alive(*watchdog)).await;
    held.signal(Signal::CONT);
    let (status, said) = held.wait().await;
    assert_eq!(status.code(), Some(1));
    assert!(
        said.starts_with("dlm: dlm was stopped for so long "),
        "{said}"
    );
    assert_eq!(inspect::status(&servers(&endpoint)).await.unwrap().locks, 0);
}

#[tokio::test]
async fn a_dlm_that_is_stopped_for_a_moment_goes_on() {
    let (_server, endpoint) = serve().await;
    let held = Held::start(&endpoint, &LOCK).await;
    held.signal(Signal::STOP);
    sleep(Duration::from_millis(700)).await;
    held.signal(Signal::CONT);
    held.finish().await;
}

#[tokio::test]
async fn a_watchdog_that_is_killed_takes_the_command_with_it() {
    let (_server, endpoint) = serve().await;
    let held = Held::start_deaf(&endpoint, &LOCK).await;
    let pids = held.pids();
    rustix::process::kill_process(pids[1], Signal::KILL).unwrap();
    let (status, said) = held.wait().await;
    assert_eq!(status.code(), Some(1));
    assert!(said.contains("watchdog"), "{said}");
    for pid in pids {
        eventually("it ends", || !is_alive(pid)).await;
    }
}

#[tokio::test]
async fn signals_reach_the_command() {
    let (_server, endpoint) = serve().await;
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143), (Signal::HUP, 129)] {
        let held = Held::start(&endpoint, &LOCK).await;
        held.signal(signal);
        let (status, said) = held.wait().await;
        assert_eq!((status.code(), &said[..]), (Some(code), ""));
    }
}

/// What the command leaves behind in its process group would work on without the lock.
#[tokio::test]
async fn what_a_command_leaves_behind_is_ended_before_the_lock_goes() {
    let (_server, endpoint) = serve().await;
    let script = "sleep 1000 >/dev/null 2>&1 & echo $!";
    let output = run(&endpoint, &["lock", "job", "--", "sh", "-c", script]).await;
    assert_eq!(output.status.code(), Some(0));
    let pid = String::from_utf8(output.stdout).unwrap();
    let pid = rustix::process::Pid::from_raw(pid.trim().parse().unwrap()).unwrap();
    assert!(!is_alive(pid));
}

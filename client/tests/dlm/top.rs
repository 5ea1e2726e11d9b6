//! `dlm top`: a frame for scripts, and the screen on a real terminal.

use std::fs;

use dlm_client::{Role, State};
use rustix::termios::{LocalModes, tcgetattr};

use crate::node::Node;
use crate::stage::{PATIENCE, run, serve, succeeds};
use crate::terminal::Terminal;

/// Two nodes that wait for each other, and what is done meanwhile.
async fn during_a_deadlock<T>(endpoint: &str, look: impl Future<Output = T>) -> T {
    let a = Node::join(endpoint, "node1").await;
    let b = Node::join(endpoint, "node2").await;
    let a_held = a
        .lock(1, State::Df, Role::Operation)
        .await
        .expect("it is free");
    let b_held = b
        .lock(2, State::Df, Role::Operation)
        .await
        .expect("it is free");
    let looking = async {
        let looked = look.await;
        for each in [&a, &b] {
            each.glocks.interrupt_all(true);
        }
        looked
    };
    let (_, _, looked) = tokio::join!(
        a.lock(2, State::Sh, Role::Fault),
        b.lock(1, State::Ex, Role::Fault),
        looking
    );
    drop((a_held, b_held));
    looked
}

#[tokio::test]
async fn a_frame_shows_the_deadlock_who_waits_and_what_is_cached() {
    let (_server, endpoint) = serve().await;
    let text = during_a_deadlock(&endpoint, async {
        let before = std::time::Instant::now();
        loop {
            let text = succeeds(&endpoint, &["top", "--once"]).await;
            if text.contains("DEADLOCK of 2 tasks:") {
                return text;
            }
            assert!(before.elapsed() < PATIENCE, "{text}");
        }
    })
    .await;
    assert!(
        text.starts_with("dlm top  1 server (leader 1), 2 sessions, 4 locks, 2 waiting"),
        "{text}"
    );
    assert!(text.contains("Longest waiters (2)"), "{text}");
    assert_eq!(
        text.matches("node1/dio 0 waits for PR (SH) of volume inode 0x2 ")
            .count(),
        1,
        "{text}"
    );
    let node = text
        .lines()
        .find(|line| line.starts_with("node2 "))
        .expect(&text);
    let words: Vec<&str> = node.split_whitespace().collect();
    assert_eq!(words[..2], ["node2", "2"], "{node}");

    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("top.svg");
    let name = file.to_str().expect("text");
    let arguments = [
        "top", "--once", "--format", "svg", "--size", "80x24", "--output", name,
    ];
    assert_eq!(succeeds(&endpoint, &arguments).await, "");
    let svg = fs::read_to_string(&file).expect("it was written");
    assert!(svg.starts_with("<svg ") && svg.contains("dlm top"), "{svg}");
}

#[tokio::test]
async fn without_a_terminal_there_is_one_line_and_2() {
    let (server, endpoint) = serve().await;
    let output = run(&endpoint, &["top"]).await;
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("dlm watch --json"), "{said}");
    server.stop().await;
    let output = run(&endpoint, &["top", "--once"]).await;
    assert_eq!(output.status.code(), Some(1));
}

/// Whether a terminal is as a shell leaves it to a program: lines, and an echo.
fn is_as_before(terminal: &Terminal) -> bool {
    let modes = tcgetattr(terminal.keys()).expect("a terminal").local_modes;
    modes.contains(LocalModes::ICANON | LocalModes::ECHO)
}

#[tokio::test]
async fn the_screen_is_taken_and_given_back() {
    let (_server, endpoint) = serve().await;
    for (end, code) in [("q", 0), ("\u{1b}", 0), ("\u{3}", 0), ("kill", 143)] {
        let script = "stty rows 30 columns 100; exec $dlm top";
        let mut terminal = Terminal::run(&endpoint, script);
        terminal.shows("dlm top").await;
        terminal.shows("Hottest resources").await;
        assert!(!is_as_before(&terminal));
        match end {
            "kill" => terminal.terminate(),
            keys => terminal.types(keys),
        }
        // Back to the other screen, and the cursor is there again.
        terminal.shows("\u{1b}[?1049l").await;
        terminal.shows("\u{1b}[?25h").await;
        let keys = terminal.keys().try_clone().expect("a terminal");
        assert_eq!(terminal.exit_code().await, Some(code), "{end:?}");
        let modes = tcgetattr(&keys).expect("a terminal").local_modes;
        assert!(
            modes.contains(LocalModes::ICANON | LocalModes::ECHO),
            "{end:?}"
        );
    }
}

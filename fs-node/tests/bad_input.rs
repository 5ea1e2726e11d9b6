//! What the commands say to bad input: one line that says what and what to do, exit code 2 for usage and
//! 1 for failure, and nothing lost.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

fn fs_node(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_fs-node"))
        .args(arguments)
        .output()
        .expect("the program starts")
}

/// The one line that a failure prints.
fn refusal(arguments: &[&str], code: i32) -> String {
    let output = fs_node(arguments);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    assert!(output.stdout.is_empty(), "{arguments:?} prints no result");
    if code == 1 {
        assert_eq!(text.lines().count(), 1, "{arguments:?}: one line: {text}");
    }
    assert!(!text.contains("panicked"), "{text}");
    text
}

fn volume(dir: &TempDir) -> String {
    let path = dir.path().join("volume").display().to_string();
    let output = fs_node(&["mkfs", &path, "--files", "2", "--file-size", "16k"]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    path
}

/// An address where nobody listens.
const NOBODY: &str = "127.0.0.1:1";

#[test]
fn usage_errors_exit_with_2() {
    for arguments in [
        &["demo", "--nodes", "1"][..],
        &["demo", "--nodes", "many"],
        &["demo", "--policy", "hope"],
        &["demo", "--seconds", "0"],
        &["demo", "--io-size", "100"],
        &["demo", "--no-such-flag"],
        &["mkfs"],
        &["no-such-command"],
    ] {
        let text = refusal(arguments, 2);
        assert!(
            text.starts_with("error:") || text.starts_with("fs-node:"),
            "{text}"
        );
    }
}

#[test]
fn a_server_that_is_not_there() {
    let dir = tempfile::tempdir().expect("a directory");
    let volume = volume(&dir);
    let text = refusal(
        &[
            "run",
            "--volume",
            &volume,
            "--name",
            "a",
            "--endpoint",
            NOBODY,
        ],
        1,
    );
    assert!(
        text.contains(NOBODY) && text.contains("dlm-server"),
        "what, and what to do: {text}"
    );
}

#[test]
fn volumes_that_are_none() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = |name: &str| dir.path().join(name).display().to_string();
    let run = |volume: &str| {
        refusal(
            &[
                "run",
                "--volume",
                volume,
                "--name",
                "a",
                "--endpoint",
                NOBODY,
            ],
            1,
        )
    };
    let text = run(&path("missing"));
    assert!(text.contains("missing"), "{text}");

    fs::write(path("short"), b"GLKWFLAT").expect("written");
    assert!(run(&path("short")).contains("too small"));

    fs::write(path("other"), vec![7; 65536]).expect("written");
    assert!(run(&path("other")).contains("mkfs"), "what to do is said");

    let cut = volume(&dir);
    let bytes = fs::metadata(&cut).expect("there").len();
    fs::OpenOptions::new()
        .write(true)
        .open(&cut)
        .and_then(|file| file.set_len(bytes - 1))
        .expect("cut");
    assert!(run(&cut).contains("too small"));
}

#[test]
fn nothing_is_overwritten_unasked() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("mine").display().to_string();
    fs::write(&path, vec![7; 65536]).expect("written");
    let text = refusal(&["mkfs", &path, "--files", "2", "--file-size", "16k"], 1);
    assert!(text.contains("--force"), "{text}");
    let text = refusal(&["demo", "--volume", &path, "--seconds", "1"], 1);
    assert!(text.contains("mine"), "{text}");
    assert_eq!(
        fs::read(Path::new(&path)).expect("there"),
        vec![7; 65536],
        "untouched"
    );
}

#[test]
fn sizes_that_make_no_volume() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("volume").display().to_string();
    for size in ["0", "5000", "x"] {
        let output = fs_node(&["mkfs", &path, "--files", "2", "--file-size", size]);
        assert!(!output.status.success(), "{size}");
        assert!(
            !Path::new(&path).exists(),
            "{size}: no volume is left half made"
        );
    }
}

//! A terminal; and `dlm lock` on one: who gets what is typed.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::{Arc, Mutex};
use std::{ffi::OsStr, process::Stdio};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tokio::process::{Child, Command};

use crate::stage::{eventually, serve};

/// A terminal, and a program that was started on it as a login would.
pub(crate) struct Terminal {
    keys: File,
    screen: Arc<Mutex<String>>,
    child: Child,
}

impl Terminal {
    /// Runs a shell script, with `$dlm` for the program.
    pub(crate) fn run(endpoint: &str, script: &str) -> Self {
        let master: OwnedFd = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let slave = || {
            let path = OsStr::from_bytes(name.as_bytes());
            let opened = File::options().read(true).write(true).open(path);
            Stdio::from(opened.unwrap())
        };
        let child = Command::new("env")
            .args(["--default-signal", "setsid", "--ctty", "sh", "-c", script])
            .env("dlm", env!("CARGO_BIN_EXE_dlm"))
            .env("GLOCKWORK_ENDPOINTS", endpoint)
            .stdin(slave())
            .stdout(slave())
            .stderr(slave())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let keys = File::from(master);
        let screen = Arc::new(Mutex::new(String::new()));
        let (mut reading, shown) = (keys.try_clone().unwrap(), Arc::clone(&screen));
        std::thread::spawn(move || {
            let mut bytes = [0; 1024];
            // It ends with an error when nobody has the terminal open any more.
            while let Ok(count @ 1..) = reading.read(&mut bytes) {
                let text = String::from_utf8_lossy(&bytes[..count]);
                shown.lock().unwrap().push_str(&text);
            }
        });
        Self {
            keys,
            screen,
            child,
        }
    }

    pub(crate) fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    fn screen(&self) -> String {
        self.screen.lock().unwrap().clone()
    }

    /// The other end of it.
    pub(crate) const fn keys(&self) -> &File {
        &self.keys
    }

    /// Tells the program to end.
    pub(crate) fn terminate(&self) {
        let id = self.child.id().expect("it was not waited for");
        let pid = Pid::from_raw(i32::try_from(id).unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
    }

    pub(crate) async fn shows(&self, text: &str) {
        eventually(text, || self.screen().contains(text)).await;
    }

    pub(crate) async fn exit_code(mut self) -> Option<i32> {
        self.child.wait().await.unwrap().code()
    }
}

#[tokio::test]
async fn a_command_that_reads_the_terminal_gets_it_and_gives_it_back() {
    let (_server, endpoint) = serve().await;
    let script =
        "$dlm lock job -- sh -c 'read line; echo first $line'; read line; echo second $line";
    let mut terminal = Terminal::run(&endpoint, script);
    terminal.types("one\n");
    terminal.shows("first one").await;
    terminal.types("two\n");
    terminal.shows("second two").await;
    assert_eq!(terminal.exit_code().await, Some(0));
}

#[tokio::test]
async fn interrupt_reaches_the_command_once() {
    let (_server, endpoint) = serve().await;
    // One that has not asked for the terminal, and one that has.
    for asks in ["", "read line; "] {
        let directory = tempfile::tempdir().unwrap();
        let end = directory.path().join("end");
        let script = format!(
            "exec $dlm lock job -- sh -c '{asks} trap \"echo caught\" INT; echo ready; \
             until [ -e {} ]; do sleep 0.1; done; echo over'",
            end.display()
        );
        let mut terminal = Terminal::run(&endpoint, &script);
        terminal.types("go\n");
        terminal.shows("ready").await;
        terminal.types("\u{3}");
        terminal.shows("caught").await;
        File::create(&end).unwrap();
        terminal.shows("over").await;
        assert_eq!(terminal.screen().matches("caught").count(), 1);
        assert_eq!(terminal.exit_code().await, Some(0));
    }
}

#[tokio::test]
async fn a_command_that_holds_a_lock_is_not_suspended() {
    let (_server, endpoint) = serve().await;
    for script in [
        "exec $dlm lock job -- sh -c 'echo ready; until [ -e /nowhere ]; do sleep 0.1; done'",
        "exec $dlm lock job -- sh -c 'read line; echo ready; until [ -e /nowhere ]; do sleep 0.1; done'",
    ] {
        let mut terminal = Terminal::run(&endpoint, script);
        terminal.types("go\n");
        terminal.shows("ready").await;
        terminal.types("\u{1a}");
        terminal.shows("is not suspended; it goes on").await;
        terminal.types("\u{3}");
        assert_eq!(terminal.exit_code().await, Some(130));
    }
}

//! One process, and what can be done to it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::{Child, Command};

/// How many of a log's last lines are shown.
const LOG_LINES_SHOWN: usize = 60;

/// A process that was started here. It is killed with its whole process group when it is dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it; what it says goes behind what is in `log`.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(name: &str, command: &mut Command, log: &Path) -> io::Result<Self> {
        let said: File = OpenOptions::new().create(true).append(true).open(log)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(said.try_clone()?)
            .stderr(said)
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        Ok(Self {
            name: name.into(),
            child,
            log: log.into(),
        })
    }

    /// What it is called in what is said of it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its number, while it has not been waited for.
    #[must_use]
    pub fn pid(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.child.id()?).ok()?)
    }

    /// Sends it a signal; nothing where it has ended.
    ///
    /// # Panics
    /// If the system does not let us.
    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            // It is not waited for, so that the number is still its own.
            kill_process(pid, signal).unwrap_or_else(|error| panic!("{}: {error}", self.name));
        }
    }

    /// Stops it where it stands, as a machine that is suspended (SIGSTOP).
    pub fn stop(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on (SIGCONT).
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Kills it and what it started, without a word (SIGKILL), and waits until it is gone.
    ///
    /// # Panics
    /// If the system does not let us.
    pub async fn kill(&mut self) {
        self.kill_group();
        self.wait().await;
    }

    /// Asks it to end (SIGTERM), and waits until it has.
    ///
    /// # Panics
    /// If the system does not let us.
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait().await
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If the system does not let us.
    pub async fn wait(&mut self) -> ExitStatus {
        self.child.wait().await.expect("it is our child")
    }

    /// How it ended, if it has.
    ///
    /// # Panics
    /// If the system does not let us.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("it is our child")
    }

    /// All it said.
    #[must_use]
    pub fn said(&self) -> String {
        let said = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&said).into_owned()
    }

    /// The last lines of what it said, under its name.
    #[must_use]
    pub fn last_words(&self) -> String {
        let said = self.said();
        let lines: Vec<&str> = said.lines().collect();
        let last = &lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..];
        format!(
            "--- {} ({})\n{}\n",
            self.name,
            self.log.display(),
            last.join("\n")
        )
    }

    fn kill_group(&self) {
        if let Some(pid) = self.pid() {
            // It leads its group. What is left of the group when it is gone has its number no more.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill_group();
    }
}

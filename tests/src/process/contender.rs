//! A contender as whoever started it sees it: its process, its files, and what it said.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Pid;
use tokio::process::Command;
use tokio::time::sleep;

use super::{Binaries, Process, Servers, Witness};

/// What contenders are started with.
#[derive(Clone, Debug, Default)]
pub struct Contending {
    /// The locks that they take again and again.
    pub locks: Vec<String>,
    /// How long they hold each.
    pub hold_ms: u64,
    /// How many tasks take each.
    pub tasks: usize,
    /// How many locks each takes once, and keeps.
    pub keep: usize,
    /// Whether they write to the witness.
    pub witnessed: bool,
}

/// A client's process.
#[derive(Debug)]
pub struct Contender {
    name: String,
    process: Process,
    witness: Witness,
    pulse: PathBuf,
    stopped: bool,
}

/// What a contender said of its sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// The sessions that it had, in order.
    pub sessions: Vec<u64>,
    /// Why each that it lost was lost.
    pub lost: Vec<String>,
    /// How many locks it said it keeps, each time that it had taken them all.
    pub keeps: Vec<usize>,
    /// How many of those were lost while their session lived.
    pub kept_lost: usize,
    /// Whether it said goodbye.
    pub closed: bool,
    /// What should not have happened.
    pub broken: Vec<String>,
}

impl Said {
    fn read(text: &str) -> Self {
        let mut said = Self::default();
        for line in text.lines() {
            match line.split_once(' ').unwrap_or((line, "")) {
                ("joined", session) => said.sessions.extend(session.parse::<u64>().ok()),
                ("lost", why) => said.lost.push(why.to_owned()),
                ("keeps", count) => said.keeps.extend(count.parse::<usize>().ok()),
                ("kept", counts) => {
                    let lost = counts.rsplit(' ').next();
                    said.kept_lost += lost.and_then(|lost| lost.parse().ok()).unwrap_or(0);
                }
                ("closed", _) => said.closed = true,
                ("outside", _) => {}
                _ => said.broken.push(line.to_owned()),
            }
        }
        said
    }
}

impl Contender {
    /// Starts one.
    ///
    /// # Panics
    /// If it cannot be started.
    #[must_use]
    pub fn start(servers: &Servers, witness: &Witness, name: &str, with: &Contending) -> Self {
        let pulse = servers.dir().join(format!("{name}.pulse"));
        let mut command = Command::new(Binaries::built().path("failover"));
        command
            .args(["contend", "--endpoints", &servers.endpoints()])
            .args(["--name", name])
            .args(["--hold-ms", &with.hold_ms.to_string()])
            .args(["--tasks", &with.tasks.max(1).to_string()])
            .args(["--keep", &with.keep.to_string()]);
        if !with.locks.is_empty() {
            command.args(["--locks", &with.locks.join(",")]);
        }
        command.arg("--pulse").arg(&pulse);
        if with.witnessed {
            command.arg("--witness").arg(witness.path());
        }
        let log = servers.dir().join(format!("{name}.log"));
        let process = Process::start(name, &mut command, &log).expect("a contender starts");
        Self {
            name: name.to_owned(),
            process,
            witness: witness.clone(),
            pulse,
            stopped: false,
        }
    }

    /// What it is called; so is its session.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file of the times of its grants.
    #[must_use]
    pub fn pulse(&self) -> &Path {
        &self.pulse
    }

    /// Its process.
    pub const fn process(&mut self) -> &mut Process {
        &mut self.process
    }

    /// What it said so far.
    #[must_use]
    pub fn said(&self) -> Said {
        Said::read(&self.process.said())
    }

    /// Kills it without a word.
    ///
    /// # Panics
    /// If the system does not let us.
    pub async fn kill(&mut self) {
        self.process.kill().await;
        self.witness.died(&self.name).expect("the witness's file");
    }

    /// Stops it where it stands, but not between looking at a lock and writing under it: see
    /// [`Witness::still`].
    ///
    /// # Panics
    /// If the system does not let us.
    pub fn stop(&mut self) {
        let process = &self.process;
        let stops = || {
            process.stop();
            // The signal takes effect a moment after it was sent.
            while process.pid().is_some_and(|pid| !is_stopped(pid)) {
                std::thread::sleep(Duration::from_millis(1));
            }
        };
        self.witness.still(stops).expect("the witness's file");
        self.stopped = true;
    }

    /// Lets it go on.
    pub fn resume(&mut self) {
        self.process.resume();
        self.stopped = false;
    }

    /// Tells it to end, and waits until it has said goodbye; nothing where it has ended.
    ///
    /// # Panics
    /// If it does not end in time, or says that something broke.
    pub async fn end(&mut self) {
        if self.process.ended().is_none() {
            if self.stopped {
                self.resume();
            }
            let ended = tokio::time::timeout(super::PATIENCE, self.process.terminate()).await;
            let words = self.process.last_words();
            let ended = ended.unwrap_or_else(|_| panic!("it does not end when told to: {words}"));
            assert!(ended.success(), "{ended}: {words}");
        }
        let said = self.said();
        assert!(said.broken.is_empty(), "{}: {said:?}", self.name);
    }

    /// Waits until `is_so` of what it said.
    ///
    /// # Panics
    /// If that takes too long, or it ends.
    pub async fn until(&mut self, what: &str, is_so: impl Fn(&Said) -> bool) {
        let before = tokio::time::Instant::now();
        while !is_so(&self.said()) {
            let ended = self.process.ended();
            assert!(
                ended.is_none() && before.elapsed() < super::PATIENCE,
                "{}: {what} was not seen (ended: {ended:?}): {}",
                self.name,
                self.process.last_words()
            );
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Whether a process is stopped by a signal, as the system says.
fn is_stopped(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    let stat = stat.unwrap_or_default();
    // The state is behind the name, which may have anything in it.
    let state = stat
        .rsplit_once(") ")
        .and_then(|(_, rest)| rest.chars().next());
    matches!(state, Some('T' | 'Z') | None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_says_is_understood() {
        let said = Said::read(
            "joined 5\nkeeps 10\nlost the lease ran out\noutside nobody there\njoined 9\nkeeps 10\nkept 9 lost 1\n\
             closed\nthread panicked\n",
        );
        let expected = Said {
            sessions: vec![5, 9],
            lost: vec!["the lease ran out".into()],
            keeps: vec![10, 10],
            kept_lost: 1,
            closed: true,
            broken: vec!["thread panicked".into()],
        };
        assert_eq!(said, expected);
    }
}

//! The fence command: what makes sure that a dead session does nothing any more.
//!
//! It is the operator's program: it cuts a node's power, takes its disk away, or whatever else is sure. It
//! is told of the session by its last two arguments, the session's number and its name, and by
//! `GLOCKWORK_SESSION` and `GLOCKWORK_NAME` in its environment; `GLOCKWORK_CLUSTER_ID`, `GLOCKWORK_AGE_MS` and
//! `GLOCKWORK_LEASE_LEFT_MS` say what else is known of it. It exits with 0 when the session surely
//! does nothing any more, and not before; a session that was fenced already is fenced. The leader runs it
//! again after a failure, and a new leader may run it while an old one still does.
//!
//! It runs in a process group of its own, which is killed when its time is over, and whatever it left
//! behind when it ends.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use dlm_core::SessionId;
use dlm_core::cluster::{FenceOutcome, Fenced, Name, Reason};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::time;

use crate::node::SessionAge;

/// How long a command may take where nothing else is configured.
pub const TIME_LIMIT: Duration = Duration::from_secs(60);

/// How much of what it last wrote to standard error is kept: enough for one line of a reason.
const TAIL_BYTES_MAX: usize = 1024;

/// How long the rest of standard error is waited for, once the command has ended and its group is
/// killed: only what left the group can still hold it open.
const REST_WAIT_MAX: Duration = Duration::from_secs(1);

/// Whom it is run for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeadSession {
    /// Its number.
    pub session: SessionId,
    /// What people call it. Another session, started later, may be called so too.
    pub name: Name,
    /// What tells the two apart, and how long its lease may last.
    pub age: SessionAge,
    /// The cluster's own number: sessions' numbers are the cluster's.
    pub cluster: u128,
}

/// What is run for every dead session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FenceCommand {
    /// The program; without a slash it is looked for in `PATH`.
    pub program: PathBuf,
    /// Its first arguments.
    pub args: Vec<String>,
    /// How long it may take, before it is killed and has failed.
    pub time_limit: Duration,
}

impl fmt::Display for FenceCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.program.display())?;
        self.args.iter().try_for_each(|arg| write!(f, " {arg}"))
    }
}

impl FenceCommand {
    /// Runs it for a session, to its end. It is killed where this is dropped before.
    pub async fn run(&self, dead: &DeadSession) -> FenceOutcome {
        match self.try_run(dead).await {
            Ok(()) => FenceOutcome::Done(Fenced::Command),
            Err(reason) => FenceOutcome::Failed(Reason::lossy(&reason)),
        }
    }

    async fn try_run(&self, dead: &DeadSession) -> Result<(), String> {
        let program = self.program.display();
        let (mut child, group) = self
            .start(dead)
            .map_err(|error| format!("cannot start {program}: {error}"))?;
        let mut stderr = child.stderr.take();
        let mut tail = Tail::default();
        let ended = {
            let reading = async {
                if let Some(stderr) = &mut stderr {
                    tail.read(stderr).await;
                }
                // Who closes it early is still running.
                std::future::pending().await
            };
            tokio::select! {
                ended = child.wait() => Some(ended),
                () = reading => None,
                () = time::sleep(self.time_limit) => None,
            }
        };
        group.kill();
        let Some(ended) = ended else {
            // It is killed, so this is short; and it must not be left as a zombie.
            let _ = child.wait().await;
            let seconds = self.time_limit.as_secs_f64();
            return Err(format!(
                "{program} took longer than {seconds} s and was killed"
            ));
        };
        let status = ended.map_err(|error| format!("cannot wait for {program}: {error}"))?;
        if status.success() {
            return Ok(());
        }
        if let Some(stderr) = &mut stderr {
            let _ = time::timeout(REST_WAIT_MAX, tail.read(stderr)).await;
        }
        let line = tail.last_line();
        Err(line.unwrap_or_else(|| format!("{program} {}", ending(status))))
    }

    fn start(&self, dead: &DeadSession) -> io::Result<(Child, Group)> {
        let number = dead.session.0.to_string();
        let name = dead.name.as_str();
        // The age is at least so much, and the lease at most: cut off and rounded up.
        let age_ms = dead.age.at_least_us / 1000;
        let lease_left_ms = dead.age.lease_left_us.div_ceil(1000);
        let child = Command::new(&self.program)
            .args(&self.args)
            .args([&number, name])
            .env("GLOCKWORK_SESSION", &number)
            .env("GLOCKWORK_NAME", name)
            .env("GLOCKWORK_CLUSTER_ID", format!("{:032x}", dead.cluster))
            .env("GLOCKWORK_AGE_MS", age_ms.to_string())
            .env("GLOCKWORK_LEASE_LEFT_MS", lease_left_ms.to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let group = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        Ok((child, Group(group)))
    }
}

/// The command's process group; it is killed where it is dropped.
struct Group(Option<Pid>);

impl Group {
    /// Also after the command was waited for: its number is the group's as long as anybody is in it. Once
    /// nobody is, it could be another's only after all numbers have been given out again.
    fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        if let Some(group) = self.0.take() {
            // Nobody is left, as a rule.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

/// The last that was written.
#[derive(Debug, Default)]
struct Tail(VecDeque<u8>);

impl Tail {
    /// Reads to the end, however much it is. What was read is kept where this is dropped before.
    async fn read(&mut self, from: &mut (impl AsyncRead + Unpin)) {
        let mut bytes = [0; 512];
        while let Ok(count @ 1..) = from.read(&mut bytes).await {
            self.0.extend(&bytes[..count]);
            let over = self.0.len().saturating_sub(TAIL_BYTES_MAX);
            self.0.drain(..over);
        }
    }

    /// The last line with something in it.
    fn last_line(&self) -> Option<String> {
        let bytes: Vec<u8> = self.0.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        let mut lines = text.lines().rev().map(str::trim);
        lines.find(|line| !line.is_empty()).map(str::to_owned)
    }
}

fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exited with {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "did not end well".to_owned(),
    }
}

#[cfg(test)]
mod tests;

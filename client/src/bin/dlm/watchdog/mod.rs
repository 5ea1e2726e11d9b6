//! The process that ends a command when its lock is lost, whatever becomes of `dlm lock` itself.
//!
//! `dlm lock` starts it, and it starts the command, as the first of a process group of its own. The two
//! talk over a socket ([`link`]): heartbeats and orders one way, the command's state the other. What
//! follows from them is decided in [`watch`]; here are only the threads that wait, and the system calls.
//!
//! It is the command's parent, so that the group's number stays the group's for as long as the command
//! has not been waited for, and `dlm lock` can be stopped or killed without anything going unnoticed.

use std::ffi::OsString;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::{self, Pid, Signal, WaitId, WaitIdOptions};
use rustix::time::{ClockId, clock_gettime};

use self::link::{Ending, Order, Report};
use self::watch::{Action, Input, Watch};

pub(crate) mod link;
pub(crate) mod terminal;
pub(crate) mod watch;

/// How this process is called: a program started under this name is a watchdog and reads no command
/// line of its own.
pub(crate) const NAME: &str = "dlm-watchdog";

/// How often it looks whether a group that was told to end is gone.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// What the threads have seen.
enum Seen {
    Order(Order),
    Closed,
    Stopped(i32),
    Ended(Ending),
}

/// The watchdog, from the first order to the end of the command. `arguments` are the process group of
/// `dlm lock`, which gets the terminal back, and the command.
pub(crate) fn main(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    // Started by its path it would have the program's name; it is only a help for people.
    let _ = rustix::thread::set_name(c"dlm-watchdog");
    let group = arguments.next().and_then(|group| pid(&group));
    let (Some(group), Some(program)) = (group, arguments.next()) else {
        eprintln!("{NAME}: this is a part of dlm lock, and not to be started by itself");
        return ExitCode::from(2);
    };
    let mut command = Command::new(program);
    command.args(arguments);
    match guard(command, group) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{NAME}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn pid(text: &OsString) -> Option<Pid> {
    let number = str::from_utf8(text.as_bytes()).ok()?.parse().ok()?;
    Pid::from_raw(number)
}

fn guard(mut command: Command, lender: Pid) -> io::Result<()> {
    let link = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let (stdin, limits) = link::receive_stdin(&link)?;
    let started = command.stdin(stdin).process_group(0).spawn();
    // It keeps the command's standard input open for as long as it lives.
    drop(command);
    let child = match started {
        Ok(child) => child,
        Err(error) => {
            let errno = error.raw_os_error().unwrap_or(Errno::INVAL.raw_os_error());
            return Report::NotStarted(errno).send(&link);
        }
    };
    let group = Pid::from_child(&child);
    // A `dlm lock` that is gone reads no reports, and its end is seen by the reading thread.
    let _ = Report::Running(group).send(&link);

    let (sender, seen) = mpsc::channel();
    let orders = link.try_clone()?;
    let reading = sender.clone();
    thread::spawn(move || read(&orders, &reading));
    thread::spawn(move || wait(group, &sender));
    Guard {
        link,
        group,
        lender,
        ending: None,
        watch: Watch::new(now(), limits),
    }
    .run(&seen);
    Ok(())
}

/// A clock that runs while the machine sleeps, as leases do.
fn now() -> Duration {
    let now = clock_gettime(ClockId::Boottime);
    Duration::try_from(now).expect("time since the machine started")
}

fn read(link: &UnixStream, to: &Sender<Seen>) {
    while let Ok(order) = Order::receive(link) {
        if to.send(Seen::Order(order)).is_err() {
            return;
        }
    }
    // Whoever would read it has ended.
    let _ = to.send(Seen::Closed);
}

/// Sees the command stop and end. It is left unwaited for when it ends: until somebody waits for it, no
/// other process and no other group gets its number.
fn wait(command: Pid, to: &Sender<Seen>) {
    let either = WaitIdOptions::EXITED | WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT;
    loop {
        let status = match process::waitid(WaitId::Pid(command), either) {
            Ok(Some(status)) => status,
            Ok(None) | Err(Errno::INTR) => continue,
            Err(error) => unreachable!("only this process waits for its child: {error}"),
        };
        let seen = if let Some(signal) = status.stopping_signal() {
            let taken = WaitIdOptions::STOPPED | WaitIdOptions::NOHANG;
            // It may have been continued or killed meanwhile.
            let _ = process::waitid(WaitId::Pid(command), taken);
            Seen::Stopped(signal)
        } else if let Some(status) = status.exit_status() {
            Seen::Ended(Ending::Exited(status))
        } else {
            Seen::Ended(Ending::Killed(status.terminating_signal().unwrap_or(0)))
        };
        let last = matches!(seen, Seen::Ended(_));
        if to.send(seen).is_err() || last {
            return;
        }
    }
}

struct Guard {
    link: UnixStream,
    group: Pid,
    /// The group that has lent the command the terminal.
    lender: Pid,
    ending: Option<Ending>,
    watch: Watch,
}

impl Guard {
    fn run(mut self, seen: &Receiver<Seen>) {
        let mut actions = Vec::new();
        while !self.watch.is_over() {
            // The channel counts without the time that the machine slept, so wait in short pieces.
            let longest = if self.ending.is_some() {
                LOOK_INTERVAL
            } else {
                watch::HEARTBEAT_INTERVAL
            };
            let left = self.watch.deadline().saturating_sub(now());
            let input = match seen.recv_timeout(left.min(longest)) {
                Ok(Seen::Order(order)) => Input::Order(order),
                Ok(Seen::Closed) => Input::Closed,
                Ok(Seen::Stopped(signal)) => {
                    self.report(Report::Stopped(signal));
                    continue;
                }
                Ok(Seen::Ended(ending)) => {
                    self.ending = Some(ending);
                    Input::CommandEnded
                }
                Err(RecvTimeoutError::Timeout) if self.is_group_gone() => Input::GroupGone,
                Err(RecvTimeoutError::Timeout) => Input::Clock,
                Err(RecvTimeoutError::Disconnected) => Input::Closed,
            };
            self.watch.step(now(), input, &mut actions);
            for action in actions.drain(..) {
                self.act(action);
            }
        }
        let ending = self.ending.expect("it is over only when the command is");
        self.report(Report::Ended(ending));
    }

    fn act(&self, action: Action) {
        match action {
            Action::Signal(signal) => self.signal(signal),
            Action::ReportSilence => self.report(Report::Silence),
            Action::ReportNotRenewed => self.report(Report::NotRenewed),
            Action::WaitForCommand => {
                terminal::take_back(self.group, self.lender);
                // Its status is known already; this lets its number go.
                let _ = process::waitpid(Some(self.group), process::WaitOptions::empty());
            }
        }
    }

    fn signal(&self, signal: Signal) {
        // It fails only where nobody is left to hear it.
        let _ = process::kill_process_group(self.group, signal);
    }

    /// Whether nobody of the group is left, after the command itself was waited for. While somebody is
    /// left the number is the group's. A number that was let go comes back only after all others, so it
    /// is nobody else's within the time that this is asked for.
    fn is_group_gone(&self) -> bool {
        self.ending.is_some() && process::test_kill_process_group(self.group) == Err(Errno::SRCH)
    }

    fn report(&self, report: Report) {
        // Where nobody reads it any more, nobody needs it.
        let _ = report.send(&self.link);
    }
}

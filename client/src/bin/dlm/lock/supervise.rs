//! The command and its watchdog, as `dlm lock` sees them.

use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use dlm_client::{Client, Guard, Lease};
use rustix::process::{Pid, Signal, getpgrp, kill_process_group};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::time::{interval, sleep};

use super::{VALUE, VALUE_VALID};
use crate::error::CommandError;
use crate::signals::Signals;
use crate::watchdog::link::{self, Ending, Limits, MESSAGE_BYTES, Message, Order, Report};
use crate::watchdog::{self, terminal, watch};

/// What is passed on to the command, and what says something about the terminal.
const LISTENED: [Signal; 8] = [
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::TERM,
    Signal::USR1,
    Signal::USR2,
    Signal::TSTP,
    Signal::CONT,
];

/// How it came out.
pub(super) enum Verdict {
    /// The command has ended by itself, and the lock was held all the time as far as is known.
    Ended(Ending),
    /// The lock was lost, and the command was ended.
    Lost,
    /// This process did not run for too long, and the command was ended.
    Silent,
    /// The session could not be renewed for too long, and the command was ended.
    NotRenewed,
}

/// A command under a watchdog.
pub(super) struct Supervised {
    link: UnixStream,
    watchdog: Child,
    signals: Signals,
    /// The command's process group.
    group: Option<Pid>,
    /// The command was stopped because it has not got the terminal.
    wants_terminal: bool,
    lost: bool,
    silent: bool,
    not_renewed: bool,
    program: OsString,
}

impl Supervised {
    /// Starts the command, with this in addition to the environment of this process, where what another lock
    /// has left of a value is not.
    ///
    /// # Errors
    /// The watchdog cannot be started. A command that cannot be is an error of [`Self::run`].
    pub(super) fn start(
        command: &[OsString],
        environment: &[(&str, OsString)],
        lease: Lease,
    ) -> Result<Self, CommandError> {
        let start = || -> io::Result<_> {
            let signals = Signals::listen(&LISTENED)?;
            let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
            // Before the watchdog runs, so that it has something to receive.
            link::send_stdin(&ours, io::stdin().as_fd(), limits(lease))?;
            // This very program, even where its file has been replaced or removed.
            let watchdog = Command::new("/proc/self/exe")
                .arg0(watchdog::NAME)
                .arg(getpgrp().as_raw_pid().to_string())
                .args(command)
                .env_remove(VALUE)
                .env_remove(VALUE_VALID)
                .envs(environment.iter().map(|(name, value)| (name, value)))
                .stdin(Stdio::from(OwnedFd::from(theirs)))
                // What the terminal sends to this process is not for it.
                .process_group(0)
                .spawn()?;
            ours.set_nonblocking(true)?;
            Ok((signals, UnixStream::from_std(ours)?, watchdog))
        };
        let (signals, link, watchdog) = start().map_err(CommandError::Watchdog)?;
        Ok(Self {
            link,
            watchdog,
            signals,
            group: None,
            wants_terminal: false,
            lost: false,
            silent: false,
            not_renewed: false,
            program: command.first().cloned().unwrap_or_default(),
        })
    }

    /// Keeps the watchdog informed until the command has ended.
    ///
    /// # Errors
    /// The command could not be started, or the watchdog died.
    pub(super) async fn run(
        mut self,
        client: &Client,
        guard: &mut Guard,
    ) -> Result<Verdict, CommandError> {
        let mut heartbeat = interval(watch::HEARTBEAT_INTERVAL);
        let mut message = Message::default();
        let mut read = 0;
        loop {
            tokio::select! {
                // Reports first: a command that has ended was not touched by a loss seen later.
                biased;
                count = self.link.read(&mut message[read..]) => {
                    read += match count {
                        Ok(count @ 1..) => count,
                        Ok(0) | Err(_) => return self.abandoned(client).await,
                    };
                    if read == MESSAGE_BYTES {
                        read = 0;
                        let report = Report::parse(message).map_err(CommandError::Watchdog)?;
                        if let Some(verdict) = self.report(report)? {
                            return Ok(verdict);
                        }
                    }
                }
                signal = self.signals.next() => self.signal(signal),
                wanted = guard.blocked(), if !self.lost => {
                    // Others may want it: the command has it until it ends. Nothing more to hear means
                    // that the session is over.
                    if wanted.is_none() {
                        self.lost();
                    }
                }
                _ = heartbeat.tick(), if !self.lost => match client.lease() {
                    Ok(lease) => self.order(Order::Heartbeat(limits(lease))),
                    Err(_) => self.lost(),
                },
            }
        }
    }

    fn lost(&mut self) {
        self.lost = true;
        self.order(Order::Lost);
    }

    /// Says it without waiting: a watchdog that reads nothing is stopped or gone, and nothing said to
    /// it would help.
    fn order(&self, order: Order) {
        // Its end is seen by reading.
        let _ = self.link.try_write(&order.message());
    }

    fn report(&mut self, report: Report) -> Result<Option<Verdict>, CommandError> {
        match report {
            Report::Running(group) => self.group = Some(group),
            Report::NotStarted(errno) => {
                self.reap();
                return Err(CommandError::NotStarted {
                    program: self.program.to_string_lossy().into_owned(),
                    source: io::Error::from_raw_os_error(errno),
                });
            }
            Report::Stopped(signal) => self.stopped(signal),
            Report::Silence => self.silent = true,
            Report::NotRenewed => self.not_renewed = true,
            Report::Ended(ending) => {
                self.reap();
                return Ok(Some(match () {
                    () if self.lost => Verdict::Lost,
                    () if self.silent => Verdict::Silent,
                    () if self.not_renewed => Verdict::NotRenewed,
                    () => Verdict::Ended(ending),
                }));
            }
        }
        Ok(None)
    }

    fn reap(&mut self) {
        // It has said its last word and ends; that it did not would be no reason to fail.
        let _ = self.watchdog.wait();
    }

    /// The command was stopped.
    fn stopped(&mut self, signal: i32) {
        if [Signal::TTIN, Signal::TTOU]
            .map(Signal::as_raw)
            .contains(&signal)
        {
            self.wants_terminal = true;
            self.lend_terminal();
        } else if signal == Signal::TSTP.as_raw() {
            self.refuse_to_stop();
            self.order(Order::Signal(Signal::CONT));
        }
        // Whoever sends SIGSTOP means it.
    }

    /// Where this process has not got the terminal either, the command stays stopped until it has.
    fn lend_terminal(&mut self) {
        if self.group.is_some_and(terminal::lend) {
            self.wants_terminal = false;
            self.order(Order::Signal(Signal::CONT));
        }
    }

    /// A `dlm lock` that sleeps cannot keep its lock, and a command that sleeps keeps everybody waiting.
    fn refuse_to_stop(&self) {
        eprintln!("dlm: a command that holds a lock is not suspended; it goes on");
    }

    /// This process got a signal.
    fn signal(&mut self, signal: Signal) {
        match signal {
            Signal::TSTP => self.refuse_to_stop(),
            Signal::CONT if self.wants_terminal => self.lend_terminal(),
            Signal::CONT => {}
            signal => self.order(Order::Signal(signal)),
        }
    }

    /// The watchdog is gone, and without one the command may not run on.
    async fn abandoned(mut self, client: &Client) -> Result<Verdict, CommandError> {
        self.reap();
        if let Some(group) = self.group {
            // Nobody is left where these fail. A number that was let go comes back only after all
            // others, so that it is nobody else's so soon.
            let _ = kill_process_group(group, Signal::TERM);
            let left = client.lease().map_or(Duration::ZERO, |lease| lease.left());
            sleep(left.min(watch::TERM_TO_KILL)).await;
            let _ = kill_process_group(group, Signal::KILL);
        }
        Err(CommandError::WatchdogDied)
    }
}

fn limits(lease: Lease) -> Limits {
    watch::limits(lease.ends, lease.whole)
}

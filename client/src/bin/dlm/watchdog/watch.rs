//! When the command is to end: a machine without clock or I/O.
//!
//! The lock is the session's, which ends by its own clock before the cluster gives its locks to others: by a
//! margin, half a second unless it was told otherwise. Every heartbeat says when that would be if nothing
//! more were heard of the cluster, and [`Limits`] are what follows:
//!
//! - **KILL comes at the session's end, at the latest**, whatever happened to the network, to the servers, to
//!   `dlm` or to this process meanwhile. The margin after it is for the system to do it.
//! - TERM comes a quarter of a lease before ([`limits`]). By then some keepalives, each given the time that a
//!   call may take, were not answered (a test counts); an outage of the servers that is over sooner is not
//!   noticed.
//! - A `dlm` that is stopped is silent: TERM comes after [`SILENCE_MAX`].
//! - Where `dlm` was killed, or says that the lock is lost, TERM comes at once. The cluster keeps what a dead
//!   session held for a lease, also where it was evicted, so the session's end bounds this, too.
//!
//! After TERM a command has [`TERM_TO_KILL`], and never longer than to the session's end.

use std::time::Duration;

use rustix::process::Signal;

use super::link::{Limits, Order};

/// How often `dlm lock` says that it runs.
pub(crate) const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(150);

/// How long it may say nothing before the command is ended: several heartbeats, so that a busy machine
/// is not taken for a stopped process.
pub(crate) const SILENCE_MAX: Duration = Duration::from_millis(1300);

/// How long a command has between TERM and KILL to leave things in order, at the most.
pub(crate) const TERM_TO_KILL: Duration = Duration::from_secs(2);

/// Which part of a lease is left for that when the session cannot be renewed.
const TERM_PART: u32 = 4;

/// What follows from the session's lease: when it ends if it is not renewed, and how long a whole one is.
pub(crate) fn limits(ends: Duration, whole: Duration) -> Limits {
    Limits {
        term_at: ends.saturating_sub(whole / TERM_PART),
        kill_at: ends,
    }
}

const _: () = assert!(
    SILENCE_MAX.as_millis() >= 8 * HEARTBEAT_INTERVAL.as_millis(),
    "seven heartbeats may be late or lost"
);

/// What is known of a command and of the `dlm lock` that it belongs to.
#[derive(Debug)]
pub(crate) struct Watch {
    /// The last heartbeat.
    heard: Duration,
    /// What it said.
    limits: Limits,
    phase: Phase,
    /// The command itself has ended; others of its group may be left.
    command_ended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The lock is held, as far as is known.
    Guarding,
    /// TERM was sent.
    Ending { kill_at: Duration },
    /// KILL was sent.
    Killed,
    /// Nobody is left.
    Gone,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// `dlm lock` said something.
    Order(Order),
    /// `dlm lock` is gone.
    Closed,
    /// The command has ended.
    CommandEnded,
    /// Nobody is left of the command's group.
    GroupGone,
    /// Nothing.
    Clock,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Send it to everyone in the command's group.
    Signal(Signal),
    /// Tell `dlm lock` that it was silent for too long.
    ReportSilence,
    /// Tell `dlm lock` that its session was not renewed for too long.
    ReportNotRenewed,
    /// Wait for the command, which has ended.
    WaitForCommand,
}

impl Watch {
    /// The command has just been started.
    pub(crate) const fn new(now: Duration, limits: Limits) -> Self {
        Self {
            heard: now,
            limits,
            phase: Phase::Guarding,
            command_ended: false,
        }
    }

    /// When [`Input::Clock`] does something.
    pub(crate) fn deadline(&self) -> Duration {
        match self.phase {
            Phase::Guarding => self.limits.term_at.min(self.heard + SILENCE_MAX),
            Phase::Ending { kill_at } => kill_at,
            Phase::Killed | Phase::Gone => Duration::MAX,
        }
    }

    /// Whether the command has ended, and whatever was left of its group is gone or has been killed.
    pub(crate) fn is_over(&self) -> bool {
        self.command_ended && matches!(self.phase, Phase::Killed | Phase::Gone)
    }

    pub(crate) fn step(&mut self, now: Duration, input: Input, actions: &mut Vec<Action>) {
        match input {
            Input::Order(Order::Heartbeat(limits)) => {
                self.heard = now;
                self.limits = limits;
            }
            Input::Order(Order::Signal(signal)) => {
                if !self.command_ended {
                    actions.push(Action::Signal(signal));
                }
            }
            Input::Order(Order::Lost) | Input::Closed => self.end(now, actions),
            Input::CommandEnded => {
                // What it left behind in its group would run on without the lock.
                self.command_ended = true;
                self.end(now, actions);
                actions.push(Action::WaitForCommand);
            }
            Input::GroupGone => self.phase = Phase::Gone,
            Input::Clock => {}
        }
        if self.phase == Phase::Guarding && now >= self.deadline() {
            actions.push(if now >= self.heard + SILENCE_MAX {
                Action::ReportSilence
            } else {
                Action::ReportNotRenewed
            });
            self.end(now, actions);
        }
        // After a sleep of the machine that may be in the same step.
        if matches!(self.phase, Phase::Ending { kill_at } if now >= kill_at) {
            actions.push(Action::Signal(Signal::KILL));
            self.phase = Phase::Killed;
        }
    }

    /// Begins to end the command, if that has not begun.
    fn end(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if self.phase == Phase::Guarding {
            // Whoever is stopped gets to handle TERM only when it goes on.
            actions.extend([Signal::TERM, Signal::CONT].map(Action::Signal));
            let kill_at = self.limits.kill_at.min(now + TERM_TO_KILL);
            self.phase = Phase::Ending { kill_at };
        }
    }
}

#[cfg(test)]
mod tests {
    use dlm_core::cluster::Timing;

    use super::*;

    const TERM: Action = Action::Signal(Signal::TERM);
    const CONT: Action = Action::Signal(Signal::CONT);
    const KILL: Action = Action::Signal(Signal::KILL);

    fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    fn step(watch: &mut Watch, now: Duration, input: Input) -> Vec<Action> {
        let mut actions = Vec::new();
        watch.step(now, input, &mut actions);
        actions
    }

    fn us(us: u64) -> Duration {
        Duration::from_micros(us)
    }

    /// How long a session lives that was renewed by what it sent just now.
    fn whole() -> Duration {
        us(Timing::DEFAULT.session_ends(dlm_core::Tick(0)).0)
    }

    /// What a heartbeat says after a renewal.
    fn renewed(at: Duration) -> Limits {
        limits(at + whole(), whole())
    }

    fn heartbeat(renewed_at: Duration) -> Input {
        Input::Order(Order::Heartbeat(renewed(renewed_at)))
    }

    fn watch() -> Watch {
        Watch::new(ms(0), renewed(ms(0)))
    }

    /// The servers count a lease from when they got what renewed it, which was later than when it was sent,
    /// on clocks that differ by the drift.
    #[test]
    fn it_is_killed_before_the_cluster_gives_the_lock_to_others() {
        let timing = Timing::DEFAULT;
        let Limits { term_at, kill_at } = renewed(ms(0));
        let margin = us(timing.session_lease_us).saturating_sub(kill_at);
        assert!(margin >= us(timing.session_margin_us), "{margin:?}");
        let useful = kill_at.saturating_sub(term_at);
        assert!(useful > ms(1000), "{useful:?}");
    }

    /// Not for an answer that is lost, or an election.
    #[test]
    fn several_keepalives_are_tried_before_it_is_told_to_end() {
        let timing = Timing::DEFAULT;
        let pauses = 2 * timing.reconnect_us_min + 4 * timing.reconnect_us_min;
        let four = us(timing.keepalive_us + 3 * timing.call_us_max + pauses);
        assert!(four < renewed(ms(0)).term_at);
    }

    /// Stopped at any moment between two keepalives.
    #[test]
    fn a_dlm_that_is_stopped_leaves_time_between_the_two() {
        let timing = Timing::DEFAULT;
        let renewed_before = us(timing.keepalive_us + timing.call_us_max);
        let ends = whole().saturating_sub(renewed_before);
        assert!(ends.saturating_sub(SILENCE_MAX) > ms(1500));
    }

    #[test]
    fn heartbeats_keep_it_alive_as_long_as_the_session_is_renewed() {
        let mut watch = watch();
        for beat in 1..100 {
            let now = HEARTBEAT_INTERVAL * beat;
            assert_eq!(step(&mut watch, now, heartbeat(now)), []);
            assert_eq!(watch.deadline(), now + SILENCE_MAX);
        }
    }

    #[test]
    fn a_session_that_is_not_renewed_ends_it_and_then_kills_it() {
        let mut watch = watch();
        let Limits { term_at, kill_at } = renewed(ms(0));
        let mut now = ms(0);
        while now + HEARTBEAT_INTERVAL < term_at {
            now += HEARTBEAT_INTERVAL;
            assert_eq!(step(&mut watch, now, heartbeat(ms(0))), []);
        }
        assert_eq!(watch.deadline(), term_at);
        let ended = [Action::ReportNotRenewed, TERM, CONT];
        assert_eq!(step(&mut watch, term_at, Input::Clock), ended);
        // What has begun to end does not go on under a lock that is there again.
        assert_eq!(step(&mut watch, term_at, heartbeat(term_at)), []);
        assert_eq!(watch.deadline(), kill_at);
        assert_eq!(step(&mut watch, kill_at, Input::Clock), [KILL]);
    }

    #[test]
    fn silence_ends_it_and_then_kills_it() {
        let mut watch = watch();
        let late = SILENCE_MAX - ms(1);
        assert_eq!(step(&mut watch, late, Input::Clock), []);
        let silent = [Action::ReportSilence, TERM, CONT];
        assert_eq!(step(&mut watch, SILENCE_MAX, Input::Clock), silent);
        let kill_at = SILENCE_MAX + TERM_TO_KILL;
        assert_eq!(watch.deadline(), kill_at);
        // A heartbeat now does not bring the lock back.
        let beat = heartbeat(SILENCE_MAX);
        assert_eq!(step(&mut watch, SILENCE_MAX, beat), []);
        assert_eq!(step(&mut watch, kill_at, Input::Clock), [KILL]);
        assert!(!watch.is_over());
        let last = step(&mut watch, kill_at, Input::CommandEnded);
        assert_eq!(last, [Action::WaitForCommand]);
        assert!(watch.is_over());
    }

    #[test]
    fn after_a_sleep_of_the_machine_it_is_killed_at_once() {
        let mut watch = watch();
        let killed = [Action::ReportSilence, TERM, CONT, KILL];
        assert_eq!(step(&mut watch, ms(3_600_000), Input::Clock), killed);
    }

    #[test]
    fn a_lock_that_is_lost_ends_it_at_once() {
        for input in [Input::Order(Order::Lost), Input::Closed] {
            let mut watch = watch();
            assert_eq!(step(&mut watch, ms(1), input), [TERM, CONT]);
            assert_eq!(step(&mut watch, ms(2), Input::Closed), []);
            assert_eq!(watch.deadline(), ms(1) + TERM_TO_KILL);
            let ended = step(&mut watch, ms(3), Input::CommandEnded);
            assert_eq!(ended, [Action::WaitForCommand]);
            assert!(!watch.is_over(), "others of its group may be left");
            assert_eq!(step(&mut watch, ms(4), Input::GroupGone), []);
            assert!(watch.is_over());
        }
    }

    #[test]
    fn nothing_outlives_the_session_whatever_ends_it() {
        let kill_at = renewed(ms(0)).kill_at;
        for input in [
            Input::Order(Order::Lost),
            Input::Closed,
            Input::CommandEnded,
        ] {
            let mut watch = watch();
            step(&mut watch, ms(1), heartbeat(ms(0)));
            step(&mut watch, kill_at - ms(1500), input);
            assert_eq!(watch.deadline(), kill_at);
            assert_eq!(step(&mut watch, kill_at, Input::Clock), [KILL]);
        }
    }

    #[test]
    fn what_a_command_leaves_behind_is_ended_too() {
        let mut watch = watch();
        let ended = step(&mut watch, ms(1), Input::CommandEnded);
        assert_eq!(ended, [TERM, CONT, Action::WaitForCommand]);
        assert!(!watch.is_over());
        let kill_at = ms(1) + TERM_TO_KILL;
        assert_eq!(step(&mut watch, kill_at, Input::Clock), [KILL]);
        assert!(watch.is_over());
    }

    #[test]
    fn signals_are_passed_on_while_there_is_somebody() {
        let mut watch = watch();
        let hangup = Input::Order(Order::Signal(Signal::HUP));
        let passed = [Action::Signal(Signal::HUP)];
        assert_eq!(step(&mut watch, ms(1), hangup), passed);
        step(&mut watch, ms(2), Input::CommandEnded);
        assert_eq!(step(&mut watch, ms(3), hangup), []);
    }
}

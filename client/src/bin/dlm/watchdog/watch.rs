//! When the command is to end: a machine without clock or I/O.
//!
//! A `dlm` that is stopped renews its session no more, and others are granted the lock when the cluster has
//! waited for the session's lease:
//!
//! - the last keepalive that was answered was sent at most its period, and the time that a call may take,
//!   before `dlm` was stopped: the lease runs for 3.5 s after that, at the least (a test compares);
//! - the last heartbeat was sent at most at the moment `dlm` was stopped, so TERM comes within
//!   [`SILENCE_MAX`] (1.3 s) of it, and KILL within [`SILENCE_MAX`] + [`TERM_TO_KILL`] (3.3 s).
//!
//! Where the lock is gone already, because the session could not be renewed or `dlm` was killed, TERM comes at
//! once.

use std::time::Duration;

use rustix::process::Signal;

use super::link::Order;

/// How often `dlm lock` says that it runs.
pub(crate) const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(150);

/// How long it may say nothing before the command is ended: several heartbeats, so that a busy machine
/// is not taken for a stopped process.
pub(crate) const SILENCE_MAX: Duration = Duration::from_millis(1300);

/// How long a command has between TERM and KILL to leave things in order.
pub(crate) const TERM_TO_KILL: Duration = Duration::from_secs(2);

const _: () = assert!(
    SILENCE_MAX.as_millis() >= 8 * HEARTBEAT_INTERVAL.as_millis(),
    "seven heartbeats may be late or lost"
);

/// What is known of a command and of the `dlm lock` that it belongs to.
#[derive(Debug)]
pub(crate) struct Watch {
    /// The last heartbeat.
    heard: Duration,
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
    /// Wait for the command, which has ended.
    WaitForCommand,
}

impl Watch {
    /// The command has just been started.
    pub(crate) const fn new(now: Duration) -> Self {
        Self {
            heard: now,
            phase: Phase::Guarding,
            command_ended: false,
        }
    }

    /// When [`Input::Clock`] does something.
    pub(crate) fn deadline(&self) -> Duration {
        match self.phase {
            Phase::Guarding => self.heard + SILENCE_MAX,
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
            Input::Order(Order::Heartbeat) => self.heard = now,
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
        if now < self.deadline() {
            return;
        }
        match self.phase {
            Phase::Guarding => {
                actions.push(Action::ReportSilence);
                self.end(now, actions);
            }
            Phase::Ending { .. } => {
                actions.push(Action::Signal(Signal::KILL));
                self.phase = Phase::Killed;
            }
            Phase::Killed | Phase::Gone => {}
        }
    }

    /// Begins to end the command, if that has not begun.
    fn end(&mut self, now: Duration, actions: &mut Vec<Action>) {
        if self.phase == Phase::Guarding {
            // Whoever is stopped gets to handle TERM only when it goes on.
            actions.extend([Signal::TERM, Signal::CONT].map(Action::Signal));
            let kill_at = now + TERM_TO_KILL;
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

    /// The latest moment at which KILL is sent to the command of a `dlm` that was stopped.
    const KILL_AFTER_STOP_MAX: Duration = SILENCE_MAX.saturating_add(TERM_TO_KILL);

    #[test]
    fn it_is_killed_before_the_cluster_gives_a_stopped_client_up() {
        let timing = Timing::DEFAULT;
        let renewed_before_us = timing.keepalive_us + timing.call_us_max;
        let lives_us = timing.session_lease_us - renewed_before_us;
        assert!(KILL_AFTER_STOP_MAX.as_micros() <= u128::from(lives_us));
    }

    #[test]
    fn heartbeats_keep_it_alive() {
        let mut watch = Watch::new(ms(0));
        for beat in 1..100 {
            let now = HEARTBEAT_INTERVAL * beat;
            let input = Input::Order(Order::Heartbeat);
            assert_eq!(step(&mut watch, now, input), []);
            assert_eq!(watch.deadline(), now + SILENCE_MAX);
        }
    }

    #[test]
    fn silence_ends_it_and_then_kills_it() {
        let mut watch = Watch::new(ms(0));
        let late = SILENCE_MAX - ms(1);
        assert_eq!(step(&mut watch, late, Input::Clock), []);
        let silent = [Action::ReportSilence, TERM, CONT];
        assert_eq!(step(&mut watch, SILENCE_MAX, Input::Clock), silent);
        assert_eq!(watch.deadline(), KILL_AFTER_STOP_MAX);
        // A heartbeat now does not bring the lock back.
        let beat = Input::Order(Order::Heartbeat);
        assert_eq!(step(&mut watch, SILENCE_MAX, beat), []);
        assert_eq!(step(&mut watch, KILL_AFTER_STOP_MAX, Input::Clock), [KILL]);
        assert!(!watch.is_over());
        let last = step(&mut watch, KILL_AFTER_STOP_MAX, Input::CommandEnded);
        assert_eq!(last, [Action::WaitForCommand]);
        assert!(watch.is_over());
    }

    #[test]
    fn a_lock_that_is_lost_ends_it_at_once() {
        for input in [Input::Order(Order::Lost), Input::Closed] {
            let mut watch = Watch::new(ms(0));
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
    fn what_a_command_leaves_behind_is_ended_too() {
        let mut watch = Watch::new(ms(0));
        let ended = step(&mut watch, ms(1), Input::CommandEnded);
        assert_eq!(ended, [TERM, CONT, Action::WaitForCommand]);
        assert!(!watch.is_over());
        let kill_at = ms(1) + TERM_TO_KILL;
        assert_eq!(step(&mut watch, kill_at, Input::Clock), [KILL]);
        assert!(watch.is_over());
    }

    #[test]
    fn signals_are_passed_on_while_there_is_somebody() {
        let mut watch = Watch::new(ms(0));
        let hangup = Input::Order(Order::Signal(Signal::HUP));
        let passed = [Action::Signal(Signal::HUP)];
        assert_eq!(step(&mut watch, ms(1), hangup), passed);
        step(&mut watch, ms(2), Input::CommandEnded);
        assert_eq!(step(&mut watch, ms(3), hangup), []);
    }
}

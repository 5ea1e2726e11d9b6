//! Whether a run was clean, and in sentences what was wrong.
//!
//! | rule | wrong is |
//! |---|---|
//! | data | a page that held what it must not hold, while it ran or when others read it afterwards; and that nobody read it |
//! | exclusion | a turn under a lock in which somebody else was there, or had had a later token |
//! | I/O | an error on a node to which nothing had been done. One that is cut off gets EIO by design: that is counted and excused |
//! | locks | a session that ended without a reason: nothing was done to its node, and most servers were there |
//! | stalls | a node to which nothing was done, and which did nothing for longer than the bound |
//! | recovery | a node that takes longer than the bound after what was done to it was undone |
//! | return | a node that is not back at the end, though all that was done to it was undone |
//! | deadlock | under a policy that promises none; and that there was none where one was expected |

mod excuse;
#[cfg(test)]
mod tests;

use glockwork_proto::node::{Errors, Policy};
use serde::{Deserialize, Serialize};

use crate::event::EventKind;
use crate::node::NodeRun;
use crate::run::Run;
use crate::scenario::Expect;
use crate::words::{at, counted, span};
use excuse::Excuses;

/// What a verdict is made with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// How long a node to which nothing is done may go without an operation, in microseconds; `None`: as long as it
    /// likes.
    pub stall_us_max: Option<u64>,
    /// How long a node may take to its next operation after what was done to it was undone, in microseconds.
    pub recovery_us_max: Option<u64>,
    /// How long after what was done was undone it still explains the end of a session, in microseconds.
    pub aftermath_us: u64,
}

/// Twice the default lease: a session that ends because of a fault does so within one, and is seen to be over within
/// another.
const AFTERMATH_US: u64 = 10_000_000;

impl Default for Bounds {
    fn default() -> Self {
        Self {
            stall_us_max: None,
            recovery_us_max: None,
            aftermath_us: AFTERMATH_US,
        }
    }
}

/// What is to be said of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether nothing was wrong.
    pub clean: bool,
    /// What was wrong.
    pub faults: Vec<Fault>,
    /// I/O errors on nodes to which something had been done.
    pub io_errors_excused: u64,
    /// Sessions that ended because of what had been done.
    pub sessions_excused: u64,
}

/// One thing that was wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// Which rule was broken.
    pub kind: FaultKind,
    /// By which node, where it was one.
    pub node: Option<String>,
    /// It in a sentence.
    pub text: String,
}

/// The rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// Data was wrong.
    DataErrors,
    /// Nobody looked at the data afterwards.
    NotChecked,
    /// Two had a lock that excludes one of them.
    Exclusion,
    /// I/O failed for no reason.
    IoErrors,
    /// A session ended for no reason, and all its locks with it.
    LocksLost,
    /// A node did nothing for too long.
    Stalled,
    /// A node took too long to come back.
    SlowRecovery,
    /// A node did not come back.
    NeverBack,
    /// A deadlock where none may be.
    Deadlock,
    /// No deadlock where one was expected.
    NoDeadlock,
}

impl Verdict {
    /// Of a run, by the bounds in its configuration. The verdict that the run has is not looked at.
    #[must_use]
    pub fn of(run: &Run) -> Self {
        let judge = Judge {
            run,
            excuses: Excuses::of(run),
        };
        let mut verdict = Self::default();
        judge.data(&mut verdict);
        judge.sessions(&mut verdict);
        for node in &run.nodes {
            judge.node(node, &mut verdict);
        }
        judge.recoveries(&mut verdict);
        judge.deadlock(&mut verdict);
        verdict.clean = verdict.faults.is_empty();
        verdict
    }

    /// What the program ends with: 0 where the run was clean, otherwise 1.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        if self.clean { 0 } else { 1 }
    }

    fn fault(&mut self, kind: FaultKind, node: Option<&str>, text: String) {
        let node = node.map(str::to_owned);
        self.faults.push(Fault { kind, node, text });
    }
}

struct Judge<'r> {
    run: &'r Run,
    excuses: Excuses<'r>,
}

impl Judge<'_> {
    fn data(&self, verdict: &mut Verdict) {
        match &self.run.checked {
            None => {
                let text = "Nobody read afterwards what the nodes had written.".into();
                verdict.fault(FaultKind::NotChecked, None, text);
            }
            Some(found) if found.count > 0 => {
                let pages = counted(found.count, "page");
                let text = format!(
                    "When others read what nodes had written, {pages} held what they must not hold{}",
                    first(found)
                );
                verdict.fault(FaultKind::DataErrors, None, text);
            }
            Some(_) => {}
        }
    }

    fn node(&self, node: &NodeRun, verdict: &mut Verdict) {
        let name = node.name.as_str();
        let (data, io) = (&node.summary.data_errors, &node.summary.io_errors);
        if data.count > 0 {
            let pages = counted(data.count, "page");
            let text = format!(
                "{name}: {pages} held what they must not hold{}",
                first(data)
            );
            verdict.fault(FaultKind::DataErrors, Some(name), text);
        }
        let violations = &node.witness.violations;
        if violations.count > 0 {
            let turns = counted(violations.count, "turn");
            let text = format!(
                "{name}: {turns} under a lock were not exclusive{}",
                first(violations)
            );
            verdict.fault(FaultKind::Exclusion, Some(name), text);
        }
        if self.excuses.is_hurt(name) {
            verdict.io_errors_excused += io.count;
        } else if io.count > 0 {
            let operations = counted(io.count, "operation");
            let text = format!(
                "{name}: {operations} failed, were short or took more than the policy allows, though nothing was done \
                 to it{}",
                first(io)
            );
            verdict.fault(FaultKind::IoErrors, Some(name), text);
        }
        self.stall(node, verdict);
        self.end(node, verdict);
    }

    fn stall(&self, node: &NodeRun, verdict: &mut Verdict) {
        let Some(most) = self.run.config.bounds.stall_us_max else {
            return;
        };
        // Whoever waits for somebody who waits for him did not stall.
        if node.stall_us <= most || self.excuses.is_hurt(&node.name) || self.run.deadlock.is_some()
        {
            return;
        }
        let text = format!(
            "{}: no operation ended for {} from {} on, though nothing was done to it; the bound is {}.",
            node.name,
            span(node.stall_us),
            at(node.stall_at_us),
            span(most)
        );
        verdict.fault(FaultKind::Stalled, Some(&node.name), text);
    }

    fn end(&self, node: &NodeRun, verdict: &mut Verdict) {
        if node.ended_well() || self.excuses.keeps_away(&node.name) {
            return;
        }
        let why = node.lives.last().and_then(|life| life.lost.as_deref());
        let text = match why {
            None => format!("{} never began.", node.name),
            Some(why) => format!(
                "{} was lost at {} and did not come back: {why}.",
                node.name,
                at(node.to_us())
            ),
        };
        verdict.fault(FaultKind::NeverBack, Some(&node.name), text);
    }

    fn sessions(&self, verdict: &mut Verdict) {
        for event in &self.run.events {
            if event.kind != EventKind::LostSession {
                continue;
            }
            for name in &event.nodes {
                if self.excuses.explains(name, event.at_us) {
                    verdict.sessions_excused += 1;
                    continue;
                }
                let text = format!(
                    "{name} lost its session, and its locks, at {}, though nothing had been done to it and most servers \
                     were there.",
                    at(event.at_us)
                );
                verdict.fault(FaultKind::LocksLost, Some(name), text);
            }
        }
    }

    fn recoveries(&self, verdict: &mut Verdict) {
        let Some(most) = self.run.config.bounds.recovery_us_max else {
            return;
        };
        for one in self.run.recoveries.iter().filter(|one| one.touched) {
            let late = one.back_after_undone_us.filter(|&us| us > most);
            let Some(us) = late else { continue };
            let event = &self.run.events[one.event];
            let text = format!(
                "{}: its first operation came {} after the {} of {} had been undone; the bound is {}.",
                one.node,
                span(us),
                event.kind,
                at(event.at_us),
                span(most)
            );
            verdict.fault(FaultKind::SlowRecovery, Some(&one.node), text);
        }
    }

    fn deadlock(&self, verdict: &mut Verdict) {
        let config = &self.run.config;
        match &self.run.deadlock {
            Some(found) if config.policy != Policy::Block => {
                let text = format!(
                    "{} deadlocked at {}, in a cycle of {}; that policy promises that it does not.",
                    config.policy,
                    at(found.at_us),
                    counted(found.edges.len() as u64, "wait")
                );
                verdict.fault(FaultKind::Deadlock, None, text);
            }
            None if config.expect == Expect::Deadlock => {
                let text =
                    "A deadlock was expected, and there was none; give it more seconds.".into();
                verdict.fault(FaultKind::NoDeadlock, None, text);
            }
            _ => {}
        }
    }
}

/// The first of the errors, to go on with.
fn first(errors: &Errors) -> String {
    match errors.first.first() {
        Some(first) => format!("; the first: {first}"),
        None => ".".into(),
    }
}

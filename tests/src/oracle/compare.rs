//! The replay of a scenario, and where the answers differ.
//!
//! A recording lists the events of one step by client, and not by time; for one lock their order is the
//! kernel's. So two answers agree if what the call returned is equal and, for every lock, the sequence of
//! its events is.

use std::collections::BTreeMap;
use std::fmt;

use super::language::Operation;
use super::recording::Scenario;
use super::{Event, Kernel, What};

/// A step that was answered otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    /// In which scenario.
    pub scenario: String,
    /// Which step.
    pub step: u64,
    /// The operation.
    pub operation: String,
    /// What the recording has.
    pub expected: String,
    /// What came.
    pub got: String,
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            scenario,
            step,
            operation,
            expected,
            got,
        } = self;
        write!(
            f,
            "{scenario}, step {step}: {operation}\n  expected: {expected}\n  got:      {got}"
        )
    }
}

/// How the scenarios of a recording went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Scenarios in which every step agreed.
    pub passed: usize,
    /// The others.
    pub failed: usize,
    /// Where these disagreed, in order.
    pub disagreements: Vec<Disagreement>,
}

/// Replays scenarios, each on a lock manager of its own.
pub fn replay<K: Kernel>(scenarios: &[Scenario], mut fresh: impl FnMut() -> K) -> Outcome {
    let mut outcome = Outcome::default();
    for scenario in scenarios {
        let disagreements = replay_one(scenario, &mut fresh());
        if disagreements.is_empty() {
            outcome.passed += 1;
        } else {
            outcome.failed += 1;
            outcome.disagreements.extend(disagreements);
        }
    }
    outcome
}

fn replay_one(scenario: &Scenario, kernel: &mut impl Kernel) -> Vec<Disagreement> {
    let mut disagreements = Vec::new();
    for step in &scenario.steps {
        if step.no_blocking_callbacks {
            kernel.step(&Operation::NoBlockingCallbacks);
        }
        let (ret, events) = kernel.step(&step.operation);
        let expected = Answer::new(&step.ret, &step.events);
        let got = Answer::new(ret, &events);
        if expected != got {
            disagreements.push(Disagreement {
                scenario: scenario.name.clone(),
                step: step.number,
                operation: step.text.clone(),
                expected: expected.to_string(),
                got: got.to_string(),
            });
        }
    }
    disagreements
}

/// An answer as it is compared: by client and tag.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    ret: &'a str,
    events: BTreeMap<(u64, &'a str), Vec<&'a What>>,
}

impl<'a> Answer<'a> {
    /// The answer with these events.
    #[must_use]
    pub fn new(ret: &'a str, list: &'a [Event]) -> Self {
        let mut events: BTreeMap<_, Vec<&What>> = BTreeMap::new();
        for event in list {
            let lock = (event.client, event.tag.as_str());
            events.entry(lock).or_default().push(&event.what);
        }
        Self { ret, events }
    }
}

impl fmt::Display for Answer<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.ret)?;
        for ((client, tag), events) in &self.events {
            write!(f, "; client {client} {tag}:")?;
            for event in events {
                write!(f, " {event}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Blocking { mode } => write!(f, "bast({mode})"),
            Self::Completion {
                status,
                flags,
                value,
            } => {
                write!(f, "ast({status}")?;
                for flag in flags {
                    write!(f, " {flag}")?;
                }
                if let Some(value) = value {
                    write!(f, " lvb={value:?}")?;
                }
                f.write_str(")")
            }
        }
    }
}

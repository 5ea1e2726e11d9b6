//! What is printed of a seed that failed: the seed, the property, the last facts, and how to run it again.

use std::fmt;

use crate::checkers::{History, Violation};

/// The environment's variable for the one seed to run.
pub const SEED: &str = "GLOCKWORK_SEED";

/// The environment's variable that makes everything be printed.
pub const LOUD: &str = "GLOCKWORK_LOUD";

/// The most facts that are printed.
const FACTS_MAX: usize = 30;

/// A run that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Of which seed.
    pub seed: u64,
    /// The test that runs it, as it is named for `cargo test -p tests`.
    pub test: &'static str,
    /// What is wrong.
    pub violation: Violation,
    /// What happened last to what it is about.
    pub facts: Vec<String>,
}

impl Report {
    /// The report of a run.
    #[must_use]
    pub fn new(seed: u64, test: &'static str, violation: Violation, history: &History) -> Self {
        let last = history.last_about(violation.resource.as_ref(), FACTS_MAX);
        let facts = last.into_iter();
        let facts =
            facts.map(|entry| format!("{:>12} {:>3} {:?}", entry.at.0, entry.by.0, entry.fact));
        let facts = facts.collect();
        Self {
            seed,
            test,
            violation,
            facts,
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}: {}", self.seed, self.violation)?;
        writeln!(f, "the last that happened (microseconds, process, fact):")?;
        for fact in &self.facts {
            writeln!(f, "  {fact}")?;
        }
        let (seed, test) = (self.seed, self.test);
        write!(
            f,
            "run it again: {SEED}={seed} {LOUD}=1 cargo test -p tests --lib {test} -- --nocapture"
        )
    }
}

impl std::error::Error for Report {}

/// The seeds to run: the one that the environment names, or the first `count`.
///
/// # Panics
/// If the environment's seed is no number.
pub fn seeds(count: u64) -> std::ops::Range<u64> {
    let one = std::env::var(SEED).ok();
    let one = one.map(|seed| seed.parse().expect("GLOCKWORK_SEED is a number"));
    one.map_or(0..count, |seed: u64| seed..seed + 1)
}

/// Whether everything is to be printed.
#[must_use]
pub fn loud() -> bool {
    std::env::var_os(LOUD).is_some()
}

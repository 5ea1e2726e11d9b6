//! What is printed of a seed that failed: the seed, the property, the last facts, and how to run it again.

use std::fmt;

use crate::checkers::{History, Violation};

/// The environment's variable for the seeds to run.
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
        let last = history.last_about(violation.at, violation.resource.as_deref(), FACTS_MAX);
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
        f.write_str(&again(self.seed, self.test))
    }
}

impl std::error::Error for Report {}

/// The seeds to run: those that the environment names, one (`7`) or all from one up to another one
/// (`100..200`); or the first `count`.
///
/// # Panics
/// If the environment names something else.
pub fn seeds(count: u64) -> std::ops::Range<u64> {
    std::env::var(SEED).map_or(0..count, |text| {
        let named = named(&text);
        named.unwrap_or_else(|| panic!("{SEED} is `7` or `100..200`, and not `{text}`"))
    })
}

fn named(text: &str) -> Option<std::ops::Range<u64>> {
    if let Some((first, end)) = text.split_once("..") {
        return Some(first.parse().ok()?..end.parse().ok()?);
    }
    let one: u64 = text.parse().ok()?;
    Some(one..one + 1)
}

/// Whether everything is to be printed.
#[must_use]
pub fn loud() -> bool {
    std::env::var_os(LOUD).is_some()
}

/// How a seed is run again.
#[must_use]
pub fn again(seed: u64, test: &str) -> String {
    format!("run it again: {SEED}={seed} {LOUD}=1 cargo test -p tests --lib {test} -- --nocapture")
}

/// Runs something of a seed, and says which one it was where that panics.
pub fn attempt<T>(seed: u64, test: &str, run: impl FnOnce() -> T) -> T {
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run));
    result.unwrap_or_else(|panic| {
        eprintln!("seed {seed} panics; {}", again(seed, test));
        std::panic::resume_unwind(panic)
    })
}

#[cfg(test)]
mod tests {
    use dlm_core::Tick;

    use super::*;
    use crate::checkers::Fact;
    use crate::sim::ProcessId;

    #[test]
    fn seeds_are_one_or_a_range() {
        let named = [named("7"), named("100..200"), named("x"), named("1..")];
        assert_eq!(named, [Some(7..8), Some(100..200), None, None]);
    }

    #[test]
    fn a_report_names_the_seed_the_property_the_facts_and_the_way_back() {
        let mut history = History::default();
        history.push(Tick(7), ProcessId(2), Fact::Healed);
        history.push(Tick(10), ProcessId(2), Fact::TablesRead);
        let violation = Violation {
            property: "tokens",
            at: Tick(9),
            resource: None,
            text: "too small".to_owned(),
        };
        let text = Report::new(41, "sim::some_test", violation, &history).to_string();
        for part in [
            "seed 41: tokens: too small",
            "Healed",
            "GLOCKWORK_SEED=41",
            "sim::some_test",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains("TablesRead"), "that was later: {text}");
    }
}

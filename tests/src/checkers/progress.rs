//! When all is healed, everything is answered within a bound: what was asked before it as what is asked
//! after it. Sessions that are gone are answered nothing.
//!
//! The bound has to allow for how long the run's own holders hold, since a waiter waits for them.

use dlm_core::Tick;

use super::forgotten::{Open, follow};
use super::{Fact, History, Lock, Violation};

const PROPERTY: &str = "progress";

/// Checks it for a run that went on until `until`, with so many microseconds for an answer.
///
/// # Errors
/// The first answer that came too late, or that should have come; or that nothing was healed.
pub fn check(history: &History, until: Tick, bound_us: u64) -> Result<(), Violation> {
    let violation = |at, lock: Option<Lock>, text| Violation {
        property: PROPERTY,
        at,
        resource: lock
            .and_then(|lock| history.resource(lock))
            .cloned()
            .map(Box::new),
        text,
    };
    let mut healed = history.entries().iter();
    let healed = healed.find(|entry| entry.fact == Fact::Healed);
    let Some(healed) = healed.map(|entry| entry.at) else {
        return Err(violation(
            until,
            None,
            "the run was never healed".to_owned(),
        ));
    };
    let due = |asked: Tick| asked.max(healed).plus(bound_us);
    let mut open = Open::new();
    for entry in history.entries() {
        let Some((asked, lock)) = follow(&mut open, entry.at, &entry.fact) else {
            continue;
        };
        if entry.at > due(asked) {
            let late_us = entry.at.since(due(asked));
            let text = format!("asked at {}, answered {late_us} us too late", asked.0);
            return Err(violation(entry.at, lock, text));
        }
    }
    for ((client, ticket), (asked, lock)) in open {
        if until > due(asked) {
            let text = format!("{client:?} asked {ticket:?} at {} and waits still", asked.0);
            return Err(violation(until, lock, text));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use dlm_core::Mode;

    use super::super::tests::Story;
    use super::*;

    const BOUND_US: u64 = 1_000;

    #[test]
    fn an_answer_is_due_a_bound_after_it_was_asked_for_and_all_was_healed() {
        for (after_us, good) in [(900, true), (1_100, false)] {
            let mut story = Story::new();
            let one = story.request(1, Mode::Ex);
            story.now = story.now.plus(50_000);
            story.fact(Fact::Healed);
            story.now = story.now.plus(after_us);
            let mut waits = story.clone();
            story.end(1, one, Mode::Ex, 1);
            let check = |story: &Story| check(&story.history, story.now, BOUND_US);
            assert_eq!(check(&story).is_ok(), good, "answered after {after_us}");
            assert_eq!(check(&waits).is_ok(), good, "not answered after {after_us}");
            waits.fact(Fact::Died {
                client: Story::client(1),
            });
            assert_eq!(check(&waits), Ok(()), "nobody waits");
        }
    }

    #[test]
    fn a_run_that_is_never_healed_proves_nothing() {
        let story = Story::new();
        assert!(check(&story.history, story.now, BOUND_US).is_err());
    }
}

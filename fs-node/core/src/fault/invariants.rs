//! What is true of a record after every step.
//!
//! | name | statement | who relies on it |
//! |---|---|---|
//! | waits-in-order | under `ordered` a lock is waited for only if it is above all that is held | freedom from deadlock |
//! | cycles-bounded | under `ordered` there are at most twice as many cycles as mappings in the set | freedom from livelock |
//! | pins-under-locks | pages are pinned only while the target is held | revocation, which waits for pins |
//! | waits-unpinned | `try-cycle` and `nofault` wait for nothing while pages are pinned | their own claim to hold no pins over a wait |
//! | over-is-empty | a record that is over holds nothing | everybody who waits for it |

use super::Policy;
use super::record::{Phase, Record};

/// A statement of the table that does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation(pub &'static str);

/// Checks every statement.
///
/// # Errors
/// The first one that does not hold.
pub fn check(record: &Record) -> Result<(), Violation> {
    waits_in_order(record)?;
    cycles_bounded(record)?;
    pins_under_locks(record)?;
    waits_unpinned(record)?;
    over_is_empty(record)
}

/// The checks are a few comparisons, and a record that breaks one would deadlock other nodes: they
/// stay on in release builds.
pub(super) fn assert(record: &Record) {
    if let Err(violation) = check(record) {
        panic!(
            "the fault protocol broke its invariant {}: {record:?}",
            violation.0
        );
    }
}

fn waits_in_order(record: &Record) -> Result<(), Violation> {
    let Phase::Taking { rest, .. } = &record.phase else {
        return Ok(());
    };
    let highest = record.held.keys().next_back();
    let above = rest
        .first()
        .is_none_or(|next| highest.is_none_or(|&held| held < next.key));
    let sorted = rest.windows(2).all(|pair| pair[0].key < pair[1].key);
    let in_order = record.policy != Policy::Ordered || (above && sorted);
    in_order.then_some(()).ok_or(Violation("waits-in-order"))
}

fn cycles_bounded(record: &Record) -> Result<(), Violation> {
    if record.policy != Policy::Ordered {
        return Ok(());
    }
    let taking = match &record.phase {
        Phase::Taking { rest, .. } => rest.len(),
        _ => 0,
    };
    // The set as it will be, less the target. A record that is over has forgotten its set.
    let mappings = (record.held.len() + taking).saturating_sub(1);
    let bounded = record.phase == Phase::Over || record.stats.lock_cycles as usize <= 2 * mappings;
    bounded.then_some(()).ok_or(Violation("cycles-bounded"))
}

fn pins_under_locks(record: &Record) -> Result<(), Violation> {
    let held = record.held.contains_key(&record.target);
    (!record.pinned || held)
        .then_some(())
        .ok_or(Violation("pins-under-locks"))
}

fn waits_unpinned(record: &Record) -> Result<(), Violation> {
    let strict = matches!(record.policy, Policy::TryCycle | Policy::Nofault);
    let waiting = matches!(record.phase, Phase::Taking { .. } | Phase::Prefaulting);
    (!(strict && waiting && record.pinned))
        .then_some(())
        .ok_or(Violation("waits-unpinned"))
}

fn over_is_empty(record: &Record) -> Result<(), Violation> {
    let over = record.phase == Phase::Over;
    (!over || (record.held.is_empty() && !record.pinned))
        .then_some(())
        .ok_or(Violation("over-is-empty"))
}

#[cfg(test)]
mod tests {
    use super::super::action::{Direction, Held};
    use super::super::record::Then;
    use super::*;
    use crate::order::Key;
    use glock_core::State;

    fn holding(policy: Policy, inodes: &[u64]) -> Record {
        let mut record = Record::new(policy, Direction::Read, Key::new(0, inodes[0]));
        for &inode in inodes {
            record.held.insert(Key::new(0, inode), State::Df);
        }
        record.phase = Phase::Walking;
        record
    }

    fn taking(inode: u64) -> Phase {
        let rest = alloc::vec![Held {
            key: Key::new(0, inode),
            state: State::Sh
        }];
        Phase::Taking {
            rest,
            then: Then::Pin,
        }
    }

    #[test]
    fn each_checker_sees_a_bad_record() {
        assert_eq!(check(&holding(Policy::Ordered, &[5])), Ok(()));

        let mut out_of_order = holding(Policy::Ordered, &[5]);
        out_of_order.phase = taking(3);
        assert_eq!(check(&out_of_order), Err(Violation("waits-in-order")));
        out_of_order.policy = Policy::Block;
        assert_eq!(check(&out_of_order), Ok(()), "block has no order");

        let mut cycling = holding(Policy::Ordered, &[5, 6]);
        cycling.stats.lock_cycles = 3;
        assert_eq!(check(&cycling), Err(Violation("cycles-bounded")));

        let mut unlocked = holding(Policy::Ordered, &[5]);
        unlocked.held.clear();
        unlocked.pinned = true;
        assert_eq!(check(&unlocked), Err(Violation("pins-under-locks")));

        let mut waits = holding(Policy::TryCycle, &[5]);
        waits.pinned = true;
        waits.phase = taking(7);
        assert_eq!(check(&waits), Err(Violation("waits-unpinned")));

        let mut over = holding(Policy::Ordered, &[5]);
        over.phase = Phase::Over;
        assert_eq!(check(&over), Err(Violation("over-is-empty")));
    }
}

//! `try-cycle`: the proposal of May 2023, as bcachefs does it.
//!
//! The deviations from the original: the order is the key's and not an address; a pin is a lock here,
//! so a lock on a mapping is kept while pages under it are pinned, and what is pinned is submitted
//! before anything is waited for; rounds without progress are bounded.

use alloc::vec::Vec;

use super::action::{Action, Trial, Why};
use super::record::{Next, Page, Phase, Record, Then};
use crate::limits::TRY_CYCLE_ROUNDS_MAX;

pub(super) fn page(record: &mut Record, page: Page, out: &mut Vec<Action>) {
    let needed = page.needed();
    match record.held.get(&page.mapping).copied() {
        Some(state) if state.covers(needed.state) => record.pin(out),
        Some(_) if page.mapping == record.target => record.leave(Why::SameMapping, out),
        Some(_) => record.submit(page, Next::Wait, out),
        None => {
            let in_order = page.mapping > record.target;
            let trial = if in_order {
                Trial::Local
            } else {
                Trial::OneCallback
            };
            record.phase = Phase::Trying { page, trial };
            out.push(Action::Try(needed, trial));
        }
    }
}

pub(super) fn refused(record: &mut Record, page: Page, trial: Trial, out: &mut Vec<Action>) {
    let next = match trial {
        Trial::Local => Next::Wait,
        Trial::OneCallback => Next::Cycle,
    };
    record.submit(page, next, out);
}

/// Nothing is pinned any more: wait for the page's lock with the target held.
pub(super) fn wait(record: &mut Record, page: Page, out: &mut Vec<Action>) {
    record.release_mappings(out);
    if page.mapping > record.target {
        record.take(alloc::vec![page.needed()], Then::Pin, out);
    } else {
        // A lock that was too weak was given up; now it is as if it had never been held.
        let trial = Trial::OneCallback;
        record.phase = Phase::Trying { page, trial };
        out.push(Action::Try(page.needed(), trial));
    }
}

/// Drops the target, waits until the other lock is free, and takes the target back.
pub(super) fn cycle(record: &mut Record, page: Page, out: &mut Vec<Action>) {
    if record.rounds_idle >= TRY_CYCLE_ROUNDS_MAX {
        record.leave(Why::OutOfRounds, out);
        return;
    }
    record.rounds_idle += 1;
    record.stats.lock_cycles += 1;
    record.release_all(true, out);
    record.take(
        alloc::vec![page.needed()],
        Then::ReleaseAndRetake(page.mapping),
        out,
    );
}

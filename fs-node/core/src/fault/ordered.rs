//! `ordered`: the default. See the table in the module above.

use alloc::vec::Vec;

use super::action::{Action, Held, Trial, Why};
use super::record::{Page, Phase, Record, Then};
use crate::order::Key;

pub(super) fn page(record: &mut Record, page: Page, out: &mut Vec<Action>) {
    let needed = page.needed();
    let highest = record.held.keys().next_back().copied();
    match record.held.get(&page.mapping).copied() {
        Some(state) if state.covers(needed.state) => record.pin(out),
        Some(_) if page.mapping == record.target => record.leave(Why::SameMapping, out),
        Some(state) => {
            let stronger = Held {
                key: page.mapping,
                state: state.join(needed.state),
            };
            cycle(record, stronger, out);
        }
        None if highest.is_none_or(|highest| page.mapping > highest) => {
            record.take(alloc::vec![needed], Then::Pin, out);
        }
        None => {
            record.phase = Phase::Trying {
                page,
                trial: Trial::OneCallback,
            };
            out.push(Action::Try(needed, Trial::OneCallback));
        }
    }
}

pub(super) fn refused(record: &mut Record, page: Page, out: &mut Vec<Action>) {
    cycle(record, page.needed(), out);
}

/// Drops `wanted` and everything above it and takes them all again in order.
///
/// What is below stays held: whoever waits for something above it may do so, that is the order.
fn cycle(record: &mut Record, wanted: Held, out: &mut Vec<Action>) {
    record.stats.lock_cycles += 1;
    record.unpin_all(out);
    let dropped: Vec<Held> = record
        .held
        .range(wanted.key..)
        .map(|(&key, &state)| Held { key, state })
        .filter(|held| held.key != wanted.key)
        .collect();
    let highest_first: Vec<Key> = record
        .held
        .range(wanted.key..)
        .rev()
        .map(|(&key, _)| key)
        .collect();
    for key in highest_first {
        record.unlock(key, true, out);
    }
    let mut again = alloc::vec![wanted];
    again.extend(dropped);
    record.take(again, Then::Rewalk, out);
}

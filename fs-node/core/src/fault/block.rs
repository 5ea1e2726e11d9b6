//! `block`: no order at all. It is here to show what the others are for.

use alloc::vec::Vec;

use super::action::{Action, Held, Why};
use super::record::{Page, Record, Then};

pub(super) fn page(record: &mut Record, page: Page, out: &mut Vec<Action>) {
    let needed = page.needed();
    match record.held.get(&page.mapping).copied() {
        Some(state) if state.covers(needed.state) => record.pin(out),
        // Waiting for oneself is no deadlock to show, only a mistake.
        Some(_) if page.mapping == record.target => record.leave(Why::SameMapping, out),
        Some(state) => {
            record.unpin_all(out);
            record.unlock(page.mapping, false, out);
            let stronger = Held {
                key: page.mapping,
                state: state.join(needed.state),
            };
            record.take(alloc::vec![stronger], Then::Rewalk, out);
        }
        None => record.take(alloc::vec![needed], Then::Pin, out),
    }
}

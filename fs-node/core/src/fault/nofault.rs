//! `nofault`: what gfs2 does since Linux 5.16.
//!
//! Nothing is faulted in while the target is held: a page that is there is pinned under what the node
//! has cached, a page that is not ends the walk; what was pinned is submitted, everything is dropped, a
//! window of the buffer is faulted in with no lock held, and the I/O tries again. Pins are taken only
//! under DF and none is carried over a re-lock.

use alloc::vec::Vec;

use glock_core::State;

use super::action::{Action, Direction, Held, Trial, Why};
use super::record::{Next, Page, Phase, Record, Then};
use crate::limits::{NOFAULT_READ_ROUNDS_MAX, NOFAULT_WINDOW_BYTES, PAGE_BYTES};

pub(super) fn page(record: &mut Record, page: Page, out: &mut Vec<Action>) {
    let needed = page.needed();
    if !page.resident {
        record.submit(page, Next::FaultIn, out);
        return;
    }
    match record.held.get(&page.mapping).copied() {
        // A resident page of the target itself: the node has the glock cached in EX and holds it in
        // DF, and that hold keeps the page.
        Some(_) if page.mapping == record.target => record.pin(out),
        Some(state) if state.covers(needed.state) => record.pin(out),
        Some(_) => record.submit(page, Next::FaultIn, out),
        None => {
            record.phase = Phase::Trying {
                page,
                trial: Trial::Local,
            };
            out.push(Action::Try(needed, Trial::Local));
        }
    }
}

pub(super) fn refused(record: &mut Record, page: Page, out: &mut Vec<Action>) {
    record.submit(page, Next::FaultIn, out);
}

/// Drops everything and asks for the next window of the buffer, or gives up where gfs2 does.
pub(super) fn fault_in(record: &mut Record, out: &mut Vec<Action>) {
    let idle = record.rounds_idle > 0;
    match record.direction {
        Direction::Write if idle && record.window_is_page => {
            record.leave(Why::Buffered, out);
            return;
        }
        Direction::Read if record.rounds_idle >= NOFAULT_READ_ROUNDS_MAX => {
            record.leave(Why::OutOfRounds, out);
            return;
        }
        _ => {}
    }
    // A window that was faulted in and brought nothing was too large for what survives: one page.
    record.window_is_page = idle;
    record.rounds_idle += 1;
    record.release_all(false, out);
    record.phase = Phase::Prefaulting;
    let bytes = if record.window_is_page {
        PAGE_BYTES
    } else {
        NOFAULT_WINDOW_BYTES
    };
    out.push(Action::Prefault { bytes });
}

pub(super) fn prefaulted(record: &mut Record, bytes: usize, out: &mut Vec<Action>) {
    if bytes == 0 {
        record.phase = Phase::Over;
        out.push(Action::Stop);
        return;
    }
    let target = Held {
        key: record.target,
        state: State::Df,
    };
    record.take(alloc::vec![target], Then::Rewalk, out);
}

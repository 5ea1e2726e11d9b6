//! Where a resource's time goes: in which mode it is held, and whether somebody waits for it. Put together of the
//! events that are heard, and set right by each look at the graph: a lock that was there before has no event.

use std::collections::BTreeMap;

use dlm_client::Mode;
use dlm_client::events::{Event, EventKind};
use dlm_client::graph;

/// The most locks of one resource that are followed. Those beyond are as if they were not there.
const LOCKS_MAX: usize = 256;

const MODES: usize = Mode::ALL.len();

/// What is known of a resource's time, by a clock in microseconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Spent {
    since_us: u64,
    at_us: u64,
    /// By session and lock.
    locks: BTreeMap<(u64, u64), Standing>,
    held_us: [u64; MODES],
    waited_us: u64,
    waits: Waits,
}

/// How a lock stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    mode: Option<Mode>,
    waits: bool,
}

/// Waits that have ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Waits {
    pub(super) count: u64,
    pub(super) sum_us: u64,
    pub(super) longest_us: u64,
}

/// Parts of the time that the resource was looked at, each 0 to 1.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shares {
    /// How long that was.
    pub(super) looked_us: u64,
    /// While this was the strongest mode that anybody had.
    pub(super) held: Vec<(Mode, f64)>,
    /// While nobody had it in any mode that excludes another.
    pub(super) free: f64,
    /// While somebody waited for it, whoever held it.
    pub(super) waited: f64,
    pub(super) waits: Waits,
}

impl Spent {
    /// From now on.
    pub(super) fn new(now_us: u64) -> Self {
        Self {
            since_us: now_us,
            at_us: now_us,
            ..Self::default()
        }
    }

    /// Something happened to it.
    pub(super) fn hear(&mut self, at_us: u64, event: &Event) {
        self.advance(at_us);
        let lock = (event.session.0, event.lock.0);
        let standing = match event.kind {
            EventKind::Waits => Some(Standing {
                mode: event.had,
                waits: true,
            }),
            EventKind::Granted | EventKind::Converted | EventKind::Demoted => Some(Standing {
                mode: event.mode,
                waits: false,
            }),
            EventKind::Cancelled | EventKind::Denied => event.had.map(|had| Standing {
                mode: Some(had),
                waits: false,
            }),
            EventKind::Released => None,
            EventKind::Callback | EventKind::Recovered | EventKind::Moved => return,
        };
        if let Some(us) = event.waited_us.filter(|&us| us > 0) {
            self.waits.count += 1;
            self.waits.sum_us += us;
            self.waits.longest_us = self.waits.longest_us.max(us);
        }
        match standing {
            None => drop(self.locks.remove(&lock)),
            Some(standing) => self.stand(lock, standing),
        }
    }

    /// How its locks stand, as the graph has it.
    pub(super) fn see(&mut self, now_us: u64, locks: &[graph::Lock]) {
        self.advance(now_us);
        self.locks.clear();
        for lock in locks {
            let standing = Standing {
                mode: lock.granted,
                waits: lock.requested.is_some(),
            };
            self.stand((lock.session, lock.lock), standing);
        }
    }

    fn stand(&mut self, lock: (u64, u64), standing: Standing) {
        if self.locks.len() < LOCKS_MAX || self.locks.contains_key(&lock) {
            self.locks.insert(lock, standing);
        }
    }

    /// The time until then was spent as the locks stood.
    fn advance(&mut self, to_us: u64) {
        let us = to_us.saturating_sub(self.at_us);
        self.at_us += us;
        let modes = self.locks.values().filter_map(|lock| lock.mode);
        if let Some(strongest) = modes.map(place).max() {
            self.held_us[strongest] += us;
        }
        if self.locks.values().any(|lock| lock.waits) {
            self.waited_us += us;
        }
    }

    /// Up to now.
    pub(super) fn shares(&self, now_us: u64) -> Shares {
        let mut spent = self.clone();
        spent.advance(now_us);
        let looked_us = spent.at_us - spent.since_us;
        let share = |us: u64| us as f64 / looked_us.max(1) as f64;
        let held = Mode::ALL.into_iter().rev().filter(|&mode| mode != Mode::Nl);
        let held: Vec<(Mode, f64)> = held
            .map(|mode| (mode, share(spent.held_us[place(mode)])))
            .filter(|&(_, share)| share > 0.0)
            .collect();
        let sum: f64 = held.iter().map(|&(_, share)| share).sum();
        Shares {
            looked_us,
            free: (1.0 - sum).max(0.0),
            waited: share(spent.waited_us),
            waits: spent.waits,
            held,
        }
    }
}

/// In the order of the modes, the weakest first.
fn place(mode: Mode) -> usize {
    let place = Mode::ALL.into_iter().position(|each| each == mode);
    place.expect("all modes are there")
}

#[cfg(test)]
mod tests {
    use super::super::examples::{event, lock};
    use super::*;

    const SECOND: u64 = 1_000_000;

    #[test]
    fn time_goes_to_the_strongest_mode_that_is_held() {
        let mut spent = Spent::new(10 * SECOND);
        let at = |kind, session, modes, tenths: u64| {
            let mut event = event(kind, session, 1);
            (event.had, event.mode) = modes;
            (10 * SECOND + tenths * SECOND / 10, event)
        };
        let story = [
            // Free for a second, EX for four of which another one waits two, PR for three by two of them.
            at(EventKind::Granted, 1, (None, Some(Mode::Ex)), 10),
            at(EventKind::Waits, 2, (None, Some(Mode::Pr)), 30),
            at(EventKind::Callback, 1, (Some(Mode::Ex), Some(Mode::Pr)), 30),
            at(EventKind::Demoted, 1, (Some(Mode::Ex), Some(Mode::Pr)), 50),
            at(EventKind::Granted, 2, (None, Some(Mode::Pr)), 50),
            at(EventKind::Released, 1, (Some(Mode::Pr), None), 60),
            at(EventKind::Released, 2, (Some(Mode::Pr), None), 80),
        ];
        for (at, mut event) in story {
            event.waited_us =
                (event.session.0 == 2 && event.kind == EventKind::Granted).then_some(2 * SECOND);
            spent.hear(at, &event);
        }
        let shares = spent.shares(20 * SECOND);
        assert_eq!(shares.looked_us, 10 * SECOND);
        assert_eq!(shares.held, [(Mode::Ex, 0.4), (Mode::Pr, 0.3)]);
        assert!((shares.free - 0.3).abs() < 1e-9 && (shares.waited - 0.2).abs() < 1e-9);
        let waits = Waits {
            count: 1,
            sum_us: 2 * SECOND,
            longest_us: 2 * SECOND,
        };
        assert_eq!(shares.waits, waits);
    }

    #[test]
    fn what_was_there_before_is_seen_in_the_graph() {
        let mut spent = Spent::new(0);
        let held = lock(1, (Some(Mode::Ex), None));
        spent.see(0, &[held, lock(2, (None, Some(Mode::Ex)))]);
        let shares = spent.shares(SECOND);
        assert_eq!((shares.held, shares.waited), (vec![(Mode::Ex, 1.0)], 1.0));
        spent.see(SECOND, &[]);
        assert_eq!(spent.shares(2 * SECOND).free, 0.5);
        // Null locks are in nobody's way.
        spent.see(2 * SECOND, &[lock(1, (Some(Mode::Nl), None))]);
        assert!(spent.shares(4 * SECOND).free > 0.7);
    }

    #[test]
    fn there_is_an_end_to_what_is_kept() {
        let mut spent = Spent::new(0);
        for session in 0..2000 {
            spent.hear(1, &event(EventKind::Granted, session, 1));
        }
        assert_eq!(spent.locks.len(), LOCKS_MAX);
    }
}

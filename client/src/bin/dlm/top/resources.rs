//! What is known of each resource to which something happened of late, or that somebody waits for.

use std::collections::BTreeMap;

use dlm_client::events::{Event, EventKind, object};
use dlm_client::graph::{GraphSnapshot, Object};

use super::rates::Window;
use super::spent::{Shares, Spent};

/// The most resources that are followed. Where more come, those to which nothing happened for longest are
/// forgotten, half of them at once.
pub(super) const RESOURCES_MAX: usize = 4096;

/// How often a second something happens.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rates {
    /// Locks granted, and modes.
    pub(super) grants: f64,
    /// Requests and conversions that had to wait.
    pub(super) waits: f64,
    /// Holders told that somebody wants what they have.
    pub(super) callbacks: f64,
    /// Modes given up for weaker ones.
    pub(super) demotions: f64,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Resources {
    since_us: u64,
    all: BTreeMap<Object, Seen>,
}

#[derive(Debug)]
struct Seen {
    grants: Window,
    waits: Window,
    callbacks: Window,
    demotions: Window,
    last_us: u64,
    spent: Spent,
}

impl Resources {
    pub(super) const fn new(now_us: u64) -> Self {
        Self {
            since_us: now_us,
            all: BTreeMap::new(),
        }
    }

    /// Something happened then.
    pub(super) fn hear(&mut self, at_us: u64, event: &Event) {
        let Some(object) = object(event) else {
            return;
        };
        let seen = self.seen(object, at_us);
        seen.last_us = seen.last_us.max(at_us);
        match event.kind {
            EventKind::Granted | EventKind::Converted => seen.grants.add(at_us, 1),
            EventKind::Waits => seen.waits.add(at_us, 1),
            EventKind::Callback => seen.callbacks.add(at_us, 1),
            EventKind::Demoted => seen.demotions.add(at_us, 1),
            _ => {}
        }
        seen.spent.hear(at_us, event);
    }

    /// How the locks stand.
    pub(super) fn see(&mut self, now_us: u64, graph: &GraphSnapshot) {
        let shown: BTreeMap<&Object, _> = graph
            .resources
            .iter()
            .map(|one| (&one.object, &one.locks[..]))
            .collect();
        // What was not looked at may well be locked.
        if graph.coverage.is_whole() {
            for (object, seen) in &mut self.all {
                let locks = shown.get(object).copied().unwrap_or_default();
                seen.spent.see(now_us, locks);
            }
        }
        for resource in graph.resources.iter().filter(|one| one.is_contended()) {
            let seen = self.seen(resource.object.clone(), now_us);
            seen.last_us = now_us;
            seen.spent.see(now_us, &resource.locks);
        }
    }

    fn seen(&mut self, object: Object, now_us: u64) -> &mut Seen {
        if self.all.len() >= RESOURCES_MAX && !self.all.contains_key(&object) {
            self.forget_half();
        }
        self.all.entry(object).or_insert_with(|| Seen {
            grants: Window::default(),
            waits: Window::default(),
            callbacks: Window::default(),
            demotions: Window::default(),
            last_us: now_us,
            spent: Spent::new(now_us),
        })
    }

    fn forget_half(&mut self) {
        let mut ages: Vec<u64> = self.all.values().map(|seen| seen.last_us).collect();
        let middle = ages.len() / 2;
        let (_, &mut median, _) = ages.select_nth_unstable(middle);
        self.all.retain(|_, seen| seen.last_us > median);
    }

    /// Each with its rates.
    pub(super) fn rates(&self, now_us: u64) -> impl Iterator<Item = (&Object, Rates)> {
        self.all.iter().map(move |(object, seen)| {
            let rate = |window: &Window| window.rate(now_us, self.since_us);
            let rates = Rates {
                grants: rate(&seen.grants),
                waits: rate(&seen.waits),
                callbacks: rate(&seen.callbacks),
                demotions: rate(&seen.demotions),
            };
            (object, rates)
        })
    }

    /// Where the time of one went.
    pub(super) fn shares(&self, object: &Object, now_us: u64) -> Option<Shares> {
        Some(self.all.get(object)?.spent.shares(now_us))
    }
}

#[cfg(test)]
mod tests {
    use super::super::examples::event;
    use super::*;

    #[test]
    fn there_is_an_end_to_what_is_kept_and_the_newest_stays() {
        let mut resources = Resources::new(0);
        let count = RESOURCES_MAX as u64 + 10;
        for number in 0..count {
            resources.hear(number, &event(EventKind::Granted, 1, number));
        }
        assert!(resources.all.len() <= RESOURCES_MAX);
        let newest = object(&event(EventKind::Granted, 1, count - 1)).expect("a resource");
        assert!(resources.all.contains_key(&newest));
        // Those of one moment are all forgotten, and not none.
        let mut resources = Resources::new(0);
        for number in 0..count {
            resources.hear(7, &event(EventKind::Granted, 1, number));
        }
        assert!(resources.all.len() <= RESOURCES_MAX);
    }
}

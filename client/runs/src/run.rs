//! The document of a run.

use glockwork_proto::node::{Errors, Tally};
use serde::{Deserialize, Serialize};

use crate::config::Config;
use crate::event::Event;
use crate::limits::EVENTS_MAX;
use crate::node::{NodeRun, tally};
use crate::recovery::{Recovery, recoveries};
use crate::seen::{NodeSeen, Seen};
use crate::summary::Summary;
use crate::timeline::lines;
use crate::trouble::{Trouble, troubles};
use crate::verdict::Verdict;

/// The number of the document's form. A program reads those up to its own.
pub const FORMAT: u32 = 1;

/// What came of a run: what `--json` prints, and what is kept of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// [`FORMAT`], when it was written.
    pub format: u32,
    /// Whether it was clean, and what was wrong.
    pub verdict: Verdict,
    /// What it was started with.
    pub config: Config,
    /// How long it went on, in microseconds.
    pub elapsed_us: u64,
    /// What was counted on all nodes together.
    pub total: Summary,
    /// What nodes found wrong when they read what others had written; `None`: nobody read it.
    pub checked: Option<Errors>,
    /// The deadlock that was found.
    pub deadlock: Option<Deadlock>,
    /// What happened, in the order of time; at most [`EVENTS_MAX`].
    pub events: Vec<Event>,
    /// How many events are left out.
    pub events_dropped: u64,
    /// What each node did after each event that hurts.
    pub recoveries: Vec<Recovery>,
    /// How long an interval is, in microseconds.
    pub interval_us: u64,
    /// Each node.
    pub nodes: Vec<NodeRun>,
}

/// Tasks that waited for each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deadlock {
    /// When it was found, in microseconds from the run's start.
    pub at_us: u64,
    /// The cycle, a line for each wait: whoever is in its way is who waits in the next.
    pub edges: Vec<String>,
}

impl Run {
    /// Of what was seen.
    #[must_use]
    pub fn of(seen: Seen) -> Self {
        let Seen {
            config,
            elapsed_us,
            nodes: seen_nodes,
            mut events,
            deadlock,
            checked,
        } = seen;
        events.sort_by_key(|event| event.at_us);
        let events_dropped = events.len().saturating_sub(EVENTS_MAX) as u64;
        events.truncate(EVENTS_MAX);
        let (total, nodes, interval_us) = counted(&seen_nodes, elapsed_us);
        let recoveries = recoveries(&events, &troubles(&events), &nodes, interval_us, elapsed_us);
        let mut run = Self {
            format: FORMAT,
            verdict: Verdict::default(),
            config,
            elapsed_us,
            total,
            checked,
            deadlock,
            events,
            events_dropped,
            recoveries,
            interval_us,
            nodes,
        };
        run.verdict = Verdict::of(&run);
        run
    }

    /// What was done to the members, from when to when.
    #[must_use]
    pub fn troubles(&self) -> Vec<Trouble> {
        troubles(&self.events)
    }

    /// Pages that held what they must not hold, while it ran and afterwards.
    #[must_use]
    pub fn data_errors(&self) -> u64 {
        let found = self.checked.as_ref().map_or(0, |found| found.count);
        self.total.data_errors.count + found
    }
}

fn counted(seen: &[NodeSeen], elapsed_us: u64) -> (Summary, Vec<NodeRun>, u64) {
    let (mut all, mut all_untold) = (Tally::default(), 0);
    for node in seen {
        let (tally, untold) = tally(node);
        all.merge(&tally);
        all_untold += untold;
    }
    let total = Summary::of(&all, all_untold, elapsed_us);
    let (interval_us, lines) = lines(seen, elapsed_us);
    let nodes = seen
        .iter()
        .zip(lines)
        .map(|(node, line)| NodeRun::of(node, line, elapsed_us, total.ops))
        .collect();
    (total, nodes, interval_us)
}

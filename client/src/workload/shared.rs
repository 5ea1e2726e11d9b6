//! What the tasks of one run have in common.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use glockwork_runs::{Config, Deadlock, Event, EventKind, NodeSeen, Seen};

use super::display::Display;
use crate::Servers;
use crate::nodes::{Errors, Ledger, NodeHandle};

/// One run while it goes on.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) servers: Servers,
    pub(super) lockspace: String,
    pub(super) config: Config,
    /// Its number at the nodes.
    pub(super) run: u64,
    pub(super) display: Display,
    start: Instant,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) nodes: Vec<NodeSeen>,
    /// The last process of each node that was heard of.
    pub(super) handles: Vec<(NodeHandle, u64)>,
    /// What the tasks of each node say they wrote.
    pub(super) ledgers: BTreeMap<usize, Vec<Ledger>>,
    pub(super) events: Vec<Event>,
    pub(super) deadlock: Option<Deadlock>,
    pub(super) checked: Option<Errors>,
    pub(super) last_result_us: u64,
    /// When some node last said that an operation ended.
    pub(super) moved: Instant,
}

impl Shared {
    pub(super) fn new(
        (servers, lockspace): (Servers, String),
        config: Config,
        run: u64,
        handles: Vec<(NodeHandle, u64)>,
        display: Display,
    ) -> Self {
        let seen = |name: &String| NodeSeen {
            name: name.clone(),
            lives: Vec::new(),
        };
        let now = Instant::now();
        let state = State {
            nodes: config.nodes.iter().map(seen).collect(),
            handles,
            ledgers: BTreeMap::new(),
            events: Vec::new(),
            deadlock: None,
            checked: None,
            last_result_us: 0,
            moved: now,
        };
        Self {
            servers,
            lockspace,
            config,
            run,
            display,
            start: now,
            state: Mutex::new(state),
        }
    }

    /// How long it goes on.
    pub(super) fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    /// The same in microseconds, as events have it.
    pub(super) fn now_us(&self) -> u64 {
        self.elapsed().as_micros() as u64
    }

    /// When this is over, as an instant: so long after the start.
    pub(super) fn at(&self, after: Duration) -> tokio::time::Instant {
        (self.start + after).into()
    }

    /// How much of its length is left.
    pub(super) fn left_us(&self) -> u64 {
        self.config.length_us().saturating_sub(self.now_us())
    }

    /// Whole at every moment.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes down what happened, and says so.
    pub(super) fn happened(&self, event: Event) {
        let at = event.at_us as f64 / 1e6;
        let (whom, kind, text) = (event.whom(), event.kind, &event.text);
        self.display
            .say(&format!("{at:6.1} s  {kind:<13} {whom:<12} {text}"));
        self.state().events.push(event);
    }

    /// Writes down what happened to a node, now.
    pub(super) fn node(&self, index: usize, kind: EventKind, text: impl Into<String>) {
        let name = &self.config.nodes[index];
        self.happened(Event::of_node(self.now_us(), kind, name, text));
    }

    /// All that was seen, at the end.
    pub(super) fn seen(&self) -> Seen {
        let state = self.state();
        Seen {
            elapsed_us: state.last_result_us,
            nodes: state.nodes.clone(),
            events: state.events.clone(),
            deadlock: state.deadlock.clone(),
            checked: state.checked.clone(),
            ..Seen::new(self.config.clone())
        }
    }
}

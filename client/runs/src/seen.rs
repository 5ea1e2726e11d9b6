//! What a coordinator sees of a run while it goes on, put down as it comes.

use glockwork_proto::node::{Errors, INTERVAL_US, Progress, WorkloadResult};

use crate::config::Config;
use crate::event::Event;
use crate::limits::LIFE_INTERVALS_MAX;
use crate::run::Deadlock;

/// All that was seen.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// What it was started with.
    pub config: Config,
    /// How long it went on, in microseconds: to the last result.
    pub elapsed_us: u64,
    /// Each node, in the order of the indexes.
    pub nodes: Vec<NodeSeen>,
    /// What happened, in any order.
    pub events: Vec<Event>,
    /// The deadlock that was found.
    pub deadlock: Option<Deadlock>,
    /// What nodes found wrong when they read, at the end and before a new beginning, what others had written; `None`:
    /// nobody read it.
    pub checked: Option<Errors>,
}

impl Seen {
    /// Nothing yet.
    #[must_use]
    pub const fn new(config: Config) -> Self {
        Self {
            config,
            elapsed_us: 0,
            nodes: Vec::new(),
            events: Vec::new(),
            deadlock: None,
            checked: None,
        }
    }
}

/// One node: a life for each time that it was prepared and started. A node that loses its session has another life
/// after it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeSeen {
    /// Its name.
    pub name: String,
    /// Its lives, in order.
    pub lives: Vec<Life>,
}

impl NodeSeen {
    /// Operations so far, in all its lives.
    #[must_use]
    pub fn ops(&self) -> u64 {
        self.lives.iter().map(Life::ops).sum()
    }
}

/// One life of a node in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    pub(crate) from_us: u64,
    pub(crate) ops: Vec<u32>,
    pub(crate) end: LifeEnd,
}

/// How a life ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LifeEnd {
    /// It goes on.
    Open,
    /// The node said what came of it.
    Told(Box<WorkloadResult>),
    /// It was lost, at this time from the run's start, for this reason.
    Lost { at_us: u64, why: String },
}

impl Life {
    /// One that begins at this time, in microseconds from the run's start.
    #[must_use]
    pub const fn new(from_us: u64) -> Self {
        Self {
            from_us,
            ops: Vec::new(),
            end: LifeEnd::Open,
        }
    }

    /// What the node says while it runs. Intervals that were there before are replaced: the last one was not over.
    pub fn progress(&mut self, progress: &Progress) {
        let first = usize::try_from(progress.first).unwrap_or(usize::MAX);
        for (number, &ops) in progress.ops.iter().enumerate() {
            let at = first.saturating_add(number);
            if at >= LIFE_INTERVALS_MAX {
                return;
            }
            if at >= self.ops.len() {
                self.ops.resize(at + 1, 0);
            }
            self.ops[at] = ops;
        }
    }

    /// The number of the first interval that is still wanted: for whoever watches again.
    #[must_use]
    pub const fn next_interval(&self) -> u64 {
        (self.ops.len() as u64).saturating_sub(1)
    }

    /// The node said what came of it. What it wrote is not kept.
    pub fn ended(&mut self, mut result: WorkloadResult) {
        result.ledgers = Vec::new();
        self.end = LifeEnd::Told(Box::new(result));
    }

    /// It is lost with all but its operations, at this time from the run's start.
    pub fn lost(&mut self, at_us: u64, why: impl Into<String>) {
        let why = why.into();
        self.end = LifeEnd::Lost { at_us, why };
    }

    /// Whether it neither ended nor was lost.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.end, LifeEnd::Open)
    }

    /// What came of it.
    #[must_use]
    pub fn result(&self) -> Option<&WorkloadResult> {
        match &self.end {
            LifeEnd::Told(result) => Some(result),
            LifeEnd::Open | LifeEnd::Lost { .. } => None,
        }
    }

    /// When it ended, in microseconds from the run's start.
    pub(crate) fn to_us(&self) -> u64 {
        let heard_us = self.from_us + self.ops.len() as u64 * INTERVAL_US;
        match &self.end {
            LifeEnd::Open => heard_us,
            LifeEnd::Told(result) => self.from_us + result.tally.elapsed_us,
            LifeEnd::Lost { at_us, .. } => (*at_us).max(self.from_us),
        }
    }

    /// Operations, of which those of a life that was lost are known by their intervals alone.
    pub(crate) fn ops(&self) -> u64 {
        self.result().map_or_else(
            || self.ops.iter().map(|&ops| u64::from(ops)).sum(),
            |result| result.tally.ops,
        )
    }
}

//! What the loop counts, see [`Metrics`].

use std::collections::BTreeMap;

use dlm_core::cluster::Phase;
use dlm_core::link::{Event, FromServer, OperationKind, ToServer};
use dlm_core::recovery::PhaseName;
use dlm_core::{Epoch, LogIndex, SlotId, Status, Tick};

use crate::metrics::Metrics;
use crate::node::{Node, Notice, Output};
use crate::replica::Role;

/// The numbers, and what they were the last time.
#[derive(Debug)]
pub(super) struct Counting {
    metrics: Metrics,
    applied: LogIndex,
    proposed: u64,
    /// The phase of each slot here, and since when it is in it.
    phases: BTreeMap<(SlotId, Epoch), (PhaseName, Tick)>,
}

impl Counting {
    pub(super) fn new(metrics: Metrics) -> Self {
        Self {
            metrics,
            applied: LogIndex(0),
            proposed: 0,
            phases: BTreeMap::new(),
        }
    }

    /// A frame of a session came.
    pub(super) fn frame(&self, messages: &[ToServer]) {
        self.metrics.frames.received.inc();
        let locks = &self.metrics.locks;
        for message in messages {
            match message {
                ToServer::Operation { kind, .. } => match kind {
                    OperationKind::Request { .. } => locks.requests.inc(),
                    OperationKind::Convert { .. } => locks.conversions.inc(),
                    OperationKind::Unlock { .. } => locks.unlocks.inc(),
                    OperationKind::Cancel { .. } => locks.cancellations.inc(),
                },
                ToServer::Everywhere { .. } => locks.everywhere.inc(),
                ToServer::Hello(_)
                | ToServer::Claims { .. }
                | ToServer::Unreadable { .. }
                | ToServer::Acknowledge { .. } => continue,
            };
        }
    }

    /// Something is about to be done.
    pub(super) fn output(&self, output: &Output) {
        match output {
            Output::Persist(write) => {
                self.metrics.log.disk_writes.inc();
                if write.sync {
                    self.metrics.log.disk_syncs.inc();
                }
            }
            Output::StreamSend {
                message: FromServer::Event { event, .. },
                ..
            } => {
                if matches!(event, Event::Done(done) if done.status == Status::Granted) {
                    self.metrics.locks.grants.inc();
                }
            }
            Output::Log(Notice::LeaseRanOut) => {
                self.metrics.log.false_failovers.inc();
            }
            Output::Log(Notice::Evicts { .. }) => {
                self.metrics.sessions.evictions.inc();
            }
            _ => {}
        }
    }

    /// Looks where the log and the slots are. To be said after each tick.
    pub(super) fn tick(&mut self, node: &Node, now: Tick) {
        let log = &self.metrics.log;
        let applied = node.state().applied();
        log.applied.inc_by(applied.0.saturating_sub(self.applied.0));
        self.applied = applied;
        log.proposed.inc_by(node.proposed() - self.proposed);
        self.proposed = node.proposed();
        let (role, term, _) = node.replica().role();
        log.leader.set(i64::from(role == Role::Leader));
        log.term.set(i64::try_from(term).unwrap_or(i64::MAX));

        let mut before = std::mem::take(&mut self.phases);
        for master in node.masters() {
            let (key, phase) = ((master.slot(), master.epoch()), master.phase());
            let (was, since) = before.remove(&key).unwrap_or((phase, now));
            let moved_on = was != phase;
            if moved_on && phase == PhaseName::Serving {
                match was {
                    PhaseName::Recovering => {
                        let seconds = now.since(since) as f64 / 1e6;
                        self.metrics.slots.recoveries.observe(seconds);
                    }
                    PhaseName::Arriving => {
                        self.metrics.slots.moves.inc();
                    }
                    _ => {}
                }
            }
            let since = if moved_on { now } else { since };
            self.phases.insert(key, (phase, since));
        }
    }

    /// Counts what there is. To be said now and then.
    pub(super) fn sweep(&self, node: &Node) {
        let slots = &self.metrics.slots;
        let in_phase = |name: PhaseName| {
            let these = self.phases.values().filter(|(phase, _)| *phase == name);
            these.count() as i64
        };
        slots.recovering.set(in_phase(PhaseName::Recovering));
        slots.arriving.set(in_phase(PhaseName::Arriving));
        slots.serving.set(in_phase(PhaseName::Serving));
        slots.leaving.set(in_phase(PhaseName::Leaving));
        slots.broken.set(in_phase(PhaseName::Broken));
        let waiting: usize = node.masters().map(|master| master.table().waiting()).sum();
        self.metrics.locks.waiting.set(waiting as i64);
        let sessions = node.state().sessions().values();
        let (mut live, mut dead, mut blocked) = (0, 0, 0);
        for session in sessions {
            match session.phase {
                Phase::Live => live += 1,
                Phase::Dead { .. } => blocked += 1,
                Phase::Fenced { .. } => dead += 1,
            }
        }
        self.metrics.sessions.live.set(live);
        self.metrics.sessions.dead.set(dead);
        self.metrics.sessions.blocked.set(blocked);
    }
}

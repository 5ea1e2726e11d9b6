//! One group of operations under one policy: prepared, started, watched, ended.

use std::time::{Duration, Instant};

use fs_node::Policy;
use tokio::time::{MissedTickBehavior, interval};

use super::DemoError;
use super::cluster::Cluster;
use super::deadlock::{self, Deadlock};
use super::progress::Display;
use super::protocol::{Event, Order};
use crate::workload::layout::Layout;
use crate::workload::ledger::Ledger;
use crate::workload::{Group, Plan};
use dlm_client::nodes::{Errors, Tally};

/// A run without a single operation for this long is given up: no lock is held for a hundredth of it.
const STALL_MAX: Duration = Duration::from_secs(20);
/// A run without an operation for this long is looked at.
const STALL_SUSPICIOUS: Duration = Duration::from_secs(2);
/// How often the lock graph is asked for cycles.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// How many times its length `block` may take to deadlock before the demo goes on without.
const PATIENCE: u32 = 10;
/// How often the display moves.
const TICK: Duration = Duration::from_millis(100);
/// Nodes whose operations are shown one by one: more do not fit a line.
const NODES_SHOWN_MAX: usize = 6;
/// Of a hundred operations, how many read.
const READS_PERCENT: u8 = 50;
/// How long the regions may take to be written.
const PREPARE_WAIT: Duration = Duration::from_secs(60);

/// What is to be run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Phase {
    /// The policy.
    pub(crate) policy: Policy,
    /// The operations.
    pub(crate) group: Group,
    /// Nodes, tasks, files.
    pub(crate) layout: Layout,
    /// The seed of all choices.
    pub(crate) seed: u64,
    /// How long.
    pub(crate) length: Duration,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct PhaseResult {
    /// The sum over the nodes.
    pub(crate) tally: Tally,
    /// Operations of each node.
    pub(crate) node_ops: Vec<u64>,
    /// What every task wrote.
    pub(crate) ledgers: Vec<Ledger>,
    /// The deadlock that ended it.
    pub(crate) deadlock: Option<Deadlock>,
    /// What the phase before had left behind that was wrong.
    pub(crate) found: Errors,
}

/// A phase that runs.
struct Watch<'a> {
    phase: Phase,
    cluster: &'a mut Cluster,
    display: &'a mut Display,
    started: Instant,
    ops: Vec<u64>,
    progressed: Instant,
    looked: Instant,
    ending: bool,
    extended: bool,
    deadlock: Option<Deadlock>,
    results: Vec<Option<(Tally, Vec<Ledger>)>>,
}

impl Phase {
    /// Runs it on the cluster's nodes.
    ///
    /// # Errors
    /// [`DemoError`]: a process died, or nothing moved for too long.
    pub(crate) async fn run(
        self,
        cluster: &mut Cluster,
        display: &mut Display,
    ) -> Result<PhaseResult, DemoError> {
        display.show(&format!("{} {}: preparing", self.policy, self.group));
        cluster
            .order(|node| Order::Prepare {
                policy: self.policy,
                plan: self.plan(node),
            })
            .await?;
        let prepared = cluster.wait_for_all(PREPARE_WAIT, |event| {
            matches!(event, Event::Prepared { .. })
        });
        let mut found = Errors::default();
        for event in prepared.await? {
            if let Event::Prepared { found: errors } = event {
                found.merge(&errors);
            }
        }
        cluster.order(|_| Order::Start).await?;
        let now = Instant::now();
        let watch = Watch {
            phase: self,
            cluster,
            display,
            started: now,
            ops: vec![0; self.layout.nodes],
            progressed: now,
            looked: now,
            ending: false,
            extended: false,
            deadlock: None,
            results: (0..self.layout.nodes).map(|_| None).collect(),
        };
        let mut result = watch.run().await?;
        result.found = found;
        Ok(result)
    }

    const fn plan(&self, node: usize) -> Plan {
        Plan {
            group: self.group,
            layout: self.layout,
            seed: self.seed,
            node: node as u8,
            reads_percent: READS_PERCENT,
            bounded: Plan::bounds(self.policy),
            turns: None,
        }
    }

    /// Whether the demo is here to see a deadlock.
    fn awaits_deadlock(&self) -> bool {
        self.policy == Policy::Block && self.group == Group::Cross
    }
}

impl Watch<'_> {
    async fn run(mut self) -> Result<PhaseResult, DemoError> {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.results.iter().any(Option::is_none) {
            tokio::select! {
                event = self.cluster.next() => {
                    let (node, event) = event?;
                    self.note(node, event);
                }
                _ = ticks.tick() => self.tick().await?,
            }
        }
        self.display.clear();
        Ok(self.conclude())
    }

    fn note(&mut self, node: usize, event: Event) {
        let ops = match event {
            Event::Progress { ops } => ops,
            Event::Result { tally, ledgers } => {
                self.progressed = Instant::now();
                let ops = tally.ops;
                self.results[node] = Some((tally, ledgers));
                ops
            }
            // Late answers of the phase before.
            Event::Ready | Event::Prepared { .. } => return,
        };
        if ops > self.ops[node] {
            self.ops[node] = ops;
            self.progressed = Instant::now();
        }
    }

    async fn tick(&mut self) -> Result<(), DemoError> {
        let (elapsed, stalled) = (self.started.elapsed(), self.progressed.elapsed());
        self.display.show(&self.line(elapsed));
        if self.deadlock.is_none() && self.time_to_look(stalled) {
            self.look().await?;
        }
        if stalled > STALL_MAX {
            return Err(self.stuck().await);
        }
        if !self.ending && self.is_over(elapsed) {
            self.ending = true;
            self.cluster.order(|_| Order::Finish).await?;
        }
        Ok(())
    }

    fn time_to_look(&self, stalled: Duration) -> bool {
        let suspicious = self.phase.policy == Policy::Block || stalled > STALL_SUSPICIOUS;
        suspicious && self.looked.elapsed() > LOOK_EVERY
    }

    /// Asks for the lock graph. A deadlock is broken up at once.
    async fn look(&mut self) -> Result<(), DemoError> {
        let found = deadlock::find(self.cluster.endpoint()).await;
        self.looked = Instant::now();
        let Some(found) = found.map_err(DemoError::Graph)? else {
            return Ok(());
        };
        self.deadlock = Some(found);
        self.ending = true;
        self.progressed = self.looked;
        self.cluster.order(|_| Order::Interrupt).await
    }

    /// Whether the time is up. `block` gets more of it where it has not deadlocked yet.
    fn is_over(&mut self, elapsed: Duration) -> bool {
        let Phase { policy, length, .. } = self.phase;
        if elapsed < length {
            return false;
        }
        if !self.phase.awaits_deadlock() {
            return true;
        }
        let patience = length * PATIENCE;
        if !self.extended {
            self.extended = true;
            self.display.say(&format!(
                "{policy}: no deadlock within {} s; going on for up to {} s",
                length.as_secs(),
                patience.as_secs()
            ));
        }
        elapsed >= patience
    }

    async fn stuck(&mut self) -> DemoError {
        let graph = deadlock::dump(self.cluster.endpoint()).await;
        self.display.say(&graph);
        DemoError::Stuck {
            policy: self.phase.policy,
            group: self.phase.group,
            seconds: STALL_MAX.as_secs(),
        }
    }

    fn line(&self, elapsed: Duration) -> String {
        let ops: u64 = self.ops.iter().sum();
        let each: Vec<String> = self
            .ops
            .iter()
            .take(NODES_SHOWN_MAX)
            .map(u64::to_string)
            .collect();
        let more = if self.ops.len() > NODES_SHOWN_MAX {
            ", …"
        } else {
            ""
        };
        let state = if self.ending { ", ending" } else { "" };
        format!(
            "{} {}: {:.1} s, {ops} operations ({}{more}){state}",
            self.phase.policy,
            self.phase.group,
            elapsed.as_secs_f64(),
            each.join(", "),
        )
    }

    fn conclude(self) -> PhaseResult {
        let mut result = PhaseResult {
            tally: Tally::default(),
            node_ops: Vec::new(),
            ledgers: Vec::new(),
            deadlock: self.deadlock,
            found: Errors::default(),
        };
        for (tally, ledgers) in self.results.into_iter().flatten() {
            result.node_ops.push(tally.ops);
            result.tally.merge(&tally);
            result.ledgers.extend(ledgers);
        }
        result
    }
}

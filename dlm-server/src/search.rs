//! The deadlock search: looking at the locks twice, and where a lockspace wants it, ending a wait.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use dlm_core::LockspaceId;
use dlm_core::deadlock::{self, Graph, ResourceView, Victim};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{sleep, timeout};
use tracing::debug;

use crate::error::LookError;
use crate::limits::{REPORT_WAIT_MAX, SEARCH_PAUSE_FACTOR, SECOND_LOOK_AFTER, WAIT_SEARCHED_AFTER};
use crate::shard::{Command, Seen};

/// Whoever looks at the shard from outside of its loop.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    shard: mpsc::Sender<Command>,
}

impl Search {
    pub(crate) const fn new(shard: mpsc::Sender<Command>) -> Self {
        Self { shard }
    }

    /// Asks the shard, and waits for its answer.
    pub(crate) async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, LookError> {
        let (sender, answer) = oneshot::channel();
        let sent = self.shard.send(question(sender)).await;
        sent.map_err(|_| LookError::Stopping)?;
        answer.await.map_err(|_| LookError::Stopping)
    }

    /// Looks once: asks all sessions for their local holders, and takes what has come in when all have
    /// answered or the time is over.
    async fn look(&self, lockspace: Option<&String>) -> Result<Seen, LookError> {
        let started = self.ask(|started| Command::StartLook { started }).await?;
        let (query, complete) = started?;
        // Late or not, the shard knows which of them are missing.
        let _ = timeout(REPORT_WAIT_MAX, complete.notified()).await;
        let lockspace = lockspace.cloned();
        self.ask(|finished| Command::FinishLook {
            query,
            lockspace,
            finished,
        })
        .await?
    }

    /// The graph, with those cycles that were there twice. The reports of different nodes are of
    /// different moments, so that one look alone could show a cycle that never was.
    pub(crate) async fn confirmed(
        &self,
        lockspace: Option<&String>,
    ) -> Result<(Seen, Graph), LookError> {
        let seen = self.look(lockspace).await?;
        let first = graph_of(&seen);
        if first.cycles.is_empty() {
            return Ok((seen, first));
        }
        sleep(SECOND_LOOK_AFTER).await;
        let seen = self.look(lockspace).await?;
        let second = graph_of(&seen);
        Ok((seen, deadlock::confirm(&first, &second)))
    }

    /// The waits to end. Of cycles that have tasks in common a graph shows one only, and that may be one
    /// that nothing may be done about. So the lockspaces that want deadlocks broken are looked at by
    /// themselves, then everything together, for the cycles that go through others too.
    async fn victims(&self) -> Result<Vec<Victim>, LookError> {
        let first = self.look(None).await?;
        if graph_of(&first).cycles.is_empty() {
            return Ok(Vec::new());
        }
        sleep(SECOND_LOOK_AFTER).await;
        let second = self.look(None).await?;
        let within = |seen: &Seen| {
            let resources = within(&seen.resources, &seen.breaking);
            deadlock::build_at(seen.now, &resources, &seen.collected.reports)
        };
        let mut ended = victims(
            &second,
            &deadlock::confirm(&within(&first), &within(&second)),
        );
        if ended.is_empty() {
            let confirmed = deadlock::confirm(&graph_of(&first), &graph_of(&second));
            ended = victims(&second, &confirmed);
        }
        Ok(ended)
    }

    /// Breaks deadlocks for as long as the shard lives. Nothing is looked at unless somebody has waited
    /// for long in a lockspace that wants it, and the more a look costs the rarer it is.
    pub(crate) async fn break_deadlocks(self) {
        let mut pause = WAIT_SEARCHED_AFTER;
        loop {
            sleep(pause).await;
            pause = WAIT_SEARCHED_AFTER;
            let us = u64::try_from(WAIT_SEARCHED_AFTER.as_micros()).unwrap_or(u64::MAX);
            match self.ask(|answer| Command::LongWait { us, answer }).await {
                Err(_) => return,
                Ok(false) => continue,
                Ok(true) => {}
            }
            let started = Instant::now();
            match self.victims().await {
                Err(LookError::Stopping) => return,
                // As many are looking as may: they see the cycles too, and the next look breaks them.
                Err(why) => debug!(%why, "no look at the locks"),
                Ok(victims) if victims.is_empty() => {}
                Ok(victims) => {
                    let ends = Command::EndWaits { victims };
                    if self.shard.send(ends).await.is_err() {
                        return;
                    }
                }
            }
            // What it waited for, reports and the second look, cost nothing.
            let waited = SECOND_LOOK_AFTER + 2 * REPORT_WAIT_MAX;
            let cost = started.elapsed().saturating_sub(waited);
            pause = pause
                .max(cost * SEARCH_PAUSE_FACTOR)
                .min(Duration::from_secs(10));
        }
    }
}

fn graph_of(seen: &Seen) -> Graph {
    deadlock::build_at(seen.now, &seen.resources, &seen.collected.reports)
}

/// One wait of each cycle, among those in lockspaces that want deadlocks broken.
fn victims(seen: &Seen, graph: &Graph) -> Vec<Victim> {
    let mut may_end = within(&seen.resources, &seen.breaking);
    may_end.retain(|resource| resource.locks.iter().any(|lock| lock.requested.is_some()));
    let cycles = graph.cycles.iter();
    cycles
        .filter_map(|cycle| deadlock::victim(&may_end, graph, cycle))
        .collect()
}

fn within(resources: &[ResourceView], lockspaces: &BTreeSet<LockspaceId>) -> Vec<ResourceView> {
    let wanted = |resource: &&ResourceView| lockspaces.contains(&resource.lockspace);
    resources.iter().filter(wanted).cloned().collect()
}

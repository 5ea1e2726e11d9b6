//! The deadlocks that there are, looked for while somebody watches.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use dlm_core::deadlock;
use glockwork_proto::{render, wire};
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::debug;

use super::Look;
use super::graph::sight;
use super::search::somebody_waits_somewhere;
use crate::error::LookError;
use crate::limits::{CYCLES_EVERY, REPORT_WAIT_MAX, SEARCH_PAUSE_FACTOR, SECOND_LOOK_AFTER};

/// The cycles of the last look, for all that watch.
pub(super) type Seen = watch::Receiver<Arc<Vec<wire::Cycle>>>;

/// The longest pause between two looks.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// One search for all watchers of a server, that runs while there are any.
#[derive(Debug, Default)]
pub(super) struct Cycles {
    seen: watch::Sender<Arc<Vec<wire::Cycle>>>,
    runs: Mutex<bool>,
}

impl Cycles {
    /// For one more watcher.
    pub(super) fn watch<L: Look>(self: &Arc<Self>, look: &L) -> Seen {
        let mut runs = self.runs();
        let seen = self.seen.subscribe();
        if !*runs {
            *runs = true;
            tokio::spawn(Arc::clone(self).search(look.clone()));
        }
        seen
    }

    /// Looks again and again, and the rarer the more it costs.
    async fn search<L: Look>(self: Arc<Self>, look: L) {
        loop {
            let started = Instant::now();
            match cycles(&look).await {
                Ok(cycles) => {
                    let changed = |seen: &mut Arc<Vec<wire::Cycle>>| {
                        let is_news = !same(seen, &cycles);
                        if is_news {
                            *seen = Arc::new(cycles);
                        }
                        is_news
                    };
                    self.seen.send_if_modified(changed);
                }
                Err(why) => debug!(%why, "no look at the locks"),
            }
            let waited = SECOND_LOOK_AFTER + 2 * REPORT_WAIT_MAX;
            let cost = started.elapsed().saturating_sub(waited);
            sleep(CYCLES_EVERY.max(cost * SEARCH_PAUSE_FACTOR).min(PAUSE_MAX)).await;
            let mut runs = self.runs();
            if self.seen.receiver_count() == 0 {
                *runs = false;
                self.seen.send_replace(Arc::default());
                return;
            }
        }
    }

    fn runs(&self) -> MutexGuard<'_, bool> {
        self.runs.lock().expect("nothing panics while it has it")
    }
}

async fn cycles<L: Look>(look: &L) -> Result<Vec<wire::Cycle>, LookError> {
    if !somebody_waits_somewhere(look, CYCLES_EVERY, true).await? {
        return Ok(Vec::new());
    }
    let first = sight(look, "", true).await?;
    let graph = first.graph();
    if graph.cycles.is_empty() {
        return Ok(Vec::new());
    }
    sleep(SECOND_LOOK_AFTER).await;
    let second = sight(look, "", true).await?;
    let confirmed = deadlock::confirm(&graph, &second.graph());
    Ok(render::cycles(&confirmed, &second.reports, &second.names))
}

/// What a cycle is, however long it has lasted and wherever it is said to begin.
type Identity = Vec<(u64, u64, u64, u64, String, Vec<u8>)>;

fn identity(cycle: &wire::Cycle) -> Identity {
    let task = |task: &Option<wire::GraphTask>| {
        let task = task.as_ref();
        task.map_or((0, 0), |task| (task.session, task.owner))
    };
    let edges = cycle.edges.iter().map(|edge| {
        let (waiter, holder) = (task(&edge.waiter), task(&edge.holder));
        let name = edge.name.to_vec();
        (
            waiter.0,
            waiter.1,
            holder.0,
            holder.1,
            edge.lockspace.clone(),
            name,
        )
    });
    let mut identity: Identity = edges.collect();
    identity.sort_unstable();
    identity
}

fn same(a: &[wire::Cycle], b: &[wire::Cycle]) -> bool {
    a.len() == b.len() && missing(a, b).is_empty()
}

/// Those of `all` that are not among the `others`.
pub(super) fn missing(all: &[wire::Cycle], others: &[wire::Cycle]) -> Vec<wire::Cycle> {
    let others: Vec<Identity> = others.iter().map(identity).collect();
    let missing = all
        .iter()
        .filter(|cycle| !others.contains(&identity(cycle)));
    missing.cloned().collect()
}

#[cfg(test)]
mod tests {
    use std::slice::from_ref;

    use super::*;

    fn edge(waiter: u64, holder: u64, waited_us: u64) -> wire::GraphEdge {
        let task = |session| {
            Some(wire::GraphTask {
                session,
                ..wire::GraphTask::default()
            })
        };
        wire::GraphEdge {
            waiter: task(waiter),
            holder: task(holder),
            waited_us,
            ..wire::GraphEdge::default()
        }
    }

    fn cycle(edges: &[(u64, u64, u64)]) -> wire::Cycle {
        let edges = edges.iter();
        let edges = edges.map(|&(waiter, holder, us)| edge(waiter, holder, us));
        wire::Cycle {
            edges: edges.collect(),
        }
    }

    #[test]
    fn a_cycle_is_the_same_wherever_it_begins_and_however_long_it_lasts() {
        let now = cycle(&[(1, 2, 100), (2, 1, 90)]);
        let later = cycle(&[(2, 1, 190), (1, 2, 200)]);
        let other = cycle(&[(1, 3, 100), (3, 1, 90)]);
        assert!(same(from_ref(&now), from_ref(&later)));
        assert!(!same(from_ref(&now), from_ref(&other)));
        assert_eq!(missing(&[later, other.clone()], &[now]), [other]);
    }
}

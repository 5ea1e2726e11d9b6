//! Looks for deadlocks of the run's tasks, and breaks them up.

use std::sync::Arc;
use std::time::Duration;

use glockwork_runs::{Deadlock, Event, EventKind};
use tokio::time::{sleep, timeout};

use super::shared::Shared;
use crate::graph::text;
use crate::inspect;
use crate::nodes::Policy;

/// How often the lock graph is asked for cycles.
const LOOK_EVERY: Duration = Duration::from_millis(300);
/// A run without an operation for so long is looked at, whatever its policy promises.
const SUSPICIOUS: Duration = Duration::from_secs(2);
/// How long the servers may take to answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Ends when a deadlock was found and all nodes were told to interrupt it.
pub(super) async fn watch(shared: Arc<Shared>) {
    loop {
        sleep(LOOK_EVERY).await;
        let idle = shared.state().moved.elapsed();
        if shared.config.policy != Policy::Block && idle < SUSPICIOUS {
            continue;
        }
        let asking = inspect::graph_of(&shared.servers, &shared.lockspace);
        let Ok(Ok(graph)) = timeout(ANSWER_MAX, asking).await else {
            // Servers that are down are what some scenarios are about.
            continue;
        };
        if graph.cycles.is_empty() {
            continue;
        }
        let (at_us, edges) = (shared.now_us(), text::cycle(&graph, 0));
        let waits = edges.len();
        shared.state().deadlock = Some(Deadlock { at_us, edges });
        let said = format!("a cycle of {waits} waits, which is broken up");
        shared.happened(Event::of_all(at_us, EventKind::Deadlock, said));
        stop(&shared, true).await;
        return;
    }
}

/// Tells all nodes to end; with `interrupt` also the tasks that wait for locks. Those that do not hear it end by
/// themselves, or are gone.
pub(super) async fn stop(shared: &Shared, interrupt: bool) {
    let handles = shared.state().handles.clone();
    for (handle, _) in handles {
        if let Err(error) = handle.stop(shared.run, interrupt).await {
            tracing::debug!(%error, "not stopped");
        }
    }
}

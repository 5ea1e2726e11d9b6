//! Deadlocks as the lock graph shows them.

use std::time::Duration;

use dlm_client::graph::{Edge, GraphSnapshot, svg, text};
use dlm_client::inspect;
use dlm_client::{Role, Servers};
use serde::Serialize;
use tokio::time::timeout;

/// How long the lock server may take to answer. It waits half a second for a node that is slow, and
/// looks twice.
const ANSWER_WAIT: Duration = Duration::from_secs(5);

/// One wait of a deadlock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct EdgeReport {
    /// The task that waits.
    pub(crate) waiter: String,
    /// The task in its way.
    pub(crate) holder: String,
    /// What both want.
    pub(crate) resource: String,
    /// The mode the waiter wants.
    pub(crate) wants: String,
    /// The mode the holder has.
    pub(crate) holds: String,
    /// What the holder has it for: `operation`, `pin` or `fault`.
    pub(crate) role: &'static str,
    /// How many pages the holder has pinned under it.
    pub(crate) pins: u32,
    /// How long the waiter has waited, in microseconds.
    pub(crate) waited_us: u64,
}

/// A deadlock that was seen twice, edge for edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Deadlock {
    /// Its waits; the holder of each is the waiter of the next.
    pub(crate) edges: Vec<EdgeReport>,
    /// The same for people.
    pub(crate) text: String,
    /// The whole graph as a picture.
    pub(crate) svg: String,
}

/// Looks for a deadlock; of several, one over as many nodes as possible.
///
/// # Errors
/// One line, where the server cannot be asked.
pub(crate) async fn find(endpoint: &str) -> Result<Option<Deadlock>, String> {
    Ok(pick(&look(endpoint).await?))
}

/// The whole graph for people, or why there is none.
pub(crate) async fn dump(endpoint: &str) -> String {
    look(endpoint)
        .await
        .map_or_else(|error| error, |graph| text::render(&graph))
}

async fn look(endpoint: &str) -> Result<GraphSnapshot, String> {
    let servers = Servers::parse(endpoint).map_err(|error| error.to_string())?;
    match timeout(ANSWER_WAIT, inspect::graph(&servers)).await {
        Ok(answer) => answer.map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {} s", ANSWER_WAIT.as_secs())),
    }
}

fn pick(graph: &GraphSnapshot) -> Option<Deadlock> {
    let sessions = |&cycle: &usize| {
        let mut sessions: Vec<u64> = graph.cycle(cycle).map(|edge| edge.waiter.session).collect();
        sessions.sort_unstable();
        sessions.dedup();
        sessions.len()
    };
    let cycle = (0..graph.cycles.len()).max_by_key(sessions)?;
    let lines: Vec<String> = text::cycle(graph, cycle)
        .into_iter()
        .map(|line| format!("  {line}"))
        .collect();
    Some(Deadlock {
        edges: graph.cycle(cycle).map(report).collect(),
        text: lines.join("\n"),
        svg: svg::render(graph),
    })
}

fn report(edge: &Edge) -> EdgeReport {
    EdgeReport {
        waiter: edge.waiter.to_string(),
        holder: edge.holder.to_string(),
        resource: edge.object.to_string(),
        wants: edge.wants.to_string(),
        holds: edge.holds.to_string(),
        role: match edge.role {
            Role::Operation => "operation",
            Role::Pin => "pin",
            Role::Fault => "fault",
        },
        pins: edge.pins,
        waited_us: edge.waited_us,
    }
}

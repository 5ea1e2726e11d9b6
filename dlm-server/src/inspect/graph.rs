//! The lock graph over all servers. It is looked at twice before a cycle in it is believed.

use std::collections::BTreeSet;

use dlm_core::deadlock::{self, Graph, NodeReport, ResourceView};
use dlm_core::{LockspaceId, SessionId, Tick};
use glockwork_proto::coverage::Coverage;
use glockwork_proto::holders::HoldersReport;
use glockwork_proto::limits::GRAPH_REPLY_BYTES_MAX;
use glockwork_proto::render::Names;
use glockwork_proto::{convert, wire};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::ask::others;
use super::{Look, pieces};
use crate::error::LookError;
use crate::limits::{REPORT_WAIT_MAX, SECOND_LOOK_AFTER};
use crate::view::graph::{Which, breaking};
use crate::view::merge::{self, Joined};
use crate::view::names;

/// What one look saw.
#[derive(Debug)]
pub(super) struct Sight {
    pub(super) joined: Joined,
    /// The tasks behind the locks, of the sessions that have a stream to this server.
    pub(super) reports: Vec<NodeReport>,
    /// Those that did not answer.
    pub(super) silent: Vec<SessionId>,
    /// The lockspaces that want deadlocks broken.
    pub(super) breaking: BTreeSet<LockspaceId>,
    pub(super) names: Names,
    pub(super) coverage: Coverage,
    /// When, by this server's clock.
    pub(super) now: Tick,
}

impl Sight {
    pub(super) fn graph(&self) -> Graph {
        deadlock::build_at(self.now, &self.joined.resources, &self.reports)
    }

    /// The locks in these lockspaces only.
    pub(super) fn within(&self, lockspaces: &BTreeSet<LockspaceId>) -> Vec<ResourceView> {
        let resources = self.joined.resources.iter();
        let wanted = resources.filter(|one| lockspaces.contains(&one.lockspace));
        wanted.cloned().collect()
    }
}

/// Looks once at all servers.
pub(super) async fn sight<L: Look>(
    look: &L,
    lockspace: &str,
    waited_for: bool,
) -> Result<Sight, LookError> {
    let name = lockspace.to_owned();
    let only = look.look(move |node, _| crate::view::lockspace(node, &name));
    let only = only.await??;
    let which = Which {
        lockspace: only,
        waited_for,
    };
    // What the nodes say first: what they wait for at a server has then come there.
    let (mut reports, silent) = reports(look).await?;
    let mut others = others(look, false).await?;
    let asked = others.ask(|channel| {
        let request = wire::GraphRequest {
            lockspace: lockspace.to_owned(),
            local: true,
            waited_for,
            ..wire::GraphRequest::default()
        };
        let client = wire::inspect_client::InspectClient::new(channel);
        let mut client = client.max_decoding_message_size(GRAPH_REPLY_BYTES_MAX);
        async move { client.graph(request).await }
    });
    let theirs = asked.await;
    let (ours, now) = pieces::see(look, which).await?;
    others.coverage.slots.extend(ours.slots);
    let mut seen = ours.resources;
    for reply in theirs {
        seen.extend(convert::graph_resources(now, reply.resources)?);
        others.cover(reply.coverage)?;
    }
    let mut joined = merge::join(seen);
    if let Some(only) = only {
        for report in &mut reports {
            report.glocks.retain(|glock| glock.lockspace == only);
        }
    }
    if waited_for {
        let resources = std::mem::take(&mut joined.resources);
        joined.resources = merge::with_local_waits(resources, &reports);
    }
    let known = look.look(|node, _| (breaking(node), names(node))).await?;
    Ok(Sight {
        joined,
        reports,
        silent,
        breaking: known.0,
        names: known.1,
        coverage: others.coverage,
        now,
    })
}

/// Asks every session that lives who stands behind its locks.
async fn reports<L: Look>(look: &L) -> Result<(Vec<NodeReport>, Vec<SessionId>), LookError> {
    let live = look.look(|node, _| -> Vec<SessionId> {
        let sessions = node.state().sessions().iter();
        let live = sessions.filter(|(_, one)| one.is_live());
        live.map(|(&session, _)| session).collect()
    });
    let live = live.await?;
    let mut asked = JoinSet::new();
    for session in live {
        let look = look.clone();
        asked.spawn(async move {
            let asking = timeout(REPORT_WAIT_MAX, look.holders(session));
            (session, asking.await.unwrap_or(Ok(None)))
        });
    }
    let (mut reports, mut silent) = (Vec::new(), Vec::new());
    while let Some(Ok((session, answer))) = asked.join_next().await {
        match answer? {
            Some(report) => reports.extend(node_report(session, report)),
            None => silent.push(session),
        }
    }
    // In the order of the sessions and not of the network.
    reports.sort_by_key(|report| report.session);
    silent.sort_unstable();
    Ok((reports, silent))
}

/// A client without a registry of glocks answers with nothing. For the graph it is then one task for each
/// owner that its locks name, and not a node that has no holders.
fn node_report(session: SessionId, report: HoldersReport) -> Option<NodeReport> {
    let reports = !report.tasks.is_empty() || !report.glocks.is_empty();
    reports.then(|| NodeReport {
        session,
        tasks: report
            .tasks
            .into_iter()
            .map(|(owner, name)| (owner, name.into()))
            .collect(),
        glocks: report.glocks,
    })
}

/// The graph, with those cycles that were there twice. What servers and nodes say is of different moments, so
/// that one look alone could show a cycle that never was.
pub(super) async fn confirmed<L: Look>(
    look: &L,
    lockspace: &str,
) -> Result<(Sight, Graph), LookError> {
    let first = sight(look, lockspace, false).await?;
    let graph = first.graph();
    if graph.cycles.is_empty() {
        return Ok((first, graph));
    }
    sleep(SECOND_LOOK_AFTER).await;
    let second = sight(look, lockspace, false).await?;
    let confirmed = deadlock::confirm(&graph, &second.graph());
    Ok((second, confirmed))
}

//! What the sessions have counted of their glocks. Each is asked once, by one server: first those that have a
//! stream here, then the others for the rest.

use std::collections::{BTreeMap, BTreeSet};

use dlm_core::{LockspaceId, SessionId};
use glockwork_proto::caches::{Cache, Caches, SessionCache};
use glockwork_proto::glocks::GlocksQuery;
use glockwork_proto::holders::QueryId;
use glockwork_proto::{convert, wire};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Look;
use super::ask::others;
use crate::error::LookError;
use crate::limits::REPORT_WAIT_MAX;
use crate::node::Node;
use crate::view::names;

/// The caches of the sessions that are asked for, or of all.
pub(super) async fn collect<L: Look>(
    look: &L,
    request: wire::CachesRequest,
) -> Result<Caches, LookError> {
    let wanted: BTreeSet<SessionId> = request.sessions.into_iter().map(SessionId).collect();
    let known = look.look(move |node, _| (live(node, &wanted), names(node).lockspaces));
    let (live, lockspaces) = known.await?;
    let mut answers = ask(look, live.keys().copied()).await?;
    let mut caches = Vec::new();
    let mut silent = BTreeMap::new();
    for (session, name) in live {
        let Some(counted) = answers.remove(&session) else {
            silent.insert(session, name);
            continue;
        };
        let named = |one: Cache| SessionCache {
            session,
            session_name: name.clone(),
            lockspace: lockspaces
                .get(&one.lockspace)
                .map_or_else(|| unnamed(one.lockspace), |name| name.as_str().to_owned()),
            counters: one.counters,
        };
        caches.extend(counted.into_iter().map(named));
    }
    if !request.local && !silent.is_empty() {
        caches.extend(elsewhere(look, &mut silent).await?);
    }
    caches.sort_by(|a, b| (a.session, &a.lockspace).cmp(&(b.session, &b.lockspace)));
    Ok(Caches {
        caches,
        silent: silent.into_iter().collect(),
    })
}

/// The sessions that live, of those that are wanted, with their names.
fn live(node: &Node, wanted: &BTreeSet<SessionId>) -> BTreeMap<SessionId, String> {
    let sessions = node.state().sessions().iter();
    sessions
        .filter(|(session, one)| one.is_live() && (wanted.is_empty() || wanted.contains(session)))
        .map(|(&session, one)| (session, one.name.as_str().to_owned()))
        .collect()
}

fn unnamed(lockspace: LockspaceId) -> String {
    format!("lockspace {}", lockspace.0)
}

/// Asks them at once, over their streams to this server. What does not answer is not there.
async fn ask<L: Look>(
    look: &L,
    sessions: impl Iterator<Item = SessionId>,
) -> Result<BTreeMap<SessionId, Vec<Cache>>, LookError> {
    let mut asked = JoinSet::new();
    for session in sessions {
        let look = look.clone();
        asked.spawn(async move {
            let query = GlocksQuery {
                query: QueryId(0),
                lockspace: LockspaceId(0),
                after: None,
                caches: true,
            };
            let asking = timeout(REPORT_WAIT_MAX, look.glocks(session, query));
            (session, asking.await.unwrap_or(Ok(None)))
        });
    }
    let mut answers = BTreeMap::new();
    while let Some(Ok((session, answer))) = asked.join_next().await {
        if let Some(report) = answer? {
            answers.insert(session, report.caches);
        }
    }
    Ok(answers)
}

/// What the other servers hear of those that are silent here. They are silent no more then.
async fn elsewhere<L: Look>(
    look: &L,
    silent: &mut BTreeMap<SessionId, String>,
) -> Result<Vec<SessionCache>, LookError> {
    let request = wire::CachesRequest {
        sessions: silent.keys().map(|session| session.0).collect(),
        local: true,
    };
    let mut others = others(look, false).await?;
    let asked = others.ask(|channel| {
        let mut client = wire::inspect_client::InspectClient::new(channel);
        let request = request.clone();
        async move { client.caches(request).await }
    });
    let mut heard = Vec::new();
    for reply in asked.await {
        let reply = convert::caches_reply(reply);
        let deaf: BTreeSet<SessionId> = reply.silent.iter().map(|(session, _)| *session).collect();
        // A session counts as heard once, whatever others say of it.
        let newly: BTreeSet<SessionId> = silent
            .keys()
            .copied()
            .filter(|session| !deaf.contains(session))
            .collect();
        heard.extend(
            reply
                .caches
                .into_iter()
                .filter(|one| newly.contains(&one.session)),
        );
        silent.retain(|session, _| !newly.contains(session));
    }
    Ok(heard)
}

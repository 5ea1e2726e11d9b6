//! The cluster's status over all servers, and orphans that go everywhere.

use dlm_core::{Owner, SessionId};
use glockwork_proto::coverage::{Coverage, Unreachable};
use glockwork_proto::{convert, render, wire};

use super::Look;
use super::ask::others;
use crate::error::LookError;
use crate::node::{Input, OrderRefusal, Ordered};
use crate::view;

/// `Cluster.Status`.
///
/// # Errors
/// [`LookError`].
pub async fn cluster_status<L: Look>(
    look: &L,
    request: wire::ClusterStatusRequest,
) -> Result<wire::ClusterStatusReply, LookError> {
    let mut others = others(look, request.local).await?;
    let asked = others.ask(|channel| {
        let mut client = wire::cluster_client::ClusterClient::new(channel);
        async move {
            client
                .status(wire::ClusterStatusRequest { local: true })
                .await
        }
    });
    let mut theirs = asked.await;
    let mut ours = look.look(view::cluster::status).await?;
    for reply in theirs.iter_mut().chain([&mut ours]) {
        others.cover(reply.coverage.take())?;
    }
    let mut merged = view::merge::cluster(ours, theirs);
    merged.coverage = Some(render::coverage(others.coverage));
    Ok(merged)
}

/// `Lock.Purge`: takes the orphans of a session away at all servers.
///
/// # Errors
/// [`LookError`].
pub async fn purge<L: Look>(
    look: &L,
    request: wire::PurgeRequest,
) -> Result<wire::PurgeReply, LookError> {
    let name = request.lockspace.clone();
    let known = look.look(move |node, _| (view::lockspace(node, &name), node.server()));
    let (lockspace, server) = known.await?;
    let named = lockspace?;
    let Some(lockspace) = named else {
        return Err(LookError::NoSuchLockspace(request.lockspace));
    };
    let session = SessionId(request.session);
    let owner = request.owner.map(Owner);
    let order = move |order| Input::PurgeOrphans {
        order,
        session,
        lockspace,
        owner,
    };
    let mut others = others(look, request.local).await?;
    let mut locks = 0;
    match look.order(order).await? {
        Ordered::Purged { locks: gone, slots } => {
            locks += gone;
            others.coverage.merge(Coverage::of(slots));
        }
        Ordered::Refused(OrderRefusal::NoSuchSession) => {
            return Err(LookError::NoSuchSession(session.0));
        }
        Ordered::Refused(OrderRefusal::SessionDead) => {
            return Err(LookError::SessionDead(session.0));
        }
        Ordered::Refused(OrderRefusal::NoSuchLockspace) => {
            return Err(LookError::NoSuchLockspace(request.lockspace));
        }
        Ordered::Refused(why) if request.local => return Err(why.into()),
        Ordered::Refused(why) => {
            let why = why.to_string();
            let one = Unreachable {
                endpoint: None,
                why,
            };
            others.coverage.unreachable.insert(server, one);
        }
        Ordered::WaitEnded | Ordered::NoSuchWait => {}
    }
    let asked = others.ask(|channel| {
        let mut client = wire::lock_client::LockClient::new(channel);
        let request = wire::PurgeRequest {
            local: true,
            ..request.clone()
        };
        async move { client.purge(request).await }
    });
    for reply in asked.await {
        locks += u64::from(reply.locks);
        others.coverage.merge(convert::coverage(reply.coverage)?);
    }
    Ok(wire::PurgeReply {
        locks: u32::try_from(locks).unwrap_or(u32::MAX),
        coverage: Some(render::coverage(others.coverage)),
    })
}

//! The leader's search for deadlocks, for the lockspaces that want them broken.

use std::time::{Duration, Instant};

use dlm_core::ServerId;
use dlm_core::deadlock::{self, Graph, Victim};
use dlm_core::{Epoch, SlotId};
use glockwork_proto::wire;
use tokio::time::sleep;
use tracing::{debug, info};

use super::Look;
use super::ask::{in_time, others};
use super::graph::{Sight, sight};
use crate::error::LookError;
use crate::limits::{REPORT_WAIT_MAX, SEARCH_PAUSE_FACTOR, SECOND_LOOK_AFTER, WAIT_SEARCHED_AFTER};
use crate::node::{Input, Node, Ordered};
use crate::view::graph::{breaking, somebody_waits};

/// The longest pause between two searches.
const PAUSE_MAX: Duration = Duration::from_secs(10);

/// Breaks deadlocks for as long as the server runs, and whenever it leads. Nothing is looked at unless
/// somebody has waited for long in a lockspace that wants it, and the more a look costs the rarer it is.
pub async fn break_deadlocks<L: Look>(look: L) {
    let mut pause = WAIT_SEARCHED_AFTER;
    loop {
        sleep(pause).await;
        pause = WAIT_SEARCHED_AFTER;
        let started = Instant::now();
        match break_once(&look).await {
            Err(LookError::Stopping) => return,
            Err(why) => debug!(%why, "no look at the locks"),
            Ok(None) => continue,
            Ok(Some(ended)) => debug!(ended, "looked for deadlocks"),
        }
        // What it waited for, reports and the second look, cost nothing.
        let waited = SECOND_LOOK_AFTER + 2 * REPORT_WAIT_MAX;
        let cost = started.elapsed().saturating_sub(waited);
        pause = pause.max(cost * SEARCH_PAUSE_FACTOR).min(PAUSE_MAX);
    }
}

/// Looks for deadlocks once, if this server leads and somebody has waited for long in a lockspace that wants
/// them broken; says how many waits it ended, and `None` where it did not look.
///
/// # Errors
/// [`LookError`].
pub async fn break_once<L: Look>(look: &L) -> Result<Option<usize>, LookError> {
    let wanted = look.look(|node, _| {
        let leads = node.leader() == Some(node.server());
        leads && !breaking(node).is_empty()
    });
    if !wanted.await? || !somebody_waits_somewhere(look, WAIT_SEARCHED_AFTER, false).await? {
        return Ok(None);
    }
    let first = sight(look, "", true).await?;
    if first.graph().cycles.is_empty() {
        return Ok(Some(0));
    }
    sleep(SECOND_LOOK_AFTER).await;
    let second = sight(look, "", true).await?;
    let mut ended = 0;
    for victim in victims(&first, &second) {
        let Some(place) = second.joined.place_of(victim) else {
            continue;
        };
        ended += usize::from(end(look, victim, place).await?);
    }
    Ok(Some(ended))
}

/// Whether somebody has waited so long at any server, in a lockspace that wants deadlocks broken or in `any`.
pub(super) async fn somebody_waits_somewhere<L: Look>(
    look: &L,
    for_long: Duration,
    any: bool,
) -> Result<bool, LookError> {
    let us = u64::try_from(for_long.as_micros()).unwrap_or(u64::MAX);
    let here = look.look(move |node, now| somebody_waits(node, now, us, any));
    if here.await? {
        return Ok(true);
    }
    let mut others = others(look, false).await?;
    let asked = others.ask(|channel| {
        let request = wire::GraphRequest {
            local: true,
            waited_for: true,
            if_waited_us: Some(us),
            anywhere: any,
            ..wire::GraphRequest::default()
        };
        let mut client = wire::inspect_client::InspectClient::new(channel);
        async move { client.graph(request).await }
    });
    let replies = asked.await;
    Ok(replies.iter().any(|reply| !reply.resources.is_empty()))
}

/// The waits to end. Of cycles that have tasks in common a graph shows one only, and that may be one
/// that nothing may be done about. So the lockspaces that want deadlocks broken are looked at by
/// themselves, then everything together, for the cycles that go through others too.
fn victims(first: &Sight, second: &Sight) -> Vec<Victim> {
    let within = |sight: &Sight| {
        let resources = sight.within(&second.breaking);
        deadlock::build_at(sight.now, &resources, &sight.reports)
    };
    let confirmed = deadlock::confirm(&within(first), &within(second));
    let mut ended = victims_of(second, &confirmed);
    if ended.is_empty() {
        let confirmed = deadlock::confirm(&first.graph(), &second.graph());
        ended = victims_of(second, &confirmed);
    }
    ended
}

/// One wait of each cycle, among those in lockspaces that want deadlocks broken.
fn victims_of(sight: &Sight, graph: &Graph) -> Vec<Victim> {
    let mut may_end = sight.within(&sight.breaking);
    may_end.retain(|resource| resource.locks.iter().any(|lock| lock.requested.is_some()));
    let cycles = graph.cycles.iter();
    cycles
        .filter_map(|cycle| deadlock::victim(&may_end, graph, cycle))
        .collect()
}

/// Ends a wait at the master of its slot, if it is still there. Says whether it did.
async fn end<L: Look>(
    look: &L,
    victim: Victim,
    (slot, epoch): (SlotId, Epoch),
) -> Result<bool, LookError> {
    let master = look.look(move |node: &Node, _| {
        let at = node.state().slot(slot);
        let master = at.master.filter(|_| at.epoch == epoch)?;
        Some((master.server, master.server == node.server()))
    });
    let Some((server, is_ours)) = master.await? else {
        return Ok(false);
    };
    let ended = if is_ours {
        let order = move |order| Input::EndWait {
            order,
            slot,
            epoch,
            victim,
        };
        look.order(order).await? == Ordered::WaitEnded
    } else {
        end_elsewhere(look, server, victim, (slot, epoch)).await?
    };
    if ended {
        let (session, lock) = (victim.session.0, victim.lock.0);
        info!(session, lock, server = server.0, "a deadlock's victim");
    }
    Ok(ended)
}

async fn end_elsewhere<L: Look>(
    look: &L,
    server: ServerId,
    victim: Victim,
    (slot, epoch): (SlotId, Epoch),
) -> Result<bool, LookError> {
    let others = others(look, false).await?;
    let Some(other) = others.all.into_iter().find(|other| other.server == server) else {
        return Ok(false);
    };
    let mut client = wire::inspect_client::InspectClient::new(other.channel);
    let asked = client.end_wait(wire::EndWaitRequest {
        slot: slot.number(),
        epoch: epoch.0,
        session: victim.session.0,
        lock: victim.lock.0,
        serial: victim.serial,
    });
    match in_time(asked).await {
        Ok(reply) => Ok(reply.into_inner().ended),
        // The deadlock stands, and is found again.
        Err(why) => {
            debug!(server = server.0, why, "a wait was not ended");
            Ok(false)
        }
    }
}

//! What does not go on, and on what that waits.

use std::collections::BTreeMap;

use dlm_core::cluster::{ClusterState, FenceNeed, Origin, Phase};
use dlm_core::{LockspaceId, SessionId, Tick};
use glockwork_proto::wire;
use glockwork_proto::wire::blocked::By;

use crate::node::Node;

/// What does not go on, as far as this server knows: what the cluster's state says, and what the masters here
/// wait for.
#[must_use]
pub fn blocked(node: &Node, now: Tick) -> Vec<wire::Blocked> {
    let state = node.state();
    let mut all = Vec::new();
    if node.leader().is_none() {
        all.push(by(By::NoLeader));
    }
    if node.lease_left_us(now).is_none() {
        let ours = |server| Some(server) == Some(node.server());
        let masters = state.slots().filter_map(|(_, slot)| slot.master);
        match masters.filter(|master| ours(master.server)).count() as u32 {
            0 => {}
            slots => all.push(wire::Blocked {
                server: node.server().0,
                slots,
                ..by(By::NoLease)
            }),
        }
    }
    of_slots(state, &mut all);
    of_masters(node, &mut all);
    of_the_dead(node, &mut all);
    all
}

/// Whether it is something that a master knows and the cluster's state does not have, so that every server
/// has to say it for itself.
#[must_use]
pub const fn is_a_servers_own(by: By) -> bool {
    matches!(by, By::NoLease | By::Reassert | By::UnknownLocks)
}

fn by(by: By) -> wire::Blocked {
    wire::Blocked {
        by: by.into(),
        ..wire::Blocked::default()
    }
}

fn of_slots(state: &ClusterState, all: &mut Vec<wire::Blocked>) {
    let masterless = state.slots().filter(|(_, slot)| slot.master.is_none());
    match masterless.count() as u32 {
        0 => {}
        slots => all.push(wire::Blocked {
            slots,
            ..by(By::NoMaster)
        }),
    }
    let mut moving = BTreeMap::new();
    for (_, slot) in state.slots().filter(|(_, slot)| slot.is_moving()) {
        if let Origin::Planned { from } = slot.origin {
            *moving.entry(from.server).or_insert(0) += 1;
        }
    }
    all.extend(moving.into_iter().map(|(server, slots)| wire::Blocked {
        server: server.0,
        slots,
        ..by(By::Handover)
    }));
}

fn of_masters(node: &Node, all: &mut Vec<wire::Blocked>) {
    let state = node.state();
    let mut awaited: BTreeMap<SessionId, u32> = BTreeMap::new();
    let mut unknown: BTreeMap<(SessionId, LockspaceId), u32> = BTreeMap::new();
    for master in node.masters() {
        if master.epoch() != state.slot(master.slot()).epoch {
            continue;
        }
        for session in master.awaited() {
            *awaited.entry(session).or_default() += 1;
        }
        for (session, lockspaces) in master.unknown() {
            for &lockspace in lockspaces {
                *unknown.entry((session, lockspace)).or_default() += 1;
            }
        }
    }
    all.extend(awaited.into_iter().map(|(session, slots)| wire::Blocked {
        slots,
        ..of_session(state, By::Reassert, session)
    }));
    let unknown = unknown.into_iter();
    all.extend(unknown.map(|((session, lockspace), slots)| wire::Blocked {
        slots,
        lockspace: lockspace_name(state, lockspace),
        ..of_session(state, By::UnknownLocks, session)
    }));
}

/// Fences and replays.
fn of_the_dead(node: &Node, all: &mut Vec<wire::Blocked>) {
    let state = node.state();
    let configured = node.has_fence_command();
    for (session, need) in state.fences_wanted() {
        let phase = state.sessions().get(&session).map(|one| &one.phase);
        let Some(Phase::Dead { fence, .. }) = phase else {
            continue;
        };
        let none = "no fence command is configured";
        let missing = (need == FenceNeed::Command && !configured).then(|| none.to_owned());
        let failure = fence.failure.clone().map(String::from).or(missing);
        all.push(wire::Blocked {
            failures: fence.failures,
            failure: failure.unwrap_or_default(),
            command: need == FenceNeed::Command || (need > FenceNeed::Lease && configured),
            ..of_session(state, By::Fence, session)
        });
    }
    for replay in state.replays_wanted() {
        let by = replay.by;
        all.push(wire::Blocked {
            lockspace: lockspace_name(state, replay.lockspace),
            replayer: by.map_or(0, |by| by.0),
            replayer_name: by.map(|by| session_name(state, by)).unwrap_or_default(),
            ..of_session(state, By::Replay, replay.dead)
        });
    }
}

fn of_session(state: &ClusterState, why: By, session: SessionId) -> wire::Blocked {
    wire::Blocked {
        session: session.0,
        session_name: session_name(state, session),
        ..by(why)
    }
}

fn session_name(state: &ClusterState, session: SessionId) -> String {
    let known = state.sessions().get(&session);
    known.map_or_else(String::new, |known| known.name.as_str().to_owned())
}

fn lockspace_name(state: &ClusterState, lockspace: LockspaceId) -> String {
    let known = state.lockspaces().get(&lockspace);
    known.map_or_else(String::new, |known| known.name.as_str().to_owned())
}

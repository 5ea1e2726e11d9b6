//! The cluster's state: as a snapshot, and for whoever looks at it.

use dlm_core::cluster::{
    ClusterState, Death, Fenced, Life, Lockspace, LockspaceNumbers, Master, Origin, Phase, Replays,
    Role, Server, Session, Slot, Versions,
};
use dlm_core::{LockspaceBase, ServerId};
use prost::Message;

use super::cluster::{nonce, options};
use crate::wire;

pub(super) const fn role(role: Role) -> wire::ServerRole {
    match role {
        Role::Learner => wire::ServerRole::Learner,
        Role::Voter => wire::ServerRole::Voter,
        Role::Leaving => wire::ServerRole::Leaving,
    }
}

pub(super) const fn death(why: Death) -> wire::DeathCause {
    match why {
        Death::LeaseRanOut => wire::DeathCause::LeaseRanOut,
        Death::Evicted => wire::DeathCause::Evicted,
        Death::NotReasserted => wire::DeathCause::NotReasserted,
        Death::NotAnswering => wire::DeathCause::NotAnswering,
        Death::Contradicted => wire::DeathCause::Contradicted,
        Death::ReplayFailed => wire::DeathCause::ReplayFailed,
        Death::Attested => wire::DeathCause::Attested,
        Death::Forced => wire::DeathCause::Forced,
    }
}

pub(super) const fn fenced(by: Fenced) -> wire::FencedBy {
    match by {
        Fenced::Command => wire::FencedBy::Command,
        Fenced::Lease => wire::FencedBy::Lease,
        Fenced::Operator => wire::FencedBy::Operator,
        Fenced::Attested => wire::FencedBy::Attested,
    }
}

fn master(master: Master) -> wire::MasterState {
    wire::MasterState {
        server: master.server.0,
        incarnation: master.incarnation.0,
    }
}

pub(super) fn slot(slot: &Slot) -> wire::SlotState {
    wire::SlotState {
        master: slot.master.map(master),
        epoch: slot.epoch.0,
        since: slot.since.0,
        planned_from: match slot.origin {
            Origin::Lost => None,
            Origin::Planned { from } => Some(master(from)),
        },
        serving: slot.serving,
    }
}

fn server(id: ServerId, server: &Server) -> wire::ServerState {
    let process = match &server.life {
        Life::Down => None,
        Life::Running(process) => Some(wire::ProcessState {
            incarnation: process.incarnation.0,
            nonce: nonce(process.nonce),
            endpoint: process.endpoint.as_str().to_owned(),
        }),
    };
    let versions = |Versions { min, max }| wire::Versions { min, max };
    wire::ServerState {
        server: id.0,
        peer_endpoint: server.peer_endpoint.as_str().to_owned(),
        role: role(server.role).into(),
        versions: server.versions.map(versions),
        process,
    }
}

fn replays(replays: &Replays) -> Vec<wire::ReplayState> {
    let replay = replays.iter().map(|(lockspace, by)| wire::ReplayState {
        lockspace: lockspace.0,
        by: by.map(|by| by.0),
    });
    replay.collect()
}

fn dead(phase: &Phase) -> Option<wire::DeadState> {
    Some(match phase {
        Phase::Live => return None,
        Phase::Dead { at, why, fence } => wire::DeadState {
            at: at.0,
            why: death(*why).into(),
            fence_failures: fence.failures,
            fence_failure: fence.failure.clone().map(String::from).unwrap_or_default(),
            ..Default::default()
        },
        Phase::Fenced {
            at,
            why,
            fenced: by,
            replays: its,
        } => wire::DeadState {
            at: at.0,
            why: death(*why).into(),
            fenced: fenced(*by).into(),
            replays: replays(its),
            ..Default::default()
        },
    })
}

fn session(id: u64, session: &Session) -> wire::SessionState {
    wire::SessionState {
        session: id,
        nonce: nonce(session.nonce),
        name: session.name.as_str().to_owned(),
        joined: session.joined.0,
        version: session.version,
        dead: dead(&session.phase),
    }
}

fn lockspace(id: u32, lockspace: &Lockspace) -> wire::LockspaceState {
    wire::LockspaceState {
        lockspace: id,
        name: lockspace.name.as_str().to_owned(),
        options: Some(options(lockspace.options)),
        sessions: lockspace.sessions.iter().map(|session| session.0).collect(),
    }
}

fn lockspace_numbers(numbers: &LockspaceNumbers) -> wire::LockspaceNumbers {
    let generations = numbers.generations.iter();
    let generation = |(base, &next): (&LockspaceBase, &u32)| wire::LockspaceGeneration {
        base: base.number(),
        next,
    };
    let ended = numbers.ended.iter();
    let ended = ended.map(|(base, one)| wire::EndedLockspaceState {
        base: base.number(),
        name: one.name.as_str().to_owned(),
        at: one.at.0,
    });
    wire::LockspaceNumbers {
        base_next: numbers.base_next.number(),
        generation_first: numbers.generation_first,
        generations: generations.map(generation).collect(),
        ended: ended.collect(),
    }
}

fn state(state: &ClusterState) -> wire::ClusterSnapshot {
    let servers = state.servers().iter();
    let sessions = state.sessions().iter();
    let lockspaces = state.lockspaces().iter();
    wire::ClusterSnapshot {
        applied: state.applied().0,
        session_next: state.session_next().0,
        lockspace_numbers: Some(lockspace_numbers(state.lockspace_numbers())),
        servers: servers.map(|(&id, one)| server(id, one)).collect(),
        sessions: sessions.map(|(id, one)| session(id.0, one)).collect(),
        lockspaces: lockspaces.map(|(id, one)| lockspace(id.0, one)).collect(),
        slots: state.slots().map(|(_, one)| slot(one)).collect(),
    }
}

/// A snapshot, encoded.
#[must_use]
pub fn snapshot(of: &ClusterState) -> Vec<u8> {
    state(of).encode_to_vec()
}

/// What a server answers who asks for the cluster's status. Without nonces: who knows a session's can
/// attest for it.
#[must_use]
pub fn status(
    of: &ClusterState,
    leader: Option<ServerId>,
    server: ServerId,
) -> wire::ClusterStatusReply {
    let mut state = state(of);
    for session in &mut state.sessions {
        session.nonce.clear();
    }
    for server in &mut state.servers {
        if let Some(process) = &mut server.process {
            process.nonce.clear();
        }
    }
    wire::ClusterStatusReply {
        leader: leader.map_or(0, |leader| leader.0),
        server: server.0,
        state: Some(state),
        ..Default::default()
    }
}

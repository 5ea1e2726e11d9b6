//! The cluster's state, from a snapshot.

use std::collections::BTreeMap;

use dlm_core::cluster::{
    ClusterState, Death, EndedLockspace, Fence, Fenced, Life, Lockspace, LockspaceNumbers, Master,
    Origin, Parts, Phase, Process, Role, Server, Session, Slot, Versions,
};
use dlm_core::{Epoch, Incarnation, LockspaceBase, LockspaceId, LogIndex, ServerId, SessionId};
use prost::Message;

use super::cluster::{lockspace_name, nonce, options, text};
use crate::error::WireError;
use crate::wire;

pub(super) fn role(value: i32) -> Result<Role, WireError> {
    let what = "server's role";
    match wire::ServerRole::try_from(value) {
        Ok(wire::ServerRole::Learner) => Ok(Role::Learner),
        Ok(wire::ServerRole::Voter) => Ok(Role::Voter),
        Ok(wire::ServerRole::Leaving) => Ok(Role::Leaving),
        Ok(wire::ServerRole::Unspecified) | Err(_) => Err(WireError::Enumeration { what, value }),
    }
}

pub(super) fn death(value: i32) -> Result<Death, WireError> {
    let what = "cause of a death";
    Ok(match wire::DeathCause::try_from(value) {
        Ok(wire::DeathCause::LeaseRanOut) => Death::LeaseRanOut,
        Ok(wire::DeathCause::Evicted) => Death::Evicted,
        Ok(wire::DeathCause::NotReasserted) => Death::NotReasserted,
        Ok(wire::DeathCause::NotAnswering) => Death::NotAnswering,
        Ok(wire::DeathCause::Contradicted) => Death::Contradicted,
        Ok(wire::DeathCause::ReplayFailed) => Death::ReplayFailed,
        Ok(wire::DeathCause::Attested) => Death::Attested,
        Ok(wire::DeathCause::Forced) => Death::Forced,
        Ok(wire::DeathCause::Unspecified) | Err(_) => {
            return Err(WireError::Enumeration { what, value });
        }
    })
}

/// What a session was fenced by; `None` where it was not.
pub(super) fn fenced(value: i32) -> Result<Option<Fenced>, WireError> {
    let what = "fence";
    Ok(match wire::FencedBy::try_from(value) {
        Ok(wire::FencedBy::Unspecified) => None,
        Ok(wire::FencedBy::Command) => Some(Fenced::Command),
        Ok(wire::FencedBy::Lease) => Some(Fenced::Lease),
        Ok(wire::FencedBy::Operator) => Some(Fenced::Operator),
        Ok(wire::FencedBy::Attested) => Some(Fenced::Attested),
        Err(_) => return Err(WireError::Enumeration { what, value }),
    })
}

const fn master(wire: wire::MasterState) -> Master {
    Master {
        server: ServerId(wire.server),
        incarnation: Incarnation(wire.incarnation),
    }
}

pub(super) fn slot(wire: wire::SlotState) -> Slot {
    Slot {
        master: wire.master.map(master),
        epoch: Epoch(wire.epoch),
        since: LogIndex(wire.since),
        origin: match wire.planned_from {
            None => Origin::Lost,
            Some(from) => Origin::Planned { from: master(from) },
        },
        serving: wire.serving,
    }
}

fn server(wire: wire::ServerState) -> Result<(ServerId, Server), WireError> {
    let life = match wire.process {
        None => Life::Down,
        Some(process) => Life::Running(Process {
            incarnation: Incarnation(process.incarnation),
            nonce: nonce(&process.nonce)?,
            endpoint: text("a server's address", process.endpoint)?,
        }),
    };
    let versions = |wire::Versions { min, max }| Versions { min, max };
    let server = Server {
        peer_endpoint: text("a server's address", wire.peer_endpoint)?,
        role: role(wire.role)?,
        versions: wire.versions.map(versions),
        life,
    };
    Ok((ServerId(wire.server), server))
}

fn phase(wire: Option<wire::DeadState>) -> Result<Phase, WireError> {
    let Some(dead) = wire else {
        return Ok(Phase::Live);
    };
    let (at, why) = (LogIndex(dead.at), death(dead.why)?);
    let Some(fenced) = fenced(dead.fenced)? else {
        let failure = Some(dead.fence_failure).filter(|failure| !failure.is_empty());
        let failure = failure
            .map(|failure| text("a reason", failure))
            .transpose()?;
        let failures = dead.fence_failures;
        let fence = Fence { failures, failure };
        return Ok(Phase::Dead { at, why, fence });
    };
    let replays = dead.replays.into_iter();
    let replays = replays.map(|one| (LockspaceId(one.lockspace), one.by.map(SessionId)));
    Ok(Phase::Fenced {
        at,
        why,
        fenced,
        replays: replays.collect(),
    })
}

fn session(wire: wire::SessionState) -> Result<(SessionId, Session), WireError> {
    let session = Session {
        nonce: nonce(&wire.nonce)?,
        name: text("a session's name", wire.name)?,
        joined: LogIndex(wire.joined),
        version: wire.version,
        phase: phase(wire.dead)?,
    };
    Ok((SessionId(wire.session), session))
}

fn lockspace(wire: wire::LockspaceState) -> Result<(LockspaceId, Lockspace), WireError> {
    let lockspace = Lockspace {
        name: lockspace_name(wire.name)?,
        options: options(wire.options.unwrap_or_default())?,
        sessions: wire.sessions.into_iter().map(SessionId).collect(),
    };
    Ok((LockspaceId(wire.lockspace), lockspace))
}

fn lockspace_base(number: u32) -> Result<LockspaceBase, WireError> {
    LockspaceBase::new(number).ok_or(WireError::LockspaceBase { number })
}

fn ended(wire: wire::EndedLockspaceState) -> Result<(LockspaceBase, EndedLockspace), WireError> {
    let ended = EndedLockspace {
        name: lockspace_name(wire.name)?,
        at: LogIndex(wire.at),
    };
    Ok((lockspace_base(wire.base)?, ended))
}

fn lockspace_numbers(wire: Option<wire::LockspaceNumbers>) -> Result<LockspaceNumbers, WireError> {
    let what = "the lockspaces' numbers";
    let wire = wire.ok_or(WireError::Missing { what })?;
    let generation = |one: wire::LockspaceGeneration| Ok((lockspace_base(one.base)?, one.next));
    Ok(LockspaceNumbers {
        base_next: lockspace_base(wire.base_next)?,
        generation_first: wire.generation_first,
        generations: all(wire.generations, generation)?,
        ended: all(wire.ended, ended)?,
    })
}

fn all<W, K: Ord, V>(
    wire: Vec<W>,
    one: impl Fn(W) -> Result<(K, V), WireError>,
) -> Result<BTreeMap<K, V>, WireError> {
    wire.into_iter().map(one).collect()
}

/// The parts of a state. Whether they go together is not checked.
///
/// # Errors
/// What is wrong with one of them.
pub fn parts(wire: wire::ClusterSnapshot) -> Result<Parts, WireError> {
    Ok(Parts {
        applied: LogIndex(wire.applied),
        session_next: SessionId(wire.session_next),
        numbers: lockspace_numbers(wire.lockspace_numbers)?,
        servers: all(wire.servers, server)?,
        sessions: all(wire.sessions, session)?,
        lockspaces: all(wire.lockspaces, lockspace)?,
        slots: wire.slots.into_iter().map(slot).collect(),
    })
}

/// A snapshot.
///
/// # Errors
/// [`WireError::Bytes`], [`WireError::State`], or what is wrong with a part of it.
pub fn snapshot(bytes: &[u8]) -> Result<ClusterState, WireError> {
    let what = "snapshot";
    let wire = wire::ClusterSnapshot::decode(bytes).map_err(|_| WireError::Bytes { what })?;
    ClusterState::from_parts(parts(wire)?).map_err(|violation| WireError::State { violation })
}

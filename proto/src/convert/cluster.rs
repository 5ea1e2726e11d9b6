//! What the calls of the cluster service carry, and the entries of the log.

use dlm_core::cluster::{
    Attest, ClusterOptions, Command, CommandRefusal, FenceOutcome, Join, Name, NamedReplay,
    ServerStarted, Text, Versions,
};
use dlm_core::link::SlotMap;
use dlm_core::{Epoch, Incarnation, LockspaceId, LogIndex, ServerId, SessionId, SlotId};
use prost::Message;

use super::cluster_state::{death, fenced, role};
use super::lockspace_options;
use super::slot_map::slot_map;
use crate::cluster::{Answer, Joined, Opened};
use crate::error::WireError;
use crate::wire;
use crate::wire::cluster_refusal::Why;
use crate::wire::log_entry;

pub(super) fn nonce(bytes: &[u8]) -> Result<u128, WireError> {
    let taken: Result<[u8; 16], _> = bytes.try_into();
    let bytes = bytes.len();
    taken
        .map(u128::from_be_bytes)
        .map_err(|_| WireError::NonceLength { bytes })
}

pub(super) fn text<const BYTES_MAX: usize>(
    what: &'static str,
    text: String,
) -> Result<Text<BYTES_MAX>, WireError> {
    Text::new(text).map_err(|why| WireError::Text { what, why })
}

pub(super) fn options(wire: wire::ClusterOptions) -> Result<ClusterOptions, WireError> {
    Ok(ClusterOptions {
        locks: lockspace_options(wire.locks.unwrap_or_default())?,
        fenced: wire.fenced,
        replayed: wire.replayed,
    })
}

fn refusal(wire: wire::ClusterRefusal) -> Result<CommandRefusal, WireError> {
    let unknown = WireError::Enumeration {
        what: "cluster refusal",
        value: wire.why,
    };
    Ok(match Why::try_from(wire.why) {
        Ok(Why::Applied) => CommandRefusal::Applied,
        Ok(Why::NoSuchServer) => CommandRefusal::NoSuchServer,
        Ok(Why::NotRunning) => CommandRefusal::NotRunning,
        Ok(Why::Servers) => CommandRefusal::Servers,
        Ok(Why::NoSuchSession) => CommandRefusal::NoSuchSession,
        Ok(Why::SessionDead) => CommandRefusal::SessionDead,
        Ok(Why::SessionLives) => CommandRefusal::SessionLives,
        Ok(Why::Fenced) => CommandRefusal::Fenced,
        Ok(Why::Sessions) => CommandRefusal::Sessions,
        Ok(Why::NotYours) => CommandRefusal::NotYours,
        Ok(Why::Versions) => CommandRefusal::Versions {
            min: wire.version_min,
            max: wire.version_max,
        },
        Ok(Why::ReplayOwed) => CommandRefusal::ReplayOwed,
        Ok(Why::NoSuchReplay) => CommandRefusal::NoSuchReplay,
        Ok(Why::LockspaceNotOpen) => CommandRefusal::LockspaceNotOpen,
        Ok(Why::Lockspaces) => CommandRefusal::Lockspaces,
        Ok(Why::LockspacesOfSession) => CommandRefusal::LockspacesOfSession,
        Ok(Why::Options) => CommandRefusal::Options(options(wire.options.unwrap_or_default())?),
        Ok(Why::Epoch) => CommandRefusal::Epoch {
            now: Epoch(wire.epoch),
        },
        Ok(Why::NotServing) => CommandRefusal::NotServing,
        Ok(Why::SlotThere) => CommandRefusal::SlotThere,
        Ok(Why::Moves) => CommandRefusal::Moves,
        Ok(Why::Exhausted) => CommandRefusal::Exhausted,
        Ok(Why::OtherStorage) => CommandRefusal::OtherStorage,
        Ok(Why::LastServer) => CommandRefusal::LastServer,
        Ok(Why::Leaving) => CommandRefusal::Leaving,
        Ok(Why::Unspecified) | Err(_) => return Err(unknown),
    })
}

fn answer<T>(
    head: Option<wire::ReplyHead>,
    done: impl FnOnce() -> Result<T, WireError>,
) -> Result<Answer<T>, WireError> {
    let head = head.unwrap_or_default();
    if let Some(why) = head.refusal {
        return Ok(Answer::Refused(refusal(why)?));
    }
    match head.leader {
        None => Ok(Answer::Done(done()?)),
        Some(leader) if leader.is_empty() => Ok(Answer::Leader(None)),
        Some(leader) => Ok(Answer::Leader(Some(text("the leader's address", leader)?))),
    }
}

/// What a client joins with.
///
/// # Errors
/// [`WireError::NonceLength`] or [`WireError::Text`].
pub fn join(wire: wire::JoinRequest) -> Result<Join, WireError> {
    let attests = |attest: wire::Attest| -> Result<Attest, WireError> {
        Ok(Attest {
            session: SessionId(attest.session),
            nonce: nonce(&attest.nonce)?,
        })
    };
    Ok(Join {
        nonce: nonce(&wire.nonce)?,
        name: text("a session's name", wire.name)?,
        versions: Versions {
            min: wire.version_min,
            max: wire.version_max,
        },
        attests: wire.attests.map(attests).transpose()?,
    })
}

/// What a client that joins is answered.
///
/// # Errors
/// Any [`WireError`] about its head.
pub fn join_reply(wire: wire::JoinReply) -> Result<Answer<Joined>, WireError> {
    let done = Joined {
        session: SessionId(wire.session),
        joined: LogIndex(wire.joined),
        version: wire.version,
        lease_us: wire.lease_us,
    };
    answer(wire.head, || Ok(done))
}

/// The answer to a keepalive: the entry as of which the server's slot map is.
///
/// # Errors
/// Any [`WireError`] about its head.
pub fn keepalive_reply(wire: wire::KeepAliveReply) -> Result<Answer<LogIndex>, WireError> {
    answer(wire.head, || Ok(LogIndex(wire.map_index)))
}

/// The answer to a call that has nothing to say but how it ended.
///
/// # Errors
/// Any [`WireError`] about its head.
pub fn plain_reply(wire: wire::PlainReply) -> Result<Answer<()>, WireError> {
    answer(wire.head, || Ok(()))
}

/// The answer to who opens a lockspace.
///
/// # Errors
/// [`WireError::LockspaceOptions`], or any about its head.
pub fn open_lockspace_reply(wire: wire::OpenLockspaceReply) -> Result<Answer<Opened>, WireError> {
    answer(wire.head, || {
        Ok(Opened {
            lockspace: LockspaceId(wire.lockspace),
            options: options(wire.options.unwrap_or_default())?,
            replays: wire.replays.into_iter().map(SessionId).collect(),
        })
    })
}

/// The slot map.
///
/// # Errors
/// [`WireError::Missing`] where it has not all slots in order, what is wrong with one of them, or any about
/// its head.
pub fn map_reply(wire: wire::MapReply) -> Result<Answer<SlotMap>, WireError> {
    answer(wire.head, || {
        let map = slot_map(wire.map.unwrap_or_default())?;
        let named = map.slots.iter().map(|place| place.slot);
        if !named.eq(SlotId::all()) {
            return Err(WireError::Missing { what: "all slots" });
        }
        Ok(map)
    })
}

pub(super) fn slot_id(number: u32) -> Result<SlotId, WireError> {
    SlotId::new(number).ok_or(WireError::Slot { number })
}

const fn replay(wire: wire::NamedReplayCommand) -> NamedReplay {
    NamedReplay {
        dead: SessionId(wire.dead),
        lockspace: LockspaceId(wire.lockspace),
        by: SessionId(wire.by),
    }
}

fn fence_outcome(wire: wire::FenceResultCommand) -> Result<FenceOutcome, WireError> {
    Ok(match fenced(wire.fenced)? {
        Some(by) => FenceOutcome::Done(by),
        None => FenceOutcome::Failed(text("a reason", wire.failure)?),
    })
}

/// An entry of the log.
///
/// # Errors
/// [`WireError::Bytes`], or what is wrong with a part of it.
pub fn command(bytes: &[u8]) -> Result<Command, WireError> {
    use log_entry::Command as Wire;

    let what = "entry of the log";
    let entry = wire::LogEntry::decode(bytes).map_err(|_| WireError::Bytes { what })?;
    Ok(
        match entry
            .command
            .ok_or(WireError::Missing { what: "a command" })?
        {
            Wire::ServerAdded(one) => Command::ServerAdded {
                server: ServerId(one.server),
                peer_endpoint: text("a server's address", one.peer_endpoint)?,
                role: role(one.role)?,
            },
            Wire::ServerRemoved(server) => Command::ServerRemoved {
                server: ServerId(server),
            },
            Wire::ServerStarted(one) => Command::ServerStarted(started(one)?),
            Wire::ServerLost(incarnation) => Command::ServerLost {
                incarnation: Incarnation(incarnation),
            },
            Wire::Join(one) => Command::Join(join(one)?),
            Wire::Goodbye(session) => Command::Goodbye {
                session: SessionId(session),
            },
            Wire::Expire(one) => Command::Expire {
                session: SessionId(one.session),
                why: death(one.why)?,
            },
            Wire::FenceResult(one) => Command::FenceResult {
                session: SessionId(one.session),
                outcome: fence_outcome(one)?,
            },
            Wire::Replayed(one) => Command::Replayed(replay(one)),
            Wire::ReplayerFailed(one) => Command::ReplayerFailed(replay(one)),
            Wire::OpenLockspace(one) => Command::OpenLockspace {
                session: SessionId(one.session),
                name: lockspace_name(one.name)?,
                options: one.options.map(options).transpose()?,
            },
            Wire::LeaveLockspace(one) => Command::LeaveLockspace {
                session: SessionId(one.session),
                lockspace: LockspaceId(one.lockspace),
            },
            slots => of_slots(slots)?,
        },
    )
}

pub(super) fn lockspace_name(name: String) -> Result<Name, WireError> {
    text("a lockspace's name", name)
}

pub(super) fn started(wire: wire::ServerStartedCommand) -> Result<ServerStarted, WireError> {
    Ok(ServerStarted {
        server: ServerId(wire.server),
        nonce: nonce(&wire.nonce)?,
        endpoint: text("a server's address", wire.endpoint)?,
        peer_endpoint: text("a server's address", wire.peer_endpoint)?,
        versions: Versions {
            min: wire.version_min,
            max: wire.version_max,
        },
    })
}

pub(super) fn serving(
    wire: wire::ServingCommand,
) -> Result<(Incarnation, Vec<(SlotId, Epoch)>), WireError> {
    let pair = |one: wire::SlotCommand| Ok((slot_id(one.slot)?, Epoch(one.epoch)));
    let slots: Result<_, WireError> = wire.slots.into_iter().map(pair).collect();
    Ok((Incarnation(wire.by), slots?))
}

fn of_slots(wire: log_entry::Command) -> Result<Command, WireError> {
    use log_entry::Command as Wire;

    Ok(match wire {
        Wire::MoveSlot(one) => Command::MoveSlot {
            slot: slot_id(one.slot)?,
            epoch: Epoch(one.epoch),
            to: ServerId(one.to.ok_or(WireError::Missing { what: "a server" })?),
        },
        Wire::Serving(one) => {
            let (by, slots) = serving(one)?;
            Command::Serving { by, slots }
        }
        Wire::RecoverSlot(one) => Command::RecoverSlot {
            slot: slot_id(one.slot)?,
            epoch: Epoch(one.epoch),
            to: one.to.map(ServerId),
        },
        Wire::SlotEpochExhausted(one) => Command::SlotEpochExhausted {
            slot: slot_id(one.slot)?,
            epoch: Epoch(one.epoch),
        },
        Wire::ForceNewEpochs(_) => Command::ForceNewEpochs,
        _ => return Err(WireError::Missing { what: "a command" }),
    })
}

#[cfg(test)]
mod tests;

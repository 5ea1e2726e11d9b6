//! What the calls of the cluster service carry, and the entries of the log.

use dlm_core::cluster::{
    Attest, ClusterOptions, Command, CommandRefusal, FenceOutcome, Join, NamedReplay, ServerStarted,
};
use dlm_core::link::SlotMap;
use dlm_core::{Epoch, Incarnation, LockspaceId, LogIndex, ServerId, SessionId, SlotId};
use prost::Message;
use prost::bytes::Bytes;

use super::cluster_state::{death, fenced, role};
use super::slot_map::slot_map;
use super::words::lockspace_options;
use crate::cluster::{Answer, Joined, Opened};
use crate::wire;
use crate::wire::cluster_refusal::Why;
use crate::wire::log_entry;

pub(super) fn nonce(nonce: u128) -> Bytes {
    Bytes::copy_from_slice(&nonce.to_be_bytes())
}

/// What a lockspace chose for itself.
#[must_use]
pub const fn options(options: ClusterOptions) -> wire::ClusterOptions {
    wire::ClusterOptions {
        locks: Some(lockspace_options(options.locks)),
        fenced: options.fenced,
        replayed: options.replayed,
    }
}

fn refusal(why: CommandRefusal) -> wire::ClusterRefusal {
    let mut wire = wire::ClusterRefusal::default();
    let number = match why {
        CommandRefusal::Applied => Why::Applied,
        CommandRefusal::NoSuchServer => Why::NoSuchServer,
        CommandRefusal::NotRunning => Why::NotRunning,
        CommandRefusal::Servers => Why::Servers,
        CommandRefusal::NoSuchSession => Why::NoSuchSession,
        CommandRefusal::SessionDead => Why::SessionDead,
        CommandRefusal::SessionLives => Why::SessionLives,
        CommandRefusal::Fenced => Why::Fenced,
        CommandRefusal::Sessions => Why::Sessions,
        CommandRefusal::NotYours => Why::NotYours,
        CommandRefusal::Versions { min, max } => {
            (wire.version_min, wire.version_max) = (min, max);
            Why::Versions
        }
        CommandRefusal::ReplayOwed => Why::ReplayOwed,
        CommandRefusal::NoSuchReplay => Why::NoSuchReplay,
        CommandRefusal::LockspaceNotOpen => Why::LockspaceNotOpen,
        CommandRefusal::Lockspaces => Why::Lockspaces,
        CommandRefusal::LockspacesOfSession => Why::LockspacesOfSession,
        CommandRefusal::Options(other) => {
            wire.options = Some(options(other));
            Why::Options
        }
        CommandRefusal::Epoch { now } => {
            wire.epoch = now.0;
            Why::Epoch
        }
        CommandRefusal::NotServing => Why::NotServing,
        CommandRefusal::SlotThere => Why::SlotThere,
        CommandRefusal::Moves => Why::Moves,
        CommandRefusal::Exhausted => Why::Exhausted,
        CommandRefusal::OtherStorage => Why::OtherStorage,
        CommandRefusal::LastServer => Why::LastServer,
        CommandRefusal::Leaving => Why::Leaving,
    };
    wire.why = number.into();
    wire
}

/// The head of a reply, and what the rest of it says where the call is done.
fn answer<T>(answer: Answer<T>) -> (Option<wire::ReplyHead>, Option<T>) {
    let head = match answer {
        Answer::Done(done) => return (None, Some(done)),
        Answer::Leader(leader) => wire::ReplyHead {
            leader: Some(leader.map(String::from).unwrap_or_default()),
            refusal: None,
        },
        Answer::Refused(why) => wire::ReplyHead {
            leader: None,
            refusal: Some(refusal(why)),
        },
    };
    (Some(head), None)
}

/// What a client joins with.
#[must_use]
pub fn join(join: &Join) -> wire::JoinRequest {
    let attests = |attest: Attest| wire::Attest {
        session: attest.session.0,
        nonce: nonce(attest.nonce),
    };
    wire::JoinRequest {
        nonce: nonce(join.nonce),
        name: join.name.as_str().to_owned(),
        version_min: join.versions.min,
        version_max: join.versions.max,
        attests: join.attests.map(attests),
    }
}

/// What a client that joins is answered.
#[must_use]
pub fn join_reply(reply: Answer<Joined>) -> wire::JoinReply {
    let (head, done) = answer(reply);
    let Some(done) = done else {
        return wire::JoinReply {
            head,
            ..Default::default()
        };
    };
    wire::JoinReply {
        head,
        session: done.session.0,
        joined: done.joined.0,
        version: done.version,
        lease_us: done.lease_us,
    }
}

/// The answer to a keepalive: the entry as of which the server's slot map is.
#[must_use]
pub fn keepalive_reply(reply: Answer<LogIndex>) -> wire::KeepAliveReply {
    let (head, done) = answer(reply);
    wire::KeepAliveReply {
        head,
        map_index: done.unwrap_or_default().0,
    }
}

/// The answer to a call that has nothing to say but how it ended.
#[must_use]
pub fn plain_reply(reply: Answer<()>) -> wire::PlainReply {
    let (head, _) = answer(reply);
    wire::PlainReply { head }
}

/// The answer to who opens a lockspace.
#[must_use]
pub fn open_lockspace_reply(reply: Answer<Opened>) -> wire::OpenLockspaceReply {
    let (head, done) = answer(reply);
    let Some(done) = done else {
        return wire::OpenLockspaceReply {
            head,
            ..Default::default()
        };
    };
    wire::OpenLockspaceReply {
        head,
        lockspace: done.lockspace.0,
        options: Some(options(done.options)),
        replays: done.replays.iter().map(|session| session.0).collect(),
    }
}

/// The slot map.
#[must_use]
pub fn map_reply(reply: Answer<SlotMap>) -> wire::MapReply {
    let (head, done) = answer(reply);
    wire::MapReply {
        head,
        map: done.map(slot_map),
    }
}

pub(super) fn on_slot(slot: SlotId, epoch: Epoch, to: Option<ServerId>) -> wire::SlotCommand {
    wire::SlotCommand {
        slot: slot.number(),
        epoch: epoch.0,
        to: to.map(|to| to.0),
    }
}

fn replay(replay: NamedReplay) -> wire::NamedReplayCommand {
    wire::NamedReplayCommand {
        dead: replay.dead.0,
        lockspace: replay.lockspace.0,
        by: replay.by.0,
    }
}

fn fence_result(session: SessionId, outcome: &FenceOutcome) -> wire::FenceResultCommand {
    let (by, failure) = match outcome {
        FenceOutcome::Done(by) => (fenced(*by), String::new()),
        FenceOutcome::Failed(reason) => (wire::FencedBy::Unspecified, reason.as_str().to_owned()),
    };
    wire::FenceResultCommand {
        session: session.0,
        fenced: by.into(),
        failure,
    }
}

/// An entry of the log, encoded.
#[must_use]
pub fn command(command: &Command) -> Vec<u8> {
    use log_entry::Command as Wire;

    let wire = match command {
        Command::ServerAdded { .. }
        | Command::ServerRemoved { .. }
        | Command::ServerStarted(_)
        | Command::ServerLost { .. } => of_servers(command),
        Command::Join(one) => Some(Wire::Join(join(one))),
        Command::Goodbye { session } => Some(Wire::Goodbye(session.0)),
        Command::Expire { session, why } => Some(Wire::Expire(wire::ExpireCommand {
            session: session.0,
            why: death(*why).into(),
        })),
        Command::FenceResult { session, outcome } => {
            Some(Wire::FenceResult(fence_result(*session, outcome)))
        }
        Command::Replayed(one) => Some(Wire::Replayed(replay(*one))),
        Command::ReplayerFailed(one) => Some(Wire::ReplayerFailed(replay(*one))),
        Command::OpenLockspace {
            session,
            name,
            options: wanted,
        } => Some(Wire::OpenLockspace(wire::OpenLockspaceRequest {
            session: session.0,
            name: name.as_str().to_owned(),
            options: wanted.map(options),
            ..wire::OpenLockspaceRequest::default()
        })),
        &Command::LeaveLockspace {
            session,
            lockspace: LockspaceId(lockspace),
        } => Some(Wire::LeaveLockspace(wire::LeaveLockspaceRequest {
            session: session.0,
            lockspace,
            ..wire::LeaveLockspaceRequest::default()
        })),
        Command::MoveSlot { .. }
        | Command::Serving { .. }
        | Command::RecoverSlot { .. }
        | Command::SlotEpochExhausted { .. }
        | Command::ForceNewEpochs => of_slots(command),
    };
    wire::LogEntry { command: wire }.encode_to_vec()
}

fn of_servers(command: &Command) -> Option<log_entry::Command> {
    use log_entry::Command as Wire;

    Some(match command {
        Command::ServerAdded {
            server,
            peer_endpoint,
            role: its,
        } => Wire::ServerAdded(wire::ServerAddedCommand {
            server: server.0,
            peer_endpoint: peer_endpoint.as_str().to_owned(),
            role: role(*its).into(),
        }),
        Command::ServerRemoved { server } => Wire::ServerRemoved(server.0),
        Command::ServerStarted(one) => Wire::ServerStarted(started(one)),
        Command::ServerLost { incarnation } => Wire::ServerLost(incarnation.0),
        _ => return None,
    })
}

pub(super) fn started(started: &ServerStarted) -> wire::ServerStartedCommand {
    wire::ServerStartedCommand {
        server: started.server.0,
        nonce: nonce(started.nonce),
        endpoint: started.endpoint.as_str().to_owned(),
        peer_endpoint: started.peer_endpoint.as_str().to_owned(),
        version_min: started.versions.min,
        version_max: started.versions.max,
    }
}

pub(super) fn serving(by: Incarnation, slots: &[(SlotId, Epoch)]) -> wire::ServingCommand {
    let slots = slots.iter();
    let slots = slots.map(|&(slot, epoch)| on_slot(slot, epoch, None));
    wire::ServingCommand {
        by: by.0,
        slots: slots.collect(),
    }
}

fn of_slots(command: &Command) -> Option<log_entry::Command> {
    use log_entry::Command as Wire;

    Some(match command {
        &Command::MoveSlot { slot, epoch, to } => Wire::MoveSlot(on_slot(slot, epoch, Some(to))),
        Command::Serving { by, slots } => Wire::Serving(serving(*by, slots)),
        &Command::RecoverSlot { slot, epoch, to } => Wire::RecoverSlot(on_slot(slot, epoch, to)),
        &Command::SlotEpochExhausted { slot, epoch } => {
            Wire::SlotEpochExhausted(on_slot(slot, epoch, None))
        }
        Command::ForceNewEpochs => Wire::ForceNewEpochs(wire::ForceNewEpochsCommand {}),
        _ => return None,
    })
}

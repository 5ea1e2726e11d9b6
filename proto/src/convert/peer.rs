//! What one server reads of another.

use dlm_core::call::CallId;
use dlm_core::cluster::ServerStarted;
use dlm_core::peer::{PeerMessage, Proposal};
use dlm_core::{Epoch, Incarnation, LogIndex, SessionId, Tick};

use super::call::{call, call_answer, versions};
use super::cluster::{serving, slot_id, started, text};
use super::cluster_state::death;
use super::founding::{identity, server};
use super::peer_image::image;
use crate::error::WireError;
use crate::limits::PEER_MESSAGES_MAX;
use crate::peer::{PeerFrame, PeerHello, PeerWelcome};
use crate::version::VersionRange;
use crate::wire;

/// What a server sends.
///
/// # Errors
/// [`WireError::HelloNotAlone`], [`WireError::PeerMessagesTooMany`], or what is wrong with a part of it.
pub fn peer_frame(frame: wire::PeerFrame) -> Result<PeerFrame, WireError> {
    let count = frame.items.len();
    if count > PEER_MESSAGES_MAX {
        return Err(WireError::PeerMessagesTooMany { count });
    }
    if frame.hello.is_some() && count > 0 {
        return Err(WireError::HelloNotAlone);
    }
    Ok(PeerFrame {
        hello: frame.hello.map(hello).transpose()?,
        messages: frame
            .items
            .into_iter()
            .map(message)
            .collect::<Result<_, _>>()?,
    })
}

fn hello(wire: wire::PeerHello) -> Result<PeerHello, WireError> {
    let (min, max) = (wire.version_min, wire.version_max);
    versions(min, max)?;
    Ok(PeerHello {
        cluster: identity("a cluster's identity", &wire.cluster)?,
        server: server(wire.server)?,
        identity: identity("a server's identity", &wire.identity)?,
        versions: VersionRange { min, max },
        endpoint: text("a server's address", wire.endpoint)?,
    })
}

/// The answer to a hello.
///
/// # Errors
/// [`WireError::IdentityLength`], or [`WireError::Missing`] where the server has no number.
pub fn peer_welcome(wire: &wire::PeerWelcome) -> Result<PeerWelcome, WireError> {
    Ok(PeerWelcome {
        cluster: identity("a cluster's identity", &wire.cluster)?,
        server: server(wire.server)?,
        identity: identity("a server's identity", &wire.identity)?,
        version: wire.version,
    })
}

fn message(wire: wire::PeerItem) -> Result<PeerMessage, WireError> {
    use wire::peer_item::Kind;

    Ok(match set("a kind that we know", wire.kind)? {
        Kind::Raft(bytes) => PeerMessage::Raft(bytes.into()),
        Kind::Renew(lease) => PeerMessage::Renew {
            incarnation: Incarnation(lease.incarnation),
            sent: Tick(lease.sent_us),
        },
        Kind::Renewed(lease) => PeerMessage::Renewed {
            incarnation: Incarnation(lease.incarnation),
            sent: Tick(lease.sent_us),
            applied: LogIndex(lease.applied),
        },
        Kind::Relay(relay) => PeerMessage::Relay {
            call: CallId(relay.call),
            asked: call(set("a call", relay.asked)?)?,
        },
        Kind::Relayed(relayed) => PeerMessage::Relayed {
            call: CallId(relayed.call),
            answer: call_answer(set("an answer", relayed.answer)?)?,
        },
        Kind::Propose(proposed) => PeerMessage::Propose(proposal(proposed)?),
        Kind::ImageWanted(wanted) => PeerMessage::ImageWanted {
            slot: slot_id(wanted.slot)?,
            epoch: Epoch(wanted.epoch),
            chunk: wanted.chunk,
        },
        Kind::Image(wire) => image(wire)?,
    })
}

fn set<T>(what: &'static str, part: Option<T>) -> Result<T, WireError> {
    part.ok_or(WireError::Missing { what })
}

fn proposal(wire: wire::Proposed) -> Result<Proposal, WireError> {
    use wire::proposed::Kind;

    Ok(match set("a proposal", wire.kind)? {
        Kind::Started(one) => Proposal::Started(of_a_server(started(one)?)?),
        Kind::Serving(one) => {
            let (by, slots) = serving(one)?;
            Proposal::Serving { by, slots }
        }
        Kind::Evict(one) => Proposal::Evict {
            session: SessionId(one.session),
            why: death(one.why)?,
        },
        Kind::EpochExhausted(one) => Proposal::EpochExhausted {
            slot: slot_id(one.slot)?,
            epoch: Epoch(one.epoch),
        },
        Kind::Recover(one) => Proposal::Recover {
            slot: slot_id(one.slot)?,
            epoch: Epoch(one.epoch),
        },
    })
}

/// A log's entry is taken as it is; what comes over the network is not.
fn of_a_server(started: ServerStarted) -> Result<ServerStarted, WireError> {
    server(started.server.0)?;
    versions(started.versions.min, started.versions.max)?;
    Ok(started)
}

#[cfg(test)]
mod tests;

//! What one server writes to another.

use dlm_core::peer::{PeerMessage, Proposal};
use dlm_core::{Incarnation, Tick};

use super::call::{call, call_answer};
use super::cluster::{nonce, on_slot, serving, started};
use super::cluster_state::death;
use super::peer_image::image;
use crate::limits::PEER_MESSAGES_MAX;
use crate::peer::{PeerFrame, PeerHello, PeerWelcome};
use crate::wire;

/// What a server sends.
///
/// # Panics
/// Where there are more than [`PEER_MESSAGES_MAX`] messages, or any with the hello: the caller splits them
/// ([`PeerFrame::of_queue`]).
#[must_use]
pub fn peer_frame(frame: PeerFrame) -> wire::PeerFrame {
    assert!(frame.messages.len() <= PEER_MESSAGES_MAX);
    assert!(frame.hello.is_none() || frame.messages.is_empty());
    wire::PeerFrame {
        hello: frame.hello.map(hello),
        items: frame.messages.into_iter().map(item).collect(),
    }
}

fn hello(hello: PeerHello) -> wire::PeerHello {
    wire::PeerHello {
        cluster: nonce(hello.cluster),
        server: hello.server.0,
        identity: nonce(hello.identity),
        version_min: hello.versions.min,
        version_max: hello.versions.max,
        endpoint: hello.endpoint.into(),
    }
}

/// The answer to a hello.
#[must_use]
pub fn peer_welcome(welcome: PeerWelcome) -> wire::PeerWelcome {
    wire::PeerWelcome {
        cluster: nonce(welcome.cluster),
        server: welcome.server.0,
        identity: nonce(welcome.identity),
        version: welcome.version,
    }
}

fn item(message: PeerMessage) -> wire::PeerItem {
    use wire::peer_item::Kind;

    let kind = match message {
        PeerMessage::Raft(bytes) => Kind::Raft(bytes.into()),
        PeerMessage::Renew { incarnation, sent } => Kind::Renew(lease(incarnation, sent)),
        PeerMessage::Renewed {
            incarnation,
            sent,
            applied,
        } => Kind::Renewed(wire::LeaseRenewal {
            applied: applied.0,
            ..lease(incarnation, sent)
        }),
        PeerMessage::Relay { call: id, asked } => Kind::Relay(wire::RelayedCall {
            call: id.0,
            asked: Some(wire::CallAsked {
                kind: Some(call(asked)),
            }),
        }),
        PeerMessage::Relayed { call: id, answer } => Kind::Relayed(wire::RelayedAnswer {
            call: id.0,
            answer: Some(call_answer(answer)),
        }),
        PeerMessage::Propose(one) => Kind::Propose(proposal(one)),
        PeerMessage::ImageWanted { slot, epoch, chunk } => Kind::ImageWanted(wire::ImageWanted {
            slot: slot.number(),
            epoch: epoch.0,
            chunk,
        }),
        PeerMessage::Image {
            slot,
            epoch,
            chunk,
            ledger,
        } => Kind::Image(image((slot, epoch), chunk, ledger)),
    };
    wire::PeerItem { kind: Some(kind) }
}

const fn lease(incarnation: Incarnation, sent: Tick) -> wire::LeaseRenewal {
    wire::LeaseRenewal {
        incarnation: incarnation.0,
        sent_us: sent.0,
        applied: 0,
    }
}

fn proposal(proposal: Proposal) -> wire::Proposed {
    use wire::proposed::Kind;

    let kind = match proposal {
        Proposal::Started(one) => Kind::Started(started(&one)),
        Proposal::Serving { by, slots } => Kind::Serving(serving(by, &slots)),
        Proposal::Evict { session, why } => Kind::Evict(wire::ExpireCommand {
            session: session.0,
            why: death(why).into(),
        }),
        Proposal::EpochExhausted { slot, epoch } => {
            Kind::EpochExhausted(on_slot(slot, epoch, None))
        }
        Proposal::Recover { slot, epoch } => Kind::Recover(on_slot(slot, epoch, None)),
    };
    wire::Proposed { kind: Some(kind) }
}

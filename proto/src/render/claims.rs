//! What a session claims when a slot's master was lost.

use dlm_core::recovery::{Claim, KnownValue, Stands};
use prost::bytes::Bytes;

use super::value_bytes;
use super::words;
use crate::wire;

pub(super) fn claim(claim: Claim) -> wire::Claim {
    wire::Claim {
        lock: claim.lock.0,
        lockspace: claim.lockspace.0,
        name: Bytes::copy_from_slice(claim.name.as_bytes()),
        owner: claim.owner.0,
        flags: claim.flags.bits(),
        stands: Some(stands(claim.stands)),
        granted: words::mode_or_none(claim.granted).into(),
        token: claim.token.0,
        orphan: claim.orphan,
        uses_values: claim.uses_values,
        value_sequence: claim.value_sequence,
        value: claim.value.as_ref().map(known_value),
    }
}

fn stands(stands: Stands) -> wire::claim::Stands {
    match stands {
        Stands::Granted { mode, unanswered } => wire::claim::Stands::Held(wire::ClaimHeld {
            mode: words::mode(mode).into(),
            unanswered: unanswered.map(|op| op.0),
        }),
        Stands::Converting {
            held,
            wanted,
            op,
            serial,
            given,
        } => wire::claim::Stands::Converting(wire::ClaimConverting {
            held: words::mode(held).into(),
            wanted: words::mode(wanted).into(),
            op: op.0,
            serial,
            given: given.as_ref().map(value_bytes),
        }),
        Stands::Waiting { wanted, op, serial } => {
            wire::claim::Stands::Waiting(wire::ClaimWaiting {
                wanted: words::mode(wanted).into(),
                op: op.0,
                serial,
            })
        }
        Stands::Unlocked { op, ends } => wire::claim::Stands::Unlocked(wire::ClaimUnlocked {
            op: op.0,
            ends: ends.map(|op| op.0),
        }),
    }
}

fn known_value(value: &KnownValue) -> wire::KnownValue {
    wire::KnownValue {
        sequence: value.sequence,
        bytes: value_bytes(&value.bytes),
        valid: value.valid,
    }
}

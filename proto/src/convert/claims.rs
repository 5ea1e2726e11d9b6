//! What a session claims when a slot's master was lost.

use dlm_core::recovery::{Claim, KnownValue, Stands};
use dlm_core::{LockId, LockspaceId, OpId, Owner, RequestFlags, Token};

use super::{mode, mode_or_none, resource_name, value};
use crate::error::WireError;
use crate::wire;

pub(super) fn claim(wire: wire::Claim) -> Result<Claim, WireError> {
    let what = "where a claimed lock stands";
    Ok(Claim {
        lock: LockId(wire.lock),
        lockspace: LockspaceId(wire.lockspace),
        name: resource_name(&wire.name)?,
        owner: Owner(wire.owner),
        flags: RequestFlags::from_bits_retain(wire.flags),
        stands: stands(&wire.stands.ok_or(WireError::Missing { what })?)?,
        granted: mode_or_none(wire.granted)?,
        token: Token(wire.token),
        orphan: wire.orphan,
        uses_values: wire.uses_values,
        value_sequence: wire.value_sequence,
        value: wire.value.as_ref().map(known_value).transpose()?,
    })
}

fn stands(wire: &wire::claim::Stands) -> Result<Stands, WireError> {
    Ok(match wire {
        wire::claim::Stands::Held(held) => Stands::Granted {
            mode: mode(held.mode)?,
            unanswered: held.unanswered.map(OpId),
        },
        wire::claim::Stands::Converting(converting) => Stands::Converting {
            held: mode(converting.held)?,
            wanted: mode(converting.wanted)?,
            op: OpId(converting.op),
            serial: converting.serial,
            given: converting.given.as_deref().map(value).transpose()?,
        },
        wire::claim::Stands::Waiting(waiting) => Stands::Waiting {
            wanted: mode(waiting.wanted)?,
            op: OpId(waiting.op),
            serial: waiting.serial,
        },
        wire::claim::Stands::Unlocked(unlocked) => Stands::Unlocked {
            op: OpId(unlocked.op),
            ends: unlocked.ends.map(OpId),
        },
    })
}

fn known_value(wire: &wire::KnownValue) -> Result<KnownValue, WireError> {
    Ok(KnownValue {
        sequence: wire.sequence,
        bytes: value(&wire.bytes)?,
        valid: wire.valid,
    })
}

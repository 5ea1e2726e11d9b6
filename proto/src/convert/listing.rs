//! What a client reads of a server's listings.

use dlm_core::{Epoch, LockId, LockspaceId, Owner, RequestFlags, ServerId, SessionId};
use dlm_core::{StatusFlags, Token};

use super::{lockspace_options, mode_or_none, queue, resource_name, value};
use crate::error::WireError;
use crate::listing::{LockedLock, LockedResource, LockspaceListing};
use crate::wire;

/// A page of locks.
///
/// # Errors
/// [`WireError::ResourceNameLength`], [`WireError::ValueLength`] or [`WireError::Enumeration`].
pub fn locks_page(page: wire::LocksPage) -> Result<Vec<LockedResource>, WireError> {
    page.resources.into_iter().map(resource).collect()
}

/// The lockspaces.
///
/// # Errors
/// [`WireError::LockspaceOptions`].
pub fn lockspaces(reply: wire::LockspacesReply) -> Result<Vec<LockspaceListing>, WireError> {
    reply.lockspaces.into_iter().map(lockspace).collect()
}

fn resource(wire: wire::LockedResource) -> Result<LockedResource, WireError> {
    Ok(LockedResource {
        lockspace: wire.lockspace,
        name: resource_name(&wire.name)?,
        value: wire.value.as_deref().map(value).transpose()?,
        value_valid: !wire.value_invalid,
        locks: wire.locks.into_iter().map(lock).collect::<Result<_, _>>()?,
        server: ServerId(wire.server),
        epoch: Epoch(wire.epoch),
    })
}

fn lock(wire: wire::LockedLock) -> Result<LockedLock, WireError> {
    Ok(LockedLock {
        session: SessionId(wire.session),
        session_name: wire.session_name,
        lock: LockId(wire.lock),
        owner: Owner(wire.owner),
        queue: queue(wire.queue)?,
        granted: mode_or_none(wire.granted)?,
        requested: mode_or_none(wire.requested)?,
        flags: RequestFlags::from_bits_retain(wire.flags),
        // Bits without a name here are a newer server's.
        status: StatusFlags::from_bits_truncate(wire.status_flags as u8),
        token: Token(wire.token),
        told: mode_or_none(wire.told)?,
        age_us: wire.age_us,
        orphan: wire.orphan,
    })
}

fn lockspace(wire: wire::Lockspace) -> Result<LockspaceListing, WireError> {
    let sessions = wire.sessions.into_iter();
    Ok(LockspaceListing {
        name: wire.name,
        id: LockspaceId(wire.id),
        options: lockspace_options(wire.options.unwrap_or_default())?,
        sessions: sessions
            .map(|session| (SessionId(session.session), session.name))
            .collect(),
        resources: wire.resources,
        locks: wire.locks,
        waiting: wire.waiting,
        orphans: wire.orphans,
    })
}

//! Calls of the cluster service, and how they end.

use dlm_core::call::{Call, CallAnswer};
use dlm_core::cluster::{Endpoint, NamedReplay};
use dlm_core::{LockspaceId, SessionId};

use super::cluster::{
    join, join_reply, keepalive_reply, lockspace_name, map_reply, nonce, open_lockspace_reply,
    options, plain_reply, text,
};
use super::founding::{identity, server};
use crate::error::WireError;
use crate::wire;

/// Versions that somebody speaks: there is at least one.
pub(super) const fn versions(min: u32, max: u32) -> Result<(), WireError> {
    if min > max {
        return Err(WireError::VersionRange { min, max });
    }
    Ok(())
}

/// A session begins.
///
/// # Errors
/// [`WireError::NonceLength`], [`WireError::Text`] or [`WireError::VersionRange`].
pub fn call_join(wire: wire::JoinRequest) -> Result<Call, WireError> {
    versions(wire.version_min, wire.version_max)?;
    let join = join(wire)?;
    Ok(Call::Join {
        nonce: join.nonce,
        name: join.name,
        versions: join.versions,
        attests: join.attests,
    })
}

/// A session lives.
///
/// # Errors
/// [`WireError::NonceLength`].
pub fn call_keep_alive(wire: wire::KeepAliveRequest) -> Result<Call, WireError> {
    Ok(Call::KeepAlive {
        session: SessionId(wire.session),
        nonce: nonce(&wire.nonce)?,
    })
}

/// A session ends.
///
/// # Errors
/// [`WireError::NonceLength`].
pub fn call_goodbye(wire: wire::GoodbyeRequest) -> Result<Call, WireError> {
    Ok(Call::Goodbye {
        session: SessionId(wire.session),
        nonce: nonce(&wire.nonce)?,
    })
}

/// A session opens a lockspace.
///
/// # Errors
/// [`WireError::NonceLength`], [`WireError::Text`] or [`WireError::LockspaceOptions`].
pub fn call_open_lockspace(wire: wire::OpenLockspaceRequest) -> Result<Call, WireError> {
    Ok(Call::OpenLockspace {
        session: SessionId(wire.session),
        nonce: nonce(&wire.nonce)?,
        name: lockspace_name(wire.name)?,
        options: wire.options.map(options).transpose()?,
    })
}

/// A session leaves a lockspace.
///
/// # Errors
/// [`WireError::NonceLength`].
pub fn call_leave_lockspace(wire: wire::LeaveLockspaceRequest) -> Result<Call, WireError> {
    Ok(Call::LeaveLockspace {
        session: SessionId(wire.session),
        nonce: nonce(&wire.nonce)?,
        lockspace: LockspaceId(wire.lockspace),
    })
}

/// A session has replayed a journal.
///
/// # Errors
/// [`WireError::NonceLength`].
pub fn call_replayed(wire: wire::ReplayedRequest) -> Result<Call, WireError> {
    Ok(Call::Replayed {
        replay: NamedReplay {
            dead: SessionId(wire.dead),
            lockspace: LockspaceId(wire.lockspace),
            by: SessionId(wire.by),
        },
        nonce: nonce(&wire.nonce)?,
    })
}

/// An operator declares a session dead.
#[must_use]
pub const fn call_evict(wire: wire::EvictRequest) -> Call {
    let session = SessionId(wire.session);
    Call::Evict { session }
}

/// An operator has made sure that a dead session does nothing any more.
#[must_use]
pub const fn call_confirm_fence(wire: wire::ConfirmFenceRequest) -> Call {
    let session = SessionId(wire.session);
    Call::FenceConfirmed { session }
}

/// A server is added.
///
/// # Errors
/// [`WireError::Missing`], [`WireError::Text`], [`WireError::IdentityLength`].
pub fn call_add_server(wire: wire::AddServerRequest) -> Result<Call, WireError> {
    Ok(Call::AddServer {
        server: server(wire.server)?,
        peer_endpoint: endpoint("a server's address", wire.peer_endpoint)?,
        identity: identity("a server's identity", &wire.identity)?,
    })
}

/// Where somebody is found.
///
/// # Errors
/// [`WireError::Text`].
pub fn endpoint(what: &'static str, wire: String) -> Result<Endpoint, WireError> {
    text(what, wire)
}

/// A server is removed.
///
/// # Errors
/// [`WireError::Missing`].
pub fn call_remove_server(wire: wire::RemoveServerRequest) -> Result<Call, WireError> {
    let server = server(wire.server)?;
    Ok(Call::RemoveServer { server })
}

/// Where the slots are.
#[must_use]
pub const fn call_map(_: wire::MapRequest) -> Call {
    Call::Map
}

/// A call that another server relays.
///
/// # Errors
/// [`WireError::Missing`], or what is wrong with the call.
pub fn call(wire: wire::CallAsked) -> Result<Call, WireError> {
    use wire::call_asked::Kind;

    let what = "a call";
    Ok(match wire.kind.ok_or(WireError::Missing { what })? {
        Kind::Join(one) => call_join(one)?,
        Kind::KeepAlive(one) => call_keep_alive(one)?,
        Kind::Goodbye(one) => call_goodbye(one)?,
        Kind::OpenLockspace(one) => call_open_lockspace(one)?,
        Kind::LeaveLockspace(one) => call_leave_lockspace(one)?,
        Kind::Replayed(one) => call_replayed(one)?,
        Kind::Evict(one) => call_evict(one),
        Kind::ConfirmFence(one) => call_confirm_fence(one),
        Kind::Map(one) => call_map(one),
        Kind::AddServer(one) => call_add_server(one)?,
        Kind::RemoveServer(one) => call_remove_server(one)?,
    })
}

/// The answer to a call that was relayed.
///
/// # Errors
/// [`WireError::Missing`], or what is wrong with the answer.
pub fn call_answer(wire: wire::CallAnswered) -> Result<CallAnswer, WireError> {
    use wire::call_answered::Kind;

    let what = "an answer";
    Ok(match wire.kind.ok_or(WireError::Missing { what })? {
        Kind::Join(reply) => join_reply(reply)?.into(),
        Kind::KeepAlive(reply) => keepalive_reply(reply)?.into(),
        Kind::OpenLockspace(reply) => open_lockspace_reply(reply)?.into(),
        Kind::Map(reply) => map_reply(reply)?.into(),
        Kind::Plain(reply) => plain_reply(reply)?.into(),
        Kind::Failed(_) => CallAnswer::Failed,
    })
}

#[cfg(test)]
mod tests;

//! Calls of the cluster service, and how they end.

use dlm_core::call::{Call, CallAnswer};
use dlm_core::cluster::Join;

use super::cluster::{
    join, join_reply, keepalive_reply, map_reply, nonce, open_lockspace_reply, options, plain_reply,
};
use crate::cluster::{Answer, Joined, Opened};
use crate::wire;
use crate::wire::call_asked::Kind;

/// A call: what a client sends to the method of that name, and a server relays as it is.
#[must_use]
pub fn call(call: Call) -> Kind {
    match call {
        Call::Join {
            nonce,
            name,
            versions,
            attests,
        } => Kind::Join(join(&Join {
            nonce,
            name,
            versions,
            attests,
        })),
        Call::KeepAlive {
            session,
            nonce: own,
        } => Kind::KeepAlive(wire::KeepAliveRequest {
            session: session.0,
            nonce: nonce(own),
        }),
        Call::Goodbye {
            session,
            nonce: own,
        } => Kind::Goodbye(wire::GoodbyeRequest {
            session: session.0,
            nonce: nonce(own),
        }),
        Call::OpenLockspace {
            session,
            nonce: own,
            name,
            options: wanted,
        } => Kind::OpenLockspace(wire::OpenLockspaceRequest {
            session: session.0,
            nonce: nonce(own),
            name: name.into(),
            options: wanted.map(options),
        }),
        Call::LeaveLockspace {
            session,
            nonce: own,
            lockspace,
        } => Kind::LeaveLockspace(wire::LeaveLockspaceRequest {
            session: session.0,
            nonce: nonce(own),
            lockspace: lockspace.0,
        }),
        Call::Replayed { replay, nonce: own } => Kind::Replayed(wire::ReplayedRequest {
            dead: replay.dead.0,
            lockspace: replay.lockspace.0,
            by: replay.by.0,
            nonce: nonce(own),
        }),
        Call::Evict { session } => Kind::Evict(wire::EvictRequest { session: session.0 }),
        Call::FenceConfirmed { session } => {
            Kind::ConfirmFence(wire::ConfirmFenceRequest { session: session.0 })
        }
        Call::Map => Kind::Map(wire::MapRequest {}),
        Call::AddServer {
            server,
            peer_endpoint,
            identity,
        } => Kind::AddServer(wire::AddServerRequest {
            server: server.0,
            peer_endpoint: peer_endpoint.into(),
            identity: nonce(identity),
        }),
        Call::RemoveServer { server } => {
            Kind::RemoveServer(wire::RemoveServerRequest { server: server.0 })
        }
    }
}

/// The answer to a call that was relayed.
#[must_use]
pub fn call_answer(answer: CallAnswer) -> wire::CallAnswered {
    use wire::call_answered::Kind;

    let kind = match answer {
        CallAnswer::Joined {
            session,
            joined,
            version,
            lease_us,
        } => Kind::Join(join_reply(Answer::Done(Joined {
            session,
            joined,
            version,
            lease_us,
        }))),
        CallAnswer::Alive { map_index } => {
            Kind::KeepAlive(keepalive_reply(Answer::Done(map_index)))
        }
        CallAnswer::Opened {
            lockspace,
            options,
            replays,
        } => Kind::OpenLockspace(open_lockspace_reply(Answer::Done(Opened {
            lockspace,
            options,
            replays,
        }))),
        CallAnswer::Map(map) => Kind::Map(map_reply(Answer::Done(map))),
        CallAnswer::Done => Kind::Plain(plain_reply(Answer::Done(()))),
        CallAnswer::NotLeader(leader) => Kind::Plain(plain_reply(Answer::Leader(leader))),
        CallAnswer::Refused(why) => Kind::Plain(plain_reply(Answer::Refused(why))),
        CallAnswer::Failed => Kind::Failed(wire::CallFailed {}),
    };
    wire::CallAnswered { kind: Some(kind) }
}

//! One call to the cluster: out, and its answer back in the machine's words.

use dlm_core::{LockspaceId, SessionId};
use glock_core::session::call::{Call, CallAnswer};
use glockwork_proto::cluster::Answer;
use glockwork_proto::wire::cluster_client::ClusterClient;
use glockwork_proto::{WireError, convert, render, wire};
use tonic::Status;
use tonic::transport::Channel;

use crate::error::rpc_failure;

/// Makes it.
///
/// # Errors
/// Why there is no answer.
pub(crate) async fn make(channel: Channel, call: Call) -> Result<CallAnswer, String> {
    let mut client = ClusterClient::new(channel);
    match call {
        Call::Join {
            nonce,
            name,
            versions,
            attests,
        } => {
            let join = dlm_core::cluster::Join {
                nonce,
                name,
                versions,
                attests,
            };
            let reply = client.join(render::join(&join)).await;
            answered(reply, convert::join_reply, |joined| CallAnswer::Joined {
                session: joined.session,
                joined: joined.joined,
                version: joined.version,
                lease_us: joined.lease_us,
            })
        }
        Call::KeepAlive { session } => {
            let session = session.0;
            let reply = client.keep_alive(wire::KeepAliveRequest { session }).await;
            let alive = |map_index| CallAnswer::Alive { map_index };
            answered(reply, convert::keepalive_reply, alive)
        }
        Call::Goodbye { session } => {
            let session = session.0;
            let reply = client.goodbye(wire::GoodbyeRequest { session }).await;
            answered(reply, convert::plain_reply, done)
        }
        Call::OpenLockspace {
            session,
            name,
            options,
        } => {
            let request = wire::OpenLockspaceRequest {
                session: session.0,
                name: name.into(),
                options: options.map(render::cluster_options),
            };
            let reply = client.open_lockspace(request).await;
            answered(reply, convert::open_lockspace_reply, |opened| {
                CallAnswer::Opened {
                    lockspace: opened.lockspace,
                    options: opened.options,
                    replays: opened.replays,
                }
            })
        }
        Call::LeaveLockspace { session, lockspace } => {
            let request = leave(session, lockspace);
            let reply = client.leave_lockspace(request).await;
            answered(reply, convert::plain_reply, done)
        }
        Call::Map => {
            let reply = client.map(wire::MapRequest {}).await;
            answered(reply, convert::map_reply, CallAnswer::Map)
        }
        // A session makes none of these.
        Call::Replayed(_) | Call::Evict { .. } | Call::FenceConfirmed { .. } => {
            Err("the call is none of a session's".to_owned())
        }
    }
}

const fn leave(session: SessionId, lockspace: LockspaceId) -> wire::LeaveLockspaceRequest {
    wire::LeaveLockspaceRequest {
        session: session.0,
        lockspace: lockspace.0,
    }
}

const fn done((): ()) -> CallAnswer {
    CallAnswer::Done
}

fn answered<W, T>(
    reply: Result<tonic::Response<W>, Status>,
    read: impl FnOnce(W) -> Result<Answer<T>, WireError>,
    done: impl FnOnce(T) -> CallAnswer,
) -> Result<CallAnswer, String> {
    let reply = reply.map_err(|status| rpc_failure(&status))?;
    let answer = read(reply.into_inner()).map_err(|error| error.to_string())?;
    Ok(match answer {
        Answer::Done(it) => done(it),
        Answer::Leader(leader) => CallAnswer::NotLeader(leader),
        Answer::Refused(why) => CallAnswer::Refused(why),
    })
}

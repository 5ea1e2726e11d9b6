//! One call to the cluster: out, and its answer back in the machine's words.

use glock_core::session::call::{Call, CallAnswer};
use glockwork_proto::cluster::Answer;
use glockwork_proto::wire::call_asked::Kind;
use glockwork_proto::wire::cluster_client::ClusterClient;
use glockwork_proto::{WireError, convert, render};
use tonic::Status;
use tonic::transport::Channel;

use crate::error::rpc_failure;

/// Makes it.
///
/// # Errors
/// Why there is no answer.
pub(crate) async fn make(channel: Channel, call: Call) -> Result<CallAnswer, String> {
    let mut client = ClusterClient::new(channel);
    match render::call(call) {
        Kind::Join(request) => answered(client.join(request).await, convert::join_reply),
        Kind::KeepAlive(request) => {
            answered(client.keep_alive(request).await, convert::keepalive_reply)
        }
        Kind::Goodbye(request) => answered(client.goodbye(request).await, convert::plain_reply),
        Kind::OpenLockspace(request) => {
            let reply = client.open_lockspace(request).await;
            answered(reply, convert::open_lockspace_reply)
        }
        Kind::LeaveLockspace(request) => {
            answered(client.leave_lockspace(request).await, convert::plain_reply)
        }
        Kind::Replayed(request) => answered(client.replayed(request).await, convert::plain_reply),
        Kind::Map(request) => answered(client.map(request).await, convert::map_reply),
        Kind::Evict(_) | Kind::ConfirmFence(_) | Kind::AddServer(_) | Kind::RemoveServer(_) => {
            Err("the call is none of a session's".to_owned())
        }
    }
}

fn answered<W, T>(
    reply: Result<tonic::Response<W>, Status>,
    read: impl FnOnce(W) -> Result<Answer<T>, WireError>,
) -> Result<CallAnswer, String>
where
    CallAnswer: From<Answer<T>>,
{
    let reply = reply.map_err(|status| rpc_failure(&status))?;
    let answer = read(reply.into_inner()).map_err(|error| error.to_string())?;
    Ok(answer.into())
}

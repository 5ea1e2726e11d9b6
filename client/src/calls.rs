//! One call to the cluster: out, and its answer back in the machine's words.

use std::collections::BTreeMap;

use dlm_core::cluster::{Endpoint, Master, Origin, Slot};
use dlm_core::link::{MasterPlace, PlaceOrigin, SlotMap, SlotPlace};
use dlm_core::{LockspaceId, SessionId, SlotId};
use glock_core::session::call::{Call, CallAnswer};
use glockwork_proto::cluster::{self, Answer};
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
            answered(reply, convert::map_reply, |map| {
                CallAnswer::Map(places(map))
            })
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

/// The map of all slots in the words of a stream's. A master that does not run is none.
fn places(map: cluster::SlotMap) -> SlotMap {
    let running: BTreeMap<Master, Endpoint> = map.servers.into_iter().collect();
    let slots = SlotId::all().zip(map.slots);
    SlotMap {
        index: map.index,
        slots: slots.map(|(id, slot)| place(id, slot, &running)).collect(),
    }
}

fn place(id: SlotId, slot: Slot, running: &BTreeMap<Master, Endpoint>) -> SlotPlace {
    let master = slot.master.and_then(|master| {
        let endpoint = running.get(&master)?.clone();
        Some(MasterPlace {
            server: master.server,
            incarnation: master.incarnation,
            endpoint,
        })
    });
    SlotPlace {
        slot: id,
        epoch: slot.epoch,
        since: slot.since,
        origin: match slot.origin {
            Origin::Lost => PlaceOrigin::Lost,
            Origin::Planned { .. } => PlaceOrigin::Planned,
        },
        serving: slot.serving,
        master,
    }
}

//! Which server masters which lock, as one of the servers says.

use std::time::Duration;

use dlm_core::link::SlotMap;
use dlm_core::{LockspaceId, ResourceName, SlotId};
use glockwork_proto::cluster::Answer;
use glockwork_proto::convert;
use glockwork_proto::wire::MapRequest;
use glockwork_proto::wire::cluster_client::ClusterClient;
use tokio::time::timeout;
use tonic::transport::{Channel, Endpoint};

/// How long a server may take to say it. One that is stopped never does.
const ANSWER_WAIT: Duration = Duration::from_millis(500);

/// A server that is asked for its map again and again, over one connection.
#[derive(Clone, Debug)]
pub struct Masters(ClusterClient<Channel>);

impl Masters {
    /// Of the server at `endpoint`; none where nobody answers there.
    pub async fn at(endpoint: &str) -> Option<Self> {
        let transport = Endpoint::from_shared(format!("http://{endpoint}")).ok()?;
        let connecting = timeout(ANSWER_WAIT, transport.connect());
        let channel = connecting.await.ok()?.ok()?;
        Some(Self(ClusterClient::new(channel)))
    }

    /// All slots, as the server has them now; none where it does not answer.
    pub async fn map(&mut self) -> Option<SlotMap> {
        let asking = self.0.map(MapRequest::default());
        let reply = timeout(ANSWER_WAIT, asking).await.ok()?.ok()?.into_inner();
        match convert::map_reply(reply).ok()? {
            Answer::Done(map) => Some(map),
            Answer::Leader(_) | Answer::Refused(_) => None,
        }
    }
}

/// The server that masters a lock; none where nobody does.
///
/// # Panics
/// If `name` is none of a lock.
#[must_use]
pub fn master_of(map: &SlotMap, lockspace: LockspaceId, name: &str) -> Option<usize> {
    let name = ResourceName::new(name.as_bytes()).expect("the name of a lock");
    let slot = SlotId::of(lockspace, &name);
    let place = map.slots.iter().find(|place| place.slot == slot)?;
    let server = place.master.as_ref()?.server;
    usize::try_from(server.0).ok()
}

/// How many slots are not served.
#[must_use]
pub fn not_served(map: &SlotMap) -> usize {
    map.slots.iter().filter(|place| !place.serving).count()
}

//! The cluster: its servers, its sessions, its slots, and what does not go on.

use glockwork_proto::wire;
use glockwork_proto::wire::cluster_client::ClusterClient;
use glockwork_views::ClusterStatus;

use super::{InspectError, answer, channel, unreadable};
use crate::endpoints::Servers;

/// The cluster's status; any server of it may be asked.
///
/// # Errors
/// [`InspectError`]; [`InspectError::Unknown`] where the server knows of no cluster.
pub async fn cluster(servers: &Servers) -> Result<ClusterStatus, InspectError> {
    let (endpoint, channel) = channel(servers).await?;
    let mut client = ClusterClient::new(channel);
    let asking = client.status(wire::ClusterStatusRequest::default());
    let reply = answer(&endpoint, asking).await?;
    ClusterStatus::try_from(reply).map_err(|why| unreadable(&endpoint, why))
}

//! What is decided for a cluster by whoever looks after it. Any server may be asked; the leader decides.

use std::time::Duration;

use glockwork_proto::cluster::Answer;
use glockwork_proto::wire::cluster_client::ClusterClient;
use glockwork_proto::{convert, wire};
use tokio::time::{Instant, sleep};
use tonic::transport::Channel;
use tonic::{Response, Status};

use super::{ANSWER_WAIT_MAX, InspectError, answer, channel, unreadable};
use crate::endpoints::Servers;

/// How long after a server that knows of no leader was asked the next one is.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// Declares a session dead. What it holds stays until it is fenced.
///
/// # Errors
/// [`InspectError`].
pub async fn evict(servers: &Servers, session: u64) -> Result<(), InspectError> {
    decide(servers, |mut client| async move {
        client.evict(wire::EvictRequest { session }).await
    })
    .await
}

/// Says that a dead session does surely nothing any more: this takes the place of its fence. **Where it is
/// not so, two nodes may write to the same place at once.**
///
/// # Errors
/// [`InspectError`].
pub async fn confirm_fence(servers: &Servers, session: u64) -> Result<(), InspectError> {
    decide(servers, |mut client| async move {
        let request = wire::ConfirmFenceRequest { session };
        client.confirm_fence(request).await
    })
    .await
}

/// Adds a server that was started to join and is found at `peer_endpoint`. It is decided when this returns,
/// and done when it has the log.
///
/// # Errors
/// [`InspectError`].
pub async fn add_server(
    servers: &Servers,
    server: u64,
    peer_endpoint: &str,
) -> Result<(), InspectError> {
    decide(servers, |mut client| {
        let request = wire::AddServerRequest {
            server,
            peer_endpoint: peer_endpoint.to_owned(),
            ..wire::AddServerRequest::default()
        };
        async move { client.add_server(request).await }
    })
    .await
}

/// Removes a server: its slots go to the others first. It is decided when this returns, and done when they
/// are there.
///
/// # Errors
/// [`InspectError`].
pub async fn remove_server(servers: &Servers, server: u64) -> Result<(), InspectError> {
    decide(servers, |mut client| async move {
        let request = wire::RemoveServerRequest { server };
        client.remove_server(request).await
    })
    .await
}

/// Asks until the leader has answered.
async fn decide<F>(
    servers: &Servers,
    ask: impl Fn(ClusterClient<Channel>) -> F,
) -> Result<(), InspectError>
where
    F: Future<Output = Result<Response<wire::PlainReply>, Status>>,
{
    let until = Instant::now() + ANSWER_WAIT_MAX;
    let mut there = servers.clone();
    loop {
        // A leader that was named may be gone; then the others know of another one.
        let reached = match channel(&there).await {
            Err(_) if Instant::now() < until => {
                there = servers.clone();
                sleep(ASK_AGAIN).await;
                continue;
            }
            reached => reached,
        };
        let (endpoint, channel) = reached?;
        let reply = answer(&endpoint, ask(ClusterClient::new(channel))).await?;
        let reply = convert::plain_reply(reply).map_err(|why| unreadable(&endpoint, why))?;
        match reply {
            Answer::Done(()) => return Ok(()),
            Answer::Refused(why) => {
                let why = why.to_string();
                return Err(InspectError::Refused { endpoint, why });
            }
            Answer::Leader(_) if Instant::now() >= until => {
                let why = "no server leads; start more of them, or mend the network".into();
                return Err(InspectError::Refused { endpoint, why });
            }
            Answer::Leader(Some(leader)) => there = at(servers, leader.as_str()),
            Answer::Leader(None) => {
                there = servers.clone();
                sleep(ASK_AGAIN).await;
            }
        }
    }
}

/// That server, spoken to as the others are.
fn at(servers: &Servers, endpoint: &str) -> Servers {
    match (Servers::parse(endpoint), servers.tls()) {
        (Ok(one), Some(tls)) => one.with_tls(tls.clone()),
        (Ok(one), None) => one,
        (Err(_), _) => servers.clone(),
    }
}

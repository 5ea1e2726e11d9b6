//! The connection to another server: made, kept, and made again.
//!
//! Messages go one way over it; what the other server has to say comes over a connection of its own.

use std::sync::Arc;
use std::time::Duration;

use dlm_core::ServerId;
use dlm_core::cluster::{Endpoint, Timing};
use glockwork_proto::peer::PeerHello;
use glockwork_proto::wire::peer_client::PeerClient;
use glockwork_proto::{PEER_MESSAGE_BYTES_MAX, convert};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tonic::transport::Channel;
use tracing::{debug, info, warn};

use super::channel::{self, Channels};
use super::outbox::Outbox;
use super::peers::PeerQueue;

/// What every connection of this server to others begins with.
#[derive(Clone, Debug)]
pub(super) struct Dial {
    /// Who this server is.
    pub(super) ours: PeerHello,
    /// How it connects.
    pub(super) channels: Channels,
    /// How long it waits between two attempts.
    pub(super) timing: Timing,
}

/// Keeps a connection to `server`, wherever it is found. `newest` is told of each connection's queue.
pub(super) async fn keep(
    dial: Dial,
    server: ServerId,
    mut at: watch::Receiver<Endpoint>,
    newest: watch::Sender<Arc<Outbox<PeerQueue>>>,
) {
    let mut pause_us = dial.timing.reconnect_us_min;
    let mut said = String::new();
    loop {
        let endpoint = at.borrow_and_update().clone();
        // Who says something to it from now on says it to this connection, while it is being made, too.
        let (outbox, frames) = Outbox::new(PeerQueue::new(dial.ours.clone()));
        newest.send_replace(Arc::clone(&outbox));
        let _ends = Ends(outbox);
        let connected = tokio::select! {
            connected = connect(&dial, server, &endpoint, frames) => connected,
            _ = at.changed() => continue,
        };
        let why = match connected {
            Ok(mut replies) => {
                info!(server = server.0, %endpoint, "connected to server");
                said.clear();
                pause_us = dial.timing.reconnect_us_min;
                tokio::select! {
                    ended = replies.message() => match ended {
                        Ok(_) => "it ended the stream".to_owned(),
                        Err(status) => channel::reason(&status),
                    },
                    _ = at.changed() => "it moved".to_owned(),
                }
            }
            Err(why) => why,
        };
        // Once for each reason: a server that is down is tried for as long as it is down.
        if why == said {
            debug!(server = server.0, %endpoint, "no connection to server: {why}");
        } else {
            warn!(server = server.0, %endpoint, "no connection to server: {why}");
            said = why;
        }
        sleep(Duration::from_micros(pause_us)).await;
        pause_us = (2 * pause_us).min(RETRY_US_MAX);
    }
}

/// Ends a connection's frames when it is given up: as long as there may be more of them the transport keeps
/// the connection, whoever has stopped listening to it.
struct Ends(Arc<Outbox<PeerQueue>>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// The longest pause between two attempts: a server that comes back has to be heard within an election.
const RETRY_US_MAX: u64 = 200_000;

type Replies = tonic::Streaming<glockwork_proto::wire::PeerWelcome>;

async fn connect(
    dial: &Dial,
    server: ServerId,
    endpoint: &Endpoint,
    frames: super::outbox::OutboxStream<PeerQueue>,
) -> Result<Replies, String> {
    let open = async {
        let channel: Channel = dial.channels.connect(server, endpoint).await?;
        let mut client = PeerClient::new(channel)
            .max_decoding_message_size(PEER_MESSAGE_BYTES_MAX)
            .max_encoding_message_size(PEER_MESSAGE_BYTES_MAX);
        let said = |status: tonic::Status| status.message().to_owned();
        let mut replies = client.stream(frames).await.map_err(said)?.into_inner();
        let first = replies.message().await.map_err(said)?;
        let welcome = first.ok_or_else(|| "it ended the stream at once".to_owned())?;
        let welcome = convert::peer_welcome(&welcome).map_err(|error| error.to_string())?;
        if welcome.server != server {
            let is = welcome.server.0;
            return Err(format!("server {is} answers there; correct the address"));
        }
        Ok(replies)
    };
    let late = || "it does not answer".to_owned();
    timeout(channel::CONNECT_WAIT_MAX, open)
        .await
        .unwrap_or_else(|_| Err(late()))
}

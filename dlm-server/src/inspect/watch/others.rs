//! Reads what the other servers' watches say, a task for each. One that is lost is asked again until it is back
//! or was removed.

use std::collections::BTreeSet;

use dlm_core::ServerId;
use glockwork_proto::coverage::Unreachable;
use glockwork_proto::wire;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tonic::Status;

use super::super::Look;
use super::super::ask::{Other, in_time, others};
use crate::error::LookError;
use crate::limits::{REPLIES_QUEUED_MAX, WATCH_PULSE, WATCH_SILENCE_MAX};
use crate::view;

/// Something of another server.
#[derive(Debug)]
pub(super) enum Heard {
    /// It says.
    Said(ServerId, wire::WatchReply),
    /// It says nothing more for now.
    Lost(ServerId, Unreachable),
    /// It is none of the cluster's any more.
    Removed(ServerId),
}

/// The tasks. They end with this.
pub(super) struct Others<L> {
    look: L,
    request: wire::WatchRequest,
    heard: mpsc::Sender<Heard>,
    followed: BTreeSet<ServerId>,
    tasks: JoinSet<()>,
}

impl<L: Look> Others<L> {
    pub(super) fn new(look: L, request: &wire::WatchRequest) -> (Self, mpsc::Receiver<Heard>) {
        let (heard, queue) = mpsc::channel(REPLIES_QUEUED_MAX);
        let request = wire::WatchRequest {
            local: true,
            ..request.clone()
        };
        let others = Self {
            look,
            request,
            heard,
            followed: BTreeSet::new(),
            tasks: JoinSet::new(),
        };
        (others, queue)
    }

    /// Begins to read those that are not read yet.
    pub(super) async fn follow_all(&mut self) -> Result<(), LookError> {
        let all = self.look.look(|node, _| view::others(node)).await?;
        for (server, _) in all {
            if self.followed.insert(server) {
                let follower = Follower {
                    look: self.look.clone(),
                    server,
                    request: self.request.clone(),
                    heard: self.heard.clone(),
                };
                self.tasks.spawn(follower.follow());
            }
        }
        while self.tasks.try_join_next().is_some() {}
        Ok(())
    }

    /// The servers that are read, or tried.
    pub(super) const fn followed(&self) -> &BTreeSet<ServerId> {
        &self.followed
    }

    /// Nobody reads it any more.
    pub(super) fn removed(&mut self, server: ServerId) {
        self.followed.remove(&server);
    }
}

struct Follower<L> {
    look: L,
    server: ServerId,
    request: wire::WatchRequest,
    heard: mpsc::Sender<Heard>,
}

impl<L: Look> Follower<L> {
    async fn follow(self) {
        while let Some(found) = self.find().await {
            let why = match found {
                Ok(other) => {
                    let why = self.read(&other).await;
                    other.unreachable(why).1
                }
                Err(why) => why,
            };
            // Whoever watches may have gone meanwhile.
            if self
                .heard
                .send(Heard::Lost(self.server, why))
                .await
                .is_err()
            {
                return;
            }
            sleep(WATCH_PULSE).await;
        }
        let _ = self.heard.send(Heard::Removed(self.server)).await;
    }

    /// Where it is now. `None` where the cluster has no such server.
    async fn find(&self) -> Option<Result<Other, Unreachable>> {
        let mut all = others(&self.look, false).await.ok()?;
        let other = all
            .all
            .into_iter()
            .find(|other| other.server == self.server);
        match other {
            Some(other) => Some(Ok(other)),
            None => all.coverage.unreachable.remove(&self.server).map(Err),
        }
    }

    /// Reads it to the end, and says why that is one.
    async fn read(&self, other: &Other) -> String {
        let client = wire::inspect_client::InspectClient::new(other.channel.clone());
        let mut client = client.max_decoding_message_size(glockwork_proto::FRAME_BYTES_MAX);
        let asked = in_time(client.watch(self.request.clone())).await;
        let mut stream = match asked {
            Ok(asked) => asked.into_inner(),
            Err(why) => return why,
        };
        loop {
            let message = timeout(WATCH_SILENCE_MAX, stream.message()).await;
            let why: Result<wire::WatchReply, String> = match message {
                Ok(Ok(Some(reply))) => Ok(reply),
                Ok(Ok(None)) => Err("it stopped".to_owned()),
                Ok(Err(status)) => Err(said(&status)),
                Err(_) => Err("it says nothing any more".to_owned()),
            };
            let reply = match why {
                Ok(reply) => reply,
                Err(why) => return why,
            };
            let heard = Heard::Said(self.server, reply);
            if self.heard.send(heard).await.is_err() {
                return "nobody watches any more".to_owned();
            }
        }
    }
}

fn said(status: &Status) -> String {
    match status.code() {
        tonic::Code::Unimplemented => "it is older, and cannot be watched".to_owned(),
        tonic::Code::Unknown => "the connection to it broke".to_owned(),
        _ => status.message().to_owned(),
    }
}

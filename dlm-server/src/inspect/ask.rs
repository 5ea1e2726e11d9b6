//! Asking all other servers at once.

use std::future::Future;

use dlm_core::ServerId;
use glockwork_proto::coverage::{Coverage, Unreachable};
use glockwork_proto::{convert, wire};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tonic::transport::Channel;
use tonic::{Response, Status};

use super::{Look, OTHERS_WAIT_MAX};
use crate::error::LookError;
use crate::view;

/// Another server, and the way to it.
#[derive(Clone, Debug)]
pub(super) struct Other {
    pub(super) server: ServerId,
    pub(super) endpoint: String,
    pub(super) channel: Channel,
}

/// The others, and those that cannot be asked.
#[derive(Debug, Default)]
pub(super) struct Others {
    pub(super) all: Vec<Other>,
    pub(super) coverage: Coverage,
}

/// The other servers, or none where a request is `local`.
pub(super) async fn others<L: Look>(look: &L, local: bool) -> Result<Others, LookError> {
    let mut others = Others::default();
    if local {
        return Ok(others);
    }
    for (server, endpoint) in look.look(|node, _| view::others(node)).await? {
        let channel = match &endpoint {
            Some(endpoint) => look.channel(endpoint),
            None => Err("it is down".to_owned()),
        };
        let endpoint = endpoint.map(String::from);
        match (channel, endpoint) {
            (Ok(channel), Some(endpoint)) => others.all.push(Other {
                server,
                endpoint,
                channel,
            }),
            (Ok(_), None) => {}
            (Err(why), endpoint) => {
                let one = Unreachable { endpoint, why };
                others.coverage.unreachable.insert(server, one);
            }
        }
    }
    Ok(others)
}

impl Other {
    /// It did not answer, because of `why`.
    pub(super) fn unreachable(&self, why: String) -> (ServerId, Unreachable) {
        let endpoint = Some(self.endpoint.clone());
        (self.server, Unreachable { endpoint, why })
    }
}

/// Waits for an answer as long as another server may take.
pub(super) async fn in_time<T>(
    asking: impl Future<Output = Result<T, Status>>,
) -> Result<T, String> {
    match timeout(OTHERS_WAIT_MAX, asking).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(status)) => Err(said(&status)),
        Err(_) => Err(format!(
            "it did not answer within {} s",
            OTHERS_WAIT_MAX.as_secs()
        )),
    }
}

fn said(status: &Status) -> String {
    match status.message() {
        "" => status.code().to_string(),
        message => message.to_owned(),
    }
}

impl Others {
    /// Asks them all. Those that do not answer are unreachable from then on.
    pub(super) async fn ask<R, F>(&mut self, ask: impl Fn(Channel) -> F) -> Vec<R>
    where
        R: Send + 'static,
        F: Future<Output = Result<Response<R>, Status>> + Send + 'static,
    {
        let mut asked = JoinSet::new();
        for (at, other) in self.all.iter().enumerate() {
            let asking = ask(other.channel.clone());
            asked.spawn(async move { (at, in_time(asking).await) });
        }
        let mut answers: Vec<(usize, R)> = Vec::new();
        while let Some(ended) = asked.join_next().await {
            match ended {
                Ok((at, Ok(answer))) => answers.push((at, answer.into_inner())),
                Ok((at, Err(why))) => {
                    let (server, one) = self.all[at].unreachable(why);
                    self.coverage.unreachable.insert(server, one);
                }
                // It was given up because this server stops.
                Err(_) => {}
            }
        }
        // In the order of the servers and not of the network.
        answers.sort_by_key(|(at, _)| *at);
        let unreachable = &self.coverage.unreachable;
        self.all
            .retain(|other| !unreachable.contains_key(&other.server));
        answers.into_iter().map(|(_, answer)| answer).collect()
    }

    /// Adds what an answer says that it shows.
    pub(super) fn cover(&mut self, of: Option<wire::Coverage>) -> Result<(), LookError> {
        self.coverage.merge(convert::coverage(of)?);
        Ok(())
    }
}

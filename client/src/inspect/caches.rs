//! What the nodes count of the glocks that they cache.

use glockwork_proto::{caches as proto, convert, wire};
use serde::Serialize;

use super::{InspectError, answer, connect};
use crate::endpoints::Servers;

/// The caches of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Caches {
    /// By session and lockspace. A session that never asked for a glock has none.
    pub caches: Vec<Cache>,
    /// Sessions that live and did not answer in time.
    pub silent: Vec<SilentSession>,
}

/// The glocks of a session in one lockspace, in numbers since it began to cache there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Cache {
    /// Whose it is.
    pub session: u64,
    /// What people call that session.
    pub session_name: String,
    /// The lockspace's name.
    pub lockspace: String,
    /// Glocks in the cache now.
    pub glocks: u64,
    /// How often a task asked for one, tries that failed among them.
    pub requests: u64,
    /// How often it got it at once from what was cached, without a message.
    pub hits: u64,
    /// Messages that gave something up: conversions down, and unlocks.
    pub demotions: u64,
    /// How often the node was told that another one wants what it has.
    pub callbacks: u64,
}

/// A session that says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SilentSession {
    /// Its number.
    pub session: u64,
    /// Its name.
    pub name: String,
}

impl Cache {
    /// Which part of the requests was granted from the cache, 0 to 1; none where nobody asked.
    #[must_use]
    pub fn hit_rate(&self) -> Option<f64> {
        (self.requests > 0).then(|| self.hits as f64 / self.requests as f64)
    }
}

/// What every session has counted; cheap enough for every second.
///
/// # Errors
/// [`InspectError`].
pub async fn caches(servers: &Servers) -> Result<Caches, InspectError> {
    let (endpoint, mut client) = connect(servers).await?;
    let reply = answer(&endpoint, client.caches(wire::CachesRequest::default())).await?;
    Ok(convert::caches_reply(reply).into())
}

impl From<proto::Caches> for Caches {
    fn from(all: proto::Caches) -> Self {
        let caches = all.caches.into_iter().map(|one| Cache {
            session: one.session.0,
            session_name: one.session_name,
            lockspace: one.lockspace,
            glocks: one.counters.glocks,
            requests: one.counters.requests,
            hits: one.counters.hits,
            demotions: one.counters.demotions,
            callbacks: one.counters.callbacks,
        });
        let silent = all.silent.into_iter();
        Self {
            caches: caches.collect(),
            silent: silent
                .map(|(session, name)| SilentSession {
                    session: session.0,
                    name,
                })
                .collect(),
        }
    }
}

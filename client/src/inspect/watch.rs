//! What happens to locks from now on, and what has happened to one resource.

use std::time::Duration;

use dlm_core::ResourceName;
use glockwork_proto::{WireError, convert, render, wire};
use glockwork_views::events::{Event, EventKind, History};
use glockwork_views::graph::Cycle;
use serde::Serialize;
use tokio::time::{Instant, sleep, timeout_at};
use tonic::Streaming;

use super::{ANSWER_WAIT_MAX, Coverage, InspectError, answer, connect, refused, unreadable};
use crate::endpoints::Servers;

/// How long a server that is watched may say nothing: it says something every second.
pub const WATCH_SILENCE_MAX: Duration = Duration::from_secs(5);

/// How long after a server could not be watched another one is tried.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// The most deadlocks that are remembered, to tell which of them are new where another server is watched.
const CYCLES_MAX: usize = 1024;

/// What of all that happens is wanted; by default everything. Deadlocks are told of in any case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchFilter {
    /// Only this lockspace, open or not.
    pub lockspace: Option<String>,
    /// Only resources with names like this: `*` is any text, `?` one character; glocks as `inode 0x102ab` or
    /// `2/102ab`.
    pub resource: Option<String>,
    /// Only the session of this name or number.
    pub session: Option<String>,
    /// Only these; none is all.
    pub kinds: Vec<EventKind>,
}

/// What a watch says next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// What has happened.
    Heard(Heard),
    /// The server that was asked says nothing more. What happens until another one is watched is not heard.
    Lost {
        /// Which.
        endpoint: String,
        /// What came of it.
        why: String,
    },
    /// One is watched again.
    Back {
        /// Which.
        endpoint: String,
        /// For how long nothing was heard.
        after: Duration,
    },
}

/// What has happened since the last time. The first one comes at once and says how much is seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// Each server's in the order in which they happened there; those of different servers as they come.
    pub events: Vec<Event>,
    /// What was not seen, because it came faster than it was read.
    pub missed: Vec<Missed>,
    /// How much is seen, where that changed.
    pub coverage: Option<Coverage>,
    /// Deadlocks that there are now, each seen twice.
    pub appeared: Vec<Cycle>,
    /// Those that there are no more.
    pub gone: Vec<Cycle>,
}

/// Events of a server that were not seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Missed {
    /// Which server's.
    pub server: u64,
    /// How many.
    pub events: u64,
}

/// Watches a cluster, by one of its servers, and by another where that is lost.
#[derive(Debug)]
pub struct Watch {
    servers: Servers,
    request: wire::WatchRequest,
    state: State,
    /// Those that were told of.
    cycles: Vec<Cycle>,
    /// The first reply of a server names all deadlocks.
    is_first: bool,
}

#[derive(Debug)]
enum State {
    Watching {
        endpoint: String,
        replies: Box<Streaming<wire::WatchReply>>,
        heard: Instant,
    },
    Lost {
        since: Instant,
        /// Until when it is tried again before that is a failure.
        until: Instant,
    },
}

/// Begins to watch.
///
/// # Errors
/// [`InspectError`].
pub async fn watch(servers: &Servers, filter: &WatchFilter) -> Result<Watch, InspectError> {
    let text = |given: &Option<String>| given.clone().unwrap_or_default();
    let kinds = filter.kinds.iter().map(|&kind| render::event_kind(kind));
    let request = wire::WatchRequest {
        lockspace: text(&filter.lockspace),
        resource: text(&filter.resource),
        session: text(&filter.session),
        kinds: kinds.map(i32::from).collect(),
        local: false,
    };
    let state = begin(servers, &request).await?;
    Ok(Watch {
        servers: servers.clone(),
        request,
        state,
        cycles: Vec::new(),
        is_first: true,
    })
}

async fn begin(servers: &Servers, request: &wire::WatchRequest) -> Result<State, InspectError> {
    let (endpoint, mut client) = connect(servers).await?;
    let replies = answer(&endpoint, client.watch(request.clone())).await?;
    Ok(State::Watching {
        endpoint,
        replies: Box::new(replies),
        heard: Instant::now(),
    })
}

impl Watch {
    /// What comes next; it may be dropped before it has come, and nothing is lost by that.
    ///
    /// # Errors
    /// [`InspectError`] where no server could be watched for [`ANSWER_WAIT_MAX`]. Asked again, it tries again.
    pub async fn next(&mut self) -> Result<News, InspectError> {
        match &mut self.state {
            State::Lost { since, until } => {
                let (since, until) = (*since, *until);
                self.again(since, until).await
            }
            State::Watching {
                endpoint,
                replies,
                heard,
            } => {
                let message = timeout_at(*heard + WATCH_SILENCE_MAX, replies.message()).await;
                let why = match message {
                    Ok(Ok(Some(reply))) => {
                        *heard = Instant::now();
                        let endpoint = endpoint.clone();
                        let heard = self.read(reply).map_err(|why| unreadable(&endpoint, why))?;
                        return Ok(News::Heard(heard));
                    }
                    Ok(Ok(None)) => "it stopped".to_owned(),
                    Ok(Err(status)) => refused(endpoint.clone(), &status).to_string(),
                    Err(_) => "it says nothing any more".to_owned(),
                };
                let endpoint = std::mem::take(endpoint);
                let since = Instant::now();
                let until = since + ANSWER_WAIT_MAX;
                self.state = State::Lost { since, until };
                Ok(News::Lost { endpoint, why })
            }
        }
    }

    /// Watches another one.
    async fn again(&mut self, since: Instant, until: Instant) -> Result<News, InspectError> {
        loop {
            match begin(&self.servers, &self.request).await {
                Ok(watching) => {
                    self.state = watching;
                    self.is_first = true;
                    let State::Watching { endpoint, .. } = &self.state else {
                        unreachable!("it was just begun");
                    };
                    return Ok(News::Back {
                        endpoint: endpoint.clone(),
                        after: since.elapsed(),
                    });
                }
                Err(_) if Instant::now() < until => sleep(AGAIN_AFTER).await,
                Err(error) => {
                    let until = Instant::now() + ANSWER_WAIT_MAX;
                    self.state = State::Lost { since, until };
                    return Err(error);
                }
            }
        }
    }

    fn read(&mut self, reply: wire::WatchReply) -> Result<Heard, WireError> {
        let cycles = |cycles: Vec<wire::Cycle>| -> Result<Vec<Cycle>, WireError> {
            cycles.into_iter().map(Cycle::try_from).collect()
        };
        let coverage = reply.coverage.map(|said| Coverage::read(Some(said)));
        let missed = reply.missed.iter().map(|one| Missed {
            server: one.server,
            events: one.events,
        });
        let mut heard = Heard {
            events: convert::events(reply.events)?,
            missed: missed.collect(),
            coverage: coverage.transpose()?,
            appeared: cycles(reply.appeared)?,
            gone: cycles(reply.gone)?,
        };
        self.know(&mut heard);
        Ok(heard)
    }

    /// Keeps to the deadlocks that were not told of before: another server begins with all of them.
    fn know(&mut self, heard: &mut Heard) {
        let among = |all: &[Cycle], one: &Cycle| all.iter().any(|other| other.is_same(one));
        if std::mem::take(&mut self.is_first) {
            let known = std::mem::take(&mut self.cycles);
            let (still, gone) = known
                .into_iter()
                .partition(|one| among(&heard.appeared, one));
            self.cycles = still;
            heard.gone = gone;
            heard.appeared.retain(|one| !among(&self.cycles, one));
        }
        self.cycles.retain(|one| !among(&heard.gone, one));
        let room = CYCLES_MAX.saturating_sub(self.cycles.len());
        self.cycles
            .extend(heard.appeared.iter().take(room).cloned());
    }
}

/// The last events of a resource, as its master has them; the lockspace need not be open any more.
///
/// # Errors
/// [`InspectError`]; [`InspectError::Refused`] where there never was such a lockspace, or the resource has no
/// master that can be reached.
pub async fn history(
    servers: &Servers,
    lockspace: &str,
    name: &ResourceName,
) -> Result<History, InspectError> {
    let (endpoint, mut client) = connect(servers).await?;
    let asking = client.history(wire::HistoryRequest {
        lockspace: lockspace.to_owned(),
        name: name.as_bytes().to_vec().into(),
        local: false,
    });
    let reply = answer(&endpoint, asking).await?;
    convert::history(reply).map_err(|why| unreadable(&endpoint, why))
}

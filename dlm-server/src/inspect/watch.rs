//! What happens from now on, at all servers.
//!
//! Nobody tells a watcher anything: its task reads this server's journal every [`WATCH_EVERY`], and one task for
//! each other server reads what that one's watch says. What they read waits in a queue of a few replies; when
//! nobody takes them nobody reads on, and the journals go on without: what was overwritten meanwhile was missed,
//! and its number is told.
//!
//! | file | what |
//! |---|---|
//! | `filter.rs` | what a watcher wants to hear of |
//! | `others.rs` | reads the other servers |
//! | `sum.rs` | what is seen of the cluster, server by server |

mod filter;
mod others;
mod sum;

use std::sync::Arc;

use dlm_core::SlotId;
use glockwork_proto::coverage::Coverage;
use glockwork_proto::{render, wire};
use tokio::sync::mpsc;
use tokio::time::{Instant, MissedTickBehavior, interval, interval_at, sleep, timeout_at};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

pub(super) use filter::Filter;
use others::{Heard, Others};
use sum::Sum;

use super::cycles::{Seen, missing};
use super::{Look, OTHERS_WAIT_MAX};
use crate::error::LookError;
use crate::limits::{EVENTS_PER_REPLY_MAX, REPLIES_QUEUED_MAX, WATCH_EVERY, WATCH_PULSE};
use crate::view::journal::read;

/// Where replies go. Nobody reads them any more if it is closed.
pub(super) type Replies = mpsc::Sender<Result<wire::WatchReply, Status>>;

/// What a watcher gets.
pub(super) type Stream = ReceiverStream<Result<wire::WatchReply, Status>>;

/// Begins to watch: this server alone without `cycles`, else all. `room` is kept until the end.
pub(super) async fn begin<L: Look>(
    look: L,
    request: wire::WatchRequest,
    cycles: Option<Seen>,
    room: impl Send + 'static,
) -> Result<Stream, LookError> {
    let filter = Arc::new(Filter::read(&request)?);
    let from = look.look(|node, _| node.journal().next()).await?;
    let (replies, stream) = mpsc::channel(REPLIES_QUEUED_MAX);
    tokio::spawn(async move {
        let ours = Ours { look, filter, from };
        let ended = match cycles {
            None => ours.watch(&replies).await,
            Some(cycles) => {
                All::begin(&ours, &request, cycles)
                    .watch(ours, &replies)
                    .await
            }
        };
        if let Err(why) = ended {
            // Whoever watched may have gone meanwhile.
            let _ = replies.send(Err(why.into())).await;
        }
        drop(room);
    });
    Ok(ReceiverStream::new(stream))
}

/// The journal of this server.
#[derive(Clone)]
struct Ours<L> {
    look: L,
    filter: Arc<Filter>,
    /// The number of the next event.
    from: u64,
}

impl<L: Look> Ours<L> {
    /// This server alone, until nobody reads any more.
    async fn watch(mut self, to: &Replies) -> Result<(), LookError> {
        let mut coverage = None;
        let mut said = Instant::now();
        loop {
            let (mut reply, more) = self.read().await?;
            let covered = self.slots().await?;
            if coverage.as_ref() != Some(&covered) {
                reply.coverage = Some(render::coverage(Coverage::of(covered.iter().copied())));
                coverage = Some(covered);
            }
            if reply != wire::WatchReply::default() || said.elapsed() >= WATCH_PULSE {
                said = Instant::now();
                if to.send(Ok(reply)).await.is_err() {
                    return Ok(());
                }
            }
            if to.is_closed() {
                return Ok(());
            }
            if !more {
                sleep(WATCH_EVERY).await;
            }
        }
    }

    /// What has happened since the last time, and whether that is all.
    async fn read(&mut self) -> Result<(wire::WatchReply, bool), LookError> {
        let from = self.from;
        let found = self
            .look
            .look(move |node, now| (node.server(), read(node, now, from, EVENTS_PER_REPLY_MAX)));
        let (server, found) = found.await?;
        self.from = found.next;
        let (missed, more) = (found.missed, found.more);
        let events = found.into_events().into_iter();
        let events = events.filter(|event| self.filter.passes(event));
        let missed = (missed > 0).then_some(wire::Missed {
            server: server.0,
            events: missed,
        });
        let reply = wire::WatchReply {
            events: events.map(render::event).collect(),
            missed: missed.into_iter().collect(),
            ..wire::WatchReply::default()
        };
        Ok((reply, more))
    }

    /// The slots that are served here.
    async fn slots(&self) -> Result<Vec<SlotId>, LookError> {
        let served = |node: &crate::node::Node, _| node.served().map(|one| one.slot()).collect();
        self.look.look(served).await
    }
}

/// All servers, and the deadlocks.
struct All<L> {
    others: Others<L>,
    heard: mpsc::Receiver<Heard>,
    sum: Sum,
    cycles: Seen,
    shown: Arc<Vec<wire::Cycle>>,
}

impl<L: Look> All<L> {
    fn begin(ours: &Ours<L>, request: &wire::WatchRequest, cycles: Seen) -> Self {
        let (others, heard) = Others::new(ours.look.clone(), request);
        Self {
            others,
            heard,
            sum: Sum::default(),
            cycles,
            shown: Arc::default(),
        }
    }

    async fn watch(mut self, mut ours: Ours<L>, to: &Replies) -> Result<(), LookError> {
        self.others.follow_all().await?;
        let mut reply = self.first().await;
        let mut pulse = interval_at(Instant::now() + WATCH_PULSE, WATCH_PULSE);
        let mut every = interval(WATCH_EVERY);
        for ticks in [&mut pulse, &mut every] {
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        }
        self.sum.ours(ours.slots().await?);
        self.news(&mut reply);
        // The first one is told at once, and later one when nothing has happened for long.
        let mut due = true;
        loop {
            if due || reply != wire::WatchReply::default() {
                due = false;
                if to.send(Ok(std::mem::take(&mut reply))).await.is_err() {
                    return Ok(());
                }
            }
            tokio::select! {
                () = to.closed() => return Ok(()),
                // A sender is ours, so there is always somebody to hear of.
                Some(heard) = self.heard.recv() => self.hear(heard, &mut reply),
                _ = self.cycles.changed() => {}
                _ = every.tick() => {
                    let more;
                    (reply, more) = ours.read().await?;
                    if more {
                        every.reset_immediately();
                    }
                }
                _ = pulse.tick() => {
                    self.others.follow_all().await?;
                    self.sum.ours(ours.slots().await?);
                    due = true;
                }
            }
            self.news(&mut reply);
        }
    }

    /// Waits until every other server has said how much it sees, or does not in time.
    async fn first(&mut self) -> wire::WatchReply {
        let mut reply = wire::WatchReply::default();
        let until = Instant::now() + OTHERS_WAIT_MAX;
        while !self.sum.has_all(self.others.followed())
            && reply.events.len() < EVENTS_PER_REPLY_MAX
            && let Ok(Some(heard)) = timeout_at(until, self.heard.recv()).await
        {
            self.hear(heard, &mut reply);
        }
        self.sum.late(self.others.followed());
        reply
    }

    fn hear(&mut self, heard: Heard, reply: &mut wire::WatchReply) {
        match heard {
            Heard::Said(server, said) => {
                reply.events.extend(said.events);
                reply.missed.extend(said.missed);
                if let Some(coverage) = said.coverage {
                    self.sum.heard(server, coverage);
                }
            }
            Heard::Lost(server, why) => self.sum.lost(server, why),
            Heard::Removed(server) => {
                self.others.removed(server);
                self.sum.removed(server);
            }
        }
    }

    /// What is different of the cluster as a whole.
    fn news(&mut self, reply: &mut wire::WatchReply) {
        reply.coverage = self.sum.news().map(render::coverage);
        let now = Arc::clone(&self.cycles.borrow_and_update());
        if !Arc::ptr_eq(&now, &self.shown) {
            reply.appeared = missing(&now, &self.shown);
            reply.gone = missing(&self.shown, &now);
            self.shown = now;
        }
    }
}

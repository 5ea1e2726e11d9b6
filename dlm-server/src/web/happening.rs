//! What happens at all servers, heard while somebody listens to this one's page.

use glockwork_proto::{convert, wire};
use tokio::time::{Instant, sleep_until, timeout_at};
use tokio_stream::StreamExt;

use super::history::Recent;
use super::sight::{Sight, Watched};
use crate::inspect::Look;

/// What happens at all servers while somebody listens.
pub(super) struct Happening<L: Look> {
    watched: Option<Watched<L>>,
    recent: Recent,
}

impl<L: Look> Happening<L> {
    pub(super) fn new() -> Self {
        Self {
            watched: None,
            recent: Recent::default(),
        }
    }

    /// Hears of it until then.
    pub(super) async fn follow(&mut self, sight: &Sight<L>, until: Instant) {
        if self.watched.is_none() {
            // Where it cannot be watched now it is tried again the next time.
            self.watched = sight.watch().await.ok();
            // What happened before, and then perhaps once more.
            let before = sight.recent().await.unwrap_or_default();
            before.into_iter().for_each(|event| self.recent.push(event));
        }
        while let Some(watched) = &mut self.watched {
            match timeout_at(until, watched.next()).await {
                Ok(Some(Ok(reply))) => self.hear(reply),
                Ok(Some(Err(_)) | None) => self.watched = None,
                Err(_) => return,
            }
        }
        sleep_until(until).await;
    }

    /// The last of it, as a part of the page.
    pub(super) fn html(&self) -> String {
        self.recent.html()
    }

    fn hear(&mut self, reply: wire::WatchReply) {
        // What a newer server says that means nothing here is not shown.
        let events = convert::events(reply.events).unwrap_or_default();
        events.into_iter().for_each(|event| self.recent.push(event));
        let missed = reply.missed.iter().map(|one| one.events);
        self.recent.miss(missed.sum());
    }
}

//! Who listens, and what they are told: parts of the page, each when it changes.
//!
//! The server looks at its cluster only while somebody listens, and once for all of them. A listener that does
//! not read what it is told is dropped, with its connection: nothing is kept for it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use glockwork_views::graph::GraphSnapshot;
use hyper::body::Bytes;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::happening::Happening;
use super::responder::Visit;
use super::{Whole, page};
use crate::inspect::Look;
use crate::metrics::HttpMetrics;

/// The most that listen at once: as many browsers as look at one server.
pub(super) const LISTENERS_MAX: usize = 32;

/// The most events that wait for one listener. It reads them as they come, so one for which so many wait has
/// stopped reading.
const EVENTS_QUEUED_MAX: usize = 16;

/// How often the cluster is looked at while somebody listens.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// The pause after a look is so many times what it took, where that is more: a look that takes long has much to
/// look at, or waits for a session that does not say what its tasks hold.
const PAUSE_FACTOR: u32 = 4;

/// How often the times in a graph are told anew that is otherwise as it was.
const TIMES_ANEW_AFTER: Duration = Duration::from_secs(5);

/// How often something is said to those to whom there is nothing to say, to find out who has gone.
const SIGN_OF_LIFE_AFTER: Duration = Duration::from_secs(15);

/// How soon a browser connects again that lost its connection.
const RETRY: &str = "retry: 2000\n\n";

/// A part of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    Status,
    Graph,
    Recent,
}

impl Part {
    /// What the event is called, and the part of the page that it replaces.
    const fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Graph => "graph",
            Self::Recent => "recent",
        }
    }
}

/// Those that listen.
#[derive(Debug)]
pub(super) struct Live {
    audience: Mutex<Audience>,
    came: Notify,
    metrics: HttpMetrics,
}

#[derive(Debug, Default)]
struct Audience {
    listeners: Vec<Listener>,
    /// The last of each, for whoever comes now.
    said: BTreeMap<Part, Bytes>,
}

#[derive(Debug)]
struct Listener {
    queue: mpsc::Sender<Bytes>,
    visit: Arc<Visit>,
}

impl Live {
    pub(super) fn new(metrics: HttpMetrics) -> Self {
        Self {
            audience: Mutex::default(),
            came: Notify::new(),
            metrics,
        }
    }

    /// Takes one more, unless there are too many.
    pub(super) fn listen(&self, visit: &Arc<Visit>) -> Option<mpsc::Receiver<Bytes>> {
        let mut audience = self.audience();
        audience.listeners.retain(|one| !one.queue.is_closed());
        if audience.listeners.len() == LISTENERS_MAX {
            return None;
        }
        let (queue, events) = mpsc::channel(EVENTS_QUEUED_MAX);
        visit.listens();
        let listener = Listener {
            queue,
            visit: Arc::clone(visit),
        };
        let retry = Bytes::from_static(RETRY.as_bytes());
        for event in [&retry].into_iter().chain(audience.said.values()) {
            self.give(&listener, event);
        }
        audience.listeners.push(listener);
        self.metrics.listeners.set(audience.listeners.len() as i64);
        self.came.notify_one();
        Some(events)
    }

    /// Tells all of them that this is how the part looks now.
    fn say(&self, part: Part, html: &str) {
        let event = event(part.name(), html);
        let mut audience = self.audience();
        if audience.said.get(&part) == Some(&event) {
            return;
        }
        self.give_all(&mut audience, &event);
        audience.said.insert(part, event);
    }

    /// Tells them nothing, so that those who have gone are found out.
    fn sign_of_life(&self) {
        let comment = Bytes::from_static(b": nothing new\n\n");
        self.give_all(&mut self.audience(), &comment);
    }

    fn give_all(&self, audience: &mut Audience, event: &Bytes) {
        audience.listeners.retain(|one| self.give(one, event));
        self.metrics.listeners.set(audience.listeners.len() as i64);
    }

    /// Whether it is still there.
    fn give(&self, listener: &Listener, event: &Bytes) -> bool {
        match listener.queue.try_send(event.clone()) {
            Ok(()) => true,
            Err(mpsc::error::TrySendError::Closed(_)) => false,
            Err(mpsc::error::TrySendError::Full(_)) => {
                listener.visit.drop_it();
                self.metrics.dropped.inc();
                false
            }
        }
    }

    /// Waits until somebody listens. Says whether nobody did for a while.
    async fn somebody(&self) -> bool {
        let mut waited = false;
        loop {
            {
                let mut audience = self.audience();
                audience.listeners.retain(|one| !one.queue.is_closed());
                self.metrics.listeners.set(audience.listeners.len() as i64);
                if !audience.listeners.is_empty() {
                    return waited;
                }
                // What was said is old by the time that somebody comes.
                audience.said.clear();
            }
            waited = true;
            self.came.notified().await;
        }
    }

    fn audience(&self) -> MutexGuard<'_, Audience> {
        let audience = self.audience.lock();
        audience.expect("nothing panics while it has the audience")
    }
}

/// An event as it is sent. A line break of any kind would end a line of it.
fn event(name: &str, html: &str) -> Bytes {
    let mut text = format!("event: {name}\n");
    for line in html.lines() {
        text.push_str("data: ");
        text.push_str(&line.replace('\r', " "));
        text.push('\n');
    }
    text.push('\n');
    text.into()
}

/// What was told last of the graph, and when.
#[derive(Default)]
struct Told {
    graph: Option<(GraphSnapshot, Instant)>,
}

impl Told {
    /// Whether there is something to tell of it: what it shows is not what it showed, or its times are old.
    fn is_news(&mut self, graph: &GraphSnapshot) -> bool {
        let (timeless, now) = (graph.without_times(), Instant::now());
        if let Some((before, when)) = &self.graph {
            let is_old = !graph.edges.is_empty() && now - *when >= TIMES_ANEW_AFTER;
            if *before == timeless && !is_old {
                return false;
            }
        }
        self.graph = Some((timeless, now));
        true
    }
}

/// Looks, and tells those who listen, until it is dropped.
pub(super) async fn tell<L: Look>(whole: &Whole<L>) {
    let (sight, live) = (&whole.sight, &whole.live);
    let mut told = Told::default();
    let mut happening = Happening::new();
    let mut quiet_since = Instant::now();
    loop {
        if live.somebody().await {
            told = Told::default();
            happening = Happening::new();
        }
        let begun = Instant::now();
        live.say(Part::Status, &page::status(sight.status().await));
        match sight.graph(String::new()).await {
            Ok(graph) if !told.is_news(&graph) => {}
            graph => live.say(Part::Graph, &page::graph(graph)),
        }
        if quiet_since.elapsed() >= SIGN_OF_LIFE_AFTER {
            live.sign_of_life();
            quiet_since = Instant::now();
        }
        let pause = LOOK_EVERY.max(begun.elapsed() * PAUSE_FACTOR);
        happening.follow(sight, Instant::now() + pause).await;
        live.say(Part::Recent, &happening.html());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn live() -> Live {
        Live::new(crate::metrics::Metrics::new().http)
    }

    #[test]
    fn whoever_comes_late_is_told_what_was_said_last() {
        let live = live();
        let visit = Arc::new(Visit::default());
        let mut first = live.listen(&visit).unwrap();
        live.say(Part::Graph, "<p>\none</p>");
        live.say(Part::Graph, "<p>two</p>");
        live.say(Part::Graph, "<p>two</p>");
        let mut second = live.listen(&visit).unwrap();
        let all = |queue: &mut mpsc::Receiver<Bytes>| {
            let next = std::iter::from_fn(|| queue.try_recv().ok());
            next.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
                .collect::<String>()
        };
        let two = "event: graph\ndata: <p>two</p>\n\n";
        let one = "event: graph\ndata: <p>\ndata: one</p>\n\n";
        assert_eq!(all(&mut first), format!("{RETRY}{one}{two}"));
        assert_eq!(all(&mut second), format!("{RETRY}{two}"));
    }

    #[test]
    fn there_are_so_many_places_and_those_who_go_leave_one() {
        let live = live();
        let visit = Arc::new(Visit::default());
        let mut there: Vec<_> = (0..LISTENERS_MAX)
            .map(|_| live.listen(&visit).unwrap())
            .collect();
        assert!(live.listen(&visit).is_none());
        there.pop();
        assert!(live.listen(&visit).is_some());
    }

    #[test]
    fn one_that_does_not_read_is_dropped_and_counted() {
        let live = live();
        let visit = Arc::new(Visit::default());
        let slow = live.listen(&visit).unwrap();
        for number in 0..=EVENTS_QUEUED_MAX {
            live.say(Part::Status, &number.to_string());
        }
        assert_eq!(live.audience().listeners.len(), 0);
        assert_eq!(live.metrics.dropped.get(), 1);
        drop(slow);
    }
}

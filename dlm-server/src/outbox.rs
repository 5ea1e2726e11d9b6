//! What one client has still to be sent.
//!
//! The shard puts in, the client's stream takes out. A stream takes everything there is and makes one
//! frame of it, and it takes only when the transport wants more: so frames grow by themselves when the
//! client or the network is slow, and nothing is delayed to fill one.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use glockwork_proto::frame::{Event, QueryId, ServerFrame, Welcome};
use glockwork_proto::glocks::GlocksQuery;
use glockwork_proto::{OPERATIONS_PER_FRAME_MAX, render, wire};
use tokio::sync::Notify;
use tokio_stream::Stream;
use tonic::Status;

use crate::error::SessionError;
use crate::limits::{LOOKS_MAX, OUTPUTS_QUEUED_MAX, OUTPUTS_QUEUED_PAUSE};

/// The queue between the shard and one client's stream.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    state: Mutex<State>,
    /// Wakes the one task that reads from the client, when there is room or the end has come.
    reader: Notify,
}

#[derive(Debug, Default)]
struct State {
    welcome: Option<Welcome>,
    events: VecDeque<Event>,
    queries: VecDeque<QueryId>,
    glocks_queries: VecDeque<GlocksQuery>,
    /// Operations that were read and not yet handled; each will put its answer here.
    announced: usize,
    end: Option<End>,
    stream: Option<Waker>,
}

/// How the stream ends, once it has delivered what is queued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// As the client wished.
    Quiet,
    /// With an error that it gets to see.
    Error(SessionError),
}

/// There are [`OUTPUTS_QUEUED_MAX`] events in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl Outbox {
    /// A new outbox and the stream that empties it.
    pub(crate) fn new() -> (Arc<Self>, OutboxStream) {
        let outbox = Arc::new(Self::default());
        let stream = OutboxStream {
            outbox: Arc::clone(&outbox),
        };
        (outbox, stream)
    }

    /// Puts the answer to the hello in front of everything else.
    pub(crate) fn welcome(&self, welcome: Welcome) {
        self.put(|state| state.welcome = Some(welcome));
    }

    /// Puts an event at the end of the queue. After the end it is dropped.
    pub(crate) fn push(&self, event: Event) -> Result<(), Full> {
        self.put(|state| {
            if state.end.is_some() {
                return Ok(());
            }
            if state.events.len() >= OUTPUTS_QUEUED_MAX {
                return Err(Full);
            }
            state.events.push_back(event);
            Ok(())
        })
    }

    /// Asks for the session's local holders.
    pub(crate) fn ask(&self, query: QueryId) {
        self.put(|state| {
            // More than can be running at once: nobody waits for the oldest any more.
            if state.queries.len() >= LOOKS_MAX {
                state.queries.pop_front();
            }
            state.queries.push_back(query);
        });
    }

    /// Asks for a page of the session's glocks.
    pub(crate) fn ask_glocks(&self, query: GlocksQuery) {
        self.put(|state| {
            // As above.
            if state.glocks_queries.len() >= LOOKS_MAX {
                state.glocks_queries.pop_front();
            }
            state.glocks_queries.push_back(query);
        });
    }

    /// Waits until the answers to so many operations have room, and keeps it for them until
    /// [`settle`](Self::settle). False where the end has come instead.
    pub(crate) async fn announce(&self, operations: usize) -> bool {
        loop {
            {
                let mut state = self.lock();
                if state.end.is_some() {
                    return false;
                }
                let busy = state.events.len() + state.announced;
                if busy == 0 || busy + operations <= OUTPUTS_QUEUED_PAUSE {
                    state.announced += operations;
                    return true;
                }
            }
            self.reader.notified().await;
        }
    }

    /// So many announced operations have been handled.
    pub(crate) fn settle(&self, operations: usize) {
        let mut state = self.lock();
        state.announced = state.announced.saturating_sub(operations);
        self.reader.notify_one();
    }

    /// Waits until the end has come.
    pub(crate) async fn ended(&self) {
        while self.lock().end.is_none() {
            self.reader.notified().await;
        }
    }

    /// Ends the stream after what is queued; the first end counts. A client that did not read gets
    /// nothing more but the error.
    pub(crate) fn end(&self, end: End) {
        self.put(|state| {
            if end == End::Error(SessionError::OutputsQueued) {
                state.events = VecDeque::new();
            }
            state.end.get_or_insert(end);
        });
        self.reader.notify_one();
    }

    /// Changes the state and wakes the stream.
    fn put<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let mut state = self.lock();
        let result = change(&mut state);
        let stream = state.stream.take();
        drop(state);
        if let Some(stream) = stream {
            stream.wake();
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("nothing panics while it has the queue")
    }
}

impl State {
    fn take_frame(&mut self) -> Option<wire::ServerFrame> {
        if let Some(welcome) = self.welcome.take() {
            return Some(render::welcome(welcome));
        }
        let asks = !self.queries.is_empty() || !self.glocks_queries.is_empty();
        if self.events.is_empty() && !asks {
            return None;
        }
        let count = self.events.len().min(OPERATIONS_PER_FRAME_MAX);
        Some(render::server_frame(&ServerFrame {
            events: self.events.drain(..count).collect(),
            query: self.queries.pop_front(),
            glocks_query: self.glocks_queries.pop_front(),
        }))
    }
}

/// The frames for one client, as its transport asks for them. Dropped when the client is gone.
#[derive(Debug)]
pub(crate) struct OutboxStream {
    outbox: Arc<Outbox>,
}

impl Stream for OutboxStream {
    type Item = Result<wire::ServerFrame, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut state = self.outbox.lock();
        if let Some(frame) = state.take_frame() {
            drop(state);
            self.outbox.reader.notify_one();
            return Poll::Ready(Some(Ok(frame)));
        }
        match &mut state.end {
            Some(End::Quiet) => Poll::Ready(None),
            Some(end @ End::Error(_)) => match std::mem::replace(end, End::Quiet) {
                End::Error(error) => Poll::Ready(Some(Err(error.into()))),
                End::Quiet => Poll::Ready(None),
            },
            None => {
                state.stream = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for OutboxStream {
    fn drop(&mut self) {
        self.outbox.end(End::Quiet);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dlm_core::{LockId, Mode, SessionId};
    use glockwork_proto::convert;
    use tokio::time::timeout;
    use tokio_stream::StreamExt;

    use super::*;

    fn event(number: u64) -> Event {
        Event::Blocking {
            lock: LockId(number),
            mode: Mode::Ex,
        }
    }

    async fn next(stream: &mut OutboxStream) -> ServerFrame {
        convert::server_frame(stream.next().await.unwrap().unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_frame_takes_all_that_is_queued_in_order_and_the_welcome_comes_first() {
        let (outbox, mut stream) = Outbox::new();
        outbox.push(event(1)).unwrap();
        outbox.ask(QueryId(5));
        outbox.ask(QueryId(6));
        outbox.push(event(2)).unwrap();
        let welcome = Welcome {
            version: 1,
            session: SessionId(3),
        };
        outbox.welcome(welcome);

        let first = stream.next().await.unwrap().unwrap();
        assert_eq!(convert::welcome(&first), Ok(welcome));
        let second = next(&mut stream).await;
        assert_eq!(second.events, [event(1), event(2)]);
        assert_eq!(second.query, Some(QueryId(5)));
        let third = next(&mut stream).await;
        assert_eq!((third.events.len(), third.query), (0, Some(QueryId(6))));
        outbox.end(End::Quiet);
        assert!(stream.next().await.is_none());
    }

    #[tokio::test]
    async fn a_frame_has_an_end_and_the_rest_is_in_the_next() {
        let (outbox, mut stream) = Outbox::new();
        let count = OPERATIONS_PER_FRAME_MAX as u64 + 1;
        (0..count).for_each(|number| outbox.push(event(number)).unwrap());
        assert_eq!(
            next(&mut stream).await.events.len(),
            OPERATIONS_PER_FRAME_MAX
        );
        assert_eq!(next(&mut stream).await.events, [event(count - 1)]);
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_gets_only_the_error() {
        let (outbox, mut stream) = Outbox::new();
        for number in 0..OUTPUTS_QUEUED_MAX as u64 {
            outbox.push(event(number)).unwrap();
        }
        assert_eq!(outbox.push(event(0)), Err(Full));
        outbox.end(End::Error(SessionError::OutputsQueued));
        outbox.end(End::Quiet);
        let status = stream.next().await.unwrap().unwrap_err();
        assert_eq!(status.code(), tonic::Code::ResourceExhausted);
        assert!(stream.next().await.is_none());
    }

    #[tokio::test]
    async fn reading_from_a_client_pauses_until_it_has_read() {
        let (outbox, mut stream) = Outbox::new();
        assert!(outbox.announce(OUTPUTS_QUEUED_PAUSE).await);
        let waits = timeout(Duration::from_millis(20), outbox.announce(1));
        assert!(waits.await.is_err(), "as many are announced as may be");

        for number in 0..OUTPUTS_QUEUED_PAUSE as u64 {
            outbox.push(event(number)).unwrap();
        }
        outbox.settle(OUTPUTS_QUEUED_PAUSE);
        let waits = timeout(Duration::from_millis(20), outbox.announce(1));
        assert!(waits.await.is_err(), "the answers are still queued");

        let (room, frame) = tokio::join!(outbox.announce(1), next(&mut stream));
        assert!(room && frame.events.len() == OPERATIONS_PER_FRAME_MAX);
        drop(stream);
        assert!(!outbox.announce(1).await, "the client is gone");
        outbox.ended().await;
    }
}

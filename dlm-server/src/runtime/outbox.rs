//! What has still to be sent over one stream.
//!
//! The loop puts in, the stream takes out. A stream takes when the transport wants more, and then all that
//! fits into a frame: so frames grow by themselves when the other end or the network is slow, and nothing
//! is delayed to fill one.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;
use tokio_stream::Stream;

/// What waits, and how frames are made of it.
pub(crate) trait Queue: Send + 'static {
    /// What the stream gives.
    type Item: Send;

    /// The next one, where there is something to send.
    fn take(&mut self) -> Option<Self::Item>;
}

/// The queue between the loop and one stream.
#[derive(Debug)]
pub(crate) struct Outbox<Q> {
    state: Mutex<State<Q>>,
    /// Wakes whoever waits for the end.
    end: Notify,
}

#[derive(Debug)]
struct State<Q> {
    queue: Q,
    ended: bool,
    stream: Option<Waker>,
}

impl<Q: Queue> Outbox<Q> {
    /// A new outbox and the stream that empties it.
    pub(crate) fn new(queue: Q) -> (Arc<Self>, OutboxStream<Q>) {
        let outbox = Arc::new(Self {
            state: Mutex::new(State {
                queue,
                ended: false,
                stream: None,
            }),
            end: Notify::new(),
        });
        let stream = OutboxStream {
            outbox: Arc::clone(&outbox),
        };
        (outbox, stream)
    }

    /// Changes what waits, and wakes the stream. After the end nobody takes it any more.
    pub(crate) fn put<R>(&self, change: impl FnOnce(&mut Q) -> R) -> R {
        let mut state = self.lock();
        let result = change(&mut state.queue);
        let stream = state.stream.take();
        drop(state);
        if let Some(stream) = stream {
            stream.wake();
        }
        result
    }

    /// Ends the stream after what is queued.
    pub(crate) fn end(&self) {
        let stream = {
            let mut state = self.lock();
            state.ended = true;
            state.stream.take()
        };
        if let Some(stream) = stream {
            stream.wake();
        }
        self.end.notify_one();
    }

    /// Waits until the end has come. For one waiter.
    pub(crate) async fn ended(&self) {
        while !self.lock().ended {
            self.end.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<Q>> {
        self.state
            .lock()
            .expect("nothing panics while it has the queue")
    }
}

/// The frames for one stream, as its transport asks for them. Dropped when the other end is gone.
#[derive(Debug)]
pub(crate) struct OutboxStream<Q: Queue> {
    outbox: Arc<Outbox<Q>>,
}

impl<Q: Queue> Stream for OutboxStream<Q> {
    type Item = Q::Item;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Q::Item>> {
        let mut state = self.outbox.lock();
        if let Some(item) = state.queue.take() {
            return Poll::Ready(Some(item));
        }
        if state.ended {
            return Poll::Ready(None);
        }
        state.stream = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl<Q: Queue> Drop for OutboxStream<Q> {
    fn drop(&mut self) {
        self.outbox.end();
    }
}

#[cfg(test)]
mod tests {
    use tokio_stream::StreamExt;

    use super::*;

    #[derive(Default)]
    struct Numbers(Vec<u32>);

    impl Queue for Numbers {
        type Item = Vec<u32>;

        fn take(&mut self) -> Option<Vec<u32>> {
            let all = std::mem::take(&mut self.0);
            (!all.is_empty()).then_some(all)
        }
    }

    #[tokio::test]
    async fn a_frame_takes_all_that_is_queued_and_the_end_comes_after_it() {
        let (outbox, mut stream) = Outbox::new(Numbers::default());
        outbox.put(|queue| queue.0.push(1));
        outbox.put(|queue| queue.0.push(2));
        assert_eq!(stream.next().await, Some(vec![1, 2]));
        let later = async {
            outbox.put(|queue| queue.0.push(3));
            outbox.end();
        };
        assert_eq!(tokio::join!(stream.next(), later).0, Some(vec![3]));
        assert_eq!(stream.next().await, None);
    }

    #[tokio::test]
    async fn who_waits_for_the_end_hears_that_the_other_side_is_gone() {
        let (outbox, stream) = Outbox::new(Numbers::default());
        drop(stream);
        outbox.ended().await;
    }
}

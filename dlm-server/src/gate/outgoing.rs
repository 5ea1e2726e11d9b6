//! What leaves: straight into the socket while nothing is in the way, and otherwise through a queue that a task
//! of its own empties.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncWrite, WriteHalf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Sleep, sleep_until};
use tokio_stream::Stream;
use tokio_stream::wrappers::WatchStream;

use super::gated::lock;
use super::late::Late;
use super::link::Link;
use super::table::{Faults, Passage};

#[derive(Debug)]
pub(super) struct Outgoing<S> {
    socket: WriteHalf<S>,
    link: Arc<Link>,
    late: Late,
    /// The task that empties the queue, while there is one.
    pump: Option<Waker>,
    pumping: bool,
    /// Whoever waits for room in the queue.
    writer: Option<Waker>,
    /// Whether the end of what is sent is behind the queue.
    shut: bool,
    failed: Option<io::ErrorKind>,
    stay: Stay,
}

/// How long the socket stays.
#[derive(Debug)]
enum Stay {
    /// As long as its owner wants it.
    Owned,
    /// Until the other end can hear that it is closed.
    UntilHeard { _leave: OwnedSemaphorePermit },
    /// Not any longer.
    Done,
}

impl<S: AsyncWrite + Unpin> Outgoing<S> {
    pub(super) fn new(socket: WriteHalf<S>, link: Arc<Link>) -> Self {
        Self {
            socket,
            link,
            late: Late::default(),
            pump: None,
            pumping: false,
            writer: None,
            shut: false,
            failed: None,
            stay: Stay::Owned,
        }
    }

    pub(super) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Some(kind) = self.failure() {
            return Poll::Ready(Err(kind.into()));
        }
        match self.link.outgoing() {
            Passage::Lost => {
                self.late.lose();
                self.link.lose();
                Poll::Ready(Ok(bytes.len()))
            }
            Passage::Free if self.late.is_empty() => {
                Pin::new(&mut self.socket).poll_write(context, bytes)
            }
            passage => match self.late.push(bytes, passage) {
                0 if !bytes.is_empty() => {
                    self.writer = Some(context.waker().clone());
                    Poll::Pending
                }
                count => Poll::Ready(Ok(count)),
            },
        }
    }

    /// As with a socket, what was taken leaves by itself.
    pub(super) fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(kind) = self.failure() {
            return Poll::Ready(Err(kind.into()));
        }
        if self.late.is_empty() && self.link.outgoing() == Passage::Free {
            return Pin::new(&mut self.socket).poll_flush(context);
        }
        Poll::Ready(Ok(()))
    }

    pub(super) fn poll_shutdown(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let passage = self.link.outgoing();
        if passage == Passage::Free && self.late.is_empty() {
            return Pin::new(&mut self.socket).poll_shutdown(context);
        }
        if passage == Passage::Lost {
            self.link.lose();
        }
        self.shut = true;
        Poll::Ready(Ok(()))
    }

    /// Its owner is gone.
    pub(super) fn leave(&mut self) {
        let heard = self.late.is_empty() && self.may_be_heard();
        let leave = if heard { None } else { self.link.leave() };
        self.stay = leave.map_or(Stay::Done, |leave| Stay::UntilHeard { _leave: leave });
        if let Some(pump) = self.pump.take() {
            pump.wake();
        }
    }

    /// Whether there is something to be done and nobody does it; the caller starts [`pump`] then.
    pub(super) fn wants_pump(&mut self) -> bool {
        let waits = !self.late.is_empty() || self.shut || !matches!(self.stay, Stay::Owned);
        let wants = waits && !self.pumping && !matches!(self.stay, Stay::Done);
        self.pumping |= wants;
        wants
    }

    fn failure(&self) -> Option<io::ErrorKind> {
        let broken = self.link.is_broken();
        self.failed
            .or_else(|| broken.then_some(io::ErrorKind::ConnectionReset))
    }

    /// Whether the other end would see that the connection is closed.
    fn may_be_heard(&self) -> bool {
        matches!(self.link.outgoing(), Passage::Free | Passage::Late { .. })
    }

    /// Writes what is due. Ready when the pump is not needed any more.
    fn poll_pump(
        &mut self,
        context: &mut Context<'_>,
        timer: &mut Option<Pin<Box<Sleep>>>,
    ) -> Poll<()> {
        loop {
            if matches!(self.stay, Stay::Done) || self.failure().is_some() {
                self.late.lose();
                return self.pumped();
            }
            match self.link.outgoing() {
                Passage::Stalled | Passage::Cut => return self.wait(context),
                Passage::Lost => {
                    if self.late.lose() || self.shut {
                        self.link.lose();
                    }
                    self.wake_writer();
                    return self.wait(context);
                }
                Passage::Free | Passage::Late { .. } => {}
            }
            let Some((due, bytes)) = self.late.front() else {
                return self.poll_end(context);
            };
            let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
            if timer.deadline() != due {
                timer.as_mut().reset(due);
            }
            if timer.as_mut().poll(context).is_pending() {
                return self.wait(context);
            }
            match Pin::new(&mut self.socket).poll_write(context, bytes) {
                Poll::Pending => return self.wait(context),
                Poll::Ready(Ok(count)) if count > 0 => {
                    self.late.advance(count);
                    self.wake_writer();
                }
                Poll::Ready(Ok(_)) => self.failed = Some(io::ErrorKind::WriteZero),
                Poll::Ready(Err(error)) => self.failed = Some(error.kind()),
            }
        }
    }

    /// Nothing is queued any more.
    fn poll_end(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.shut
            && Pin::new(&mut self.socket)
                .poll_shutdown(context)
                .is_pending()
        {
            return self.wait(context);
        }
        self.shut = false;
        self.pumped()
    }

    fn wait(&mut self, context: &Context<'_>) -> Poll<()> {
        self.pump = Some(context.waker().clone());
        Poll::Pending
    }

    fn pumped(&mut self) -> Poll<()> {
        self.pump = None;
        self.pumping = false;
        self.wake_writer();
        Poll::Ready(())
    }

    fn wake_writer(&mut self) {
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
    }
}

/// Empties the queue, and then ends; keeps the socket until then.
pub(super) async fn pump<S: AsyncWrite + Unpin>(
    outgoing: Arc<Mutex<Outgoing<S>>>,
    mut changes: WatchStream<Faults>,
) {
    let mut timer = None;
    poll_fn(|context| {
        loop {
            match Pin::new(&mut changes).poll_next(context) {
                Poll::Ready(Some(_)) => {}
                // Nobody changes the faults any more: the server is done.
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => break,
            }
        }
        lock(&outgoing).poll_pump(context, &mut timer)
    })
    .await;
}

//! What arrives: read from the socket when it may be, kept while it is late, thrown away where it is lost.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Sleep, sleep_until};
use tokio_stream::Stream;
use tokio_stream::wrappers::WatchStream;

use super::late::Late;
use super::link::Link;
use super::table::{Faults, Passage};

/// How much is read at a time of what does not go straight to the reader.
const CHUNK_BYTES: usize = 16 << 10;

/// How many chunks are thrown away before others have their turn.
const THROWN_AWAY_PER_TURN: usize = 16;

#[derive(Debug)]
pub(super) struct Arriving {
    changes: WatchStream<Faults>,
    late: Late,
    /// How the socket ended, behind what is late.
    end: Option<io::Result<()>>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Arriving {
    pub(super) fn new(link: &Link) -> Self {
        Self {
            changes: link.changes(),
            late: Late::default(),
            end: None,
            timer: None,
        }
    }

    pub(super) fn poll_read(
        &mut self,
        link: &Link,
        mut socket: impl AsyncRead + Unpin,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Whatever is waited for below, a fault that begins or ends is another reason to look again.
        while let Poll::Ready(Some(_)) = Pin::new(&mut self.changes).poll_next(context) {}
        if link.is_broken() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        match link.arriving() {
            Passage::Stalled | Passage::Cut => Poll::Pending,
            Passage::Lost => self.throw_away(link, socket, context),
            Passage::Free if self.late.is_empty() && self.end.is_none() => {
                Pin::new(&mut socket).poll_read(context, buffer)
            }
            passage => self.read_late(passage, socket, context, buffer),
        }
    }

    fn throw_away(
        &mut self,
        link: &Link,
        mut socket: impl AsyncRead + Unpin,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if self.late.lose() || self.end.is_some() {
            link.lose();
        }
        for _ in 0..THROWN_AWAY_PER_TURN {
            // What has ended stays so: only another fault is waited for.
            if self.end.is_some() {
                return Poll::Pending;
            }
            let (end, _) = ready!(read(&mut socket, context));
            link.lose();
            self.end = end;
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }

    fn read_late(
        &mut self,
        passage: Passage,
        mut socket: impl AsyncRead + Unpin,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.end.is_none() && self.late.room() >= CHUNK_BYTES {
            let Poll::Ready((end, bytes)) = read(&mut socket, context) else {
                break;
            };
            self.late.push(&bytes, passage);
            self.end = end;
        }
        loop {
            let Some((due, bytes)) = self.late.front() else {
                return match self.end.take() {
                    None => Poll::Pending,
                    Some(Ok(())) => {
                        self.end = Some(Ok(()));
                        Poll::Ready(Ok(()))
                    }
                    Some(Err(error)) => Poll::Ready(Err(error)),
                };
            };
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(due)));
            if timer.deadline() != due {
                timer.as_mut().reset(due);
            }
            ready!(timer.as_mut().poll(context));
            let count = bytes.len().min(buffer.remaining());
            buffer.put_slice(&bytes[..count]);
            self.late.advance(count);
            if count > 0 || buffer.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

type Chunk = (Option<io::Result<()>>, Vec<u8>);

/// The next bytes, or how it ended.
fn read(mut socket: impl AsyncRead + Unpin, context: &mut Context<'_>) -> Poll<Chunk> {
    let mut bytes = vec![0; CHUNK_BYTES];
    let mut buffer = ReadBuf::new(&mut bytes);
    let result = ready!(pin!(&mut socket).poll_read(context, &mut buffer));
    let count = buffer.filled().len();
    bytes.truncate(count);
    Poll::Ready(match result {
        Ok(()) if count > 0 => (None, bytes),
        end => (Some(end), Vec::new()),
    })
}

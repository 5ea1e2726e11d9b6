//! One stream to one server: what the session says goes out, what the server says comes in.
//!
//! Whatever queued while the last frame was being written goes out in the next; nothing is delayed to fill
//! one. What the server asks of this node (who holds, which glocks there are) is answered here, from what
//! is true when there is room for the answer.

use std::collections::VecDeque;
use std::sync::Arc;

use dlm_core::link::{FromServer, Hello, ToServer};
use glock_core::session::StreamId;
use glockwork_proto::glocks::GlocksQuery;
use glockwork_proto::holders::{HoldersReport, QueryId};
use glockwork_proto::link::ToServerFrame;
use glockwork_proto::wire::link_client::LinkClient;
use glockwork_proto::{FRAME_BYTES_MAX, Name, convert, render, wire};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use tonic::transport::Channel;

use crate::counters::Counting;
use crate::driver::Happened;
use crate::error::{ConnectError, rpc_failure};
use crate::glocks;
use crate::limits::GLOCKS_QUERIES_MAX;
use crate::session::Shared;

/// A stream as the driver has it. Dropping it ends the stream, and what of it was not sent is not sent.
pub(crate) struct Stream {
    messages: mpsc::UnboundedSender<ToServer>,
    task: AbortHandle,
}

impl Stream {
    /// Begins to open it. That it could not be opened is told as that it has ended.
    pub(crate) fn open(
        (id, channel): (StreamId, Result<Channel, ConnectError>),
        hello: Hello,
        shared: Arc<Shared>,
        happened: mpsc::Sender<Happened>,
    ) -> Self {
        let (messages, queue) = mpsc::unbounded_channel();
        let ends = Ends {
            queue,
            queued: VecDeque::new(),
            holders_query: None,
            glocks_queries: VecDeque::new(),
            shared,
            stream: id,
            happened,
        };
        let task = tokio::spawn(ends.run(channel, hello)).abort_handle();
        Self { messages, task }
    }

    /// Sends a message. How many there may be is the session's to limit.
    pub(crate) fn send(&self, message: ToServer) {
        // A stream that has ended says so by itself.
        let _ = self.messages.send(message);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What the task of a stream has.
struct Ends {
    queue: mpsc::UnboundedReceiver<ToServer>,
    /// Taken from there, and not sent yet.
    queued: VecDeque<ToServer>,
    /// A holders query that is not answered yet. A newer one replaces it: the server has stopped
    /// waiting for the older.
    holders_query: Option<QueryId>,
    /// Queries after glocks that are not answered yet. Several may be waited for at once.
    glocks_queries: VecDeque<GlocksQuery>,
    shared: Arc<Shared>,
    stream: StreamId,
    happened: mpsc::Sender<Happened>,
}

impl Ends {
    async fn run(mut self, channel: Result<Channel, ConnectError>, hello: Hello) {
        let ended = match channel {
            Ok(channel) => self.carry(channel, hello).await,
            Err(error) => Err(error.to_string()),
        };
        let why = ended.err();
        let why = why.as_deref().unwrap_or("the server ended it");
        tracing::debug!(stream = self.stream.0, why, "a stream has ended");
        let stream = self.stream;
        // Where nobody hears it the session is over.
        let _ = self.happened.send(Happened::Closed { stream }).await;
    }

    async fn carry(&mut self, channel: Channel, hello: Hello) -> Result<(), String> {
        // One frame at a time: while it is being written, what comes queues for the next.
        let (outbound, frames) = mpsc::channel(1);
        let first = ToServerFrame {
            messages: vec![ToServer::Hello(hello)],
            ..ToServerFrame::default()
        };
        let first = render::to_server_frame(first);
        outbound
            .try_send(first)
            .map_err(|error| error.to_string())?;
        let mut client = LinkClient::new(channel).max_decoding_message_size(FRAME_BYTES_MAX);
        let answer = client.stream(ReceiverStream::new(frames)).await;
        let inbound = answer.map_err(|status| rpc_failure(&status))?.into_inner();
        self.both_ways(outbound, inbound).await
    }

    async fn both_ways(
        &mut self,
        outbound: mpsc::Sender<wire::ToServerFrame>,
        mut inbound: Streaming<wire::FromServerFrame>,
    ) -> Result<(), String> {
        loop {
            tokio::select! {
                frame = inbound.message() => match frame {
                    Ok(Some(frame)) => {
                        let Some(messages) = self.receive(frame)? else { continue };
                        let stream = self.stream;
                        let frame = Happened::Frame { stream, messages };
                        if self.happened.send(frame).await.is_err() {
                            return Ok(());
                        }
                    }
                    Ok(None) => return Ok(()),
                    Err(status) => return Err(rpc_failure(&status)),
                },
                permit = outbound.reserve(), if self.has_something_to_say() => {
                    let permit = permit.map_err(|_| "it broke".to_owned())?;
                    while let Ok(message) = self.queue.try_recv() {
                        self.queued.push_back(message);
                    }
                    permit.send(self.frame());
                }
                message = self.queue.recv(), if self.queued.is_empty() => {
                    let Some(message) = message else { return Ok(()) };
                    self.queued.push_back(message);
                }
            }
        }
    }

    fn has_something_to_say(&self) -> bool {
        !self.queued.is_empty() || self.holders_query.is_some() || !self.glocks_queries.is_empty()
    }

    /// One frame with what is queued.
    fn frame(&mut self) -> wire::ToServerFrame {
        let mut frame = ToServerFrame::of_queue(&mut self.queued);
        frame.traces = self.shared.traces.of(&frame.messages);
        frame.holders = self.holders_query.take().map(|query| self.holders(query));
        // One of the two in a frame: both together may be longer than one.
        if frame.holders.is_none()
            && let Some(query) = self.glocks_queries.pop_front()
        {
            frame.glocks = Some(glocks::answer(&self.shared.glocks(), query));
        }
        Counting::add(&self.shared.counting.frames_sent, 1);
        render::to_server_frame(frame)
    }

    /// All tasks and glock tables of the session in one report; a client without any reports nothing.
    fn holders(&self, query: QueryId) -> HoldersReport {
        let mut report = HoldersReport {
            query,
            tasks: Vec::new(),
            glocks: Vec::new(),
        };
        let named = self.shared.tasks();
        let named = named.iter().map(|(&owner, name)| (owner, name.clone()));
        report.tasks.extend(named);
        for glocks in self.shared.glocks() {
            let (tasks, held) = glocks.report();
            report.tasks.extend(
                tasks
                    .into_iter()
                    .map(|(owner, name)| (owner, Name::lossy(&name))),
            );
            report.glocks.extend(held);
        }
        report
    }

    /// Keeps the questions for itself; the rest is the session's, if there is any.
    fn receive(&mut self, frame: wire::FromServerFrame) -> Result<Option<Vec<FromServer>>, String> {
        let frame = convert::from_server_frame(frame).map_err(|error| error.to_string())?;
        Counting::add(&self.shared.counting.frames_received, 1);
        self.holders_query = frame.holders_query.or(self.holders_query);
        if let Some(query) = frame.glocks_query {
            self.glocks_queries.truncate(GLOCKS_QUERIES_MAX - 1);
            self.glocks_queries.push_back(query);
        }
        Ok((!frame.messages.is_empty()).then_some(frame.messages))
    }
}

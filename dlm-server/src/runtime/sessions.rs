//! The streams of sessions that are open here: what is to be sent over each, and questions to them.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use dlm_core::SessionId;
use dlm_core::link::{FromServer, StreamRefusal};
use glockwork_proto::holders::{HoldersReport, QueryId};
use glockwork_proto::glocks::{GlocksQuery, GlocksReport};
use glockwork_proto::link::FromServerFrame;
use glockwork_proto::{render, wire};
use tokio::sync::oneshot;
use tonic::Status;

use super::handle::Stopping;
use super::outbox::{Outbox, Queue};
use crate::limits::{LOOKS_MAX, OUTPUTS_QUEUED_MAX};
use crate::node::StreamId;

/// What waits for one session's stream.
#[derive(Debug, Default)]
pub(crate) struct SessionQueue {
    messages: VecDeque<FromServer>,
    holders_queries: VecDeque<QueryId>,
    glocks_queries: VecDeque<GlocksQuery>,
    /// What the stream ends with, after all else.
    last: Option<Status>,
}

impl Queue for SessionQueue {
    type Item = Result<wire::FromServerFrame, Status>;

    fn take(&mut self) -> Option<Self::Item> {
        let mut frame = FromServerFrame::of_queue(&mut self.messages);
        frame.holders_query = self.holders_queries.pop_front();
        frame.glocks_query = self.glocks_queries.pop_front();
        if frame == FromServerFrame::default() {
            return self.last.take().map(Err);
        }
        Some(Ok(render::from_server_frame(frame)))
    }
}

impl SessionQueue {
    /// The stream ends with this status, and with nothing else that waits.
    pub(crate) fn fail(&mut self, status: Status) {
        *self = Self {
            last: Some(status),
            ..Self::default()
        };
    }
}

pub(crate) type SessionOutbox = Outbox<SessionQueue>;

/// One open stream.
#[derive(Debug)]
struct Connected {
    session: SessionId,
    outbox: Arc<SessionOutbox>,
}

/// All open streams, and the questions that are not answered yet.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    streams: BTreeMap<StreamId, Connected>,
    questions: u64,
    holders: BTreeMap<QueryId, oneshot::Sender<HoldersReport>>,
    glocks: BTreeMap<QueryId, oneshot::Sender<GlocksReport>>,
}

impl Sessions {
    pub(super) fn opened(
        &mut self,
        stream: StreamId,
        session: SessionId,
        outbox: Arc<SessionOutbox>,
    ) {
        self.streams.insert(stream, Connected { session, outbox });
    }

    /// How many streams are open.
    pub(super) fn len(&self) -> usize {
        self.streams.len()
    }

    /// Puts a message into a stream's queue. False where that is full: what queues there has been said
    /// to be kept until it is acknowledged, and slot maps come on top, so a queue that long is one that
    /// nobody reads.
    pub(super) fn send(&mut self, stream: StreamId, message: FromServer) -> bool {
        let Some(connected) = self.streams.get(&stream) else {
            return true;
        };
        connected.outbox.put(|queue| {
            let room = queue.messages.len() < OUTPUTS_QUEUED_MAX;
            if room {
                queue.messages.push_back(message);
            } else {
                queue.fail(Status::resource_exhausted(format!(
                    "{OUTPUTS_QUEUED_MAX} messages wait to be read; read the stream while sending, and open \
                     another one"
                )));
            }
            room
        })
    }

    /// A stream ends with a last word.
    pub(super) fn end(&mut self, stream: StreamId, why: StreamRefusal) {
        if let Some(connected) = self.streams.remove(&stream) {
            connected
                .outbox
                .put(|queue| queue.messages.push_back(FromServer::Refused { why }));
            connected.outbox.end();
        }
    }

    /// All streams end: the server stops.
    pub(super) fn stop(&mut self) {
        for connected in std::mem::take(&mut self.streams).into_values() {
            connected
                .outbox
                .put(|queue| queue.last = Some(Stopping.into()));
            connected.outbox.end();
        }
    }

    /// A stream is over, whoever ended it.
    pub(super) fn closed(&mut self, stream: StreamId) {
        if let Some(connected) = self.streams.remove(&stream) {
            connected.outbox.end();
        }
    }

    /// Asks a session for its local holders. Nobody answers where it has no stream here.
    pub(super) fn ask_holders(
        &mut self,
        session: SessionId,
        answer: oneshot::Sender<HoldersReport>,
    ) {
        self.holders.retain(|_, asked| !asked.is_closed());
        let query = self.next_question();
        if self.ask(session, |queue| limited(&mut queue.holders_queries, query))
            && self.holders.len() < LOOKS_MAX * self.streams.len()
        {
            self.holders.insert(query, answer);
        }
    }

    /// Asks a session for a page of its glocks.
    pub(super) fn ask_glocks(
        &mut self,
        session: SessionId,
        after: GlocksQuery,
        answer: oneshot::Sender<GlocksReport>,
    ) {
        self.glocks.retain(|_, asked| !asked.is_closed());
        let query = self.next_question();
        let asked = GlocksQuery { query, ..after };
        if self.ask(session, |queue| limited(&mut queue.glocks_queries, asked))
            && self.glocks.len() < LOOKS_MAX * self.streams.len()
        {
            self.glocks.insert(query, answer);
        }
    }

    pub(super) fn reported(
        &mut self,
        holders: Option<HoldersReport>,
        glocks: Option<GlocksReport>,
    ) {
        if let Some(report) = holders
            && let Some(asked) = self.holders.remove(&report.query)
        {
            // Who asked may have gone meanwhile.
            let _ = asked.send(report);
        }
        if let Some(report) = glocks
            && let Some(asked) = self.glocks.remove(&report.query)
        {
            let _ = asked.send(report);
        }
    }

    fn next_question(&mut self) -> QueryId {
        self.questions += 1;
        QueryId(self.questions)
    }

    /// By the newest of a session's streams.
    fn ask(&self, session: SessionId, put: impl FnOnce(&mut SessionQueue)) -> bool {
        let mut newest = self.streams.values().rev();
        let newest = newest.find(|connected| connected.session == session);
        newest
            .map(|connected| connected.outbox.put(put))
            .is_some()
    }
}

/// More than can be asked at once: nobody waits for the oldest any more.
fn limited<T>(queries: &mut VecDeque<T>, query: T) {
    if queries.len() >= LOOKS_MAX {
        queries.pop_front();
    }
    queries.push_back(query);
}

//! A server that applies what was left of an older stream: the last request of it comes again, as the next
//! message of the new one. The numbers of all that follow are made to fit.

use std::collections::BTreeMap;

use dlm_core::link::{FromServer, OperationKind, ToServer};
use dlm_core::{Incarnation, SessionId};
use dlm_server::node::StreamId;

/// What is left of a session's streams.
#[derive(Clone, Debug, Default)]
struct Frame {
    process: Option<Incarnation>,
    stream: Option<StreamId>,
    /// The last request.
    last: Option<ToServer>,
    /// It comes with the next message, under this number.
    due: Option<u64>,
    /// How many came again so far.
    extra: u64,
}

/// All of them.
#[derive(Clone, Debug, Default)]
pub(super) struct Frames(BTreeMap<SessionId, Frame>);

impl Frames {
    pub(super) fn opened(&mut self, session: SessionId, stream: StreamId) {
        let frame = self.0.entry(session).or_default();
        (frame.stream, frame.due) = (Some(stream), None);
    }

    pub(super) fn hears(
        &mut self,
        session: SessionId,
        stream: StreamId,
        mut message: ToServer,
    ) -> Vec<(StreamId, ToServer)> {
        let frame = self.0.entry(session).or_default();
        if frame.stream != Some(stream) {
            return vec![(stream, message)];
        }
        let mut messages = Vec::new();
        if let (Some(due), Some(mut again)) = (frame.due.take(), frame.last.take())
            && let Some(number) = number(&mut again)
        {
            *number = due;
            frame.extra += 1;
            messages.push((stream, again));
        }
        if let Some(number) = number(&mut message) {
            *number += frame.extra;
        }
        if let ToServer::Operation {
            kind: OperationKind::Request { .. },
            ..
        } = &message
        {
            frame.last = Some(message.clone());
        }
        messages.push((stream, message));
        messages
    }

    pub(super) fn says(&mut self, session: SessionId, mut message: FromServer) -> FromServer {
        let frame = self.0.entry(session).or_default();
        if let FromServer::Welcome(welcome) = &mut message {
            if frame.process.replace(welcome.incarnation) == Some(welcome.incarnation) {
                frame.due = Some(welcome.last_number + 1).filter(|_| frame.last.is_some());
                welcome.last_number -= frame.extra;
            } else {
                (frame.last, frame.due, frame.extra) = (None, None, 0);
            }
        }
        message
    }
}

const fn number(message: &mut ToServer) -> Option<&mut u64> {
    match message {
        ToServer::Operation { number, .. }
        | ToServer::Everywhere { number, .. }
        | ToServer::Claims { number, .. }
        | ToServer::Unreadable { number, .. } => Some(number),
        ToServer::Hello(_) | ToServer::Acknowledge { .. } => None,
    }
}

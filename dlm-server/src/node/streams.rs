//! The sessions' streams: which one is the newest, what was taken over it, what was not acknowledged.
//!
//! - **A message of an older stream does nothing.** A newer generation ends the older one, and what it
//!   left in buffers is dropped here, by the stream it came over.
//! - **What is numbered is taken once and in order**, over all streams of the session to this process.
//! - Events are kept until they are acknowledged, and sent again on the next stream.

use std::collections::{BTreeMap, VecDeque};

use dlm_core::link::{Event, FromServer, Hello, StreamRefusal};
use dlm_core::{Epoch, Incarnation, SessionId, SlotId};

use super::config::EVENTS_KEPT_MAX;
use super::message::{Output, StreamId};
use super::sight::LinkSight;

/// The slot that an event is about, and the epoch in which it happened.
pub(super) type At = Option<(SlotId, Epoch)>;

/// All sessions that this process has had to do with.
#[derive(Debug, Default)]
pub(super) struct Streams {
    sessions: BTreeMap<SessionId, Link>,
    streams: BTreeMap<StreamId, SessionId>,
}

/// One session and this process.
#[derive(Debug, Default)]
struct Link {
    generation: Option<u64>,
    stream: Option<StreamId>,
    last_number: u64,
    sequence: u64,
    kept: VecDeque<(u64, At, Event)>,
    held_back: usize,
}

/// What becomes of a numbered message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbered {
    /// It is the next one.
    Next,
    /// It was taken before.
    Again,
    /// The stream ends.
    Refused(StreamRefusal),
}

impl Streams {
    /// Opens a stream, unless a newer one is there; the welcome is said by `welcome`, which is told the
    /// last number taken.
    pub(super) fn open(
        &mut self,
        (stream, hello): (StreamId, &Hello),
        ours: Incarnation,
        welcome: impl FnOnce(u64) -> FromServer,
        out: &mut Vec<Output>,
    ) {
        let link = self.sessions.entry(hello.session).or_default();
        if Some(hello.generation) <= link.generation {
            let why = StreamRefusal::OlderGeneration;
            return out.push(Output::StreamEnd { stream, why });
        }
        link.generation = Some(hello.generation);
        if let Some(older) = link.stream.replace(stream) {
            self.streams.remove(&older);
            out.push(Output::StreamEnd {
                stream: older,
                why: StreamRefusal::OlderGeneration,
            });
        }
        self.streams.insert(stream, hello.session);
        // What it has of another process says nothing about ours.
        if hello.incarnation == Some(ours) {
            link.acknowledge(hello.after);
        }
        let message = welcome(link.last_number);
        out.push(Output::StreamSend { stream, message });
        let again = link.kept.iter().map(|(sequence, slot, event)| {
            let message = FromServer::Event {
                sequence: *sequence,
                slot: *slot,
                event: event.clone(),
            };
            Output::StreamSend { stream, message }
        });
        out.extend(again);
    }

    /// What can be seen of a session's streams.
    pub(super) fn sight(&self, session: SessionId) -> LinkSight {
        let link = self.sessions.get(&session);
        link.map_or_else(LinkSight::default, |link| LinkSight {
            connected: link.stream.is_some(),
            taken: link.last_number,
        })
    }

    /// Whose newest stream this is.
    pub(super) fn session_of(&self, stream: StreamId) -> Option<SessionId> {
        self.streams.get(&stream).copied()
    }

    /// Ends a stream with a last word; its session's next one goes on where this one was.
    pub(super) fn end(&mut self, stream: StreamId, why: StreamRefusal, out: &mut Vec<Output>) {
        self.closed(stream);
        out.push(Output::StreamEnd { stream, why });
    }

    /// A stream is over.
    pub(super) fn closed(&mut self, stream: StreamId) {
        if let Some(session) = self.streams.remove(&stream)
            && let Some(link) = self.sessions.get_mut(&session)
        {
            link.stream = None;
        }
    }

    /// Whether a numbered message may be taken.
    pub(super) fn check(&self, session: SessionId, number: u64) -> Numbered {
        let Some(link) = self.sessions.get(&session) else {
            return Numbered::Refused(StreamRefusal::SessionUnknown);
        };
        if number <= link.last_number {
            return Numbered::Again;
        }
        if number != link.last_number + 1 {
            return Numbered::Refused(StreamRefusal::Numbers);
        }
        // Reading on would be growth. The next stream's beginning acknowledges.
        // What is held back is answered in time, and kept then.
        if link.kept.len() + link.held_back >= EVENTS_KEPT_MAX {
            return Numbered::Refused(StreamRefusal::Full);
        }
        Numbered::Next
    }

    /// The message of this number is taken.
    pub(super) fn take(&mut self, session: SessionId, number: u64) {
        if let Some(link) = self.sessions.get_mut(&session) {
            link.last_number = number;
        }
    }

    /// One more thing of the session is held back, or one less.
    pub(super) fn held_back(&mut self, session: SessionId, more: bool) {
        if let Some(link) = self.sessions.get_mut(&session) {
            link.held_back = if more {
                link.held_back + 1
            } else {
                link.held_back.saturating_sub(1)
            };
        }
    }

    /// The client has all events up to this one.
    pub(super) fn acknowledge(&mut self, session: SessionId, sequence: u64) {
        if let Some(link) = self.sessions.get_mut(&session) {
            link.acknowledge(sequence);
        }
    }

    /// Tells a session something; it is kept until it is acknowledged.
    pub(super) fn tell(
        &mut self,
        session: SessionId,
        slot: At,
        event: Event,
        out: &mut Vec<Output>,
    ) {
        let link = self.sessions.entry(session).or_default();
        link.sequence += 1;
        let sequence = link.sequence;
        link.kept.push_back((sequence, slot, event.clone()));
        if let Some(stream) = link.stream {
            let message = FromServer::Event {
                sequence,
                slot,
                event,
            };
            out.push(Output::StreamSend { stream, message });
        }
    }

    /// Says something on every open stream that is nobody's to acknowledge.
    pub(super) fn tell_all(&self, message: &FromServer, out: &mut Vec<Output>) {
        out.extend(self.streams.keys().map(|&stream| Output::StreamSend {
            stream,
            message: message.clone(),
        }));
    }

    /// What the sessions have not acknowledged about a slot in an epoch.
    pub(super) fn unacknowledged(
        &self,
        at: (SlotId, Epoch),
    ) -> impl Iterator<Item = (SessionId, Event)> {
        self.sessions.iter().flat_map(move |(&session, link)| {
            let kept = link
                .kept
                .iter()
                .filter(move |(_, slot, _)| *slot == Some(at));
            kept.map(move |(_, _, event)| (session, event.clone()))
        })
    }

    /// Forgets a session.
    pub(super) fn drop_session(
        &mut self,
        session: SessionId,
        why: StreamRefusal,
        out: &mut Vec<Output>,
    ) {
        if let Some(link) = self.sessions.remove(&session)
            && let Some(stream) = link.stream
        {
            self.streams.remove(&stream);
            out.push(Output::StreamEnd { stream, why });
        }
    }

    /// Forgets all: another process begins.
    pub(super) fn drop_all(&mut self, out: &mut Vec<Output>) {
        let why = StreamRefusal::SessionUnknown;
        let streams = std::mem::take(&mut self.streams).into_keys();
        out.extend(streams.map(|stream| Output::StreamEnd { stream, why }));
        self.sessions.clear();
    }
}

impl Link {
    fn acknowledge(&mut self, sequence: u64) {
        while self.kept.front().is_some_and(|first| first.0 <= sequence) {
            self.kept.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use dlm_core::cluster::Versions;
    use dlm_core::link::SlotMap;
    use dlm_core::{LockId, Mode};

    use super::*;

    const SESSION: SessionId = SessionId(1);
    const OURS: Incarnation = Incarnation(5);

    fn open(streams: &mut Streams, stream: u64, incarnation: u64, after: u64) -> Vec<Output> {
        let hello = Hello {
            versions: Versions { min: 1, max: 1 },
            session: SESSION,
            nonce: 0,
            generation: stream,
            incarnation: Some(Incarnation(incarnation)),
            after,
        };
        let mut out = Vec::new();
        let welcome = |_| FromServer::Map(SlotMap::default());
        streams.open((StreamId(stream), &hello), OURS, welcome, &mut out);
        out
    }

    fn sequences(out: &[Output]) -> Vec<u64> {
        let events = out.iter().filter_map(|output| match output {
            Output::StreamSend {
                message: FromServer::Event { sequence, .. },
                ..
            } => Some(*sequence),
            _ => None,
        });
        events.collect()
    }

    fn event() -> Event {
        Event::Blocking {
            lock: LockId(1),
            mode: Mode::Ex,
        }
    }

    #[test]
    fn a_newer_stream_ends_the_older_and_an_older_one_is_nothing() {
        let mut streams = Streams::default();
        open(&mut streams, 2, 5, 0);
        let end = |stream| Output::StreamEnd {
            stream: StreamId(stream),
            why: StreamRefusal::OlderGeneration,
        };
        assert_eq!(open(&mut streams, 1, 5, 0), [end(1)]);
        assert_eq!(open(&mut streams, 3, 5, 0)[0], end(2));
        assert_eq!(streams.session_of(StreamId(2)), None);
        assert_eq!(streams.session_of(StreamId(3)), Some(SESSION));
        // The end of the older one is heard late.
        streams.closed(StreamId(2));
        assert_eq!(streams.session_of(StreamId(3)), Some(SESSION));
    }

    #[test]
    fn events_are_sent_again_until_they_are_acknowledged() {
        let mut streams = Streams::default();
        let mut out = Vec::new();
        for _ in 0..4 {
            streams.tell(SESSION, None, event(), &mut out);
        }
        assert_eq!(out, []);
        assert_eq!(sequences(&open(&mut streams, 1, 5, 0)), [1, 2, 3, 4]);
        streams.acknowledge(SESSION, 1);
        // What was seen of another process is not what this one said.
        assert_eq!(sequences(&open(&mut streams, 2, 4, 3)), [2, 3, 4]);
        assert_eq!(sequences(&open(&mut streams, 3, 5, 3)), [4]);
        streams.tell(SESSION, None, event(), &mut out);
        assert_eq!(sequences(&out), [5]);
    }

    #[test]
    fn a_number_is_taken_once_and_none_is_left_out() {
        let mut streams = Streams::default();
        open(&mut streams, 1, 5, 0);
        assert_eq!(streams.check(SESSION, 1), Numbered::Next);
        streams.take(SESSION, 1);
        assert_eq!(streams.check(SESSION, 1), Numbered::Again);
        let gap = Numbered::Refused(StreamRefusal::Numbers);
        assert_eq!(streams.check(SESSION, 3), gap);
        open(&mut streams, 2, 5, 0);
        assert_eq!(streams.check(SESSION, 1), Numbered::Again);
        assert_eq!(streams.check(SESSION, 2), Numbered::Next);
    }

    #[test]
    fn who_acknowledges_nothing_is_read_no_further() {
        let mut streams = Streams::default();
        open(&mut streams, 1, 5, 0);
        let mut out = Vec::new();
        for _ in 0..EVENTS_KEPT_MAX {
            streams.tell(SESSION, None, event(), &mut out);
        }
        let full = Numbered::Refused(StreamRefusal::Full);
        assert_eq!(streams.check(SESSION, 1), full);
        open(&mut streams, 2, 5, 1);
        assert_eq!(streams.check(SESSION, 1), Numbered::Next);
    }
}

//! The stream to one server: opened again whenever it breaks, with nothing lost and nothing said twice.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;

use dlm_core::cluster::Endpoint;
use dlm_core::{Incarnation, LogIndex, SlotId, Tick};

use super::event::{Output, StreamId};
use super::link::{ToServer, Welcome};

/// An event is acknowledged with others, at the latest so long after it came. The server keeps it until
/// then.
pub(super) const ACKNOWLEDGE_US_MAX: u64 = 50_000;

/// So many events are acknowledged at once.
pub(super) const ACKNOWLEDGE_EVENTS_MAX: u64 = 64;

/// A server that a session talks to, or did.
#[derive(Clone, Debug)]
pub(super) struct Stream {
    pub(super) endpoint: Endpoint,
    /// The process that was talked to last; everything below is about it.
    pub(super) incarnation: Option<Incarnation>,
    pub(super) state: State,
    pub(super) failed: u32,
    /// The number of the last message.
    pub(super) number: u64,
    /// Messages that the server may not have.
    pub(super) unanswered: VecDeque<ToServer>,
    /// The last event.
    pub(super) after: u64,
    pub(super) acknowledged: u64,
    acknowledge_at: Option<Tick>,
    /// The newest slot map that the server is known to have.
    pub(super) map_index: LogIndex,
    /// Slots whose claims were sent and not taken yet.
    pub(super) claiming: BTreeSet<SlotId>,
}

/// How a stream stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// There is none; it is tried at that time where it is needed.
    Down { due: Tick },
    /// It is being opened.
    Opening { stream: StreamId, since: Tick },
    /// It is open.
    Open { stream: StreamId },
}

/// The server counts otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Miscounted;

/// What an event's number says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sequence {
    New,
    Repeated,
    Gap,
}

impl Stream {
    pub(super) const fn new(endpoint: Endpoint, now: Tick) -> Self {
        Self {
            endpoint,
            incarnation: None,
            state: State::Down { due: now },
            failed: 0,
            number: 0,
            unanswered: VecDeque::new(),
            after: 0,
            acknowledged: 0,
            acknowledge_at: None,
            map_index: LogIndex(0),
            claiming: BTreeSet::new(),
        }
    }

    pub(super) const fn id(&self) -> Option<StreamId> {
        match self.state {
            State::Down { .. } => None,
            State::Opening { stream, .. } | State::Open { stream } => Some(stream),
        }
    }

    /// Whether the process is in reach, and knows of what happened at that entry of the log.
    pub(super) fn reaches(&self, incarnation: Incarnation, since: LogIndex) -> bool {
        matches!(self.state, State::Open { .. })
            && self.incarnation == Some(incarnation)
            && self.map_index >= since
    }

    /// Takes the server's greeting, and sends again what it has not.
    pub(super) fn welcome(
        &mut self,
        stream: StreamId,
        welcome: &Welcome,
        out: &mut Vec<Output>,
    ) -> Result<(), Miscounted> {
        if self.incarnation != Some(welcome.incarnation) {
            // Another process has nothing of what the one before it was told.
            *self = Self {
                incarnation: Some(welcome.incarnation),
                ..Self::new(self.endpoint.clone(), Tick(0))
            };
        }
        if welcome.last_number > self.number {
            return Err(Miscounted);
        }
        self.answered(welcome.last_number);
        let next = self.unanswered.front().and_then(number_of);
        if next.is_some_and(|next| next != welcome.last_number + 1)
            || (next.is_none() && welcome.last_number != self.number)
        {
            return Err(Miscounted);
        }
        self.state = State::Open { stream };
        self.failed = 0;
        self.map_index = self.map_index.max(welcome.map.index);
        let again = self.unanswered.iter().cloned();
        out.extend(again.map(|message| Output::Send { stream, message }));
        // The greeting said which events had come.
        self.acknowledged = self.after;
        self.acknowledge_at = None;
        Ok(())
    }

    /// Sends a numbered message. Only on an open stream.
    pub(super) fn send(&mut self, message: impl FnOnce(u64) -> ToServer, out: &mut Vec<Output>) {
        if let State::Open { stream } = self.state {
            self.number += 1;
            let message = message(self.number);
            self.unanswered.push_back(message.clone());
            out.push(Output::Send { stream, message });
        }
    }

    /// The server has everything up to this number.
    pub(super) fn answered(&mut self, number: u64) {
        while let Some(first) = self.unanswered.front() {
            if number_of(first).is_some_and(|first| first > number) {
                break;
            }
            self.unanswered.pop_front();
        }
    }

    /// The server answered a message: it has that one, and all before.
    pub(super) fn has(&mut self, is_it: impl Fn(&ToServer) -> bool) {
        if let Some(place) = self.unanswered.iter().position(is_it) {
            self.unanswered.drain(..=place);
        }
    }

    /// An event of that number came.
    pub(super) fn event(&mut self, now: Tick, sequence: u64) -> Sequence {
        if sequence <= self.after {
            return Sequence::Repeated;
        }
        if sequence > self.after + 1 {
            return Sequence::Gap;
        }
        self.after = sequence;
        if self.acknowledge_at.is_none() {
            self.acknowledge_at = Some(now.plus(ACKNOWLEDGE_US_MAX));
        }
        Sequence::New
    }

    /// Acknowledges events, where it is time to.
    pub(super) fn acknowledge(&mut self, now: Tick, out: &mut Vec<Output>) {
        let State::Open { stream } = self.state else {
            return;
        };
        let many = self.after - self.acknowledged >= ACKNOWLEDGE_EVENTS_MAX;
        if self.acknowledge_at.is_some_and(|at| at <= now) || many {
            self.acknowledge_at = None;
            self.acknowledged = self.after;
            let sequence = self.after;
            let message = ToServer::Acknowledge { sequence };
            out.push(Output::Send { stream, message });
        }
    }

    /// The stream is gone; the next one is due then.
    pub(super) fn down(&mut self, due: Tick) {
        self.state = State::Down { due };
        self.failed = self.failed.saturating_add(1);
    }

    /// The next moment at which there is something to do, apart from opening it.
    pub(super) fn wake_at(&self, call_us_max: u64) -> Option<Tick> {
        match self.state {
            State::Down { .. } => None,
            State::Opening { since, .. } => Some(since.plus(call_us_max)),
            State::Open { .. } => self.acknowledge_at,
        }
    }
}

const fn number_of(message: &ToServer) -> Option<u64> {
    match *message {
        ToServer::Operation { number, .. }
        | ToServer::Everywhere { number, .. }
        | ToServer::Claims { number, .. }
        | ToServer::Unreadable { number, .. } => Some(number),
        ToServer::Hello(_) | ToServer::Acknowledge { .. } => None,
    }
}

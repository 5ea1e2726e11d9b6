//! Streams: each direction keeps its order; what is sent over a shut link waits for it to open; a break is
//! heard of at both ends when word of it gets through, and by nobody before.

use std::collections::{BTreeMap, VecDeque};

use dlm_core::Tick;

use super::{ProcessId, StreamKey};

/// Something on its way over a stream.
#[derive(Clone, Debug)]
pub(super) enum Parcel<M> {
    /// The stream is opened, with its first message.
    Open(M),
    /// A message.
    Message(M),
    /// The sender knows the stream no more.
    Close,
}

/// One direction of a stream.
#[derive(Clone, Debug)]
struct Way<M> {
    /// Not arrived, oldest first; each with when it may arrive at the earliest.
    under_way: VecDeque<(Tick, Parcel<M>)>,
    /// When the newest of them arrives, unless the link is shut.
    last: Tick,
}

impl<M> Default for Way<M> {
    fn default() -> Self {
        let (under_way, last) = (VecDeque::new(), Tick(0));
        Self { under_way, last }
    }
}

/// A stream as the network has it.
#[derive(Clone, Debug)]
struct Stream<M> {
    acceptor: ProcessId,
    forth: Way<M>,
    back: Way<M>,
}

/// All streams that carry something or may do so.
#[derive(Clone, Debug)]
pub(super) struct Streams<M> {
    streams: BTreeMap<StreamKey, Stream<M>>,
}

impl<M> Streams<M> {
    pub(super) const fn new() -> Self {
        let streams = BTreeMap::new();
        Self { streams }
    }

    /// A new stream.
    pub(super) fn open(&mut self, key: StreamKey, acceptor: ProcessId) {
        let stream = Stream {
            acceptor,
            forth: Way::default(),
            back: Way::default(),
        };
        let before = self.streams.insert(key, stream);
        assert!(before.is_none(), "{key:?} is opened once");
    }

    /// Who is at the other end; none where the network knows no such stream.
    pub(super) fn other_end(&self, key: StreamKey, of: ProcessId) -> Option<ProcessId> {
        let stream = self.streams.get(&key)?;
        Some(if of == key.opener {
            stream.acceptor
        } else {
            key.opener
        })
    }

    /// Puts something on its way from `from`, and says when it may arrive: not before what was sent
    /// earlier.
    pub(super) fn put(
        &mut self,
        key: StreamKey,
        from: ProcessId,
        arrives: Tick,
        parcel: Parcel<M>,
    ) -> Option<Tick> {
        let way = self.way(key, from)?;
        way.last = way.last.max(arrives);
        way.under_way.push_back((way.last, parcel));
        Some(way.last)
    }

    /// The oldest parcel from `from`, if it may have arrived by `now`.
    pub(super) fn take(&mut self, key: StreamKey, from: ProcessId, now: Tick) -> Option<Parcel<M>> {
        let way = self.way(key, from)?;
        let due = way.under_way.front().is_some_and(|(at, _)| *at <= now);
        let taken = if due { way.under_way.pop_front() } else { None };
        taken.map(|(_, parcel)| parcel)
    }

    /// Forgets a stream: both ends know that it is over, or one of them is no more.
    pub(super) fn forget(&mut self, key: StreamKey) {
        self.streams.remove(&key);
    }

    /// What is under way on a stream is lost, both ways.
    pub(super) fn lose(&mut self, key: StreamKey) {
        if let Some(stream) = self.streams.get_mut(&key) {
            stream.forth.under_way.clear();
            stream.back.under_way.clear();
        }
    }

    /// The streams of a process, with their other ends.
    pub(super) fn of(&self, process: ProcessId) -> Vec<(StreamKey, ProcessId)> {
        let streams = self.streams.iter();
        let mine =
            streams.filter(|(key, stream)| key.opener == process || stream.acceptor == process);
        mine.map(|(&key, stream)| {
            let opener = key.opener == process;
            (key, if opener { stream.acceptor } else { key.opener })
        })
        .collect()
    }

    /// Whether word of a stream has not reached the other end.
    pub(super) fn is_opening(&self, key: StreamKey) -> bool {
        let stream = self.streams.get(&key);
        let first = stream.and_then(|stream| stream.forth.under_way.front());
        matches!(first, Some((_, Parcel::Open(_))))
    }

    /// The streams that have something under way from `from` to `to`.
    pub(super) fn waiting(&self, from: ProcessId, to: ProcessId) -> Vec<StreamKey> {
        let streams = self.streams.iter();
        let waiting = streams.filter_map(|(&key, stream)| {
            let way = match (key.opener, stream.acceptor) {
                (opener, acceptor) if (opener, acceptor) == (from, to) => &stream.forth,
                (opener, acceptor) if (opener, acceptor) == (to, from) => &stream.back,
                _ => return None,
            };
            (!way.under_way.is_empty()).then_some(key)
        });
        waiting.collect()
    }

    fn way(&mut self, key: StreamKey, from: ProcessId) -> Option<&mut Way<M>> {
        let stream = self.streams.get_mut(&key)?;
        let forth = from == key.opener;
        Some(if forth {
            &mut stream.forth
        } else {
            &mut stream.back
        })
    }
}

//! The streams of a session to all masters, and what comes on them.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use dlm_core::{Epoch, OpId, ServerId, SlotId, Tick};

use super::call::Call;
use super::calls::Job;
use super::event::{Loss, Output, StreamId};
use super::link::{Event, FromServer, Hello, SlotMap, StreamRefusal, ToServer, Welcome};
use super::map::Claims;
use super::operations::Op;
use super::streams::{Sequence, State, Stream};
use super::{Phase, Session};

impl Session {
    fn server_of(&self, stream: StreamId) -> Option<ServerId> {
        let mut streams = self.streams.iter();
        let found = streams.find(|(_, one)| one.id() == Some(stream));
        found.map(|(&server, _)| server)
    }

    /// A message of a stream that is not the newest one to its server is not looked at.
    pub(super) fn received(
        &mut self,
        now: Tick,
        stream: StreamId,
        message: FromServer,
        out: &mut Vec<Output>,
    ) {
        let Some(server) = self.server_of(stream) else {
            return;
        };
        match message {
            FromServer::Welcome(welcome) => self.welcome(now, (server, stream), welcome, out),
            FromServer::Event {
                sequence,
                slot,
                event,
            } => self.event(now, server, sequence, (slot, event), out),
            FromServer::Map(map) => {
                if let Some(stream) = self.streams.get_mut(&server) {
                    stream.map_index = stream.map_index.max(map.index);
                }
                self.take_map(now, map, out);
            }
            FromServer::Refused { why } => match why {
                StreamRefusal::SessionDead => self.lose(Loss::Dead, out),
                StreamRefusal::SessionUnknown
                | StreamRefusal::OlderGeneration
                | StreamRefusal::Numbers
                | StreamRefusal::Version
                | StreamRefusal::Full
                | StreamRefusal::OtherSlot => self.break_stream(now, server, out),
            },
        }
    }

    fn welcome(
        &mut self,
        now: Tick,
        (server, id): (ServerId, StreamId),
        welcome: Welcome,
        out: &mut Vec<Output>,
    ) {
        let Some(stream) = self.streams.get_mut(&server) else {
            return;
        };
        let opening = matches!(stream.state, State::Opening { .. });
        let older = stream
            .incarnation
            .is_some_and(|known| known > welcome.incarnation);
        if !opening || older {
            self.break_stream(now, server, out);
            return;
        }
        let same = stream.incarnation == Some(welcome.incarnation);
        let greeted = stream.welcome(id, &welcome, out);
        if !same {
            self.everywhere_forgotten(server);
        }
        match greeted {
            Ok(()) => self.take_map(now, welcome.map, out),
            Err(_) => self.lose(Loss::Numbers, out),
        }
    }

    fn event(
        &mut self,
        now: Tick,
        server: ServerId,
        sequence: u64,
        (slot, event): (Option<(SlotId, Epoch)>, Event),
        out: &mut Vec<Output>,
    ) {
        let Some(stream) = self.streams.get_mut(&server) else {
            return;
        };
        if !matches!(stream.state, State::Open { .. }) {
            self.break_stream(now, server, out);
            return;
        }
        match stream.event(now, sequence) {
            Sequence::Gap => return self.break_stream(now, server, out),
            Sequence::Repeated => return,
            Sequence::New => {}
        }
        if shows_what_was_taken(&event, &self.ops) {
            stream.has(|message| answers(&event, message));
        }
        stream.acknowledge(now, out);
        // What a master of an earlier epoch did is not what the present one was told.
        if slot.is_some_and(|(slot, epoch)| epoch < self.map.slot(slot).floor) {
            return;
        }
        match event {
            Event::Done(done) => self.done(done, out),
            Event::Queued { op, serial, .. } => self.queued(op, serial),
            Event::Blocking { lock, mode } => self.blocking(lock, mode, out),
            Event::Orphaned { lock, owner } => self.orphaned(lock, owner, out),
            Event::OrphanPurged { lock } => self.orphan_purged(lock),
            Event::Purged { op, locks } => self.purged(server, op, locks),
            Event::NotMaster { slot, epoch, .. } => {
                if epoch > self.map.slot(slot).epoch {
                    self.calls.begin(now, Job::Map, Call::Map);
                }
            }
            Event::ClaimsTaken { slot, epoch } => {
                if self.map.slot(slot).epoch == epoch
                    && let Some(stream) = self.streams.get_mut(&server)
                {
                    stream.claiming.remove(&slot);
                    self.stirred = true;
                }
            }
        }
    }

    /// A newer slot map, from wherever.
    pub(super) fn take_map(&mut self, now: Tick, map: SlotMap, out: &mut Vec<Output>) {
        self.stirred = true;
        let moved = self.map.take(map);
        for moved in &moved {
            for stream in self.streams.values_mut() {
                stream.claiming.remove(&moved.slot);
            }
            let owes = self.map.slot(moved.slot).claims == Claims::Owed;
            if !moved.lost || !owes {
                self.send_again(moved.slot);
            }
        }
        if !moved.is_empty() {
            self.learn_masters(now, out);
        }
    }

    fn learn_masters(&mut self, now: Tick, out: &mut Vec<Output>) {
        let masters = self
            .map
            .slots()
            .filter_map(|(_, slot)| slot.master.as_ref());
        let mut left = Vec::new();
        for master in masters {
            self.calls.learn(&master.endpoint);
            let stream = self
                .streams
                .entry(master.server)
                .or_insert_with(|| Stream::new(master.endpoint.clone(), now));
            if stream.endpoint != master.endpoint {
                stream.endpoint = master.endpoint.clone();
            }
            // A new process: what is open goes to one that is gone.
            let stale = stream
                .incarnation
                .is_some_and(|known| known < master.incarnation);
            if stale && matches!(stream.state, State::Open { .. }) && !left.contains(&master.server)
            {
                left.push(master.server);
            }
        }
        for server in left {
            self.break_stream(now, server, out);
        }
    }

    pub(super) fn closed(&mut self, now: Tick, stream: StreamId) {
        if let Some(server) = self.server_of(stream) {
            self.stream_down(now, server);
        }
    }

    fn break_stream(&mut self, now: Tick, server: ServerId, out: &mut Vec<Output>) {
        let stream = self.streams.get(&server).and_then(Stream::id);
        out.extend(stream.map(|stream| Output::Close { stream }));
        self.stream_down(now, server);
    }

    fn stream_down(&mut self, now: Tick, server: ServerId) {
        if let Some(stream) = self.streams.get_mut(&server) {
            let pause_us = self.calls.pause.after(&self.timing, stream.failed);
            stream.down(now.plus(pause_us));
        }
    }

    fn masters_any(&self, server: ServerId) -> bool {
        let mut slots = self.map.slots();
        slots.any(|(_, slot)| {
            slot.master
                .as_ref()
                .is_some_and(|master| master.server == server)
        })
    }

    /// Opens the streams that are due, gives up those that take too long, acknowledges events.
    pub(super) fn tend_streams(&mut self, now: Tick, out: &mut Vec<Output>) {
        let servers: Vec<ServerId> = self.streams.keys().copied().collect();
        for server in servers {
            let Some(stream) = self.streams.get_mut(&server) else {
                continue;
            };
            match stream.state {
                State::Open { .. } => stream.acknowledge(now, out),
                State::Opening { since, .. } if now.since(since) >= self.timing.call_us_max => {
                    self.break_stream(now, server, out);
                }
                // Who masters nothing has nothing to say. It is not forgotten: its process goes on
                // counting where it was when it masters a slot again.
                State::Down { due } if due <= now => {
                    if self.masters_any(server) {
                        self.open(now, server, out);
                    }
                }
                State::Opening { .. } | State::Down { .. } => {}
            }
        }
    }

    fn open(&mut self, now: Tick, server: ServerId, out: &mut Vec<Output>) {
        let id = StreamId(self.next_stream);
        self.next_stream += 1;
        let Some(stream) = self.streams.get_mut(&server) else {
            return;
        };
        stream.state = State::Opening {
            stream: id,
            since: now,
        };
        out.push(Output::Open {
            stream: id,
            endpoint: stream.endpoint.clone(),
            hello: Hello {
                versions: self.config.versions,
                session: self.id,
                nonce: self.config.nonce,
                generation: id.0,
                incarnation: stream.incarnation,
                after: stream.after,
            },
        });
    }

    pub(super) fn streams_wake_at(&self) -> Option<Tick> {
        if self.phase != Phase::Live {
            return None;
        }
        let streams = self.streams.iter();
        let times = streams.filter_map(|(&server, stream)| match stream.state {
            State::Down { due } => self.masters_any(server).then_some(due),
            _ => stream.wake_at(self.timing.call_us_max),
        });
        times.min()
    }

    /// The stream to the slot's master, where it can be sent to under the slot's epoch.
    pub(super) fn stream_of(&mut self, slot: SlotId) -> Option<&mut Stream> {
        let slot = self.map.slot(slot);
        let master = slot.master.as_ref()?;
        let stream = self.streams.get_mut(&master.server)?;
        stream
            .reaches(master.incarnation, slot.since)
            .then_some(stream)
    }
}

/// Whether an event can only be there because the server took a message. The answer to an operation that
/// was sent more than once may come from the table, which came from another server, or be about an earlier
/// message: the last one may still be on its way.
fn shows_what_was_taken(event: &Event, ops: &BTreeMap<OpId, Op>) -> bool {
    let op = match event {
        Event::Done(done) => Some(done.op),
        Event::Queued { op, .. } => Some(*op),
        Event::NotMaster { op, .. } => *op,
        Event::Purged { .. } | Event::ClaimsTaken { .. } => return true,
        Event::Blocking { .. } | Event::Orphaned { .. } | Event::OrphanPurged { .. } => None,
    };
    let entry = op.and_then(|op| ops.get(&op));
    entry.is_some_and(|entry| entry.times == 1)
}

/// Whether an event is about the message.
fn answers(event: &Event, message: &ToServer) -> bool {
    match (event, message) {
        (Event::Done(done), ToServer::Operation { op, .. }) => done.op == *op,
        (Event::Queued { op: answered, .. }, ToServer::Operation { op, .. })
        | (Event::Purged { op: answered, .. }, ToServer::Everywhere { op, .. }) => answered == op,
        (Event::NotMaster { op: answered, .. }, ToServer::Operation { op, .. }) => {
            *answered == Some(*op)
        }
        (
            Event::ClaimsTaken { slot, epoch },
            ToServer::Claims {
                slot: its_slot,
                epoch: its_epoch,
                done: true,
                ..
            },
        ) => slot == its_slot && epoch == its_epoch,
        _ => false,
    }
}

#[cfg(test)]
impl Session {
    pub(super) fn streams_open(&self) -> Vec<StreamId> {
        self.streams.values().filter_map(Stream::id).collect()
    }
}

//! Processes start, die, stand still and go on; streams break.

use super::process::Device;
use super::streams::Parcel;
use super::world::Due;
use super::{Gate, Process, ProcessId, State, World};

impl<P: Process> World<P> {
    /// Starts a process where none is. Its machine is switched on where it is off.
    pub fn start(&mut self, id: ProcessId) {
        let now = self.now;
        match self.state(id) {
            State::Running | State::Stopped => return,
            State::Dead => {}
            State::Off if self.place(id).life == 0 => {}
            State::Off => {
                let clocks = &mut self.clocks;
                let place = &mut self.places[id.0 as usize];
                place.clock.boot(now, clocks);
            }
        }
        self.place_mut(id).killed = false;
        self.live(id);
        // What was sent while the machine was off is sent again; nobody here knows of it.
        for (_, other) in self.streams.of(id) {
            self.unblock(other, id);
        }
    }

    /// A process dies by somebody else's doing: [`State::Dead`] as a process whose machine ends its
    /// streams, [`State::Off`] with its machine, of which nobody is told. Of the writes that were not
    /// synced some are there.
    pub fn kill(&mut self, id: ProcessId, state: State) {
        let ended = self.end(id, state);
        let place = self.place_mut(id);
        place.killed |= ended;
    }

    /// A process ends itself.
    pub(super) fn exit(&mut self, id: ProcessId) {
        self.end(id, State::Dead);
    }

    /// True where there was a process.
    fn end(&mut self, id: ProcessId, state: State) -> bool {
        let place = &mut self.places[id.0 as usize];
        let Some(process) = place.process.take() else {
            return false;
        };
        place.state = state;
        place.known.clear();
        place.inbox.clear();
        place.writes.clear();
        place.alarm.1 = None;
        let kept = self.disks.below(place.disk.unsynced() + 1);
        place.disk.crash(kept);
        if let Some(fact) = process.died() {
            self.fact(id, fact);
        }
        if state == State::Dead {
            for (key, _) in self.streams.of(id) {
                self.put(key, id, Parcel::Close);
            }
        }
        true
    }

    /// A process stands still.
    pub fn stop(&mut self, id: ProcessId) {
        let place = self.place_mut(id);
        if place.state == State::Running {
            place.state = State::Stopped;
            self.await_expiry(id);
        }
    }

    /// Time goes on for a process that stands still: what runs out meanwhile is known to the world.
    pub(super) fn await_expiry(&mut self, id: ProcessId) {
        let place = self.place(id);
        let expires = place.process.as_ref().and_then(Process::expires);
        let Some((at, _)) = expires.filter(|_| place.state == State::Stopped) else {
            return;
        };
        let (when, life) = (place.clock.when(self.now, at), place.life);
        self.at(when, Due::Expiry(id, life));
    }

    /// It is said once, unless the process went on before, or its clock is slower than it was.
    pub(super) fn expire(&mut self, id: ProcessId, life: u32) {
        let own = self.clock(id);
        let place = self.place(id);
        if place.state != State::Stopped || place.life != life {
            return;
        }
        match place.process.as_ref().and_then(Process::expires) {
            Some((at, fact)) if at <= own => self.fact(id, fact),
            Some(_) => self.await_expiry(id),
            None => {}
        }
    }

    /// It goes on, and is told everything that came meanwhile.
    pub fn resume(&mut self, id: ProcessId) {
        let place = self.place_mut(id);
        if place.state != State::Stopped {
            return;
        }
        place.state = State::Running;
        let inbox = std::mem::take(&mut place.inbox);
        for arrival in inbox {
            self.arrive(id, arrival);
        }
    }

    /// Opens or shuts a link, one way. What waited for it comes in a heap.
    pub fn set_gate(&mut self, from: ProcessId, to: ProcessId, gate: Gate) {
        self.network.set_gate(from, to, gate);
        if gate == Gate::Open {
            self.release(from, to);
        }
    }

    pub(super) fn release(&mut self, from: ProcessId, to: ProcessId) {
        for message in self.held.remove(&(from, to)).unwrap_or_default() {
            let micros = self.network.delay_us(from, to);
            self.later(micros, Due::Datagram(from, to, message));
        }
        self.unblock(from, to);
    }

    /// The streams between two processes break: what is under way is lost, and both ends hear of it, each
    /// when word of it gets through.
    pub fn break_streams(&mut self, one: ProcessId, other: ProcessId) {
        for (key, end) in self.streams.of(one) {
            if end == other {
                self.network.traffic.broken += 1;
                self.streams.lose(key);
                self.put(key, one, Parcel::Close);
                self.put(key, other, Parcel::Close);
            }
        }
    }
}

//! A slot's table on its way between two servers.
//!
//! The old master stops, and sends its table piece by piece as the new one asks: asking for a piece
//! acknowledges those before it. The new master asks again until it hears something, since the old one
//! may not have applied the move yet, or a message may be lost. Where it takes too long the leader has
//! the slot recovered from its clients. With the first piece comes the slot's [`Ledger`], so that nothing
//! is applied twice.
//!
//! A slot that only gets another epoch goes the same way, from this server to itself.
//!
//! [`Ledger`]: super::ledger::Ledger

use dlm_core::recovery::{ImageChunk, PhaseName, SlotInput};
use dlm_core::{Epoch, ServerId, Tick};

use super::Node;
use super::config::ASK_AGAIN_US;
use super::ledger::HandedLedger;
use super::masters::Key;
use super::message::{Output, PeerMessage};

/// A table that comes.
#[derive(Debug)]
pub(super) struct Arrival {
    from: ServerId,
    /// The piece that is asked for, and when it is asked for again.
    next: u32,
    ask_at: Tick,
    handed: Option<HandedLedger>,
}

impl Arrival {
    pub(super) const fn new(from: ServerId) -> Self {
        Self {
            from,
            next: 0,
            ask_at: Tick(0),
            handed: None,
        }
    }
}

/// A table that goes.
#[derive(Debug)]
pub(super) struct Departure {
    /// Where to.
    pub(super) to: ServerId,
    /// Under which epoch the slot is mastered there.
    pub(super) epoch: Epoch,
    /// What goes with the first piece, from when the master stopped.
    pub(super) handed: Option<HandedLedger>,
}

impl Node {
    /// The master stops for good, and its table goes to the next one.
    pub(super) fn leave(&mut self, key: Key, mut departure: Departure, out: &mut Vec<Output>) {
        let Some(mastered) = self.masters.all.get_mut(&key) else {
            return;
        };
        if mastered.master.phase() != PhaseName::Serving {
            return;
        }
        let unacknowledged = self.streams.unacknowledged(key);
        departure.handed = Some(mastered.ledger.hand_over(unacknowledged));
        mastered.departure = Some(departure);
        let streams = Vec::new();
        self.step_master(key, SlotInput::Leave { streams }, out);
    }

    /// Sends a piece of the table of the master that stopped.
    pub(super) fn send_image(&mut self, key: Key, chunk: ImageChunk, out: &mut Vec<Output>) {
        let mastered = self.masters.all.get(&key);
        let Some(departure) = mastered.and_then(|it| it.departure.as_ref()) else {
            return;
        };
        let (slot, epoch) = (key.0, departure.epoch);
        let first = chunk.number == 0;
        let ledger = departure.handed.clone().filter(|_| first);
        let message = PeerMessage::Image {
            slot,
            epoch,
            chunk,
            ledger,
        };
        self.send(departure.to, message, out);
    }

    /// Asks the master before for a piece of its table.
    pub(super) fn want_image(&mut self, key: Key, chunk: u32, out: &mut Vec<Output>) {
        let again = self.now.plus(ASK_AGAIN_US);
        let mastered = self.masters.all.get_mut(&key);
        let Some(arrival) = mastered.and_then(|it| it.arrival.as_mut()) else {
            return;
        };
        arrival.next = chunk;
        arrival.ask_at = again;
        let from = arrival.from;
        let (slot, epoch) = key;
        let message = PeerMessage::ImageWanted { slot, epoch, chunk };
        self.send(from, message, out);
    }

    /// Asks again where nothing was heard.
    pub(super) fn want_images_again(&mut self, out: &mut Vec<Output>) {
        let due: Vec<(Key, u32)> = self
            .masters
            .all
            .iter()
            .filter(|(_, it)| it.master.phase() == PhaseName::Arriving)
            .filter_map(|(&key, it)| Some((key, it.arrival.as_ref()?)))
            .filter(|(_, arrival)| arrival.ask_at <= self.now)
            .map(|(key, arrival)| (key, arrival.next))
            .collect();
        for (key, chunk) in due {
            self.want_image(key, chunk, out);
        }
    }

    /// The next master asks for a piece. It hears nothing where this server has not come so far.
    pub(super) fn image_wanted(
        &mut self,
        from: ServerId,
        to: Key,
        chunk: u32,
        out: &mut Vec<Output>,
    ) {
        let (slot, epoch) = to;
        let goes = self.masters.all.iter().find(|(key, it)| {
            let departure = it.departure.as_ref();
            key.0 == slot && departure.is_some_and(|it| it.to == from && it.epoch == epoch)
        });
        if let Some((&key, _)) = goes {
            self.step_master(key, SlotInput::ImageWanted { chunk }, out);
        }
    }

    /// A piece arrived. While the lease does not hold it is not taken, since the last one begins the
    /// service; it is asked for again.
    pub(super) fn image(
        &mut self,
        from: ServerId,
        key: Key,
        (chunk, ledger): (ImageChunk, Option<HandedLedger>),
        out: &mut Vec<Output>,
    ) {
        if !self.lease.holds(self.now) {
            return;
        }
        let mastered = self.masters.all.get_mut(&key);
        let Some(arrival) = mastered.and_then(|it| it.arrival.as_mut()) else {
            return;
        };
        if arrival.from != from || chunk.number != arrival.next {
            return;
        }
        if chunk.number == 0 {
            if ledger.is_none() {
                return;
            }
            arrival.handed = ledger;
        }
        self.step_master(key, SlotInput::Image(chunk), out);
    }

    /// The table is here, and with it what the sessions may not know yet.
    pub(super) fn handed_over(&mut self, key: Key, out: &mut Vec<Output>) {
        let Some(mastered) = self.masters.all.get_mut(&key) else {
            return;
        };
        let arrival = mastered.arrival.as_mut();
        let handed = arrival.and_then(|arrival| arrival.handed.take());
        let again = mastered.ledger.take_over(handed.unwrap_or_default());
        for (session, event) in again {
            self.tell(session, Some(key), event, out);
        }
    }
}

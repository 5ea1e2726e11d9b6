//! This server's own lease: while it holds, the server serves; else nothing is granted by it.
//!
//! **A server serves only while its lease holds, by its own clock, counted from when it sent the renewal
//! that the leader acknowledged.** The leader acknowledges after a round of the quorum and counts from
//! then, so that it gives the slots to another only when this server has stopped
//! ([`Timing`] has the arithmetic).

use dlm_core::cluster::Timing;
use dlm_core::{Incarnation, Tick};

/// The lease of one process.
#[derive(Debug)]
pub(super) struct Lease {
    timing: Timing,
    /// Until when it holds; `None` before it was ever acknowledged.
    until: Option<Tick>,
    renew_at: Tick,
    /// What was last said about it.
    held: bool,
}

impl Lease {
    pub(super) const fn new(timing: Timing) -> Self {
        Self {
            timing,
            until: None,
            renew_at: Tick(0),
            held: false,
        }
    }

    /// Whether it holds.
    pub(super) fn holds(&self, now: Tick) -> bool {
        self.until.is_some_and(|until| now < until)
    }

    /// What is left of it, in microseconds; `None` where it does not hold.
    pub(super) fn left_us(&self, now: Tick) -> Option<u64> {
        let until = self.until.filter(|&until| now < until)?;
        Some(until.since(now))
    }

    /// Whether it held when last asked and does not any more.
    pub(super) fn ran_out(&mut self, now: Tick) -> bool {
        let holds = self.holds(now);
        std::mem::replace(&mut self.held, holds) && !holds
    }

    /// Whether a renewal is to be sent now. While the lease does not hold it is asked for at every tick.
    pub(super) fn due(&mut self, now: Tick) -> bool {
        if now < self.renew_at {
            return false;
        }
        let period_us = if self.holds(now) {
            self.timing.server_renewal_us
        } else {
            self.timing.tick_us
        };
        self.renew_at = now.plus(period_us);
        true
    }

    /// There is another leader, or another process of ours: a renewal is due.
    pub(super) const fn hurry(&mut self) {
        self.renew_at = Tick(0);
    }

    /// A renewal that was sent then is acknowledged. One for another process than `ours` does nothing.
    pub(super) fn renewed(&mut self, ours: Option<Incarnation>, of: Incarnation, sent: Tick) {
        if ours == Some(of) {
            let until = self.timing.server_stops(sent);
            self.until = Some(self.until.map_or(until, |known| known.max(until)));
        }
    }

    /// Another process begins without one.
    pub(super) const fn lose(&mut self) {
        self.until = None;
        self.held = false;
        self.hurry();
    }
}

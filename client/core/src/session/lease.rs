//! The lease on the client's own clock.
//!
//! Whoever acknowledged a keepalive lets the session live for a lease from then. The client counts from when
//! it *sent* it, which was before, less a margin and the drift of clocks
//! ([`Timing::session_ends`]): it stops first, whatever the network does.
//!
//! The first lease begins with the first `Join`, which may have been the one that was executed; one that is
//! repeated renews nothing. Where that is long ago the session waits for a keepalive.

use dlm_core::Tick;
use dlm_core::cluster::Timing;

/// How many keepalives fit into a lease, so that some may be lost.
const KEEPALIVES_PER_LEASE: u64 = 5;

/// How long the session lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lease {
    /// When it ends, by what was acknowledged so far.
    pub(super) ends: Tick,
    /// When the last acknowledged renewal was sent.
    pub(super) renewed: Tick,
}

impl Lease {
    /// A lease that began with a call sent at `sent`.
    pub(super) const fn new(timing: &Timing, sent: Tick) -> Self {
        Self {
            ends: timing.session_ends(sent),
            renewed: sent,
        }
    }

    /// A keepalive that was sent at `sent` is acknowledged. An older one changes nothing.
    pub(super) fn renewed(&mut self, timing: &Timing, sent: Tick) {
        if sent > self.renewed {
            *self = Self::new(timing, sent);
        }
    }

    /// Whether it has run out. At the very moment it has.
    pub(super) fn is_over(&self, now: Tick) -> bool {
        now >= self.ends
    }
}

/// The durations with the lease that the cluster gave.
pub(super) fn with_lease(timing: Timing, lease_us: u64) -> Timing {
    Timing {
        session_lease_us: lease_us,
        keepalive_us: timing
            .keepalive_us
            .min(lease_us / KEEPALIVES_PER_LEASE)
            .max(1),
        ..timing
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_counted_from_when_the_call_was_sent() {
        let timing = Timing::DEFAULT;
        let mut lease = Lease::new(&timing, Tick(1000));
        let held_us = 5_000_000 - 500_000 - 5_000;
        assert_eq!(lease.ends, Tick(1000 + held_us));
        lease.renewed(&timing, Tick(700));
        assert_eq!(lease.ends, Tick(1000 + held_us), "an old answer");
        lease.renewed(&timing, Tick(2000));
        assert!(!lease.is_over(Tick(2000 + held_us - 1)));
        assert!(lease.is_over(Tick(2000 + held_us)));
    }

    #[test]
    fn a_short_lease_is_renewed_more_often() {
        let timing = with_lease(Timing::DEFAULT, 1_000_000);
        assert_eq!(timing.keepalive_us, 200_000);
        assert_eq!(with_lease(timing, 0).session_ends(Tick(7)), Tick(7));
    }
}

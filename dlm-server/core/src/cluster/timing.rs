//! How long everything takes: one place for all durations, and why they fit together.
//!
//! **Leases.** A renewal is acknowledged only after a round with a majority that began when it had arrived.
//! Its holder counts from when it *sent* it, and stops a margin and the drift of clocks early; the leader
//! counts from when it *acknowledged* it, and in full. The holder so stops at least the margin before the
//! leader goes on without it, however long the messages took. A new leader begins everybody's lease anew.
//! Leaders compare no times with each other.
//!
//! **A server is lost, and no client** (the aim: all its slots are served again within a second).
//! Of a server that was not the leader, counted from its death:
//!
//! - its last renewal was acknowledged at most a round later: 10 ms;
//! - then its lease runs out at the leader: 350 ms, seen at the next tick: 10 ms;
//! - one round of the log gives the slots to others: 10 ms;
//! - clients hear of it and answer what they hold, and the masters' tables are filled: 100 ms.
//!
//! That is 480 ms. Where it was the leader, another one comes first:
//!
//! - the others miss its heartbeat for their longest patience: 500 ms, seen at the next tick: 10 ms;
//! - two rounds elect one of them (the vote that is only asked for, and the one that counts): 20 ms;
//! - it begins all leases anew, the dead server's too: 350 ms and a tick, 10 ms;
//! - one round of the log, and the clients: 110 ms.
//!
//! That is 1000 ms when everything is at its worst at once, 840 ms in the middle: of two others, one
//! loses patience after 333 ms on average. Two that ask for votes at the same moment begin again, which
//! takes one more patience; it is made rare by the spread of 250 ms, and is not in the sum.
//!
//! Both are measured by `failover`, with other faults: docs/failover.md. So is how often a lease runs out
//! though nobody failed, because the machine has too much to do: not once in 20 s on two cores that eight
//! busy processes used too.
//!
//! A session outlives that with ease: its last acknowledged keepalive was sent at most a period and a call
//! before the server died, and the next one is answered when there is a leader again, even if the votes
//! were split once.

use crate::ids::Tick;

/// Of so many microseconds, two clocks that run at different speeds differ by at most one. Quartz is off
/// by 1/20000 at worst, and what disciplines a clock may slew it by 1/2000.
pub const DRIFT_ONE_IN: u64 = 1000;

/// What a round is taken to cost: a message there and back, with a synchronous write at the other end. It
/// is an assumption. A quiet disk writes synchronously in well under a millisecond; one that is busy with
/// other work was seen to take ten, and the sums are then too small by as much for each round.
pub const ROUND_US: u64 = 10_000;

/// What it is taken to cost that clients hear of a slot's new master, reach it and say what they hold; an
/// assumption too.
pub const REASSERT_US: u64 = 100_000;

/// The aim: how long nobody serves a slot after its master was killed.
pub const FAILOVER_US_MAX: u64 = 1_000_000;

/// All durations, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// How often a server looks at its clock.
    pub tick_us: u64,
    /// How often Raft's leader makes itself heard.
    pub heartbeat_us: u64,
    /// The shortest patience of a follower that hears nothing.
    pub election_us_min: u64,
    /// The longest; each patience is drawn between the two.
    pub election_us_max: u64,
    /// How long a server serves without another renewal.
    pub server_lease_us: u64,
    /// How often it renews.
    pub server_renewal_us: u64,
    /// How much earlier than its lease it stops. It looks at the time once a tick.
    pub server_margin_us: u64,
    /// How long a session lives without another keepalive.
    pub session_lease_us: u64,
    /// How often it sends one.
    pub keepalive_us: u64,
    /// How much earlier than its lease it ends: time for what was begun before to come to its end. It is
    /// the fence where no command is configured.
    pub session_margin_us: u64,
    /// How long a session that renews its lease may take to say what it holds in a slot that recovers;
    /// then it is evicted. One that was stopped for less than its lease is in time.
    pub reassert_us_max: u64,
    /// How long it may leave a blocking callback unanswered; `None`: for ever, since a holder may be at
    /// work for as long as it likes.
    pub callback_us_max: Option<u64>,
    /// How long a table may be on its way to another server before the slot is recovered from clients.
    pub handover_us_max: u64,
    /// How long a replay may take before the session named for it is fenced.
    pub replay_us_max: u64,
    /// How long the fence command may take; switching a machine's power takes up to a minute.
    pub fence_us_max: u64,
    /// How long after a failed fence the next one begins.
    pub fence_retry_us: u64,
    /// How long a client waits for an answer to a call before it asks another server.
    pub call_us_max: u64,
    /// How long after a broken stream the next one is tried, at first.
    pub reconnect_us_min: u64,
    /// The same after many failures.
    pub reconnect_us_max: u64,
}

/// A rule that durations break, in words: what to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimingRule(pub &'static str);

impl core::fmt::Display for TimingRule {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.0)
    }
}

impl core::error::Error for TimingRule {}

impl Timing {
    /// What a cluster starts with.
    pub const DEFAULT: Self = Self {
        tick_us: 10_000,
        heartbeat_us: 50_000,
        election_us_min: 250_000,
        election_us_max: 500_000,
        server_lease_us: 350_000,
        server_renewal_us: 70_000,
        server_margin_us: 40_000,
        session_lease_us: 5_000_000,
        keepalive_us: 1_000_000,
        session_margin_us: 500_000,
        reassert_us_max: 10_000_000,
        callback_us_max: None,
        handover_us_max: 10_000_000,
        replay_us_max: 60_000_000,
        fence_us_max: 60_000_000,
        fence_retry_us: 5_000_000,
        call_us_max: 500_000,
        reconnect_us_min: 20_000,
        reconnect_us_max: 1_000_000,
    };

    /// When a server whose renewal was acknowledged has to stop, on its own clock: counted from when it
    /// sent it.
    #[must_use]
    pub const fn server_stops(&self, sent: Tick) -> Tick {
        sent.plus(held_us(self.server_lease_us, self.server_margin_us))
    }

    /// When the leader may go on without a server, on the leader's clock: counted from when it
    /// acknowledged the renewal, or began to lead.
    #[must_use]
    pub const fn server_expires(&self, acknowledged: Tick) -> Tick {
        acknowledged.plus(self.server_lease_us)
    }

    /// When a session whose keepalive was acknowledged ends, on its own clock: counted from when it sent
    /// it.
    #[must_use]
    pub const fn session_ends(&self, sent: Tick) -> Tick {
        sent.plus(held_us(self.session_lease_us, self.session_margin_us))
    }

    /// When the leader may declare a session dead, on the leader's clock: counted from when it
    /// acknowledged the keepalive, or began to lead.
    #[must_use]
    pub const fn session_expires(&self, acknowledged: Tick) -> Tick {
        acknowledged.plus(self.session_lease_us)
    }

    /// How long a slot may have no master that serves after its server, which did not lead, was killed.
    #[must_use]
    pub const fn failover_us(&self) -> u64 {
        // The last renewal's round, the lease, the tick that sees it, the round of the log, the clients.
        ROUND_US + self.server_lease_us + self.tick_us + ROUND_US + REASSERT_US
    }

    /// The same where the server led, and no votes are split.
    #[must_use]
    pub const fn failover_of_leader_us(&self) -> u64 {
        self.election_us() + self.server_lease_us + self.tick_us + ROUND_US + REASSERT_US
    }

    /// How long after a leader's death there is another at the latest, where no votes are split.
    #[must_use]
    pub const fn election_us(&self) -> u64 {
        self.election_us_max + self.tick_us + 2 * ROUND_US
    }

    /// Whether the durations fit together.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub const fn check(&self) -> Result<(), TimingRule> {
        let broken = self.broken_by_servers();
        let broken = if broken.is_some() {
            broken
        } else {
            self.broken_by_sessions()
        };
        match broken {
            Some(rule) => Err(TimingRule(rule)),
            None => Ok(()),
        }
    }

    const fn broken_by_servers(&self) -> Option<&'static str> {
        if self.tick_us == 0 || self.heartbeat_us < self.tick_us {
            return Some("a heartbeat is one tick or more, and a tick more than nothing");
        }
        // One lost heartbeat, or one late by a tick or two, must not end a leader.
        if self.election_us_min < 3 * self.heartbeat_us {
            return Some("an election waits for three heartbeats or more");
        }
        if self.election_us_max < self.election_us_min + 10 * self.tick_us {
            return Some("elections are spread over ten ticks or more, or votes are split");
        }
        // A server looks at its clock once a tick, and may have looked just before; then what it had
        // begun to answer has to get out.
        if self.server_margin_us < 2 * self.tick_us {
            return Some("a server's margin is two ticks or more");
        }
        let held_us = held_us(self.server_lease_us, self.server_margin_us);
        if held_us < 3 * self.server_renewal_us + ROUND_US || self.server_renewal_us == 0 {
            return Some("a server can miss two renewals and keep its lease");
        }
        None
    }

    const fn broken_by_sessions(&self) -> Option<&'static str> {
        let held_us = held_us(self.session_lease_us, self.session_margin_us);
        // Sent a period before the leader died; an election, and one more after split votes; the call that
        // was under way then is given up, and another one goes to the new leader.
        let silence_us =
            self.keepalive_us + self.election_us() + self.election_us_max + 2 * self.call_us_max;
        if held_us < silence_us || self.keepalive_us == 0 {
            return Some("a session outlives an election with split votes");
        }
        if held_us < self.failover_of_leader_us() + self.keepalive_us {
            return Some("a session outlives the failure of a server");
        }
        if self.reassert_us_max < self.session_lease_us + self.keepalive_us {
            return Some("a session has its lease and a keepalive's time to say what it holds");
        }
        if self.reconnect_us_min == 0 || self.reconnect_us_max < self.reconnect_us_min {
            return Some("the time before a new stream grows from something");
        }
        None
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// How long a holder relies on a lease after it sent the renewal. The leader's clock may run faster by
/// one in [`DRIFT_ONE_IN`], so that its lease is over that much earlier by the holder's.
const fn held_us(lease_us: u64, margin_us: u64) -> u64 {
    let drift_us = lease_us.div_ceil(DRIFT_ONE_IN);
    lease_us.saturating_sub(margin_us).saturating_sub(drift_us)
}

const _: () = assert!(Timing::DEFAULT.check().is_ok());
const _: () = assert!(Timing::DEFAULT.failover_us() <= FAILOVER_US_MAX / 2);
const _: () = assert!(Timing::DEFAULT.failover_of_leader_us() <= FAILOVER_US_MAX);
// The holder stops strictly before the leader goes on, even if both count from the same moment.
const _: () = {
    let timing = Timing::DEFAULT;
    let zero = Tick(0);
    assert!(timing.server_stops(zero).0 < timing.server_expires(zero).0);
    assert!(timing.session_ends(zero).0 < timing.session_expires(zero).0);
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sums_are_what_the_text_says() {
        assert_eq!(Timing::DEFAULT.failover_us(), 480_000);
        assert_eq!(Timing::DEFAULT.failover_of_leader_us(), 1_000_000);
    }

    /// The leader's clock runs faster by the whole drift, and no message takes any time.
    #[test]
    fn a_holder_stops_first_however_clocks_drift() {
        let timing = Timing::DEFAULT;
        let by_leaders_clock = |us: u64| us + us.div_ceil(DRIFT_ONE_IN);
        let stops_us = by_leaders_clock(timing.server_stops(Tick(0)).0);
        assert!(stops_us + timing.server_margin_us - 1000 < timing.server_expires(Tick(0)).0);
        let ends_us = by_leaders_clock(timing.session_ends(Tick(0)).0);
        assert!(ends_us + timing.session_margin_us - 1000 < timing.session_expires(Tick(0)).0);
    }

    #[test]
    fn durations_that_do_not_fit_are_named() {
        let good = Timing::DEFAULT;
        let bad = [
            Timing { tick_us: 0, ..good },
            Timing {
                election_us_min: 100_000,
                ..good
            },
            Timing {
                election_us_max: 260_000,
                ..good
            },
            Timing {
                server_margin_us: 10_000,
                ..good
            },
            Timing {
                server_renewal_us: 150_000,
                ..good
            },
            Timing {
                session_lease_us: 2_000_000,
                ..good
            },
            Timing {
                reassert_us_max: 5_000_000,
                ..good
            },
            Timing {
                reconnect_us_min: 0,
                ..good
            },
        ];
        for timing in bad {
            assert!(timing.check().is_err(), "{timing:?}");
        }
    }

    #[test]
    fn times_that_never_end_do_not_overflow() {
        let timing = Timing::DEFAULT;
        assert_eq!(timing.session_ends(Tick(u64::MAX)), Tick(u64::MAX));
        let none = Timing {
            server_lease_us: 0,
            ..timing
        };
        assert_eq!(none.server_stops(Tick(5)), Tick(5));
    }
}

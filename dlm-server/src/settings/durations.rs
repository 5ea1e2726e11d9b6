//! The two leases that can be chosen, and all that follows from them.

use dlm_core::cluster::Timing;
use dlm_core::cluster::timing::TimingRule;

/// The longest lease. What is dead keeps its locks for as long, so nobody wants more; and no sum of
/// durations comes near what a number holds.
pub(crate) const LEASE_MS_MAX: u64 = 3_600_000;

/// All durations, with a session's lease of so many milliseconds. What is measured by the lease grows and
/// shrinks with it.
pub(crate) fn with_session_lease(timing: Timing, lease_ms: u64) -> Timing {
    let session_lease_us = lease_ms * 1000;
    Timing {
        session_lease_us,
        keepalive_us: scaled(
            Timing::DEFAULT.keepalive_us,
            session_lease_us,
            Timing::DEFAULT.session_lease_us,
        ),
        session_margin_us: scaled(
            Timing::DEFAULT.session_margin_us,
            session_lease_us,
            Timing::DEFAULT.session_lease_us,
        ),
        reassert_us_max: Timing::DEFAULT.reassert_us_max.max(2 * session_lease_us),
        ..timing
    }
}

/// The same with a server's lease.
pub(crate) fn with_server_lease(timing: Timing, lease_ms: u64) -> Timing {
    let server_lease_us = lease_ms * 1000;
    let margin_us = scaled(
        Timing::DEFAULT.server_margin_us,
        server_lease_us,
        Timing::DEFAULT.server_lease_us,
    );
    Timing {
        server_lease_us,
        server_renewal_us: scaled(
            Timing::DEFAULT.server_renewal_us,
            server_lease_us,
            Timing::DEFAULT.server_lease_us,
        ),
        // It looks at the time once a tick, however short its lease is.
        server_margin_us: margin_us.max(2 * timing.tick_us),
        ..timing
    }
}

fn scaled(part_us: u64, now_us: u64, before_us: u64) -> u64 {
    part_us * now_us / before_us
}

/// Whether a lease fits the other durations; where it does not, why, and the shortest longer one that does.
pub(crate) fn checked(
    timing: Timing,
    with: fn(Timing, u64) -> Timing,
    lease_ms: u64,
) -> Result<Timing, (TimingRule, Option<u64>)> {
    let made = with(timing, lease_ms);
    let Err(rule) = made.check() else {
        return Ok(made);
    };
    let fits = |lease_ms: u64| with(timing, lease_ms).check().is_ok();
    let (mut bad_ms, mut good_ms) = (lease_ms, lease_ms.max(1));
    while !fits(good_ms) {
        (bad_ms, good_ms) = (good_ms, 2 * good_ms);
        if good_ms > LEASE_MS_MAX {
            return Err((rule, None));
        }
    }
    while good_ms - bad_ms > 1 {
        let middle_ms = u64::midpoint(bad_ms, good_ms);
        if fits(middle_ms) {
            good_ms = middle_ms;
        } else {
            bad_ms = middle_ms;
        }
    }
    Err((rule, Some(good_ms)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_stay_what_they_are() {
        let timing = Timing::DEFAULT;
        assert_eq!(with_session_lease(timing, 5000), timing);
        assert_eq!(with_server_lease(timing, 350), timing);
    }

    #[test]
    fn what_is_too_short_is_told_what_is_not() {
        let (_, least_ms) = checked(Timing::DEFAULT, with_session_lease, 100).unwrap_err();
        let least_ms = least_ms.unwrap();
        assert!(checked(Timing::DEFAULT, with_session_lease, least_ms).is_ok());
        assert!(checked(Timing::DEFAULT, with_session_lease, least_ms - 1).is_err());
        let (_, least_ms) = checked(Timing::DEFAULT, with_server_lease, 1).unwrap_err();
        let least_ms = least_ms.unwrap();
        assert!(least_ms < 350, "{least_ms}");
        assert!(checked(Timing::DEFAULT, with_server_lease, least_ms).is_ok());
    }

    #[test]
    fn the_longest_fit() {
        assert!(checked(Timing::DEFAULT, with_session_lease, LEASE_MS_MAX).is_ok());
        // A session has to outlive its server.
        assert!(checked(Timing::DEFAULT, with_server_lease, LEASE_MS_MAX).is_err());
        let long = with_session_lease(Timing::DEFAULT, LEASE_MS_MAX);
        assert!(checked(long, with_server_lease, LEASE_MS_MAX / 2).is_ok());
    }
}

//! A machine's own clock: how far it is off, how fast it runs, and that it never goes back.

use dlm_core::Tick;
use dlm_core::cluster::timing::DRIFT_ONE_IN;

use super::Random;

/// Parts of a million by which a clock may be too fast or too slow. Two clocks, one of each, then differ
/// by less than one in [`DRIFT_ONE_IN`].
pub const RATE_PPM_MAX: i64 = 1_000_000 / (2 * DRIFT_ONE_IN as i64) - 1;

/// The most that a machine's clock is ahead of the world's when the world begins: machines run for days.
const AHEAD_US_MAX: u64 = 86_400_000_000;

/// A clock that counts from its machine's boot (`CLOCK_BOOTTIME`): it goes on while a process, or the
/// whole machine, stands still, and begins anew when the machine does.
#[derive(Clone, Debug)]
pub struct Clock {
    /// When the present rate began, in the world's time and in its own.
    since: Tick,
    own: Tick,
    /// Faster than the world by so many parts of a million.
    ppm: i64,
}

impl Clock {
    /// A clock of a machine that may have run for long.
    #[must_use]
    pub fn new(now: Tick, random: &mut Random) -> Self {
        let own = Tick(random.below(AHEAD_US_MAX));
        let (since, ppm) = (now, rate(random));
        Self { since, own, ppm }
    }

    /// A clock that shows the world's time.
    #[must_use]
    pub const fn exact() -> Self {
        let (since, own, ppm) = (Tick(0), Tick(0), 0);
        Self { since, own, ppm }
    }

    /// The machine boots: its clock begins again.
    pub fn boot(&mut self, now: Tick, random: &mut Random) {
        let own = Tick(random.below(20_000_000));
        let (since, ppm) = (now, rate(random));
        *self = Self { since, own, ppm };
    }

    /// From now on it runs at another rate, within the bound. It does not jump.
    pub fn slew(&mut self, now: Tick, random: &mut Random) {
        self.own = self.read(now);
        self.since = now;
        self.ppm = rate(random);
    }

    /// What it shows.
    #[must_use]
    pub fn read(&self, now: Tick) -> Tick {
        let passed = now.since(self.since);
        self.own
            .plus(scaled(passed, 1_000_000 + self.ppm, 1_000_000))
    }

    /// When it will show `own` or more, in the world's time and at the present rate; now, where it does.
    #[must_use]
    pub fn when(&self, now: Tick, own: Tick) -> Tick {
        let left = own.since(self.read(now));
        if left == 0 {
            return now;
        }
        let after = scaled(left, 1_000_000, 1_000_000 + self.ppm);
        let mut at = now.plus(after);
        while self.read(at) < own {
            at = at.plus(1);
        }
        at
    }
}

/// A rate within the bound. One in four is at one of its ends, where what was counted wrongly is seen.
fn rate(random: &mut Random) -> i64 {
    let drawn = random.between(0, 2 * RATE_PPM_MAX as u64) as i64 - RATE_PPM_MAX;
    match random.below(8) {
        0 => RATE_PPM_MAX,
        1 => -RATE_PPM_MAX,
        _ => drawn,
    }
}

fn scaled(micros: u64, by: i64, of: i64) -> u64 {
    let scaled = u128::from(micros) * by as u128 / of as u128;
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_never_goes_back_and_drifts_within_the_bound() {
        let mut random = Random::new(7);
        for _ in 0..50 {
            let mut clock = Clock::new(Tick(0), &mut random);
            let (mut now, mut last) = (Tick(0), clock.read(Tick(0)));
            for _ in 0..200 {
                let passed = random.below(3_000_000);
                now = now.plus(passed);
                let own = clock.read(now);
                assert!(own >= last);
                let off = own.since(last).abs_diff(passed);
                assert!(off <= passed / (2 * DRIFT_ONE_IN) + 2, "{off} of {passed}");
                last = own;
                if random.per_mille(300) {
                    clock.slew(now, &mut random);
                    assert_eq!(clock.read(now), last, "a slew is no jump");
                }
            }
        }
    }

    #[test]
    fn an_alarm_is_not_early() {
        let mut random = Random::new(11);
        for _ in 0..1000 {
            let clock = Clock::new(Tick(random.below(1_000_000)), &mut random);
            let now = Tick(2_000_000);
            let own = clock.read(now).plus(random.below(10_000_000));
            let at = clock.when(now, own);
            assert!(clock.read(at) >= own);
            assert!(at == now || clock.read(Tick(at.0 - 2)) < own, "nor late");
        }
        let past = Tick(1);
        assert_eq!(Clock::exact().when(Tick(5), past), Tick(5));
    }
}

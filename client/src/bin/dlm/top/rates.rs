//! How often something happens: counted by the second, over the last few.

/// So many seconds are looked back; a rate is smooth over these, and forgotten after them.
pub(super) const WINDOW_S: u64 = 5;

const SECOND: u64 = 1_000_000;
const BUCKETS: usize = WINDOW_S as usize;

/// What happened in the last few seconds, by a clock in microseconds that only grows.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    /// Of the second whose number modulo this length it is.
    counts: [u64; BUCKETS],
    /// The newest second that anything was counted in.
    second: u64,
}

impl Window {
    /// So much happened.
    pub(super) fn add(&mut self, at_us: u64, count: u64) {
        let second = at_us / SECOND;
        if second + WINDOW_S <= self.second {
            return;
        }
        self.forget_until(second);
        self.counts[bucket(second)] += count;
    }

    /// How often a second, for somebody who has looked since then.
    pub(super) fn rate(&self, now_us: u64, since_us: u64) -> f64 {
        let now = (now_us / SECOND).max(self.second);
        let oldest = (now + 1).saturating_sub(WINDOW_S);
        // What is in a bucket is of one second of the last few up to the newest.
        let first = (self.second + 1).saturating_sub(WINDOW_S);
        let seconds = oldest.max(first)..=self.second;
        let count: u64 = seconds.map(|second| self.counts[bucket(second)]).sum();
        let begun_us = since_us.max(oldest * SECOND);
        // What happened in a moment is no rate yet.
        let span_us = now_us.saturating_sub(begun_us).max(SECOND / 2);
        count as f64 * SECOND as f64 / span_us as f64
    }

    /// The buckets of newer seconds begin with nothing.
    fn forget_until(&mut self, second: u64) {
        if second <= self.second {
            return;
        }
        let newer = (self.second + 1).max((second + 1).saturating_sub(WINDOW_S))..=second;
        newer.for_each(|second| self.counts[bucket(second)] = 0);
        self.second = second;
    }
}

const fn bucket(second: u64) -> usize {
    (second % WINDOW_S) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_steady_rate_is_told_and_forgotten() {
        let mut window = Window::default();
        let begun = 100 * SECOND;
        for tenth in 0..200 {
            window.add(begun + tenth * SECOND / 10, 3);
        }
        let now = begun + 20 * SECOND;
        let rate = window.rate(now, begun);
        assert!((29.0..31.0).contains(&rate), "{rate}");
        assert!(window.rate(now + 3 * SECOND, begun) < rate / 2.0);
        assert_eq!(window.rate(now + WINDOW_S * SECOND, begun), 0.0);
        // Much later nothing of it is there.
        window.add(now + 1000 * SECOND, 1);
        assert!(window.rate(now + 1000 * SECOND, begun) < 1.0);
    }

    #[test]
    fn who_began_just_now_does_not_divide_by_what_was_not_seen() {
        let mut window = Window::default();
        window.add(7 * SECOND, 10);
        window.add(8 * SECOND, 10);
        let rate = window.rate(9 * SECOND, 7 * SECOND);
        assert_eq!(rate, 10.0);
        assert!(window.rate(7 * SECOND, 7 * SECOND) <= 40.0);
    }

    #[test]
    fn what_comes_late_counts_where_it_belongs_or_not_at_all() {
        let mut window = Window::default();
        window.add(50 * SECOND, 1);
        window.add(48 * SECOND, 1);
        window.add(45 * SECOND, 100);
        assert_eq!(window.rate(51 * SECOND, 50 * SECOND), 2.0);
    }
}

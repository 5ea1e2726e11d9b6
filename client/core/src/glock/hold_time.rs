//! The minimum hold time: how long a page that was faulted in may be used before its lock goes.

/// Minimum hold time of a glock and how it adapts; everything in microseconds.
///
/// Its purpose is gfs2's of 2007: without it, nodes that store to one shared mapping fault the page,
/// lose the lock before the store is tried again, and no store ever happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HoldTime {
    /// The time in force.
    pub now: u64,
    /// It never gets shorter than this.
    pub min: u64,
    /// It never gets longer than this.
    pub max: u64,
    /// Added when a local holder waited for long ([`crate::limits::WAIT_LONG_US`]): the lock is
    /// contended, and moving it more rarely costs less.
    pub increase: u64,
    /// Taken off when the lock manager answers with another state than was asked for: somebody else
    /// is in the way, and holding on makes it worse.
    pub decrease: u64,
}

impl HoldTime {
    /// gfs2's: a fifth of a second, at most that, at least ten jiffies (of 4 ms), steps of +1/20 and
    /// -1/40 of a second.
    pub const GFS2: Self = Self {
        now: 200_000,
        min: 40_000,
        max: 200_000,
        increase: 50_000,
        decrease: 25_000,
    };

    /// Ours. A thread whose fault was served runs again some 60 microseconds later, also on another
    /// processor, so a hundredth of gfs2's time is many times what it needs; the ratios of the steps to
    /// the time are gfs2's. Cross rings on three nodes of one machine with two processors: 90 operations a
    /// second at 50 ms, 280 at 10 ms, 560 at 2 ms, 750 with none, for half as many messages again as at
    /// 2 ms.
    pub const GLOCKWORK: Self = Self {
        now: 2_000,
        min: 1_000,
        max: 20_000,
        increase: 500,
        decrease: 250,
    };

    /// None at all, for glocks that no page is faulted under.
    pub const NONE: Self = Self {
        now: 0,
        min: 0,
        max: 0,
        increase: 0,
        decrease: 0,
    };

    /// Always `micros`, whatever happens.
    #[must_use]
    pub const fn fixed(micros: u64) -> Self {
        Self {
            now: micros,
            min: micros,
            max: micros,
            increase: 0,
            decrease: 0,
        }
    }

    /// After a local holder waited for long.
    pub(crate) fn lengthen(&mut self) {
        self.now = self.now.saturating_add(self.increase).min(self.max);
    }

    /// After an answer that was not what was asked for.
    pub(crate) fn shorten(&mut self) {
        self.now = self.now.saturating_sub(self.decrease).max(self.min);
    }
}

impl Default for HoldTime {
    fn default() -> Self {
        Self::GLOCKWORK
    }
}

const _: () = {
    // A default outside its own bounds would jump at the first adaptation.
    let all = [HoldTime::GFS2, HoldTime::GLOCKWORK, HoldTime::NONE];
    let mut at = 0;
    while at < all.len() {
        assert!(all[at].min <= all[at].now && all[at].now <= all[at].max);
        at += 1;
    }
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_adapts_within_its_bounds() {
        let mut hold = HoldTime::GLOCKWORK;
        for _ in 0..100 {
            hold.lengthen();
        }
        assert_eq!(hold.now, hold.max);
        hold.shorten();
        assert_eq!(hold.now, hold.max - hold.decrease);
        for _ in 0..100 {
            hold.shorten();
        }
        assert_eq!(hold.now, hold.min);
    }

    #[test]
    fn a_fixed_one_stays() {
        let mut hold = HoldTime::fixed(7);
        hold.lengthen();
        assert_eq!(hold.now, 7);
        hold.shorten();
        assert_eq!(hold, HoldTime::fixed(7));
    }
}

//! A histogram of latencies: logarithmic, linear within each power of two, mergeable.
//!
//! A value is kept to one part in 32, its count exactly; the largest value is kept as it is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Buckets in each power of two.
const PER_OCTAVE: u64 = 32;
const OCTAVE_BITS: u32 = PER_OCTAVE.ilog2();

/// Counts by bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Histogram {
    counts: BTreeMap<u32, u64>,
    max: u64,
}

/// The bucket of a value: below 64 the value itself, above that the five bits after the leading one.
const fn bucket(value: u64) -> u32 {
    if value < 2 * PER_OCTAVE {
        return value as u32;
    }
    let shift = value.ilog2() - OCTAVE_BITS;
    (shift << OCTAVE_BITS) + (value >> shift) as u32
}

/// The largest value in a bucket.
const fn upper(bucket: u32) -> u64 {
    if bucket < 2 * PER_OCTAVE as u32 {
        return bucket as u64;
    }
    let shift = (bucket >> OCTAVE_BITS) - 1;
    let top = (bucket as u64 & (PER_OCTAVE - 1)) + PER_OCTAVE;
    // In this order, since the first value of the next bucket may not fit.
    (top << shift) + ((1 << shift) - 1)
}

impl Histogram {
    /// Counts one value.
    pub(crate) fn record(&mut self, value: u64) {
        *self.counts.entry(bucket(value)).or_default() += 1;
        self.max = self.max.max(value);
    }

    /// Adds another one's counts.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (&bucket, &count) in &other.counts {
            *self.counts.entry(bucket).or_default() += count;
        }
        self.max = self.max.max(other.max);
    }

    /// The largest value, 0 where there is none.
    pub(crate) const fn max(&self) -> u64 {
        self.max
    }

    /// The value that `percent` of all values do not exceed; at most a 32nd above the true one, 0 where
    /// there is none.
    pub(crate) fn percentile(&self, percent: f64) -> u64 {
        let total: u64 = self.counts.values().sum();
        let rank = ((percent / 100.0 * total as f64).ceil() as u64).clamp(1, total.max(1));
        let mut seen = 0;
        for (&bucket, &count) in &self.counts {
            seen += count;
            if seen >= rank {
                return upper(bucket).min(self.max);
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn buckets_are_in_order_and_touch() {
        let mut last = 0;
        for value in 1..100_000_u64 {
            let here = bucket(value);
            assert!(here == last || here == last + 1, "{value}");
            if here != last {
                assert_eq!(upper(last), value - 1);
            }
            last = here;
        }
        assert_eq!(upper(bucket(u64::MAX)), u64::MAX);
        assert_eq!(Histogram::default().percentile(50.0), 0);
    }

    proptest! {
        #[test]
        fn percentiles_are_within_a_32nd_of_the_sorted_values(
            mut values in prop::collection::vec(0_u64..10_000_000, 1..300),
            split in 0_usize..300, percent in 0.0_f64..=100.0,
        ) {
            let (mut left, mut right) = (Histogram::default(), Histogram::default());
            for (i, &value) in values.iter().enumerate() {
                if i < split { left.record(value) } else { right.record(value) }
            }
            left.merge(&right);
            values.sort_unstable();
            let rank = ((percent / 100.0 * values.len() as f64).ceil() as usize).max(1);
            let exact = values[rank - 1];
            let got = left.percentile(percent);
            prop_assert!(got >= exact && got <= exact + exact / 32, "{got} for {exact}");
            prop_assert_eq!(left.max(), *values.last().unwrap());
        }
    }
}

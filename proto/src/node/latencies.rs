//! A histogram of latencies: logarithmic, linear within each power of two, mergeable.
//!
//! A value is kept to one part in 32, its count exactly; the largest value is kept as it is.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::error::WireError;

/// Buckets in each power of two.
const PER_OCTAVE: u64 = 32;
const OCTAVE_BITS: u32 = PER_OCTAVE.ilog2();
/// The last bucket: that of the largest number.
const BUCKET_MAX: u32 = bucket(u64::MAX);

/// Counts by bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latencies {
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

impl Latencies {
    /// Puts together what [`Self::buckets`] takes apart.
    ///
    /// # Errors
    /// [`WireError::Latencies`]: a bucket that no number is in, or one that is there twice.
    pub fn of_buckets(
        buckets: impl IntoIterator<Item = (u32, u64)>,
        max: u64,
    ) -> Result<Self, WireError> {
        let mut counts = BTreeMap::new();
        for (number, count) in buckets {
            if number > BUCKET_MAX || counts.insert(number, count).is_some() {
                return Err(WireError::Latencies { bucket: number });
            }
        }
        Ok(Self { counts, max })
    }

    /// The buckets with something in them, in order: the number of each, and how many values are there.
    pub fn buckets(&self) -> impl Iterator<Item = (u32, u64)> {
        self.counts.iter().map(|(&bucket, &count)| (bucket, count))
    }

    /// The buckets as a curve: the largest value of each, and how many values do not exceed it.
    pub fn cumulative(&self) -> impl Iterator<Item = (u64, u64)> {
        let mut seen = 0;
        self.counts.iter().map(move |(&bucket, &count)| {
            seen += count;
            (upper(bucket).min(self.max), seen)
        })
    }

    /// How many values there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Counts one value.
    pub fn record(&mut self, value: u64) {
        *self.counts.entry(bucket(value)).or_default() += 1;
        self.max = self.max.max(value);
    }

    /// Adds another one's counts.
    pub fn merge(&mut self, other: &Self) {
        for (&bucket, &count) in &other.counts {
            *self.counts.entry(bucket).or_default() += count;
        }
        self.max = self.max.max(other.max);
    }

    /// The largest value, 0 where there is none.
    #[must_use]
    pub const fn max(&self) -> u64 {
        self.max
    }

    /// The value that `percent` of all values do not exceed; at most a 32nd above the true one, 0 where
    /// there is none.
    #[must_use]
    pub fn percentile(&self, percent: f64) -> u64 {
        let total = self.count();
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
        assert_eq!(upper(BUCKET_MAX), u64::MAX);
        assert_eq!(Latencies::default().percentile(50.0), 0);
    }

    proptest! {
        #[test]
        fn percentiles_are_within_a_32nd_of_the_sorted_values(
            mut values in prop::collection::vec(0_u64..10_000_000, 1..300),
            split in 0_usize..300, percent in 0.0_f64..=100.0,
        ) {
            let (mut left, mut right) = (Latencies::default(), Latencies::default());
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
            prop_assert_eq!(left.count(), values.len() as u64);
            prop_assert_eq!(left.cumulative().last(), Some((left.max(), left.count())));
            prop_assert_eq!(Latencies::of_buckets(left.buckets(), left.max()), Ok(left));
        }
    }
}

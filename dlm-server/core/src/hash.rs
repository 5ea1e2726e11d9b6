//! Hashing with a seed.
//!
//! Names and lock ids come from outside. With a seed that is not known outside, nobody can choose many of
//! them that meet in one place of an index. The function is a folded multiplication (as in wyhash): not
//! one for secrets, but without the seed its collisions cannot be named in advance. Nothing iterates an
//! index, so that no behaviour depends on the seed.

/// Two arbitrary odd numbers with about as many ones as zeros.
const FACTORS: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xa076_1d64_78bd_642f];

/// A hash function: one of 2^64.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hasher {
    keys: [u64; 2],
}

impl Hasher {
    pub(crate) const fn new(seed: u64) -> Self {
        let first = fold(seed ^ FACTORS[1], FACTORS[0]);
        Self {
            keys: [first, fold(first ^ seed, FACTORS[1])],
        }
    }

    /// The hash of two numbers.
    #[inline]
    pub(crate) const fn pair(self, first: u64, second: u64) -> u64 {
        let mixed = fold(first ^ self.keys[0], second ^ self.keys[1]);
        fold(mixed ^ FACTORS[0], self.keys[0] | 1)
    }

    /// The hash of a number and some bytes.
    #[inline]
    pub(crate) fn bytes(self, number: u64, bytes: &[u8]) -> u64 {
        let mut hash = self.pair(number, bytes.len() as u64);
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            hash = fold(hash ^ self.keys[1], u64::from_le_bytes(*word) ^ FACTORS[1]);
        }
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.pair(hash, u64::from_le_bytes(last))
    }
}

/// Both halves of the product, one over the other.
const fn fold(a: u64, b: u64) -> u64 {
    let product = (a as u128) * (b as u128);
    (product as u64) ^ ((product >> 64) as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;

    #[test]
    fn the_seed_and_every_byte_count() {
        let mut hashes = BTreeSet::new();
        let (mut bytes, mut expected) = ([0; 40], 0);
        for seed in 0..4 {
            let hasher = Hasher::new(seed);
            for len in 0..40 {
                for number in 0..3 {
                    hashes.insert(hasher.bytes(number, &bytes[..len]));
                    expected += 1;
                }
                for changed in 0..len {
                    bytes[changed] = 1;
                    hashes.insert(hasher.bytes(0, &bytes[..len]));
                    bytes[changed] = 0;
                    expected += 1;
                }
            }
        }
        assert_eq!(hashes.len(), expected);
    }

    #[test]
    fn numbers_in_a_row_spread_over_all_places() {
        let hasher = Hasher::new(7);
        let places: BTreeSet<u64> = (0..1024).map(|n| hasher.pair(1, n) >> 54).collect();
        assert!(
            places.len() > 600,
            "{} of 1024, 647 are expected",
            places.len()
        );
    }
}

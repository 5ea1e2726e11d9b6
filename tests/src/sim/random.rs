//! The seed, split by purpose, and the digest of a run.

use std::fmt::{self, Write};

/// What random numbers are drawn for. Each purpose has a stream of its own, so that one more draw for a
/// message's delay does not change which faults there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// Which faults, when.
    Faults = 1,
    /// Delays, loss and duplication.
    Network,
    /// Offsets and rates.
    Clocks,
    /// How long writes take, and what of them is left after a crash.
    Disks,
    /// The seeds that processes are started with.
    Processes,
    /// What clients want.
    Workload,
}

/// The same seed, the same numbers (splitmix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The stream of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The stream of this seed for one purpose.
    #[must_use]
    pub fn of(seed: u64, purpose: Purpose) -> Self {
        let mut random = Self(seed ^ (purpose as u64).wrapping_mul(0xd6e8_feb8_6659_fd93));
        Self(random.draw())
    }

    /// Any number.
    pub const fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`; 0 where that is 0.
    pub const fn below(&mut self, end: u64) -> u64 {
        let drawn = self.draw();
        if end == 0 { 0 } else { drawn % end }
    }

    /// A number from `least` to `most`.
    pub const fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.below((most - least).saturating_add(1))
    }

    /// True in so many of a thousand cases.
    pub const fn per_mille(&mut self, part: u64) -> bool {
        self.below(1000) < part
    }

    /// One of them; none where there is none.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        from.get(self.below(from.len() as u64) as usize).copied()
    }
}

/// A digest of text that is written to it; what is compared of two runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Digest(pub u64);

impl Default for Digest {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Digest {
    /// The digest of one thing's `Debug` text.
    #[must_use]
    pub fn of(what: &impl fmt::Debug) -> u64 {
        let mut digest = Self::default();
        digest.add(format_args!("{what:?}"));
        digest.0
    }

    /// The digest of bytes.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> u64 {
        let mut digest = Self::default();
        digest.take(bytes);
        digest.0
    }

    /// Takes more text in.
    pub fn add(&mut self, text: fmt::Arguments<'_>) {
        self.write_fmt(text).expect("a digest takes everything");
    }

    /// FNV-1a over eight bytes at a time, with a mixing step for each.
    fn take(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut eight = [0; 8];
            eight[..part.len()].copy_from_slice(part);
            let part = u64::from_le_bytes(eight) ^ part.len() as u64;
            self.0 = (self.0 ^ part).wrapping_mul(0x0100_0000_01b3);
            self.0 ^= self.0 >> 29;
        }
    }
}

impl Write for Digest {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.take(text.as_bytes());
        Ok(())
    }
}

//! What the fuzz targets do with their bytes, and the same bounded, for `cargo test`.
//!
//! | file | target |
//! |---|---|
//! | `frames.rs` | bytes as frames of a client and of a server |
//! | `operations.rs` | bytes as operations on the lock table |
//!
//! The targets themselves are in `tests/fuzz`, a workspace of its own that needs `cargo fuzz`.

pub mod frames;
pub mod operations;

use std::path::Path;
use std::{fs, io};

/// The most bytes of an input that is made up here: what is longer finds nothing new and takes long.
const INPUT_BYTES_MAX: u64 = 600;

/// Inputs that are kept in the repository, in the order of their names.
///
/// # Errors
/// Where the directory or a file cannot be read.
pub fn corpus(target: &str) -> io::Result<Vec<Vec<u8>>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)? {
        paths.push(entry?.path());
    }
    paths.sort();
    paths.into_iter().map(fs::read).collect()
}

/// The input of this seed: one of `corpus` with changes, or noise.
#[must_use]
pub fn input(seed: u64, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut random = Random(seed);
    let kept = corpus.get(random.below(1 + corpus.len() as u64) as usize);
    let Some(kept) = kept.filter(|kept| !kept.is_empty()) else {
        let length = random.below(INPUT_BYTES_MAX);
        return (0..length).map(|_| random.below(256) as u8).collect();
    };
    let mut bytes = kept.clone();
    for _ in 0..=random.below(8) {
        let place = random.below(bytes.len() as u64) as usize;
        match random.below(4) {
            0 => bytes[place] ^= 1 << random.below(8),
            1 => bytes[place] = random.below(256) as u8,
            2 => bytes.insert(place, random.below(256) as u8),
            _ if bytes.len() > 1 => {
                bytes.remove(place);
            }
            _ => {}
        }
    }
    bytes
}

/// The same seed, the same numbers (splitmix64).
struct Random(u64);

impl Random {
    const fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }
}

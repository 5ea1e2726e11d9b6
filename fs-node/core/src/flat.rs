//! The flat volume: a superblock and a number of inodes of one size, one after the other.
//!
//! | bytes | what |
//! |---|---|
//! | 0 to 7 | `GLKWFLAT` |
//! | 8 to 11 | version, 1, little-endian as all numbers here |
//! | 12 to 15 | the volume's number |
//! | 16 to 23 | how many inodes |
//! | 24 to 31 | bytes in each, a multiple of the page |
//! | 32 to 39 | checksum (FNV-1a, 64 bits) of bytes 0 to 31 |
//! | 40 to 4095 | zero |
//! | 4096 … | inode 1, inode 2, … |
//!
//! Inodes are numbered from 1; every one is as long as the layout says, has no holes and does not grow.
//! It is enough to do I/O on, and no filesystem.

use core::fmt;

use crate::limits::PAGE_BYTES;

/// Bytes of the superblock.
pub const SUPERBLOCK_BYTES: usize = PAGE_BYTES;

const MAGIC: [u8; 8] = *b"GLKWFLAT";
const VERSION: u32 = 1;

/// The most inodes: with the most bytes in each, the volume's size still fits 63 bits.
pub const INODES_MAX: u64 = 1 << 20;
/// The most bytes in an inode: its pages are described in memory, 16 bytes a page.
pub const INODE_BYTES_MAX: u64 = 1 << 36;

/// A flat volume's geometry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// The volume's number, the first half of every lock-order key.
    pub volume: u32,
    /// How many inodes; they are numbered from 1.
    pub inodes: u64,
    /// Bytes in each.
    pub inode_bytes: u64,
}

/// What is wrong with a geometry or a superblock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayoutError {
    /// The first bytes are not a flat volume's.
    Magic,
    /// A version that this program does not know.
    Version(u32),
    /// The checksum does not match.
    Checksum,
    /// No inodes, or more than [`INODES_MAX`].
    Inodes(u64),
    /// An inode size that is zero, no multiple of the page, or above [`INODE_BYTES_MAX`].
    InodeBytes(u64),
    /// The device or file is shorter than the layout.
    TooSmall {
        /// Bytes that the layout takes.
        needed: u64,
        /// Bytes that there are.
        there: u64,
    },
}

impl fmt::Display for LayoutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Magic => f.write_str("this is no flat volume; make one with fs-node mkfs"),
            Self::Version(version) => {
                write!(
                    f,
                    "the volume has version {version} and this program knows {VERSION}"
                )
            }
            Self::Checksum => f.write_str("the superblock's checksum does not match its content"),
            Self::Inodes(count) => write!(f, "a volume has 1 to {INODES_MAX} inodes, not {count}"),
            Self::InodeBytes(bytes) => write!(
                f,
                "an inode's size is a multiple of {PAGE_BYTES} from {PAGE_BYTES} to {INODE_BYTES_MAX}, not {bytes}"
            ),
            Self::TooSmall { needed, there } => {
                write!(
                    f,
                    "the volume is too small: {needed} bytes are needed and {there} are there"
                )
            }
        }
    }
}

impl core::error::Error for LayoutError {}

impl Layout {
    /// Checks the numbers.
    ///
    /// # Errors
    /// [`LayoutError::Inodes`], [`LayoutError::InodeBytes`].
    pub const fn checked(self) -> Result<Self, LayoutError> {
        if self.inodes == 0 || self.inodes > INODES_MAX {
            return Err(LayoutError::Inodes(self.inodes));
        }
        let whole = self.inode_bytes.is_multiple_of(PAGE_BYTES as u64);
        if self.inode_bytes == 0 || !whole || self.inode_bytes > INODE_BYTES_MAX {
            return Err(LayoutError::InodeBytes(self.inode_bytes));
        }
        Ok(self)
    }

    /// Bytes of the whole volume.
    #[must_use]
    pub const fn volume_bytes(&self) -> u64 {
        SUPERBLOCK_BYTES as u64 + self.inodes * self.inode_bytes
    }

    /// Where inode `number` starts, if there is one.
    #[must_use]
    pub const fn inode_start(&self, number: u64) -> Option<u64> {
        if number == 0 || number > self.inodes {
            return None;
        }
        Some(SUPERBLOCK_BYTES as u64 + (number - 1) * self.inode_bytes)
    }

    /// The superblock's bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; SUPERBLOCK_BYTES] {
        let mut block = [0; SUPERBLOCK_BYTES];
        block[0..8].copy_from_slice(&MAGIC);
        block[8..12].copy_from_slice(&VERSION.to_le_bytes());
        block[12..16].copy_from_slice(&self.volume.to_le_bytes());
        block[16..24].copy_from_slice(&self.inodes.to_le_bytes());
        block[24..32].copy_from_slice(&self.inode_bytes.to_le_bytes());
        let sum = checksum(&block[..32]);
        block[32..40].copy_from_slice(&sum.to_le_bytes());
        block
    }

    /// Reads a superblock of a volume that is `there` bytes long.
    ///
    /// # Errors
    /// Whatever is wrong with it.
    pub fn decode(block: &[u8; SUPERBLOCK_BYTES], there: u64) -> Result<Self, LayoutError> {
        let number = |at: usize| u64::from_le_bytes(core::array::from_fn(|i| block[at + i]));
        let half = |at: usize| u32::from_le_bytes(core::array::from_fn(|i| block[at + i]));
        if block[0..8] != MAGIC {
            return Err(LayoutError::Magic);
        }
        if half(8) != VERSION {
            return Err(LayoutError::Version(half(8)));
        }
        if number(32) != checksum(&block[..32]) {
            return Err(LayoutError::Checksum);
        }
        let layout = Self {
            volume: half(12),
            inodes: number(16),
            inode_bytes: number(24),
        }
        .checked()?;
        let needed = layout.volume_bytes();
        if there < needed {
            return Err(LayoutError::TooSmall { needed, there });
        }
        Ok(layout)
    }
}

fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, &byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: Layout = Layout {
        volume: 7,
        inodes: 3,
        inode_bytes: 8192,
    };

    #[test]
    fn a_superblock_is_read_back() {
        let there = LAYOUT.volume_bytes();
        assert_eq!(there, 4096 + 3 * 8192);
        assert_eq!(Layout::decode(&LAYOUT.encode(), there), Ok(LAYOUT));
        assert_eq!(LAYOUT.inode_start(0), None);
        assert_eq!(LAYOUT.inode_start(1), Some(4096));
        assert_eq!(LAYOUT.inode_start(3), Some(4096 + 2 * 8192));
        assert_eq!(LAYOUT.inode_start(4), None);
    }

    #[test]
    fn every_bad_superblock_has_its_error() {
        let good = LAYOUT.encode();
        let there = LAYOUT.volume_bytes();
        let with = |at: usize, byte: u8| {
            let mut block = good;
            block[at] = byte;
            Layout::decode(&block, there)
        };
        assert_eq!(with(0, b'X'), Err(LayoutError::Magic));
        assert_eq!(with(8, 2), Err(LayoutError::Version(2)));
        assert_eq!(with(16, 9), Err(LayoutError::Checksum));
        let short = Layout::decode(&good, there - 1);
        assert_eq!(
            short,
            Err(LayoutError::TooSmall {
                needed: there,
                there: there - 1
            })
        );
        let odd = Layout {
            inode_bytes: 5000,
            ..LAYOUT
        };
        assert_eq!(
            Layout::decode(&odd.encode(), there),
            Err(LayoutError::InodeBytes(5000))
        );
        let none = Layout {
            inodes: 0,
            ..LAYOUT
        };
        assert_eq!(
            Layout::decode(&none.encode(), there),
            Err(LayoutError::Inodes(0))
        );
        let huge = Layout {
            inodes: u64::MAX,
            ..LAYOUT
        };
        assert_eq!(huge.checked(), Err(LayoutError::Inodes(u64::MAX)));
    }
}

//! Glock names: 24 bytes, as gfs2 puts them on the wire.

use core::fmt::{self, Write};

use dlm_core::ResourceName;

/// What kind of thing a glock protects; the numbers are gfs2's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum GlockType {
    /// Singletons (mount, live, freeze, rename…).
    Nondisk = 1,
    /// An inode's data and metadata.
    Inode = 2,
    /// A resource group.
    Rgrp = 3,
    /// Superblock and the like.
    Meta = 4,
    /// "Somebody has this inode open".
    Iopen = 5,
    /// A BSD flock.
    Flock = 6,
    /// A user's or group's quota.
    Quota = 8,
    /// A journal.
    Journal = 9,
}

/// A glock's name: type and number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GlockName {
    /// What it protects.
    pub kind: GlockType,
    /// Which one; for an inode the number of its block.
    pub number: u64,
}

impl GlockName {
    /// The glock of the inode `number`.
    #[must_use]
    pub const fn inode(number: u64) -> Self {
        Self {
            kind: GlockType::Inode,
            number,
        }
    }

    /// The resource's name in the lockspace: 24 bytes of ASCII, the type in columns 0 to 7 and the
    /// number in columns 8 to 23, both in lowercase hexadecimal, right-aligned, space-padded.
    #[must_use]
    pub fn resource(self) -> ResourceName {
        let mut text = alloc::string::String::with_capacity(24);
        write!(text, "{:8x}{:16x}", self.kind as u8, self.number).expect("writing to a string");
        ResourceName::new(text.as_bytes()).expect("24 bytes are a valid name")
    }
}

impl fmt::Display for GlockName {
    /// As gfs2's dumps write it: type in decimal, a slash, number in hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:x}", self.kind as u8, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wire_name_has_gfs2s_columns() {
        let name = GlockName::inode(0x102ab).resource();
        assert_eq!(name.as_bytes(), b"       2           102ab");
        assert_eq!(name.as_bytes().len(), 24);
    }
}

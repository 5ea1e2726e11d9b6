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

impl GlockType {
    /// All of them, by number.
    pub const ALL: [Self; 8] = [
        Self::Nondisk,
        Self::Inode,
        Self::Rgrp,
        Self::Meta,
        Self::Iopen,
        Self::Flock,
        Self::Quota,
        Self::Journal,
    ];
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

    /// The glock whose resource has this name, if it is one's: whatever else could be read as two numbers
    /// is a name of somebody else's making.
    #[must_use]
    pub fn of_resource(name: &ResourceName) -> Option<Self> {
        let text = core::str::from_utf8(name.as_bytes()).ok()?;
        let (kind, number) = text.split_at_checked(8)?;
        let hexadecimal = |text: &str| u64::from_str_radix(text.trim_start(), 16).ok();
        let kind = hexadecimal(kind)?;
        let glock = Self {
            kind: GlockType::ALL
                .into_iter()
                .find(|&each| each as u64 == kind)?,
            number: hexadecimal(number)?,
        };
        (glock.resource() == *name).then_some(glock)
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
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn the_wire_name_has_gfs2s_columns() {
        let name = GlockName::inode(0x102ab).resource();
        assert_eq!(name.as_bytes(), b"       2           102ab");
        assert_eq!(name.as_bytes().len(), 24);
    }

    #[test]
    fn names_read_as_they_are_written_and_sort_as_their_bytes_do() {
        let numbers = [0, 9, 0xa, 0x10, 0x102ab, u64::MAX];
        let names = GlockType::ALL.map(|kind| numbers.map(|number| GlockName { kind, number }));
        let names = names.concat();
        assert!(names.is_sorted());
        let resources: Vec<_> = names.iter().map(|name| name.resource()).collect();
        assert!(resources.is_sorted());
        let read: Vec<_> = resources
            .iter()
            .filter_map(GlockName::of_resource)
            .collect();
        assert_eq!(read, names);
    }
}

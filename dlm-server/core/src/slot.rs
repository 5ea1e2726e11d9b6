//! Slots: the pieces that a cluster's resources are divided into, each with one master.
//!
//! A client and every server compute a resource's slot for themselves, so the function is a part of the
//! protocol and written down bit for bit:
//!
//! 1. `h` is 0xcbf29ce484222325. For each byte of the lockspace's base, which is its id shifted right by 20
//!    bits (four bytes, the lowest first), then for each byte of the name:
//!    `h = (h xor byte) * 0x100000001b3`, modulo 2^64. That is FNV-1a.
//! 2. `h = h xor (h >> 32)`, then `h = h * 0x9e3779b97f4a7c15` modulo 2^64: the low bits of FNV-1a alone
//!    do not depend on the high bits of what went in.
//! 3. The slot is the number in the eight highest bits of `h`.
//!
//! The lowest 20 bits of the id, its generation, are left out: a lockspace that has ended and is opened
//! again has its resources in the same slots, where the count of their tokens goes on.
//!
//! The function has no seed: who wants to put many resources into one slot can, and gains that one
//! server masters them all. Within a slot's table they are found through a seeded hash.

use core::fmt;

use crate::ids::{LockspaceId, ResourceName};

/// How many slots a cluster has, for as long as it lives. A server that is lost is taken over by the
/// others evenly where there are many more slots than servers, and each slot costs a few messages in
/// every recovery: with 64 servers each has four.
pub const SLOTS: u16 = 256;

/// One of [`SLOTS`] slots, counted from 0.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId(u8);

// The slot is a byte, and step 3 above takes eight bits.
const _: () = assert!(SLOTS as usize == u8::MAX as usize + 1);

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0100_0000_01b3;
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

impl SlotId {
    /// The slot of this number, where there is one.
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        u8::try_from(number).ok().map(Self)
    }

    /// The slot of a resource.
    #[must_use]
    pub fn of(lockspace: LockspaceId, name: &ResourceName) -> Self {
        let base = lockspace.base().number().to_le_bytes();
        let bytes = base.iter().chain(name.as_bytes());
        let hash = bytes.fold(FNV_OFFSET, |hash, &byte| {
            (hash ^ u64::from(byte)).wrapping_mul(FNV_PRIME)
        });
        let hash = (hash ^ (hash >> 32)).wrapping_mul(SPREAD);
        Self((hash >> 56) as u8)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0 as u32
    }

    /// Its place in a list of all slots.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    /// All slots in order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0..=u8::MAX).map(Self)
    }
}

impl fmt::Debug for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SlotId({})", self.0)
    }
}

impl fmt::Display for SlotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{GENERATION_BITS, GENERATION_MAX};
    use std::vec;

    fn slot(lockspace: u32, name: &[u8]) -> u32 {
        let name = ResourceName::new(name).expect("a name");
        SlotId::of(LockspaceId(lockspace), &name).number()
    }

    /// Computed by hand from the text at the head of this file; a change here breaks every client.
    #[test]
    fn the_function_is_a_part_of_the_protocol() {
        let known = [
            (0, &b""[..], 92),
            (1 << 20, &b"a"[..], 87),
            (1 << 20 | 1, &b"b"[..], 23),
            (2 << 20 | 0xfffff, &b"a"[..], 42),
            (0xfffff, &b""[..], 92),
            (4294967295, &b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"[..], 164),
            (7 << 20 | 1, &b"       2           102ab"[..], 34),
        ];
        for (lockspace, name, expected) in known {
            assert_eq!(slot(lockspace, name), expected, "{lockspace} {name:?}");
        }
    }

    #[test]
    fn a_lockspace_that_is_opened_again_has_its_resources_where_they_were() {
        for number in 0..100_u32 {
            let name = number.to_le_bytes();
            let first = slot(3 << GENERATION_BITS | 1, &name);
            assert_eq!(slot(3 << GENERATION_BITS | GENERATION_MAX, &name), first);
        }
    }

    #[test]
    fn glock_names_spread_evenly() {
        let mut counts = vec![0_u32; SLOTS.into()];
        let each = 1000;
        for number in 0..u32::from(SLOTS) * each {
            let name = std::format!("{:8x}{:16x}", 2, 0x102ab + number);
            counts[slot(7 << GENERATION_BITS | 1, name.as_bytes()) as usize] += 1;
        }
        // Six standard deviations of a throw of dice.
        let (least, most) = (each - 190, each + 190);
        assert!(
            counts.iter().all(|count| (least..most).contains(count)),
            "{counts:?}"
        );
    }

    #[test]
    fn there_are_as_many_as_said() {
        assert_eq!(SlotId::all().count(), usize::from(SLOTS));
        assert_eq!(SlotId::new(u32::from(SLOTS)), None);
        assert!(SlotId::all().all(|slot| SlotId::new(slot.number()) == Some(slot)));
    }
}

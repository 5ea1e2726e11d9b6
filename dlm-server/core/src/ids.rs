//! Names and numbers: what the lock manager calls things.

use alloc::string::String;
use core::fmt;

use crate::status::Refusal;

/// Microseconds since a moment that only the caller knows. The only clock of the pure crates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tick(pub u64);

impl Tick {
    /// The tick `micros` later; saturates at the end of time.
    #[must_use]
    pub const fn plus(self, micros: u64) -> Self {
        Self(self.0.saturating_add(micros))
    }

    /// Microseconds from `earlier` to `self`, zero where `earlier` is the later one.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// How many of a lockspace's 32 bits, the lowest ones, count how often its name was opened anew.
pub const GENERATION_BITS: u32 = 20;

/// The last generation of a base.
pub const GENERATION_MAX: u32 = (1 << GENERATION_BITS) - 1;

/// How many bases there are.
pub const BASES: u32 = 1 << (u32::BITS - GENERATION_BITS);

/// A lockspace: a namespace of resources, from its first session to its last. No number is given out
/// twice: its highest 12 bits are the [`LockspaceBase`], which the name keeps when the lockspace has ended
/// and is opened again, and its lowest [`GENERATION_BITS`] the generation, which grows each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LockspaceId(pub u32);

impl LockspaceId {
    /// The number of a base's so-manieth generation; `None` above [`GENERATION_MAX`].
    #[must_use]
    pub fn new(base: LockspaceBase, generation: u32) -> Option<Self> {
        let number = base.number() << GENERATION_BITS | generation;
        (generation <= GENERATION_MAX).then_some(Self(number))
    }

    /// What all lockspaces of its name have in common, and only the base decides on the slots.
    #[must_use]
    pub const fn base(self) -> LockspaceBase {
        LockspaceBase((self.0 >> GENERATION_BITS) as u16)
    }

    /// Which lockspace of its base it is.
    #[must_use]
    pub const fn generation(self) -> u32 {
        self.0 & GENERATION_MAX
    }
}

/// What the numbers of all lockspaces of one name have in common: their highest 12 bits. A resource's slot
/// depends on it and not on the generation, so that the count of its tokens goes on when the lockspace has
/// ended and is opened again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LockspaceBase(u16);

impl LockspaceBase {
    /// The base of this number; there are [`BASES`].
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        (number < BASES).then_some(Self(number as u16))
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0 as u32
    }

    /// The base after it; after the last one comes the first.
    #[must_use]
    pub const fn following(self) -> Self {
        Self(((self.number() + 1) % BASES) as u16)
    }

    /// All bases, this one first and then the ones that follow.
    pub fn all_from(self) -> impl Iterator<Item = Self> {
        let all = core::iter::successors(Some(self), |base| Some(base.following()));
        all.take(BASES as usize)
    }
}

/// A session: one connected client, a node with all its tasks or a single program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// A lock, numbered by its client. Unique within its session; `(SessionId, LockId)` is unique in a
/// server. The client chooses it, so that a request can be cancelled before it was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LockId(pub u64);

/// An operation, numbered by its client. Every operation is answered once, under this number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId(pub u64);

/// The task within a session that asked (fs/dlm's `ownpid`); 0 means the session as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Owner(pub u64);

/// A fencing token: larger than the token of every earlier grant of the resource that is incompatible
/// with it. Storage that remembers the largest token it has seen can refuse a late writer.
///
/// That holds for the lockspace's name, also when the lockspace ended with its last session and was opened
/// again, for as long as the cluster remembers the name: until
/// [`ENDED_LOCKSPACES_MAX`](crate::cluster::limits::ENDED_LOCKSPACES_MAX) others have ended after it and
/// were not opened again, or until it was opened anew [`GENERATION_MAX`] times. From then on its tokens may
/// begin again. A lockspace that one session keeps open is never forgotten.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token(pub u64);

/// A lock server of the cluster, numbered by whoever set the cluster up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub u64);

/// One life of a server's process: the index of the log entry that announced it. A server that was
/// restarted is another incarnation, and has nothing that the one before it had in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u64);

/// The place of an entry in the cluster's log; 0 is before the first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogIndex(pub u64);

/// Which time a slot has a master: it grows whenever the slot moves. What an earlier epoch left behind,
/// a message or a table, means nothing in a later one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u32);

/// The most bytes in a resource's name (fs/dlm's `DLM_RESNAME_MAXLEN`).
pub const RESOURCE_NAME_BYTES_MAX: usize = 64;

/// A resource's name: up to 64 bytes of anything. As in fs/dlm, no bytes are a name too.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceName {
    len: u8,
    bytes: [u8; RESOURCE_NAME_BYTES_MAX],
}

impl ResourceName {
    /// Takes over `bytes` as a name.
    ///
    /// # Errors
    /// [`Refusal::NameLength`] where there are more than [`RESOURCE_NAME_BYTES_MAX`].
    pub fn new(bytes: &[u8]) -> Result<Self, Refusal> {
        if bytes.len() > RESOURCE_NAME_BYTES_MAX {
            return Err(Refusal::NameLength);
        }
        let mut name = Self {
            len: bytes.len() as u8,
            bytes: [0; RESOURCE_NAME_BYTES_MAX],
        };
        name.bytes[..bytes.len()].copy_from_slice(bytes);
        Ok(name)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}

impl fmt::Display for ResourceName {
    /// Printable ASCII as it is, every other byte as `\xNN`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for &byte in self.as_bytes() {
            if (0x20..0x7f).contains(&byte) && byte != b'\\' {
                text.push(char::from(byte));
            } else {
                fmt::Write::write_fmt(&mut text, format_args!("\\x{byte:02x}"))?;
            }
        }
        f.pad(&text)
    }
}

impl fmt::Debug for ResourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn a_lockspaces_number_is_its_base_and_its_generation() {
        let base = LockspaceBase::new(0x123).unwrap();
        let id = LockspaceId::new(base, 0x45678).unwrap();
        assert_eq!(id, LockspaceId(0x1234_5678));
        assert_eq!((id.base(), id.generation()), (base, 0x45678));
        assert_eq!(LockspaceId::new(base, GENERATION_MAX + 1), None);
        let last = LockspaceBase::new(BASES - 1).unwrap();
        let id = LockspaceId::new(last, GENERATION_MAX);
        assert_eq!(id, Some(LockspaceId(u32::MAX)));
        assert_eq!(LockspaceBase::new(BASES), None);
        let all: std::vec::Vec<u32> = last.all_from().map(LockspaceBase::number).collect();
        assert_eq!((all[0], all[1], all.len()), (BASES - 1, 0, BASES as usize));
    }

    #[test]
    fn a_name_has_up_to_64_bytes_of_anything() {
        assert_eq!(ResourceName::new(b"").unwrap().as_bytes(), b"");
        assert_eq!(ResourceName::new(&[b'x'; 65]), Err(Refusal::NameLength));
        let name = ResourceName::new(&[0, b'a', b'\\', 0xff]).unwrap();
        assert_eq!(name.as_bytes(), &[0, b'a', b'\\', 0xff]);
        assert_eq!(name.to_string(), "\\x00a\\x5c\\xff");
        assert_eq!(ResourceName::new(&[b'x'; 64]).unwrap().as_bytes().len(), 64);
    }
}

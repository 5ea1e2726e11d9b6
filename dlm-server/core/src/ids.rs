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

/// A lockspace: a namespace of resources. Never reused within a server's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LockspaceId(pub u32);

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
    fn a_name_has_up_to_64_bytes_of_anything() {
        assert_eq!(ResourceName::new(b"").unwrap().as_bytes(), b"");
        assert_eq!(ResourceName::new(&[b'x'; 65]), Err(Refusal::NameLength));
        let name = ResourceName::new(&[0, b'a', b'\\', 0xff]).unwrap();
        assert_eq!(name.as_bytes(), &[0, b'a', b'\\', 0xff]);
        assert_eq!(name.to_string(), "\\x00a\\x5c\\xff");
        assert_eq!(ResourceName::new(&[b'x'; 64]).unwrap().as_bytes().len(), 64);
    }
}

//! What a server keeps on its disk: its identity, and its part of the cluster's log.
//!
//! [`Replica`](crate::replica::Replica) says what is to be written, one [`Write`] after the other, and a
//! [`Storage`] writes it: [`EngineStorage`] into files, [`MemoryStorage`] into a memory that can fail in
//! the ways a disk does. Nothing is read but once, when the storage is opened.
//!
//! # What an open finds out
//!
//! A server that has forgotten something it acknowledged must not vote or answer under its old identity.
//! So what an open gives is everything that was ever acknowledged, or it fails. Every batch of writes
//! carries a record (`storage/ledger.rs`): how many batches there were, and digests of all that the log
//! holds after this one. A second file, the mark (`storage/mark.rs`), says how many batches were on the disk for
//! sure, and is on the disk itself before any of them is acknowledged. An open compares all three:
//!
//! - a log that ends before the mark, whatever made it end there (a cut in the middle or at a batch's
//!   border, a file removed, a bit flipped in its last part, which the log's own recovery takes for a
//!   torn write and cuts off), is [`StorageError::Truncated`];
//! - a log that does not hold what its last record says is [`StorageError::Corrupt`];
//! - no identity, one of another disk, or one that is broken, has its own error each.
//!
//! What is *not* acknowledged may be gone: that is what a crash leaves of a write under way.
//!
//! Two things cannot be seen from within one directory: that all of it was replaced by an older copy of
//! itself, and that the log's last batch *and* the newer half of the mark are gone at once. Never
//! restore a server's directory from a backup; let it join as a new member.
//!
//! # The way out of a lost majority
//!
//! [`force_single_member`] makes a stopped server's storage that of a cluster of one.

pub mod draft;
pub mod engine;
mod error;
mod force;
pub mod identity;
mod ledger;
mod mark;
pub mod memory;
mod write;

pub use draft::Draft;
pub use engine::EngineStorage;
pub use error::StorageError;
pub use force::{Forced, force_single_member};
pub use identity::{ClusterId, Identity, cluster_of};
pub use memory::{Fault, MemoryStorage};
pub use write::{Base, HardState, Snapshot, Write};

use raft::eraftpb::Entry;

use crate::members::{Member, Members};

/// Where a server's part of the log is kept.
pub trait Storage {
    /// Writes one batch: all of it or, after a crash, none of it, and never a later one without the
    /// earlier ones. With [`Write::sync`] it is on the disk when this returns, as is all before it.
    ///
    /// # Errors
    /// After an error nobody knows what is on the disk. Everything written later is refused with
    /// [`StorageError::Poisoned`]: the server must stop, and what it finds on the disk at its next start
    /// is what it has.
    fn write(&mut self, write: &Write) -> Result<(), StorageError>;
}

/// What was found when the storage was opened.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// Whose it is.
    pub identity: Identity,
    /// The term, the vote, and what is known to be committed.
    pub hard: HardState,
    /// The newest snapshot. Index 0 on a server that has not heard from its cluster yet.
    pub snapshot: Snapshot,
    /// The entry before the first one in `entries`.
    pub base: Base,
    /// The log.
    pub(crate) entries: Vec<Entry>,
}

impl Stored {
    /// How many entries the log has.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.entries.len()
    }
}

/// How a new server's storage begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Founding {
    /// The first server of a new cluster; it decides alone until others have been added.
    First,
    /// A server of a new cluster whose first members are known. Each of them begins with the same list.
    Together(Members),
    /// A server that will be added to a cluster, and hears from it what it has to know.
    Join,
}

/// Where the log of a new cluster begins: the founding itself is its first entry, and a snapshot. A
/// server that is added later has nothing, not even this, and so gets a snapshot, with the members in
/// it, before it gets entries.
const FOUNDED: u64 = 1;

impl Founding {
    /// The first thing that is written.
    fn write(self, identity: &Identity) -> Write {
        let members = match self {
            Self::First => {
                let voter = true;
                let member = Member {
                    identity: identity.server_identity,
                    voter,
                };
                Members::new([(identity.server, member)])
            }
            Self::Together(members) => members,
            Self::Join => {
                return Write {
                    sync: true,
                    ..Write::default()
                };
            }
        };
        let (index, term) = (FOUNDED, FOUNDED);
        Write {
            sync: true,
            hard: Some(HardState {
                term,
                vote: 0,
                commit: index,
            }),
            snapshot: Some(Snapshot {
                index,
                term,
                members,
                data: Vec::new(),
            }),
            restart: Some(Base { index, term }),
            ..Write::default()
        }
    }
}

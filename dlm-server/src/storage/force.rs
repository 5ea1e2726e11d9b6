//! The way out when most voters are lost for good: one server goes on alone.
//!
//! This is the last resort, and it may lose what was committed: the server that is left need not have
//! the newest entries. Choose the one whose log ends last, see that no other old server runs any more or
//! ever will with its old storage, and add servers to the new cluster as new members.
//!
//! What is done makes two clusters of what was one, and keeps them apart: the storage is given a new
//! cluster's number, so that no message of an old server is read by it and none of its by them. Its
//! members are this server alone: in the snapshot, and all changes in the log are made into entries that
//! do nothing, because servers that are added will read the same log. Everything in the log counts as
//! committed. One more entry of a term of its own is appended, which must raise every slot's epoch: the
//! lost servers may have had slots, and given out tokens, that nobody here knows of.

use std::path::Path;

use raft::eraftpb::{Entry, EntryType};

use super::identity::{ClusterId, Identity};
use super::{EngineStorage, HardState, Storage, StorageError, Write};
use crate::members::{Member, Members};

/// What was done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forced {
    /// Whose storage it is now.
    pub identity: Identity,
    /// The term of the entry that was appended.
    pub term: u64,
    /// Its index, which is the last of the log.
    pub index: u64,
}

/// Makes the storage of a stopped server that of a cluster of this server alone. `command` is what the
/// appended entry says to whoever applies the log: that every slot's epoch grows. `cluster` must be a
/// new random number.
///
/// Where it is interrupted, do it again: the server cannot become a leader before it is done.
///
/// # Errors
/// As [`EngineStorage::open`] and [`Storage::write`]. A server that has not heard from its cluster yet
/// ([`Founding::Join`](super::Founding)) has nothing to go on with and is [`StorageError::NotCreated`].
pub fn force_single_member(
    dir: &Path,
    cluster: ClusterId,
    command: Vec<u8>,
) -> Result<Forced, StorageError> {
    let (mut storage, stored) = EngineStorage::open(dir)?;
    let mut snapshot = stored.snapshot;
    if snapshot.index == 0 {
        let dir = dir.to_owned();
        return Err(StorageError::NotCreated { dir });
    }
    let identity = Identity {
        cluster,
        ..stored.identity
    };
    // First, so that the old servers never hear from one that thinks it is alone.
    identity.save(dir)?;
    let member = Member {
        identity: identity.server_identity,
        voter: true,
    };
    snapshot.members = Members::new([(identity.server, member)]);
    let mut entries = stored.entries;
    for entry in &mut entries {
        if entry.entry_type != EntryType::EntryNormal {
            *entry = Entry {
                term: entry.term,
                index: entry.index,
                ..Entry::default()
            };
        }
    }
    let last = entries.last().map_or(stored.base.index, |last| last.index);
    let (term, index) = (stored.hard.term + 1, last + 1);
    entries.push(Entry {
        term,
        index,
        data: command.into(),
        ..Entry::default()
    });
    let hard = HardState {
        term,
        vote: 0,
        commit: index,
    };
    storage.write(&Write {
        sync: true,
        hard: Some(hard),
        snapshot: Some(snapshot),
        entries,
        ..Write::default()
    })?;
    Ok(Forced {
        identity,
        term,
        index,
    })
}

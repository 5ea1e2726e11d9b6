//! The log in memory, as `raft` wants to see it.

use std::cell::Cell;

use protobuf::Message as _;
use raft::eraftpb::{self, ConfState, Entry};
use raft::{Error, GetEntriesContext, RaftState, StorageError};

use dlm_core::ServerId;

use crate::members::Members;
use crate::storage::{Base, HardState, Snapshot, Stored};

/// What is on the disk or on its way there.
pub(super) struct LogView {
    hard: HardState,
    pub(super) snapshot: Snapshot,
    base: Base,
    entries: Vec<Entry>,
    /// Another server needs a newer snapshot.
    pub(super) wanted: Cell<bool>,
}

impl LogView {
    pub(super) fn new(stored: Stored) -> Self {
        Self {
            hard: stored.hard,
            snapshot: stored.snapshot,
            base: stored.base,
            entries: stored.entries,
            wanted: Cell::new(false),
        }
    }

    pub(super) fn set_hard(&mut self, hard: HardState) {
        self.hard = hard;
    }

    /// Takes over new entries, which replace what there is from the first one's index on.
    pub(super) fn append(&mut self, entries: &[Entry]) {
        if let Some(first) = entries.first() {
            let kept = first.index - self.base.index - 1;
            self.entries.truncate(kept as usize);
            self.entries.extend_from_slice(entries);
        }
    }

    /// Goes on after a snapshot that came from another server.
    pub(super) fn restart(&mut self, snapshot: Snapshot) -> Base {
        let (index, term) = (snapshot.index, snapshot.term);
        self.base = Base { index, term };
        self.entries.clear();
        self.snapshot = snapshot;
        self.base
    }

    /// Takes over a snapshot of our own, and drops the entries before the last `kept` of what it covers.
    /// Says what the log begins after now.
    pub(super) fn compact(&mut self, snapshot: Snapshot, kept: u64) -> Option<Base> {
        let index = snapshot.index.saturating_sub(kept);
        self.snapshot = snapshot;
        if index <= self.base.index {
            return None;
        }
        let term = self.term_of(index)?;
        let dropped = index - self.base.index;
        self.entries.drain(..dropped as usize);
        self.base = Base { index, term };
        Some(self.base)
    }

    /// The term of an entry that the log or its base has.
    pub(super) fn term_of(&self, index: u64) -> Option<u64> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        let at = index.checked_sub(self.base.index + 1)?;
        self.entries.get(at as usize).map(|entry| entry.term)
    }

    fn last(&self) -> u64 {
        self.base.index + self.entries.len() as u64
    }
}

pub(super) fn conf_state(members: &Members) -> ConfState {
    let numbers = |voters: bool| {
        let chosen = members
            .iter()
            .filter(move |(_, member)| member.voter == voters);
        chosen.map(|(server, _)| server.0)
    };
    ConfState::from((numbers(true), numbers(false)))
}

/// A snapshot as `raft` carries it: the members are in the data once more, with their identities.
pub(super) fn to_raft(snapshot: &Snapshot) -> eraftpb::Snapshot {
    let mut out = eraftpb::Snapshot::default();
    out.set_data(snapshot.encode().into());
    let metadata = out.mut_metadata();
    metadata.set_conf_state(conf_state(&snapshot.members));
    metadata.set_index(snapshot.index);
    metadata.set_term(snapshot.term);
    out
}

/// The other way; none where the parts do not fit.
pub(super) fn from_raft(snapshot: &eraftpb::Snapshot) -> Option<Snapshot> {
    let read = Snapshot::decode(snapshot.get_data())?;
    let metadata = snapshot.get_metadata();
    let same = read.index == metadata.get_index()
        && read.term == metadata.get_term()
        && conf_state(&read.members) == *metadata.get_conf_state();
    same.then_some(read)
}

impl raft::Storage for LogView {
    fn initial_state(&self) -> raft::Result<RaftState> {
        let mut hard = eraftpb::HardState::default();
        hard.set_term(self.hard.term);
        hard.set_vote(self.hard.vote);
        hard.set_commit(self.hard.commit);
        Ok(RaftState::new(hard, conf_state(&self.snapshot.members)))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _: GetEntriesContext,
    ) -> raft::Result<Vec<Entry>> {
        if low <= self.base.index {
            return Err(Error::Store(StorageError::Compacted));
        }
        assert!(high <= self.last() + 1, "the log ends before {high}");
        let at = |index: u64| (index - self.base.index - 1) as usize;
        let chosen = &self.entries[at(low)..at(high)];
        let limit = max_size.into().unwrap_or(u64::MAX);
        let mut bytes = 0_u64;
        let fits = chosen.iter().enumerate().take_while(|(number, entry)| {
            bytes += u64::from(entry.compute_size());
            *number == 0 || bytes <= limit
        });
        Ok(fits.map(|(_, entry)| entry.clone()).collect())
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        self.term_of(index)
            .ok_or(Error::Store(if index < self.base.index {
                StorageError::Compacted
            } else {
                StorageError::Unavailable
            }))
    }

    fn first_index(&self) -> raft::Result<u64> {
        Ok(self.base.index + 1)
    }

    fn last_index(&self) -> raft::Result<u64> {
        Ok(self.last())
    }

    /// A server takes a snapshot only where it is among the members in it, so one that was added after
    /// the newest was made needs another.
    fn snapshot(&self, request_index: u64, to: u64) -> raft::Result<eraftpb::Snapshot> {
        let known = self.snapshot.members.member(ServerId(to)).is_some();
        if !known || self.snapshot.index < request_index {
            self.wanted.set(true);
            let error = StorageError::SnapshotTemporarilyUnavailable;
            return Err(Error::Store(error));
        }
        Ok(to_raft(&self.snapshot))
    }
}

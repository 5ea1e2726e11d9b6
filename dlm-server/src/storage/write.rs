//! What is written.

use raft::eraftpb::Entry;

use crate::members::Members;

/// What a server must not forget about elections, and may forget about what is committed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HardState {
    /// The latest term it has seen.
    pub term: u64,
    /// Whom it voted for in that term; 0 for nobody.
    pub vote: u64,
    /// The last entry it knows to be committed.
    pub commit: u64,
}

/// An entry's place in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Base {
    /// Its index.
    pub index: u64,
    /// Its term.
    pub term: u64,
}

/// The state after an entry, which takes the place of all entries up to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// The entry's index.
    pub index: u64,
    /// Its term.
    pub term: u64,
    /// Who belonged to the cluster then.
    pub members: Members,
    /// The rest, as whoever applies the log wrote it; empty for the state that every cluster begins with.
    pub data: Vec<u8>,
}

impl Snapshot {
    /// As bytes, see [`decode`](Self::decode).
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.data.len() + 64);
        out.extend(self.index.to_le_bytes());
        out.extend(self.term.to_le_bytes());
        self.members.encode(&mut out);
        out.extend(&self.data);
        out
    }

    /// The index, the term, the members, and all the rest is data.
    pub(crate) fn decode(mut bytes: &[u8]) -> Option<Self> {
        let (index, rest) = bytes.split_first_chunk()?;
        let (term, rest) = rest.split_first_chunk()?;
        bytes = rest;
        let members = Members::decode(&mut bytes)?;
        Some(Self {
            index: u64::from_le_bytes(*index),
            term: u64::from_le_bytes(*term),
            members,
            data: bytes.to_vec(),
        })
    }
}

/// One batch of writes. Its parts take effect in the order in which they stand here.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Write {
    /// Which one; they are acknowledged by number.
    pub number: u64,
    /// Whether it must be on the disk before it is acknowledged.
    pub sync: bool,
    /// A new state.
    pub(crate) hard: Option<HardState>,
    /// A new snapshot, which replaces the older one.
    pub(crate) snapshot: Option<Snapshot>,
    /// The log is emptied and goes on after this entry.
    pub(crate) restart: Option<Base>,
    /// The log's entries up to this one are dropped.
    pub(crate) compact: Option<Base>,
    /// New entries without a gap; whatever the log has from the first one's index on is replaced.
    pub(crate) entries: Vec<Entry>,
}

impl Write {
    /// How many entries it has.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.entries.len()
    }
}

//! What the log holds, as a record of a few numbers that every batch carries.
//!
//! The log's own checksums say that a block that is read is one that was written. They do not say that
//! nothing is missing, nor that no block of earlier days has come up again. The record does: it has the
//! number of the batch, the hard state, a digest of the snapshot, and a digest of the whole log that
//! goes on from entry to entry. What is read when the storage is opened must be what the record says.

use std::collections::VecDeque;

use protobuf::ProtobufEnum;
use raft::eraftpb::Entry;

use super::identity::Identity;
use super::{Base, HardState, Snapshot, Stored, Write};
use crate::members::ServerIdentity;

/// The record as it is on the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Record {
    /// How many batches were written, this one included.
    pub(super) batches: u64,
    /// Whose storage it is.
    pub(super) identity: u128,
    pub(super) hard: HardState,
    snapshot: Base,
    snapshot_digest: u64,
    base: Base,
    base_digest: u64,
    last: Base,
    last_digest: u64,
}

const RECORD_BYTES: usize = 8 + 16 + 12 * 8;

/// The record, and what is needed to carry it on when entries are replaced or dropped.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    record: Record,
    /// The term of each entry after the base, and the digest of the log up to it.
    entries: VecDeque<(u64, u64)>,
}

impl Record {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(RECORD_BYTES + 8);
        out.extend(self.batches.to_le_bytes());
        out.extend(self.identity.to_le_bytes());
        for number in self.numbers() {
            out.extend(number.to_le_bytes());
        }
        out.extend(digest(0, &out).to_le_bytes());
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let (body, check) = bytes.split_at_checked(RECORD_BYTES)?;
        if digest(0, body).to_le_bytes() != *check {
            return None;
        }
        let (batches, rest) = body.split_first_chunk()?;
        let (identity, rest) = rest.split_first_chunk()?;
        let mut numbers = rest
            .chunks_exact(8)
            .map(|eight| u64::from_le_bytes(eight.try_into().expect("eight bytes")));
        let mut next = || numbers.next();
        Some(Self {
            batches: u64::from_le_bytes(*batches),
            identity: u128::from_le_bytes(*identity),
            hard: HardState {
                term: next()?,
                vote: next()?,
                commit: next()?,
            },
            snapshot: Base {
                index: next()?,
                term: next()?,
            },
            snapshot_digest: next()?,
            base: Base {
                index: next()?,
                term: next()?,
            },
            base_digest: next()?,
            last: Base {
                index: next()?,
                term: next()?,
            },
            last_digest: next()?,
        })
    }

    fn numbers(&self) -> [u64; 12] {
        [
            self.hard.term,
            self.hard.vote,
            self.hard.commit,
            self.snapshot.index,
            self.snapshot.term,
            self.snapshot_digest,
            self.base.index,
            self.base.term,
            self.base_digest,
            self.last.index,
            self.last.term,
            self.last_digest,
        ]
    }

    /// The indices of the entries that the log has.
    pub(super) fn log(&self) -> std::ops::RangeInclusive<u64> {
        self.base.index + 1..=self.last.index
    }
}

impl Ledger {
    /// Of a storage that holds nothing yet.
    pub(super) fn new(identity: ServerIdentity) -> Self {
        let record = Record {
            identity: identity.0,
            ..Record::default()
        };
        Self {
            record,
            entries: VecDeque::new(),
        }
    }

    /// The record for the batch that was taken in last.
    pub(super) fn record(&self) -> &Record {
        &self.record
    }

    /// Takes in one batch.
    ///
    /// # Panics
    /// Where the entries would leave a gap: that is not a log any more.
    pub(super) fn take(&mut self, write: &Write) {
        let record = &mut self.record;
        record.batches += 1;
        if let Some(hard) = write.hard {
            record.hard = hard;
        }
        if let Some(snapshot) = &write.snapshot {
            let (index, term) = (snapshot.index, snapshot.term);
            record.snapshot = Base { index, term };
            record.snapshot_digest = digest(0, &snapshot.encode());
        }
        if let Some(base) = write.restart {
            self.entries.clear();
            (record.base, record.base_digest) = (base, 0);
        }
        if let Some(base) = write.compact.filter(|base| base.index > record.base.index) {
            for _ in record.base.index..base.index {
                let (_, digest) = self.entries.pop_front().expect("what is dropped is there");
                record.base_digest = digest;
            }
            record.base = base;
        }
        if let Some(first) = write.entries.first() {
            assert!(first.index > record.base.index, "entries after the base");
            let kept = (first.index - record.base.index - 1) as usize;
            assert!(kept <= self.entries.len(), "entries without a gap");
            self.entries.truncate(kept);
        }
        for entry in &write.entries {
            let before = self.entries.back().map_or(record.base_digest, |one| one.1);
            self.entries
                .push_back((entry.term, entry_digest(before, entry)));
        }
        record.last.index = record.base.index + self.entries.len() as u64;
        let base = (record.base.term, record.base_digest);
        (record.last.term, record.last_digest) = self.entries.back().copied().unwrap_or(base);
    }

    /// Compares what was read with the record that was read.
    ///
    /// # Errors
    /// Says what differs.
    pub(super) fn check(
        record: Record,
        identity: Identity,
        snapshot: Option<Snapshot>,
        entries: Vec<Entry>,
    ) -> Result<(Self, Stored), String> {
        let snapshot = snapshot.unwrap_or_default();
        let read = match snapshot.index {
            0 => 0,
            _ => digest(0, &snapshot.encode()),
        };
        if snapshot.index != record.snapshot.index || read != record.snapshot_digest {
            return Err("it is not the snapshot that was written last".to_owned());
        }
        let mut ledger = Self {
            record,
            entries: VecDeque::with_capacity(entries.len()),
        };
        let mut before = (record.base.term, record.base_digest);
        for (entry, index) in entries.iter().zip(record.base.index + 1..) {
            if entry.index != index {
                return Err(format!("entry {index} is not where it belongs"));
            }
            if entry.term < before.0 {
                return Err(format!("the term shrinks at entry {index}"));
            }
            before = (entry.term, entry_digest(before.1, entry));
            ledger.entries.push_back(before);
        }
        let index = record.base.index + entries.len() as u64;
        if (index, before.0, before.1) != (record.last.index, record.last.term, record.last_digest)
        {
            return Err("the entries are not those that were written".to_owned());
        }
        let HardState { term, commit, .. } = record.hard;
        if !(record.snapshot.index..=record.last.index).contains(&commit) {
            return Err(format!("what is committed ({commit}) is not in the log"));
        }
        if term < record.last.term || record.base.index > record.snapshot.index {
            return Err("term or snapshot are older than the log".to_owned());
        }
        let stored = Stored {
            identity,
            hard: record.hard,
            snapshot,
            base: record.base,
            entries,
        };
        Ok((ledger, stored))
    }
}

/// FNV-1a over eight bytes at a time, going on from `before`. It finds accidents; it is not made against
/// those who write the disk themselves.
pub(super) fn digest(before: u64, bytes: &[u8]) -> u64 {
    let mut hash = before ^ 0xcbf2_9ce4_8422_2325;
    let mut put = |number: u64| {
        hash = (hash ^ number).wrapping_mul(0x0100_0000_01b3);
        hash ^= hash >> 29;
    };
    for eight in bytes.chunks(8) {
        let mut padded = [0; 8];
        padded[..eight.len()].copy_from_slice(eight);
        put(u64::from_le_bytes(padded));
    }
    put(bytes.len() as u64);
    hash
}

fn entry_digest(before: u64, entry: &Entry) -> u64 {
    let kind = entry.entry_type.value() as u64;
    let head = [entry.index, entry.term, kind].map(u64::to_le_bytes);
    digest(digest(before, head.as_flattened()), &entry.data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_and_a_broken_one_does_not() {
        let record = Record {
            batches: 9,
            identity: 77,
            last_digest: 5,
            ..Record::default()
        };
        let bytes = record.encode();
        assert_eq!(Record::decode(&bytes), Some(record));
        for at in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 1;
            assert_eq!(Record::decode(&broken), None);
            assert_eq!(Record::decode(&bytes[..at]), None);
        }
    }
}

//! A storage in memory that fails as a disk does, for tests and simulations.

use std::path::PathBuf;

use super::identity::Identity;
use super::ledger::Ledger;
use super::{Founding, Snapshot, Storage, StorageError, Stored, Write};
use raft::eraftpb::Entry;

/// What happens to the next write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no space: nothing of it is written.
    Full,
    /// The disk fails: the write may or may not be there after a crash, like one that was not synced.
    Io,
}

/// The disk, and the process that has it open. [`crash`](Self::crash) leaves only the disk.
#[derive(Clone, Debug)]
pub struct MemoryStorage {
    identity: Identity,
    /// What is on the disk; none after it was wiped.
    disk: Option<Disk>,
    /// Written and not synced, oldest first.
    unsynced: Vec<Write>,
    fault: Option<Fault>,
    poisoned: bool,
}

#[derive(Clone, Debug)]
struct Disk {
    ledger: Ledger,
    snapshot: Option<Snapshot>,
    entries: Vec<Entry>,
}

impl Disk {
    fn take(&mut self, write: Write) {
        self.ledger.take(&write);
        if write.snapshot.is_some() {
            self.snapshot = write.snapshot;
        }
        if write.restart.is_some() {
            self.entries.clear();
        }
        if let Some(base) = write.compact {
            self.entries.retain(|entry| entry.index > base.index);
        }
        if let Some(first) = write.entries.first() {
            self.entries.retain(|entry| entry.index < first.index);
        }
        self.entries.extend(write.entries);
    }
}

impl MemoryStorage {
    /// A new server's.
    #[must_use]
    pub fn create(identity: Identity, founding: Founding) -> Self {
        let mut disk = Disk {
            ledger: Ledger::new(identity.server_identity),
            snapshot: None,
            entries: Vec::new(),
        };
        disk.take(founding.write(&identity));
        Self {
            identity,
            disk: Some(disk),
            unsynced: Vec::new(),
            fault: None,
            poisoned: false,
        }
    }

    /// Opens what the last crash left, or a new one.
    ///
    /// # Errors
    /// [`StorageError::NotCreated`] where it was wiped, [`StorageError::Corrupt`] where it is damaged.
    pub fn open(&mut self) -> Result<Stored, StorageError> {
        self.sync();
        let dir = Self::dir();
        let Some(disk) = &self.disk else {
            return Err(StorageError::NotCreated { dir });
        };
        let record = *disk.ledger.record();
        let (snapshot, entries) = (disk.snapshot.clone(), disk.entries.clone());
        Ledger::check(record, self.identity, snapshot, entries)
            .map(|(_, stored)| stored)
            .map_err(|what| StorageError::Corrupt { dir, what })
    }

    /// How many writes a crash could take away.
    #[must_use]
    pub fn unsynced(&self) -> usize {
        self.unsynced.len()
    }

    /// The process dies: of the writes that were not synced only the first `kept` are on the disk. The
    /// one after them may have been torn; the log's checksums make a torn write none.
    pub fn crash(&mut self, kept: usize) {
        self.unsynced.truncate(kept);
        self.fault = None;
        self.poisoned = false;
    }

    /// Makes the next write fail, or not fail after all.
    pub fn fail(&mut self, fault: Option<Fault>) {
        self.fault = fault;
    }

    /// Everything is gone.
    pub fn wipe(&mut self) {
        self.disk = None;
        self.unsynced.clear();
    }

    /// Flips a bit in one of the entries or in the snapshot, chosen by `which`. False where there is
    /// nothing to damage.
    pub fn corrupt(&mut self, which: usize) -> bool {
        let Some(disk) = &mut self.disk else {
            return false;
        };
        let chosen = which % (disk.entries.len() + 1);
        if let Some(entry) = disk.entries.get_mut(chosen) {
            let mut data = entry.data.to_vec();
            match data.first_mut() {
                Some(byte) => *byte ^= 1,
                None => entry.term ^= 1,
            }
            entry.data = data.into();
            return true;
        }
        let Some(snapshot) = &mut disk.snapshot else {
            return false;
        };
        match snapshot.data.first_mut() {
            Some(byte) => *byte ^= 1,
            None => snapshot.term ^= 1,
        }
        true
    }

    fn sync(&mut self) {
        if let Some(disk) = &mut self.disk {
            self.unsynced.drain(..).for_each(|write| disk.take(write));
        }
    }

    fn dir() -> PathBuf {
        PathBuf::from("memory")
    }
}

impl Storage for MemoryStorage {
    fn write(&mut self, write: &Write) -> Result<(), StorageError> {
        let dir = Self::dir();
        if self.poisoned {
            return Err(StorageError::Poisoned { dir });
        }
        match self.fault.take() {
            None => {
                self.unsynced.push(write.clone());
                if write.sync {
                    self.sync();
                }
                Ok(())
            }
            Some(Fault::Full) => {
                self.poisoned = true;
                Err(StorageError::Full { dir })
            }
            Some(Fault::Io) => {
                self.poisoned = true;
                self.unsynced.push(write.clone());
                let source = std::io::Error::from_raw_os_error(5);
                Err(StorageError::io("cannot write the log in memory", source))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use dlm_core::ServerId;

    use super::*;
    use crate::members::{Members, ServerIdentity};
    use crate::storage::{Base, ClusterId, HardState};

    /// The newest of what was written wins, nothing that was synced is lost, and damage is found.
    #[test]
    fn a_disk_fails_only_in_the_ways_it_was_told_to() {
        let identity = Identity {
            cluster: ClusterId(1),
            server: ServerId(1),
            server_identity: ServerIdentity(2),
        };
        let mut storage = MemoryStorage::create(identity, Founding::First);
        let (index, term) = (4, 2);
        let entry = |index, data: &[u8]| Entry {
            index,
            term,
            data: data.to_vec().into(),
            ..Entry::default()
        };
        let write = |sync, entries| Write {
            sync,
            entries,
            ..Write::default()
        };
        let commit = index;
        let first = Write {
            sync: true,
            hard: Some(HardState {
                term,
                vote: 1,
                commit,
            }),
            snapshot: Some(Snapshot {
                index,
                term,
                members: Members::default(),
                data: vec![1],
            }),
            restart: Some(Base { index, term }),
            ..write(true, vec![entry(5, b"a"), entry(6, b"b")])
        };
        storage.write(&first).expect("written");
        let late = [
            write(false, vec![entry(6, b"c")]),
            write(false, vec![entry(7, b"d")]),
        ];
        late.iter()
            .for_each(|write| storage.write(write).expect("written"));
        for kept in 0..=2 {
            let mut torn = storage.clone();
            torn.crash(kept);
            let stored = torn.open().expect("opened");
            assert_eq!(stored.entries(), 2 + kept / 2);
            let expected = if kept == 0 { b"b" } else { b"c" };
            assert_eq!(stored.entries[1].data, expected[..]);
            for which in 0..=stored.entries() {
                let mut broken = torn.clone();
                assert!(broken.corrupt(which));
                assert!(matches!(broken.open(), Err(StorageError::Corrupt { .. })));
            }
        }
        for fault in [Fault::Full, Fault::Io] {
            storage.fail(Some(fault));
            assert!(storage.write(&late[1]).is_err());
            let after = storage.write(&late[1]);
            assert!(matches!(after, Err(StorageError::Poisoned { .. })));
            storage.crash(0);
        }
    }
}

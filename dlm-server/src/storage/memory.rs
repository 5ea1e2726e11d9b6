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

    /// Flips a bit in one of the entries, chosen by `which`, or in the snapshot where there are none.
    /// False where there is nothing to damage.
    pub fn corrupt(&mut self, which: usize) -> bool {
        let Some(disk) = &mut self.disk else {
            return false;
        };
        if !disk.entries.is_empty() {
            let chosen = which % disk.entries.len();
            let entry = &mut disk.entries[chosen];
            let mut data = entry.data.to_vec();
            match data.first_mut() {
                Some(byte) => *byte ^= 1,
                None => entry.term ^= 1,
            }
            entry.data = data.into();
            return true;
        }
        match &mut disk.snapshot {
            Some(snapshot) => {
                snapshot.term ^= 1;
                true
            }
            None => false,
        }
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

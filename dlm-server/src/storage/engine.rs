//! The storage on a disk: the log in files of `raft-engine`, beside it the identity and the mark.
//!
//! The engine's recovery is told to tolerate a torn tail, because a crash leaves one; it then cuts the
//! last file at the first block that does not check, wherever that is. What it cut too much is found
//! out afterwards (see [`storage`](super)). The stricter mode of the engine would refuse to open after
//! an ordinary crash.

use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use raft::eraftpb::Entry;
use raft_engine::{
    Command, Config, Engine, Error, LogBatch, MessageExt, ReadableSize, RecoveryMode,
};

use super::draft::{self, Draft};
use super::identity::{self, Identity};
use super::ledger::{Ledger, Record};
use super::mark::{self, Mark};
use super::{Founding, Snapshot, Storage, StorageError, Stored, Write};

/// The directory of the engine's files.
const LOG: &str = "log";

/// The engine keeps many logs; we have one.
const GROUP: u64 = 1;

const RECORD_KEY: &[u8] = b"record";
const SNAPSHOT_KEY: &[u8] = b"snapshot";

/// How large the engine's files get.
#[derive(Clone, Copy, Debug)]
struct Sizes {
    /// One of them, in bytes.
    file: u64,
    /// All of them, in bytes: from this size on the engine removes files whose entries are all dropped,
    /// and copies together what is left of others.
    files: u64,
}

/// The log is short and its entries are small; all files hold a usual log many times over.
const SIZES: Sizes = Sizes {
    file: 4 << 20,
    files: 64 << 20,
};

/// A server's directory, open.
pub struct EngineStorage {
    dir: PathBuf,
    engine: Engine,
    mark: Mark,
    ledger: Ledger,
    /// A write failed.
    poisoned: bool,
}

impl std::fmt::Debug for EngineStorage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EngineStorage")
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

struct Entries;

impl MessageExt for Entries {
    type Entry = Entry;

    fn index(entry: &Entry) -> u64 {
        entry.index
    }
}

impl EngineStorage {
    /// Makes the storage of a new server, in a directory that is empty or has this server's [`Draft`] in
    /// it. A crash on the way leaves a directory without an identity, which cannot be opened; with a
    /// draft in it, the storage can be made again.
    ///
    /// # Errors
    /// [`StorageError::Exists`] where the directory has something else in it, and what the disk says.
    pub fn create(dir: &Path, identity: Identity, founding: Founding) -> Result<(), StorageError> {
        Self::create_sized(dir, identity, founding, SIZES)
    }

    fn create_sized(
        dir: &Path,
        identity: Identity,
        founding: Founding,
        sizes: Sizes,
    ) -> Result<(), StorageError> {
        let failed = |source| StorageError::io(format!("cannot make {}", dir.display()), source);
        fs::create_dir_all(dir).map_err(failed)?;
        let server_identity = identity.server_identity;
        let draft = Draft {
            server: identity.server,
            server_identity,
        };
        let found = Draft::load(dir)?;
        if found == Some(draft) {
            remove_half_made(dir).map_err(failed)?;
        }
        let in_use = found.is_some_and(|found| found != draft);
        if in_use || !draft::is_alone(dir).map_err(failed)? {
            let dir = dir.to_owned();
            return Err(StorageError::Exists { dir });
        }
        let mut storage = Self {
            dir: dir.to_owned(),
            engine: open_engine(dir, sizes)?,
            mark: Mark::create(dir, server_identity)?,
            ledger: Ledger::new(server_identity),
            poisoned: false,
        };
        storage.write(&founding.write(&identity))?;
        identity.save(dir)?;
        Draft::remove(dir)
    }

    /// Opens a server's storage, and gives all that was ever acknowledged by it, or fails.
    ///
    /// # Errors
    /// See [`storage`](super): what is missing or damaged, and what to do.
    pub fn open(dir: &Path) -> Result<(Self, Stored), StorageError> {
        Self::open_sized(dir, SIZES)
    }

    fn open_sized(dir: &Path, sizes: Sizes) -> Result<(Self, Stored), StorageError> {
        let identity = Identity::load(dir)?;
        Draft::remove(dir)?;
        let (mark, marked) = Mark::open(dir, identity.server_identity)?;
        let corrupt = |what: String| StorageError::Corrupt {
            dir: dir.to_owned(),
            what,
        };
        let log = dir.join(LOG);
        if !log.is_dir() {
            return Err(StorageError::Missing { file: log });
        }
        let engine = open_engine(dir, sizes)?;
        let truncated = |found| StorageError::Truncated {
            dir: dir.to_owned(),
            found,
            marked,
        };
        let record = engine.get(GROUP, RECORD_KEY).ok_or_else(|| truncated(0))?;
        let record = Record::decode(&record)
            .ok_or_else(|| corrupt("its record is not readable".to_owned()))?;
        if record.identity != identity.server_identity.0 {
            return Err(StorageError::Mixed {
                dir: dir.to_owned(),
                what: "the log is another identity's".to_owned(),
            });
        }
        if record.batches < marked {
            return Err(truncated(record.batches));
        }
        let (snapshot, entries) = read(&engine, &record).map_err(corrupt)?;
        let (ledger, stored) =
            Ledger::check(record, identity, snapshot, entries).map_err(corrupt)?;
        // What the last life wrote without a sync was read and will be built on: from here on it counts.
        engine
            .sync()
            .map_err(|error| failure(dir, "cannot sync the log", error))?;
        mark.set(record.batches)?;
        let storage = Self {
            dir: dir.to_owned(),
            engine,
            mark,
            ledger,
            poisoned: false,
        };
        storage.drop_leftovers()?;
        Ok((storage, stored))
    }

    /// The engine may have entries that our log does not have any more, and cannot have a gap.
    fn drop_leftovers(&self) -> Result<(), StorageError> {
        let log = self.ledger.record().log();
        match self.engine.last_index(GROUP) {
            Some(last) if last != *log.end() || log.is_empty() => {
                let mut batch = LogBatch::default();
                let index = last + 1;
                batch.add_command(GROUP, Command::Compact { index });
                self.engine
                    .write(&mut batch, true)
                    .map_err(|error| failure(&self.dir, "cannot write the log", error))?;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn batch(&self, write: &Write) -> Result<LogBatch, Error> {
        let mut batch = LogBatch::default();
        if let Some(snapshot) = &write.snapshot {
            batch.put(GROUP, SNAPSHOT_KEY.to_vec(), snapshot.encode())?;
        }
        if write.restart.is_some() {
            let last = self.engine.last_index(GROUP).unwrap_or_default();
            let index = last + 1;
            batch.add_command(GROUP, Command::Compact { index });
        }
        if let Some(base) = write.compact {
            let index = base.index + 1;
            batch.add_command(GROUP, Command::Compact { index });
        }
        batch.add_entries::<Entries>(GROUP, &write.entries)?;
        let record = self.ledger.record().encode();
        batch.put(GROUP, RECORD_KEY.to_vec(), record)?;
        Ok(batch)
    }

    fn try_write(&mut self, write: &Write) -> Result<(), StorageError> {
        let failed = |what: &str, error| failure(&self.dir, what, error);
        let mut batch = self
            .batch(write)
            .map_err(|error| failed("cannot write the log", error))?;
        // The engine panics where a sync fails, and that is right: nobody knows what is on the disk.
        self.engine
            .write(&mut batch, write.sync)
            .map_err(|error| failed("cannot write the log", error))?;
        if write.sync {
            self.mark.set(self.ledger.record().batches)?;
        }
        if write.restart.is_some() || write.compact.is_some() {
            self.engine
                .purge_expired_files()
                .map_err(|error| failed("cannot remove old files of the log", error))?;
        }
        Ok(())
    }
}

impl Storage for EngineStorage {
    fn write(&mut self, write: &Write) -> Result<(), StorageError> {
        if self.poisoned {
            let dir = self.dir.clone();
            return Err(StorageError::Poisoned { dir });
        }
        self.ledger.take(write);
        let result = self.try_write(write);
        self.poisoned = result.is_err();
        result
    }
}

fn open_engine(dir: &Path, sizes: Sizes) -> Result<Engine, StorageError> {
    let config = Config {
        dir: dir.join(LOG).display().to_string(),
        recovery_mode: RecoveryMode::TolerateTailCorruption,
        recovery_threads: 1,
        target_file_size: ReadableSize(sizes.file),
        purge_threshold: ReadableSize(sizes.files),
        // Entries that have come up again from a recycled file are one thing less to think of.
        enable_log_recycle: false,
        ..Config::default()
    };
    // A file that is missing in the middle makes the engine panic while it puts its tables together.
    let opened = catch_unwind(AssertUnwindSafe(|| Engine::open(config)));
    match opened {
        Ok(Ok(engine)) => Ok(engine),
        Ok(Err(Error::Other(error))) if error.to_string().contains("lock") => {
            let dir = dir.to_owned();
            Err(StorageError::Open { dir })
        }
        Ok(Err(Error::Io(source))) => Err(failure(dir, "cannot open the log", Error::Io(source))),
        Ok(Err(error)) => Err(StorageError::Corrupt {
            dir: dir.to_owned(),
            what: error.to_string(),
        }),
        Err(_) => Err(StorageError::Corrupt {
            dir: dir.to_owned(),
            what: "its files do not fit together".to_owned(),
        }),
    }
}

/// Removes what a creation left that was interrupted. Nothing in it was ever acknowledged: with its
/// draft beside it, nobody has opened it.
fn remove_half_made(dir: &Path) -> io::Result<()> {
    if dir.join(identity::FILE).exists() {
        return Ok(());
    }
    let removals = [
        fs::remove_dir_all(dir.join(LOG)),
        fs::remove_file(dir.join(mark::FILE)),
        fs::remove_file(dir.join(identity::NEW)),
    ];
    for removal in removals {
        match removal {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Everything the record speaks of.
fn read(engine: &Engine, record: &Record) -> Result<(Option<Snapshot>, Vec<Entry>), String> {
    let snapshot = match engine.get(GROUP, SNAPSHOT_KEY) {
        None => None,
        Some(bytes) => {
            let snapshot = Snapshot::decode(&bytes);
            Some(snapshot.ok_or_else(|| "its snapshot is not readable".to_owned())?)
        }
    };
    let log = record.log();
    let mut entries = Vec::new();
    if !log.is_empty() {
        let read = AssertUnwindSafe(|| {
            engine.fetch_entries_to::<Entries>(
                GROUP,
                *log.start(),
                *log.end() + 1,
                None,
                &mut entries,
            )
        });
        match catch_unwind(read) {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => return Err(error.to_string()),
            Err(_) => return Err("its entries are not where the files say".to_owned()),
        }
    }
    Ok((snapshot, entries))
}

fn failure(dir: &Path, what: &str, error: Error) -> StorageError {
    match error {
        Error::Io(source) if source.kind() == io::ErrorKind::StorageFull => {
            let dir = dir.to_owned();
            StorageError::Full { dir }
        }
        Error::Io(source) => StorageError::io(format!("{what} in {}", dir.display()), source),
        other => {
            let what = format!("{what} in {}", dir.display());
            StorageError::io(what, io::Error::other(other.to_string()))
        }
    }
}

#[cfg(test)]
mod tests;

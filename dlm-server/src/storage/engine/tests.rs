//! Files that were cut, changed and removed; and the storage on disk against the one in memory.

use std::fs;
use std::path::Path;

use dlm_core::ServerId;
use raft::eraftpb::EntryType;
use tempfile::TempDir;

use super::*;
use crate::members::{Member, Members, ServerIdentity};
use crate::storage::identity::ClusterId;
use crate::storage::{Base, HardState, MemoryStorage, force_single_member};

const IDENTITY: Identity = Identity {
    cluster: ClusterId(5),
    server: ServerId(1),
    server_identity: ServerIdentity(17),
};

/// So small that a few hundred writes go through several files.
const SMALL: Sizes = Sizes {
    file: 8 << 10,
    files: 24 << 10,
};

fn entry(index: u64, term: u64, data: &[u8]) -> Entry {
    Entry {
        index,
        term,
        data: data.to_vec().into(),
        ..Entry::default()
    }
}

fn append(index: u64, term: u64, commit: u64) -> Write {
    let vote = 0;
    Write {
        sync: true,
        hard: Some(HardState { term, vote, commit }),
        entries: vec![entry(index, term, format!("entry {index}").as_bytes())],
        ..Write::default()
    }
}

/// A directory with a few synced batches, and what an open gives.
fn written() -> (TempDir, Stored) {
    let dir = tempfile::tempdir().expect("a directory");
    EngineStorage::create(dir.path(), IDENTITY, Founding::First).expect("created");
    let (mut storage, _) = EngineStorage::open(dir.path()).expect("opened");
    for index in 2..6 {
        storage
            .write(&append(index, 2, index - 1))
            .expect("written");
    }
    drop(storage);
    let stored = open(dir.path()).expect("opened");
    (dir, stored)
}

fn open(dir: &Path) -> Result<Stored, StorageError> {
    EngineStorage::open(dir).map(|(_, stored)| stored)
}

fn copy(from: &Path) -> TempDir {
    let to = tempfile::tempdir().expect("a directory");
    for file in files(from) {
        let target = to.path().join(&file);
        fs::create_dir_all(target.parent().expect("a parent")).expect("made");
        fs::copy(from.join(&file), target).expect("copied");
    }
    to
}

/// The files in a server's directory, as paths within it.
fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for part in [dir.to_owned(), dir.join(LOG)] {
        for entry in fs::read_dir(part).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_file() {
                found.push(path.strip_prefix(dir).expect("inside").to_owned());
            }
        }
    }
    found.sort();
    found
}

/// Whether an open failed or gave everything.
fn whole_or_refused(dir: &Path, stored: &Stored) -> bool {
    match open(dir) {
        Ok(opened) => opened == *stored,
        Err(_) => true,
    }
}

#[test]
fn a_storage_is_made_once_and_open_once() {
    let (dir, stored) = written();
    assert_eq!(stored.entries(), 4);
    assert_eq!((stored.hard.term, stored.hard.commit), (2, 4));
    let again = EngineStorage::create(dir.path(), IDENTITY, Founding::First);
    assert!(matches!(again, Err(StorageError::Exists { .. })));
    let first = EngineStorage::open(dir.path()).expect("opened");
    assert!(matches!(open(dir.path()), Err(StorageError::Open { .. })));
    drop(first);
    assert_eq!(open(dir.path()).expect("opened"), stored);
    let empty = tempfile::tempdir().expect("a directory");
    let error = open(empty.path()).expect_err("nothing there");
    assert!(matches!(error, StorageError::NotCreated { .. }));
    assert!(error.to_string().contains("join as a new member"));
}

#[test]
fn a_bit_that_was_flipped_is_found_or_does_no_harm() {
    let (dir, stored) = written();
    let mut refused = 0;
    for file in files(dir.path()) {
        let bytes = fs::read(dir.path().join(&file)).expect("read");
        let used = bytes.iter().rposition(|&byte| byte != 0).unwrap_or(0);
        for at in (0..bytes.len().min(used + 40)).step_by(3) {
            let broken = copy(dir.path());
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(broken.path().join(&file), bytes).expect("written");
            let fine = whole_or_refused(broken.path(), &stored);
            assert!(fine, "{} changed at {at}", file.display());
            refused += usize::from(open(broken.path()).is_err());
        }
    }
    assert!(refused > 100, "damage is found: {refused}");
}

#[test]
fn a_file_that_was_cut_or_removed_is_found() {
    let (dir, stored) = written();
    for file in files(dir.path()) {
        let len = fs::metadata(dir.path().join(&file)).expect("a file").len();
        let bytes = fs::read(dir.path().join(&file)).expect("read");
        let used = bytes.iter().rposition(|&byte| byte != 0).unwrap_or(0) as u64;
        for at in (0..len.min(used + 1)).step_by(5) {
            let cut = copy(dir.path());
            let path = cut.path().join(&file);
            let handle = fs::OpenOptions::new().write(true).open(path);
            handle.expect("opened").set_len(at).expect("cut");
            let fine = whole_or_refused(cut.path(), &stored);
            assert!(fine, "{} cut to {at}", file.display());
        }
        let removed = copy(dir.path());
        fs::remove_file(removed.path().join(&file)).expect("removed");
        let fine = whole_or_refused(removed.path(), &stored);
        assert!(fine, "{} removed", file.display());
    }
    let removed = copy(dir.path());
    fs::remove_dir_all(removed.path().join(LOG)).expect("removed");
    assert!(matches!(
        open(removed.path()),
        Err(StorageError::Missing { .. })
    ));
    // Another server's log under this one's identity.
    let mixed = copy(dir.path());
    Identity {
        server_identity: ServerIdentity(18),
        ..IDENTITY
    }
    .save(mixed.path())
    .expect("saved");
    assert!(open(mixed.path()).is_err());
}

/// The length of the part of the log's only file that was written.
fn log_file(dir: &Path) -> (PathBuf, u64) {
    let mut logs = files(dir).into_iter();
    let file = logs.find(|file| file.to_string_lossy().ends_with(".raftlog"));
    let path = dir.join(file.expect("a log file"));
    let bytes = fs::read(&path).expect("read");
    let used = bytes.iter().rposition(|&byte| byte != 0).unwrap_or(0);
    (path, used as u64 + 1)
}

#[test]
fn only_what_was_not_synced_may_be_torn() {
    let (dir, stored) = written();
    let (mut storage, _) = EngineStorage::open(dir.path()).expect("opened");
    let (_, synced) = log_file(dir.path());
    let mut late = append(6, 3, 5);
    late.sync = false;
    storage.write(&late).expect("written");
    drop(storage);
    let (_, end) = log_file(dir.path());
    let mut seen = [0; 3];
    for at in synced - 20..=end {
        let torn = copy(dir.path());
        let (path, _) = log_file(torn.path());
        let handle = fs::OpenOptions::new().write(true).open(path);
        handle.expect("opened").set_len(at).expect("cut");
        match open(torn.path()) {
            Err(StorageError::Truncated { .. }) => seen[0] += 1,
            Ok(opened) if opened == stored => seen[1] += 1,
            Ok(opened) => {
                assert_eq!(opened.entries(), 5);
                seen[2] += 1;
            }
            Err(error) => panic!("cut to {at}: {error}"),
        }
        assert!(at >= synced || seen[1..] == [0, 0], "cut to {at}: {seen:?}");
    }
    assert!(seen.iter().all(|&count| count > 0), "{seen:?}");
}

/// Batches as a replica makes them, at random.
struct Batches {
    stream: u64,
    cleared: u64,
}

impl Batches {
    fn chance(&mut self, below: u64) -> u64 {
        self.stream = self
            .stream
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.stream >> 33) % below
    }

    fn next(&mut self, stored: &Stored) -> Write {
        let last = stored.base.index + stored.entries.len() as u64;
        let term = stored.hard.term + self.chance(2);
        match self.chance(12) {
            0 if stored.hard.commit > stored.snapshot.index => self.compact(stored, term),
            1 => self.restart(last, term),
            _ => self.append(stored, last, term),
        }
    }

    fn compact(&mut self, stored: &Stored, term: u64) -> Write {
        let commit = stored.hard.commit;
        let index = stored.base.index.max(commit.saturating_sub(3));
        let entry = stored.entries.iter().find(|entry| entry.index == index);
        let base = Base {
            index,
            term: entry.map_or(stored.base.term, |entry| entry.term),
        };
        let len = self.chance(2000) as usize;
        Write {
            sync: true,
            snapshot: Some(snapshot(commit, term, len)),
            compact: Some(base),
            ..Write::default()
        }
    }

    fn restart(&mut self, last: u64, term: u64) -> Write {
        self.cleared += 1;
        let index = last + 1 + self.chance(50);
        let (vote, commit) = (1, index);
        let entries = match self.chance(2) {
            0 => Vec::new(),
            _ => vec![entry(index + 1, term, b"after")],
        };
        Write {
            sync: true,
            hard: Some(HardState { term, vote, commit }),
            snapshot: Some(snapshot(index, term, 100)),
            restart: Some(Base { index, term }),
            entries,
            ..Write::default()
        }
    }

    fn append(&mut self, stored: &Stored, last: u64, term: u64) -> Write {
        let commit = stored.hard.commit;
        let first = commit + 1 + self.chance(last - commit + 1);
        let end = first + 1 + self.chance(4);
        let byte = self.chance(256) as u8;
        let data = vec![byte; self.chance(300) as usize];
        let (vote, commit) = (0, (commit + self.chance(3)).min(end - 1));
        Write {
            sync: self.chance(3) > 0,
            hard: Some(HardState { term, vote, commit }),
            entries: (first..end)
                .map(|index| entry(index, term, &data))
                .collect(),
            ..Write::default()
        }
    }
}

#[test]
fn the_disk_gives_what_the_memory_gives() {
    let mut batches = Batches {
        stream: 1,
        cleared: 0,
    };
    let dir = tempfile::tempdir().expect("a directory");
    let make = EngineStorage::create_sized(dir.path(), IDENTITY, Founding::First, SMALL);
    make.expect("created");
    let mut memory = MemoryStorage::create(IDENTITY, Founding::First);
    let reopen = || EngineStorage::open_sized(dir.path(), SMALL).expect("opened");
    let (mut disk, mut stored) = reopen();
    for round in 0..500 {
        let write = batches.next(&stored);
        disk.write(&write).expect("written");
        memory.write(&write).expect("written");
        stored = memory.open().expect("opened");
        if batches.chance(10) == 0 {
            drop(disk);
            let (again, opened) = reopen();
            assert!(opened == stored, "round {round}");
            disk = again;
        }
    }
    assert!(batches.cleared > 20);
    let sizes = files(dir.path()).into_iter().map(|file| {
        let metadata = fs::metadata(dir.path().join(file));
        metadata.expect("a file").len()
    });
    let bytes: u64 = sizes.sum();
    assert!(
        bytes < 4 * SMALL.files,
        "old files are removed: {bytes} bytes are left"
    );
}

fn snapshot(index: u64, term: u64, len: usize) -> Snapshot {
    let member = Member {
        identity: IDENTITY.server_identity,
        voter: true,
    };
    Snapshot {
        index,
        term,
        members: Members::new([(IDENTITY.server, member)]),
        data: vec![7; len],
    }
}

#[test]
fn a_server_is_forced_to_go_on_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let others = Members::new((1..=3).map(|number| {
        let identity = ServerIdentity(16 + u128::from(number));
        let voter = true;
        (ServerId(number), Member { identity, voter })
    }));
    let founding = Founding::Together(others);
    EngineStorage::create(dir.path(), IDENTITY, founding).expect("created");
    let (mut storage, _) = EngineStorage::open(dir.path()).expect("opened");
    for index in 2..6 {
        storage.write(&append(index, 4, 3)).expect("written");
    }
    let mut change = append(6, 4, 3);
    change.entries[0].entry_type = EntryType::EntryConfChange;
    storage.write(&change).expect("written");
    drop(storage);

    let (cluster, command) = (ClusterId(6), b"new epochs".to_vec());
    let forced = force_single_member(dir.path(), cluster, command.clone()).expect("forced");
    assert_eq!((forced.term, forced.index), (5, 7));
    let stored = open(dir.path()).expect("opened");
    assert_eq!(stored.identity.cluster, cluster);
    assert_eq!(stored.hard.commit, 7);
    assert_eq!(stored.snapshot.members.voters(), 1);
    let kinds = stored.entries.iter().map(|entry| entry.entry_type);
    assert!(kinds.into_iter().all(|kind| kind == EntryType::EntryNormal));
    assert_eq!(stored.entries[3].data, b"entry 5"[..]);
    assert_eq!(stored.entries[5].data, command[..]);
}

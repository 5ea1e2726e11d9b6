//! How many batches were on the disk for sure: the file that a log's end is measured by.
//!
//! It has two places, written in turn, so that a write of it that is torn leaves the one before. A place
//! is a sector of its own. The mark is written and synced after the batch and before the batch is
//! acknowledged; so it never says more than there is, and never less than was acknowledged.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::StorageError;
use super::ledger::digest;
use crate::members::ServerIdentity;

/// The file's name.
pub(super) const FILE: &str = "mark";

/// A disk writes a sector as a whole or not at all, as a rule; and where it does not, the digest tells.
const PLACE_BYTES: usize = 512;

/// The file, open for writing.
#[derive(Debug)]
pub(super) struct Mark {
    file: File,
    path: PathBuf,
    identity: ServerIdentity,
}

impl Mark {
    /// A new file for a log of no batches.
    pub(super) fn create(dir: &Path, identity: ServerIdentity) -> Result<Self, StorageError> {
        let path = dir.join(FILE);
        let failed = |source| StorageError::io(format!("cannot write {}", path.display()), source);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        let file = options.open(&path).map_err(failed)?;
        file.set_len(2 * PLACE_BYTES as u64).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        let mark = Self {
            file,
            path,
            identity,
        };
        mark.set(0)?;
        Ok(mark)
    }

    /// Opens the file and reads the mark.
    pub(super) fn open(dir: &Path, identity: ServerIdentity) -> Result<(Self, u64), StorageError> {
        let path = dir.join(FILE);
        let mut options = OpenOptions::new();
        let file = match options.read(true).write(true).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(StorageError::Missing { file: path });
            }
            Err(source) => {
                let what = format!("cannot open {}", path.display());
                return Err(StorageError::io(what, source));
            }
        };
        let mark = Self {
            file,
            path,
            identity,
        };
        let found = [0, 1].map(|place| mark.read(place));
        match found.into_iter().flatten().max() {
            Some(batches) => Ok((mark, batches)),
            None => Err(StorageError::Corrupt {
                dir: dir.to_owned(),
                what: "no place of its mark is readable".to_owned(),
            }),
        }
    }

    /// So many batches are on the disk; when this returns, the mark is too.
    pub(super) fn set(&self, batches: u64) -> Result<(), StorageError> {
        let mut place = [0; PLACE_BYTES];
        let body = self.body(batches);
        place[..body.len()].copy_from_slice(&body);
        let at = batches % 2 * PLACE_BYTES as u64;
        let write = || {
            self.file.write_all_at(&place, at)?;
            self.file.sync_data()
        };
        write().map_err(|source| {
            StorageError::io(format!("cannot write {}", self.path.display()), source)
        })
    }

    fn body(&self, batches: u64) -> [u8; 32] {
        let mut body = [0; 32];
        body[..8].copy_from_slice(&batches.to_le_bytes());
        body[8..24].copy_from_slice(&self.identity.0.to_le_bytes());
        let check = digest(1, &body[..24]);
        body[24..].copy_from_slice(&check.to_le_bytes());
        body
    }

    fn read(&self, place: u64) -> Option<u64> {
        let mut body = [0; 32];
        let at = place * PLACE_BYTES as u64;
        self.file.read_exact_at(&mut body, at).ok()?;
        let (batches, _) = body.split_first_chunk()?;
        let batches = u64::from_le_bytes(*batches);
        (self.body(batches) == body).then_some(batches)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_mark_leaves_the_one_before() {
        let dir = tempfile::tempdir().expect("a directory");
        let identity = ServerIdentity(5);
        let mark = Mark::create(dir.path(), identity).expect("created");
        (1..=7).for_each(|batches| mark.set(batches).expect("set"));
        let open = |identity| Mark::open(dir.path(), identity).map(|(_, batches)| batches);
        assert_eq!(open(identity).expect("opened"), 7);
        assert!(open(ServerIdentity(6)).is_err(), "another disk's mark");
        mark.file
            .write_all_at(&[9], PLACE_BYTES as u64)
            .expect("written");
        assert_eq!(open(identity).expect("opened"), 6);
        mark.file.write_all_at(&[9], 0).expect("written");
        assert!(open(identity).is_err());
    }
}

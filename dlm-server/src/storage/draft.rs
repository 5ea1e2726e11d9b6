//! The identity that a new server draws before its cluster is founded.
//!
//! The others count the server under this identity from the moment they hear of it, so it must be on the
//! disk before anybody does: a server that introduced itself twice, as two, could be founded with twice.
//! The file goes away when the storage is made, and before anything is acknowledged. So where it is, the
//! server has not promised anything yet, and a storage that a crash left half made can be made again.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use dlm_core::ServerId;

use super::ledger::digest;
use super::{StorageError, identity};
use crate::members::ServerIdentity;

/// The file's name.
pub(super) const FILE: &str = "founding";

/// What the file is called while it is written.
pub(super) const NEW: &str = "founding.new";

const FORMAT: u32 = 1;

/// Who a new server will be, in whatever cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Draft {
    /// Which server it is.
    pub server: ServerId,
    /// The random number that its storage is known by.
    pub server_identity: ServerIdentity,
}

impl Draft {
    /// The identity that the server `server` with the data directory `dir` drew when it was started for
    /// the first time; or else a new one, of 16 bytes of the system's randomness. It is on the disk when
    /// this returns. The directory is made where it is not there.
    ///
    /// # Errors
    /// [`StorageError::Exists`] where the directory is in use (open it, where it has a storage),
    /// [`StorageError::Drafted`] where the identity was drawn for another server,
    /// [`StorageError::Identity`] where the file is damaged, and what the disk says.
    pub fn find_or_draw(
        dir: &Path,
        server: ServerId,
        random: [u8; 16],
    ) -> Result<Self, StorageError> {
        let failed = |source| StorageError::io(format!("cannot make {}", dir.display()), source);
        fs::create_dir_all(dir).map_err(failed)?;
        match Self::load(dir)? {
            Some(draft) if draft.server == server && !dir.join(identity::FILE).exists() => {
                Ok(draft)
            }
            Some(Self { server: found, .. }) if found != server => Err(StorageError::Drafted {
                file: dir.join(FILE),
                found,
                server,
            }),
            None if is_alone(dir).map_err(failed)? => {
                // 0 means in a message that the sender does not know it.
                let number = u128::from_le_bytes(random).max(1);
                let server_identity = ServerIdentity(number);
                let draft = Self {
                    server,
                    server_identity,
                };
                draft.save(dir)?;
                Ok(draft)
            }
            _ => {
                let dir = dir.to_owned();
                Err(StorageError::Exists { dir })
            }
        }
    }

    /// Reads the file, where there is one.
    pub(super) fn load(dir: &Path) -> Result<Option<Self>, StorageError> {
        let file = dir.join(FILE);
        let bytes = match fs::read(&file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                let what = format!("cannot read {}", file.display());
                return Err(StorageError::io(what, source));
            }
        };
        let draft = str::from_utf8(&bytes).ok().and_then(parse);
        let draft = draft.filter(|draft| draft.render().as_bytes() == bytes);
        draft.map(Some).ok_or_else(|| {
            let what = "its lines are not as they were written".to_owned();
            StorageError::Identity { file, what }
        })
    }

    /// Removes the file, where there is one: the storage is made. On the disk when this returns.
    pub(super) fn remove(dir: &Path) -> Result<(), StorageError> {
        let file = dir.join(FILE);
        let removed = match fs::remove_file(&file) {
            Ok(()) => File::open(dir).and_then(|dir| dir.sync_all()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        removed
            .map_err(|source| StorageError::io(format!("cannot remove {}", file.display()), source))
    }

    /// Writes the file so that it is there as a whole or not at all.
    fn save(&self, dir: &Path) -> Result<(), StorageError> {
        let (new, file) = (dir.join(NEW), dir.join(FILE));
        let save = || -> io::Result<()> {
            let mut writer = File::create(&new)?;
            writer.write_all(self.render().as_bytes())?;
            writer.sync_all()?;
            fs::rename(&new, &file)?;
            sync_with_parents(dir)
        };
        save()
            .map_err(|source| StorageError::io(format!("cannot write {}", file.display()), source))
    }

    fn render(&self) -> String {
        let text = format!(
            "founding {FORMAT}\nserver {}\nidentity {:032x}\n",
            self.server.0, self.server_identity.0
        );
        let check = digest(0, text.as_bytes());
        format!("{text}check {check:016x}\n")
    }
}

/// The directory may be new too, and is then to be found after a crash as the file is.
fn sync_with_parents(dir: &Path) -> io::Result<()> {
    let dir: PathBuf = fs::canonicalize(dir)?;
    File::open(&dir)?.sync_all()?;
    match dir.parent().map(File::open) {
        // Somebody else's directory may be one that we can write below and not read.
        None | Some(Err(_)) => Ok(()),
        Some(Ok(parent)) => parent.sync_all(),
    }
}

/// Whether there is nothing but a draft, or what an interrupted first start left of one.
pub(super) fn is_alone(dir: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name();
        if name != FILE && name != NEW {
            return Ok(false);
        }
    }
    Ok(true)
}

fn parse(text: &str) -> Option<Draft> {
    let field = |name: &str| {
        let mut lines = text.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
    };
    Some(Draft {
        server: ServerId(field("server")?.parse().ok()?),
        server_identity: ServerIdentity(u128::from_str_radix(field("identity")?, 16).ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{ClusterId, EngineStorage, Founding, Identity};

    fn draw(dir: &Path, server: u64, random: u8) -> Result<Draft, StorageError> {
        Draft::find_or_draw(dir, ServerId(server), [random; 16])
    }

    fn create(dir: &Path, draft: Draft) -> Result<(), StorageError> {
        let identity = Identity {
            cluster: ClusterId(7),
            server: draft.server,
            server_identity: draft.server_identity,
        };
        EngineStorage::create(dir, identity, Founding::First)
    }

    #[test]
    fn what_was_drawn_is_found_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let dir = dir.path().join("data/server");
        let draft = draw(&dir, 3, 1).expect("drawn");
        assert_eq!(draft.server_identity, ServerIdentity(u128::MAX / 255));
        assert_eq!(draw(&dir, 3, 2).expect("found"), draft);
        let other = draw(&dir, 4, 2).expect_err("another server's");
        assert!(matches!(other, StorageError::Drafted { .. }));
        assert!(other.to_string().contains("--id 3"), "{other}");
    }

    #[test]
    fn a_directory_in_use_is_left_alone() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("letter"), b"dear").expect("written");
        let refused = draw(dir.path(), 1, 1).expect_err("in use");
        assert!(matches!(refused, StorageError::Exists { .. }));
        fs::remove_file(dir.path().join("letter")).expect("removed");
        fs::write(dir.path().join(NEW), b"foun").expect("written");
        let draft = draw(dir.path(), 1, 1).expect("drawn over what a crash left");
        create(dir.path(), draft).expect("created");
        let refused = draw(dir.path(), 1, 1).expect_err("a server's");
        assert!(matches!(refused, StorageError::Exists { .. }));
    }

    #[test]
    fn a_damaged_draft_is_not_drawn_again() {
        let dir = tempfile::tempdir().expect("a directory");
        draw(dir.path(), 1, 1).expect("drawn");
        let file = dir.path().join(FILE);
        let text = fs::read(&file).expect("read");
        for at in 0..text.len() {
            let mut broken = text.clone();
            broken[at] ^= 1;
            for broken in [&broken[..], &text[..at]] {
                fs::write(&file, broken).expect("written");
                let refused = draw(dir.path(), 1, 2).expect_err("damaged");
                assert!(matches!(refused, StorageError::Identity { .. }));
            }
        }
    }

    #[test]
    fn a_storage_half_made_is_made_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let dir = dir.path();
        let draft = draw(dir, 1, 1).expect("drawn");
        let text = fs::read(dir.join(FILE)).expect("read");
        create(dir, draft).expect("created");
        assert!(!dir.join(FILE).exists(), "it is not needed any more");
        // A crash before the identity was there.
        fs::write(dir.join(FILE), &text).expect("written");
        fs::rename(dir.join(identity::FILE), dir.join("identity.new")).expect("renamed");
        let refused = EngineStorage::open(dir).expect_err("not made");
        assert!(matches!(refused, StorageError::NotCreated { .. }));
        assert_eq!(draw(dir, 1, 2).expect("found"), draft);
        create(dir, draft).expect("created again");
        assert!(!dir.join(FILE).exists());
        // A crash after it.
        fs::write(dir.join(FILE), &text).expect("written");
        let refused = create(dir, draft).expect_err("made already");
        assert!(matches!(refused, StorageError::Exists { .. }));
        let refused = draw(dir, 1, 2).expect_err("made already");
        assert!(matches!(refused, StorageError::Exists { .. }));
        let (_, stored) = EngineStorage::open(dir).expect("opened");
        assert_eq!(stored.identity.server_identity, draft.server_identity);
        assert!(!dir.join(FILE).exists(), "an open finishes what was begun");
    }

    #[test]
    fn a_storage_is_made_for_whom_it_was_drawn() {
        let dir = tempfile::tempdir().expect("a directory");
        let draft = draw(dir.path(), 1, 1).expect("drawn");
        let other = Draft {
            server_identity: ServerIdentity(5),
            ..draft
        };
        let refused = create(dir.path(), other).expect_err("another's");
        assert!(matches!(refused, StorageError::Exists { .. }));
        create(dir.path(), draft).expect("created");
    }

    #[test]
    fn a_storage_that_lost_its_identity_is_not_made_again() {
        let dir = tempfile::tempdir().expect("a directory");
        let draft = draw(dir.path(), 1, 1).expect("drawn");
        create(dir.path(), draft).expect("created");
        EngineStorage::open(dir.path()).expect("opened");
        fs::remove_file(dir.path().join(identity::FILE)).expect("removed");
        let refused = draw(dir.path(), 1, 1).expect_err("damaged");
        assert!(matches!(refused, StorageError::Exists { .. }));
        let refused = EngineStorage::open(dir.path()).expect_err("damaged");
        assert!(matches!(refused, StorageError::Missing { .. }));
    }
}

//! A directory that is being written.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};

use super::DirectoryError;

/// The most directories of one name.
const SAME_NAME_MAX: u32 = 1_000;

/// A directory that is not what it will be. Dropped, it is gone.
pub(super) struct Unfinished<'p> {
    parent: &'p Path,
    path: PathBuf,
}

impl<'p> Unfinished<'p> {
    pub(super) fn begin(parent: &'p Path) -> Result<Self, DirectoryError> {
        fs::create_dir_all(parent).map_err(|why| cannot(parent, why))?;
        let name = |number: u32| format!(".unfinished-{}-{number}", std::process::id());
        for number in 0..SAME_NAME_MAX {
            let path = parent.join(name(number));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self { parent, path }),
                // Of another thread, or of a process that had this number and was killed.
                Err(why) if why.kind() == ErrorKind::AlreadyExists => {}
                Err(why) => return Err(cannot(&path, why)),
            }
        }
        Err(taken(parent.join(name(0))))
    }

    /// Writes a file, and the directories in which it is, down to the disk.
    pub(super) fn write(&self, name: &Path, text: &str) -> Result<(), DirectoryError> {
        let path = self.path.join(name);
        let write = || -> io::Result<()> {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            let mut file = File::create_new(&path)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        };
        write().map_err(|why| cannot(&path, why))
    }

    /// Gives it its name, with a number where that exists, and says what it is called now.
    pub(super) fn finish(self, name: &str) -> Result<PathBuf, DirectoryError> {
        let first = self.parent.join(name);
        for number in 1..=SAME_NAME_MAX {
            let path = match number {
                1 => first.clone(),
                number => self.parent.join(format!("{name}-{number}")),
            };
            // A directory takes the place of an empty one only; ours never are.
            match fs::rename(&self.path, &path) {
                Ok(()) => {
                    // It is there; that it is after a power cut is not worth an error.
                    let _ = File::open(self.parent).and_then(|parent| parent.sync_all());
                    return Ok(path);
                }
                Err(why) if is_taken(&why) => {}
                Err(why) => return Err(cannot(&path, why)),
            }
        }
        Err(taken(first))
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        // Finished, it is not there any more.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Whether something of that name is there, be it a directory or not.
fn is_taken(why: &io::Error) -> bool {
    matches!(
        why.kind(),
        ErrorKind::AlreadyExists | ErrorKind::DirectoryNotEmpty | ErrorKind::NotADirectory
    )
}

fn taken(path: PathBuf) -> DirectoryError {
    let most = SAME_NAME_MAX;
    DirectoryError::Taken { path, most }
}

fn cannot(path: &Path, why: io::Error) -> DirectoryError {
    let path = path.to_owned();
    DirectoryError::Write { path, why }
}

//! Volumes for the demo, and making them by hand. Nothing that somebody may want is overwritten.

use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use fs_core::flat::{Layout as Geometry, LayoutError};
use fs_node::{FlatVolume, VolumeError};
use tempfile::TempDir;

/// Bytes looked at in one go.
const LOOK_BYTES: usize = 1 << 20;

/// A volume that cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrepareError {
    /// There is no place for it.
    #[error(
        "cannot make a temporary directory: {0}; set TMPDIR to a directory that can be written"
    )]
    TempDir(io::Error),
    /// Something is there already.
    #[error("{path} is not empty; name another path, or overwrite it with fs-node mkfs --force")]
    Occupied {
        /// The volume.
        path: PathBuf,
    },
    /// It is a flat volume of another shape.
    #[error(
        "{path} has {inodes} files of {inode_bytes} bytes, and {files} of {bytes} are needed; make one \
         with: fs-node mkfs --force {path} --files {files} --file-size {bytes}"
    )]
    Shape {
        /// The volume.
        path: PathBuf,
        /// Files that it has.
        inodes: u64,
        /// Bytes that each has.
        inode_bytes: u64,
        /// Files that are needed.
        files: u64,
        /// Bytes that each needs.
        bytes: u64,
    },
    /// It cannot be looked at.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The volume.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It cannot be opened or made.
    #[error(transparent)]
    Volume(#[from] VolumeError),
}

/// The demo's volume. A temporary one goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Volume {
    path: PathBuf,
    _directory: Option<TempDir>,
}

impl Volume {
    /// A new volume in a temporary directory, or the one at `path`: made there where nothing is, used as
    /// it is where a flat volume of at least that shape is, refused where anything else is.
    ///
    /// # Errors
    /// [`PrepareError`].
    pub(crate) fn prepare(
        path: Option<&Path>,
        files: u64,
        bytes: u64,
    ) -> Result<Self, PrepareError> {
        let Some(path) = path else {
            let directory = TempDir::with_prefix("glockwork-").map_err(PrepareError::TempDir)?;
            let path = directory.path().join("volume");
            make(&path, files, bytes, false)?;
            return Ok(Self {
                path,
                _directory: Some(directory),
            });
        };
        let path = path.to_owned();
        if path.exists() {
            match FlatVolume::open(&path).map(|volume| volume.layout()) {
                Ok(there) if there.inodes >= files && there.inode_bytes >= bytes => {
                    return Ok(Self {
                        path,
                        _directory: None,
                    });
                }
                Ok(Geometry {
                    inodes,
                    inode_bytes,
                    ..
                }) => {
                    return Err(PrepareError::Shape {
                        path,
                        inodes,
                        inode_bytes,
                        files,
                        bytes,
                    });
                }
                Err(VolumeError::Layout {
                    source: LayoutError::Magic | LayoutError::TooSmall { .. },
                    ..
                }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        make(&path, files, bytes, false)?;
        Ok(Self {
            path,
            _directory: None,
        })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// Makes a flat volume of `files` files of `bytes` bytes each. Whatever is there already is refused
/// unless `force`; a block device must be all zeros as far as the volume will reach.
///
/// # Errors
/// [`PrepareError`].
pub(crate) fn make(path: &Path, files: u64, bytes: u64, force: bool) -> Result<(), PrepareError> {
    // Any number will do: it tells volumes apart that one cluster might use at once. A hasher's random
    // keys are the standard library's only source of one.
    let volume = RandomState::new().hash_one(path) as u32;
    let bad = |source| VolumeError::Layout {
        path: path.into(),
        source,
    };
    let geometry = Geometry {
        volume,
        inodes: files,
        inode_bytes: bytes,
    }
    .checked()
    .map_err(bad)?;
    if !force && !is_blank(path, geometry.volume_bytes())? {
        return Err(PrepareError::Occupied { path: path.into() });
    }
    Ok(FlatVolume::format(path, geometry, force)?)
}

/// Whether nothing is lost where the first `bytes` bytes of `path` are overwritten.
fn is_blank(path: &Path, bytes: u64) -> Result<bool, PrepareError> {
    let read = |source| PrepareError::Read {
        path: path.into(),
        source,
    };
    let metadata = match path.metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        Err(error) => return Err(read(error)),
    };
    if !metadata.file_type().is_block_device() {
        return Ok(metadata.is_file() && metadata.len() == 0);
    }
    let mut device = File::open(path).map_err(read)?.take(bytes);
    let mut buf = vec![0; LOOK_BYTES];
    loop {
        match device.read(&mut buf).map_err(read)? {
            0 => return Ok(true),
            got if buf[..got].iter().any(|&byte| byte != 0) => return Ok(false),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_there_is_never_overwritten() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("letters");
        std::fs::write(&path, b"Dear reader").unwrap();
        let refused = make(&path, 2, 8192, false);
        assert!(
            matches!(refused, Err(PrepareError::Occupied { .. })),
            "{refused:?}"
        );
        let refused = Volume::prepare(Some(&path), 2, 8192).map(drop);
        assert!(refused.is_err(), "{refused:?}");
        assert_eq!(std::fs::read(&path).unwrap(), b"Dear reader");
    }

    #[test]
    fn a_missing_or_empty_file_is_blank_and_a_directory_is_not() {
        let directory = TempDir::new().unwrap();
        assert!(is_blank(&directory.path().join("new"), 10).unwrap());
        let empty = directory.path().join("empty");
        File::create(&empty).unwrap();
        assert!(is_blank(&empty, 10).unwrap());
        assert!(!is_blank(directory.path(), 10).unwrap());
    }
}

//! A volume that cannot be opened or made.

use std::io;
use std::path::PathBuf;

use fs_core::flat::LayoutError;

/// A volume that cannot be opened or made.
#[derive(Debug, thiserror::Error)]
pub enum VolumeError {
    /// The file or device cannot be opened or read.
    #[error("cannot open the volume {path}: {source}")]
    Open {
        /// The volume.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The filesystem under it does not do direct I/O.
    #[error(
        "{path} is on a filesystem without direct I/O (O_DIRECT); put the volume on a disk filesystem, \
         for example with TMPDIR or --volume"
    )]
    NoDirectIo {
        /// The volume.
        path: PathBuf,
    },
    /// It is there and something else than an empty file.
    #[error("{path} is not empty; --force overwrites it")]
    NotEmpty {
        /// The volume.
        path: PathBuf,
    },
    /// Its content is no volume, or too small for one.
    #[error("{path}: {source}")]
    Layout {
        /// The volume.
        path: PathBuf,
        /// What is wrong.
        source: LayoutError,
    },
    /// Reading or writing it failed.
    #[error("I/O error on the volume {path}: {source}")]
    Io {
        /// The volume.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

//! Why a run cannot be kept, or read back.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::limits::DOCUMENT_BYTES_MAX;
use crate::run::FORMAT;

/// Why a run cannot be kept, or read back: which file, and what to do.
#[derive(Debug, Error)]
pub enum DirectoryError {
    /// There are no runs to compare.
    #[error("there are no runs to compare")]
    Nothing,
    /// It cannot be written.
    #[error("cannot write {path}: {why}; make room, or name another directory for runs")]
    Write {
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        why: io::Error,
    },
    /// There are too many directories of that name.
    #[error("{path} exists, and so do {path}-2 and all up to {path}-{most}; move some of them away", path = path.display())]
    Taken {
        /// The first.
        path: PathBuf,
        /// The last.
        most: u32,
    },
    /// It cannot be read.
    #[error(
        "cannot read {path}: {why}; give a directory that a run or a comparison was written into"
    )]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        why: io::Error,
    },
    /// Neither a run nor a comparison.
    #[error(
        "{path} has neither run.json nor compare.json: give a directory that a run or a comparison was written into"
    )]
    NoRun {
        /// The directory.
        path: PathBuf,
    },
    /// A document that no run is that large for.
    #[error(
        "{path} has {bytes} bytes, and no run has more than {DOCUMENT_BYTES_MAX}: it is something else, or damaged"
    )]
    Large {
        /// The file.
        path: PathBuf,
        /// How many.
        bytes: u64,
    },
    /// It is of a program to come.
    #[error(
        "{path} has format {format}, and this program reads those up to {FORMAT}: use a newer one"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        format: u64,
    },
    /// It is not such a document.
    #[error(
        "{path} is not the document of a run: {why}; it is damaged, or was written by something else"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

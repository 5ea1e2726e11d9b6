//! Why a storage cannot be opened, made or written.

use std::io;
use std::path::PathBuf;

use dlm_core::ServerId;
use thiserror::Error;

/// The way on for a server that has lost what it acknowledged.
const REJOIN: &str = "this server must not go on as the member it was: remove it from the cluster, and \
    let it join as a new member with an empty directory";

/// What is wrong with a server's storage.
#[derive(Debug, Error)]
pub enum StorageError {
    /// There is nothing.
    #[error(
        "{dir} holds no server's storage; create one if this server is new; if it has been a member \
         before, its disk was wiped, and {REJOIN}"
    )]
    NotCreated {
        /// Where.
        dir: PathBuf,
    },
    /// There is something already.
    #[error("{dir} is not empty; a server's storage is created in an empty directory")]
    Exists {
        /// Where.
        dir: PathBuf,
    },
    /// The directory is a new server's, and another's.
    #[error(
        "{file} says that this directory is server {}'s, and this is server {}; give each server a \
         directory of its own, or start this one with --id {}", found.0, server.0, found.0
    )]
    Drafted {
        /// Which file says so.
        file: PathBuf,
        /// Whose it is.
        found: ServerId,
        /// Who wants it.
        server: ServerId,
    },
    /// A file is not there that every storage has.
    #[error("{file} is missing; {REJOIN}")]
    Missing {
        /// Which.
        file: PathBuf,
    },
    /// The identity is not readable.
    #[error("{file} is damaged ({what}); {REJOIN}")]
    Identity {
        /// Which file.
        file: PathBuf,
        /// How.
        what: String,
    },
    /// A later program wrote it.
    #[error("{file} has format {found}, this program knows {known}; run the program that wrote it")]
    Format {
        /// Which file.
        file: PathBuf,
        /// The format in it.
        found: u32,
        /// The newest one known.
        known: u32,
    },
    /// Identity, mark and log are not of one storage.
    #[error("the files in {dir} do not belong together ({what}); {REJOIN}")]
    Mixed {
        /// Where.
        dir: PathBuf,
        /// Which.
        what: String,
    },
    /// Somebody has it open.
    #[error("another process has {dir} open, a lock server perhaps; stop it first")]
    Open {
        /// Where.
        dir: PathBuf,
    },
    /// Something that was acknowledged is gone.
    #[error(
        "the log in {dir} ends after batch {found}, and {marked} were on the disk: what this server \
         acknowledged is lost; {REJOIN}"
    )]
    Truncated {
        /// Where.
        dir: PathBuf,
        /// How many batches there are.
        found: u64,
        /// How many there must be.
        marked: u64,
    },
    /// The log is not what was written.
    #[error("the log in {dir} is damaged ({what}); {REJOIN}")]
    Corrupt {
        /// Where.
        dir: PathBuf,
        /// How.
        what: String,
    },
    /// There is no room.
    #[error("no space is left in {dir}; make room and start the server again")]
    Full {
        /// Where.
        dir: PathBuf,
    },
    /// The disk failed.
    #[error("{what}: {source}; look after the disk and start the server again")]
    Io {
        /// What was being done, with which file.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// A write failed earlier.
    #[error(
        "a write to {dir} failed before, and nothing is written after that; start the server again"
    )]
    Poisoned {
        /// Where.
        dir: PathBuf,
    },
}

impl StorageError {
    pub(super) fn io(what: impl Into<String>, source: io::Error) -> Self {
        let what = what.into();
        Self::Io { what, source }
    }
}

//! The reference pages in `docs/reference/`, written by the programs themselves: what their `--help` says, and
//! what the `.proto` files say.
//!
//! [`pages`] makes all of them, [`write()`] puts them where they belong, and [`difference`] says which one is not
//! what would be written. `cargo run -p tests --bin reference` is the program, `tests/tests/reference.rs` the test.

mod grpc;
mod index;
mod programs;
mod prose;
mod schema;

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::process::Binaries;

/// How the pages are written again. The programs are built first, since their help is taken from what was built.
pub const COMMAND: &str = "cargo build --bins && cargo run -p tests --bin reference";

/// The pages' directory, from the repository's root.
pub const DIRECTORY: &str = "docs/reference";

/// A page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its file in the directory.
    pub name: String,
    /// What is in it.
    pub text: String,
}

/// Why there are no pages.
#[derive(Debug, Error)]
pub enum ReferenceError {
    /// A program does not say what it takes.
    #[error("{command} does not print its help: {why}; `cargo build --bins` builds the programs")]
    Help {
        /// The program and its arguments.
        command: String,
        /// In words.
        why: String,
    },
    /// The descriptors cannot be read, or lack something.
    #[error("the descriptors of the .proto files: {0}")]
    Descriptors(String),
    /// A service that nobody has said anything of.
    #[error(
        "service {0} is not in the list of services in tests/src/reference/grpc.rs; say there who it is for"
    )]
    UnknownService(String),
    /// A page cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// From the repository's root.
        path: String,
        /// The system's answer.
        source: io::Error,
    },
}

/// All pages, as they are to be.
///
/// # Errors
/// [`ReferenceError`], except of files.
pub fn pages(binaries: &Binaries) -> Result<Vec<Page>, ReferenceError> {
    let mut pages = vec![index::page()];
    for program in programs::PROGRAMS {
        pages.push(programs::page(&binaries.path(program.name), &program)?);
    }
    pages.push(grpc::page()?);
    Ok(pages)
}

/// Writes the pages, and removes what is in their directory and is no page.
///
/// # Errors
/// [`ReferenceError::File`].
pub fn write(pages: &[Page]) -> Result<(), ReferenceError> {
    let directory = directory();
    fs::create_dir_all(&directory).map_err(|source| file_error("", source))?;
    for name in strangers(pages)? {
        fs::remove_file(directory.join(&name)).map_err(|source| file_error(&name, source))?;
    }
    for page in pages {
        fs::write(directory.join(&page.name), &page.text)
            .map_err(|source| file_error(&page.name, source))?;
    }
    Ok(())
}

/// What is the first thing in the directory that is not as [`write()`] would leave it, in a line; `None` where
/// nothing is.
///
/// # Errors
/// [`ReferenceError::File`], of a file that is there and cannot be read.
pub fn difference(pages: &[Page]) -> Result<Option<String>, ReferenceError> {
    for page in pages {
        let path = format!("{DIRECTORY}/{}", page.name);
        match fs::read_to_string(directory().join(&page.name)) {
            Ok(there) if there == page.text => {}
            Ok(there) => {
                let line = first_line_apart(&there, &page.text);
                return Ok(Some(format!(
                    "{path} is not what would be written, from line {line} on"
                )));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Some(format!("{path} is missing")));
            }
            Err(error) => return Err(file_error(&page.name, error)),
        }
    }
    let stranger = strangers(pages)?.into_iter().next();
    Ok(stranger.map(|name| format!("{DIRECTORY}/{name} is no page")))
}

/// The number of the first line, from 1, that two texts do not have in common.
fn first_line_apart(one: &str, other: &str) -> usize {
    let same = one.lines().zip(other.lines()).take_while(|(a, b)| a == b);
    same.count() + 1
}

/// The files in the directory that are no pages, by name.
fn strangers(pages: &[Page]) -> Result<BTreeSet<String>, ReferenceError> {
    let entries = match fs::read_dir(directory()) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(file_error("", error)),
    };
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let names: Result<BTreeSet<String>, io::Error> = names.collect();
    let mut names = names.map_err(|source| file_error("", source))?;
    names.retain(|name| pages.iter().all(|page| page.name != *name));
    Ok(names)
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(DIRECTORY)
}

fn file_error(name: &str, source: io::Error) -> ReferenceError {
    ReferenceError::File {
        path: format!("{DIRECTORY}/{name}"),
        source,
    }
}

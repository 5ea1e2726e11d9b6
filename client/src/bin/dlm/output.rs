//! Where a command's result goes.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::CommandError;

/// Writes to the file, or to standard output where none is named. A broken pipe comes back as an error
/// like any other; `main` is quiet about it.
pub(crate) fn write(to: Option<&Path>, text: &str) -> Result<(), CommandError> {
    match to {
        Some(path) => fs::write(path, text).map_err(|source| CommandError::File {
            path: path.into(),
            source,
        }),
        None => {
            let mut output = Output::open(None)?;
            output.text(text)?;
            output.finish()
        }
    }
}

/// As [`write()`], so that whoever reads the file sees all of the old text or all of the new.
pub(crate) fn replace(path: &Path, text: &str) -> Result<(), CommandError> {
    let failed = |source| CommandError::File {
        path: path.into(),
        source,
    };
    // A device is written, and not replaced by a file.
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return fs::write(path, text).map_err(failed);
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let new = path.with_file_name(name);
    let replaced = fs::write(&new, text).and_then(|()| fs::rename(&new, path));
    replaced.map_err(|source| {
        let _ = fs::remove_file(&new);
        failed(source)
    })
}

/// As one JSON document.
pub(crate) fn json(document: &impl Serialize) -> String {
    let text = serde_json::to_string_pretty(document);
    text.expect("numbers and strings are always JSON") + "\n"
}

/// A result that is written as it comes: a listing may be longer than memory is large.
pub(crate) struct Output {
    to: BufWriter<Box<dyn Write>>,
    path: Option<PathBuf>,
}

impl Output {
    /// The file, made anew, or standard output where none is named.
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, CommandError> {
        let path = path.map(Path::to_owned);
        let to: Box<dyn Write> = match &path {
            None => Box::new(io::stdout()),
            Some(path) => Box::new(File::create(path).map_err(|source| CommandError::File {
                path: path.clone(),
                source,
            })?),
        };
        let to = BufWriter::new(to);
        Ok(Self { to, path })
    }

    /// More of it.
    pub(crate) fn text(&mut self, text: &str) -> Result<(), CommandError> {
        let written = self.to.write_all(text.as_bytes());
        written.map_err(|error| self.failed(error))
    }

    /// What was said so far is there for whoever reads.
    pub(crate) fn flush(&mut self) -> Result<(), CommandError> {
        let flushed = self.to.flush();
        flushed.map_err(|error| self.failed(error))
    }

    /// The rest.
    pub(crate) fn finish(mut self) -> Result<(), CommandError> {
        self.flush()
    }

    fn failed(&self, source: io::Error) -> CommandError {
        match &self.path {
            None => CommandError::Output(source),
            Some(path) => CommandError::File {
                path: path.clone(),
                source,
            },
        }
    }
}

/// The elements of a JSON array, one a line, as they come.
pub(crate) struct Elements {
    first: bool,
}

impl Elements {
    pub(crate) const fn begin() -> Self {
        Self { first: true }
    }

    /// Appends one.
    pub(crate) fn push(&mut self, element: &impl Serialize, to: &mut String) {
        to.push_str(if self.first { "\n" } else { ",\n" });
        self.first = false;
        let element = serde_json::to_string(element);
        to.push_str(&element.expect("numbers and strings are always JSON"));
    }

    /// Appends what stands before the bracket.
    pub(crate) fn end(&self, to: &mut String) {
        if !self.first {
            to.push('\n');
        }
    }
}

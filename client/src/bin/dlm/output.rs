//! Where a command's result goes.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

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
            let mut stdout = io::stdout().lock();
            let written = stdout.write_all(text.as_bytes());
            written
                .and_then(|()| stdout.flush())
                .map_err(CommandError::Output)
        }
    }
}

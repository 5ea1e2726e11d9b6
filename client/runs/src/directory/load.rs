//! Runs that were kept.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Component, Path};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::DirectoryError;
use super::files::{COMPARISON, Parts, RUN};
use crate::limits::DOCUMENT_BYTES_MAX;
use crate::run::{FORMAT, Run};

/// Reads what was written into a directory: one run, or those of a comparison in their order. The document itself may
/// be given as well.
///
/// # Errors
/// [`DirectoryError`]: it is not there, or no such document.
pub fn load(path: &Path) -> Result<Vec<Run>, DirectoryError> {
    let metadata = fs::metadata(path).map_err(|why| unread(path, why))?;
    if metadata.is_file() {
        return Ok(vec![document(path)?]);
    }
    let (run, comparison) = (path.join(RUN), path.join(COMPARISON));
    if run.exists() {
        return Ok(vec![document(&run)?]);
    }
    if !comparison.exists() {
        let path = path.to_owned();
        return Err(DirectoryError::NoRun { path });
    }
    let parts: Parts = document(&comparison)?;
    let load = |part: &String| {
        let mut components = Path::new(part).components();
        let inside = matches!(
            (components.next(), components.next()),
            (Some(Component::Normal(_)), None)
        );
        if inside {
            document(&path.join(part).join(RUN))
        } else {
            let why = format!("`{part}` is not a directory beside it");
            Err(damaged(&comparison, why))
        }
    };
    parts.runs.iter().map(load).collect()
}

fn document<T: DeserializeOwned>(path: &Path) -> Result<T, DirectoryError> {
    let text = text(path)?;
    /// What stands in all formats.
    #[derive(Deserialize)]
    struct Format {
        format: u64,
    }
    let wrong = |error: serde_json::Error| damaged(path, error.to_string());
    let Format { format } = serde_json::from_str(&text).map_err(wrong)?;
    if format > u64::from(FORMAT) {
        let path = path.to_owned();
        return Err(DirectoryError::Newer { path, format });
    }
    serde_json::from_str(&text).map_err(wrong)
}

fn text(path: &Path) -> Result<String, DirectoryError> {
    let read = || -> std::io::Result<Result<String, u64>> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        if bytes > DOCUMENT_BYTES_MAX {
            return Ok(Err(bytes));
        }
        let mut text = String::new();
        // It may grow meanwhile.
        file.take(DOCUMENT_BYTES_MAX).read_to_string(&mut text)?;
        Ok(Ok(text))
    };
    let large = |bytes: u64| DirectoryError::Large {
        path: path.to_owned(),
        bytes,
    };
    read().map_err(|why| unread(path, why))?.map_err(large)
}

fn unread(path: &Path, why: std::io::Error) -> DirectoryError {
    let path = path.to_owned();
    DirectoryError::Read { path, why }
}

fn damaged(path: &Path, why: String) -> DirectoryError {
    let path = path.to_owned();
    DirectoryError::Damaged { path, why }
}

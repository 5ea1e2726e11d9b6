//! What can go wrong, each in one line.

use std::io;
use std::path::PathBuf;

use dlm_client::ConnectError;
use dlm_client::inspect::InspectError;
use thiserror::Error;

/// Why the command did not do what it was asked for.
#[derive(Debug, Error)]
pub(crate) enum CommandError {
    #[error(
        "cannot reach a lock server at {endpoint}: {why}; start one with dlm-server, or name \
         another with --endpoint"
    )]
    Unreachable { endpoint: String, why: String },
    #[error(transparent)]
    Inspect(InspectError),
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
    #[error("cannot write to {}: {source}; name another file with --output", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("cannot start: {0}; raise the limit on open files")]
    Runtime(io::Error),
}

impl From<InspectError> for CommandError {
    fn from(error: InspectError) -> Self {
        match error {
            InspectError::Connect(ConnectError::Unreachable { endpoint, why }) => {
                Self::Unreachable { endpoint, why }
            }
            error => Self::Inspect(error),
        }
    }
}

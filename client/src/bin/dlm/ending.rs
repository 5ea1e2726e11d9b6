//! How commands end that run until they are told to.

use std::process::ExitCode;

use rustix::process::Signal;

use crate::error::CommandError;
use crate::signals::Signals;

/// What ends them; Ctrl-C is the first.
const ENDS: [Signal; 3] = [Signal::INT, Signal::TERM, Signal::HUP];

/// Runs it until it ends by itself, or somebody ends it: then the exit status is as a shell has it for a
/// process that the signal ended.
///
/// # Errors
/// Its own, or that the system does not let this process listen.
pub(crate) async fn until_told(
    running: impl Future<Output = Result<(), CommandError>>,
) -> Result<ExitCode, CommandError> {
    let mut signals = Signals::listen(&ENDS).map_err(CommandError::Runtime)?;
    tokio::select! {
        ended = running => ended.map(|()| ExitCode::SUCCESS),
        signal = signals.next() => {
            let number = u8::try_from(signal.as_raw()).unwrap_or_default();
            Ok(ExitCode::from(128 + number))
        }
    }
}

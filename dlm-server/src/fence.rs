//! The fence command.

use dlm_core::SessionId;
use dlm_core::cluster::{FenceOutcome, Name};

/// The command.
#[derive(Clone, Debug)]
pub struct FenceCommand;

impl std::fmt::Display for FenceCommand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("")
    }
}

impl FenceCommand {
    /// Runs.
    pub async fn run(&self, _: SessionId, _: &Name) -> FenceOutcome {
        FenceOutcome::Failed
    }
}

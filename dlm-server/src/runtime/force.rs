//! The way out of a lost majority, for whoever looks after a cluster.

use std::path::Path;

use dlm_core::cluster::Command;
use glockwork_proto::render;

use super::random;
use crate::storage::{ClusterId, Forced, StorageError, force_single_member};

/// Makes the storage of a stopped server that of a new cluster, of itself alone: see [`force_single_member`].
/// When the server starts again all sessions are over, and every number goes on far beyond what the lost
/// servers may have used.
///
/// # Errors
/// As [`force_single_member`].
pub fn force_single(dir: &Path) -> Result<Forced, StorageError> {
    let cluster = ClusterId(random::number());
    force_single_member(dir, cluster, render::command(&Command::ForceNewEpochs))
}

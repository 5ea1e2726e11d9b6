//! Why a workload did not run.

use std::io;

use glockwork_runs::directory::DirectoryError;
use glockwork_runs::{ScenarioError, SettingsError};

use crate::inspect::InspectError;
use crate::nodes::NodeCallError;

/// Why a workload did not run, or has no result.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    /// A flag, or a scenario, that cannot be meant.
    #[error("{0}")]
    Usage(String),
    /// The scenario.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// The cluster cannot be asked.
    #[error(transparent)]
    Cluster(#[from] InspectError),
    /// There is nobody.
    #[error(
        "no node of the lockspace {lockspace} is found in this cluster; start some: fs-node run --volume VOLUME --name \
         NAME"
    )]
    NoNodes {
        /// Which lockspace.
        lockspace: String,
    },
    /// One that is named is not there.
    #[error("there is no node {name}; there are {there}")]
    NoNode {
        /// Which.
        name: String,
        /// Those that are.
        there: String,
    },
    /// A node says no, or nothing, before it all begins.
    #[error(transparent)]
    Node(#[from] NodeCallError),
    /// What a scenario says cannot be done.
    #[error("{what} cannot be done: {why}")]
    Action {
        /// What, to whom.
        what: String,
        /// Why.
        why: String,
    },
    /// The result cannot be kept.
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    /// It cannot be printed.
    #[error("cannot write the result: {0}")]
    Output(#[from] io::Error),
}

impl From<SettingsError> for WorkloadError {
    fn from(error: SettingsError) -> Self {
        Self::Usage(error.to_string())
    }
}

impl WorkloadError {
    /// 2 for wrong usage, 1 for a failure.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Scenario(_) => 2,
            _ => 1,
        }
    }
}

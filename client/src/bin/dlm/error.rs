//! What can go wrong, each in one line.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use dlm_client::fencing::{AgentDoorError, AskError};
use dlm_client::health::HealthError;
use dlm_client::inspect::InspectError;
use dlm_client::nodes::NodeCallError;
use dlm_client::workload::WorkloadError;
use dlm_client::{ConnectError, LockError, Tried};
use thiserror::Error;

use crate::lock;

/// Why the command did not do what it was asked for.
#[derive(Debug, Error)]
pub(crate) enum CommandError {
    #[error(
        "cannot reach a lock server at {tried}; start one with dlm-server, or name another with \
         --endpoints"
    )]
    Unreachable { tried: Tried },
    #[error(transparent)]
    Inspect(InspectError),
    #[error(transparent)]
    Agent(#[from] AgentDoorError),
    #[error(
        "others can reach {listen}, and in plain text whoever does can have nodes stopped; set up TLS with \
         --tls-ca, --tls-cert and --tls-key, or allow it with --insecure"
    )]
    PlainAgent { listen: SocketAddr },
    #[error(transparent)]
    Fence(#[from] AskError),
    #[error(transparent)]
    Health(#[from] HealthError),
    #[error("cannot write to standard output: {0}")]
    Output(io::Error),
    #[error("cannot write to {}: {source}; name another file with --output", path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("cannot write {}: {source}; name another directory with --tree", path.display())]
    Tree { path: PathBuf, source: io::Error },
    #[error("no lockspace \"{name}\" is open; dlm lockspaces lists those that are")]
    NoLockspace { name: String },
    #[error("no lockspace is open, so there is nothing to write")]
    NoLockspaces,
    #[error("a file is of one lockspace, and these are open: {names}; name one with --lockspace")]
    SeveralLockspaces { names: String },
    #[error("there is no session \"{wanted}\"; dlm status lists those that there are")]
    NoSession { wanted: String },
    #[error("\"{wanted}\" fits several sessions: {sessions}; give the number of one")]
    SeveralSessions { wanted: String, sessions: String },
    #[error("there is no command \"{name}\"; dlm --help lists those that there are")]
    NoCommand { name: String },
    #[error("not every server took it: {servers}; send it again, or dlm fault heal")]
    FaultMissed { servers: String },
    #[error("there is no node \"{wanted}\"; there are: {there}")]
    NoNode { wanted: String, there: String },
    #[error(transparent)]
    Node(#[from] NodeCallError),
    #[error(transparent)]
    Workload(#[from] WorkloadError),
    #[error(
        "dlm top needs a terminal to draw on; in a script use dlm top --once, or dlm watch --json"
    )]
    NoTerminal,
    #[error("cannot use the terminal: {0}; dlm top --once needs none")]
    Terminal(io::Error),
    #[error("cannot start: {0}; raise the limit on open files")]
    Runtime(io::Error),
    #[error(transparent)]
    Connect(ConnectError),
    #[error(transparent)]
    Lock(LockError),
    #[error("the lock {name:?} is held by others; try again later, or wait longer")]
    NotAvailable { name: String },
    #[error(
        "the lock was lost, and what ran under it was ended: the session with the lock server at \
         {servers} is over: {why}"
    )]
    Lost { servers: String, why: String },
    #[error(
        "dlm was stopped for so long that the lock may have been lost, and what ran under it was ended; \
         do not suspend it"
    )]
    Silent,
    #[error(
        "the lock was about to be lost, and what ran under it was ended: the session with the lock server \
         at {servers} could not be renewed; look for a network or servers that are down"
    )]
    NotRenewed { servers: String },
    #[error("cannot run {program:?}: {source}; name a program that can be run")]
    NotStarted { program: String, source: io::Error },
    #[error(
        "cannot start the watchdog of the command: {0}; is /proc there, and room for a process?"
    )]
    Watchdog(io::Error),
    #[error("the watchdog of the command was killed, so the command was ended, too; run it again")]
    WatchdogDied,
}

impl CommandError {
    /// The process's exit status.
    pub(crate) const fn exit_code(&self) -> u8 {
        match self {
            Self::NotAvailable { .. } => lock::NOT_AVAILABLE,
            Self::PlainAgent { .. } => 2,
            Self::Workload(error) => error.exit_code(),
            Self::NoTerminal => 2,
            _ => 1,
        }
    }
}

impl From<ConnectError> for CommandError {
    fn from(error: ConnectError) -> Self {
        match error {
            ConnectError::Unreachable { tried } => Self::Unreachable { tried },
            error => Self::Connect(error),
        }
    }
}

impl From<LockError> for CommandError {
    fn from(error: LockError) -> Self {
        Self::Lock(error)
    }
}

impl From<InspectError> for CommandError {
    fn from(error: InspectError) -> Self {
        match error {
            InspectError::Connect(error) => error.into(),
            error => Self::Inspect(error),
        }
    }
}

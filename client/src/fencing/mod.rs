//! Fencing of nodes in containers: an agent beside the container engine, which makes sure that a dead session's node
//! writes nothing more, and how the servers' fence command asks it.
//!
//! [`Agent`] decides and acts, by way of the [`Engine`], to which nobody else needs access. [`AgentDoor`] lets others
//! ask it, and [`ask`] does so.

mod agent;
mod ask;
mod door;
mod engine;
mod instant;

pub use agent::{Action, Agent, AgentConfig, FenceError, Others};
pub use ask::{AskError, ask};
pub use door::{AgentDoor, AgentDoorError};
pub use engine::{Container, Engine, EngineError};
pub use glockwork_proto::fence::{FenceAnswer, FenceOrder, FenceOutcome};

/// The label that says which node a container is: what its session is called.
pub const NODE_LABEL: &str = "io.glockwork.node";
/// The label that says which cluster a container belongs to, where one engine has several.
pub const CLUSTER_LABEL: &str = "io.glockwork.cluster";

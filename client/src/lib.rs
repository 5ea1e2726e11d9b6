//! The client of the lock service.
//!
//! - [`Client`] is a session with a server: [`Client::connect`], then [`Client::lockspace`].
//! - [`Lockspace::lock`] gives raw locks in all six modes ([`Guard`]), for any program.
//! - [`glocks`] is what a cluster filesystem builds on: locks that the node caches, hands out to its own
//!   tasks, and gives back, with hooks, when another node wants them.
//! - [`inspect`] asks a server who holds and who waits, and [`graph`] shows the answer.
//!
//! All of a session goes over one stream; `driver.rs` is the one loop that owns it.

pub mod endpoints;
pub mod error;
pub mod glocks;
pub mod graph;
pub mod inspect;
pub mod limits;

mod connect;
mod counters;
mod driver;
mod guard;
mod lockspace;
mod raw;
mod session;

pub use connect::{Client, ConnectOptions};
pub use counters::Counters;
pub use dlm_core::{
    LockspaceId, Mode, Owner, Refusal, RequestFlags, ResourceName, SessionId, StatusFlags, Token,
};
pub use error::{ConnectError, LockError, SessionLost};
pub use glocks::{GlockName, GlockType, HoldTime, HolderFlags, Release, Role, State};
pub use glockwork_proto::{DEFAULT_ENDPOINT, DEFAULT_PORT};
pub use guard::{Callbacks, Guard};
pub use lockspace::Lockspace;

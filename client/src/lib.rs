//! The client of the lock service.
//!
//! - [`Client`] is a session with a cluster of servers: [`Client::connect`], then [`Client::lockspace`].
//! - [`Lockspace::lock`] gives raw locks in all six modes ([`Guard`]), for any program: with value blocks
//!   ([`Guard::value`]), blocking callbacks ([`Guard::blocked`]) and orphans ([`Lockspace::adopt`]).
//! - [`Lockspace::cached`] gives locks that stay with this session until another wants them
//!   ([`CachedLock`]): for whoever caches something under a lock.
//! - [`asts`] is the same as events, for programs written for fs/dlm's C library.
//! - [`glocks`] is what a cluster filesystem builds on: locks that the node caches, hands out to its own
//!   tasks, and gives back, with hooks, when another node wants them.
//! - [`nodes`] is for filesystem nodes: to find them, to give them orders, and to take some.
//! - [`fencing`] stops the containers of dead nodes, and [`health`] asks whether a program is well.
//! - [`workload`] runs one on the nodes of a cluster, and breaks the cluster meanwhile.
//! - [`inspect`] asks a server who holds and who waits, and [`graph`] shows the answer.
//!
//! Where the program has a `tracing` subscriber with OpenTelemetry's layer, waits for locks are spans, and the
//! server's grant of a lock is a span below the one in which it was asked for.
//!
//! A session is the pure machine of [`glock_core::session`]; `driver.rs` is the one loop around it.

pub mod asts;
pub mod cached;
pub mod error;
pub mod fault;
pub mod fencing;
pub mod glocks;
pub mod health;
pub mod inspect;
pub mod limits;
pub mod nodes;
pub mod workload;

mod calls;
mod channels;
mod clock;
mod connect;
mod counters;
mod driver;
mod endpoints;
mod guard;
mod joining;
mod lockspace;
mod random;
mod raw;
mod routes;
mod session;
mod stream;
mod task;
mod tls;
mod traces;
mod value;

pub use cached::{Access, CacheHooks, CachedGuard, CachedLock};
pub use connect::{Client, ConnectOptions};
pub use counters::Counters;
pub use dlm_core::cluster::CommandRefusal;
pub use dlm_core::{
    LockId, LockspaceId, LockspaceOptions, Mode, Owner, Refusal, RequestFlags, ResourceName,
    SessionId, Status, StatusFlags, Token, ValueBlock, ValueLength,
};
pub use endpoints::Servers;
pub use error::{ConnectError, LockError, SessionLost, Tried};
pub use glocks::{GlockName, GlockType, HoldTime, HolderFlags, Release, Role, State};
pub use glockwork_proto::{DEFAULT_ENDPOINT, DEFAULT_PORT};
pub use glockwork_views::{events, graph, names, pattern};
pub use guard::{Callbacks, Guard};
pub use lockspace::Lockspace;
pub use session::Lease;
pub use task::Task;
pub use tls::Tls;
pub use value::Value;

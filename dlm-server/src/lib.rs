//! The lock server: gRPC in front of [`dlm_core`].
//!
//! A lock's way through it: `rpc` reads a frame from a client's stream, parses it and hands it to the
//! shard (`shard.rs`). The shard is one task that owns the lock table and the sessions; nobody else
//! touches them, so there is no lock around them. It steps the table and puts what comes out into the
//! outboxes of the sessions concerned (`outbox.rs`). Each client's stream takes whatever its outbox has
//! and sends it as one frame.
//!
//! Other programs take a server as a library through [`embedded`], and through nothing else.

pub mod embedded;
pub mod error;
pub mod fence;
pub mod founding;
pub mod limits;
pub mod members;
pub mod node;
pub mod replica;
pub mod storage;

mod glocks;
mod lockspaces;
mod look;
mod outbox;
mod rpc;
mod search;
mod session;
mod shard;

pub use error::ServeError;
pub use glockwork_proto::{DEFAULT_ENDPOINT, DEFAULT_PORT};

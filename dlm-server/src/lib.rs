//! The lock server: gRPC in front of [`dlm_core`].
//!
//! A lock's way through it: `rpc` reads a frame from a client's stream, parses it and hands it to the one
//! loop ([`runtime`]) that owns the server's machine ([`node`]); nobody else touches that, so there is no lock
//! around it. The loop steps the machine and does what comes out: answers and events go into the outboxes of
//! the streams concerned, messages to other servers into theirs, entries of the log to the disk.
//!
//! Other programs take a server as a library through [`embedded`], and through nothing else.

pub mod access;
pub mod embedded;
pub mod error;
pub mod fence;
pub mod founding;
pub mod gate;
pub mod inspect;
pub mod journal;
pub mod limits;
pub mod members;
pub mod metrics;
pub mod node;
pub mod replica;
pub mod runtime;
pub mod settings;
pub mod storage;
pub mod tls;
pub mod view;
pub mod web;

mod rpc;

pub use error::ServeError;
pub use glockwork_proto::{DEFAULT_ENDPOINT, DEFAULT_PORT};

//! The server around its machine: sockets, the disk, the clock, and one loop.
//!
//! ```text
//!   clients' streams and calls ─► rpc ─► Handle ─► Engine ─► outboxes ─► clients' streams
//!   other servers' streams ─────► rpc ─────┘  ▲     │ └────► peers ────► connections to other servers
//!                                             └─────┴──────► disk (a thread)
//! ```
//!
//! | file | what |
//! |---|---|
//! | `server.rs` | from the start to the end |
//! | `http.rs` | the ports for a browser and for Prometheus |
//! | `found.rs` | which cluster it belongs to, where it does not know that yet |
//! | `engine.rs` | the loop: wait, step the machine, act |
//! | `handle.rs` | what others ask of the loop |
//! | `sessions.rs`, `outbox.rs` | what has still to be sent over clients' streams |
//! | `peers.rs`, `dial.rs`, `channel.rs` | the connections to other servers |
//! | `disk.rs` | the thread that writes |
//! | `counting.rs` | what is counted |
//! | `following.rs`, `spans.rs` | what is counted, logged and traced of locks, off the journal |
//! | `force.rs` | the way out of a lost majority |

mod channel;
mod clock;
mod cluster;
mod counting;
mod dial;
mod disk;
mod engine;
mod following;
mod force;
mod found;
mod handle;
mod http;
mod outbox;
mod peers;
mod random;
mod server;
mod sessions;
mod spans;

pub use cluster::Cluster;
pub use engine::EngineError;
pub use force::force_single;
pub use server::Server;

pub(crate) use channel::{Channels, reason};
pub(crate) use found::introduce;
pub(crate) use handle::{Handle, Stopping};
pub(crate) use outbox::{Outbox, OutboxStream};
pub(crate) use sessions::{SessionOutbox, SessionQueue};

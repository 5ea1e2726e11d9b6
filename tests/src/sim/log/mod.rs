//! A first cluster: replicas of the log with the cluster's state applied on top, and clients that join,
//! open lockspaces and say goodbye. No locks yet; what is tried here is the log, and the world itself.
//!
//! | file | what |
//! |---|---|
//! | `server.rs` | a server: [`Replica`](dlm_server::replica::Replica), state, disk |
//! | `client.rs` | a client that asks one server after another |
//! | `run.rs` | a whole run of one seed, and its checks |

mod client;
mod run;
mod server;

pub use client::Client;
pub use run::{Outcome, run};
pub use server::{LogDisk, Server};

use std::fmt;

use dlm_core::{ServerId, Tick};
use dlm_server::storage::{Identity, Write};

use super::process::{Birth, Device, InputOf, OutputOf};
use super::random::Digest;
use super::{Process, ProcessId};
use crate::checkers::Fact;

/// Bytes, of which only a digest is printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes {:x}", self.0.len(), Digest::of_bytes(&self.0))
    }
}

/// What the log's servers and their clients say to each other.
#[derive(Clone, Debug)]
pub enum Message {
    /// Between servers.
    Raft(Bytes),
    /// A client's command, under a number of its own.
    Ask {
        /// The number.
        number: u64,
        /// The command, as it is in the log.
        command: Bytes,
    },
    /// It was done.
    Done {
        /// Which.
        number: u64,
        /// What the state answered.
        reply: dlm_core::cluster::Reply,
    },
    /// It was not done here, or it is not known whether it was.
    Elsewhere {
        /// Which.
        number: u64,
        /// Who may know more.
        leader: Option<ServerId>,
    },
}

/// One batch of writes of the log, of which little is printed.
#[derive(Clone)]
pub struct Batch(pub Write);

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Write { number, sync, .. } = &self.0;
        write!(f, "batch {number} sync {sync} entries {}", self.0.entries())
    }
}

/// What a process of this cluster is started with.
#[derive(Clone, Debug)]
pub enum Setup {
    /// A server. Server n is process n - 1.
    Server(Identity, u64),
    /// A client of so many servers.
    Client(u32),
}

/// A process of this cluster.
#[derive(Debug)]
pub enum Part {
    /// A server.
    Server(Box<Server>),
    /// A client.
    Client(Client),
}

/// A server's place.
#[must_use]
pub const fn place_of(server: ServerId) -> ProcessId {
    ProcessId(server.0 as u32 - 1)
}

/// The server at a place.
#[must_use]
pub const fn server_at(place: ProcessId) -> ServerId {
    ServerId(place.0 as u64 + 1)
}

impl Process for Part {
    type Message = Message;
    type Order = ();
    type Disk = LogDisk;
    type Setup = Setup;

    fn start(
        now: Tick,
        birth: Birth,
        setup: &Setup,
        disk: &mut LogDisk,
        out: &mut Vec<OutputOf<Self>>,
    ) -> Self {
        match setup {
            Setup::Server(identity, servers) => {
                let server = Server::start(now, birth, *identity, *servers, disk, out);
                Self::Server(Box::new(server))
            }
            Setup::Client(servers) => Self::Client(Client::start(now, birth, *servers, out)),
        }
    }

    fn step(&mut self, now: Tick, input: InputOf<Self>, out: &mut Vec<OutputOf<Self>>) {
        match self {
            Self::Server(server) => server.step(now, input, out),
            Self::Client(client) => client.step(now, input, out),
        }
    }

    fn died(&self) -> Option<Fact> {
        match self {
            Self::Server(_) => None,
            Self::Client(client) => Some(Fact::Died {
                client: client.id(),
            }),
        }
    }
}

impl Device for LogDisk {
    type Write = Batch;

    fn write(&mut self, write: &Batch) -> bool {
        self.write_batch(&write.0)
    }

    fn unsynced(&self) -> u64 {
        self.0.as_ref().map_or(0, |disk| disk.unsynced() as u64)
    }

    fn crash(&mut self, kept: u64) {
        if let Some(disk) = &mut self.0 {
            disk.crash(kept as usize);
        }
    }

    fn fail(&mut self, fails: bool) {
        self.set_fault(fails);
    }
}

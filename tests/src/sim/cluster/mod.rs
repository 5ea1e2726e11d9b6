//! The whole cluster: real servers, real sessions, and actors that want locks of them, under faults.
//!
//! | file | what |
//! |---|---|
//! | `message.rs` | what processes say to each other |
//! | `server.rs` | a server: [`Node`](dlm_server::node::Node) and its disk |
//! | `client.rs` | a client: one [`Session`](glock_core::session::Session) after the other |
//! | `book.rs` | what a client has and wants, as the checkers are told it |
//! | `actor.rs` | what a client does next |
//! | `glocks.rs` | a client's glocks, and the tasks that hold them |
//! | `coverage.rs` | what took part in a run, and how often it has to |
//! | `plan/` | plans of faults that are apt to something |
//! | `sabotage.rs` | faults put into a cluster on purpose, to see that they are found |
//! | `run.rs` | a whole run of one seed, and its checks |

mod actor;
mod book;
mod client;
mod coverage;
mod glocks;
mod message;
mod plan;
mod run;
mod sabotage;
mod server;

pub use actor::Taste;
pub use client::Client;
pub use coverage::{Covered, Seen, Tally};
pub use message::Message;
pub use plan::Course;
pub use run::{Outcome, Scenario, run};
pub use sabotage::Sabotage;
pub use server::Server;

use dlm_core::Tick;
use dlm_core::cluster::{Endpoint, Timing};
use dlm_server::storage::Identity;

use super::log::LogDisk;
use super::process::{Birth, InputOf, OutputOf};
use super::{Process, ProcessId};
use crate::checkers::Fact;

/// How long everything takes here: leases as short as they may be, so that a short run sees many end.
pub const TIMING: Timing = Timing {
    session_lease_us: 3_200_000,
    session_margin_us: 300_000,
    keepalive_us: 640_000,
    reassert_us_max: 4_000_000,
    handover_us_max: 2_000_000,
    reconnect_us_max: 300_000,
    ..Timing::DEFAULT
};

const _: () = assert!(TIMING.check().is_ok());

/// What a process is started with.
#[derive(Clone, Debug)]
pub struct Setup {
    /// What it is.
    pub role: Role,
    /// How many servers there are; server n is process n - 1.
    pub servers: u32,
    /// What clients are like.
    pub taste: Taste,
    /// What is counted.
    pub tally: Tally,
    /// What is wrong on purpose.
    pub sabotage: Option<Sabotage>,
}

/// What a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A server.
    Server(Identity),
    /// A client.
    Client,
}

/// What the scenario tells a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// To ask for nothing any more, and to give back what others want.
    Finish,
}

/// A process of this cluster.
#[derive(Debug)]
pub enum Part {
    /// A server.
    Server(Box<Server>),
    /// A client.
    Client(Box<Client>),
}

/// Where a server is found.
#[must_use]
pub fn endpoint(place: ProcessId) -> Endpoint {
    Endpoint::new(format!("server:{}", place.0)).expect("an endpoint")
}

/// Who is found there.
#[must_use]
pub fn place_at(endpoint: &Endpoint) -> ProcessId {
    let number = endpoint.as_str().rsplit(':').next();
    let number = number.and_then(|number| number.parse().ok());
    ProcessId(number.expect("one of ours"))
}

impl Process for Part {
    type Message = Message;
    type Order = Order;
    type Disk = LogDisk;
    type Setup = Setup;

    fn start(
        now: Tick,
        birth: Birth,
        setup: &Setup,
        disk: &mut LogDisk,
        out: &mut Vec<OutputOf<Self>>,
    ) -> Self {
        match setup.role {
            Role::Server(identity) => {
                let server = Server::start(now, birth, identity, setup, disk, out);
                Self::Server(Box::new(server))
            }
            Role::Client => Self::Client(Box::new(Client::start(now, birth, setup, out))),
        }
    }

    fn step(&mut self, now: Tick, input: InputOf<Self>, out: &mut Vec<OutputOf<Self>>) {
        match self {
            Self::Server(server) => server.step(now, input, out),
            Self::Client(client) => client.step(now, input, out),
        }
    }

    fn died(&self) -> Option<Fact> {
        Some(match self {
            Self::Server(server) => Fact::Deposed {
                server: server.id(),
            },
            Self::Client(client) => Fact::Died {
                client: client.id(),
            },
        })
    }

    fn expires(&self) -> Option<(Tick, Fact)> {
        match self {
            Self::Server(_) => None,
            Self::Client(client) => {
                let client_id = client.id();
                Some((client.lease_ends()?, Fact::Lost { client: client_id }))
            }
        }
    }
}

type Out = Vec<OutputOf<Part>>;

//! Looking at a cluster, and looking after it: the asked server asks all others, and puts their answers
//! together.
//!
//! **A view that is not whole says so**: a server that cannot be reached within [`OTHERS_WAIT_MAX`] is named in
//! the reply. A request that is `local` comes from another server and is not passed on.
//!
//! | file | what |
//! |---|---|
//! | `service.rs` | `glockwork.v1.Inspect` |
//! | `ask.rs` | asking all others |
//! | `pieces.rs` | looking at this server, a piece at a time |
//! | `locks.rs`, `glocks.rs` | lists that are longer than memory is large |
//! | `caches.rs` | what the sessions count of their glocks |
//! | `graph.rs` | the lock graph over all servers, looked at twice |
//! | `watch.rs` | what happens, from now on |
//! | `cycles.rs` | the deadlocks that there are, while somebody watches |
//! | `history.rs` | what has happened to a resource |
//! | `search.rs` | the leader breaks deadlocks where that is wanted |
//! | `operate.rs` | the cluster's status, and what `Lock.Purge` does |
//!
//! What all of it needs of the server is [`Look`].

mod ask;
mod caches;
mod cycles;
mod glocks;
mod graph;
mod history;
mod locks;
mod operate;
mod pieces;
mod search;
mod service;
mod watch;

use std::time::Duration;

use dlm_core::cluster::Endpoint;
use dlm_core::{SessionId, Tick};
use glockwork_proto::glocks::{GlocksQuery, GlocksReport};
use glockwork_proto::holders::HoldersReport;
use tonic::codegen::http::Extensions;
use tonic::transport::Channel;

pub use operate::{cluster_status, purge};
pub use search::{break_deadlocks, break_once};
pub use service::InspectService;

use crate::access::{AccessError, Caller};
use crate::error::LookError;
use crate::node::{Input, Node, OrderId, Ordered};

/// How long another server may take to answer. It answers from memory, so one that needs longer is stopped,
/// cut off, or has very many locks.
pub const OTHERS_WAIT_MAX: Duration = Duration::from_secs(1);

/// The way to the loop that owns the server's machine, to its streams, and to the other servers.
pub trait Look: Clone + Send + Sync + 'static {
    /// Looks at the machine from within its loop, which stands still meanwhile.
    fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Node, Tick) -> T + Send + 'static,
    ) -> impl Future<Output = Result<T, LookError>> + Send;

    /// Gives the machine an input that is answered by [`Output::Ordered`](crate::node::Output::Ordered) at
    /// once, under a number that the loop draws.
    fn order(
        &self,
        order: impl FnOnce(OrderId) -> Input + Send + 'static,
    ) -> impl Future<Output = Result<Ordered, LookError>> + Send;

    /// Asks a session who stands behind its locks. `None` where it has no stream here, or that ended; for as
    /// long as it says nothing there is no answer.
    fn holders(
        &self,
        session: SessionId,
    ) -> impl Future<Output = Result<Option<HoldersReport>, LookError>> + Send;

    /// Asks a session for a page of its glocks. The number in the query is the loop's to choose.
    fn glocks(
        &self,
        session: SessionId,
        query: GlocksQuery,
    ) -> impl Future<Output = Result<Option<GlocksReport>, LookError>> + Send;

    /// Who asks, and what that one may do; `extensions` are the request's.
    ///
    /// # Errors
    /// Where nobody knows who it is.
    fn caller(&self, extensions: &Extensions) -> Result<Caller, AccessError>;

    /// A channel to another server, which connects when it is used.
    ///
    /// # Errors
    /// Why there is none, in words.
    fn channel(&self, endpoint: &Endpoint) -> Result<Channel, String>;
}

//! The server's HTTP port: a page with the cluster's status and its lock graph, the same for programs, and the
//! metrics. Plain HTTP, for looking only: nothing can be changed here.
//!
//! | path | what |
//! |---|---|
//! | `/` | the page: whole as it is served, kept up to date by its script |
//! | `/page.css`, `/page.js`, `/icon.svg` | its style, its script, its icon; there is nothing else to load |
//! | `/graph.svg`, `/graph.json` | the lock graph, with `?lockspace=NAME` of one lockspace |
//! | `/status.json` | what `dlm status --json` has of the cluster |
//! | `/history` | the page with what has happened to a resource: `?lockspace=NAME&name=NAME`; that part alone with `&part` |
//! | `/events` | server-sent events: what changed, as parts of the page |
//! | `/health` | whether the server belongs to a cluster and its loop answers |
//! | `/metrics` | for Prometheus |
//!
//! | file | what |
//! |---|---|
//! | `responder.rs` | connections: how many, and for how long |
//! | `routes.rs` | which path is what |
//! | `answer.rs` | answers, and the headers that all of them have |
//! | `sight.rs` | what is looked at, by way of the services that clients have |
//! | `page.rs`, `history.rs`, `tables.rs` | the page and its parts; here names become HTML |
//! | `live.rs`, `happening.rs` | who listens, and what they are told |

mod answer;
mod happening;
mod history;
mod live;
mod page;
mod responder;
mod routes;
mod sight;
mod tables;

use std::sync::Arc;

pub use responder::serve;

use crate::inspect::Look;
use crate::metrics::Metrics;
use live::Live;
use sight::Sight;

/// What is served at a port. A clone is the same.
#[derive(Debug)]
pub enum Site<L> {
    /// The metrics and nothing else.
    Metrics(Arc<Metrics>),
    /// Everything.
    Whole(Arc<Whole<L>>),
}

/// What the whole of it needs.
#[derive(Debug)]
pub struct Whole<L> {
    metrics: Metrics,
    sight: Sight<L>,
    live: Live,
}

impl<L: Look> Site<L> {
    /// Everything, of the server to which `look` is the way.
    #[must_use]
    pub fn whole(look: L, metrics: Metrics) -> Self {
        Self::Whole(Arc::new(Whole {
            sight: Sight::new(look),
            live: Live::new(metrics.http.clone()),
            metrics,
        }))
    }

    fn metrics(&self) -> &Metrics {
        match self {
            Self::Metrics(metrics) => metrics,
            Self::Whole(whole) => &whole.metrics,
        }
    }
}

impl<L> Clone for Site<L> {
    fn clone(&self) -> Self {
        match self {
            Self::Metrics(metrics) => Self::Metrics(Arc::clone(metrics)),
            Self::Whole(whole) => Self::Whole(Arc::clone(whole)),
        }
    }
}

//! A server's settings: where they come from, and what they have to be.
//!
//! A flag counts more than the environment, that more than the file, and that more than the default. A list
//! (`peer`) is not put together from several places: the place that counts most has all of it. Everything is
//! looked at before the server starts, and all that is wrong is said at once.
//!
//! | file | what |
//! |---|---|
//! | `key.rs` | what there is to set, and its names |
//! | `flags.rs`, `layer.rs`, `file.rs` | what was given: on the command line, in the environment, in the file |
//! | `resolve.rs`, `protection.rs` | which of it counts, and whether it fits together |
//! | `value.rs`, `durations.rs` | what a single value has to be; what follows from the leases |
//! | `mistake.rs` | all that is wrong, with where it was given |
//! | `effective.rs` | what is in effect, and why, to show |

mod durations;
mod effective;
mod file;
mod flags;
mod key;
mod layer;
mod mistake;
mod protection;
mod resolve;
#[cfg(test)]
mod tests;
mod value;

pub use effective::Effective;
pub use flags::Flags;
pub use key::Key;
pub use layer::Environment;
pub use mistake::{Mistake, Mistakes, Source};

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use dlm_core::cluster::{Endpoint, Timing};
use dlm_core::{Limits, ServerId};

use crate::access::Access;
use crate::fence::FenceCommand;
use crate::tls::Tls;

/// What a server is told before it starts. It fits together: whoever has one needs to check nothing.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which server of the cluster this is.
    pub server: ServerId,
    /// Where it listens, for clients and servers. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where clients and servers find it. With port 0 it is not known before it listens: see
    /// [`advertised`](Self::advertised).
    pub advertise: Endpoint,
    /// All servers of the cluster, this one included. Empty: it is alone.
    pub peers: BTreeMap<ServerId, Endpoint>,
    /// The cluster runs already, and takes this server in (`AddServer`), instead of being founded by the
    /// servers in [`peers`](Self::peers).
    pub join: bool,
    /// Where it keeps the cluster's state. A server alone may have it in memory; with peers it is always
    /// there.
    pub data: Option<PathBuf>,
    /// What is run when a session is dead. Without one its margin is the fence.
    pub fence: Option<FenceCommand>,
    /// How long everything takes; it has to be the same on all servers.
    pub timing: Timing,
    /// The limits of each slot's table. They cannot be chosen from outside.
    pub limits: Limits,
    /// Where the page and the metrics are served.
    pub http_listen: Option<SocketAddr>,
    /// Where metrics alone are served.
    pub metrics_listen: Option<SocketAddr>,
    /// The certificates; without them it is plain text.
    pub tls: Option<Tls>,
    /// Plain text is allowed where others can reach it.
    pub insecure: bool,
    /// Who may do what.
    pub access: Access,
    /// Faults may be made on request.
    pub faults: bool,
    /// What is logged, as a filter that `tracing` takes.
    pub log: String,
    /// How it is logged.
    pub log_format: LogFormat,
    /// Where spans are exported to, by OTLP over gRPC.
    pub otlp_endpoint: Option<String>,
}

/// How something is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON document a line.
    Json,
}

impl LogFormat {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

/// What [`Settings::load`] found.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the server is to do.
    pub settings: Settings,
    /// The same to show, with where each setting comes from.
    pub effective: Effective,
    /// What looks like a mistake and may be none, a line each.
    pub notes: Vec<String>,
}

impl Settings {
    /// A server alone, in memory, in plain text, with all that is left at its default: for a program that
    /// has a server in it, and for tests.
    #[must_use]
    pub fn alone(listen: SocketAddr) -> Self {
        Self {
            server: ServerId(1),
            listen,
            advertise: value::endpoint_of(listen),
            peers: BTreeMap::new(),
            join: false,
            data: None,
            fence: None,
            timing: Timing::DEFAULT,
            limits: Limits::DEFAULT,
            http_listen: None,
            metrics_listen: None,
            tls: None,
            insecure: false,
            access: Access::Everything,
            faults: false,
            log: value::LOG_DEFAULT.into(),
            log_format: LogFormat::default(),
            otlp_endpoint: None,
        }
    }

    /// Puts together what was given on the command line, in the environment and in the file that one of
    /// them names, and reads the certificates.
    ///
    /// # Errors
    /// All that is wrong.
    pub fn load(flags: Flags, environment: &Environment) -> Result<Loaded, Mistakes> {
        resolve::load(flags, environment)
    }

    /// Where clients and servers find it, now that it listens at `bound`.
    #[must_use]
    pub fn advertised(&self, bound: SocketAddr) -> Endpoint {
        if self.advertise == value::endpoint_of(self.listen) {
            value::endpoint_of(bound)
        } else {
            self.advertise.clone()
        }
    }
}

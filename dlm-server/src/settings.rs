//! What a server is started with.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use dlm_core::cluster::{Endpoint, Timing};
use dlm_core::{Limits, ServerId};

use crate::fence::FenceCommand;

/// What a server is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Which server.
    pub server: ServerId,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Where others find it.
    pub advertise: Option<Endpoint>,
    /// The first servers of its cluster.
    pub peers: BTreeMap<ServerId, Endpoint>,
    /// Whether it is added to a cluster that is there.
    pub join: bool,
    /// Where its storage is.
    pub data: Option<PathBuf>,
    /// What makes sure that a dead node does nothing any more.
    pub fence: Option<FenceCommand>,
    /// How long everything takes.
    pub timing: Timing,
    /// The limits of each slot's table.
    pub limits: Limits,
}

impl Settings {
    /// A server alone, in memory.
    #[must_use]
    pub fn alone(listen: SocketAddr) -> Self {
        Self {
            server: ServerId(1),
            listen,
            advertise: None,
            peers: BTreeMap::new(),
            join: false,
            data: None,
            fence: None,
            timing: Timing::DEFAULT,
            limits: Limits::default(),
        }
    }
}

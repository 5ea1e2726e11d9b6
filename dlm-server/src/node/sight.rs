//! What can be seen of a server from outside.

use dlm_core::cluster::Timing;
use dlm_core::recovery::{PhaseName, SlotMaster};
use dlm_core::{ServerId, SessionId, Tick};

use super::Node;

/// The leases that a leader counts, and what is left of each, in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Leases {
    /// Of servers' processes.
    pub servers: Vec<(ServerId, u64)>,
    /// Of sessions.
    pub sessions: Vec<(SessionId, u64)>,
}

/// A session, as far as its streams to this server go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkSight {
    /// Whether it has a stream here now.
    pub connected: bool,
    /// How many messages of it this process has taken.
    pub taken: u64,
}

impl Node {
    /// Which server.
    #[must_use]
    pub const fn server(&self) -> ServerId {
        self.config.server
    }

    /// When its process started.
    #[must_use]
    pub const fn started(&self) -> Tick {
        self.started
    }

    /// How long everything takes.
    #[must_use]
    pub const fn timing(&self) -> &Timing {
        &self.config.timing
    }

    /// Whether a fence command is configured here.
    #[must_use]
    pub const fn has_fence_command(&self) -> bool {
        self.config.fence_command
    }

    /// What is left of its own lease, by its own clock; `None` where it does not hold.
    #[must_use]
    pub fn lease_left_us(&self, now: Tick) -> Option<u64> {
        self.lease.left_us(now)
    }

    /// The leases as this server counts them; none where it does not lead.
    #[must_use]
    pub fn leases(&self, now: Tick) -> Leases {
        let Some(coordinator) = &self.coordinator else {
            return Leases::default();
        };
        let servers = coordinator.servers(now);
        let servers = servers.filter_map(|(incarnation, left_us)| {
            Some((self.state.server_of(incarnation)?, left_us))
        });
        Leases {
            servers: servers.collect(),
            sessions: coordinator.sessions(now).collect(),
        }
    }

    /// How many entries each other member's log is behind this one's; none where it does not lead.
    pub fn lags(&self) -> impl Iterator<Item = (ServerId, u64)> {
        let members = self.replica.members().iter();
        let others = members.filter(|(server, _)| *server != self.config.server);
        others.filter_map(|(server, _)| Some((server, self.replica.lag(server)?)))
    }

    /// A session's streams to this server.
    #[must_use]
    pub fn link(&self, session: SessionId) -> LinkSight {
        self.streams.sight(session)
    }

    /// The masters here that serve their slots under the newest epoch that this server knows of, in the order
    /// of the slots: whose tables are the locks of the cluster.
    pub fn served(&self) -> impl Iterator<Item = &SlotMaster> {
        self.masters().filter(|master| {
            let newest = self.state.slot(master.slot()).epoch;
            master.phase() == PhaseName::Serving && master.epoch() == newest
        })
    }
}

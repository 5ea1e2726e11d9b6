//! The cluster's status, as one server sees it.

use dlm_core::Tick;
use dlm_core::recovery::PhaseName;
use glockwork_proto::coverage::Coverage;
use glockwork_proto::wire::lease_left::Who;
use glockwork_proto::{render, wire};

use super::blocked::blocked;
use crate::node::Node;
use crate::replica::Role;

/// What this server answers another one.
#[must_use]
pub fn status(node: &Node, now: Tick) -> wire::ClusterStatusReply {
    let leases = node.leases(now);
    let left = |(who, left_us)| wire::LeaseLeft {
        who: Some(who),
        left_us,
    };
    let servers = leases.servers.iter();
    let servers = servers.map(|&(server, left_us)| (Who::Server(server.0), left_us));
    let sessions = leases.sessions.iter();
    let sessions = sessions.map(|&(session, left_us)| (Who::Session(session.0), left_us));
    let lags = node.lags().map(|(server, entries)| wire::LogLag {
        server: server.0,
        entries,
    });
    let slots = node.served().map(|master| master.slot());
    wire::ClusterStatusReply {
        reports: vec![report(node, now)],
        leases: servers.chain(sessions).map(left).collect(),
        blocked: blocked(node, now),
        coverage: Some(render::coverage(Coverage::of(slots))),
        lags: lags.collect(),
        session_lease_us: node.timing().session_lease_us,
        server_lease_us: node.timing().server_lease_us,
        ..render::status(node.state(), node.leader(), node.server())
    }
}

/// What this server says of itself.
#[must_use]
pub fn report(node: &Node, now: Tick) -> wire::ServerReport {
    let (role, term, _) = node.replica().role();
    let phase = |name: PhaseName| {
        let masters = node.masters();
        masters.filter(|master| master.phase() == name).count() as u32
    };
    let sum = |count: fn(&dlm_core::LockTable) -> usize| -> u64 {
        let tables = node.served().map(|master| count(master.table()) as u64);
        tables.sum()
    };
    let sessions = node.state().sessions().keys();
    let connected = sessions.filter(|&&session| node.link(session).connected);
    wire::ServerReport {
        server: node.server().0,
        version: env!("CARGO_PKG_VERSION").into(),
        uptime_us: now.since(node.started()),
        role: raft_role(role).into(),
        term,
        applied: node.state().applied().0,
        lease_left_us: node.lease_left_us(now),
        serving: phase(PhaseName::Serving),
        recovering: phase(PhaseName::Recovering),
        arriving: phase(PhaseName::Arriving),
        leaving: phase(PhaseName::Leaving),
        broken: phase(PhaseName::Broken),
        streams: connected.count() as u32,
        resources: sum(dlm_core::LockTable::resources),
        locks: sum(dlm_core::LockTable::locks),
        waiting: sum(dlm_core::LockTable::waiting),
    }
}

const fn raft_role(role: Role) -> wire::RaftRole {
    match role {
        Role::Leader => wire::RaftRole::Leader,
        Role::Candidate => wire::RaftRole::Candidate,
        Role::Follower => wire::RaftRole::Follower,
    }
}

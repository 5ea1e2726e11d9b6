//! The cluster: its servers, its sessions, its slots, and what does not go on.

use std::collections::BTreeMap;

use glockwork_proto::wire::lease_left::Who;
use glockwork_proto::{WireError, wire};
use serde::Serialize;

use crate::Coverage;
use crate::blocked::{Blocked, blocked};

/// The cluster's status.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ClusterStatus {
    /// The server that leads; `null` where none is known.
    pub leader: Option<u64>,
    /// The server whose view this is: the leader, where it was reached.
    pub server: u64,
    /// The last entry of the log that it has applied.
    pub applied: u64,
    /// A session's lease in full, in microseconds.
    pub session_lease_us: u64,
    /// A server's.
    pub server_lease_us: u64,
    /// The servers.
    pub servers: Vec<ClusterServer>,
    /// The sessions, dead ones included.
    pub sessions: Vec<ClusterSession>,
    /// The slots.
    pub slots: Slots,
    /// What does not go on, and on what that waits.
    pub blocked: Vec<Blocked>,
    /// What is missing in this.
    pub coverage: Coverage,
}

/// The slots as the cluster's state has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Slots {
    /// They are served.
    pub serving: u32,
    /// Their masters wait for what clients have in them.
    pub recovering: u32,
    /// Their tables are on their way from one server to another.
    pub moving: u32,
    /// They have no master.
    pub masterless: u32,
}

/// A server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ClusterServer {
    /// Its number.
    pub server: u64,
    /// `learner`, `voter` or `leaving`.
    pub role: &'static str,
    /// Where the other servers find it.
    pub peer_endpoint: String,
    /// Where clients find it; `null` where it is down.
    pub endpoint: Option<String>,
    /// The number of its process; `null` where it is down.
    pub incarnation: Option<u64>,
    /// The oldest and the newest protocol version that it speaks; `null` before it ever started.
    pub protocol: Option<[u32; 2]>,
    /// How many slots it masters.
    pub slots: u32,
    /// What is left of its lease as the leader counts it, in microseconds.
    pub lease_left_us: Option<u64>,
    /// How many entries its log is behind the leader's.
    pub lag: Option<u64>,
    /// What it says of itself; `null` where it did not answer.
    pub report: Option<Report>,
}

/// What a server says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The program's version.
    pub version: String,
    /// How long it has been running, in microseconds.
    pub uptime_us: u64,
    /// `follower`, `candidate` or `leader`.
    pub raft: &'static str,
    /// The term that it is in.
    pub term: u64,
    /// The last entry of the log that it has applied.
    pub applied: u64,
    /// What is left of its lease by its own count; `null`: it has none and serves nothing.
    pub lease_left_us: Option<u64>,
    /// The slots that it serves.
    pub serving: u32,
    /// Those that wait for what clients have in them.
    pub recovering: u32,
    /// Those whose tables are on their way to it.
    pub arriving: u32,
    /// Those whose tables are on their way from it.
    pub leaving: u32,
    /// Those whose tables did not arrive whole.
    pub broken: u32,
    /// The sessions that have a stream to it.
    pub streams: u32,
    /// Resources with a lock on them, in the slots that it serves.
    pub resources: u64,
    /// Locks, held or waited for.
    pub locks: u64,
    /// Those that convert or wait.
    pub waiting: u64,
}

/// A session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ClusterSession {
    /// Its number.
    pub session: u64,
    /// Its name.
    pub name: String,
    /// `live`; `dead`: it is not fenced; `fenced`: journals of it are to be replayed.
    pub state: &'static str,
    /// What is left of its lease as the leader counts it, in microseconds.
    pub lease_left_us: Option<u64>,
    /// Why it is dead, in words.
    pub death: Option<&'static str>,
    /// The version of the protocol that it speaks.
    pub protocol: u32,
    /// The lockspaces that it has open.
    pub lockspaces: Vec<String>,
}

impl TryFrom<wire::ClusterStatusReply> for ClusterStatus {
    type Error = WireError;

    fn try_from(mut reply: wire::ClusterStatusReply) -> Result<Self, WireError> {
        let coverage = Coverage::read(reply.coverage.take())?;
        Ok(read(reply, coverage))
    }
}

fn read(reply: wire::ClusterStatusReply, coverage: Coverage) -> ClusterStatus {
    let state = reply.state.unwrap_or_default();
    let mut left = BTreeMap::new();
    for lease in reply.leases {
        left.insert(lease.who.map(key), lease.left_us);
    }
    let lags: BTreeMap<u64, u64> = reply
        .lags
        .iter()
        .map(|one| (one.server, one.entries))
        .collect();
    let mut reports: BTreeMap<u64, Report> = BTreeMap::new();
    for one in reply.reports {
        reports.insert(one.server, report(one));
    }
    let mut slots = Slots::default();
    let mut mastered: BTreeMap<u64, u32> = BTreeMap::new();
    for slot in &state.slots {
        count(slot, &mut slots);
        if let Some(master) = &slot.master {
            *mastered.entry(master.server).or_default() += 1;
        }
    }
    let servers = state.servers.into_iter().map(|one| ClusterServer {
        slots: mastered.get(&one.server).copied().unwrap_or_default(),
        lease_left_us: left.get(&Some((0, one.server))).copied(),
        lag: lags.get(&one.server).copied(),
        report: reports.remove(&one.server),
        ..server(one)
    });
    let servers = servers.collect();
    let lockspaces = &state.lockspaces;
    let sessions = state.sessions.into_iter().map(|one| ClusterSession {
        lease_left_us: left.get(&Some((1, one.session))).copied(),
        lockspaces: lockspaces
            .iter()
            .filter(|lockspace| lockspace.sessions.contains(&one.session))
            .map(|lockspace| lockspace.name.clone())
            .collect(),
        ..session(one)
    });
    ClusterStatus {
        leader: Some(reply.leader).filter(|leader| *leader != 0),
        server: reply.server,
        applied: state.applied,
        session_lease_us: reply.session_lease_us,
        server_lease_us: reply.server_lease_us,
        servers,
        sessions: sessions.collect(),
        slots,
        blocked: reply.blocked.into_iter().filter_map(blocked).collect(),
        coverage,
    }
}

const fn key(who: Who) -> (u8, u64) {
    match who {
        Who::Server(server) => (0, server),
        Who::Session(session) => (1, session),
    }
}

fn count(slot: &wire::SlotState, slots: &mut Slots) {
    let place = if slot.master.is_none() {
        &mut slots.masterless
    } else if slot.serving {
        &mut slots.serving
    } else if slot.planned_from.is_some() {
        &mut slots.moving
    } else {
        &mut slots.recovering
    };
    *place += 1;
}

fn server(wire: wire::ServerState) -> ClusterServer {
    let role = match wire.role() {
        wire::ServerRole::Voter => "voter",
        wire::ServerRole::Learner => "learner",
        wire::ServerRole::Leaving => "leaving",
        wire::ServerRole::Unspecified => "unknown",
    };
    ClusterServer {
        server: wire.server,
        role,
        peer_endpoint: wire.peer_endpoint,
        endpoint: wire.process.as_ref().map(|one| one.endpoint.clone()),
        incarnation: wire.process.as_ref().map(|one| one.incarnation),
        protocol: wire.versions.map(|versions| [versions.min, versions.max]),
        ..ClusterServer::default()
    }
}

fn report(wire: wire::ServerReport) -> Report {
    let raft = match wire.role() {
        wire::RaftRole::Leader => "leader",
        wire::RaftRole::Candidate => "candidate",
        wire::RaftRole::Follower => "follower",
        wire::RaftRole::Unspecified => "unknown",
    };
    Report {
        raft,
        version: wire.version,
        uptime_us: wire.uptime_us,
        term: wire.term,
        applied: wire.applied,
        lease_left_us: wire.lease_left_us,
        serving: wire.serving,
        recovering: wire.recovering,
        arriving: wire.arriving,
        leaving: wire.leaving,
        broken: wire.broken,
        streams: wire.streams,
        resources: wire.resources,
        locks: wire.locks,
        waiting: wire.waiting,
    }
}

fn session(wire: wire::SessionState) -> ClusterSession {
    let state = match &wire.dead {
        None => "live",
        Some(dead) if dead.fenced() == wire::FencedBy::Unspecified => "dead",
        Some(_) => "fenced",
    };
    ClusterSession {
        session: wire.session,
        name: wire.name,
        state,
        death: wire.dead.map(|dead| death(dead.why())),
        protocol: wire.version,
        ..ClusterSession::default()
    }
}

const fn death(why: wire::DeathCause) -> &'static str {
    match why {
        wire::DeathCause::LeaseRanOut => "its lease ran out",
        wire::DeathCause::Evicted => "it was evicted",
        wire::DeathCause::NotReasserted => "it did not say in time what it holds",
        wire::DeathCause::NotAnswering => "it did not answer blocking callbacks",
        wire::DeathCause::Contradicted => "it claimed what cannot be true",
        wire::DeathCause::ReplayFailed => "it did not replay a journal",
        wire::DeathCause::Attested => "it said so itself",
        wire::DeathCause::Forced => "new epochs were forced",
        wire::DeathCause::Unspecified => "for a reason that this program does not know",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> wire::ClusterSnapshot {
        let master = |server| wire::MasterState {
            server,
            incarnation: 5,
        };
        let slot = |server: u64, serving, from: Option<u64>| wire::SlotState {
            master: (server != 0).then(|| master(server)),
            serving,
            planned_from: from.map(master),
            ..wire::SlotState::default()
        };
        wire::ClusterSnapshot {
            servers: vec![
                wire::ServerState {
                    server: 1,
                    role: wire::ServerRole::Voter.into(),
                    process: Some(wire::ProcessState {
                        incarnation: 5,
                        endpoint: "a:1".into(),
                        ..wire::ProcessState::default()
                    }),
                    ..wire::ServerState::default()
                },
                wire::ServerState {
                    server: 2,
                    role: wire::ServerRole::Leaving.into(),
                    ..wire::ServerState::default()
                },
            ],
            sessions: vec![wire::SessionState {
                session: 2,
                name: "node".into(),
                dead: Some(wire::DeadState {
                    why: wire::DeathCause::Evicted.into(),
                    ..wire::DeadState::default()
                }),
                ..wire::SessionState::default()
            }],
            lockspaces: vec![wire::LockspaceState {
                name: "jobs".into(),
                sessions: vec![2],
                ..wire::LockspaceState::default()
            }],
            slots: vec![
                slot(1, true, None),
                slot(1, true, Some(2)),
                slot(1, false, Some(2)),
                slot(2, false, None),
                slot(0, false, None),
            ],
            ..wire::ClusterSnapshot::default()
        }
    }

    fn reply() -> wire::ClusterStatusReply {
        let left = |who, left_us| wire::LeaseLeft {
            who: Some(who),
            left_us,
        };
        wire::ClusterStatusReply {
            leader: 1,
            server: 1,
            state: Some(state()),
            leases: vec![left(Who::Server(2), 20), left(Who::Session(2), 30)],
            lags: vec![wire::LogLag {
                server: 2,
                entries: 9,
            }],
            reports: vec![wire::ServerReport {
                server: 1,
                role: wire::RaftRole::Leader.into(),
                ..wire::ServerReport::default()
            }],
            ..wire::ClusterStatusReply::default()
        }
    }

    #[test]
    fn who_has_what_is_put_together() {
        let status = read(reply(), Coverage::default());
        let [first, second] = &status.servers[..] else {
            panic!("two servers: {status:?}");
        };
        assert_eq!(
            (first.role, first.slots, first.lease_left_us),
            ("voter", 3, None)
        );
        assert_eq!(first.report.as_ref().map(|one| one.raft), Some("leader"));
        assert_eq!(
            (second.role, second.slots, second.lag),
            ("leaving", 1, Some(9))
        );
        assert_eq!((second.lease_left_us, &second.endpoint), (Some(20), &None));
        let session = &status.sessions[0];
        assert_eq!(
            (session.state, session.death),
            ("dead", Some("it was evicted"))
        );
        assert_eq!(
            (session.lease_left_us, &session.lockspaces[..]),
            (Some(30), &["jobs".to_owned()][..])
        );
        let expected = Slots {
            serving: 2,
            recovering: 1,
            moving: 1,
            masterless: 1,
        };
        assert_eq!(status.slots, expected);
    }
}

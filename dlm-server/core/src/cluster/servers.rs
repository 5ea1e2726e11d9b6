//! The servers of the cluster, and their processes.

use alloc::vec::Vec;

use super::ClusterState;
use super::command::{CommandRefusal, Reply, ServerStarted};
use super::effect::Effect;
use super::limits::SERVERS_MAX;
use super::slots::Master;
use super::text::Endpoint;
use crate::ids::{Incarnation, LogIndex, ServerId};

/// A member of the Raft group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where the other servers find it.
    pub peer_endpoint: Endpoint,
    /// What it is in the group.
    pub role: Role,
    /// What it spoke when it started the last time. It counts while the server is down, too: when it comes
    /// back it has to understand the log.
    pub versions: Option<Versions>,
    /// Its process.
    pub life: Life,
}

/// What a server is in the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It has the log and does not vote. It may master slots.
    Learner,
    /// It votes.
    Voter,
    /// It is about to be removed: its slots move away. It leaves this role only by being removed.
    Leaving,
}

/// A server's process, as far as the cluster knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Life {
    /// None: it never started, or was lost.
    Down,
    /// One that holds a lease, as far as anybody has shown the contrary.
    Running(Process),
}

/// A server's running process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// The entry that announced it.
    pub incarnation: Incarnation,
    /// What it chose for itself, so that announcing it twice is announcing it once.
    pub nonce: u128,
    /// Where clients find it.
    pub endpoint: Endpoint,
}

/// The versions of the protocol that one side speaks, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// The oldest.
    pub min: u32,
    /// The newest.
    pub max: u32,
}

impl Server {
    /// Its process, where one runs.
    #[must_use]
    pub const fn process(&self) -> Option<&Process> {
        match &self.life {
            Life::Running(process) => Some(process),
            Life::Down => None,
        }
    }
}

impl ClusterState {
    /// The versions that all servers speak which ever started; `None` where there are none.
    #[must_use]
    pub fn versions(&self) -> Option<Versions> {
        let each = self.servers.values().filter_map(|server| server.versions);
        each.reduce(|all, one| Versions {
            min: all.min.max(one.min),
            max: all.max.min(one.max),
        })
    }

    /// The newest version that all servers speak, and so the newest that a command may need; no server
    /// that starts later may speak only older ones. 1 before any started: the commands that announce a
    /// server are of the first version.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.versions().map_or(1, |versions| versions.max)
    }

    /// The server whose running process this is.
    #[must_use]
    pub fn server_of(&self, incarnation: Incarnation) -> Option<ServerId> {
        let mut running = self.running();
        running
            .find(|master| master.incarnation == incarnation)
            .map(|master| master.server)
    }

    /// The running processes in the order of their servers.
    pub fn running(&self) -> impl Iterator<Item = Master> {
        self.servers.iter().filter_map(|(&server, one)| {
            one.process().map(|process| Master {
                server,
                incarnation: process.incarnation,
            })
        })
    }

    pub(super) fn server_added(
        &mut self,
        server: ServerId,
        peer_endpoint: Endpoint,
        role: Role,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, CommandRefusal> {
        self.may_be(server, role)?;
        if let Some(known) = self.servers.get_mut(&server) {
            known.peer_endpoint = peer_endpoint;
            known.role = role;
        } else if self.servers.len() >= SERVERS_MAX {
            return Err(CommandRefusal::Servers);
        } else {
            let life = Life::Down;
            self.servers.insert(
                server,
                Server {
                    peer_endpoint,
                    role,
                    versions: None,
                    life,
                },
            );
        }
        effects.push(Effect::MemberChanged { server });
        Ok(Reply::Done)
    }

    /// **A removal that was promised is not forgotten**: what another had proposed before it, a learner's
    /// vote say, does not take its place. And one voter always stays: two that are removed at the same
    /// moment do not both find the other one there.
    fn may_be(&self, server: ServerId, role: Role) -> Result<(), CommandRefusal> {
        let known = self.servers.get(&server).map(|known| known.role);
        match (known, role) {
            (Some(Role::Leaving), Role::Leaving) => Ok(()),
            (Some(Role::Leaving), _) => Err(CommandRefusal::Leaving),
            (None, Role::Leaving) => Err(CommandRefusal::NoSuchServer),
            (Some(_), Role::Leaving) => {
                let mut others = self.servers.iter().filter(|(other, _)| **other != server);
                if others.any(|(_, other)| other.role == Role::Voter) {
                    Ok(())
                } else {
                    Err(CommandRefusal::LastServer)
                }
            }
            (_, Role::Learner | Role::Voter) => Ok(()),
        }
    }

    pub(super) fn server_removed(
        &mut self,
        at: LogIndex,
        server: ServerId,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, CommandRefusal> {
        let Some(removed) = self.servers.remove(&server) else {
            return Err(CommandRefusal::NoSuchServer);
        };
        if let Life::Running(process) = removed.life {
            self.incarnation_lost(at, server, process.incarnation, effects);
        }
        effects.push(Effect::MemberChanged { server });
        Ok(Reply::Done)
    }

    pub(super) fn server_started(
        &mut self,
        at: LogIndex,
        started: ServerStarted,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, CommandRefusal> {
        let (server, incarnation) = (started.server, Incarnation(at.0));
        let version = self.versions().map(|versions| versions.max);
        let Some(known) = self.servers.get_mut(&server) else {
            return Err(CommandRefusal::NoSuchServer);
        };
        let before = known
            .process()
            .map(|process| (process.incarnation, process.nonce));
        if let Some((incarnation, nonce)) = before
            && nonce == started.nonce
        {
            return Ok(Reply::Started { incarnation });
        }
        let Versions { min, max } = started.versions;
        let spoken = version.unwrap_or(max);
        if !(min..=max).contains(&spoken) {
            return Err(CommandRefusal::Versions {
                min: spoken,
                max: spoken,
            });
        }
        known.peer_endpoint = started.peer_endpoint;
        known.versions = Some(started.versions);
        known.life = Life::Running(Process {
            incarnation,
            nonce: started.nonce,
            endpoint: started.endpoint,
        });
        effects.push(Effect::MemberChanged { server });
        effects.push(Effect::IncarnationStarted {
            server,
            incarnation,
        });
        if let Some((before, _)) = before {
            // The new process is the server with the fewest slots, and so takes most of them again.
            self.incarnation_lost(at, server, before, effects);
        }
        self.place_masterless(at, effects);
        Ok(Reply::Started { incarnation })
    }

    pub(super) fn server_lost(
        &mut self,
        at: LogIndex,
        incarnation: Incarnation,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, CommandRefusal> {
        let Some(server) = self.server_of(incarnation) else {
            return Err(CommandRefusal::NotRunning);
        };
        if let Some(known) = self.servers.get_mut(&server) {
            known.life = Life::Down;
        }
        self.incarnation_lost(at, server, incarnation, effects);
        Ok(Reply::Done)
    }

    /// What is to be done when this process is no server's any more.
    fn incarnation_lost(
        &mut self,
        at: LogIndex,
        server: ServerId,
        incarnation: Incarnation,
        effects: &mut Vec<Effect>,
    ) {
        effects.push(Effect::IncarnationLost {
            server,
            incarnation,
        });
        self.recover_slots_of(at, incarnation, effects);
    }
}

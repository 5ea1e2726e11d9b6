//! Scripts: what becomes of servers, sessions and the dead, step by step.

mod bad_states;
mod fencing;
mod numbers;
mod sessions;
mod slots;
mod whole;

use std::vec::Vec;

use super::*;
use crate::ids::{Epoch, Incarnation};
use crate::slot::SlotId;

/// A cluster that is told one command after the other.
struct Cluster {
    state: ClusterState,
    at: u64,
    /// What the last command had for an effect.
    effects: Vec<Effect>,
}

const V1: Versions = Versions { min: 1, max: 1 };

fn endpoint(server: u64) -> Endpoint {
    Endpoint::lossy(&std::format!("10.0.0.{server}:7170"))
}

impl Cluster {
    fn new(servers: u64) -> Self {
        let (state, effects) = (ClusterState::new(), Vec::new());
        let mut cluster = Self {
            state,
            at: 0,
            effects,
        };
        for server in 1..=servers {
            cluster.add(server, Role::Voter);
            cluster.start(server, server.into());
        }
        cluster.serve();
        cluster
    }

    /// Every command goes to a second state too, and through the check of two states.
    fn apply(&mut self, command: Command) -> Reply {
        self.at += 1;
        self.effects.clear();
        let before = self.state.clone();
        let at = LogIndex(self.at);
        let reply = self.state.apply(at, command.clone(), &mut self.effects);
        assert_eq!(invariants::check_step(&before, &self.state), Ok(()));
        let (mut second, mut effects) = (before, Vec::new());
        assert_eq!(second.apply(at, command, &mut effects), reply);
        assert_eq!((&second, &effects), (&self.state, &self.effects));
        reply
    }

    fn add(&mut self, server: u64, role: Role) -> Reply {
        self.apply(Command::ServerAdded {
            server: ServerId(server),
            peer_endpoint: endpoint(server),
            role,
        })
    }

    fn start(&mut self, server: u64, nonce: u128) -> Reply {
        self.start_speaking(server, nonce, V1)
    }

    fn start_speaking(&mut self, server: u64, nonce: u128, versions: Versions) -> Reply {
        self.apply(Command::ServerStarted(ServerStarted {
            server: ServerId(server),
            nonce,
            endpoint: endpoint(server),
            peer_endpoint: endpoint(server),
            versions,
        }))
    }

    /// Every master serves what it has.
    fn serve(&mut self) {
        let masters: Vec<Master> = self.state.running().collect();
        for master in masters {
            let slots = self.state.slots();
            let of = slots.filter(|(_, slot)| slot.master == Some(master));
            let slots = of.map(|(id, slot)| (id, slot.epoch)).collect();
            let by = master.incarnation;
            assert_eq!(self.apply(Command::Serving { by, slots }), Reply::Done);
        }
    }

    fn lose(&mut self, server: u64) -> Reply {
        let process = self.state.servers()[&ServerId(server)].process();
        let incarnation = process.map_or(Incarnation(0), |process| process.incarnation);
        self.apply(Command::ServerLost { incarnation })
    }

    /// How many slots each server has.
    fn counts(&self) -> BTreeMap<u64, usize> {
        let mut counts = BTreeMap::new();
        for (_, slot) in self.state.slots() {
            let server = slot.master.map_or(0, |master| master.server.0);
            *counts.entry(server).or_default() += 1;
        }
        counts
    }

    /// Moves until nothing is due; says how many moves that were.
    fn settle(&mut self) -> usize {
        let mut moves = 0;
        loop {
            self.serve();
            let due = self.state.moves_due();
            if due.is_empty() {
                return moves;
            }
            for (slot, epoch, to) in due {
                assert_eq!(
                    self.apply(Command::MoveSlot { slot, epoch, to }),
                    Reply::Done
                );
                moves += 1;
            }
        }
    }

    fn join_attesting(&mut self, nonce: u128, attests: Option<Attest>) -> Reply {
        self.apply(Command::Join(Join {
            nonce,
            name: Name::lossy("node"),
            versions: V1,
            attests,
        }))
    }

    fn join(&mut self, nonce: u128) -> SessionId {
        match self.join_attesting(nonce, None) {
            Reply::Joined { session, .. } => session,
            other => panic!("{other:?}"),
        }
    }

    fn open_reply(&mut self, session: SessionId, name: &str, replayed: bool) -> Reply {
        let options = ClusterOptions {
            fenced: replayed,
            replayed,
            ..ClusterOptions::default()
        };
        self.apply(Command::OpenLockspace {
            session,
            name: Name::lossy(name),
            options: Some(options),
        })
    }

    /// Opens a lockspace that wants replay, or one that does not; says which journals are owed.
    fn open(
        &mut self,
        session: SessionId,
        name: &str,
        replayed: bool,
    ) -> (LockspaceId, Vec<SessionId>) {
        match self.open_reply(session, name, replayed) {
            Reply::LockspaceOpened {
                lockspace, replays, ..
            } => (lockspace, replays),
            other => panic!("{other:?}"),
        }
    }

    fn expire(&mut self, session: SessionId) -> Reply {
        let why = Death::LeaseRanOut;
        self.apply(Command::Expire { session, why })
    }

    fn fence(&mut self, session: SessionId) -> Reply {
        let outcome = FenceOutcome::Done(Fenced::Command);
        self.apply(Command::FenceResult { session, outcome })
    }

    fn replayed(&mut self, dead: SessionId, lockspace: LockspaceId, by: SessionId) -> Reply {
        self.apply(Command::Replayed(NamedReplay {
            dead,
            lockspace,
            by,
        }))
    }

    fn named(&self) -> Vec<Replay> {
        self.state.replays_wanted().collect()
    }

    fn purged(&self, session: SessionId) -> bool {
        let dirty = true;
        self.effects
            .contains(&Effect::SessionPurged { session, dirty })
    }
}

fn refused(why: CommandRefusal) -> Reply {
    Reply::Refused(why)
}

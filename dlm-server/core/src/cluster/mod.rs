//! The cluster's state, which Raft keeps the same on every server: who serves, who is a client, what is
//! mastered where, and what becomes of the dead.
//!
//! Locks are not in it. They live with the master of their slot and are made anew from what clients hold
//! when it is lost; what is here changes when servers and clients come and go.
//!
//! [`ClusterState::apply`] takes one entry of the log, answers whoever proposed it, and says what is
//! different from now on. It has no clock: leases are counted by the leader, which proposes what came of
//! them. Two states that took the same entries are equal, and have had the same effects.
//!
//! How to read it: [`Command`] and [`Effect`] first, then `servers`, `slots`, `sessions`, `fencing` and
//! `lockspaces`, each of which applies its own commands; `numbers` has what is remembered of lockspaces
//! that ended; [`invariants`] says what is always true,
//! [`timing`] how long everything takes.
//!
//! ```
//! use dlm_core::cluster::{ClusterState, Command, Endpoint, Reply, Role, ServerStarted, Versions};
//! use dlm_core::{Incarnation, LogIndex, ServerId, SlotId};
//!
//! let (mut state, mut effects) = (ClusterState::new(), Vec::new());
//! let server = ServerId(1);
//! let peer_endpoint = Endpoint::new("10.0.0.1:7171")?;
//! let added = Command::ServerAdded { server, peer_endpoint: peer_endpoint.clone(), role: Role::Voter };
//! state.apply(LogIndex(1), added, &mut effects);
//! let started = ServerStarted {
//!     server,
//!     nonce: 4711,
//!     endpoint: Endpoint::new("10.0.0.1:7170")?,
//!     peer_endpoint,
//!     versions: Versions { min: 1, max: 1 },
//! };
//! let reply = state.apply(LogIndex(2), Command::ServerStarted(started), &mut effects);
//! assert_eq!(reply, Reply::Started { incarnation: Incarnation(2) });
//! assert!(SlotId::all().all(|slot| state.slot(slot).master.unwrap().server == server));
//! # Ok::<(), dlm_core::cluster::TextRefusal>(())
//! ```

mod command;
mod effect;
mod fencing;
pub mod invariants;
pub mod limits;
mod lockspaces;
mod numbers;
mod servers;
mod sessions;
mod slots;
#[cfg(test)]
mod tests;
mod text;
pub mod timing;

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

pub use command::{Attest, Command, CommandRefusal, Join, NamedReplay, Reply, ServerStarted};
pub use effect::Effect;
pub use fencing::{Fence, FenceNeed, FenceOutcome, Fenced, Replay, Replays};
pub use lockspaces::{ClusterOptions, Lockspace};
pub use numbers::{EndedLockspace, LockspaceNumbers};
pub use servers::{Life, Process, Role, Server, Versions};
pub use sessions::{Death, Phase, Session};
pub use slots::{Master, Origin, Recovery, Slot};
pub use text::{
    ENDPOINT_BYTES_MAX, Endpoint, NAME_BYTES_MAX, Name, REASON_BYTES_MAX, Reason, Text, TextRefusal,
};
pub use timing::{Timing, TimingRule};

use crate::ids::{LockspaceId, LogIndex, ServerId, SessionId};
use crate::invariants::Violation;
use crate::slot::SLOTS;
use limits::{FORCED_EPOCHS, FORCED_GENERATIONS, FORCED_SESSIONS};

/// The state after some entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClusterState {
    applied: LogIndex,
    session_next: SessionId,
    numbers: LockspaceNumbers,
    servers: BTreeMap<ServerId, Server>,
    sessions: BTreeMap<SessionId, Session>,
    lockspaces: BTreeMap<LockspaceId, Lockspace>,
    slots: Vec<Slot>,
}

/// A state taken apart, as a snapshot has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts {
    /// The last entry in it.
    pub applied: LogIndex,
    /// The number of the next session; none at or above it was given out.
    pub session_next: SessionId,
    /// Which numbers lockspaces have had, and the names of those that ended.
    pub numbers: LockspaceNumbers,
    /// The servers.
    pub servers: BTreeMap<ServerId, Server>,
    /// The sessions.
    pub sessions: BTreeMap<SessionId, Session>,
    /// The lockspaces.
    pub lockspaces: BTreeMap<LockspaceId, Lockspace>,
    /// All slots, in order.
    pub slots: Vec<Slot>,
}

impl Default for ClusterState {
    fn default() -> Self {
        Self::new()
    }
}

impl ClusterState {
    /// The state before the first entry.
    #[must_use]
    pub fn new() -> Self {
        Self {
            applied: LogIndex(0),
            session_next: SessionId(1),
            numbers: LockspaceNumbers::new(),
            servers: BTreeMap::new(),
            sessions: BTreeMap::new(),
            lockspaces: BTreeMap::new(),
            slots: vec![Slot::NEW; SLOTS.into()],
        }
    }

    /// Takes the state apart.
    #[must_use]
    pub fn parts(&self) -> Parts {
        let state = self.clone();
        Parts {
            applied: state.applied,
            session_next: state.session_next,
            numbers: state.numbers,
            servers: state.servers,
            sessions: state.sessions,
            lockspaces: state.lockspaces,
            slots: state.slots,
        }
    }

    /// Puts a state together.
    ///
    /// # Errors
    /// The first property of [`invariants`] that it does not have: it was no state of this program.
    pub fn from_parts(parts: Parts) -> Result<Self, Violation> {
        let state = Self {
            applied: parts.applied,
            session_next: parts.session_next,
            numbers: parts.numbers,
            servers: parts.servers,
            sessions: parts.sessions,
            lockspaces: parts.lockspaces,
            slots: parts.slots,
        };
        invariants::check(&state)?;
        Ok(state)
    }

    /// The last entry in it: what it says of slots is as of then.
    #[must_use]
    pub const fn applied(&self) -> LogIndex {
        self.applied
    }

    /// The servers by number.
    #[must_use]
    pub const fn servers(&self) -> &BTreeMap<ServerId, Server> {
        &self.servers
    }

    /// The sessions by number, dead ones included until they are purged.
    #[must_use]
    pub const fn sessions(&self) -> &BTreeMap<SessionId, Session> {
        &self.sessions
    }

    /// The lockspaces by number.
    #[must_use]
    pub const fn lockspaces(&self) -> &BTreeMap<LockspaceId, Lockspace> {
        &self.lockspaces
    }

    /// The number that the next session gets. None at or above it was given out.
    #[must_use]
    pub const fn session_next(&self) -> SessionId {
        self.session_next
    }

    /// Which numbers lockspaces have had, and the names of those that ended.
    #[must_use]
    pub const fn lockspace_numbers(&self) -> &LockspaceNumbers {
        &self.numbers
    }

    /// Applies the entry at `at`, appends what is different from now on, and says what the proposer is
    /// answered. Entries come in order; one that was applied before changes nothing.
    pub fn apply(&mut self, at: LogIndex, command: Command, effects: &mut Vec<Effect>) -> Reply {
        if at <= self.applied {
            return Reply::Refused(CommandRefusal::Applied);
        }
        self.applied = at;
        let begun = effects.len();
        let reply = self.dispatch(at, command, effects);
        if let Err(why) = &reply {
            assert!(
                effects.len() == begun,
                "refused ({why}), but not without effect"
            );
        }
        debug_assert_eq!(invariants::check(self), Ok(()));
        reply.unwrap_or_else(Reply::Refused)
    }

    fn dispatch(
        &mut self,
        at: LogIndex,
        command: Command,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, CommandRefusal> {
        match command {
            Command::ServerAdded {
                server,
                peer_endpoint,
                role,
            } => self.server_added(server, peer_endpoint, role, effects),
            Command::ServerRemoved { server } => self.server_removed(at, server, effects),
            Command::ServerStarted(started) => self.server_started(at, started, effects),
            Command::ServerLost { incarnation } => self.server_lost(at, incarnation, effects),
            Command::Join(join) => self.join(at, join, effects),
            Command::Goodbye { session } => self.goodbye(session, effects),
            Command::Expire { session, why } => self.expire(at, session, why, effects),
            Command::FenceResult { session, outcome } => {
                self.fence_result(session, outcome, effects)
            }
            Command::Replayed(replay) => self.replayed(replay, effects),
            Command::ReplayerFailed(replay) => self.replayer_failed(at, replay, effects),
            Command::OpenLockspace {
                session,
                name,
                options,
            } => self.open_lockspace(session, name, options, effects),
            Command::LeaveLockspace { session, lockspace } => {
                self.leave_lockspace(session, lockspace, effects)
            }
            Command::MoveSlot { slot, epoch, to } => self.move_slot(at, slot, epoch, to, effects),
            Command::Serving { by, slots } => self.serving(by, &slots, effects),
            Command::RecoverSlot { slot, epoch, to } => {
                self.recover_slot(at, slot, epoch, to, effects)
            }
            Command::SlotEpochExhausted { slot, epoch } => {
                self.slot_epoch_exhausted(at, slot, epoch, effects)
            }
            Command::ForceNewEpochs => self.force_new_epochs(at, effects),
        }
    }

    fn force_new_epochs(
        &mut self,
        at: LogIndex,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, CommandRefusal> {
        let running: Vec<Master> = self.running().collect();
        for Master {
            server,
            incarnation,
        } in running
        {
            if let Some(known) = self.servers.get_mut(&server) {
                known.life = Life::Down;
            }
            effects.push(Effect::IncarnationLost {
                server,
                incarnation,
            });
        }
        self.force_epochs(at, FORCED_EPOCHS, effects);
        let live = self
            .sessions
            .iter()
            .filter(|(_, session)| session.is_live());
        let live: Vec<SessionId> = live.map(|(&id, _)| id).collect();
        for session in live {
            self.expire(at, session, Death::Forced, effects)?;
        }
        let SessionId(session) = self.session_next;
        self.session_next = SessionId(session.saturating_add(FORCED_SESSIONS));
        self.numbers.force(FORCED_GENERATIONS);
        Ok(Reply::Done)
    }
}

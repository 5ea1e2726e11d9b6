//! The sessions: how they join, end and die. What becomes of a dead one is in `fencing`.

use alloc::vec::Vec;
use core::fmt;

use super::ClusterState;
use super::command::{Attest, CommandRefusal, Join, Reply};
use super::effect::Effect;
use super::fencing::{Fence, Fenced, Replays};
use super::limits::SESSIONS_MAX;
use super::servers::Versions;
use super::text::Name;
use crate::ids::{LockspaceId, LogIndex, SessionId};

/// A client of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// What the client chose for it, so that joining twice is joining once.
    pub nonce: u128,
    /// What people call it; several may have one name.
    pub name: Name,
    /// The entry that made it.
    pub joined: LogIndex,
    /// The version of the protocol that it speaks.
    pub version: u32,
    /// How far it is.
    pub phase: Phase,
}

/// How far a session is. It goes forward only; from the last phase it is removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It renews its lease.
    Live,
    /// It is dead, and nothing is known of what it still does: it is being fenced.
    Dead {
        /// The entry that declared it dead.
        at: LogIndex,
        /// Why.
        why: Death,
        /// What came of its fence so far.
        fence: Fence,
    },
    /// It is fenced, and journals of it are to be replayed.
    Fenced {
        /// The entry that declared it dead.
        at: LogIndex,
        /// Why.
        why: Death,
        /// What makes sure that it does nothing any more.
        fenced: Fenced,
        /// Which lockspaces' journals, and who was named for each. It has no other lockspace left.
        replays: Replays,
    },
}

/// Why a session is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Death {
    /// It did not renew its lease.
    LeaseRanOut,
    /// Somebody who looks after the cluster evicted it.
    Evicted,
    /// It did not say in time what it holds in a slot that recovers.
    NotReasserted,
    /// It did not answer blocking callbacks in time.
    NotAnswering,
    /// It claimed what cannot be true, or what excludes a newer grant of another.
    Contradicted,
    /// It did not replay a journal for which it was named.
    ReplayFailed,
    /// The client said itself that it was over.
    Attested,
    /// It lived when new epochs were forced, and may have ended in entries that were lost.
    Forced,
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LeaseRanOut => "it did not renew its lease in time",
            Self::Evicted => "an operator evicted it",
            Self::NotReasserted => "it did not say in time which locks it holds in a lost slot",
            Self::NotAnswering => "it did not answer blocking callbacks in time",
            Self::Contradicted => "it claimed locks that it cannot have",
            Self::ReplayFailed => "it did not replay a journal that it was named for",
            Self::Attested => "its client said that it is over",
            Self::Forced => "a lone server was forced to go on, and the session may be lost",
        })
    }
}

impl Session {
    /// Whether it lives.
    #[must_use]
    pub fn is_live(&self) -> bool {
        self.phase == Phase::Live
    }
}

impl ClusterState {
    /// A live session.
    pub(super) fn live(&self, session: SessionId) -> Result<&Session, CommandRefusal> {
        match self.sessions.get(&session) {
            None => Err(CommandRefusal::NoSuchSession),
            Some(known) if known.is_live() => Ok(known),
            Some(_) => Err(CommandRefusal::SessionDead),
        }
    }

    /// The newest version that all running servers and the client speak.
    fn version_with(&self, theirs: Versions) -> Result<u32, CommandRefusal> {
        let Some(ours) = self.versions() else {
            // The leader that proposed this runs, but may not be announced yet.
            return Err(CommandRefusal::NotRunning);
        };
        let newest = ours.max.min(theirs.max);
        if newest < ours.min || newest < theirs.min {
            let Versions { min, max } = ours;
            return Err(CommandRefusal::Versions { min, max });
        }
        Ok(newest)
    }

    pub(super) fn join(
        &mut self,
        at: LogIndex,
        join: Join,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, CommandRefusal> {
        let Join {
            nonce,
            name,
            versions,
            attests,
        } = join;
        let mut known = self.sessions.iter();
        if let Some((&session, known)) = known.find(|(_, known)| known.nonce == nonce) {
            return match known.phase {
                Phase::Live => Ok(Reply::Joined {
                    session,
                    joined: known.joined,
                    version: known.version,
                }),
                _ => Err(CommandRefusal::SessionDead),
            };
        }
        let version = self.version_with(versions)?;
        let attested = self.attestable(attests)?;
        if self.sessions.len() >= SESSIONS_MAX {
            return Err(CommandRefusal::Sessions);
        }
        let session = self.session_next;
        let next = session.0.checked_add(1).ok_or(CommandRefusal::Exhausted)?;
        self.session_next = SessionId(next);
        self.sessions.insert(
            session,
            Session {
                nonce,
                name,
                joined: at,
                version,
                phase: Phase::Live,
            },
        );
        effects.push(Effect::SessionJoined { session });
        if let Some(earlier) = attested {
            self.attest(at, earlier, effects);
        }
        Ok(Reply::Joined {
            session,
            joined: at,
            version,
        })
    }

    /// The session that is attested, where its fence is still of interest to anybody.
    fn attestable(&self, attests: Option<Attest>) -> Result<Option<SessionId>, CommandRefusal> {
        let Some(Attest { session, nonce }) = attests else {
            return Ok(None);
        };
        match self.sessions.get(&session) {
            None => Ok(None),
            Some(known) if known.nonce != nonce => Err(CommandRefusal::NotYours),
            Some(known) => Ok(match known.phase {
                Phase::Live | Phase::Dead { .. } => Some(session),
                Phase::Fenced { .. } => None,
            }),
        }
    }

    /// The client's word takes the place of the fence.
    fn attest(&mut self, at: LogIndex, session: SessionId, effects: &mut Vec<Effect>) {
        let why = Death::Attested;
        if let Some(known) = self.sessions.get_mut(&session)
            && known.is_live()
        {
            let fence = Fence::default();
            known.phase = Phase::Dead { at, why, fence };
            effects.push(Effect::SessionDied { session, why });
        }
        self.fenced(session, Fenced::Attested, effects);
    }

    pub(super) fn goodbye(
        &mut self,
        session: SessionId,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, CommandRefusal> {
        self.live(session)?;
        let open: Vec<LockspaceId> = self.lockspaces_of(session).collect();
        let owes =
            |&lockspace: &LockspaceId| self.replays_owed(session, lockspace).next().is_some();
        if open.iter().any(owes) {
            return Err(CommandRefusal::ReplayOwed);
        }
        // Who means to leave has given up its locks before. What it still has in PW or EX it may have been
        // writing under, and nobody else can tell: as when a node leaves in fs/dlm, those values are not valid.
        self.purge(session, true, effects);
        Ok(Reply::Done)
    }

    pub(super) fn expire(
        &mut self,
        at: LogIndex,
        session: SessionId,
        why: Death,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, CommandRefusal> {
        self.live(session)?;
        if let Some(known) = self.sessions.get_mut(&session) {
            let fence = Fence::default();
            known.phase = Phase::Dead { at, why, fence };
        }
        effects.push(Effect::SessionDied { session, why });
        effects.push(Effect::FenceWanted {
            session,
            need: self.fence_need(session),
        });
        Ok(Reply::Done)
    }

    /// Removes a session and all it has open.
    pub(super) fn purge(&mut self, session: SessionId, dirty: bool, effects: &mut Vec<Effect>) {
        self.sessions.remove(&session);
        effects.push(Effect::SessionPurged { session, dirty });
        let open: Vec<LockspaceId> = self.lockspaces_of(session).collect();
        for lockspace in open {
            self.close_lockspace(session, lockspace, effects);
        }
    }
}

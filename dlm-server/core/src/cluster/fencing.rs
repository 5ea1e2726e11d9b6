//! What becomes of a dead session, until its locks may be given away.
//!
//! Dead, fenced, replayed, purged: in this order, and each step is an entry of the log, so that a new
//! leader goes on where the last one was. What is under way is asked for with
//! [`ClusterState::fences_wanted`] and [`ClusterState::replays_wanted`].
//!
//! A replay is named to a session that has the lockspace open. One that dies before it is done stays named
//! until it is fenced itself: until then it may still write. Where nobody has the lockspace open, the next
//! session to open it is named, and told so before it takes a lock there.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::ClusterState;
use super::command::{CommandRefusal, NamedReplay, Reply};
use super::effect::Effect;
use super::sessions::{Death, Phase};
use super::text::Reason;
use crate::ids::{LockspaceId, LogIndex, SessionId};

/// What came of a dead session's fence so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fence {
    /// How often it failed.
    pub failures: u32,
    /// Why it failed the last time.
    pub failure: Option<Reason>,
}

/// How a fence ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FenceOutcome {
    /// The session does nothing any more.
    Done(Fenced),
    /// It may. The leader tries again.
    Failed(Reason),
}

/// What makes sure that a dead session does nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fenced {
    /// The configured command succeeded.
    Command,
    /// Its lease ran out, on its own clock before the cluster's; no command is wanted or configured.
    Lease,
    /// Somebody who looks after the cluster said so.
    Operator,
    /// The client itself said so when it came back.
    Attested,
}

/// The lockspaces whose journals are to be replayed, and who was named; `None`: nobody is there.
pub type Replays = BTreeMap<LockspaceId, Option<SessionId>>;

/// A replay under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Replay {
    /// Whose journal.
    pub dead: SessionId,
    /// In which lockspace.
    pub lockspace: LockspaceId,
    /// Who was named; `None`: nobody is there.
    pub by: Option<SessionId>,
}

/// How a dead session has to be fenced.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FenceNeed {
    /// It has no lockspace open: that its lease is over is enough.
    Lease,
    /// By the fence command; where none is configured, that its lease is over is enough.
    Configured,
    /// A lockspace that it has open was made with [`fenced`](super::ClusterOptions::fenced): by the fence command,
    /// or by somebody who vouches for it, even where no command is configured.
    Command,
}

impl ClusterState {
    /// The dead sessions that are not fenced, and how each is to be. For a leader that begins.
    pub fn fences_wanted(&self) -> impl Iterator<Item = (SessionId, FenceNeed)> {
        let dead = self.sessions.iter();
        dead.filter(|(_, session)| matches!(session.phase, Phase::Dead { .. }))
            .map(|(&id, _)| (id, self.fence_need(id)))
    }

    pub(super) fn fence_need(&self, session: SessionId) -> FenceNeed {
        let open = self.lockspaces_of(session);
        let needs = open.map(|id| match self.lockspaces[&id].options.fenced {
            true => FenceNeed::Command,
            false => FenceNeed::Configured,
        });
        needs.max().unwrap_or(FenceNeed::Lease)
    }

    /// The replays that are under way. For a leader that begins.
    pub fn replays_wanted(&self) -> impl Iterator<Item = Replay> {
        self.sessions
            .iter()
            .filter_map(|(&dead, session)| match &session.phase {
                Phase::Fenced { replays, .. } => Some((dead, replays)),
                _ => None,
            })
            .flat_map(|(dead, replays)| {
                replays.iter().map(move |(&lockspace, &by)| Replay {
                    dead,
                    lockspace,
                    by,
                })
            })
    }

    /// The dead sessions whose journals in a lockspace a session was named to replay.
    pub fn replays_owed(
        &self,
        by: SessionId,
        lockspace: LockspaceId,
    ) -> impl Iterator<Item = SessionId> {
        self.replays_wanted()
            .filter(move |replay| replay.by == Some(by) && replay.lockspace == lockspace)
            .map(|replay| replay.dead)
    }

    pub(super) fn fence_result(
        &mut self,
        session: SessionId,
        outcome: FenceOutcome,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, CommandRefusal> {
        let known = self.sessions.get_mut(&session);
        let fence = match known.map(|known| &mut known.phase) {
            None => return Err(CommandRefusal::NoSuchSession),
            Some(Phase::Live) => return Err(CommandRefusal::SessionLives),
            Some(Phase::Fenced { .. }) => return Err(CommandRefusal::Fenced),
            Some(Phase::Dead { fence, .. }) => fence,
        };
        match outcome {
            FenceOutcome::Done(how) => self.fenced(session, how, effects),
            FenceOutcome::Failed(reason) => {
                fence.failures = fence.failures.saturating_add(1);
                fence.failure = Some(reason);
                effects.push(Effect::FenceFailed {
                    session,
                    failures: fence.failures,
                });
            }
        }
        Ok(Reply::Done)
    }

    /// A dead session does nothing any more: what needs no replay is purged, and the rest is named to
    /// somebody, with the replays that this one was named for.
    pub(super) fn fenced(&mut self, session: SessionId, fenced: Fenced, effects: &mut Vec<Effect>) {
        let open: Vec<LockspaceId> = self.lockspaces_of(session).collect();
        let replayed = |id: &LockspaceId| self.lockspaces[id].options.replayed;
        let (journals, others): (Vec<_>, Vec<_>) = open.into_iter().partition(replayed);
        if journals.is_empty() {
            self.purge(session, true, effects);
        } else {
            for lockspace in others {
                self.purge_lockspace(session, lockspace, effects);
            }
            let replays: Replays = journals
                .iter()
                .map(|&lockspace| (lockspace, None))
                .collect();
            if let Some(known) = self.sessions.get_mut(&session)
                && let Phase::Dead { at, why, .. } = known.phase
            {
                known.phase = Phase::Fenced {
                    at,
                    why,
                    fenced,
                    replays,
                };
            }
        }
        let mut begun = self.release_replays(session);
        begun.extend(journals.into_iter().map(|lockspace| (session, lockspace)));
        self.name_replayers(effects);
        let nameless = self.replays_wanted().filter(|replay| {
            replay.by.is_none() && begun.contains(&(replay.dead, replay.lockspace))
        });
        effects.extend(nameless.map(Effect::ReplayWanted));
    }

    /// What a fenced session had in one lockspace goes.
    fn purge_lockspace(
        &mut self,
        session: SessionId,
        lockspace: LockspaceId,
        effects: &mut Vec<Effect>,
    ) {
        effects.push(Effect::LockspaceLeft {
            session,
            lockspace,
            dirty: true,
        });
        self.close_lockspace(session, lockspace, effects);
    }

    /// Nobody is named any more for what this session was named for; says what that is.
    fn release_replays(&mut self, session: SessionId) -> Vec<(SessionId, LockspaceId)> {
        let owed = self
            .replays_wanted()
            .filter(|replay| replay.by == Some(session));
        let owed: Vec<_> = owed.map(|replay| (replay.dead, replay.lockspace)).collect();
        for (dead, lockspace) in &owed {
            if let Some(known) = self.sessions.get_mut(dead)
                && let Phase::Fenced { replays, .. } = &mut known.phase
            {
                replays.insert(*lockspace, None);
            }
        }
        owed
    }

    /// Names somebody for each replay that has nobody, as far as somebody is there: of the live sessions
    /// that have the lockspace open the one with the fewest replays, of several the oldest.
    pub(super) fn name_replayers(&mut self, effects: &mut Vec<Effect>) {
        let nameless = self.replays_wanted().filter(|replay| replay.by.is_none());
        let nameless: Vec<Replay> = nameless.collect();
        for Replay {
            dead, lockspace, ..
        } in nameless
        {
            let Some(by) = self.survivor(lockspace) else {
                continue;
            };
            if let Some(known) = self.sessions.get_mut(&dead)
                && let Phase::Fenced { replays, .. } = &mut known.phase
            {
                let by = Some(by);
                replays.insert(lockspace, by);
                effects.push(Effect::ReplayWanted(Replay {
                    dead,
                    lockspace,
                    by,
                }));
            }
        }
    }

    fn survivor(&self, lockspace: LockspaceId) -> Option<SessionId> {
        let mut owed: BTreeMap<SessionId, usize> = BTreeMap::new();
        for by in self.replays_wanted().filter_map(|replay| replay.by) {
            *owed.entry(by).or_default() += 1;
        }
        let members = self.lockspaces.get(&lockspace)?.sessions.iter().copied();
        members
            .filter(|&member| self.live(member).is_ok())
            .min_by_key(|member| owed.get(member).copied().unwrap_or(0))
    }

    /// Whether this live session was named for this replay.
    fn named(
        &self,
        NamedReplay {
            dead,
            lockspace,
            by,
        }: NamedReplay,
    ) -> Result<(), CommandRefusal> {
        self.live(by)?;
        let mut owed = self.replays_owed(by, lockspace);
        let named = owed.any(|owed| owed == dead);
        named.then_some(()).ok_or(CommandRefusal::NoSuchReplay)
    }

    pub(super) fn replayed(
        &mut self,
        replay: NamedReplay,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, CommandRefusal> {
        self.named(replay)?;
        let NamedReplay {
            dead, lockspace, ..
        } = replay;
        let Some(known) = self.sessions.get_mut(&dead) else {
            return Err(CommandRefusal::NoSuchReplay);
        };
        let Phase::Fenced { replays, .. } = &mut known.phase else {
            return Err(CommandRefusal::NoSuchReplay);
        };
        replays.remove(&lockspace);
        if replays.is_empty() {
            self.purge(dead, true, effects);
        } else {
            self.purge_lockspace(dead, lockspace, effects);
        }
        Ok(Reply::Done)
    }

    pub(super) fn replayer_failed(
        &mut self,
        at: LogIndex,
        replay: NamedReplay,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, CommandRefusal> {
        self.named(replay)?;
        self.expire(at, replay.by, Death::ReplayFailed, effects)
    }
}

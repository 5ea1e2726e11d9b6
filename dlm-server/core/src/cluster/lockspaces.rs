//! The lockspaces, and which sessions have them open.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use super::ClusterState;
use super::command::{CommandRefusal, Reply};
use super::effect::Effect;
use super::limits::{LOCKSPACES_MAX, LOCKSPACES_OF_SESSION_MAX};
use super::text::Name;
use crate::ids::{LockspaceBase, LockspaceId, SessionId};
use crate::message::LockspaceOptions;

/// What a lockspace chose for itself, all of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClusterOptions {
    /// What the lock table is told.
    pub locks: LockspaceOptions,
    /// Whether the locks of a dead session are given away only after the fence command succeeded, or
    /// somebody vouched for the session, even where no command is configured. Otherwise its lease alone is
    /// the fence there: enough for whoever checks tokens, or writes nothing that others read.
    pub fenced: bool,
    /// Whether they are given away only after another session has replayed its journal.
    pub replayed: bool,
}

/// A lockspace that somebody has open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lockspace {
    /// Its name; no other has it.
    pub name: Name,
    /// What it chose for itself.
    pub options: ClusterOptions,
    /// Who has it open: live sessions, and dead ones until their locks in it are purged.
    pub sessions: BTreeSet<SessionId>,
}

impl ClusterState {
    /// The lockspaces that a session has open, in order.
    pub fn lockspaces_of(&self, session: SessionId) -> impl Iterator<Item = LockspaceId> {
        let open = move |lockspace: &Lockspace| lockspace.sessions.contains(&session);
        self.lockspaces
            .iter()
            .filter(move |(_, lockspace)| open(lockspace))
            .map(|(&id, _)| id)
    }

    pub(super) fn open_lockspace(
        &mut self,
        session: SessionId,
        name: Name,
        wanted: Option<ClusterOptions>,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, CommandRefusal> {
        self.live(session)?;
        let known = self.lockspaces.iter().find(|(_, one)| one.name == name);
        let known = known.map(|(&id, lockspace)| (id, lockspace));
        if let Some((_, lockspace)) = known
            && wanted.is_some_and(|wanted| wanted != lockspace.options)
        {
            return Err(CommandRefusal::Options(lockspace.options));
        }
        let opened = known.is_some_and(|(_, one)| one.sessions.contains(&session));
        if !opened && self.lockspaces_of(session).count() >= LOCKSPACES_OF_SESSION_MAX {
            return Err(CommandRefusal::LockspacesOfSession);
        }
        let id = match known {
            Some((id, _)) => id,
            None => self.make_lockspace(name, wanted.unwrap_or_default())?,
        };
        let Some(lockspace) = self.lockspaces.get_mut(&id) else {
            return Err(CommandRefusal::LockspaceNotOpen);
        };
        let options = lockspace.options;
        if lockspace.sessions.insert(session) {
            effects.push(Effect::LockspaceOpened {
                session,
                lockspace: id,
            });
            self.name_replayers(effects);
        }
        Ok(Reply::LockspaceOpened {
            lockspace: id,
            options,
            replays: self.replays_owed(session, id).collect(),
        })
    }

    fn make_lockspace(
        &mut self,
        name: Name,
        options: ClusterOptions,
    ) -> Result<LockspaceId, CommandRefusal> {
        if self.lockspaces.len() >= LOCKSPACES_MAX {
            return Err(CommandRefusal::Lockspaces);
        }
        let open = |base: LockspaceBase| self.lockspaces.keys().any(|id| id.base() == base);
        let id = self.numbers.take(&name, open);
        let id = id.ok_or(CommandRefusal::Exhausted)?;
        self.lockspaces.insert(
            id,
            Lockspace {
                name,
                options,
                sessions: BTreeSet::new(),
            },
        );
        Ok(id)
    }

    pub(super) fn leave_lockspace(
        &mut self,
        session: SessionId,
        lockspace: LockspaceId,
        effects: &mut Vec<Effect>,
    ) -> Result<Reply, CommandRefusal> {
        self.live(session)?;
        let known = self.lockspaces.get(&lockspace);
        if !known.is_some_and(|known| known.sessions.contains(&session)) {
            return Err(CommandRefusal::LockspaceNotOpen);
        }
        if self.replays_owed(session, lockspace).next().is_some() {
            return Err(CommandRefusal::ReplayOwed);
        }
        effects.push(Effect::LockspaceLeft {
            session,
            lockspace,
            dirty: false,
        });
        self.close_lockspace(session, lockspace, effects);
        Ok(Reply::Done)
    }

    /// Takes a session out of a lockspace, which ends with its last one and is remembered by its name.
    pub(super) fn close_lockspace(
        &mut self,
        session: SessionId,
        lockspace: LockspaceId,
        effects: &mut Vec<Effect>,
    ) {
        let Some(known) = self.lockspaces.get_mut(&lockspace) else {
            return;
        };
        known.sessions.remove(&session);
        if known.sessions.is_empty() {
            let ended = self.lockspaces.remove(&lockspace);
            if let Some(Lockspace { name, .. }) = ended {
                self.numbers.end(lockspace, name, self.applied);
            }
            effects.push(Effect::LockspaceEnded { lockspace });
        }
    }
}

//! Looking at the shard.

use std::collections::BTreeSet;
use std::sync::Arc;

use dlm_core::deadlock::Victim;
use dlm_core::{Input, LockspaceId, OpId, Output, ResourceName, SessionId, Tick};
use glockwork_proto::frame::QueryId;
use glockwork_proto::glocks::{GlocksQuery, GlocksReport};
use glockwork_proto::listing::LockspaceListing;
use glockwork_proto::render::Names;
use glockwork_proto::{Name, wire};
use tokio::sync::{Notify, oneshot};
use tracing::info;

use super::{Listed, Orphans, Seen, Shard};
use crate::error::LookError;

impl Shard {
    pub(super) fn start_look(&mut self) -> Result<(QueryId, Arc<Notify>), LookError> {
        let sessions = self.sessions.keys().copied().collect();
        let (query, complete) = self.looks.start(sessions)?;
        for session in self.sessions.values() {
            session.outbox.ask(query);
        }
        Ok((query, complete))
    }

    pub(super) fn finish_look(
        &mut self,
        query: QueryId,
        lockspace: Option<String>,
    ) -> Result<Seen, LookError> {
        let mut collected = self.looks.finish(query);
        let only = lockspace.map(|name| self.lockspace(name)).transpose()?;
        if let Some(only) = only {
            for report in &mut collected.reports {
                report.glocks.retain(|glock| glock.lockspace == only);
            }
        }
        Ok(Seen {
            resources: self.table.view(only),
            collected,
            breaking: self.breaking(),
            names: self.names(),
            now: self.now,
        })
    }

    /// Asks a session for the glocks behind one. Whoever waits for the answer learns from its end that the
    /// session has ended.
    pub(super) fn ask_glocks(
        &mut self,
        session: SessionId,
        lockspace: LockspaceId,
        after: Option<ResourceName>,
    ) -> Result<oneshot::Receiver<GlocksReport>, LookError> {
        let (sender, answer) = oneshot::channel();
        let Some(to) = self.sessions.get(&session) else {
            return Ok(answer);
        };
        let query = self.glocks.ask(session, sender)?;
        to.outbox.ask_glocks(GlocksQuery {
            query,
            lockspace,
            after,
        });
        Ok(answer)
    }

    pub(super) fn locks(&self, lockspace: Option<String>) -> Result<Listed, LookError> {
        let only = lockspace.map(|name| self.lockspace(name)).transpose()?;
        Ok(Listed {
            resources: self.table.detail(only),
            names: self.names(),
            now: self.now,
        })
    }

    pub(super) fn list_lockspaces(&self) -> Vec<LockspaceListing> {
        let mut counts = self.table.lockspace_counts();
        let mut list = |id: LockspaceId, name: &Name, options| {
            let counts = counts.remove(&id).unwrap_or_default();
            let sessions = self.sessions.iter();
            let sessions = sessions.filter(|(_, session)| session.lockspaces.contains(&id));
            LockspaceListing {
                name: name.to_string(),
                id,
                options,
                sessions: sessions
                    .map(|(&id, session)| (id, session.name.to_string()))
                    .collect(),
                resources: counts.resources as u64,
                locks: counts.locks as u64,
                waiting: counts.waiting as u64,
                orphans: counts.orphans as u64,
            }
        };
        let all = self.lockspaces.all();
        all.map(|(id, name, options)| list(id, name, options))
            .collect()
    }

    /// Takes a session's orphans away on behalf of somebody else: the session does not get the answer.
    pub(super) fn purge(&mut self, orphans: Orphans) -> Result<u32, LookError> {
        let Orphans {
            lockspace,
            session,
            owner,
        } = orphans;
        let lockspace = self.lockspace(lockspace)?;
        if !self.sessions.contains_key(&session) {
            return Err(LookError::NoSuchSession(session.0));
        }
        let input = Input::PurgeOrphans {
            session,
            op: OpId(0),
            lockspace,
            owner,
        };
        let before = self.outputs.len();
        self.table.step(self.now, input, &mut self.outputs);
        let mut purged = 0;
        // What stands before it was asked for by the session itself.
        for output in self.outputs.split_off(before) {
            match output {
                Output::Purged { locks, .. } => purged = locks,
                other => self.outputs.push(other),
            }
        }
        Ok(purged)
    }

    /// Whether somebody has waited so long in a lockspace that wants deadlocks broken.
    pub(super) fn somebody_waits(&self, us: u64) -> bool {
        let breaking = self.breaking();
        if breaking.is_empty() {
            return false;
        }
        let since = self.table.oldest_wait(|it| breaking.contains(&it));
        since.is_some_and(|since: Tick| self.now.since(since) >= us)
    }

    /// The lockspaces that want deadlocks broken.
    fn breaking(&self) -> BTreeSet<LockspaceId> {
        let all = self.lockspaces.all();
        let breaking = all.filter(|(_, _, options)| options.breaks_deadlocks);
        breaking.map(|(id, _, _)| id).collect()
    }

    pub(super) fn end_waits(&mut self, victims: Vec<Victim>) {
        for victim in victims {
            let Victim {
                session,
                lock,
                serial,
            } = victim;
            info!(session = session.0, lock = lock.0, "a deadlock's victim");
            self.input(Input::EndWait {
                session,
                lock,
                serial,
            });
        }
    }

    fn lockspace(&self, name: String) -> Result<LockspaceId, LookError> {
        let id = Name::new(&name[..])
            .ok()
            .and_then(|it| self.lockspaces.id(&it));
        id.ok_or(LookError::NoSuchLockspace(name))
    }

    fn names(&self) -> Names {
        let sessions = self.sessions.iter();
        Names {
            sessions: sessions
                .map(|(&id, session)| (id, session.name.clone()))
                .collect(),
            lockspaces: self.lockspaces.names(),
        }
    }

    pub(super) fn status(&self) -> wire::StatusReply {
        let sessions = self.sessions.iter().map(|(&id, session)| {
            let counts = self.table.session_counts(id).unwrap_or_default();
            wire::SessionStatus {
                session: id.0,
                name: session.name.as_str().into(),
                locks: counts.locks as u64,
                waiting: counts.waiting as u64,
                operations: session.operations,
                ..wire::SessionStatus::default()
            }
        });
        let lockspaces = self.lockspaces.names();
        wire::StatusReply {
            version: env!("CARGO_PKG_VERSION").into(),
            uptime_us: self.now.0,
            sessions: sessions.collect(),
            lockspaces: lockspaces.into_values().map(String::from).collect(),
            resources: self.table.resources() as u64,
            locks: self.table.locks() as u64,
            waiting: self.table.waiting() as u64,
            ..wire::StatusReply::default()
        }
    }
}

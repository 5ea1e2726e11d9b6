//! Looking at the shard.

use std::sync::Arc;

use glockwork_proto::frame::QueryId;
use glockwork_proto::render::Names;
use glockwork_proto::{Name, wire};
use tokio::sync::Notify;

use super::{Seen, Shard};
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
        let only = match lockspace {
            None => None,
            Some(name) => {
                let id = Name::new(&name[..])
                    .ok()
                    .and_then(|it| self.lockspaces.id(&it));
                Some(id.ok_or(LookError::NoSuchLockspace(name))?)
            }
        };
        if let Some(only) = only {
            for report in &mut collected.reports {
                report.glocks.retain(|glock| glock.lockspace == only);
            }
        }
        Ok(Seen {
            resources: self.table.view(only),
            collected,
            names: self.names(),
            now: self.now,
        })
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
        }
    }
}

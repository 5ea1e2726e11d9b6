//! What sessions and lockspaces are called. An event is read a little later than it happened, and a session that
//! ran one command has ended by then, with its lockspace.

use std::collections::BTreeMap;

use dlm_core::cluster::{ClusterState, Name};
use dlm_core::{LockspaceId, SessionId};

use crate::limits::NAMES_REMEMBERED_MAX;

/// The names that were heard of.
#[derive(Debug, Default)]
pub struct NamesKnown {
    sessions: BTreeMap<SessionId, Name>,
    lockspaces: BTreeMap<LockspaceId, Name>,
}

impl NamesKnown {
    /// A session joined.
    pub fn joined(&mut self, state: &ClusterState, session: SessionId) {
        if let Some(known) = state.sessions().get(&session) {
            remember(&mut self.sessions, session, known.name.clone());
        }
    }

    /// A lockspace is open.
    pub fn opened(&mut self, state: &ClusterState, lockspace: LockspaceId) {
        if let Some(known) = state.lockspaces().get(&lockspace) {
            remember(&mut self.lockspaces, lockspace, known.name.clone());
        }
    }

    /// A session that may have ended.
    #[must_use]
    pub fn session(&self, session: SessionId) -> Option<&Name> {
        self.sessions.get(&session)
    }

    /// A lockspace that may have ended.
    #[must_use]
    pub fn lockspace(&self, lockspace: LockspaceId) -> Option<&Name> {
        self.lockspaces.get(&lockspace)
    }
}

/// The smallest number goes, which is mostly the oldest. The names of what is still there are in the cluster's
/// state, too.
fn remember<K: Ord>(names: &mut BTreeMap<K, Name>, key: K, name: Name) {
    names.insert(key, name);
    if names.len() > NAMES_REMEMBERED_MAX {
        names.pop_first();
    }
}

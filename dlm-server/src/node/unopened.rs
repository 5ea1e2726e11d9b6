//! Work in a lockspace that its session has not open, as far as this server has heard.
//!
//! The leader says that a lockspace is open when it has applied that. The session then goes to a master
//! which may hear of it later, and which must not refuse what it asks for there. So such work waits, and
//! what comes from that session for that slot behind it: until the lockspace is opened, or until it is
//! sure that it was not open when the work arrived.
//!
//! **It is sure when this server has applied what the leader had applied when it acknowledged a renewal
//! that was sent after the work arrived.** The leader acknowledges after a round of the quorum that began
//! later still, and has then applied all that was committed when the round began: an opening that the
//! session was told of is among that, whoever led then.

use std::collections::{BTreeMap, VecDeque};

use dlm_core::{Input, LockspaceId, LogIndex, SessionId, Tick};

use super::Node;
use super::masters::{Key, Work};
use super::message::Output;

/// What waits, in its order, and when it arrived.
pub(super) type Unopened = BTreeMap<(SessionId, Key), VecDeque<(Tick, Work)>>;

impl Node {
    /// Takes the work where it has to wait.
    pub(super) fn wait_for_opening(&mut self, key: Key, work: Work) -> Option<Work> {
        let Some(session) = work.session() else {
            return Some(work);
        };
        let at = (session, key);
        let waits = self.masters.all.contains_key(&key)
            && (self.masters.unopened.contains_key(&at) || !self.has_open(session, &work));
        if !waits {
            return Some(work);
        }
        self.streams.held_back(session, true);
        let arrived = (self.now, work);
        self.masters
            .unopened
            .entry(at)
            .or_default()
            .push_back(arrived);
        None
    }

    /// Whether the session has all lockspaces open that the work names.
    fn has_open(&self, session: SessionId, work: &Work) -> bool {
        let is_open = |lockspace: &LockspaceId| {
            let known = self.state.lockspaces().get(lockspace);
            known.is_some_and(|known| known.sessions.contains(&session))
        };
        match work {
            Work::Operation(operation) => match &operation.input {
                Input::Request { lockspace, .. } => is_open(lockspace),
                _ => true,
            },
            Work::Claims { claims, .. } => claims.iter().all(|claim| is_open(&claim.lockspace)),
            Work::Event(_) | Work::Leave(_) => true,
        }
    }

    /// A session has another lockspace open: what waited for that goes on.
    pub(super) fn opened(&mut self, session: SessionId, out: &mut Vec<Output>) {
        let its = self.masters.unopened.keys();
        let its: Vec<_> = its.filter(|(of, _)| *of == session).copied().collect();
        for at in its {
            for work in self.no_longer_waits(at) {
                self.work(at.1, work, out);
            }
        }
    }

    /// The leader had applied that much after a renewal had arrived that was sent then.
    pub(super) fn heard_of_openings(
        &mut self,
        sent: Tick,
        applied: LogIndex,
        out: &mut Vec<Output>,
    ) {
        if self.state.applied() < applied {
            // The next renewal says so again, or more.
            return;
        }
        let waiting = self.masters.unopened.iter();
        let sure = waiting.filter(|(_, work)| work.front().is_some_and(|(at, _)| *at <= sent));
        for at in sure.map(|(&at, _)| at).collect::<Vec<_>>() {
            let mut works = self.no_longer_waits(at).into_iter();
            // The first is answered as it stands; what came behind it may have been opened since.
            if let Some(first) = works.next() {
                self.do_opened_work(at.1, first, out);
            }
            for work in works {
                self.work(at.1, work, out);
            }
        }
    }

    /// What waits for a master that goes, or for nobody any more.
    pub(super) fn no_longer_waits(&mut self, at: (SessionId, Key)) -> Vec<Work> {
        let works = self.masters.unopened.remove(&at).unwrap_or_default();
        for _ in &works {
            self.streams.held_back(at.0, false);
        }
        works.into_iter().map(|(_, work)| work).collect()
    }
}

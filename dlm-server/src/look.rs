//! Collecting what the sessions report of their local holders.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Weak};

use dlm_core::SessionId;
use dlm_core::deadlock::NodeReport;
use glockwork_proto::frame::{HoldersReport, QueryId};
use tokio::sync::Notify;

use crate::error::LookError;
use crate::limits::LOOKS_MAX;

/// The looks under way.
#[derive(Debug, Default)]
pub(crate) struct Looks {
    running: BTreeMap<QueryId, Look>,
    last: u64,
}

#[derive(Debug)]
struct Look {
    awaited: BTreeSet<SessionId>,
    reports: Vec<NodeReport>,
    /// Notified when nobody is awaited any more; gone when the one who looks has gone.
    complete: Weak<Notify>,
}

/// What came in.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Collected {
    /// From those that report their holders.
    pub(crate) reports: Vec<NodeReport>,
    /// Those that did not answer.
    pub(crate) silent: Vec<SessionId>,
}

impl Looks {
    /// Starts one that awaits a report of each of these sessions. What it returns is notified when none
    /// is awaited any more, and must be kept until the look is finished: otherwise it is forgotten.
    pub(crate) fn start(
        &mut self,
        sessions: BTreeSet<SessionId>,
    ) -> Result<(QueryId, Arc<Notify>), LookError> {
        self.running
            .retain(|_, look| look.complete.strong_count() > 0);
        if self.running.len() >= LOOKS_MAX {
            return Err(LookError::Looks);
        }
        self.last += 1;
        let query = QueryId(self.last);
        let complete = Arc::new(Notify::new());
        let look = Look {
            awaited: sessions,
            reports: Vec::new(),
            complete: Arc::downgrade(&complete),
        };
        look.signal();
        self.running.insert(query, look);
        Ok((query, complete))
    }

    /// A session answered. An answer that nobody waits for is dropped.
    pub(crate) fn report(&mut self, session: SessionId, report: HoldersReport) {
        let Some(look) = self.running.get_mut(&report.query) else {
            return;
        };
        if !look.awaited.remove(&session) {
            return;
        }
        // A client without a registry of glocks answers with nothing. For the graph it is then one
        // task for each owner that its locks name, and not a node that has no holders.
        if !report.tasks.is_empty() || !report.glocks.is_empty() {
            let tasks = report.tasks.into_iter();
            look.reports.push(NodeReport {
                session,
                tasks: tasks.map(|(owner, name)| (owner, name.into())).collect(),
                glocks: report.glocks,
            });
        }
        look.signal();
    }

    /// A session ended: it will not answer, and has nothing any more.
    pub(crate) fn session_ended(&mut self, session: SessionId) {
        for look in self.running.values_mut() {
            look.awaited.remove(&session);
            look.reports.retain(|report| report.session != session);
            look.signal();
        }
    }

    /// Ends a look.
    pub(crate) fn finish(&mut self, query: QueryId) -> Collected {
        let look = self.running.remove(&query);
        look.map_or_else(Collected::default, |mut look| {
            // In the order of the sessions and not of the network.
            look.reports.sort_by_key(|report| report.session);
            Collected {
                reports: look.reports,
                silent: look.awaited.into_iter().collect(),
            }
        })
    }
}

impl Look {
    fn signal(&self) {
        if let (true, Some(complete)) = (self.awaited.is_empty(), self.complete.upgrade()) {
            complete.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use dlm_core::Owner;
    use glockwork_proto::Name;
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    const A: SessionId = SessionId(1);
    const B: SessionId = SessionId(2);

    fn is_complete(complete: &Notify) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        pin!(complete.notified()).poll(&mut context).is_ready()
    }

    fn report(query: QueryId, tasks: u64) -> HoldersReport {
        HoldersReport {
            query,
            tasks: (0..tasks)
                .map(|task| (Owner(task), Name::lossy("task")))
                .collect(),
            glocks: Vec::new(),
        }
    }

    #[test]
    fn it_is_complete_when_all_have_answered_or_ended() {
        let mut looks = Looks::default();
        let (query, complete) = looks.start([A, B].into()).unwrap();
        looks.report(B, report(query, 1));
        assert!(!is_complete(&complete));
        looks.session_ended(A);
        assert!(is_complete(&complete));
        let collected = looks.finish(query);
        assert_eq!(collected.reports.len(), 1);
        assert!(collected.silent.is_empty());
        assert_eq!(looks.finish(query), Collected::default());
    }

    #[test]
    fn who_does_not_answer_is_silent_and_who_answers_with_nothing_is_not() {
        let mut looks = Looks::default();
        let (query, _complete) = looks.start([A, B].into()).unwrap();
        looks.report(A, report(query, 0));
        looks.report(A, report(query, 1));
        let collected = looks.finish(query);
        assert!(collected.reports.is_empty(), "only the first answer counts");
        assert_eq!(collected.silent, [B]);
    }

    #[test]
    fn there_are_only_so_many_and_one_that_nobody_waits_for_is_forgotten() {
        let mut looks = Looks::default();
        let mut kept: Vec<_> = (0..LOOKS_MAX)
            .map(|_| looks.start([A].into()).unwrap())
            .collect();
        assert_eq!(looks.start([A].into()).unwrap_err(), LookError::Looks);
        // Complete or not, nobody will finish it.
        let (query, _) = kept.pop().unwrap();
        looks.report(A, report(query, 1));
        assert!(looks.start([A].into()).is_ok());
    }

    #[test]
    fn without_sessions_there_is_nothing_to_wait_for() {
        let (_, complete) = Looks::default().start(BTreeSet::new()).unwrap();
        assert!(is_complete(&complete));
    }
}

//! Questions after sessions' glocks that wait for their answers.

use std::collections::BTreeMap;

use dlm_core::SessionId;
use glockwork_proto::frame::QueryId;
use glockwork_proto::glocks::GlocksReport;
use tokio::sync::oneshot;

use crate::error::LookError;
use crate::limits::LOOKS_MAX;

/// The questions under way. Whoever asks waits for one page at a time, so that nobody keeps more than that.
#[derive(Debug, Default)]
pub(crate) struct GlockQuestions {
    waiting: BTreeMap<QueryId, (SessionId, oneshot::Sender<GlocksReport>)>,
    last: u64,
}

impl GlockQuestions {
    /// Takes note of one. Whoever asked drops its end of `answer` when it waits no more.
    pub(crate) fn ask(
        &mut self,
        session: SessionId,
        answer: oneshot::Sender<GlocksReport>,
    ) -> Result<QueryId, LookError> {
        self.waiting.retain(|_, (_, answer)| !answer.is_closed());
        if self.waiting.len() >= LOOKS_MAX {
            return Err(LookError::Looks);
        }
        self.last += 1;
        let query = QueryId(self.last);
        self.waiting.insert(query, (session, answer));
        Ok(query)
    }

    /// A session answered. What it was not asked for is dropped.
    pub(crate) fn report(&mut self, session: SessionId, report: GlocksReport) {
        let Some((asked, answer)) = self.waiting.remove(&report.query) else {
            return;
        };
        if asked == session {
            // Whoever asked may have gone meanwhile.
            let _ = answer.send(report);
        } else {
            self.waiting.insert(report.query, (asked, answer));
        }
    }

    /// A session ended: it will not answer.
    pub(crate) fn session_ended(&mut self, session: SessionId) {
        self.waiting.retain(|_, (asked, _)| *asked != session);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: SessionId = SessionId(1);
    const B: SessionId = SessionId(2);

    fn report(query: QueryId) -> GlocksReport {
        GlocksReport {
            query,
            glocks: Vec::new(),
            more: false,
        }
    }

    #[test]
    fn only_who_was_asked_answers_and_an_end_is_an_answer_too() {
        let mut questions = GlockQuestions::default();
        let (sender, mut answer) = oneshot::channel();
        let query = questions.ask(A, sender).unwrap();
        questions.report(B, report(query));
        assert!(answer.try_recv().is_err());
        questions.report(A, report(query));
        assert_eq!(answer.try_recv().unwrap(), report(query));

        let (sender, answer) = oneshot::channel();
        questions.ask(A, sender).unwrap();
        questions.session_ended(A);
        assert!(answer.blocking_recv().is_err());
    }

    #[test]
    fn there_are_only_so_many_and_one_that_nobody_waits_for_is_forgotten() {
        let mut questions = GlockQuestions::default();
        let mut kept = Vec::new();
        for _ in 0..LOOKS_MAX {
            let (sender, answer) = oneshot::channel();
            questions.ask(A, sender).unwrap();
            kept.push(answer);
        }
        let more = questions.ask(A, oneshot::channel().0);
        assert_eq!(more, Err(LookError::Looks));
        kept.pop();
        let (sender, _answer) = oneshot::channel();
        assert!(questions.ask(A, sender).is_ok());
    }
}

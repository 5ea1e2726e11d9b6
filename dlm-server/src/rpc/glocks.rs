//! The glocks of the sessions, asked for page by page as whoever dumps them reads.

use dlm_core::{LockspaceId, ResourceName, SessionId};
use glockwork_proto::glocks::{GlocksPage, GlocksReport};
use glockwork_proto::listing::LockspaceListing;
use glockwork_proto::render::glocks_page;
use glockwork_proto::wire;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::Status;

use crate::error::LookError;
use crate::limits::REPORT_WAIT_MAX;
use crate::search::Search;
use crate::shard::Command;

/// Whose glocks are dumped: of each lockspace, those of the sessions that have it open.
pub(super) fn wanted(
    mut lockspaces: Vec<LockspaceListing>,
    request: &wire::GlocksRequest,
) -> Result<Vec<LockspaceListing>, LookError> {
    if !request.lockspace.is_empty() {
        lockspaces.retain(|one| one.name == request.lockspace);
        if lockspaces.is_empty() {
            return Err(LookError::NoSuchLockspace(request.lockspace.clone()));
        }
    }
    if request.session != 0 {
        for lockspace in &mut lockspaces {
            let sessions = &mut lockspace.sessions;
            sessions.retain(|(session, _)| session.0 == request.session);
        }
        if lockspaces.iter().all(|one| one.sessions.is_empty()) {
            return Err(LookError::NoSuchSession(request.session));
        }
    }
    Ok(lockspaces)
}

/// Where the pages go. Nobody reads them any more if it is closed.
pub(super) type Pages = mpsc::Sender<Result<wire::GlocksPage, Status>>;

/// Collects the pages, one whenever the last was taken.
pub(super) async fn collect(search: Search, lockspaces: Vec<LockspaceListing>, pages: Pages) {
    for lockspace in &lockspaces {
        for (session, session_name) in &lockspace.sessions {
            let whose = Whose {
                search: &search,
                session: *session,
                lockspace: lockspace.id,
            };
            let page = |glocks, silent| GlocksPage {
                lockspace: lockspace.name.clone(),
                session: *session,
                session_name: session_name.clone(),
                glocks,
                silent,
            };
            if whose.collect(page, &pages).await.is_break() {
                return;
            }
        }
    }
}

struct Whose<'a> {
    search: &'a Search,
    session: SessionId,
    lockspace: LockspaceId,
}

type Flow = std::ops::ControlFlow<()>;

impl Whose<'_> {
    async fn collect(
        &self,
        page: impl Fn(Vec<glockwork_proto::glocks::Glock>, bool) -> GlocksPage,
        pages: &Pages,
    ) -> Flow {
        let mut after = None;
        loop {
            let report = match self.ask(after.clone()).await {
                Ok(Answer::Report(report)) => report,
                Ok(Answer::Ended) => return Flow::Continue(()),
                Ok(Answer::Silent) => return send(pages, &page(Vec::new(), true)).await,
                Err(error) => {
                    let _ = pages.send(Err(error.into())).await;
                    return Flow::Break(());
                }
            };
            let GlocksReport { glocks, more, .. } = report;
            // One that goes back would be asked for ever.
            let order = after.iter().chain(glocks.iter().map(|glock| &glock.name));
            if !order.is_sorted_by(|a, b| a < b) {
                return send(pages, &page(Vec::new(), true)).await;
            }
            let Some(last) = glocks.last() else {
                return Flow::Continue(());
            };
            after = Some(last.name.clone());
            if send(pages, &page(glocks, false)).await.is_break() {
                return Flow::Break(());
            }
            if !more {
                return Flow::Continue(());
            }
        }
    }

    async fn ask(&self, after: Option<ResourceName>) -> Result<Answer, LookError> {
        let (session, lockspace) = (self.session, self.lockspace);
        let question = |asked| Command::AskGlocks {
            session,
            lockspace,
            after,
            asked,
        };
        let answer = self.search.ask(question).await??;
        Ok(match timeout(REPORT_WAIT_MAX, answer).await {
            Ok(Ok(report)) => Answer::Report(report),
            Ok(Err(_)) => Answer::Ended,
            Err(_) => Answer::Silent,
        })
    }
}

enum Answer {
    Report(GlocksReport),
    /// Its session has ended: it has no glocks any more.
    Ended,
    Silent,
}

async fn send(pages: &Pages, page: &GlocksPage) -> Flow {
    match pages.send(Ok(glocks_page(page))).await {
        Ok(()) => Flow::Continue(()),
        Err(_) => Flow::Break(()),
    }
}

//! The glocks of the sessions, asked for page by page as whoever dumps them reads.

use std::ops::ControlFlow;

use dlm_core::{LockspaceId, ResourceName, SessionId};
use glockwork_proto::glocks::{Glock, GlocksPage, GlocksQuery, GlocksReport};
use glockwork_proto::holders::QueryId;
use glockwork_proto::render::glocks_page;
use glockwork_proto::wire;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tonic::Status;

use super::Look;
use super::ask::{Other, in_time};
use crate::error::LookError;
use crate::limits::REPORT_WAIT_MAX;
use crate::node::Node;

/// Whose glocks are dumped: a session with a lockspace that it has open, and what both are called.
#[derive(Clone, Debug)]
pub(super) struct Whose {
    lockspace: LockspaceId,
    lockspace_name: String,
    session: SessionId,
    session_name: String,
}

/// Of each lockspace that is wanted, the sessions that are wanted and have it open.
pub(super) fn wanted(node: &Node, request: &wire::GlocksRequest) -> Result<Vec<Whose>, LookError> {
    let only = crate::view::lockspace(node, &request.lockspace)?;
    let state = node.state();
    let mut all = Vec::new();
    for (&lockspace, open) in state.lockspaces() {
        if only.is_some_and(|only| only != lockspace) {
            continue;
        }
        for &session in &open.sessions {
            let known = state.sessions().get(&session);
            let known = known.filter(|known| known.is_live());
            let wanted = request.session == 0 || request.session == session.0;
            if let (Some(known), true) = (known, wanted) {
                all.push(Whose {
                    lockspace,
                    lockspace_name: open.name.as_str().into(),
                    session,
                    session_name: known.name.as_str().into(),
                });
            }
        }
    }
    if all.is_empty() && request.session != 0 {
        return Err(LookError::NoSuchSession(request.session));
    }
    Ok(all)
}

/// Where the pages go. Nobody reads them any more if it is closed.
pub(super) type Pages = mpsc::Sender<Result<wire::GlocksPage, Status>>;

type Flow = ControlFlow<()>;

/// Collects the pages, one whenever the last was taken. A session that has no stream here, or says nothing
/// over it, is asked by the others.
pub(super) async fn collect<L: Look>(look: L, all: Vec<Whose>, others: Vec<Other>, pages: Pages) {
    for whose in all {
        let asking = Asking {
            look: &look,
            whose: &whose,
            pages: &pages,
        };
        if asking.collect(&others).await.is_break() {
            return;
        }
    }
}

struct Asking<'a, L> {
    look: &'a L,
    whose: &'a Whose,
    pages: &'a Pages,
}

impl<L: Look> Asking<'_, L> {
    async fn collect(&self, others: &[Other]) -> Flow {
        let mut after = None;
        loop {
            let report = match self.ask(after.clone()).await {
                Ok(Some(report)) => report,
                Ok(None) if after.is_none() => return self.collect_elsewhere(others).await,
                Ok(None) => return self.silent().await,
                Err(error) => {
                    // Whoever reads may have gone meanwhile.
                    let _ = self.pages.send(Err(error.into())).await;
                    return Flow::Break(());
                }
            };
            let GlocksReport { glocks, more, .. } = report;
            // One that goes back would be asked for ever.
            let order = after.iter().chain(glocks.iter().map(|glock| &glock.name));
            if !order.is_sorted_by(|a, b| a < b) {
                return self.silent().await;
            }
            let Some(last) = glocks.last() else {
                return Flow::Continue(());
            };
            after = Some(last.name.clone());
            let page = glocks_page(&self.page(glocks, false));
            if self.send(page).await.is_break() {
                return Flow::Break(());
            }
            if !more {
                return Flow::Continue(());
            }
        }
    }

    async fn ask(&self, after: Option<ResourceName>) -> Result<Option<GlocksReport>, LookError> {
        let query = GlocksQuery {
            query: QueryId(0),
            lockspace: self.whose.lockspace,
            after,
            caches: false,
        };
        let asked = self.look.glocks(self.whose.session, query);
        timeout(REPORT_WAIT_MAX, asked).await.unwrap_or(Ok(None))
    }

    /// Passes on what the first other server gets of the session.
    async fn collect_elsewhere(&self, others: &[Other]) -> Flow {
        for other in others {
            let request = wire::GlocksRequest {
                lockspace: self.whose.lockspace_name.clone(),
                session: self.whose.session.0,
                local: true,
            };
            let mut client = wire::inspect_client::InspectClient::new(other.channel.clone());
            let Ok(asked) = in_time(client.glocks(request)).await else {
                continue;
            };
            let mut theirs = asked.into_inner();
            let mut begun = false;
            loop {
                match in_time(theirs.message()).await {
                    Ok(Some(page)) if page.silent && !begun => break,
                    Ok(Some(page)) => {
                        begun = true;
                        if self.send(page).await.is_break() {
                            return Flow::Break(());
                        }
                    }
                    Ok(None) => return Flow::Continue(()),
                    Err(_) if begun => return self.silent().await,
                    Err(_) => break,
                }
            }
        }
        self.silent().await
    }

    /// The session says nothing, unless it has ended: then it has no glocks any more.
    async fn silent(&self) -> Flow {
        let session = self.whose.session;
        let known = move |node: &Node, _| {
            let known = node.state().sessions().get(&session);
            known.is_some_and(dlm_core::cluster::Session::is_live)
        };
        if self.look.look(known).await == Ok(false) {
            return Flow::Continue(());
        }
        self.send(glocks_page(&self.page(Vec::new(), true))).await
    }

    fn page(&self, glocks: Vec<Glock>, silent: bool) -> GlocksPage {
        GlocksPage {
            lockspace: self.whose.lockspace_name.clone(),
            session: self.whose.session,
            session_name: self.whose.session_name.clone(),
            glocks,
            silent,
        }
    }

    async fn send(&self, page: wire::GlocksPage) -> Flow {
        match self.pages.send(Ok(page)).await {
            Ok(()) => Flow::Continue(()),
            Err(_) => Flow::Break(()),
        }
    }
}

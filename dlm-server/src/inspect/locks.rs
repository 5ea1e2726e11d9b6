//! Every lock of the cluster, as whoever lists them reads.

use std::ops::ControlFlow;

use glockwork_proto::coverage::Coverage;
use glockwork_proto::limits::LOCKS_PER_PAGE_MAX;
use glockwork_proto::render::LocksPages;
use glockwork_proto::{convert, render, wire};
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use super::ask::{Other, Others, in_time};
use crate::view::merge::LocksMerge;

/// Where the pages go. Nobody reads them any more if it is closed.
pub(super) type Pages = mpsc::Sender<Result<wire::LocksPage, Status>>;

/// One server's list.
pub(super) struct Theirs {
    other: Other,
    pages: Streaming<wire::LocksPage>,
}

/// Begins to read the lists of all others.
pub(super) async fn begin(others: &mut Others, lockspace: &str) -> Vec<Theirs> {
    let asked = others.ask(|channel| {
        let request = wire::LocksRequest {
            lockspace: lockspace.to_owned(),
            local: true,
        };
        let mut client = wire::inspect_client::InspectClient::new(channel);
        async move { client.locks(request).await }
    });
    let lists = asked.await;
    let all = others.all.iter().cloned();
    all.zip(lists)
        .map(|(other, pages)| Theirs { other, pages })
        .collect()
}

/// Puts the lists together, a page at a time. What is missing stands in the last page.
pub(super) async fn send(
    mut ours: LocksPages,
    mut theirs: Vec<Theirs>,
    mut coverage: Coverage,
    to: Pages,
) {
    let uptime_us = ours.uptime_us();
    let mut merge = LocksMerge::new(1 + theirs.len());
    let mut page = wire::LocksPage {
        uptime_us,
        ..wire::LocksPage::default()
    };
    let mut room = LOCKS_PER_PAGE_MAX;
    loop {
        while let Some(source) = merge.wants() {
            let read = match source.checked_sub(1) {
                None => ours.next(),
                Some(at) => next(&mut theirs[at], &mut coverage).await,
            };
            match read {
                Some(read) => merge.page(source, read.resources),
                None => merge.end(source),
            }
        }
        let Some(resource) = merge.take() else {
            break;
        };
        // A resource has a lock on it.
        let locks = resource.locks.len().max(1);
        if locks > room {
            if flush(&mut page, &to).await.is_break() {
                return;
            }
            room = LOCKS_PER_PAGE_MAX;
        }
        room = room.saturating_sub(locks);
        page.resources.push(resource);
    }
    page.coverage = Some(render::coverage(coverage));
    // Whoever read them may have gone meanwhile.
    let _ = flush(&mut page, &to).await;
}

async fn flush(page: &mut wire::LocksPage, to: &Pages) -> ControlFlow<()> {
    let next = wire::LocksPage {
        uptime_us: page.uptime_us,
        ..wire::LocksPage::default()
    };
    match to.send(Ok(std::mem::replace(page, next))).await {
        Ok(()) => ControlFlow::Continue(()),
        Err(_) => ControlFlow::Break(()),
    }
}

/// The next page of a list; `None` at its end, or where its server does not go on.
async fn next(theirs: &mut Theirs, coverage: &mut Coverage) -> Option<wire::LocksPage> {
    let why = match in_time(theirs.pages.message()).await {
        Ok(None) => return None,
        Ok(Some(mut page)) => match page.coverage.take() {
            None => return Some(page),
            Some(covered) => match convert::coverage(Some(covered)) {
                Ok(covered) => {
                    coverage.merge(covered);
                    return Some(page);
                }
                Err(why) => why.to_string(),
            },
        },
        Err(why) => why,
    };
    let (server, one) = theirs.other.unreachable(why);
    coverage.unreachable.insert(server, one);
    None
}

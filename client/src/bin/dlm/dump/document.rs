//! All of a dump as one JSON document, written as it comes.

use std::collections::VecDeque;

use dlm_client::Servers;
use dlm_client::inspect::{self, LockspaceStatus};

use crate::error::CommandError;
use crate::output::{Elements, Output};
use crate::warning;

/// `{"lockspaces": [...], "resources": [...], "nodes": [...]}`, an element on each line: what
/// `dlm lockspaces --json` has, every resource with its locks, and the glocks of every node. A node with very
/// many of them stands there several times, each time with more of them.
pub(super) async fn write(
    servers: &Servers,
    lockspace: Option<&str>,
    session: Option<u64>,
    mut output: Output,
) -> Result<(), CommandError> {
    let lockspaces = inspect::lockspaces(servers).await?;
    let wanted = |each: &LockspaceStatus| lockspace.is_none_or(|name| name == each.name);
    let mut lockspaces: VecDeque<_> = lockspaces.into_iter().filter(wanted).collect();
    let mut text = "{\"lockspaces\": [".to_owned();
    let mut elements = Elements::begin();
    while let Some(each) = lockspaces.pop_front() {
        elements.push(&each, &mut text);
    }
    elements.end(&mut text);

    text.push_str("], \"resources\": [");
    elements = Elements::begin();
    let mut locks = inspect::locks(servers, lockspace).await?;
    while let Some(resource) = locks.next_whole().await? {
        let mut holders = resource.locks.iter();
        if session.is_none_or(|session| holders.any(|lock| lock.session == session)) {
            elements.push(&resource, &mut text);
            output.text(&text)?;
            text.clear();
        }
    }
    elements.end(&mut text);
    warning::incomplete(locks.coverage());

    text.push_str("], \"nodes\": [");
    elements = Elements::begin();
    let mut glocks = inspect::glocks(servers, lockspace, session).await?;
    while let Some(page) = glocks.next_page().await? {
        elements.push(&page, &mut text);
        output.text(&text)?;
        text.clear();
    }
    elements.end(&mut text);
    text.push_str("]}\n");
    output.text(&text)?;
    output.finish()
}

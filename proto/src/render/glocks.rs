//! What is written of glocks: by a session for the server, and by the server for whoever dumps them.

use prost::bytes::Bytes;

use super::words;
use crate::glocks::{Glock, GlockHolder, GlocksPage, GlocksQuery, GlocksReport};
use crate::wire;

/// A page of a dump.
#[must_use]
pub fn glocks_page(page: &GlocksPage) -> wire::GlocksPage {
    wire::GlocksPage {
        lockspace: page.lockspace.clone(),
        session: page.session.0,
        session_name: page.session_name.clone(),
        glocks: page.glocks.iter().map(glock).collect(),
        silent: page.silent,
    }
}

pub(super) fn query(query: &GlocksQuery) -> wire::GlocksQuery {
    let after = query.after.as_ref();
    wire::GlocksQuery {
        query: query.query.0,
        lockspace: query.lockspace.0,
        after: after.map_or_else(Bytes::new, |name| Bytes::copy_from_slice(name.as_bytes())),
        caches: query.caches,
    }
}

pub(super) fn report(report: &GlocksReport) -> wire::GlocksReport {
    wire::GlocksReport {
        query: report.query.0,
        glocks: report.glocks.iter().map(glock).collect(),
        more: report.more,
        caches: report.caches.iter().map(super::caches::cache).collect(),
    }
}

fn glock(glock: &Glock) -> wire::Glock {
    let object = glock.object.as_ref();
    wire::Glock {
        name: Bytes::copy_from_slice(glock.name.as_bytes()),
        state: words::mode(glock.state).into(),
        target: words::mode(glock.target).into(),
        demanded: words::mode_or_none(glock.demanded).into(),
        demanded_us: glock.demanded_us,
        flags: glock.flags,
        references: glock.references,
        hold_ms: glock.hold_ms,
        holders: glock.holders.iter().map(holder).collect(),
        holders_left_out: glock.holders_left_out,
        object: object.map_or_else(String::new, |lines| lines.as_str().into()),
    }
}

fn holder(holder: &GlockHolder) -> wire::GlockHolder {
    let task = holder.task.as_ref();
    wire::GlockHolder {
        state: words::mode(holder.state).into(),
        flags: holder.flags,
        granted: holder.granted,
        owner: holder.owner.0,
        task: task.map_or_else(String::new, |name| name.as_str().into()),
        age_us: holder.age_us,
    }
}

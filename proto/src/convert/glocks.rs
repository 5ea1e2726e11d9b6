//! What is read of glocks: by the server from a session, and by whoever dumps them from the server.

use dlm_core::{LockspaceId, Owner, SessionId};

use super::{mode, mode_or_none, resource_name};
use crate::error::WireError;
use crate::glocks::{Glock, GlockHolder, GlocksPage, GlocksQuery, GlocksReport, ObjectLines};
use crate::holders::QueryId;
use crate::limits::GLOCKS_PER_PAGE_MAX;
use crate::name::Name;
use crate::wire;

/// A page of a dump.
///
/// # Errors
/// As a report.
pub fn glocks_page(page: wire::GlocksPage) -> Result<GlocksPage, WireError> {
    Ok(GlocksPage {
        lockspace: page.lockspace,
        session: SessionId(page.session),
        session_name: page.session_name,
        glocks: glocks(page.glocks)?,
        silent: page.silent,
    })
}

pub(super) fn query(wire: &wire::GlocksQuery) -> Result<GlocksQuery, WireError> {
    Ok(GlocksQuery {
        query: QueryId(wire.query),
        lockspace: LockspaceId(wire.lockspace),
        after: match &wire.after[..] {
            [] => None,
            after => Some(resource_name(after)?),
        },
        caches: wire.caches,
    })
}

pub(super) fn report(wire: wire::GlocksReport) -> Result<GlocksReport, WireError> {
    Ok(GlocksReport {
        query: QueryId(wire.query),
        glocks: glocks(wire.glocks)?,
        more: wire.more,
        caches: super::caches::caches(wire.caches)?,
    })
}

fn glocks(wire: Vec<wire::Glock>) -> Result<Vec<Glock>, WireError> {
    let count = wire.iter().map(|glock| 1 + glock.holders.len()).sum();
    if count > GLOCKS_PER_PAGE_MAX {
        return Err(WireError::GlocksTooMany { count });
    }
    wire.into_iter().map(glock).collect()
}

fn glock(wire: wire::Glock) -> Result<Glock, WireError> {
    let holders = wire.holders.into_iter();
    Ok(Glock {
        name: resource_name(&wire.name)?,
        state: mode(wire.state)?,
        target: mode(wire.target)?,
        demanded: mode_or_none(wire.demanded)?,
        demanded_us: wire.demanded_us,
        flags: wire.flags,
        references: wire.references,
        hold_ms: wire.hold_ms,
        holders: holders.map(holder).collect::<Result<_, _>>()?,
        holders_left_out: wire.holders_left_out,
        object: ObjectLines::lossy(&wire.object),
    })
}

fn holder(wire: wire::GlockHolder) -> Result<GlockHolder, WireError> {
    let task = (!wire.task.is_empty()).then_some(wire.task);
    Ok(GlockHolder {
        state: mode(wire.state)?,
        flags: wire.flags,
        granted: wire.granted,
        owner: Owner(wire.owner),
        task: task.map(Name::new).transpose()?,
        age_us: wire.age_us,
    })
}

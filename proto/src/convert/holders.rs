//! What a session says of the tasks behind its locks.

use dlm_core::deadlock::{GlockReport, HolderReport};
use dlm_core::{LockspaceId, Owner};

use super::{mode, resource_name, role};
use crate::error::WireError;
use crate::holders::{HoldersReport, QueryId};
use crate::limits::REPORT_ENTRIES_MAX;
use crate::name::Name;
use crate::wire;

pub(super) fn report(wire: wire::HoldersReport) -> Result<HoldersReport, WireError> {
    let holders: usize = wire.glocks.iter().map(|glock| glock.holders.len()).sum();
    let count = wire.tasks.len() + wire.glocks.len() + holders;
    if count > REPORT_ENTRIES_MAX {
        return Err(WireError::ReportTooLong { count });
    }
    let tasks = wire.tasks.into_iter();
    let glocks = wire.glocks.into_iter();
    Ok(HoldersReport {
        query: QueryId(wire.query),
        tasks: tasks
            .map(|task| Ok((Owner(task.owner), Name::new(task.name)?)))
            .collect::<Result<_, _>>()?,
        glocks: glocks.map(glock).collect::<Result<_, _>>()?,
    })
}

fn glock(wire: wire::GlockHolders) -> Result<GlockReport, WireError> {
    Ok(GlockReport {
        lockspace: LockspaceId(wire.lockspace),
        name: resource_name(&wire.name)?,
        holders: wire.holders.iter().map(holder).collect::<Result<_, _>>()?,
    })
}

fn holder(wire: &wire::LocalHolder) -> Result<HolderReport, WireError> {
    Ok(HolderReport {
        serial: wire.serial,
        owner: Owner(wire.owner),
        mode: mode(wire.mode)?,
        granted: wire.granted,
        role: role(wire.role)?,
        pins: wire.pins,
        age_us: wire.age_us,
    })
}

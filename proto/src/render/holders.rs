//! What a session says of the tasks behind its locks.

use dlm_core::deadlock::{GlockReport, HolderReport};
use prost::bytes::Bytes;

use super::words;
use crate::holders::HoldersReport;
use crate::limits::REPORT_ENTRIES_MAX;
use crate::wire;

pub(super) fn report(report: &HoldersReport) -> wire::HoldersReport {
    let mut left = REPORT_ENTRIES_MAX;
    let mut fits = |entries: usize| match left.checked_sub(entries) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    wire::HoldersReport {
        query: report.query.0,
        glocks: report
            .glocks
            .iter()
            .take_while(|glock| fits(1 + glock.holders.len()))
            .map(glock_holders)
            .collect(),
        // After the glocks: a task without a name is still shown by its number.
        tasks: report
            .tasks
            .iter()
            .take_while(|_| fits(1))
            .map(|(owner, name)| wire::TaskName {
                owner: owner.0,
                name: name.as_str().into(),
            })
            .collect(),
    }
}

fn glock_holders(glock: &GlockReport) -> wire::GlockHolders {
    wire::GlockHolders {
        lockspace: glock.lockspace.0,
        name: Bytes::copy_from_slice(glock.name.as_bytes()),
        holders: glock.holders.iter().map(local_holder).collect(),
    }
}

fn local_holder(holder: &HolderReport) -> wire::LocalHolder {
    wire::LocalHolder {
        serial: holder.serial,
        owner: holder.owner.0,
        mode: words::mode(holder.mode).into(),
        granted: holder.granted,
        role: words::role(holder.role).into(),
        pins: holder.pins,
        age_us: holder.age_us,
    }
}

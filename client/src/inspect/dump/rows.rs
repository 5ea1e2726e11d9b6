//! The files that programs read.

use std::fmt::{self, Write};

use super::{Seen, dotted, id, is_printable, number, status};
use crate::inspect::Lock;

pub(super) const LOCKS_HEADER: &str =
    "id nodeid remid pid xid exflags flags sts grmode rqmode time_ms r_nodeid r_len r_name\n";

/// The version of each kind of row.
pub(super) const ALL_HEADER: &str = "version rsb 1.1 lvb 1.1 lkb 1.1\n";

/// The bit of a resource whose value is not valid.
const VALUE_NOT_VALID: u32 = 0x2;

/// The bits of a lock that its task left behind, and of one that is another node's.
const ORPHAN: u32 = 0x2;
const MASTER_COPY: u32 = 0x1_0000;

pub(super) fn write_locks(seen: &Seen<'_>, to: &mut String) -> fmt::Result {
    let name = &seen.resource.object.name;
    let (length, name) = (name.as_bytes().len(), dotted(name));
    for lock in &seen.resource.locks {
        let (id, node, remote) = (id(lock), seen.view.node(lock), seen.view.remote(lock));
        let (owner, flags, internal) = (lock.owner, lock.flags.bits(), internal(seen, lock));
        let (granted, requested) = (number(lock.granted), number(lock.requested));
        let (status, age) = (status(lock.queue), lock.age_us);
        writeln!(
            to,
            "{id:x} {node} {remote:x} {owner} 0 {flags:x} {internal:x} {status} {granted} {requested} \
             {age} 0 {length} \"{name}\""
        )?;
    }
    Ok(())
}

pub(super) fn write_all(seen: &Seen<'_>, to: &mut String) -> fmt::Result {
    let resource = seen.resource;
    let name = resource.object.name.as_bytes();
    let flags = if resource.value_valid {
        0
    } else {
        VALUE_NOT_VALID
    };
    let (number_, length) = (seen.number, name.len());
    write!(to, "rsb {number_:016x} 0 0 {flags:x} 0 0 0 {length} ")?;
    if name.iter().all(|&byte| is_printable(byte)) {
        writeln!(to, "str {}", dotted(&resource.object.name))?;
    } else {
        to.push_str("hex");
        write_bytes(name, to)?;
    }
    if let Some(value) = &resource.value {
        write!(to, "lvb 0 {}", value.len())?;
        write_bytes(value, to)?;
    }
    for lock in &resource.locks {
        let (id, node, remote) = (id(lock), seen.view.node(lock), seen.view.remote(lock));
        let (owner, flags, internal) = (lock.owner, lock.flags.bits(), internal(seen, lock));
        let (granted, requested) = (number(lock.granted), number(lock.requested));
        let (status, told, waits) = (
            status(lock.queue),
            number(lock.told),
            seen.view.wait_type(lock),
        );
        let since_ns = seen.uptime_us.saturating_sub(lock.age_us) * 1000;
        writeln!(
            to,
            "lkb {id:x} {node} {remote:x} {owner} 0 {flags:x} {internal:x} {status} {granted} {requested} \
             {told} 0 {waits} 0 {since_ns} 0"
        )?;
    }
    Ok(())
}

pub(super) fn write_waiters(seen: &Seen<'_>, to: &mut String) -> fmt::Result {
    let name = dotted(&seen.resource.object.name);
    for lock in &seen.resource.locks {
        let wait_type = seen.view.wait_type(lock);
        if wait_type != 0 {
            let (id, node) = (id(lock), seen.view.node(lock));
            writeln!(to, "{id:x} {wait_type} {node} {name}")?;
        }
    }
    Ok(())
}

fn internal(seen: &Seen<'_>, lock: &Lock) -> u32 {
    let orphan = if lock.orphan { ORPHAN } else { 0 };
    let copy = if seen.view.node(lock) == 0 {
        0
    } else {
        MASTER_COPY
    };
    orphan | copy
}

/// The rest of a line of bytes.
fn write_bytes(bytes: &[u8], to: &mut String) -> fmt::Result {
    for byte in bytes {
        write!(to, " {byte:02x}")?;
    }
    to.push('\n');
    Ok(())
}

//! The file that people read.

use std::fmt::{self, Write};

use dlm_core::Mode;
use dlm_core::deadlock::Queue;

use super::{Seen, dotted, id};
use crate::inspect::Lock;

/// How many bytes of a value stand in a line.
const VALUE_BYTES_PER_LINE: usize = 16;

const QUEUES: [(Queue, &str); 3] = [
    (Queue::Granted, "Granted Queue"),
    (Queue::Converting, "Conversion Queue"),
    (Queue::Waiting, "Waiting Queue"),
];

pub(super) fn write(seen: &Seen<'_>, to: &mut String) -> fmt::Result {
    let resource = seen.resource;
    let name = &resource.object.name;
    let (number, length, name) = (seen.number, name.as_bytes().len(), dotted(name));
    writeln!(
        to,
        "\nResource {number:016x} Name (len={length}) \"{name}\""
    )?;
    writeln!(to, "Master Copy")?;
    if let Some(value) = &resource.value {
        write_value(value, resource.value_valid, to)?;
    }
    for (queue, title) in QUEUES {
        writeln!(to, "{title}")?;
        let locks = resource.locks.iter();
        for lock in locks.filter(|lock| lock.queue == queue) {
            write_lock(seen, lock, to)?;
        }
    }
    Ok(())
}

fn write_value(value: &[u8], valid: bool, to: &mut String) -> fmt::Result {
    let mut lines = value.chunks(VALUE_BYTES_PER_LINE).peekable();
    let mut start = "LVB:";
    while let Some(line) = lines.next() {
        to.push_str(start);
        start = "    ";
        for byte in line {
            write!(to, " {byte:02x}")?;
        }
        let end = lines.peek().is_none();
        to.push_str(if end && !valid { " (INVALID)\n" } else { "\n" });
    }
    Ok(())
}

fn write_lock(seen: &Seen<'_>, lock: &Lock, to: &mut String) -> fmt::Result {
    let name = |mode: Option<Mode>| mode.map_or("--", Mode::name);
    write!(to, "{:08x} {}", id(lock), name(lock.granted))?;
    if lock.queue != Queue::Granted {
        write!(to, " ({})", name(lock.requested))?;
    }
    match seen.view.node(lock) {
        0 => {}
        node => write!(to, " Remote: {node:3} {:08x}", lock.lock)?,
    }
    match seen.view.wait_type(lock) {
        0 => {}
        waits => write!(to, " wait_type: {waits}")?,
    }
    to.push('\n');
    Ok(())
}

//! What a client writes.

use prost::bytes::Bytes;

use super::holders::report;
use super::server_frame::value_bytes;
use super::words;
use crate::frame::{ClientFrame, Hello, Operation, OperationKind};
use crate::limits::OPERATIONS_PER_FRAME_MAX;
use crate::wire;

/// The first frame of a client.
#[must_use]
pub fn hello(hello: &Hello) -> wire::ClientFrame {
    wire::ClientFrame {
        hello: Some(wire::Hello {
            version_min: hello.versions.min,
            version_max: hello.versions.max,
            name: hello.name.as_str().into(),
        }),
        ..wire::ClientFrame::default()
    }
}

/// Any frame of a client but the first.
///
/// A report with more than [`REPORT_ENTRIES_MAX`](crate::limits::REPORT_ENTRIES_MAX) entries is cut after the last glock that fits.
/// Whoever builds a graph from it misses edges then, but finds none that is not there.
///
/// # Panics
/// Where the frame has more than [`OPERATIONS_PER_FRAME_MAX`] operations: the caller splits them.
#[must_use]
pub fn client_frame(frame: &ClientFrame) -> wire::ClientFrame {
    assert!(frame.operations.len() <= OPERATIONS_PER_FRAME_MAX);
    wire::ClientFrame {
        hello: None,
        operations: frame.operations.iter().map(operation).collect(),
        holders: frame.report.as_ref().map(report),
        glocks: frame.glocks.as_ref().map(super::glocks::report),
        goodbye: frame.goodbye,
    }
}

fn operation(operation: &Operation) -> wire::Operation {
    use wire::operation::Kind;

    let kind = match &operation.kind {
        OperationKind::OpenLockspace { name, options } => {
            Kind::OpenLockspace(wire::OpenLockspace {
                name: name.as_str().into(),
                options: options.map(words::lockspace_options),
            })
        }
        OperationKind::LeaveLockspace { lockspace } => Kind::LeaveLockspace(wire::LeaveLockspace {
            lockspace: lockspace.0,
        }),
        OperationKind::Request {
            lockspace,
            lock,
            name,
            mode,
            flags,
            owner,
        } => Kind::Request(wire::Request {
            lockspace: lockspace.0,
            lock: lock.0,
            name: Bytes::copy_from_slice(name.as_bytes()),
            mode: words::mode(*mode).into(),
            flags: flags.bits(),
            owner: owner.0,
        }),
        OperationKind::Convert {
            lock,
            mode,
            flags,
            owner,
            value,
        } => Kind::Convert(wire::Convert {
            lock: lock.0,
            mode: words::mode(*mode).into(),
            flags: flags.bits(),
            owner: owner.0,
            value: value.as_ref().map(value_bytes),
        }),
        OperationKind::Unlock { lock, flags, value } => Kind::Unlock(wire::Unlock {
            lock: lock.0,
            flags: flags.bits(),
            value: value.as_ref().map(value_bytes),
        }),
        OperationKind::Cancel { lock } => Kind::Cancel(wire::Cancel { lock: lock.0 }),
        OperationKind::OwnerEnded { owner } => {
            Kind::OwnerEnded(wire::OwnerEnded { owner: owner.0 })
        }
        OperationKind::PurgeOrphans { lockspace, owner } => {
            Kind::PurgeOrphans(wire::PurgeOrphans {
                lockspace: lockspace.0,
                owner: owner.map(|owner| owner.0),
            })
        }
    };
    wire::Operation {
        op: operation.op.0,
        kind: Some(kind),
    }
}

//! What a session writes on a stream.

use dlm_core::link::{EverywhereKind, Hello, OperationKind, ToServer};
use dlm_core::{OpId, ValueBlock};
use prost::bytes::Bytes;

use super::claims::claim;
use super::cluster::nonce;
use super::holders::report;
use super::value_bytes;
use super::words;
use crate::limits::OPERATIONS_PER_FRAME_MAX;
use crate::link::ToServerFrame;
use crate::trace::TraceContext;
use crate::wire;
use crate::wire::to_server_item::Kind;

/// What a session sends. A report with more than
/// [`REPORT_ENTRIES_MAX`](crate::limits::REPORT_ENTRIES_MAX) entries is cut after the last glock that fits.
/// Whoever builds a graph from it misses edges then, but finds none that is not there.
///
/// # Panics
/// Where the messages count more than [`OPERATIONS_PER_FRAME_MAX`]: the caller splits them
/// ([`ToServerFrame::of_queue`]).
#[must_use]
pub fn to_server_frame(frame: ToServerFrame) -> wire::ToServerFrame {
    let count: usize = frame.messages.iter().map(ToServerFrame::entries_of).sum();
    assert!(count <= OPERATIONS_PER_FRAME_MAX);
    let mut wire = wire::ToServerFrame {
        hello: None,
        items: Vec::with_capacity(frame.messages.len()),
        acknowledge: None,
        holders: frame.holders.as_ref().map(report),
        glocks: frame.glocks.as_ref().map(super::glocks::report),
        traces: frame.traces.into_iter().map(trace).collect(),
    };
    for message in frame.messages {
        let (number, kind) = match message {
            ToServer::Hello(one) => {
                wire.hello = Some(hello(&one));
                continue;
            }
            ToServer::Acknowledge { sequence } => {
                wire.acknowledge = wire.acknowledge.max(Some(sequence));
                continue;
            }
            ToServer::Operation {
                number,
                op,
                slot,
                epoch,
                kind,
            } => {
                let operation = wire::SlotOperation {
                    op: op.0,
                    slot: slot.number(),
                    epoch: epoch.0,
                    kind: Some(operation(kind)),
                };
                (number, Kind::Operation(operation))
            }
            ToServer::Everywhere { number, op, kind } => {
                (number, Kind::Everywhere(everywhere(op, kind)))
            }
            ToServer::Claims {
                number,
                slot,
                epoch,
                claims,
                done,
            } => {
                let claims = wire::SlotClaims {
                    slot: slot.number(),
                    epoch: epoch.0,
                    claims: claims.into_iter().map(claim).collect(),
                    done,
                };
                (number, Kind::Claims(claims))
            }
            // Only reading makes one, and it has nothing left of what was read: no kind says so.
            ToServer::Unreadable { number, op, .. } => {
                let operation = wire::SlotOperation {
                    op: op.0,
                    ..wire::SlotOperation::default()
                };
                (number, Kind::Operation(operation))
            }
        };
        let kind = Some(kind);
        wire.items.push(wire::ToServerItem { number, kind });
    }
    wire
}

fn trace((op, context): (OpId, TraceContext)) -> wire::OperationTrace {
    wire::OperationTrace {
        op: op.0,
        trace: Bytes::copy_from_slice(&context.trace.to_be_bytes()),
        span: context.span,
    }
}

fn hello(hello: &Hello) -> wire::StreamHello {
    wire::StreamHello {
        version_min: hello.versions.min,
        version_max: hello.versions.max,
        session: hello.session.0,
        nonce: nonce(hello.nonce),
        generation: hello.generation,
        incarnation: hello.incarnation.map(|incarnation| incarnation.0),
        after: hello.after,
    }
}

fn operation(kind: OperationKind) -> wire::slot_operation::Kind {
    use wire::slot_operation::Kind;

    match kind {
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
            mode: words::mode(mode).into(),
            flags: flags.bits(),
            owner: owner.0,
        }),
        OperationKind::Convert {
            lock,
            mode,
            flags,
            owner,
            value: given,
        } => Kind::Convert(wire::Convert {
            lock: lock.0,
            mode: words::mode(mode).into(),
            flags: flags.bits(),
            owner: owner.0,
            value: value(given.as_ref()),
        }),
        OperationKind::Unlock {
            lock,
            flags,
            value: given,
        } => Kind::Unlock(wire::Unlock {
            lock: lock.0,
            flags: flags.bits(),
            value: value(given.as_ref()),
        }),
        OperationKind::Cancel { lock } => Kind::Cancel(wire::Cancel { lock: lock.0 }),
    }
}

fn value(value: Option<&ValueBlock>) -> Option<Bytes> {
    value.map(value_bytes)
}

fn everywhere(op: OpId, kind: EverywhereKind) -> wire::EverywhereOperation {
    use wire::everywhere_operation::Kind;

    let kind = match kind {
        EverywhereKind::OwnerEnded { owner } => {
            Kind::OwnerEnded(wire::OwnerEnded { owner: owner.0 })
        }
        EverywhereKind::PurgeOrphans { lockspace, owner } => {
            Kind::PurgeOrphans(wire::PurgeOrphans {
                lockspace: lockspace.0,
                owner: owner.map(|owner| owner.0),
            })
        }
        EverywhereKind::LeaveLockspace { lockspace } => {
            Kind::LeaveLockspace(wire::LeaveLockspace {
                lockspace: lockspace.0,
            })
        }
    };
    wire::EverywhereOperation {
        op: op.0,
        kind: Some(kind),
    }
}

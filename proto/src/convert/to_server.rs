//! What a server reads on a stream.

use dlm_core::link::{EverywhereKind, Hello, OperationKind, ToServer};
use dlm_core::{
    Epoch, Incarnation, LockId, LockspaceId, OpId, Owner, Refusal, RequestFlags, ResourceName,
    SessionId, ValueBlock,
};
use prost::bytes::Bytes;

use super::claims::claim;
use super::cluster::{nonce, slot_id};
use super::holders::report;
use super::mode;
use crate::error::WireError;
use crate::limits::OPERATIONS_PER_FRAME_MAX;
use crate::link::ToServerFrame;
use crate::trace::TraceContext;
use crate::wire;

/// What a session sends. An operation that is asked for in vain is read as
/// [`ToServer::Unreadable`].
///
/// # Errors
/// [`WireError::HelloNotAlone`], [`WireError::OperationsTooMany`], [`WireError::ItemKind`],
/// [`WireError::OperationKind`], or what is wrong with a part of it.
pub fn to_server_frame(frame: wire::ToServerFrame) -> Result<ToServerFrame, WireError> {
    let alone = frame.items.is_empty()
        && frame.acknowledge.is_none()
        && frame.holders.is_none()
        && frame.glocks.is_none()
        && frame.traces.is_empty();
    if frame.hello.is_some() && !alone {
        return Err(WireError::HelloNotAlone);
    }
    // Before anything is made of it.
    let count: usize = frame.items.iter().map(entries_of).sum();
    let count = count.max(frame.traces.len());
    if count > OPERATIONS_PER_FRAME_MAX {
        return Err(WireError::OperationsTooMany { count });
    }
    let mut messages = Vec::with_capacity(frame.items.len() + 1);
    if let Some(wire) = frame.hello {
        messages.push(ToServer::Hello(hello(&wire)?));
    }
    for each in frame.items {
        messages.push(item(each)?);
    }
    let acknowledge = frame.acknowledge;
    messages.extend(acknowledge.map(|sequence| ToServer::Acknowledge { sequence }));
    Ok(ToServerFrame {
        messages,
        holders: frame.holders.map(report).transpose()?,
        glocks: frame.glocks.map(super::glocks::report).transpose()?,
        traces: frame.traces.iter().map(trace).collect::<Result<_, _>>()?,
    })
}

fn trace(wire: &wire::OperationTrace) -> Result<(OpId, TraceContext), WireError> {
    let trace = <[u8; 16]>::try_from(&wire.trace[..]).map(u128::from_be_bytes);
    let context = TraceContext::new(trace.unwrap_or_default(), wire.span);
    Ok((OpId(wire.op), context.ok_or(WireError::Trace)?))
}

/// As [`ToServerFrame::entries_of`].
fn entries_of(item: &wire::ToServerItem) -> usize {
    match &item.kind {
        Some(wire::to_server_item::Kind::Claims(of)) => (2 * of.claims.len()).max(1),
        _ => 1,
    }
}

fn hello(wire: &wire::StreamHello) -> Result<Hello, WireError> {
    Ok(Hello {
        versions: dlm_core::cluster::Versions {
            min: wire.version_min,
            max: wire.version_max,
        },
        session: SessionId(wire.session),
        nonce: nonce(&wire.nonce)?,
        generation: wire.generation,
        incarnation: wire.incarnation.map(Incarnation),
        after: wire.after,
    })
}

fn item(wire: wire::ToServerItem) -> Result<ToServer, WireError> {
    use wire::to_server_item::Kind;

    let number = wire.number;
    match wire.kind.ok_or(WireError::ItemKind { number })? {
        Kind::Operation(wire) => operation(number, wire),
        Kind::Everywhere(wire) => {
            let op = OpId(wire.op);
            let kind = wire.kind.ok_or(WireError::OperationKind { op: op.0 })?;
            let kind = everywhere(&kind);
            Ok(ToServer::Everywhere { number, op, kind })
        }
        Kind::Claims(wire) => Ok(ToServer::Claims {
            number,
            slot: slot_id(wire.slot)?,
            epoch: Epoch(wire.epoch),
            claims: wire
                .claims
                .into_iter()
                .map(claim)
                .collect::<Result<_, _>>()?,
            done: wire.done,
        }),
    }
}

fn operation(number: u64, wire: wire::SlotOperation) -> Result<ToServer, WireError> {
    use wire::slot_operation::Kind;

    let op = OpId(wire.op);
    let slot = slot_id(wire.slot)?;
    let epoch = Epoch(wire.epoch);
    let kind = wire.kind.ok_or(WireError::OperationKind { op: op.0 })?;
    let (lock, kind) = match kind {
        Kind::Request(wire) => (wire.lock, request(&wire)?),
        Kind::Convert(wire) => (wire.lock, convert(wire)?),
        Kind::Unlock(wire) => (wire.lock, unlock(wire)),
        Kind::Cancel(wire) => {
            let lock = LockId(wire.lock);
            (wire.lock, Ok(OperationKind::Cancel { lock }))
        }
    };
    Ok(match kind {
        Ok(kind) => ToServer::Operation {
            number,
            op,
            slot,
            epoch,
            kind,
        },
        Err(why) => ToServer::Unreadable {
            number,
            op,
            lock: LockId(lock),
            why,
        },
    })
}

type InVain<T> = Result<T, Refusal>;

fn request(wire: &wire::Request) -> Result<InVain<OperationKind>, WireError> {
    let mode = mode(wire.mode)?;
    let name = ResourceName::new(&wire.name);
    Ok(name.map(|name| OperationKind::Request {
        lockspace: LockspaceId(wire.lockspace),
        lock: LockId(wire.lock),
        name,
        mode,
        flags: RequestFlags::from_bits_retain(wire.flags),
        owner: Owner(wire.owner),
    }))
}

fn convert(wire: wire::Convert) -> Result<InVain<OperationKind>, WireError> {
    let mode = mode(wire.mode)?;
    Ok(value(wire.value).map(|value| OperationKind::Convert {
        lock: LockId(wire.lock),
        mode,
        flags: RequestFlags::from_bits_retain(wire.flags),
        owner: Owner(wire.owner),
        value,
    }))
}

fn unlock(wire: wire::Unlock) -> InVain<OperationKind> {
    Ok(OperationKind::Unlock {
        lock: LockId(wire.lock),
        flags: RequestFlags::from_bits_retain(wire.flags),
        value: value(wire.value)?,
    })
}

fn value(bytes: Option<Bytes>) -> InVain<Option<ValueBlock>> {
    bytes.map(|bytes| ValueBlock::new(&bytes)).transpose()
}

fn everywhere(wire: &wire::everywhere_operation::Kind) -> EverywhereKind {
    use wire::everywhere_operation::Kind;

    match wire {
        Kind::OwnerEnded(ended) => EverywhereKind::OwnerEnded {
            owner: Owner(ended.owner),
        },
        Kind::PurgeOrphans(purge) => EverywhereKind::PurgeOrphans {
            lockspace: LockspaceId(purge.lockspace),
            owner: purge.owner.map(Owner),
        },
        Kind::LeaveLockspace(leave) => EverywhereKind::LeaveLockspace {
            lockspace: LockspaceId(leave.lockspace),
        },
    }
}

#[cfg(test)]
mod tests;

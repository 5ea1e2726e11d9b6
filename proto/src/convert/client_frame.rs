//! What a server reads.

use dlm_core::{LockId, LockspaceId, OpId, Owner, Refusal, RequestFlags, ResourceName, ValueBlock};
use prost::bytes::Bytes;

use super::holders::report;
use super::{lockspace_options, mode};
use crate::error::WireError;
use crate::frame::{
    ClientFrame, Hello, LockspaceRefusal, Operation, OperationKind, RefusedOperation,
};
use crate::limits::OPERATIONS_PER_FRAME_MAX;
use crate::name::Name;
use crate::version::VersionRange;
use crate::wire;

/// A client's frame, with those of its operations apart that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedClientFrame {
    /// The frame, without them.
    pub frame: ClientFrame,
    /// They.
    pub refused: Vec<RefusedOperation>,
}

/// The first frame of a client.
///
/// # Errors
/// [`WireError::HelloMissing`], [`WireError::HelloNotAlone`], or what is wrong with the name.
pub fn hello(frame: wire::ClientFrame) -> Result<Hello, WireError> {
    let hello = frame.hello.ok_or(WireError::HelloMissing)?;
    if !frame.operations.is_empty()
        || frame.holders.is_some()
        || frame.glocks.is_some()
        || frame.goodbye
    {
        return Err(WireError::HelloNotAlone);
    }
    Ok(Hello {
        versions: VersionRange {
            min: hello.version_min,
            max: hello.version_max,
        },
        name: Name::new(hello.name)?,
    })
}

/// Any frame of a client but the first.
///
/// # Errors
/// Any [`WireError`] but those about the first frame and the server's.
pub fn client_frame(frame: wire::ClientFrame) -> Result<ParsedClientFrame, WireError> {
    if frame.hello.is_some() {
        return Err(WireError::HelloAgain);
    }
    let count = frame.operations.len();
    if count > OPERATIONS_PER_FRAME_MAX {
        return Err(WireError::OperationsTooMany { count });
    }
    let mut operations = Vec::with_capacity(count);
    let mut refused = Vec::new();
    let mut before = None;
    for wire in frame.operations {
        let op = wire.op;
        if let Some(before) = before.filter(|&before| before >= op) {
            return Err(WireError::OperationOrder { op, before });
        }
        before = Some(op);
        match operation(wire)? {
            Ok(operation) => operations.push(operation),
            Err(refusal) => refused.push(refusal),
        }
    }
    Ok(ParsedClientFrame {
        frame: ClientFrame {
            operations,
            report: frame.holders.map(report).transpose()?,
            glocks: frame.glocks.map(super::glocks::report).transpose()?,
            goodbye: frame.goodbye,
        },
        refused,
    })
}

/// What an operation asks for in vain.
enum InVain {
    Lock(u64, Refusal),
    Lockspace(LockspaceRefusal),
}

fn operation(wire: wire::Operation) -> Result<Result<Operation, RefusedOperation>, WireError> {
    use wire::operation::Kind;

    let op = OpId(wire.op);
    let kind = match wire.kind.ok_or(WireError::OperationKind { op: op.0 })? {
        Kind::OpenLockspace(open) => open_lockspace(open).map_err(InVain::Lockspace),
        Kind::Request(wire) => request(wire)?,
        Kind::Convert(wire) => convert(wire)?,
        Kind::Unlock(unlock) => {
            value(unlock.lock, unlock.value).map(|value| OperationKind::Unlock {
                lock: LockId(unlock.lock),
                flags: RequestFlags::from_bits_retain(unlock.flags),
                value,
            })
        }
        Kind::Cancel(cancel) => Ok(OperationKind::Cancel {
            lock: LockId(cancel.lock),
        }),
        Kind::OwnerEnded(ended) => Ok(OperationKind::OwnerEnded {
            owner: Owner(ended.owner),
        }),
        Kind::PurgeOrphans(purge) => Ok(OperationKind::PurgeOrphans {
            lockspace: LockspaceId(purge.lockspace),
            owner: purge.owner.map(Owner),
        }),
        Kind::LeaveLockspace(leave) => Ok(OperationKind::LeaveLockspace {
            lockspace: LockspaceId(leave.lockspace),
        }),
    };
    Ok(match kind {
        Ok(kind) => Ok(Operation { op, kind }),
        Err(InVain::Lock(lock, refusal)) => Err(RefusedOperation::Lock {
            op,
            lock: LockId(lock),
            refusal,
        }),
        Err(InVain::Lockspace(why)) => Err(RefusedOperation::Lockspace { op, why }),
    })
}

fn open_lockspace(wire: wire::OpenLockspace) -> Result<OperationKind, LockspaceRefusal> {
    let name = Name::new(wire.name).map_err(|_| LockspaceRefusal::Name)?;
    let options = wire.options.map(lockspace_options).transpose();
    let options = options.map_err(|_| LockspaceRefusal::ValueLength)?;
    Ok(OperationKind::OpenLockspace { name, options })
}

fn request(wire: wire::Request) -> Result<Result<OperationKind, InVain>, WireError> {
    let mode = mode(wire.mode)?;
    let name = ResourceName::new(&wire.name);
    let in_vain = |refusal| InVain::Lock(wire.lock, refusal);
    Ok(name.map_err(in_vain).map(|name| OperationKind::Request {
        lockspace: LockspaceId(wire.lockspace),
        lock: LockId(wire.lock),
        name,
        mode,
        flags: RequestFlags::from_bits_retain(wire.flags),
        owner: Owner(wire.owner),
    }))
}

fn convert(wire: wire::Convert) -> Result<Result<OperationKind, InVain>, WireError> {
    let mode = mode(wire.mode)?;
    Ok(
        value(wire.lock, wire.value).map(|value| OperationKind::Convert {
            lock: LockId(wire.lock),
            mode,
            flags: RequestFlags::from_bits_retain(wire.flags),
            owner: Owner(wire.owner),
            value,
        }),
    )
}

fn value(lock: u64, bytes: Option<Bytes>) -> Result<Option<ValueBlock>, InVain> {
    let value = bytes.map(|bytes| ValueBlock::new(&bytes)).transpose();
    value.map_err(|refusal| InVain::Lock(lock, refusal))
}

#[cfg(test)]
mod tests;

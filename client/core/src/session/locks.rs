//! The lock book: of every lock what a claim needs.
//!
//! An entry takes 120 bytes beside its name, its value and its place in two search trees. With a glock's
//! name of 24 bytes and no value that is 332 bytes for each of a million locks, as measured.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};

use dlm_core::{LockId, LockspaceId, Mode, OpId, Owner, RequestFlags, ResourceName, SlotId};
use dlm_core::{Status, StatusFlags, Token};

use super::link::{Done, OperationKind};
use dlm_core::recovery::KnownValue;

/// The most locks of a session, held or waited for: as a lock table's default for one session, so that the
/// table of a single server takes them all.
pub const LOCKS_MAX: usize = dlm_core::limits::LOCKS_PER_SESSION_MAX_DEFAULT;

/// One lock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lock {
    pub(super) lockspace: LockspaceId,
    pub(super) name: Box<[u8]>,
    pub(super) owner: Owner,
    /// Of the last request or conversion that was answered.
    pub(super) flags: RequestFlags,
    pub(super) granted: Option<Mode>,
    /// What it holds by the last answer; since then it may have been claimed to hold less.
    pub(super) told: Option<Mode>,
    pub(super) token: Token,
    pub(super) orphan: bool,
    /// A request or conversion that was accepted came with `VALBLK`: values can be stored through it.
    pub(super) uses_values: bool,
    /// A conversion with `VALBLK` was refused: values can be stored from the next one on, as in fs/dlm.
    pub(super) asked_values: bool,
    pub(super) value_sequence: u64,
    pub(super) value: Option<Box<KnownValue>>,
    /// The request that made it: the order of claims.
    pub(super) first: OpId,
    /// What is in progress.
    pub(super) pending: Pending,
}

/// The operations in progress on a lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Pending {
    /// The request or conversion.
    pub(super) main: Option<OpId>,
    pub(super) cancel: Option<OpId>,
    pub(super) unlock: Option<OpId>,
}

impl Pending {
    pub(super) const fn any(self) -> bool {
        self.main.is_some() || self.cancel.is_some() || self.unlock.is_some()
    }
}

impl Lock {
    pub(super) fn slot(&self) -> SlotId {
        SlotId::of(self.lockspace, &self.resource())
    }

    pub(super) fn resource(&self) -> ResourceName {
        match ResourceName::new(&self.name) {
            Ok(name) => name,
            Err(_) => unreachable!("the bytes are those of a name"),
        }
    }

    /// Takes the end of an operation on it.
    pub(super) fn done(&mut self, kind: &OperationKind, done: &Done) {
        match *kind {
            OperationKind::Request { flags, owner, .. } => {
                (self.granted, self.told) = (done.mode, done.mode);
                self.accepted(flags, owner, done);
            }
            OperationKind::Convert { flags, owner, .. } => {
                let from = self.granted;
                if matches!(done.status, Status::Refused(_)) {
                    self.asked_values |= flags.contains(RequestFlags::VALBLK);
                    return;
                }
                self.accepted(flags, owner, done);
                match done.status {
                    Status::Unlocked => self.granted = None,
                    // A master that recovers answers a try without looking at the lock.
                    _ => {
                        self.granted = done.mode.or(self.granted);
                        self.told = done.mode.or(self.told);
                    }
                }
                if done.status == Status::Granted {
                    self.stored(kind, from, done);
                }
            }
            OperationKind::Unlock { .. } => {
                if done.status == Status::Unlocked {
                    self.granted = None;
                }
            }
            OperationKind::Cancel { .. } => {
                // The master remembers it until a conversion comes, and so will the next one.
                if !matches!(done.status, Status::Refused(_)) {
                    self.flags |= RequestFlags::CANCEL;
                }
            }
        }
    }

    fn accepted(&mut self, flags: RequestFlags, owner: Owner, done: &Done) {
        self.flags = flags;
        self.owner = owner;
        self.uses_values |= self.asked_values || flags.contains(RequestFlags::VALBLK);
        if done.mode.is_some() && done.token != Token(0) {
            self.token = done.token;
        }
        self.value_sequence = self.value_sequence.max(done.value_sequence);
        if let Some((sequence, bytes)) = &done.value {
            self.value_sequence = self.value_sequence.max(*sequence);
            self.value = Some(Box::new(KnownValue {
                sequence: *sequence,
                bytes: bytes.clone(),
                valid: !done.flags.contains(StatusFlags::VALNOTVALID),
            }));
        }
    }

    /// A conversion from `from` was granted; what it stored is known.
    fn stored(&mut self, kind: &OperationKind, from: Option<Mode>, done: &Done) {
        if let Some(Stores::Value(bytes)) = converts(kind, from, done.mode) {
            self.value = Some(Box::new(KnownValue {
                sequence: done.value_sequence,
                bytes,
                valid: true,
            }));
        }
    }
}

/// What an operation does to the resource's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stores {
    /// It is this one.
    Value(dlm_core::ValueBlock),
    /// It is not valid.
    Invalid,
}

/// What a conversion from `from` that was granted `to` does to the resource's value. Only its own flags
/// count, and with `VALBLK` among them values can be stored.
pub(super) fn converts(
    kind: &OperationKind,
    from: Option<Mode>,
    to: Option<Mode>,
) -> Option<Stores> {
    use dlm_core::value::Transfer;
    let OperationKind::Convert { flags, value, .. } = kind else {
        return None;
    };
    let writes = Transfer::of(Some(from?), to?) == Transfer::Write;
    writes.then(|| stores(*flags, value.as_ref())).flatten()
}

/// What an unlock of a lock that holds `from` does to the resource's value. The flags of the last request or
/// conversion that was accepted, `before`, count with its own; values can be stored only where one of them
/// all came with `VALBLK` (`uses_values`), as in fs/dlm.
pub(super) fn unlocks(
    kind: &OperationKind,
    from: Option<Mode>,
    (before, uses_values): (RequestFlags, bool),
) -> Option<Stores> {
    let OperationKind::Unlock { flags, value, .. } = kind else {
        return None;
    };
    if !matches!(from, Some(Mode::Pw | Mode::Ex)) {
        return None;
    }
    stores(*flags | before, value.as_ref().filter(|_| uses_values))
}

fn stores(flags: RequestFlags, value: Option<&dlm_core::ValueBlock>) -> Option<Stores> {
    if flags.contains(RequestFlags::IVVALBLK) {
        return Some(Stores::Invalid);
    }
    let value = value.filter(|_| flags.contains(RequestFlags::VALBLK))?;
    Some(Stores::Value(value.clone()))
}

/// All locks.
#[derive(Clone, Debug, Default)]
pub(super) struct Book {
    locks: BTreeMap<LockId, Lock>,
    by_slot: BTreeSet<(SlotId, OpId, LockId)>,
}

impl Book {
    pub(super) fn len(&self) -> usize {
        self.locks.len()
    }

    pub(super) fn get(&self, lock: LockId) -> Option<&Lock> {
        self.locks.get(&lock)
    }

    pub(super) fn get_mut(&mut self, lock: LockId) -> Option<&mut Lock> {
        self.locks.get_mut(&lock)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (LockId, &Lock)> {
        self.locks.iter().map(|(&id, lock)| (id, lock))
    }

    pub(super) fn insert(&mut self, id: LockId, lock: Lock) {
        self.by_slot.insert((lock.slot(), lock.first, id));
        self.locks.insert(id, lock);
    }

    pub(super) fn remove(&mut self, id: LockId) -> Option<Lock> {
        let lock = self.locks.remove(&id)?;
        self.by_slot.remove(&(lock.slot(), lock.first, id));
        Some(lock)
    }

    /// The locks in a slot in the order in which they were asked for.
    pub(super) fn in_slot(&self, slot: SlotId) -> impl Iterator<Item = LockId> {
        let first = (slot, OpId(0), LockId(0));
        let last = (slot, OpId(u64::MAX), LockId(u64::MAX));
        self.by_slot.range(first..=last).map(|&(_, _, lock)| lock)
    }

    /// Whether the search trees say the same.
    pub(super) fn is_indexed(&self) -> bool {
        let there =
            |(&id, lock): (&LockId, &Lock)| self.by_slot.contains(&(lock.slot(), lock.first, id));
        self.by_slot.len() == self.locks.len() && self.locks.iter().all(there)
    }
}

// A million entries are what the head of this file says.
const _: () = assert!(size_of::<Lock>() <= 120);

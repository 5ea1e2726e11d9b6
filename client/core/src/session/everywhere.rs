//! Operations on many locks: one to every master, until each slot has had it under an epoch that lasted.
//!
//! A server applies it to the slots that it masters at that moment. Which these are follows from what the
//! client knows: slots that the server was known to have before it was sent, and whose epoch is still the
//! same when the answer comes. A slot that moved meanwhile gets it again from its new master.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use dlm_core::cluster::CommandRefusal;
use dlm_core::{Epoch, LockId, OpId, Owner, RequestFlags, ServerId, SlotId, Tick};

use super::call::Call;
use super::calls::Job;
use super::event::{Answer, Failure, Output, Ticket};
use super::link::{EverywhereKind, ToServer};
use super::locks::Lock;
use super::{Phase, Session, fail};

/// The most such operations at once: each ends a task or a lockspace.
pub const EVERYWHERE_MAX: usize = 4096;

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Everywhere {
    pub(super) ticket: Ticket,
    pub(super) kind: EverywhereKind,
    /// Slots that have not had it.
    pub(super) missing: BTreeSet<SlotId>,
    /// Where it is under way, and for which slots in which epoch.
    under_way: BTreeMap<ServerId, Vec<(SlotId, Epoch)>>,
    /// Slots that may have had it.
    sent: BTreeSet<SlotId>,
    locks: u64,
}

impl Everywhere {
    /// Whether it may have taken a lock away that was asked for before it.
    pub(super) fn may_have_taken(&self, op: OpId, slot: SlotId, lock: &Lock, owner: Owner) -> bool {
        self.sent.contains(&slot) && takes(self.kind, op, lock, owner)
    }
}

/// Whether such an operation takes a lock away.
fn takes(kind: EverywhereKind, op: OpId, lock: &Lock, owner: Owner) -> bool {
    let matches = match kind {
        EverywhereKind::OwnerEnded { owner: ended } => {
            owner == ended && !lock.orphan && !lock.flags.contains(RequestFlags::PERSISTENT)
        }
        EverywhereKind::PurgeOrphans {
            lockspace,
            owner: of,
        } => lock.orphan && lock.lockspace == lockspace && of.is_none_or(|of| of == lock.owner),
        EverywhereKind::LeaveLockspace { lockspace } => lock.lockspace == lockspace,
    };
    matches && lock.first < op
}

impl Session {
    pub(super) fn everywhere(
        &mut self,
        ticket: Ticket,
        kind: EverywhereKind,
        out: &mut Vec<Output>,
    ) {
        let failure = match self.phase {
            Phase::Joining => Some(Failure::NotJoined),
            Phase::Leaving | Phase::Over => Some(Failure::Over),
            Phase::Live if self.everywhere.len() >= EVERYWHERE_MAX => Some(Failure::Operations),
            Phase::Live => None,
        };
        if let Some(failure) = failure {
            return fail(ticket, failure, out);
        }
        if let EverywhereKind::LeaveLockspace { lockspace } = kind {
            match self.spaces.get_mut(&lockspace) {
                Some(space) if !space.leaving => space.leaving = true,
                _ => {
                    let why = CommandRefusal::LockspaceNotOpen;
                    return fail(ticket, Failure::Refused(why), out);
                }
            }
        }
        let op = OpId(self.next_op);
        self.next_op += 1;
        // A slot in which no lock was ever asked for has none to take away.
        let missing: BTreeSet<SlotId> = SlotId::all()
            .filter(|&slot| self.book.in_slot(slot).next().is_some())
            .collect();
        let one = Everywhere {
            ticket,
            kind,
            missing,
            under_way: BTreeMap::new(),
            sent: BTreeSet::new(),
            locks: 0,
        };
        self.everywhere.insert(op, one);
        self.stirred = true;
    }

    /// Sends them to every master that has slots which have not had them; ends those that all have had.
    pub(super) fn send_everywhere(&mut self, now: Tick, out: &mut Vec<Output>) {
        let ops: Vec<OpId> = self.everywhere.keys().copied().collect();
        for op in ops {
            self.send_one(op, out);
            let ended = |one: &Everywhere| one.missing.is_empty();
            if self.everywhere.get(&op).is_some_and(ended)
                && let Some(one) = self.everywhere.remove(&op)
            {
                self.everywhere_ended(now, &one, out);
            }
        }
    }

    fn send_one(&mut self, op: OpId, out: &mut Vec<Output>) {
        let Some(one) = self.everywhere.get(&op) else {
            return;
        };
        let (kind, missing) = (one.kind, one.missing.clone());
        let mut servers: BTreeMap<ServerId, Vec<(SlotId, Epoch)>> = BTreeMap::new();
        for slot in missing {
            let place = self.map.slot(slot);
            let (epoch, master) = (place.epoch, place.master.as_ref());
            let Some(server) = master.map(|master| master.server) else {
                continue;
            };
            // Operations that were asked for before are sent before.
            let waits = self.owes_claims(slot) || self.has_unsent(slot);
            if !waits && self.stream_of(slot).is_some() {
                servers.entry(server).or_default().push((slot, epoch));
            }
        }
        for (server, slots) in servers {
            let Some(one) = self.everywhere.get_mut(&op) else {
                return;
            };
            if one.under_way.contains_key(&server) {
                continue;
            }
            one.sent.extend(slots.iter().map(|&(slot, _)| slot));
            one.under_way.insert(server, slots);
            if let Some(stream) = self.streams.get_mut(&server) {
                stream.send(|number| ToServer::Everywhere { number, op, kind }, out);
            }
        }
    }

    fn has_unsent(&self, slot: SlotId) -> bool {
        let range = (slot, OpId(0))..=(slot, OpId(u64::MAX));
        self.unsent.range(range).next().is_some()
    }

    /// Another process has nothing of what the one before it was told.
    pub(super) fn everywhere_forgotten(&mut self, server: ServerId) {
        for one in self.everywhere.values_mut() {
            one.under_way.remove(&server);
        }
    }

    pub(super) fn purged(&mut self, server: ServerId, op: OpId, locks: u32) {
        let Some(one) = self.everywhere.get_mut(&op) else {
            return;
        };
        let Some(slots) = one.under_way.remove(&server) else {
            return;
        };
        one.locks += u64::from(locks);
        let kind = one.kind;
        self.stirred = true;
        for (slot, epoch) in slots {
            if self.map.slot(slot).epoch != epoch {
                continue;
            }
            one.missing.remove(&slot);
            let gone = self.book.in_slot(slot).filter(|&id| {
                let taken = |lock: &Lock| !lock.pending.any() && takes(kind, op, lock, lock.owner);
                self.book.get(id).is_some_and(taken)
            });
            let gone: Vec<LockId> = gone.collect();
            for lock in gone {
                self.book.remove(lock);
            }
        }
    }

    fn everywhere_ended(&mut self, now: Tick, one: &Everywhere, out: &mut Vec<Output>) {
        let (ticket, locks) = (one.ticket, one.locks);
        if let EverywhereKind::LeaveLockspace { lockspace } = one.kind {
            let call = Call::LeaveLockspace {
                session: self.id,
                nonce: self.config.nonce,
                lockspace,
            };
            self.calls
                .begin(now, Job::Leave(ticket, lockspace, locks), call);
        } else {
            let answer = Answer::Purged { locks };
            out.push(Output::Answer { ticket, answer });
        }
    }
}

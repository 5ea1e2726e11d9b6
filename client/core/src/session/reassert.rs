//! What a session has in a slot whose master was lost, for the one that comes after it.
//!
//! The table at [`Claim`] says what becomes of each operation that was sent and not answered.
//! From then on a lock holds no more than was claimed.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use dlm_core::{Epoch, LockId, Mode, OpId, Owner, RequestFlags, SlotId};

use super::Session;
use super::event::Output;
use super::link::{OperationKind, ToServer};
use super::locks::{Lock, Stores, converts, unlocks};
use super::map::Claims;
use super::operations::Op;
use dlm_core::recovery::{Claim, KnownValue, Stands, surely_held};

/// The most claims in a message: with names and values of the largest size some 400 kilobytes.
pub const CLAIMS_PER_MESSAGE_MAX: usize = 1024;

/// The most slots whose claims are on their way to one server at once: a session with a million locks has
/// four thousand in each, and does not build them all up in memory.
pub const CLAIMED_SLOTS_MAX: usize = 16;

/// What is to be said of one lock.
struct Said {
    claim: Option<Claim>,
    /// What the lock holds from now on.
    held: Option<Mode>,
    /// Operations that the claim names: the master answers them.
    named: Vec<OpId>,
    /// Whether an operation on many locks took it away.
    taken: bool,
}

impl Session {
    pub(super) fn owes_claims(&self, slot: SlotId) -> bool {
        self.map.slot(slot).claims == Claims::Owed
    }

    /// Sends what is owed to masters that are in reach.
    pub(super) fn claim_all(&mut self, out: &mut Vec<Output>) {
        let owed: Vec<SlotId> = self
            .map
            .slots()
            .filter(|(_, slot)| slot.claims == Claims::Owed)
            .map(|(slot, _)| slot)
            .collect();
        for slot in owed {
            let has_room = |stream: &mut super::Stream| stream.claiming.len() < CLAIMED_SLOTS_MAX;
            if self.stream_of(slot).is_some_and(has_room) {
                self.claim_slot(slot, out);
            }
        }
    }

    fn claim_slot(&mut self, slot: SlotId, out: &mut Vec<Output>) {
        let claims = self.say(slot, out);
        let place = self.map.slot_mut(slot);
        place.claims = Claims::None;
        place.floor = place.epoch;
        let epoch = place.epoch;
        let Some(stream) = self.stream_of(slot) else {
            return;
        };
        stream.claiming.insert(slot);
        let mut claims = claims.into_iter().peekable();
        loop {
            let some: Vec<Claim> = claims.by_ref().take(CLAIMS_PER_MESSAGE_MAX).collect();
            let done = claims.peek().is_none();
            stream.send(
                |number| claims_message(number, (slot, epoch), some, done),
                out,
            );
            if done {
                break;
            }
        }
    }

    /// The claims for a slot. What they do not name is to be sent again.
    pub(super) fn say(&mut self, slot: SlotId, out: &mut Vec<Output>) -> Vec<Claim> {
        let locks: Vec<LockId> = self.book.in_slot(slot).collect();
        let mut named = BTreeSet::new();
        let mut claims = Vec::with_capacity(locks.len());
        for id in locks {
            let Some(lock) = self.book.get(id) else {
                continue;
            };
            let said = self.say_of(id, slot, lock);
            named.extend(said.named);
            let Some(lock) = self.book.get_mut(id) else {
                continue;
            };
            if let Some(claim) = &said.claim
                && matches!(claim.stands, Stands::Granted { .. })
            {
                // What a conversion down stored: it is claimed again if this master is lost, too.
                lock.value_sequence = claim.value_sequence;
                lock.value = claim.value.clone().map(Box::new);
            }
            claims.extend(said.claim);
            if said.taken {
                self.book.remove(id);
                continue;
            }
            let before = core::mem::replace(&mut lock.granted, said.held);
            // What goes down was given up by its holder; what was to go up was not.
            let main = lock.pending.main.and_then(|op| self.ops.get(&op));
            if before != said.held
                && let (Some(mode), Some(before)) = (said.held, before)
                && !main.is_some_and(|op| goes_down(&op.kind, before))
            {
                out.push(Output::Weakened { lock: id, mode });
            }
        }
        for op in self.ops_in(slot) {
            let Some(entry) = self.ops.get_mut(&op) else {
                continue;
            };
            entry.sent = named.contains(&op);
            entry.moved = false;
            if entry.sent {
                self.unsent.remove(&(slot, op));
            } else {
                entry.serial = None;
                self.unsent.insert((slot, op));
            }
        }
        claims
    }

    fn say_of(&self, id: LockId, slot: SlotId, lock: &Lock) -> Said {
        let sent = |op: Option<OpId>| {
            let op = op?;
            let entry = self.ops.get(&op)?;
            entry.sent.then_some((op, entry))
        };
        let (main, unlock) = (sent(lock.pending.main), sent(lock.pending.unlock));
        let owner = main.map_or(lock.owner, |(_, op)| {
            owner_of(&op.kind).unwrap_or(lock.owner)
        });
        let mut taken = self.everywhere.iter();
        let taken = taken.find(|(op, one)| one.may_have_taken(**op, slot, lock, owner));
        let mut claim = plain(id, lock, main.map(|(_, op)| op), owner);
        let given_up = unlock
            .map(|(op, _)| op)
            .or_else(|| taken.map(|(&op, _)| op));
        if let Some(op) = given_up {
            let ends = main.map(|(op, _)| op);
            claim.stands = Stands::Unlocked { op, ends };
            // A conversion down that it ends was done before it.
            let main = main.map(|(_, op)| &op.kind);
            let down = main.filter(|kind| lock.granted.is_some_and(|from| goes_down(kind, from)));
            let wanted = down.and_then(wanted_of);
            let converted = down.and_then(|kind| converts(kind, lock.granted, wanted));
            store(&mut claim, converted);
            let from = wanted.or(lock.granted);
            let before = (claim.flags, claim.uses_values);
            let stored = unlock.map(|(_, op)| unlocks(&op.kind, from, before));
            let invalid = matches!(from, Some(Mode::Pw | Mode::Ex)).then_some(Stores::Invalid);
            store(&mut claim, stored.unwrap_or(invalid));
            if let Some((_, op)) = unlock
                && let OperationKind::Unlock { flags, .. } = &op.kind
            {
                claim.flags |= *flags;
            }
            return Said {
                claim: Some(claim),
                held: lock.granted,
                named: ends.into_iter().chain([op]).collect(),
                taken: taken.is_some() && unlock.is_none(),
            };
        }
        said_of_main(claim, lock, main)
    }
}

fn claims_message(
    number: u64,
    (slot, epoch): (SlotId, Epoch),
    claims: Vec<Claim>,
    done: bool,
) -> ToServer {
    ToServer::Claims {
        number,
        slot,
        epoch,
        claims,
        done,
    }
}

/// What is said of a lock that is not given up.
fn said_of_main(mut claim: Claim, lock: &Lock, main: Option<(OpId, &Op)>) -> Said {
    match (lock.granted, main) {
        (Some(mode), None) => {
            claim.stands = Stands::Granted {
                mode,
                unanswered: None,
            };
            said(Some(claim), Some(mode), None)
        }
        (Some(from), Some((op, entry))) => said_of_conversion(claim, lock, from, (op, entry)),
        (None, Some((op, entry))) => match entry.kind {
            OperationKind::Request { mode, flags, .. }
                if !flags.intersects(RequestFlags::NOQUEUE | RequestFlags::ORPHAN) =>
            {
                claim.stands = Stands::Waiting {
                    wanted: mode,
                    op,
                    serial: entry.serial,
                };
                said(Some(claim), None, Some(op))
            }
            _ => said(None, None, None),
        },
        (None, None) => said(None, None, None),
    }
}

fn said_of_conversion(mut claim: Claim, lock: &Lock, from: Mode, (op, entry): (OpId, &Op)) -> Said {
    let OperationKind::Convert {
        mode: wanted,
        flags,
        value,
        ..
    } = &entry.kind
    else {
        return said(None, Some(from), None);
    };
    let wanted = *wanted;
    if from.is_down_to(wanted) {
        claim.stands = Stands::Granted {
            mode: wanted,
            unanswered: Some(op),
        };
        let stored = converts(&entry.kind, Some(from), Some(wanted));
        store(&mut claim, stored);
        return said(Some(claim), Some(wanted), Some(op));
    }
    let held = surely_held(from, wanted, *flags);
    if flags.contains(RequestFlags::NOQUEUE) {
        claim.flags = lock.flags;
        claim.stands = Stands::Granted {
            mode: held,
            unanswered: None,
        };
        return said(Some(claim), Some(held), None);
    }
    let given = value.clone();
    claim.stands = Stands::Converting {
        held,
        wanted,
        op,
        serial: entry.serial,
        given: given.filter(|_| matches!(from, Mode::Pw | Mode::Ex)),
    };
    said(Some(claim), Some(held), Some(op))
}

fn said(claim: Option<Claim>, held: Option<Mode>, named: Option<OpId>) -> Said {
    Said {
        claim,
        held,
        named: named.into_iter().collect(),
        taken: false,
    }
}

/// A claim without where it stands.
fn plain(id: LockId, lock: &Lock, main: Option<&Op>, owner: Owner) -> Claim {
    let flags = main.and_then(|op| flags_of(&op.kind)).unwrap_or(lock.flags);
    Claim {
        lock: id,
        lockspace: lock.lockspace,
        name: lock.resource(),
        owner,
        flags,
        stands: Stands::Granted {
            mode: Mode::Nl,
            unanswered: None,
        },
        granted: lock.told,
        token: lock.token,
        orphan: lock.orphan,
        uses_values: lock.uses_values
            || flags.contains(RequestFlags::VALBLK)
            || (lock.asked_values && main.is_some()),
        value_sequence: lock.value_sequence,
        value: lock.value.as_deref().cloned(),
    }
}

/// What an unanswered operation did to the value is newer by one than what is known of it.
fn store(claim: &mut Claim, stored: Option<Stores>) {
    let Some(stored) = stored else {
        return;
    };
    let sequence = claim.value_sequence + 1;
    claim.value_sequence = sequence;
    if let Stores::Value(bytes) = stored {
        claim.value = Some(KnownValue {
            sequence,
            bytes,
            valid: true,
        });
    }
}

fn goes_down(kind: &OperationKind, from: Mode) -> bool {
    matches!(kind, OperationKind::Convert { mode, .. } if from.is_down_to(*mode))
}

const fn wanted_of(kind: &OperationKind) -> Option<Mode> {
    match *kind {
        OperationKind::Request { mode, .. } | OperationKind::Convert { mode, .. } => Some(mode),
        _ => None,
    }
}

const fn owner_of(kind: &OperationKind) -> Option<Owner> {
    match *kind {
        OperationKind::Request { owner, .. } | OperationKind::Convert { owner, .. } => Some(owner),
        _ => None,
    }
}

const fn flags_of(kind: &OperationKind) -> Option<RequestFlags> {
    match *kind {
        OperationKind::Request { flags, .. } | OperationKind::Convert { flags, .. } => Some(flags),
        _ => None,
    }
}

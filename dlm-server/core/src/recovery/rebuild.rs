//! A table made of claims.
//!
//! On each resource: what is held; then what waits and was told its position, in that order; then, as if
//! it came now, what was not told one, by session and operation. Conversions are granted regardless of
//! order where they are compatible, as in fs/dlm after a recovery: one that was granted last, without
//! being heard of, still has its old place in the claims. One that would wait for itself is answered so.
//!
//! `HEADQUE` is a place before all others, and stays that.

use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::cmp::Reverse;

use super::claim::{Claim, Stands};
use super::conflicts::{Claims, by_resource};
use super::values::value_of;
use crate::deadlock::Queue;
use crate::flags::{RequestFlags, StatusFlags};
use crate::ids::{LockId, OpId, SessionId, Tick, Token};
use crate::message::Output;
use crate::mode::Mode;
use crate::resource::convert::Conversion;
use crate::resource::pending::{OUT_OF_TURN_CONVERTING, OUT_OF_TURN_WAITING};
use crate::resource::wait::Request;
use crate::resource::{Lock, LockKey, Marks, ResourceKey};
use crate::status::Status;
use crate::table::LockTable;
use crate::table::restore::blank;

type One<'a> = (SessionId, &'a Claim);

/// Puts the claims, which are free of contradictions, into an empty table that knows their sessions.
pub(super) fn rebuild(table: &mut LockTable, now: Tick, claims: &Claims, out: &mut Vec<Output>) {
    let all = by_resource(claims);
    let same = |(_, a): &One<'_>, (_, b): &One<'_>| a.lockspace == b.lockspace && a.name == b.name;
    for on_one in all.chunk_by(same) {
        Rebuild { table, now, out }.resource(on_one);
    }
    for (&session, claims) in claims {
        let order: Vec<LockId> = claims.iter().map(|claim| claim.lock).collect();
        table.order_locks(session, &order);
    }
}

struct Rebuild<'a> {
    table: &'a mut LockTable,
    now: Tick,
    out: &'a mut Vec<Output>,
}

impl Rebuild<'_> {
    fn resource(&mut self, claims: &[One<'_>]) {
        let name = (claims[0].1.lockspace, &claims[0].1.name);
        let length = self.table.value_length(name.0);
        let (value, invalid) = value_of(claims.iter().map(|&(_, claim)| claim), length);
        let place = self.table.restore_resource(name, value, invalid);
        let waiting = answered(claims, self.table.limits.queue_length_max);
        let again = self.held(place, claims, &waiting);
        for &one in &waiting {
            self.restore(place, one, true);
        }
        self.tokens(place, claims);
        self.unlocked(place, claims);
        self.table.restored(self.now, place, self.out);
        for (op, key, one) in again {
            self.again(place, op, key, one);
        }
        self.table.free_if_empty(self.now, place);
    }

    /// Puts everything on the resource that is held and does not wait. What waits without a position is
    /// returned, in the order in which it has to come again.
    fn held<'a>(
        &mut self,
        place: ResourceKey,
        claims: &[One<'a>],
        waiting: &[One<'a>],
    ) -> Vec<(OpId, Option<LockKey>, One<'a>)> {
        let positioned: BTreeSet<(SessionId, LockId)> = waiting
            .iter()
            .map(|&(session, claim)| (session, claim.lock))
            .collect();
        let mut again = Vec::new();
        let mut held: Vec<One<'a>> = claims.to_vec();
        held.sort_by_key(|&(session, claim)| (claim.token, session, claim.lock));
        for one in held {
            let (session, claim) = one;
            if positioned.contains(&(session, claim.lock)) {
                continue;
            }
            let key = claim.held().map(|_| self.restore(place, one, false));
            if let Stands::Converting { op, .. } | Stands::Waiting { op, .. } = claim.stands {
                again.push((op, key, one));
            }
        }
        again.sort_by_key(|&(op, _, (session, _))| (session, op));
        again
    }

    fn restore(&mut self, place: ResourceKey, (session, claim): One<'_>, queues: bool) -> LockKey {
        let mut lock = Lock {
            owner: claim.owner,
            token: claim.token,
            flags: claim.flags,
            granted: claim.held(),
            since: self.now,
            ..blank(session, claim.lock, place)
        };
        lock.marks.set(Marks::ORPHAN, claim.orphan);
        let values = Marks::VALUE_SEEN | Marks::VALUE_ATTACHED;
        lock.marks.set(values, claim.uses_values);
        let mut unstored = None;
        match &claim.stands {
            Stands::Converting {
                held,
                wanted,
                op,
                serial: Some(serial),
                given,
            } if queues => {
                (lock.queue, lock.op, lock.serial) = (Queue::Converting, *op, *serial);
                lock.requested = Some(*wanted);
                lock.status = status_of(claim, *held);
                let out_of_turn = claim.flags.intersects(OUT_OF_TURN_CONVERTING);
                lock.marks.set(Marks::OUT_OF_TURN, out_of_turn);
                unstored = given.clone().filter(|_| *held >= Mode::Pw);
            }
            Stands::Waiting {
                wanted,
                op,
                serial: Some(serial),
            } if queues => {
                (lock.queue, lock.op, lock.serial) = (Queue::Waiting, *op, *serial);
                lock.requested = Some(*wanted);
                lock.token = Token(0);
                let out_of_turn = claim.flags.intersects(OUT_OF_TURN_WAITING);
                lock.marks.set(Marks::OUT_OF_TURN, out_of_turn);
            }
            _ => {
                self.table.counters.serial += 1;
                lock.serial = self.table.counters.serial;
            }
        }
        self.table.restore_lock(place, lock, unstored)
    }

    /// The resource's token. What may have been granted in a stronger mode under the token that it claims
    /// needs a new one; conversions down are answered with it.
    ///
    /// Locks held in PR or CW share a token, and what is weaker joins them under it. So those come first.
    fn tokens(&mut self, place: ResourceKey, claims: &[One<'_>]) {
        let mut later = Vec::new();
        let (mut top, mut shared) = (Token(0), None);
        for &(session, claim) in claims {
            let Some(held) = claim.held() else { continue };
            top = top.max(claim.token);
            let shares = matches!(held, Mode::Pr | Mode::Cw);
            let op = match claim.stands {
                Stands::Granted { unanswered, .. } => unanswered,
                _ => None,
            };
            if shares && claim.is_sure() {
                shared = Some(claim.token);
            }
            if op.is_some() || !claim.is_sure() {
                let answer = op.map(|op| (op, claim.value_sequence));
                later.push((!shares, session, claim.lock, answer));
            }
        }
        later.sort_unstable();
        for (alone, session, lock, answer) in later {
            let Ok(key) = self.table.find(session, lock) else {
                continue;
            };
            let token = self.table.regrant(key, answer, shared, self.out);
            top = top.max(token);
            if !alone {
                shared = Some(token);
            }
        }
        self.table.restore_token(place, shared, top);
    }

    fn unlocked(&mut self, place: ResourceKey, claims: &[One<'_>]) {
        let value_sequence = self.table.resources[place].value_sequence();
        for &(session, claim) in claims {
            let Stands::Unlocked { op, ends } = claim.stands else {
                continue;
            };
            for op in ends.into_iter().chain([op]) {
                self.out.push(Output::Done {
                    session,
                    op,
                    lock: claim.lock,
                    status: Status::Unlocked,
                    mode: None,
                    token: Token(0),
                    flags: StatusFlags::empty(),
                    value: None,
                    value_sequence,
                });
            }
        }
    }

    fn again(&mut self, place: ResourceKey, op: OpId, key: Option<LockKey>, one: One<'_>) {
        let (session, claim) = one;
        match (&claim.stands, key) {
            (
                Stands::Converting {
                    held,
                    wanted,
                    given,
                    ..
                },
                Some(key),
            ) => {
                let conversion = Conversion {
                    op,
                    owner: claim.owner,
                    mode: *wanted,
                    flags: claim.flags,
                    value: given.clone(),
                    status: status_of(claim, *held),
                };
                self.table
                    .convert_again(self.now, key, conversion, self.out);
            }
            (Stands::Waiting { wanted, .. }, _) => {
                let request = Request {
                    session,
                    op,
                    lock: claim.lock,
                    owner: claim.owner,
                    mode: *wanted,
                    flags: claim.flags,
                };
                let request = (&request, claim.uses_values);
                self.table.request_again(self.now, place, request, self.out);
            }
            _ => {}
        }
    }
}

/// What a conversion's answer has to say: it may have been demoted, and its owner reckons with that.
fn status_of(claim: &Claim, held: Mode) -> StatusFlags {
    if claim.flags.contains(RequestFlags::CONVDEADLK) && held == Mode::Nl {
        StatusFlags::DEMOTED
    } else {
        StatusFlags::empty()
    }
}

/// What waits and was told its position, in order; conversions that would keep an earlier one from its
/// mode, and what is more than a queue takes, come again instead.
fn answered<'a>(claims: &[One<'a>], queue_length_max: usize) -> Vec<One<'a>> {
    let mut waiting: Vec<One<'a>> = claims
        .iter()
        .copied()
        .filter(|(_, claim)| claim.serial().is_some())
        .collect();
    waiting.sort_by_key(|&(session, claim)| {
        let serial = claim.serial().unwrap_or_default();
        let first = claim.flags.contains(RequestFlags::HEADQUE);
        let from_front = first.then_some(Reverse(serial));
        (!first, from_front, serial, session, claim.lock)
    });
    let is_out_of_turn = |(_, claim): &One<'_>| {
        claim.held().is_some() && claim.flags.intersects(OUT_OF_TURN_CONVERTING)
    };
    let in_turn = !waiting.iter().any(is_out_of_turn);
    let mut wanted_before: Vec<Mode> = Vec::new();
    waiting.retain(|(_, claim)| {
        let Stands::Converting { held, wanted, .. } = claim.stands else {
            return true;
        };
        let deadlocks = !wanted_before.iter().all(|&before| before.compatible(held));
        if in_turn && deadlocks {
            return false;
        }
        if !wanted_before.contains(&wanted) {
            wanted_before.push(wanted);
        }
        true
    });
    waiting.truncate(queue_length_max);
    waiting
}

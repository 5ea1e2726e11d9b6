//! Something was given up: who of those that queue is granted, in which order.
//!
//! As in fs/dlm (`grant_pending_convert`, `grant_pending_wait`): conversions first, then new requests,
//! each first come first served; new requests only where nobody converts any more. The head of a queue
//! that cannot be granted stops everything behind it, except what may be granted out of its turn
//! (`NOORDER`).
//!
//! So it is enough to look at the head, and a step costs what it costs without the others. That is not
//! so where a queued conversion came to stand before others (`HEADQUE`), may wait in a deadlock
//! (`NODLCKWT`) or need not wait for its turn (`NOORDER`): then the whole queue is walked, and each
//! conversion is asked again whether it waits for itself. Without such a one it need not be asked: it
//! was asked when it came, what came behind it was asked about it, and nothing stands before it since.

use super::grant::Offer;
use super::queue::{ModeCounts, Queued};
use super::{Lock, LockKey, Resource, Step};
use crate::flags::{RequestFlags, StatusFlags};
use crate::mode::Mode;
use crate::status::Status;

/// Conversions for which the plain order does not hold.
pub(crate) const OUT_OF_TURN_CONVERTING: RequestFlags = RequestFlags::HEADQUE
    .union(RequestFlags::NODLCKWT)
    .union(RequestFlags::NOORDER);

/// New requests for which it does not.
pub(crate) const OUT_OF_TURN_WAITING: RequestFlags = RequestFlags::NOORDER;

/// What those want that were looked at and not granted.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Blocked {
    /// The strongest mode.
    pub(super) strongest: Option<Mode>,
    /// Whether somebody wants CW.
    pub(super) cw: bool,
}

impl Blocked {
    fn add(&mut self, wanted: Mode) {
        self.strongest = self.strongest.max(Some(wanted));
        self.cw |= wanted == Mode::Cw;
    }

    fn add_all(&mut self, queued: &Queued) {
        self.strongest = self.strongest.max(queued.wanted.strongest());
        self.cw |= queued.wanted.has(Mode::Cw);
    }
}

/// What becomes of a queued conversion.
enum Verdict {
    Grant(Offer),
    /// It waits for itself, and gives up its mode.
    Demote,
    /// It waits for itself.
    Deadlock,
    Wait,
}

impl Resource {
    /// To be called when something was given up: grants what can be granted now, then tells the
    /// holders that are in the way of what still waits.
    pub(crate) fn settle(&mut self, step: &mut Step<'_>) {
        if self.queues.is_none() {
            return;
        }
        if self.closed {
            let mut blocked = Blocked::default();
            blocked.add_all(self.converting());
            blocked.add_all(self.waiting());
            return self.call_holders_for_queue(step, blocked);
        }
        let mut blocked = self.grant_converting(step);
        self.grant_waiting(step, &mut blocked);
        self.call_holders_for_queue(step, blocked);
    }

    /// To be called when all locks of a resource were put on it after a recovery: their order is not known
    /// for sure, since what was granted last was perhaps not heard of. So conversions are granted
    /// regardless of order (fs/dlm's `RSB_RECOVER_GRANT`); one that then waits for itself is answered so.
    pub(crate) fn settle_restored(&mut self, step: &mut Step<'_>) {
        while !self.closed
            && let Some((key, offer)) = self.grantable_converting(step)
        {
            self.grant_queued(step, key, offer);
        }
        while let Some(key) = self.deadlocked_converting(step) {
            self.end_wait(step, key, Status::Deadlock);
        }
        self.settle(step);
    }

    /// The first conversion that can be granted as it was asked for.
    fn grantable_converting(&self, step: &Step<'_>) -> Option<(LockKey, Offer)> {
        let mut keys = self.converting().list.iter(step.locks);
        keys.find_map(|key| {
            let lock = &step.locks[key];
            Some((key, self.offer(lock.requested?, lock.granted)?))
        })
    }

    /// The first conversion that keeps one before it from its mode, where none is out of turn.
    fn deadlocked_converting(&self, step: &Step<'_>) -> Option<LockKey> {
        if self.converting().out_of_turn > 0 {
            return None;
        }
        let mut before = ModeCounts::default();
        let mut keys = self.converting().list.iter(step.locks);
        keys.find(|&key| {
            let (Some(held), Some(wanted)) = modes(&step.locks[key]) else {
                return false;
            };
            let waits_for_itself = !before.admit(held);
            before.add(wanted);
            waits_for_itself
        })
    }

    /// Grants conversions.
    pub(super) fn grant_converting(&mut self, step: &mut Step<'_>) -> Blocked {
        if self.closed {
            return Blocked::default();
        }
        if self.converting().out_of_turn > 0 {
            return self.grant_converting_out_of_turn(step);
        }
        while let Some(key) = self.converting().list.head() {
            let Some(offer) = self.offer_queued(&step.locks[key], true) else {
                break;
            };
            self.grant_queued(step, key, offer);
        }
        let mut blocked = Blocked::default();
        blocked.add_all(self.converting());
        blocked
    }

    /// Grants new requests.
    fn grant_waiting(&mut self, step: &mut Step<'_>, blocked: &mut Blocked) {
        if self.waiting().out_of_turn == 0 {
            while let (true, Some(key)) = (
                self.converting().list.is_empty(),
                self.waiting().list.head(),
            ) {
                let Some(offer) = self.offer_queued(&step.locks[key], true) else {
                    break;
                };
                self.grant_queued(step, key, offer);
            }
            blocked.add_all(self.waiting());
            return;
        }
        let mut next = self.waiting().list.head();
        while let Some(key) = next {
            let lock = &step.locks[key];
            next = lock.next;
            let its_turn =
                self.converting().list.is_empty() && self.waiting().list.starts_with(key);
            if let Some(offer) = self.offer_queued(lock, its_turn) {
                self.grant_queued(step, key, offer);
            } else if let Some(wanted) = lock.requested {
                blocked.add(wanted);
            }
        }
    }

    /// What a queued lock can be given.
    pub(crate) fn offer_queued(&self, lock: &Lock, its_turn: bool) -> Option<Offer> {
        let (wanted, own, flags) = (lock.requested?, lock.granted, lock.flags);
        if !its_turn && !flags.contains(RequestFlags::NOORDER) {
            return None;
        }
        self.offer(wanted, own)
            .or_else(|| self.alternative_offer(wanted, own, flags))
    }

    fn grant_queued(&mut self, step: &mut Step<'_>, key: LockKey, offer: Offer) {
        let value = step.take_value(key);
        self.leave(step, key);
        self.grant(step, key, offer, value);
    }

    /// Walks the conversions until none of them can be granted. That somebody wanted CW is remembered
    /// from the earlier walks, as in fs/dlm.
    fn grant_converting_out_of_turn(&mut self, step: &mut Step<'_>) -> Blocked {
        let mut cw = false;
        let mut again_after_demotion = true;
        loop {
            let mut walk = Walk::new(self, step);
            walk.blocked.cw = cw;
            walk.run(self, step);
            cw = walk.blocked.cw;
            let again = walk.granted || (walk.demoted && again_after_demotion);
            if !again {
                return walk.blocked;
            }
            again_after_demotion &= walk.granted;
        }
    }
}

/// One walk over the conversions.
struct Walk {
    /// What those before the present one want.
    ahead: ModeCounts,
    /// How many of those behind it hold this and want that.
    behind: [ModeCounts; Mode::ALL.len()],
    blocked: Blocked,
    granted: bool,
    demoted: bool,
}

impl Walk {
    fn new(resource: &Resource, step: &Step<'_>) -> Self {
        let mut behind = [ModeCounts::default(); Mode::ALL.len()];
        for key in resource.converting().list.iter(step.locks) {
            if let (Some(held), Some(wanted)) = modes(&step.locks[key]) {
                behind[held as usize].add(wanted);
            }
        }
        Self {
            ahead: ModeCounts::default(),
            behind,
            blocked: Blocked::default(),
            granted: false,
            demoted: false,
        }
    }

    fn run(&mut self, resource: &mut Resource, step: &mut Step<'_>) {
        let mut next = resource.converting().list.head();
        while let Some(key) = next {
            let lock = &step.locks[key];
            next = lock.next;
            let (Some(held), Some(wanted)) = modes(lock) else {
                continue;
            };
            self.behind[held as usize].remove(wanted);
            match self.judge(resource, key, lock) {
                Verdict::Grant(offer) => {
                    resource.grant_queued(step, key, offer);
                    self.granted = true;
                    continue;
                }
                Verdict::Demote => {
                    let again = lock.status.contains(StatusFlags::DEMOTED);
                    resource.demote(step, key);
                    self.demoted |= !again;
                }
                Verdict::Deadlock => resource.call_converting(step, key),
                Verdict::Wait => self.blocked.add(wanted),
            }
            self.ahead.add(wanted);
        }
    }

    fn judge(&self, resource: &Resource, key: LockKey, lock: &Lock) -> Verdict {
        let (Some(held), Some(wanted)) = modes(lock) else {
            return Verdict::Wait;
        };
        let its_turn = resource.converting().list.starts_with(key)
            || lock.flags.contains(RequestFlags::NOORDER);
        let offer = its_turn.then(|| resource.offer(wanted, Some(held)));
        if let Some(offer) = offer.flatten() {
            return Verdict::Grant(offer);
        }
        if self.waits_for_itself(held, wanted) {
            let demotes = lock.flags.contains(RequestFlags::CONVDEADLK);
            return if demotes {
                Verdict::Demote
            } else {
                Verdict::Deadlock
            };
        }
        resource
            .offer_queued(lock, its_turn)
            .map_or(Verdict::Wait, Verdict::Grant)
    }

    /// Whether a conversion keeps one before it from its mode, or it and one behind it each other.
    fn waits_for_itself(&self, held: Mode, wanted: Mode) -> bool {
        let each_other =
            |behind: Mode| !behind.compatible(wanted) && !self.behind[behind as usize].admit(held);
        !self.ahead.admit(held) || Mode::ALL.into_iter().any(each_other)
    }
}

const fn modes(lock: &Lock) -> (Option<Mode>, Option<Mode>) {
    (lock.granted, lock.requested)
}

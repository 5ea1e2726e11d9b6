//! Blocking callbacks: holders are told that they are in the way.
//!
//! A lock remembers the mode of which it was told last since its grant, and is not told of that or a
//! weaker one again; weaker means the lower number. PR and CW exclude each other and neither is the
//! weaker one, so that pair has a rule of its own: a PR lock in the way of a CW is told of it every time
//! that it could be, until it was told of EX. Both rules, and when they are asked, are fs/dlm's
//! (`modes_require_bast`, `lock_requires_bast`).

use super::{List, LockKey, Resource, Step};
use crate::message::Output;
use crate::mode::Mode;

impl Resource {
    /// `asking` has queued for `wanted`: the granted locks in its way are told. A converting lock is
    /// not; it cannot give up anything before its conversion ends.
    pub(super) fn call_holders(&self, step: &mut Step<'_>, wanted: Mode, asking: LockKey) {
        call(&self.granted, step, wanted, Some(asking));
    }

    /// A request that may not queue failed, and asked for the callbacks nevertheless: granted and
    /// converting locks are told.
    pub(super) fn call_all(&self, step: &mut Step<'_>, wanted: Mode, asking: Option<LockKey>) {
        call(&self.granted, step, wanted, asking);
        call(&self.converting, step, wanted, asking);
    }

    /// Something changed and what could be granted was: granted locks in the way of what still waits
    /// are told of the strongest mode that somebody waits for.
    pub(super) fn call_holders_for_queue(&self, step: &mut Step<'_>) {
        let strongest = self
            .converting_to
            .modes()
            .chain(self.waiting_for.modes())
            .max();
        let Some(wanted) = strongest else { return };
        let wants_cw = self.converting_to.has(Mode::Cw) || self.waiting_for.has(Mode::Cw);
        let mut next = self.granted.head();
        while let Some(key) = next {
            let lock = &mut step.locks[key];
            next = lock.next;
            let Some(held) = lock.granted else { continue };
            let mode = if held == Mode::Pr && wants_cw {
                if lock.told >= Mode::Ex {
                    continue;
                }
                if wanted == Mode::Pr { Mode::Cw } else { wanted }
            } else if lock.told < wanted && !held.compatible(wanted) {
                wanted
            } else {
                continue;
            };
            lock.told = wanted;
            step.out.push(Output::Blocking {
                session: lock.session,
                lock: lock.id,
                mode,
            });
        }
    }
}

/// Tells every lock of `list` but `asking` that is in the way of `wanted` and does not know yet.
fn call(list: &List, step: &mut Step<'_>, wanted: Mode, asking: Option<LockKey>) {
    let mut next = list.head();
    while let Some(key) = next {
        let lock = &mut step.locks[key];
        next = lock.next;
        let Some(held) = lock.granted else { continue };
        if Some(key) != asking && is_news(held, lock.told, wanted, wanted == Mode::Cw) {
            lock.told = wanted;
            step.out.push(Output::Blocking {
                session: lock.session,
                lock: lock.id,
                mode: wanted,
            });
        }
    }
}

/// Whether a lock that holds `held` and was told of `told` is to be told that somebody wants `wanted`,
/// and perhaps somebody CW.
fn is_news(held: Mode, told: Mode, wanted: Mode, wants_cw: bool) -> bool {
    if held == Mode::Pr && wants_cw {
        return told < Mode::Ex;
    }
    told < wanted && !held.compatible(wanted)
}

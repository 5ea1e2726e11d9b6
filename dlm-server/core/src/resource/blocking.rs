//! Blocking callbacks: holders are told that they are in the way.
//!
//! A lock remembers the mode of which it was told last since its grant, and is not told of that or a
//! weaker one again; weaker means the lower number. PR and CW exclude each other and neither is the
//! weaker one, so that pair has a rule of its own: a lock of one in the way of the other is told of it
//! every time that it could be, until it was told of EX. Both rules, and when they are asked, are
//! fs/dlm's (`modes_require_bast`, `lock_requires_bast`).
//!
//! Where one step takes many locks away and asks many times, a lock is not told twice in a row of the
//! same mode, nor of a weaker one than one above PR. In fs/dlm those are the callbacks that were not yet
//! delivered (`dlm_add_lkb_callback`).

use super::pending::Blocked;
use super::{List, LockKey, Marks, Resource, Step};
use crate::flags::RequestFlags;
use crate::message::Output;
use crate::mode::Mode;

impl Resource {
    /// `asking` has queued for `wanted`: the granted locks in its way are told. A converting lock is
    /// not; it cannot give up anything before its conversion ends.
    pub(super) fn call_holders(&mut self, step: &mut Step<'_>, wanted: Mode, asking: LockKey) {
        self.call_granted(step, wanted, Some(asking), |held, told| {
            is_news(held, told, wanted).then_some(wanted)
        });
    }

    /// A request that may not queue failed, and asked for the callbacks nevertheless: granted and
    /// converting locks are told.
    pub(super) fn call_all(&mut self, step: &mut Step<'_>, wanted: Mode, asking: Option<LockKey>) {
        self.call_granted(step, wanted, asking, |held, told| {
            is_news(held, told, wanted).then_some(wanted)
        });
        call(&self.converting().list, step, wanted, asking);
    }

    /// Something changed and what could be granted was: granted locks in the way of what still waits
    /// are told of the strongest mode that somebody waits for.
    pub(super) fn call_holders_for_queue(&mut self, step: &mut Step<'_>, blocked: Blocked) {
        let Some(wanted) = blocked.strongest else {
            return;
        };
        self.call_granted(step, wanted, None, |held, told| {
            let by_cw = held == Mode::Pr && blocked.cw;
            let is_news = if by_cw {
                told < Mode::Ex
            } else {
                told < wanted && !held.compatible(wanted)
            };
            let mode = if by_cw && wanted == Mode::Pr {
                Mode::Cw
            } else {
                wanted
            };
            is_news.then_some(mode)
        });
    }

    /// Tells every granted lock but `asking` for which `news`, by what it holds and what it was told of,
    /// has a mode; it knows of `wanted` then.
    fn call_granted(
        &mut self,
        step: &mut Step<'_>,
        wanted: Mode,
        asking: Option<LockKey>,
        news: impl Fn(Mode, Mode) -> Option<Mode>,
    ) {
        let Some(crowd) = self.crowd_mut() else {
            let mut next = self.granted.head();
            while let Some(key) = next {
                let lock = &step.locks[key];
                next = lock.next;
                let mode = lock.granted.and_then(|held| news(held, lock.told));
                if let (Some(mode), true) = (mode, Some(key) != asking) {
                    step.call(key, mode, wanted);
                }
            }
            return;
        };
        for key in crowd.select(|held, told| news(held, told).is_some()) {
            let lock = &step.locks[key];
            let mode = lock.granted.and_then(|held| news(held, lock.told));
            if let (Some(mode), true) = (mode, Some(key) != asking) {
                crowd.remove(step.locks, key);
                step.call(key, mode, wanted);
                crowd.insert(step.locks, key);
            }
        }
    }

    /// A conversion that waits for itself because it said that it would (`NODLCKWT`) is told of the mode
    /// that it wants itself: it stands in its own way.
    pub(super) fn call_converting(&self, step: &mut Step<'_>, key: LockKey) {
        let lock = &step.locks[key];
        let (Some(held), Some(wanted)) = (lock.granted, lock.requested) else {
            return;
        };
        if !lock.flags.contains(RequestFlags::NODLCKWT) || lock.told >= wanted {
            return;
        }
        if held.compatible(wanted) {
            // It is noted and not sent (`dlm_rem_lkb_callback`).
            step.locks[key].told = wanted;
        } else {
            step.call(key, wanted, wanted);
        }
    }
}

/// Tells every lock of `list` but `asking` that is in the way of `wanted` and does not know yet.
fn call(list: &List, step: &mut Step<'_>, wanted: Mode, asking: Option<LockKey>) {
    let mut next = list.head();
    while let Some(key) = next {
        let lock = &step.locks[key];
        next = lock.next;
        let Some(held) = lock.granted else { continue };
        if Some(key) != asking && is_news(held, lock.told, wanted) {
            step.call(key, wanted, wanted);
        }
    }
}

/// Whether a lock that holds `held` and was told of `told` is to be told that somebody wants `wanted`.
fn is_news(held: Mode, told: Mode, wanted: Mode) -> bool {
    if matches!((held, wanted), (Mode::Pr, Mode::Cw) | (Mode::Cw, Mode::Pr)) {
        return told < Mode::Ex;
    }
    told < wanted && !held.compatible(wanted)
}

impl Step<'_> {
    /// Tells a lock of `mode`, and notes that it knows of `strongest`.
    fn call(&mut self, key: LockKey, mode: Mode, strongest: Mode) {
        let lock = &mut self.locks[key];
        lock.told = strongest;
        if lock.marks.contains(Marks::ORPHAN) {
            return;
        }
        if let Some(called) = &mut self.called {
            let stale = |last: Mode| last == mode || (last > mode && last > Mode::Pr);
            if called.get(&key).copied().is_some_and(stale) {
                return;
            }
            called.insert(key, mode);
        }
        self.out.push(Output::Blocking {
            session: lock.session,
            lock: lock.id,
            mode,
        });
    }
}

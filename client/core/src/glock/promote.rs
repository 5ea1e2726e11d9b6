//! Holders come, are granted and go: the local half of the glock.

use dlm_core::{Owner, Tick};

use super::event::{Failure, HolderId, Output, Release};
use super::flags::HolderFlags;
use super::holder::Holder;
use super::state::State;
use super::transition::{Phase, Why};
use super::{Glock, Outputs};
use crate::limits::{HOLDERS_PER_GLOCK_MAX, WAIT_LONG_US};

impl Glock {
    /// A new holder: refused, failed as a try, or put into the queue.
    pub(super) fn enqueue(
        &mut self,
        now: Tick,
        id: HolderId,
        (state, flags, owner): (State, HolderFlags, Owner),
        out: &mut Outputs,
    ) {
        let holder = Holder {
            id,
            state,
            flags,
            owner,
            granted: false,
            since: now,
        };
        if let Err(why) = self.admit(now, &holder) {
            out.push(Output::Failed { holder: id, why });
            return;
        }
        self.forget = false;
        self.queue.holders.push_back(holder);
        self.run(now, out);
    }

    /// Whether the holder may stand in the queue at all.
    ///
    /// A try fails here, as in gfs2, if a holder is in its way or anybody waits who is no try. It can
    /// still fail in the queue, at once if a demotion is due that waits for holders (see
    /// [`Glock::run_demand`]). All that it waits for is bounded: hooks, a demotion under way, and a
    /// message that the master does not queue.
    fn admit(&self, now: Tick, holder: &Holder) -> Result<(), Failure> {
        if matches!(self.phase, Phase::Lost(_)) {
            return Err(Failure::Lost);
        }
        if holder.state == State::Un {
            return Err(Failure::Unlocked);
        }
        let fault = holder.flags.contains(HolderFlags::FAULT);
        if !fault && self.queue.contains_owner(holder.owner) {
            return Err(Failure::Recursion);
        }
        if self.queue.holders.len() >= HOLDERS_PER_GLOCK_MAX {
            return Err(Failure::QueueLength);
        }
        let blocked = !self.queue.shares_with_granted(holder) || self.queue.any_patient();
        if holder.is_try() && blocked {
            return Err(Failure::TryFailed);
        }
        if holder.flags.contains(HolderFlags::NOBLOCK) && !self.grants_at_once(now, holder) {
            return Err(Failure::TryFailed);
        }
        Ok(())
    }

    /// Whether `holder`, put into the queue now, would be granted without a hook or a message.
    fn grants_at_once(&self, now: Tick, holder: &Holder) -> bool {
        matches!(self.phase, Phase::Idle)
            && !self.queue.any_waiter()
            && !self
                .demand
                .is_some_and(|d| d.is_due(now) && !d.satisfied_by(self.state))
            && (self.instantiated || holder.flags.contains(HolderFlags::SKIP))
            && self.may_grant(holder)
    }

    /// gfs2's `may_grant`: good beside those who hold, and the cached state is good enough.
    pub(crate) fn may_grant(&self, holder: &Holder) -> bool {
        self.queue.shares_with_granted(holder) && holder.accepts(self.state)
    }

    /// Grants waiters in their order up to the first that cannot be. The first one after UN has the
    /// object instantiated before, and everyone waits for that.
    pub(super) fn grant(&mut self, now: Tick, out: &mut Outputs) {
        while let Some(waiter) = self.queue.first_waiter() {
            if !self.may_grant(waiter) {
                break;
            }
            if !self.instantiated && !waiter.flags.contains(HolderFlags::SKIP) {
                self.phase = Phase::Instantiating { holder: waiter.id };
                out.push(Output::Instantiate);
                break;
            }
            let Some(waiter) = self.queue.grant_first(now) else {
                break;
            };
            if waiter.flags.contains(HolderFlags::FAULT) {
                self.fault_served = true;
            }
            if now.since(waiter.since) > WAIT_LONG_US {
                self.hold.lengthen();
            }
            out.push(Output::Granted {
                holder: waiter.id,
                token: self.token,
            });
        }
    }

    /// Grants who can be, and asks for the state that the first of the others needs.
    pub(super) fn promote(&mut self, now: Tick, out: &mut Outputs) {
        self.grant(now, out);
        if !matches!(self.phase, Phase::Idle) || !self.queue.any_waiter() {
            return;
        }
        if self.queue.any_granted() {
            // The first waiter waits for a holder; the next one may not need to, if the first goes.
            if self.fail_tries(out) {
                self.grant(now, out);
            }
            return;
        }
        // If it is no try, no try waits: those are let in only while nobody waits who is none.
        if let Some(first) = self.queue.first_waiter().copied() {
            self.start(first.state, Why::Promote, out);
        }
    }

    /// Fails every try that waits; says whether there was one.
    pub(super) fn fail_tries(&mut self, out: &mut Outputs) -> bool {
        let before = out.len();
        self.fail_waiters(Failure::TryFailed, Holder::is_try, out);
        out.len() > before
    }

    /// Fails the waiters that `which` is true of.
    pub(super) fn fail_waiters(
        &mut self,
        why: Failure,
        which: impl Fn(&Holder) -> bool,
        out: &mut Outputs,
    ) {
        self.queue.remove_waiters(which, |holder| {
            out.push(Output::Failed {
                holder: holder.id,
                why,
            })
        });
    }

    /// A holder lets go, or one that waits gives up without an answer.
    pub(super) fn dequeue(&mut self, now: Tick, id: HolderId, release: Release, out: &mut Outputs) {
        let Some(holder) = self.queue.remove(id) else {
            return;
        };
        if !holder.granted {
            self.waiter_gone(now, out);
            return;
        }
        if holder.flags.contains(HolderFlags::NOCACHE) {
            self.demand_now(now);
        }
        if release == Release::Yield {
            self.hasten(now);
        }
        self.run(now, out);
    }

    /// A waiter is interrupted.
    pub(super) fn cancel_wait(&mut self, now: Tick, id: HolderId, out: &mut Outputs) {
        if !self.queue.waiters().any(|waiter| waiter.id == id) {
            return;
        }
        self.queue.remove(id);
        out.push(Output::Failed {
            holder: id,
            why: Failure::Interrupted,
        });
        self.waiter_gone(now, out);
    }

    /// The object was read in, or could not be. Whoever it was read in for is granted before any
    /// demotion, so that what was asked for is used once.
    pub(super) fn instantiated(&mut self, now: Tick, ok: bool, out: &mut Outputs) {
        let Phase::Instantiating { holder } = self.phase else {
            self.lost_hook_done(out);
            return;
        };
        self.phase = Phase::Idle;
        if ok {
            self.instantiated = true;
            self.grant(now, out);
        } else if self.queue.waiters().any(|waiter| waiter.id == holder) {
            self.queue.remove(holder);
            out.push(Output::Failed {
                holder,
                why: Failure::Io,
            });
        }
        self.run(now, out);
    }
}

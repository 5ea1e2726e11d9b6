//! Demands: somebody wants the glock, and when it must go.

use dlm_core::{Mode, Tick};

use super::event::Output;
use super::flags::HolderFlags;
use super::state::State;
use super::transition::{Phase, Why};
use super::{Glock, Outputs};

/// A demotion that is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Demand {
    /// The state to demote to. A second demand for another state makes it UN.
    pub to: State,
    /// When it was first wanted.
    pub since: Tick,
    /// When it must run.
    pub due: Due,
}

/// When a demand must run. It is fixed when the demand arrives and never moves to a later time, so that
/// no stream of local holders keeps the glock from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Due {
    /// From this moment on.
    At(Tick),
    /// A hold time after the answer that is under way (gfs2 does the same: what is about to be granted
    /// is to be used).
    AfterReply,
}

impl Demand {
    /// Whether a glock in `state` does no more harm to whoever demanded it.
    #[must_use]
    pub fn satisfied_by(&self, state: State) -> bool {
        state == State::Un || state == self.to
    }

    /// Whether it must run now.
    #[must_use]
    pub fn is_due(&self, now: Tick) -> bool {
        matches!(self.due, Due::At(at) if at <= now)
    }
}

impl Glock {
    /// A blocking callback.
    pub(super) fn callback(&mut self, now: Tick, wanted: Mode) {
        let due = if !self.serves_fault() {
            Due::At(now)
        } else if matches!(self.phase, Phase::Asking(_)) {
            Due::AfterReply
        } else {
            Due::At(self.changed_at.plus(self.hold.now))
        };
        self.add_demand(Demand {
            to: State::demote_for(wanted),
            since: now,
            due,
        });
    }

    /// Whether a page fault was served since the state last changed, or one waits to be: only then is
    /// there a thread that has yet to use its page.
    fn serves_fault(&self) -> bool {
        self.fault_served
            || self
                .queue
                .waiters()
                .any(|waiter| waiter.flags.contains(HolderFlags::FAULT))
    }

    /// The node itself wants it gone; nothing delays that.
    pub(super) fn demand_now(&mut self, now: Tick) {
        self.add_demand(Demand {
            to: State::Un,
            since: now,
            due: Due::At(now),
        });
    }

    /// A holder gives way: what is demanded is due.
    pub(super) fn hasten(&mut self, now: Tick) {
        if let Some(demand) = &mut self.demand {
            demand.due = demand.due.min(Due::At(now));
        }
    }

    fn add_demand(&mut self, new: Demand) {
        match &mut self.demand {
            None => self.demand = Some(new),
            Some(old) => {
                if old.to != new.to {
                    old.to = State::Un;
                }
                old.due = old.due.min(new.due);
            }
        }
    }

    /// Forgets a demand that the state satisfies already. Only where nothing is under way: an answer
    /// under way may change the state.
    pub(super) fn drop_satisfied_demand(&mut self) {
        if self
            .demand
            .is_some_and(|demand| demand.satisfied_by(self.state))
        {
            self.demand = None;
        }
    }

    /// Runs a due demand, and says whether there was one. While there is, nobody is granted: whoever
    /// comes now stands behind it. It waits for the holders that there are; a try would wait with it,
    /// for tasks that may in turn wait for the one that tries, so tries fail instead.
    pub(super) fn run_demand(&mut self, now: Tick, out: &mut Outputs) -> bool {
        self.drop_satisfied_demand();
        let Some(demand) = self.demand else {
            return false;
        };
        if !demand.is_due(now) {
            self.arm(demand.due, out);
            return false;
        }
        if self.queue.any_granted() {
            self.fail_tries(out);
        } else {
            self.start(demand.to, Why::Demote, out);
        }
        true
    }

    fn arm(&mut self, due: Due, out: &mut Outputs) {
        if let Due::At(at) = due
            && self.timer != Some(at)
        {
            self.timer = Some(at);
            out.push(Output::ArmTimer { at });
        }
    }

    /// An answer has come: a demand that waited for it gets its hour.
    pub(super) fn fix_due_after_reply(&mut self, now: Tick) {
        let at = now.plus(self.hold.now);
        if let Some(demand) = &mut self.demand {
            demand.due = demand.due.min(Due::At(at));
        }
    }
}

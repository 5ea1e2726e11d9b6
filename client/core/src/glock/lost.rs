//! What remains to be done when the session is over (gfs2's withdrawn filesystem): no message, no
//! write-back, and nothing stays cached.

use super::event::{Failure, Output};
use super::state::State;
use super::transition::Phase;
use super::{Glock, Outputs};

/// The stages after the session was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// A hook that was started before has yet to return.
    HookRuns,
    /// Somebody still holds it.
    Held,
    /// The invalidate hook runs for the last time.
    Dropping,
    /// Nothing is cached any more.
    Done,
}

impl Glock {
    /// The session is over: everyone who waits is told, and when the last holder has gone what is
    /// cached is dropped, unwritten.
    pub(super) fn session_lost(&mut self, out: &mut Outputs) {
        let hook_runs = match self.phase {
            Phase::Syncing(_) | Phase::Invalidating(_) | Phase::Instantiating { .. } => true,
            Phase::Idle | Phase::Asking(_) => false,
            Phase::Lost(_) => return,
        };
        self.fail_waiters(Failure::Lost, |_| true, out);
        self.demand = None;
        self.timer = None;
        self.linked = false;
        self.forget = false;
        self.phase = Phase::Lost(if hook_runs {
            Lost::HookRuns
        } else {
            Lost::Held
        });
        self.run_lost(out);
    }

    /// Goes on after a loss: waits for holders, then drops what is cached.
    pub(super) fn run_lost(&mut self, out: &mut Outputs) {
        if self.phase != Phase::Lost(Lost::Held) || self.queue.any_granted() {
            return;
        }
        if self.state == State::Un {
            self.phase = Phase::Lost(Lost::Done);
        } else {
            self.phase = Phase::Lost(Lost::Dropping);
            out.push(Output::Invalidate { to: State::Un });
        }
    }

    /// A hook returned after the session was lost.
    pub(super) fn lost_hook_done(&mut self, out: &mut Outputs) {
        match self.phase {
            Phase::Lost(Lost::HookRuns) => {
                self.phase = Phase::Lost(Lost::Held);
                self.run_lost(out);
            }
            Phase::Lost(Lost::Dropping) => {
                self.state = State::Un;
                self.instantiated = false;
                self.phase = Phase::Lost(Lost::Done);
            }
            _ => {}
        }
    }
}

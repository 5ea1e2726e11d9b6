//! One change of the cached state, from the first hook to the lock manager's answer (gfs2's `do_xmote`
//! and `finish_xmote`).
//!
//! The order is fixed: sync, invalidate, message. Nothing is given to the lock manager before what was
//! cached under it is written back and dropped.

use dlm_core::{Mode, Owner, Status, Tick, Token};

use super::event::{Failure, Message, Output};
use super::lost::Lost;
use super::plan::{demote_flags, plan, promote_flags};
use super::state::State;
use super::{Glock, Outputs};

/// What a glock is busy with. One enum with its data, where gfs2 has a word of flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Nothing.
    Idle,
    /// The sync hook runs.
    Syncing(Transition),
    /// The invalidate hook runs.
    Invalidating(Transition),
    /// A message is on its way to the lock manager, or its answer is on its way back.
    Asking(Asking),
    /// The instantiate hook runs.
    Instantiating {
        /// For whom.
        holder: super::HolderId,
    },
    /// The session is over; what remains is to drop what is cached.
    Lost(Lost),
}

/// A change of the cached state under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The state to come.
    pub to: State,
    /// What it is for.
    pub why: Why,
    /// Whether what was dirty has been written back for it.
    pub synced: bool,
    /// Whether what may not be cached in `to` has been dropped for it.
    pub invalidated: bool,
}

/// What a change of state is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The first waiter needs it.
    Promote,
    /// Somebody else demanded it.
    Demote,
    /// A conversion was refused: let go of everything first, then ask again. This is gfs2's answer to
    /// a conversion deadlock.
    Retry,
}

/// A message under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asking {
    /// The change it is part of.
    pub change: Transition,
    /// Whether the master may let it wait for others. All else is answered at once.
    pub may_wait: bool,
    /// Whether a cancel was sent after it.
    pub cancelled: bool,
}

impl Glock {
    /// Begins a change. The caller has seen that nothing is under way and nobody holds.
    pub(super) fn start(&mut self, to: State, why: Why, out: &mut Outputs) {
        let change = Transition {
            to,
            why,
            synced: false,
            invalidated: false,
        };
        if plan(self.state, to).sync {
            self.phase = Phase::Syncing(change);
            out.push(Output::Sync);
        } else {
            self.synced(change, out);
        }
    }

    fn synced(&mut self, change: Transition, out: &mut Outputs) {
        if plan(self.state, change.to).invalidate {
            self.phase = Phase::Invalidating(change);
            out.push(Output::Invalidate { to: change.to });
        } else {
            self.ask(change, out);
        }
    }

    /// The sync or invalidate hook has returned.
    pub(super) fn hook_done(&mut self, now: Tick, out: &mut Outputs) {
        match self.phase {
            Phase::Syncing(change) | Phase::Invalidating(change) if self.unwanted(change) => {
                // Everyone it was for has gone; what was written back or dropped does no harm.
                self.phase = Phase::Idle;
                self.run(now, out);
            }
            Phase::Syncing(change) => self.synced(
                Transition {
                    synced: true,
                    ..change
                },
                out,
            ),
            Phase::Invalidating(change) => {
                self.instantiated &= change.to != State::Un;
                self.ask(
                    Transition {
                        invalidated: true,
                        ..change
                    },
                    out,
                );
            }
            _ => self.lost_hook_done(out),
        }
    }

    /// Whether a change was for a waiter that is gone.
    fn unwanted(&self, change: Transition) -> bool {
        let wanted = |first: &super::Holder| first.state == change.to;
        change.why == Why::Promote && !self.queue.first_waiter().is_some_and(wanted)
    }

    fn ask(&mut self, change: Transition, out: &mut Outputs) {
        let (mode, from) = (change.to.mode(), self.state);
        let (flags, owner, may_wait) = match self.queue.first_waiter() {
            Some(first) if change.why == Why::Promote => {
                let flags = promote_flags(self.linked, from, change.to, first.flags);
                let downward = self.linked && from.mode().is_down_to(mode);
                (flags, first.owner, !first.is_try() && !downward)
            }
            _ => (demote_flags(from, change.to), Owner(0), false),
        };
        let message = if !self.linked {
            Message::Request { mode, flags, owner }
        } else if self.forget && change.to == State::Un && !self.queue.any_waiter() {
            Message::Unlock
        } else {
            Message::Convert { mode, flags, owner }
        };
        self.phase = Phase::Asking(Asking {
            change,
            may_wait,
            cancelled: false,
        });
        out.push(Output::Dlm(message));
    }

    /// A waiter is gone. If the message under way was for it, nobody else's, and may be waiting at the
    /// master, it is cancelled. The answer comes all the same: a cancelled one, or the grant.
    pub(super) fn waiter_gone(&mut self, now: Tick, out: &mut Outputs) {
        if let Phase::Asking(asking) = self.phase {
            if asking.may_wait && !asking.cancelled && self.unwanted(asking.change) {
                self.phase = Phase::Asking(Asking {
                    cancelled: true,
                    ..asking
                });
                out.push(Output::Dlm(Message::Cancel));
            }
        } else {
            self.run(now, out);
        }
    }

    /// The lock manager's answer.
    pub(super) fn reply(
        &mut self,
        now: Tick,
        (status, mode, token): (Status, Option<Mode>, Token),
        out: &mut Outputs,
    ) {
        let Phase::Asking(Asking { change, .. }) = self.phase else {
            return;
        };
        if mode == Some(Mode::Cr) {
            return self.left_between(now, change, out);
        }
        let Some(state) = state_of(mode) else {
            self.session_lost(out);
            return;
        };
        self.phase = Phase::Idle;
        self.linked = mode.is_some();
        if state != self.state {
            self.state = state;
            self.changed_at = now;
            self.fault_served = false;
        }
        if status == Status::Granted {
            self.token = token;
        }
        self.fix_due_after_reply(now);
        if let Status::Refused(refusal) = status {
            self.refused(now, change, Failure::Refused(refusal), out);
        } else if state == change.to {
            if change.why == Why::Promote {
                // What was asked for is used before it can be demanded again.
                self.grant(now, out);
            }
            self.run(now, out);
        } else {
            self.hold.shorten();
            self.missed(now, change, status, out);
        }
    }

    /// Of a conversion between SH and DF that was under way when its master was lost, and did not come
    /// about, CR is left: what both have in common (fs/dlm recovers such conversions, and answers none of
    /// them so). It keeps EX out, so what is cached is as good as before; but nobody may be granted anything
    /// under it, and it is in others' way. It is given up before anything else.
    fn left_between(&mut self, now: Tick, change: Transition, out: &mut Outputs) {
        self.phase = Phase::Idle;
        self.hold.shorten();
        self.fix_due_after_reply(now);
        match change.why {
            Why::Promote => {
                if self.queue.first_waiter().is_some_and(super::Holder::is_try) {
                    self.fail_tries(out);
                }
                // Also where nobody waits for it any more.
                self.start(State::Un, Why::Demote, out);
            }
            Why::Demote if change.to != State::Un => self.start(State::Un, Why::Demote, out),
            Why::Demote | Why::Retry => self.session_lost(out),
        }
    }

    /// The answer is not the state that was asked for.
    fn missed(&mut self, now: Tick, change: Transition, status: Status, out: &mut Outputs) {
        let tries = self.queue.first_waiter().is_some_and(super::Holder::is_try);
        match change.why {
            Why::Promote if status == Status::Cancelled => self.run(now, out),
            Why::Promote if status == Status::TryFailed || tries => {
                self.fail_tries(out);
                self.run(now, out);
            }
            Why::Promote if self.state == State::Un => self.run(now, out),
            Why::Promote => self.start(State::Un, Why::Retry, out),
            Why::Demote if change.to != State::Un => self.start(State::Un, Why::Demote, out),
            // Letting go is always granted; a lock manager that says otherwise is not to be relied on.
            Why::Demote | Why::Retry => self.session_lost(out),
        }
    }

    /// The lock manager did not accept the message. For a promotion it is the waiters' to know; a
    /// demotion it must accept.
    fn refused(&mut self, now: Tick, change: Transition, why: Failure, out: &mut Outputs) {
        if change.why == Why::Promote {
            self.fail_waiters(why, |_| true, out);
            self.run(now, out);
        } else {
            self.session_lost(out);
        }
    }
}

/// The state that a mode stands for; no lock at all is UN. Modes that glocks never ask for are none.
const fn state_of(mode: Option<Mode>) -> Option<State> {
    match mode {
        None | Some(Mode::Nl) => Some(State::Un),
        Some(Mode::Pr) => Some(State::Sh),
        Some(Mode::Cw) => Some(State::Df),
        Some(Mode::Ex) => Some(State::Ex),
        Some(Mode::Cr | Mode::Pw) => None,
    }
}

//! One glock: a cluster lock that the node caches and hands out to its own holders.
//!
//! [`Glock::step`] is told what happens ([`Input`]) and says what to do ([`Output`]). The rules are
//! gfs2's (`fs/gfs2/glock.c`, `lock_dlm.c`) but where this list says otherwise:
//!
//! - The minimum hold time protects page faults only ([`demote`]): a demotion is delayed while a
//!   thread that faulted has yet to use its page, and by nothing else. gfs2 delays every inode glock's
//!   demotion if anybody is queued. The time is fixed when the callback comes; releases do not push it.
//! - A holder that gives way ([`Release::Yield`]) ends that delay.
//! - A demotion never waits at the master: SH to DF and back is a try that falls back to UN (`plan.rs`).
//! - A try waits for hooks and for answers that are given at once, never for another task: it fails
//!   also while a due demotion waits for holders.
//! - A second holder of the same task is an error, where gfs2 stops the machine.
//! - The sync hook is called when EX is left, where gfs2 calls it always and finds nothing dirty.
//!
//! Fairness: a demand that is due comes before every local waiter, so that at most those who hold when
//! it becomes due, and those for whom the lock manager's answer is under way, use the glock before it
//! goes; one that is delayed becomes due at a time fixed when it came. Local holders are served in
//! their order.

pub mod demote;
pub mod dump;
pub mod event;
pub mod flags;
pub mod hold_time;
pub mod holder;
pub mod lost;
pub mod name;
mod plan;
mod promote;
pub mod state;
#[cfg(test)]
mod tests;
pub mod transition;

use alloc::vec::Vec;

use dlm_core::{Tick, Token};

pub use demote::{Demand, Due};
pub use event::{Failure, HolderId, Input, Message, Output, Release};
pub use hold_time::HoldTime;
pub use holder::Holder;
use holder::Queue;
pub use lost::Lost;
use name::GlockName;
use state::State;
pub use transition::{Asking, Phase, Transition, Why};

type Outputs = Vec<Output>;

/// The machine. See the module's text.
#[derive(Clone, Debug)]
pub struct Glock {
    pub(crate) name: GlockName,
    /// The cached state, as the lock manager last confirmed it.
    pub(crate) state: State,
    /// Whether the lock exists at the lock manager, in whatever mode.
    pub(crate) linked: bool,
    pub(crate) phase: Phase,
    pub(crate) queue: Queue,
    pub(crate) demand: Option<Demand>,
    /// Whether the lock itself is to be given up when UN is reached.
    pub(crate) forget: bool,
    /// Whether the object has been read in since UN.
    pub(crate) instantiated: bool,
    /// The token of the last grant.
    pub(crate) token: Token,
    pub(crate) hold: HoldTime,
    /// When the cached state last changed.
    pub(crate) changed_at: Tick,
    /// Whether a page fault was served since then.
    pub(crate) fault_served: bool,
    /// The time for which the timer was last armed.
    pub(crate) timer: Option<Tick>,
}

impl Glock {
    /// A glock in UN, of which the lock manager knows nothing.
    #[must_use]
    pub fn new(name: GlockName, hold: HoldTime) -> Self {
        Self {
            name,
            state: State::Un,
            linked: false,
            phase: Phase::Idle,
            queue: Queue::default(),
            demand: None,
            forget: false,
            instantiated: false,
            token: Token(0),
            hold,
            changed_at: Tick(0),
            fault_served: false,
            timer: None,
        }
    }

    /// Takes in one thing that happened and appends what must be done about it to `out`.
    ///
    /// `now` never goes back. Whatever `input` is, every holder that was enqueued is answered once, by
    /// [`Output::Granted`] or [`Output::Failed`], unless it was dequeued before that.
    pub fn step(&mut self, now: Tick, input: Input, out: &mut Vec<Output>) {
        match input {
            Input::Enqueue {
                holder,
                state,
                flags,
                owner,
            } => {
                self.enqueue(now, holder, (state, flags, owner), out);
            }
            Input::Dequeue { holder, release } => self.dequeue(now, holder, release, out),
            Input::CancelWait { holder } => self.cancel_wait(now, holder, out),
            Input::Callback { wanted } => {
                self.callback(now, wanted);
                self.run(now, out);
            }
            Input::Reply {
                status,
                mode,
                token,
            } => self.reply(now, (status, mode, token), out),
            Input::HookDone => self.hook_done(now, out),
            Input::Instantiated { ok } => self.instantiated(now, ok, out),
            Input::Timer => self.run(now, out),
            Input::Demote => {
                self.demand_now(now);
                self.run(now, out);
            }
            Input::Free => {
                self.forget = true;
                self.demand_now(now);
                self.run(now, out);
            }
            Input::SessionLost => self.session_lost(out),
        }
    }

    /// Does what can be done now, if nothing is under way (gfs2's `run_queue`): a due demotion first,
    /// then the waiters, then giving up the lock.
    fn run(&mut self, now: Tick, out: &mut Outputs) {
        match self.phase {
            Phase::Idle => {}
            Phase::Lost(_) => return self.run_lost(out),
            _ => return,
        }
        if self.run_demand(now, out) {
            return;
        }
        self.promote(now, out);
        let unused = self.phase == Phase::Idle && self.queue.holders.is_empty();
        if self.forget && unused && self.linked {
            self.start(State::Un, Why::Demote, out);
        }
    }

    /// What it protects.
    #[must_use]
    pub fn name(&self) -> GlockName {
        self.name
    }

    /// The cached state: what the node may do under it while somebody holds it, and may keep cached
    /// while nobody does.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// What it is busy with.
    #[must_use]
    pub fn phase(&self) -> &Phase {
        &self.phase
    }

    /// Whether the session was lost under it.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        matches!(self.phase, Phase::Lost(_))
    }

    /// The demotion that is wanted, if one is.
    #[must_use]
    pub fn demand(&self) -> Option<Demand> {
        self.demand
    }

    /// Holders, the granted ones first, then the queue in its order.
    pub fn holders(&self) -> impl Iterator<Item = &Holder> {
        self.queue.holders.iter()
    }

    /// Whether it can be dropped: nobody has it, nothing is under way, and the lock manager knows no
    /// lock of it.
    #[must_use]
    pub fn is_free(&self) -> bool {
        matches!(self.phase, Phase::Idle | Phase::Lost(Lost::Done))
            && !self.linked
            && self.queue.holders.is_empty()
    }
}

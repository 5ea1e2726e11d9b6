//! The record: the set of glocks a task holds during one I/O, and the steps between them.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use glock_core::State;

use super::action::{Access, Action, Direction, Event, Held, Stats, Trial, Why};
use super::{Policy, block, invariants, nofault, ordered, try_cycle};
use crate::order::Key;

/// The page that the walk stands at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Page {
    pub(super) mapping: Key,
    pub(super) access: Access,
    pub(super) resident: bool,
}

impl Page {
    pub(super) const fn needed(self) -> Held {
        Held {
            key: self.mapping,
            state: self.access.state(),
        }
    }
}

/// What the record waits for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Phase {
    /// [`Event::Begin`].
    Start,
    /// The walk's next event.
    Walking,
    /// The answer to the first of `rest`, which are taken one after the other.
    Taking { rest: Vec<Held>, then: Then },
    /// The answer to a trylock for this page.
    Trying { page: Page, trial: Trial },
    /// The answer to a submission that comes before something else is done about this page.
    Submitting { page: Page, next: Next },
    /// The answer to a fault-in with no lock held.
    Prefaulting,
    /// Nothing: all is released.
    Over,
}

/// What follows when all locks of a [`Phase::Taking`] are held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Then {
    /// The target is held for the first time: the walk may begin.
    Begin,
    /// The page that the walk stands at may be pinned.
    Pin,
    /// The walk starts again.
    Rewalk,
    /// `try-cycle`: this lock was only waited for; release it and take the target back.
    ReleaseAndRetake(Key),
}

/// What follows a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Next {
    /// `try-cycle`: wait for the page's lock, in order.
    Wait,
    /// `try-cycle`: cycle the locks.
    Cycle,
    /// `nofault`: drop everything and fault in.
    FaultIn,
}

/// The set of glocks that one task holds for one I/O on user memory. See the module's text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    pub(super) policy: Policy,
    pub(super) direction: Direction,
    pub(super) target: Key,
    pub(super) held: BTreeMap<Key, State>,
    pub(super) phase: Phase,
    /// Whether pages are pinned that were not submitted.
    pub(super) pinned: bool,
    /// Rounds (cycles or fault-ins) since the last byte of progress.
    pub(super) rounds_idle: u32,
    /// `nofault`: the window is down to one page.
    pub(super) window_is_page: bool,
    pub(super) stats: Stats,
}

impl Record {
    /// A record for an I/O on `target` in `direction` under `policy`. Nothing is held yet.
    #[must_use]
    pub const fn new(policy: Policy, direction: Direction, target: Key) -> Self {
        Self {
            policy,
            direction,
            target,
            held: BTreeMap::new(),
            phase: Phase::Start,
            pinned: false,
            rounds_idle: 0,
            window_is_page: false,
            stats: Stats {
                retries: 0,
                trylock_failed: 0,
                lock_cycles: 0,
            },
        }
    }

    /// What it saw so far.
    #[must_use]
    pub const fn stats(&self) -> Stats {
        self.stats
    }

    /// The glocks that are held, in order.
    pub fn held(&self) -> impl Iterator<Item = Held> + '_ {
        self.held.iter().map(|(&key, &state)| Held { key, state })
    }

    /// Takes one event and appends what must be done, in order.
    ///
    /// # Panics
    /// If the event is no answer to what was asked last, or an invariant is broken: both are faults
    /// of the program and not of its input.
    pub fn step(&mut self, event: Event, out: &mut Vec<Action>) {
        match (&self.phase, event) {
            (Phase::Over, Event::End) => {}
            (_, Event::End) => {
                self.release_all(false, out);
                self.phase = Phase::Over;
            }
            (Phase::Start, Event::Begin) => {
                let target = Held {
                    key: self.target,
                    state: State::Df,
                };
                self.take(alloc::vec![target], Then::Begin, out);
            }
            (
                Phase::Walking,
                Event::Page {
                    mapping,
                    access,
                    resident,
                },
            ) => {
                self.page(
                    Page {
                        mapping,
                        access,
                        resident,
                    },
                    out,
                );
            }
            (Phase::Walking, Event::ChunkDone) => self.chunk_done(out),
            (Phase::Taking { .. }, Event::Granted) => self.taken(out),
            (&Phase::Trying { page, trial }, Event::Granted) => {
                self.held.insert(page.mapping, page.access.state());
                self.phase = Phase::Walking;
                debug_assert!(trial == Trial::OneCallback || self.policy != Policy::Ordered);
                self.pin(out);
            }
            (&Phase::Trying { page, trial }, Event::Refused) => self.refused(page, trial, out),
            (&Phase::Submitting { page, next }, Event::Submitted { bytes }) => {
                self.pinned = false;
                self.progress(bytes);
                self.submitted(page, next, out);
            }
            (Phase::Prefaulting, Event::Prefaulted { bytes }) => {
                nofault::prefaulted(self, bytes, out);
            }
            (phase, event) => panic!("{event:?} does not answer {phase:?}"),
        }
        invariants::assert(self);
    }

    fn page(&mut self, page: Page, out: &mut Vec<Action>) {
        match self.policy {
            Policy::Block => block::page(self, page, out),
            Policy::Nofault => nofault::page(self, page, out),
            Policy::TryCycle => try_cycle::page(self, page, out),
            Policy::Ordered => ordered::page(self, page, out),
        }
    }

    fn refused(&mut self, page: Page, trial: Trial, out: &mut Vec<Action>) {
        if trial == Trial::OneCallback {
            self.stats.trylock_failed += 1;
        }
        match self.policy {
            Policy::Block => unreachable!("block tries nothing"),
            Policy::Nofault => nofault::refused(self, page, out),
            Policy::TryCycle => try_cycle::refused(self, page, trial, out),
            Policy::Ordered => ordered::refused(self, page, out),
        }
    }

    fn submitted(&mut self, page: Page, next: Next, out: &mut Vec<Action>) {
        match next {
            Next::Wait => try_cycle::wait(self, page, out),
            Next::Cycle => try_cycle::cycle(self, page, out),
            Next::FaultIn => nofault::fault_in(self, out),
        }
    }

    fn chunk_done(&mut self, out: &mut Vec<Action>) {
        self.pinned = false;
        self.rounds_idle = 0;
        self.window_is_page = false;
        // Two policies never carry a lock on a mapping past the pins that it was taken for.
        if matches!(self.policy, Policy::Nofault | Policy::TryCycle) {
            self.release_mappings(out);
        }
    }

    const fn progress(&mut self, bytes: usize) {
        if bytes > 0 {
            self.rounds_idle = 0;
            self.window_is_page = false;
        }
    }

    /// Waits for `locks`, one after the other in the order given.
    pub(super) fn take(&mut self, locks: Vec<Held>, then: Then, out: &mut Vec<Action>) {
        let first = locks[0];
        self.phase = Phase::Taking { rest: locks, then };
        out.push(Action::Lock(first));
    }

    fn taken(&mut self, out: &mut Vec<Action>) {
        let Phase::Taking { rest, then } = &mut self.phase else {
            unreachable!()
        };
        let lock = rest.remove(0);
        let then = *then;
        let next = rest.first().copied();
        self.held.insert(lock.key, lock.state);
        // Whoever takes the target (back) has lost everything that it knew about it.
        if lock.key == self.target {
            out.push(Action::Revalidate);
        }
        if let Some(next) = next {
            out.push(Action::Lock(next));
            return;
        }
        self.phase = Phase::Walking;
        match then {
            Then::Begin => {}
            Then::Pin => self.pin(out),
            Then::Rewalk => self.rewalk(out),
            Then::ReleaseAndRetake(key) => {
                self.unlock(key, false, out);
                let target = Held {
                    key: self.target,
                    state: State::Df,
                };
                self.take(alloc::vec![target], Then::Rewalk, out);
            }
        }
    }

    pub(super) fn pin(&mut self, out: &mut Vec<Action>) {
        self.pinned = true;
        out.push(Action::Pin);
    }

    pub(super) fn rewalk(&mut self, out: &mut Vec<Action>) {
        self.stats.retries += 1;
        out.push(Action::Rewalk);
    }

    pub(super) fn submit(&mut self, page: Page, next: Next, out: &mut Vec<Action>) {
        if self.pinned {
            self.phase = Phase::Submitting { page, next };
            out.push(Action::Submit);
        } else {
            self.submitted(page, next, out);
        }
    }

    pub(super) fn unlock(&mut self, key: Key, cycle: bool, out: &mut Vec<Action>) {
        let was = self.held.remove(&key);
        debug_assert!(was.is_some(), "{key} is not held");
        out.push(Action::Unlock { key, cycle });
    }

    /// Pins go before the locks that they stand under.
    pub(super) fn unpin_all(&mut self, out: &mut Vec<Action>) {
        if self.pinned {
            self.pinned = false;
            out.push(Action::UnpinAll);
        }
    }

    /// Releases every lock but the target's.
    pub(super) fn release_mappings(&mut self, out: &mut Vec<Action>) {
        self.unpin_all(out);
        let keys: Vec<Key> = self
            .held
            .keys()
            .rev()
            .copied()
            .filter(|&key| key != self.target)
            .collect();
        for key in keys {
            self.unlock(key, false, out);
        }
    }

    pub(super) fn release_all(&mut self, cycle: bool, out: &mut Vec<Action>) {
        self.unpin_all(out);
        let keys: Vec<Key> = self.held.keys().rev().copied().collect();
        for key in keys {
            self.unlock(key, cycle, out);
        }
    }

    pub(super) fn leave(&mut self, why: Why, out: &mut Vec<Action>) {
        self.release_all(false, out);
        self.phase = Phase::Over;
        out.push(Action::Leave(why));
    }
}

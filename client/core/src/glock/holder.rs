//! The queue of holders: granted ones first, then those that wait, in the order they came.

use alloc::collections::VecDeque;

use dlm_core::{Owner, Tick};

use super::event::HolderId;
use super::flags::HolderFlags;
use super::state::State;

/// One holder in the queue of a glock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holder {
    /// Its number.
    pub id: HolderId,
    /// The state it needs.
    pub state: State,
    /// How it asked.
    pub flags: HolderFlags,
    /// Its task.
    pub owner: Owner,
    /// Whether it holds; otherwise it waits.
    pub granted: bool,
    /// Since when it holds or waits.
    pub since: Tick,
}

impl Holder {
    /// Whether it fails rather than wait for others.
    #[must_use]
    pub const fn is_try(&self) -> bool {
        self.flags
            .intersects(HolderFlags::TRY.union(HolderFlags::TRY_1CB))
    }

    /// Whether this cached state is good enough for it, holders apart (gfs2's `may_grant`).
    #[must_use]
    pub fn accepts(&self, cached: State) -> bool {
        if cached == self.state {
            return true;
        }
        if self.flags.contains(HolderFlags::EXACT) || cached == State::Un {
            return false;
        }
        cached == State::Ex || self.flags.contains(HolderFlags::ANY)
    }

    /// Whether it may hold beside `other`. Within a node it is as strict as between nodes: SH with SH,
    /// DF with DF, nothing else.
    #[must_use]
    pub fn shares_with(&self, other: &Self) -> bool {
        self.state == other.state && self.state != State::Ex
    }
}

/// The holders of one glock. The granted ones are always a prefix.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queue {
    pub(crate) holders: VecDeque<Holder>,
    /// How many are granted.
    pub(crate) granted: usize,
}

impl Queue {
    pub(crate) fn first_waiter(&self) -> Option<&Holder> {
        self.holders.get(self.granted)
    }

    pub(crate) fn waiters(&self) -> impl Iterator<Item = &Holder> {
        self.holders.range(self.granted..)
    }

    pub(crate) fn granted(&self) -> impl Iterator<Item = &Holder> {
        self.holders.range(..self.granted)
    }

    pub(crate) fn any_granted(&self) -> bool {
        self.granted > 0
    }

    pub(crate) fn any_waiter(&self) -> bool {
        self.granted < self.holders.len()
    }

    /// Whether a waiter stands in the queue that is no try.
    pub(crate) fn any_patient(&self) -> bool {
        self.waiters().any(|waiter| !waiter.is_try())
    }

    /// Whether `holder` may hold beside everyone who does.
    pub(crate) fn shares_with_granted(&self, holder: &Holder) -> bool {
        // All granted ones have one state (each was admitted by this very rule), so that the first
        // speaks for all.
        self.granted()
            .next()
            .is_none_or(|first| first.shares_with(holder))
    }

    /// Whether the task stands in the queue itself. Who serves its page faults is not it.
    pub(crate) fn contains_owner(&self, owner: Owner) -> bool {
        let is_it =
            |holder: &Holder| holder.owner == owner && !holder.flags.contains(HolderFlags::FAULT);
        owner != Owner(0) && self.holders.iter().any(is_it)
    }

    /// Grants the first waiter; says who it was, as it waited.
    pub(crate) fn grant_first(&mut self, now: Tick) -> Option<Holder> {
        let holder = self.holders.get_mut(self.granted)?;
        let before = *holder;
        holder.granted = true;
        holder.since = now;
        self.granted += 1;
        Some(before)
    }

    /// Takes a holder out, granted or waiting.
    pub(crate) fn remove(&mut self, id: HolderId) -> Option<Holder> {
        let at = self.holders.iter().position(|holder| holder.id == id)?;
        let holder = self.holders.remove(at)?;
        self.granted -= usize::from(holder.granted);
        Some(holder)
    }

    /// Takes out the waiters that `leaves` is true of, and hands each to `gone`.
    pub(crate) fn remove_waiters(
        &mut self,
        leaves: impl Fn(&Holder) -> bool,
        mut gone: impl FnMut(Holder),
    ) {
        self.holders.retain(|holder| {
            let out = !holder.granted && leaves(holder);
            if out {
                gone(*holder);
            }
            !out
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holder(state: State, flags: HolderFlags) -> Holder {
        let (id, owner) = (HolderId(1), Owner(0));
        Holder {
            id,
            state,
            flags,
            owner,
            granted: false,
            since: Tick(0),
        }
    }

    #[test]
    fn which_cached_state_is_good_enough() {
        use HolderFlags as H;
        use State::{Df, Ex, Sh, Un};
        for (state, flags, accepts) in [
            (Sh, H::empty(), [Sh, Ex].as_slice()),
            (Df, H::empty(), &[Df, Ex]),
            (Ex, H::empty(), &[Ex]),
            (Sh, H::EXACT, &[Sh]),
            (Df, H::ANY, &[Sh, Df, Ex]),
            (Sh, H::ANY, &[Sh, Df, Ex]),
        ] {
            for cached in [Un, Sh, Df, Ex] {
                let holder = holder(state, flags);
                assert_eq!(
                    holder.accepts(cached),
                    accepts.contains(&cached),
                    "{holder:?} {cached}"
                );
            }
        }
    }

    #[test]
    fn within_a_node_only_equal_shared_states_share() {
        for a in [State::Sh, State::Df, State::Ex] {
            for b in [State::Sh, State::Df, State::Ex] {
                let shares = holder(a, HolderFlags::ANY).shares_with(&holder(b, HolderFlags::ANY));
                assert_eq!(shares, a == b && a != State::Ex, "{a} {b}");
                assert!(!shares || a.mode().compatible(b.mode()));
            }
        }
    }
}

//! What is always true of a glock between two steps.
//!
//! | name | statement | who relies on it |
//! |---|---|---|
//! | granted-first | the granted holders are a prefix of the queue | the grant rule, dumps, the lock graph |
//! | granted-share | granted holders may hold beside one another | every user of a glock |
//! | granted-covered | the cached state is good enough for each granted holder | exclusion between nodes |
//! | still-while-held | no hook and no message that changes the state is under way while somebody holds | every user of a glock |
//! | dirty-implies-exclusive | what may be dirty is written back, and what may not be cached is dropped, before the message that gives it up | the data |
//! | waiter-not-lost | if somebody waits, something is under way or a holder stands in the way | liveness |
//! | demand-not-lost | if a demotion is wanted, something is under way, somebody holds, or the timer is armed | liveness of the other nodes |
//! | try-waits-for-nobody | while the master may queue our message, no try waits; nor does one wait for a holder | deadlock freedom of lock cycles |
//! | message-has-a-waiter | a message that the master may queue is for the first waiter, or is being cancelled | no lock is taken for nobody |
//! | linked-unless-unlocked | without a lock at the lock manager the state is UN | exclusion between nodes |
//! | one-hold-each | no task is in the queue twice, but for who serves its page faults | deadlock freedom within a glock |

use core::fmt;

use dlm_core::Owner;

use crate::glock::transition::{Phase, Transition, Why};
use crate::glock::{Due, Glock, Holder};
use crate::{HolderFlags, State};

/// An invariant that does not hold: a bug, in this crate or in its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Its name in the table above.
    pub invariant: &'static str,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the glock breaks its invariant `{}`; this is a bug, report it",
            self.invariant
        )
    }
}

impl core::error::Error for Violation {}

type Check = fn(&Glock) -> bool;

const CHECKS: [(&str, Check); 11] = [
    ("granted-first", granted_first),
    ("granted-share", granted_share),
    ("granted-covered", granted_covered),
    ("still-while-held", still_while_held),
    ("dirty-implies-exclusive", dirty_implies_exclusive),
    ("waiter-not-lost", waiter_not_lost),
    ("demand-not-lost", demand_not_lost),
    ("try-waits-for-nobody", try_waits_for_nobody),
    ("message-has-a-waiter", message_has_a_waiter),
    ("linked-unless-unlocked", linked_unless_unlocked),
    ("one-hold-each", one_hold_each),
];

/// Checks them all.
///
/// # Errors
/// The first that does not hold.
pub fn check(glock: &Glock) -> Result<(), Violation> {
    match CHECKS.iter().find(|(_, holds)| !holds(glock)) {
        Some(&(invariant, _)) => Err(Violation { invariant }),
        None => Ok(()),
    }
}

fn granted_first(glock: &Glock) -> bool {
    let prefix = glock
        .queue
        .holders
        .iter()
        .take_while(|holder| holder.granted)
        .count();
    let all = glock
        .queue
        .holders
        .iter()
        .filter(|holder| holder.granted)
        .count();
    prefix == all && all == glock.queue.granted
}

fn granted_share(glock: &Glock) -> bool {
    let granted: alloc::vec::Vec<&Holder> = glock.holders().filter(|h| h.granted).collect();
    granted
        .iter()
        .enumerate()
        .all(|(at, a)| granted[..at].iter().all(|b| a.shares_with(b)))
}

fn granted_covered(glock: &Glock) -> bool {
    glock
        .holders()
        .filter(|holder| holder.granted)
        .all(|holder| {
            let any = holder.flags.contains(HolderFlags::ANY) && glock.state != State::Un;
            any || glock.state.covers(holder.state)
        })
}

fn still_while_held(glock: &Glock) -> bool {
    let changing = matches!(
        glock.phase,
        Phase::Syncing(_) | Phase::Invalidating(_) | Phase::Asking(_)
    );
    !(changing && glock.queue.any_granted())
}

fn dirty_implies_exclusive(glock: &Glock) -> bool {
    let written_back =
        |change: Transition| change.synced || glock.state != State::Ex || change.to == State::Ex;
    match glock.phase {
        Phase::Invalidating(change) => written_back(change),
        Phase::Asking(asking) => {
            let change = asking.change;
            let caches_data = matches!(glock.state, State::Sh | State::Ex);
            let drops = match change.to {
                State::Un => glock.state != State::Un,
                State::Df => caches_data,
                State::Sh | State::Ex => false,
            };
            written_back(change) && (change.invalidated || !drops)
        }
        _ => true,
    }
}

fn waiter_not_lost(glock: &Glock) -> bool {
    let Some(first) = glock.queue.first_waiter() else {
        return true;
    };
    match glock.phase {
        // Somebody holds, and either shares with nobody like the first waiter, or a demotion stands
        // between them.
        Phase::Idle => {
            glock.queue.any_granted() && (!glock.may_grant(first) || glock.demand.is_some())
        }
        Phase::Lost(_) => false,
        _ => true,
    }
}

fn demand_not_lost(glock: &Glock) -> bool {
    let Some(demand) = glock.demand else {
        return true;
    };
    let armed = matches!(demand.due, Due::At(at) if glock.timer == Some(at));
    glock.phase != Phase::Idle || glock.queue.any_granted() || armed
}

fn try_waits_for_nobody(glock: &Glock) -> bool {
    let waits = match glock.phase {
        Phase::Asking(asking) => asking.may_wait && !asking.cancelled,
        Phase::Idle => true,
        _ => false,
    };
    !(waits && glock.queue.waiters().any(Holder::is_try))
}

fn message_has_a_waiter(glock: &Glock) -> bool {
    let Phase::Asking(asking) = glock.phase else {
        return true;
    };
    let for_first = |first: &Holder| first.state == asking.change.to && !first.is_try();
    !asking.may_wait
        || asking.cancelled
        || (asking.change.why == Why::Promote && glock.queue.first_waiter().is_some_and(for_first))
}

fn linked_unless_unlocked(glock: &Glock) -> bool {
    glock.linked || glock.state == State::Un || glock.is_lost()
}

fn one_hold_each(glock: &Glock) -> bool {
    let owners: alloc::vec::Vec<Owner> = glock
        .holders()
        .filter(|holder| !holder.flags.contains(HolderFlags::FAULT))
        .map(|holder| holder.owner)
        .filter(|&owner| owner != Owner(0))
        .collect();
    owners
        .iter()
        .enumerate()
        .all(|(at, owner)| !owners[..at].contains(owner))
}

#[cfg(test)]
mod tests {
    use dlm_core::Tick;

    use super::*;
    use crate::GlockName;
    use crate::glock::transition::Asking;
    use crate::glock::{Demand, HoldTime, HolderId};

    fn glock(state: State) -> Glock {
        let mut glock = Glock::new(GlockName::inode(1), HoldTime::NONE);
        glock.state = state;
        glock.linked = true;
        glock
    }

    fn add(glock: &mut Glock, id: u64, state: State, granted: bool) {
        let flags = HolderFlags::empty();
        let holder = Holder {
            id: HolderId(id),
            state,
            flags,
            owner: Owner(id),
            granted,
            since: Tick(0),
        };
        glock.queue.holders.push_back(holder);
        glock.queue.granted += usize::from(granted);
    }

    fn asking(to: State, why: Why, may_wait: bool) -> Phase {
        let change = Transition {
            to,
            why,
            synced: false,
            invalidated: false,
        };
        Phase::Asking(Asking {
            change,
            may_wait,
            cancelled: false,
        })
    }

    #[track_caller]
    fn breaks(glock: &Glock, invariant: &str) {
        let check = CHECKS
            .iter()
            .find(|(name, _)| *name == invariant)
            .unwrap()
            .1;
        assert!(!check(glock), "the bad state passes");
        assert!(super::check(glock).is_err());
    }

    #[test]
    fn a_new_one_and_a_held_one_are_fine() {
        let mut held = glock(State::Ex);
        assert_eq!(check(&held), Ok(()));
        add(&mut held, 1, State::Sh, true);
        add(&mut held, 2, State::Sh, true);
        add(&mut held, 3, State::Ex, false);
        assert_eq!(check(&held), Ok(()));
    }

    #[test]
    fn bad_holders_are_found() {
        let mut bad = glock(State::Sh);
        add(&mut bad, 1, State::Sh, false);
        add(&mut bad, 2, State::Sh, true);
        breaks(&bad, "granted-first");

        let mut bad = glock(State::Ex);
        add(&mut bad, 1, State::Sh, true);
        add(&mut bad, 2, State::Df, true);
        breaks(&bad, "granted-share");

        let mut bad = glock(State::Sh);
        add(&mut bad, 1, State::Ex, true);
        breaks(&bad, "granted-covered");

        let mut bad = glock(State::Sh);
        add(&mut bad, 1, State::Sh, true);
        add(&mut bad, 1, State::Sh, true);
        breaks(&bad, "one-hold-each");

        let mut bad = glock(State::Ex);
        bad.linked = false;
        breaks(&bad, "linked-unless-unlocked");
    }

    #[test]
    fn bad_changes_are_found() {
        let mut bad = glock(State::Ex);
        add(&mut bad, 1, State::Ex, true);
        bad.phase = asking(State::Un, Why::Demote, false);
        breaks(&bad, "still-while-held");

        let mut bad = glock(State::Ex);
        bad.phase = asking(State::Sh, Why::Demote, false);
        breaks(&bad, "dirty-implies-exclusive");
        let mut bad = glock(State::Sh);
        bad.phase = asking(State::Df, Why::Demote, false);
        breaks(&bad, "dirty-implies-exclusive");

        let mut bad = glock(State::Un);
        bad.phase = asking(State::Ex, Why::Promote, true);
        breaks(&bad, "message-has-a-waiter");
    }

    #[test]
    fn lost_waiters_and_demands_are_found() {
        let mut bad = glock(State::Sh);
        add(&mut bad, 1, State::Sh, false);
        breaks(&bad, "waiter-not-lost");

        let mut bad = glock(State::Ex);
        let due = Due::At(Tick(0));
        bad.demand = Some(Demand {
            to: State::Un,
            since: Tick(0),
            due,
        });
        breaks(&bad, "demand-not-lost");

        let mut bad = glock(State::Un);
        add(&mut bad, 1, State::Ex, false);
        bad.queue.holders[0].flags = HolderFlags::TRY;
        bad.phase = asking(State::Ex, Why::Promote, true);
        breaks(&bad, "try-waits-for-nobody");
    }
}

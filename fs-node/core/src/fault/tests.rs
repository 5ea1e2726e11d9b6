//! Scripts: what goes in, and exactly what must come out.

use alloc::vec::Vec;

use glock_core::State;

use super::{Access, Action, Direction, Event, Held, Policy, Record, Stats, Trial, Why};
use crate::limits::{
    NOFAULT_READ_ROUNDS_MAX, NOFAULT_WINDOW_BYTES, PAGE_BYTES, TRY_CYCLE_ROUNDS_MAX,
};
use crate::order::Key;

const fn key(inode: u64) -> Key {
    Key::new(0, inode)
}

const fn held(inode: u64, state: State) -> Held {
    Held {
        key: key(inode),
        state,
    }
}

const fn lock(inode: u64, state: State) -> Action {
    Action::Lock(held(inode, state))
}

const fn unlock(inode: u64, cycle: bool) -> Action {
    Action::Unlock {
        key: key(inode),
        cycle,
    }
}

struct Script {
    record: Record,
    access: Access,
}

impl Script {
    /// A record on inode 5 that has begun.
    fn begun(policy: Policy, direction: Direction) -> Self {
        let record = Record::new(policy, direction, key(5));
        let mut script = Self {
            record,
            access: direction.access(),
        };
        assert_eq!(script.step(Event::Begin), [lock(5, State::Df)]);
        assert_eq!(script.step(Event::Granted), [Action::Revalidate]);
        script
    }

    fn step(&mut self, event: Event) -> Vec<Action> {
        let mut out = Vec::new();
        self.record.step(event, &mut out);
        out
    }

    fn page(&mut self, inode: u64, resident: bool) -> Vec<Action> {
        self.step(Event::Page {
            mapping: key(inode),
            access: self.access,
            resident,
        })
    }
}

#[test]
fn ordered_waits_for_what_is_above() {
    let mut script = Script::begun(Policy::Ordered, Direction::Read);
    assert_eq!(script.page(7, false), [lock(7, State::Ex)]);
    assert_eq!(script.step(Event::Granted), [Action::Pin]);
    assert_eq!(
        script.page(7, true),
        [Action::Pin],
        "the hold covers the next page too"
    );
    assert_eq!(script.step(Event::ChunkDone), []);
    assert_eq!(
        script.page(7, true),
        [Action::Pin],
        "it is kept until the I/O ends"
    );
    let end = script.step(Event::End);
    assert_eq!(end, [Action::UnpinAll, unlock(7, false), unlock(5, false)]);
    assert_eq!(script.record.stats(), Stats::default());
}

#[test]
fn ordered_tries_what_is_below_and_keeps_it() {
    let mut script = Script::begun(Policy::Ordered, Direction::Write);
    let attempt = Action::Try(held(2, State::Sh), Trial::OneCallback);
    assert_eq!(script.page(2, false), [attempt]);
    assert_eq!(script.step(Event::Granted), [Action::Pin]);
    assert_eq!(script.page(2, false), [Action::Pin]);
    assert_eq!(script.record.stats(), Stats::default());
}

#[test]
fn ordered_cycles_where_the_trylock_fails() {
    let mut script = Script::begun(Policy::Ordered, Direction::Write);
    script.page(7, false);
    script.step(Event::Granted);
    script.page(3, false);
    assert_eq!(
        script.step(Event::Refused),
        [
            Action::UnpinAll,
            unlock(7, true),
            unlock(5, true),
            lock(3, State::Sh)
        ]
    );
    assert_eq!(script.step(Event::Granted), [lock(5, State::Df)]);
    assert_eq!(
        script.step(Event::Granted),
        [Action::Revalidate, lock(7, State::Sh)]
    );
    assert_eq!(script.step(Event::Granted), [Action::Rewalk]);
    assert_eq!(
        script.record.stats(),
        Stats {
            retries: 1,
            trylock_failed: 1,
            lock_cycles: 1
        }
    );
    // Only what is above the lower one is dropped by the next cycle.
    script.page(4, false);
    assert_eq!(
        script.step(Event::Refused),
        [unlock(7, true), unlock(5, true), lock(4, State::Sh)]
    );
}

#[test]
fn ordered_never_converts_inside_a_record() {
    let mut script = Script::begun(Policy::Ordered, Direction::Write);
    script.page(7, false);
    script.step(Event::Granted);
    script.access = Access::Write;
    assert_eq!(
        script.page(7, true),
        [Action::UnpinAll, unlock(7, true), lock(7, State::Ex)]
    );
    assert_eq!(script.step(Event::Granted), [Action::Rewalk]);
    assert_eq!(script.page(7, true), [Action::Pin]);
    script.access = Access::Read;
    assert_eq!(script.page(7, true), [Action::Pin], "EX covers reading");
}

#[test]
fn the_same_mapping_leaves_with_nothing_held() {
    for policy in [Policy::Block, Policy::TryCycle, Policy::Ordered] {
        let mut script = Script::begun(policy, Direction::Read);
        assert_eq!(
            script.page(5, true),
            [unlock(5, false), Action::Leave(Why::SameMapping)]
        );
        assert_eq!(script.step(Event::End), []);
    }
}

#[test]
fn block_waits_for_anything() {
    let mut script = Script::begun(Policy::Block, Direction::Read);
    assert_eq!(script.page(2, false), [lock(2, State::Ex)]);
    assert_eq!(script.step(Event::Granted), [Action::Pin]);
    assert_eq!(
        script.page(7, false),
        [lock(7, State::Ex)],
        "with pages pinned, too"
    );
}

#[test]
fn try_cycle_releases_the_lower_lock_at_once() {
    let mut script = Script::begun(Policy::TryCycle, Direction::Write);
    script.page(2, false);
    assert_eq!(
        script.step(Event::Refused),
        [unlock(5, true), lock(2, State::Sh)]
    );
    assert_eq!(
        script.step(Event::Granted),
        [unlock(2, false), lock(5, State::Df)]
    );
    assert_eq!(
        script.step(Event::Granted),
        [Action::Revalidate, Action::Rewalk]
    );
    script.page(2, false);
    assert_eq!(script.step(Event::Granted), [Action::Pin]);
    assert_eq!(
        script.step(Event::ChunkDone),
        [unlock(2, false)],
        "no pins, no lock"
    );
}

#[test]
fn try_cycle_submits_before_it_waits() {
    let mut script = Script::begun(Policy::TryCycle, Direction::Write);
    let local = Action::Try(held(7, State::Sh), Trial::Local);
    assert_eq!(script.page(7, true), [local]);
    assert_eq!(script.step(Event::Granted), [Action::Pin]);
    assert_eq!(
        script.page(9, false),
        [Action::Try(held(9, State::Sh), Trial::Local)]
    );
    assert_eq!(script.step(Event::Refused), [Action::Submit]);
    let submitted = script.step(Event::Submitted { bytes: PAGE_BYTES });
    assert_eq!(submitted, [unlock(7, false), lock(9, State::Sh)]);
    assert_eq!(script.step(Event::Granted), [Action::Pin]);
}

#[test]
fn try_cycle_gives_up_after_its_bound() {
    let mut script = Script::begun(Policy::TryCycle, Direction::Write);
    for _ in 0..TRY_CYCLE_ROUNDS_MAX {
        script.page(2, false);
        script.step(Event::Refused);
        script.step(Event::Granted);
        assert_eq!(
            script.step(Event::Granted),
            [Action::Revalidate, Action::Rewalk]
        );
    }
    script.page(2, false);
    let out = script.step(Event::Refused);
    assert_eq!(out, [unlock(5, false), Action::Leave(Why::OutOfRounds)]);
}

#[test]
fn nofault_faults_in_with_nothing_held() {
    let mut script = Script::begun(Policy::Nofault, Direction::Read);
    assert_eq!(
        script.page(7, true),
        [Action::Try(held(7, State::Ex), Trial::Local)]
    );
    assert_eq!(script.step(Event::Granted), [Action::Pin]);
    assert_eq!(script.page(7, false), [Action::Submit]);
    let window = Action::Prefault {
        bytes: NOFAULT_WINDOW_BYTES,
    };
    let out = script.step(Event::Submitted { bytes: PAGE_BYTES });
    assert_eq!(out, [unlock(7, false), unlock(5, false), window]);
    let again = script.step(Event::Prefaulted {
        bytes: NOFAULT_WINDOW_BYTES,
    });
    assert_eq!(again, [lock(5, State::Df)]);
    assert_eq!(
        script.step(Event::Granted),
        [Action::Revalidate, Action::Rewalk]
    );
}

#[test]
fn nofault_pins_the_targets_own_page_where_it_is_there() {
    let mut script = Script::begun(Policy::Nofault, Direction::Write);
    assert_eq!(script.page(5, true), [Action::Pin]);
    assert_eq!(script.page(5, false), [Action::Submit]);
}

#[test]
fn nofault_shrinks_its_window_and_ends_a_write_buffered() {
    let mut script = Script::begun(Policy::Nofault, Direction::Write);
    for bytes in [NOFAULT_WINDOW_BYTES, PAGE_BYTES] {
        let out = script.page(5, false);
        assert_eq!(out, [unlock(5, false), Action::Prefault { bytes }]);
        script.step(Event::Prefaulted { bytes });
        script.step(Event::Granted);
    }
    assert_eq!(
        script.page(5, false),
        [unlock(5, false), Action::Leave(Why::Buffered)]
    );
}

#[test]
fn nofault_bounds_a_read() {
    let mut script = Script::begun(Policy::Nofault, Direction::Read);
    for _ in 0..NOFAULT_READ_ROUNDS_MAX {
        script.page(5, false);
        script.step(Event::Prefaulted { bytes: PAGE_BYTES });
        script.step(Event::Granted);
    }
    assert_eq!(
        script.page(5, false),
        [unlock(5, false), Action::Leave(Why::OutOfRounds)]
    );
}

#[test]
fn nofault_stops_where_nothing_can_be_faulted_in() {
    let mut script = Script::begun(Policy::Nofault, Direction::Write);
    script.page(7, false);
    assert_eq!(script.step(Event::Prefaulted { bytes: 0 }), [Action::Stop]);
    assert_eq!(script.step(Event::End), []);
}

#[test]
fn an_interrupt_releases_what_is_held() {
    let mut script = Script::begun(Policy::Ordered, Direction::Read);
    script.page(7, false);
    assert_eq!(
        script.step(Event::End),
        [unlock(5, false)],
        "in place of an answer"
    );
    assert_eq!(script.record.held().count(), 0);
}

#[test]
#[should_panic(expected = "does not answer")]
fn an_answer_that_nobody_asked_for_is_a_fault() {
    let mut script = Script::begun(Policy::Ordered, Direction::Read);
    script.step(Event::Granted);
}

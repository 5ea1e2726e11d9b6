//! Who is granted from the cached state, in what order, and what is asked for.

use super::*;

#[test]
fn shared_holders_share_and_an_exclusive_one_waits_for_them() {
    let mut play = Play::cached(State::Sh);
    assert_eq!(play.enqueue(1, State::Sh, PLAIN), vec![granted(1)]);
    assert_eq!(play.enqueue(2, State::Sh, PLAIN), vec![granted(2)]);
    assert_eq!(play.enqueue(3, State::Ex, PLAIN), vec![]);
    assert_eq!(
        play.enqueue(4, State::Sh, PLAIN),
        vec![],
        "the queue is served in order"
    );
    assert_eq!(play.release(1), vec![]);
    assert_eq!(play.release(2), vec![convert(Mode::Ex, QUECVT, 3)]);
    assert_eq!(play.granted(Mode::Ex), vec![granted(3)]);
    assert_eq!(play.release(3), vec![granted(4)], "EX covers SH");
}

#[test]
fn direct_io_excludes_sharing_within_the_node_too() {
    let mut play = Play::cached(State::Df);
    assert_eq!(play.enqueue(1, State::Df, PLAIN), vec![granted(1)]);
    assert_eq!(play.enqueue(2, State::Sh, PLAIN), vec![]);
    assert_eq!(play.release(1), vec![convert(Mode::Pr, QUECVT, 2)]);
    assert_eq!(
        play.granted(Mode::Pr),
        vec![granted(2)],
        "no new instantiation after DF"
    );
    assert_eq!(play.release(2), vec![]);
    assert_eq!(
        play.enqueue(3, State::Df, PLAIN),
        vec![invalidate(State::Df)]
    );
    assert_eq!(play.hook_done(), vec![convert(Mode::Cw, QUECVT, 3)]);
}

#[test]
fn exclusive_cache_serves_both_shared_states_one_after_the_other() {
    let mut play = Play::cached(State::Ex);
    assert_eq!(play.enqueue(1, State::Sh, PLAIN), vec![granted(1)]);
    assert_eq!(play.enqueue(2, State::Df, PLAIN), vec![]);
    assert_eq!(play.release(1), vec![granted(2)]);
}

#[test]
fn exact_takes_no_stronger_state_and_any_takes_either_shared_one() {
    let mut play = Play::cached(State::Ex);
    assert_eq!(
        play.enqueue(1, State::Sh, HolderFlags::EXACT),
        vec![Output::Sync]
    );
    assert_eq!(play.hook_done(), vec![convert(Mode::Pr, NONE, 1)]);
    assert_eq!(play.granted(Mode::Pr), vec![granted(1)]);

    let mut play = Play::cached(State::Df);
    assert_eq!(
        play.enqueue(1, State::Sh, HolderFlags::ANY),
        vec![granted(1)]
    );
}

#[test]
fn the_object_is_instantiated_once_unless_the_holder_skips_it() {
    let mut play = Play::new();
    play.enqueue(1, State::Sh, HolderFlags::SKIP);
    assert_eq!(play.granted(Mode::Pr), vec![granted(1)]);
    assert_eq!(play.enqueue(2, State::Sh, PLAIN), vec![Output::Instantiate]);
    assert_eq!(play.enqueue(3, State::Sh, PLAIN), vec![]);
    assert_eq!(
        play.step(Input::Instantiated { ok: false }),
        vec![failed(2, Failure::Io), Output::Instantiate]
    );
    assert_eq!(
        play.step(Input::Instantiated { ok: true }),
        vec![granted(3)]
    );
    assert_eq!(play.enqueue(4, State::Sh, PLAIN), vec![granted(4)]);
}

/// Another thread's fault on the same page wakes the task early: it comes again, to fault or for an I/O,
/// while its first fault is still being served.
#[test]
fn a_fault_is_no_recursion() {
    let mut play = Play::cached(State::Sh);
    let task = |holder, flags| Input::Enqueue {
        holder: HolderId(holder),
        state: State::Sh,
        flags,
        owner: Owner(1),
    };
    for (holder, flags) in [(1, HolderFlags::FAULT), (2, HolderFlags::FAULT), (3, PLAIN)] {
        assert_eq!(play.step(task(holder, flags)), vec![granted(holder)]);
    }
    assert_eq!(play.step(task(4, HolderFlags::FAULT)), vec![granted(4)]);
    assert_eq!(
        play.step(task(5, PLAIN)),
        vec![failed(5, Failure::Recursion)]
    );
}

#[test]
fn a_task_that_comes_twice_is_told() {
    let mut play = Play::cached(State::Sh);
    assert_eq!(play.enqueue(1, State::Sh, PLAIN), vec![granted(1)]);
    let again = Input::Enqueue {
        holder: HolderId(2),
        state: State::Sh,
        flags: PLAIN,
        owner: Owner(1),
    };
    assert_eq!(play.step(again), vec![failed(2, Failure::Recursion)]);
    for id in 3..5 {
        let nobody = Input::Enqueue {
            holder: HolderId(id),
            state: State::Sh,
            flags: PLAIN,
            owner: Owner(0),
        };
        assert_eq!(
            play.step(nobody),
            vec![granted(id)],
            "owner 0 is nobody in particular"
        );
    }
}

#[test]
fn what_cannot_be_asked_for() {
    let mut play = Play::cached(State::Sh);
    assert_eq!(
        play.enqueue(1, State::Un, PLAIN),
        vec![failed(1, Failure::Unlocked)]
    );
    for id in 0..crate::limits::HOLDERS_PER_GLOCK_MAX as u64 {
        let enqueue = Input::Enqueue {
            holder: HolderId(1000 + id),
            state: State::Sh,
            flags: PLAIN,
            owner: Owner(0),
        };
        let mut out = Vec::new();
        play.glock.step(play.now, enqueue, &mut out);
        assert_eq!(out, vec![granted(1000 + id)]);
    }
    assert_eq!(
        play.enqueue(1, State::Sh, PLAIN),
        vec![failed(1, Failure::QueueLength)]
    );
}

#[test]
fn a_conversion_that_is_refused_for_deadlock_lets_go_first() {
    let mut play = Play::cached(State::Sh);
    assert_eq!(
        play.enqueue(1, State::Ex, PLAIN),
        vec![convert(Mode::Ex, QUECVT, 1)]
    );
    assert_eq!(
        play.reply(Status::Deadlock, Some(Mode::Pr)),
        vec![invalidate(State::Un)]
    );
    assert_eq!(play.hook_done(), vec![convert(Mode::Nl, NONE, 0)]);
    assert_eq!(play.granted(Mode::Nl), vec![convert(Mode::Ex, QUECVT, 1)]);
    assert_eq!(play.granted(Mode::Ex), vec![Output::Instantiate]);
    assert_eq!(
        play.step(Input::Instantiated { ok: true }),
        vec![granted(1)]
    );
}

/// Its master was lost while it converted between SH and DF, and the next one left it what both have in
/// common.
#[test]
fn what_is_left_between_two_states_is_given_up_before_anything_else() {
    for status in [Status::Deadlock, Status::TryFailed, Status::Cancelled] {
        let mut play = Play::cached(State::Sh);
        assert_eq!(
            play.enqueue(1, State::Df, PLAIN),
            vec![invalidate(State::Df)]
        );
        assert_eq!(play.hook_done(), vec![convert(Mode::Cw, QUECVT, 1)]);
        let left = play.reply(status, Some(Mode::Cr));
        assert_eq!(left, vec![invalidate(State::Un)]);
        // Nobody is granted SH meanwhile, though that is what was cached.
        assert_eq!(play.enqueue(2, State::Sh, PLAIN), vec![]);
        assert_eq!(play.hook_done(), vec![convert(Mode::Nl, NONE, 0)]);
        assert_eq!(play.granted(Mode::Nl), vec![convert(Mode::Cw, QUECVT, 1)]);
    }
}

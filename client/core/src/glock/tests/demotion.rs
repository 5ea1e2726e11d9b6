//! Callbacks: hooks before the message, the minimum hold time, and fairness to the other nodes.

use super::*;

const FAULT: HolderFlags = HolderFlags::FAULT;

#[test]
fn each_callback_has_its_state_and_its_hooks() {
    let cases: [(State, Mode, &[Output], Mode); 6] = [
        (State::Ex, Mode::Pr, &[Output::Sync], Mode::Pr),
        (
            State::Ex,
            Mode::Cw,
            &[Output::Sync, invalidate(State::Df)],
            Mode::Cw,
        ),
        (
            State::Ex,
            Mode::Ex,
            &[Output::Sync, invalidate(State::Un)],
            Mode::Nl,
        ),
        (State::Sh, Mode::Ex, &[invalidate(State::Un)], Mode::Nl),
        (State::Sh, Mode::Cw, &[invalidate(State::Df)], Mode::Cw),
        (State::Df, Mode::Ex, &[invalidate(State::Un)], Mode::Nl),
    ];
    for (state, wanted, hooks, mode) in cases {
        let mut play = Play::cached(state);
        let mut seen = play.callback(wanted);
        for hook in hooks {
            assert_eq!(seen, vec![*hook], "{state} {wanted}");
            seen = play.hook_done();
        }
        let flags = if state == State::Sh && mode == Mode::Cw {
            RequestFlags::NOQUEUE
        } else {
            RequestFlags::empty()
        };
        assert_eq!(seen, vec![convert(mode, flags, 0)], "{state} {wanted}");
        assert_eq!(play.granted(mode), vec![]);
        assert_eq!(play.glock.demand(), None);
    }
}

#[test]
fn a_sideways_demotion_that_cannot_be_granted_goes_all_the_way() {
    let mut play = Play::cached(State::Sh);
    play.callback(Mode::Cw);
    play.hook_done();
    assert_eq!(
        play.reply(Status::TryFailed, Some(Mode::Pr)),
        vec![invalidate(State::Un)]
    );
    assert_eq!(play.hook_done(), vec![convert(Mode::Nl, NONE, 0)]);
    assert_eq!(play.granted(Mode::Nl), vec![]);
}

#[test]
fn a_second_demand_for_another_state_makes_it_un() {
    let mut play = Play::cached(State::Ex);
    assert_eq!(play.callback(Mode::Pr), vec![Output::Sync]);
    assert_eq!(play.callback(Mode::Ex), vec![]);
    assert_eq!(play.hook_done(), vec![convert(Mode::Pr, NONE, 0)]);
    assert_eq!(play.granted(Mode::Pr), vec![invalidate(State::Un)]);
    assert_eq!(play.hook_done(), vec![convert(Mode::Nl, NONE, 0)]);
}

#[test]
fn a_due_demotion_stands_before_new_local_holders() {
    let mut play = Play::cached(State::Sh);
    play.enqueue(1, State::Sh, PLAIN);
    assert_eq!(play.callback(Mode::Ex), vec![]);
    assert_eq!(
        play.enqueue(2, State::Sh, PLAIN),
        vec![],
        "it shares, and stands behind all the same"
    );
    assert_eq!(play.release(1), vec![invalidate(State::Un)]);
    assert_eq!(play.hook_done(), vec![convert(Mode::Nl, NONE, 0)]);
    assert_eq!(play.granted(Mode::Nl), vec![convert(Mode::Pr, QUECVT, 2)]);
}

#[test]
fn without_a_fault_nothing_is_delayed() {
    let mut play = Play::cached_with_hold(State::Sh, HoldTime::fixed(100));
    play.enqueue(1, State::Sh, PLAIN);
    assert_eq!(play.callback(Mode::Ex), vec![]);
    assert_eq!(play.release(1), vec![invalidate(State::Un)]);
}

#[test]
fn a_fault_that_was_served_delays_a_callback_once() {
    let mut play = Play::with_hold(HoldTime::fixed(100));
    play.enqueue(1, State::Sh, FAULT | HolderFlags::SKIP);
    let granted_at = play.now;
    assert_eq!(play.granted(Mode::Pr), vec![granted(1)]);
    play.after(10).release(1);
    let at = granted_at.plus(100);
    assert_eq!(play.callback(Mode::Ex), vec![Output::ArmTimer { at }]);
    assert_eq!(
        play.enqueue(2, State::Sh, FAULT | HolderFlags::SKIP),
        vec![granted(2)]
    );
    assert_eq!(
        play.after(20).release(2),
        vec![],
        "releases do not push the time"
    );
    assert_eq!(play.after(69).step(Input::Timer), vec![]);
    assert_eq!(
        play.after(1).step(Input::Timer),
        vec![invalidate(State::Un)]
    );
}

#[test]
fn a_callback_before_the_answer_counts_from_the_answer() {
    let mut play = Play::cached_with_hold(State::Sh, HoldTime::fixed(100));
    play.enqueue(1, State::Ex, FAULT);
    assert_eq!(play.after(500).callback(Mode::Ex), vec![]);
    let at = play.after(500).now.plus(100);
    assert_eq!(
        play.granted(Mode::Ex),
        vec![granted(1), Output::ArmTimer { at }]
    );
    assert_eq!(play.release(1), vec![]);
    assert_eq!(play.after(100).step(Input::Timer), vec![Output::Sync]);
}

#[test]
fn a_local_change_does_not_push_the_time() {
    let mut play = Play::with_hold(HoldTime::fixed(100));
    play.enqueue(1, State::Sh, FAULT | HolderFlags::SKIP);
    play.granted(Mode::Pr);
    play.release(1);
    let at = play.now.plus(100);
    assert_eq!(play.callback(Mode::Ex), vec![Output::ArmTimer { at }]);
    play.after(50)
        .enqueue(2, State::Ex, FAULT | HolderFlags::SKIP);
    assert_eq!(play.granted(Mode::Ex), vec![granted(2)]);
    assert_eq!(play.after(50).release(2), vec![Output::Sync]);
}

#[test]
fn a_fault_before_the_last_change_delays_nothing() {
    let mut play = Play::with_hold(HoldTime::fixed(100));
    play.enqueue(1, State::Sh, FAULT | HolderFlags::SKIP);
    play.granted(Mode::Pr);
    play.release(1);
    play.enqueue(2, State::Ex, HolderFlags::SKIP);
    play.granted(Mode::Ex);
    play.release(2);
    assert_eq!(play.callback(Mode::Ex), vec![Output::Sync]);
}

#[test]
fn a_holder_that_gives_way_ends_the_delay() {
    let mut play = Play::with_hold(HoldTime::fixed(100));
    play.enqueue(1, State::Sh, FAULT | HolderFlags::SKIP);
    play.granted(Mode::Pr);
    play.callback(Mode::Ex);
    assert_eq!(play.yields(1), vec![invalidate(State::Un)]);
}

#[test]
fn who_was_asked_for_is_granted_before_the_demotion() {
    let mut play = Play::cached(State::Sh);
    play.enqueue(1, State::Ex, PLAIN);
    play.callback(Mode::Ex);
    assert_eq!(play.granted(Mode::Ex), vec![granted(1)]);
    assert_eq!(play.release(1), vec![Output::Sync]);
}

#[test]
fn nocache_lets_go_when_it_is_released() {
    let mut play = Play::cached(State::Sh);
    play.enqueue(1, State::Sh, HolderFlags::NOCACHE);
    assert_eq!(play.release(1), vec![invalidate(State::Un)]);
}

#[test]
fn the_hold_time_adapts() {
    let mut play = Play::cached_with_hold(State::Ex, HoldTime::GFS2);
    play.glock.hold.now = 100_000;
    play.enqueue(1, State::Ex, PLAIN);
    play.enqueue(2, State::Ex, PLAIN);
    play.after(crate::limits::WAIT_LONG_US + 1).release(1);
    assert_eq!(
        play.glock.hold.now, 150_000,
        "a local holder waited for long"
    );
    play.release(2);
    play.callback(Mode::Pr);
    play.hook_done();
    play.granted(Mode::Pr);
    play.enqueue(3, State::Ex, HolderFlags::TRY);
    play.reply(Status::TryFailed, Some(Mode::Pr));
    assert_eq!(
        play.glock.hold.now, 125_000,
        "the answer was not the state asked for"
    );
}

#[test]
fn the_node_can_take_its_cache_back_at_once() {
    let mut play = Play::cached_with_hold(State::Ex, HoldTime::GFS2);
    assert_eq!(play.step(Input::Demote), vec![Output::Sync]);
    let mut play = Play::cached(State::Un.join(State::Sh));
    play.step(Input::Free);
    assert_eq!(play.enqueue(1, State::Sh, PLAIN), vec![]);
    assert_eq!(
        play.hook_done(),
        vec![convert(Mode::Nl, NONE, 0)],
        "a new holder keeps the lock"
    );
}

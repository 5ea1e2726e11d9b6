//! Tries: when they fail at once, what they send, and that they wait for nobody.

use super::*;

const TRY: HolderFlags = HolderFlags::TRY;
const TRY_1CB: HolderFlags = HolderFlags::TRY_1CB;
const NOQUEUE: RequestFlags = RequestFlags::NOQUEUE;
const ONE_CALLBACK: RequestFlags = NOQUEUE.union(RequestFlags::NOQUEUEBAST);

#[test]
fn a_try_fails_behind_a_holder_in_its_way_and_behind_a_patient_waiter() {
    let mut play = Play::cached(State::Sh);
    play.enqueue(1, State::Sh, PLAIN);
    assert_eq!(
        play.enqueue(2, State::Ex, TRY),
        vec![failed(2, Failure::TryFailed)]
    );
    assert_eq!(play.enqueue(3, State::Sh, TRY), vec![granted(3)]);
    play.enqueue(4, State::Ex, PLAIN);
    assert_eq!(
        play.enqueue(5, State::Sh, TRY),
        vec![failed(5, Failure::TryFailed)]
    );
}

#[test]
fn a_try_that_is_not_cached_asks_without_queueing() {
    let mut play = Play::new();
    assert_eq!(
        play.enqueue(1, State::Sh, TRY),
        vec![request(Mode::Pr, NOQUEUE, 1)]
    );
    assert_eq!(
        play.reply(Status::TryFailed, None),
        vec![failed(1, Failure::TryFailed)]
    );
    assert_eq!(
        play.enqueue(2, State::Sh, TRY_1CB),
        vec![request(Mode::Pr, ONE_CALLBACK, 2)]
    );
    assert_eq!(
        play.enqueue(3, State::Sh, TRY),
        vec![],
        "it waits for the answer under way"
    );
    assert_eq!(play.enqueue(4, State::Sh, PLAIN), vec![]);
    assert_eq!(
        play.reply(Status::TryFailed, None),
        vec![
            failed(2, Failure::TryFailed),
            failed(3, Failure::TryFailed),
            request(Mode::Pr, NONE, 4),
        ]
    );
    assert_eq!(
        play.enqueue(5, State::Sh, TRY),
        vec![failed(5, Failure::TryFailed)]
    );
}

#[test]
fn a_failed_try_can_cost_the_cached_data() {
    let mut play = Play::cached(State::Sh);
    assert_eq!(play.enqueue(1, State::Df, TRY), vec![invalidate(State::Df)]);
    assert_eq!(play.hook_done(), vec![convert(Mode::Cw, NOQUEUE, 1)]);
    assert_eq!(
        play.reply(Status::TryFailed, Some(Mode::Pr)),
        vec![failed(1, Failure::TryFailed)]
    );
    assert_eq!(play.glock.state(), State::Sh);
}

#[test]
fn a_try_does_not_wait_with_a_demotion_for_a_holder() {
    let mut play = Play::cached(State::Sh);
    play.enqueue(1, State::Sh, PLAIN);
    assert_eq!(play.callback(Mode::Ex), vec![]);
    assert_eq!(
        play.enqueue(2, State::Sh, TRY),
        vec![failed(2, Failure::TryFailed)]
    );
    assert_eq!(play.release(1), vec![invalidate(State::Un)]);
    assert_eq!(
        play.enqueue(3, State::Sh, TRY),
        vec![],
        "the rest of the demotion is bounded"
    );
    assert_eq!(play.hook_done(), vec![convert(Mode::Nl, NONE, 0)]);
    assert_eq!(play.granted(Mode::Nl), vec![convert(Mode::Pr, NOQUEUE, 3)]);
}

#[test]
fn a_try_that_was_refused_leaves_those_behind_it_grantable() {
    let mut play = Play::new();
    play.enqueue(1, State::Sh, TRY | HolderFlags::SKIP);
    play.enqueue(2, State::Ex, TRY);
    play.enqueue(3, State::Sh, HolderFlags::SKIP);
    assert_eq!(
        play.granted(Mode::Pr),
        vec![granted(1), failed(2, Failure::TryFailed), granted(3),]
    );
}

#[test]
fn noblock_takes_only_what_is_there() {
    const NOBLOCK: HolderFlags = HolderFlags::NOBLOCK;
    let mut play = Play::new();
    assert_eq!(
        play.enqueue(1, State::Sh, NOBLOCK),
        vec![failed(1, Failure::TryFailed)]
    );
    let mut play = Play::cached(State::Ex);
    assert_eq!(play.enqueue(1, State::Sh, NOBLOCK), vec![granted(1)]);
    assert_eq!(
        play.enqueue(2, State::Df, NOBLOCK),
        vec![failed(2, Failure::TryFailed)]
    );
    play.callback(Mode::Ex);
    assert_eq!(
        play.enqueue(3, State::Sh, NOBLOCK),
        vec![failed(3, Failure::TryFailed)]
    );
}

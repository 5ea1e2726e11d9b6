//! Waits that end early: interrupted, refused, lost.

use dlm_core::Refusal;

use super::*;

#[test]
fn an_interrupted_wait_takes_its_request_back() {
    let mut play = Play::new();
    play.enqueue(1, State::Ex, PLAIN);
    assert_eq!(
        play.step(Input::CancelWait {
            holder: HolderId(1)
        }),
        vec![failed(1, Failure::Interrupted), CANCEL]
    );
    assert_eq!(
        play.enqueue(2, State::Sh, PLAIN),
        vec![],
        "the answer is still to come"
    );
    assert_eq!(
        play.reply(Status::Cancelled, None),
        vec![request(Mode::Pr, NONE, 2)]
    );
}

#[test]
fn a_cancel_that_comes_too_late_leaves_the_lock_cached() {
    let mut play = Play::new();
    play.enqueue(1, State::Ex, PLAIN);
    assert_eq!(
        play.release(1),
        vec![CANCEL],
        "giving up without wanting an answer"
    );
    assert_eq!(play.granted(Mode::Ex), vec![]);
    assert_eq!(play.glock.state(), State::Ex);
    assert_eq!(play.enqueue(2, State::Ex, PLAIN), vec![Output::Instantiate]);
}

#[test]
fn a_message_that_another_waiter_wants_too_is_not_cancelled() {
    let mut play = Play::new();
    play.enqueue(1, State::Ex, PLAIN);
    play.enqueue(2, State::Ex, HolderFlags::SKIP);
    let cancel = Input::CancelWait {
        holder: HolderId(1),
    };
    assert_eq!(play.step(cancel), vec![failed(1, Failure::Interrupted)]);
    assert_eq!(play.granted(Mode::Ex), vec![granted(2)]);
}

#[test]
fn a_waiter_that_goes_during_the_hooks_costs_no_message() {
    let mut play = Play::cached(State::Sh);
    assert_eq!(
        play.enqueue(1, State::Df, PLAIN),
        vec![invalidate(State::Df)]
    );
    assert_eq!(play.release(1), vec![]);
    assert_eq!(play.hook_done(), vec![]);
    assert_eq!(play.glock.state(), State::Sh);
}

#[test]
fn a_granted_holder_is_not_interrupted() {
    let mut play = Play::cached(State::Sh);
    play.enqueue(1, State::Sh, PLAIN);
    assert_eq!(
        play.step(Input::CancelWait {
            holder: HolderId(1)
        }),
        vec![]
    );
    assert_eq!(play.glock.holders().count(), 1);
}

#[test]
fn a_refused_request_is_told_to_everyone_who_waits() {
    let mut play = Play::new();
    play.enqueue(1, State::Ex, PLAIN);
    play.enqueue(2, State::Sh, PLAIN);
    let refused = Status::Refused(Refusal::Resources);
    let why = Failure::Refused(Refusal::Resources);
    assert_eq!(
        play.reply(refused, None),
        vec![failed(1, why), failed(2, why)]
    );
    assert!(play.glock.is_free());
}

#[test]
fn a_lost_session_fails_the_waiters_and_drops_the_cache_after_the_holders() {
    let mut play = Play::cached(State::Ex);
    play.enqueue(1, State::Ex, PLAIN);
    play.enqueue(2, State::Ex, PLAIN);
    assert_eq!(
        play.step(Input::SessionLost),
        vec![failed(2, Failure::Lost)]
    );
    assert!(play.glock.is_lost());
    assert_eq!(
        play.enqueue(3, State::Sh, PLAIN),
        vec![failed(3, Failure::Lost)]
    );
    assert_eq!(
        play.release(1),
        vec![invalidate(State::Un)],
        "nothing is written back any more"
    );
    assert_eq!(play.hook_done(), vec![]);
    assert!(play.glock.is_free());
    assert_eq!(play.glock.state(), State::Un);
}

#[test]
fn a_loss_during_a_hook_waits_for_it() {
    let mut play = Play::cached(State::Ex);
    assert_eq!(play.callback(Mode::Ex), vec![Output::Sync]);
    assert_eq!(play.step(Input::SessionLost), vec![]);
    assert_eq!(play.hook_done(), vec![invalidate(State::Un)]);
    assert_eq!(play.hook_done(), vec![]);
    assert!(play.glock.is_free());
}

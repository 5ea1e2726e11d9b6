//! Joining, the lease, streams that break, the end.

use super::*;
use dlm_core::Refusal;
use dlm_core::cluster::CommandRefusal;

const HELD_MS: u64 = 5000 - 500 - 5;

fn is_keepalive(call: &Call) -> bool {
    matches!(call, Call::KeepAlive { .. })
}

fn lost(stage: &Stage) -> Vec<Loss> {
    let losses = stage.out.iter().filter_map(|output| match output {
        Output::Lost { why } => Some(why.clone()),
        _ => None,
    });
    losses.collect()
}

#[test]
fn joining_goes_where_the_leader_is_and_elsewhere_after_a_failure() {
    let mut stage = Stage::new();
    let (call, at) = stage.call(|call| matches!(call, Call::Join { nonce: 7, .. }));
    assert_eq!(at, endpoint(1));
    stage.answer(call, CallAnswer::NotLeader(Some(endpoint(3))));
    let (call, at) = stage.call(|call| matches!(call, Call::Join { nonce: 7, .. }));
    assert_eq!(at, endpoint(3));
    stage.answer(call, CallAnswer::Failed);
    assert_eq!(stage.out, vec![], "a pause comes first");
    let due = stage.session.wake_at().expect("it is tried again");
    assert!((10_000..=20_000).contains(&due.0), "{due:?}");
    stage.at(20).input(Input::Clock);
    let (late, at) = stage.call(|_| true);
    assert_eq!(at, endpoint(2));
    stage
        .at(20 + 500)
        .input(Input::Clock)
        .at(2000)
        .input(Input::Clock);
    let (call, _) = stage.call(|call| matches!(call, Call::Join { .. }));
    stage.answer(late, CallAnswer::Refused(CommandRefusal::NotYours));
    assert_eq!(lost(&stage), vec![], "it was given up");
    stage.answer(call, CallAnswer::Refused(CommandRefusal::NotYours));
    assert_eq!(lost(&stage), vec![Loss::Join(CommandRefusal::NotYours)]);
}

#[test]
fn the_lease_counts_from_when_the_keepalive_was_sent() {
    let mut stage = Stage::ready();
    stage.operate(1, request(1, "a", Mode::Ex, RequestFlags::empty()));
    stage.at(1000).input(Input::Clock);
    let (call, _) = stage.call(is_keepalive);
    let map_index = LogIndex(10);
    stage.at(1400).answer(call, CallAnswer::Alive { map_index });
    assert_eq!(
        stage.session.lease_ends(),
        Some(Tick((1000 + HELD_MS) * 1000))
    );
    stage.at(1000 + HELD_MS).input(Input::Clock);
    assert_eq!(lost(&stage), vec![Loss::Lease]);
    assert_eq!(stage.answers(), vec![(1, Answer::Failed(Failure::Over))]);
    assert_eq!(stage.sent(), vec![]);
    assert!(matches!(stage.out.last(), Some(Output::Lost { .. })));
    stage.at(99_000).input(Input::Clock);
    assert_eq!(stage.out, vec![], "once");
    stage.operate(2, unlock(1));
    assert_eq!(stage.answers(), vec![(2, Answer::Failed(Failure::Over))]);
    assert_eq!(stage.session.wake_at(), None);
}

#[test]
fn after_a_stop_the_end_comes_before_anything_else() {
    let mut stage = Stage::ready();
    stage.operate(1, request(1, "a", Mode::Ex, RequestFlags::empty()));
    stage
        .at(60_000)
        .event(1, ("a", 1), granted(1, 1, Mode::Ex, 9));
    assert_eq!(stage.answers(), vec![(1, Answer::Failed(Failure::Over))]);
    assert_eq!(lost(&stage), vec![Loss::Lease]);
}

/// As a server answers what it cannot read: it does not know of which slot it is.
#[test]
fn an_answer_without_a_slot_ends_what_is_under_way() {
    let mut stage = Stage::ready();
    stage.operate(1, request(1, "a", Mode::Ex, RequestFlags::empty()));
    stage.event(1, ("a", 1), granted(1, 1, Mode::Ex, 9));
    stage.operate(2, convert(1, Mode::Nl, RequestFlags::empty()));
    let Event::Done(done) = granted(2, 1, Mode::Ex, 0) else {
        panic!("an answer");
    };
    let why = Refusal::ValueLength;
    let message = FromServer::Event {
        sequence: 2,
        slot: None,
        event: Event::Done(Done {
            status: Status::Refused(why),
            mode: None,
            ..done
        }),
    };
    stage.receive(StreamId(1), message);
    assert_eq!(stage.statuses(), vec![(2, Status::Refused(why))]);
    stage.operate(3, unlock(1));
    assert_eq!(stage.operations(), vec![(3, 3)], "it is still held");
}

#[test]
fn the_cluster_may_say_that_it_is_dead() {
    let mut stage = Stage::ready();
    stage.at(1000).input(Input::Clock);
    let (call, _) = stage.call(is_keepalive);
    stage.answer(call, CallAnswer::Refused(CommandRefusal::SessionDead));
    assert_eq!(lost(&stage), vec![Loss::Dead]);
}

#[test]
fn an_operation_waits_for_a_master_that_knows_of_it() {
    let mut stage = Stage::ready();
    let none = RequestFlags::empty();
    // The map is newer than what the server has.
    stage.receive(
        StreamId(1),
        FromServer::Map(map(20, 2, PlaceOrigin::Planned, 2)),
    );
    stage.operate(1, request(1, "a", Mode::Ex, none));
    assert_eq!(stage.sent(), vec![]);
    let hello = StreamId(2);
    let welcome = |index| {
        FromServer::Welcome(Welcome {
            version: 1,
            incarnation: Incarnation(102),
            last_number: 0,
            map: map(index, 1, PlaceOrigin::Lost, 1),
        })
    };
    stage.receive(hello, welcome(19));
    assert_eq!(stage.sent(), vec![]);
    stage.receive(hello, FromServer::Map(map(20, 2, PlaceOrigin::Planned, 2)));
    assert_eq!(stage.operations(), vec![(1, 1)]);
}

#[test]
fn a_new_stream_says_again_what_the_server_does_not_have() {
    let mut stage = Stage::ready();
    let none = RequestFlags::empty();
    for lock in 1..=3 {
        stage.operate(lock, request(lock, "a", Mode::Pr, none));
    }
    stage.event(1, ("a", 1), granted(1, 1, Mode::Pr, 9));
    assert_eq!(stage.statuses(), vec![(1, Status::Granted)]);
    stage.input(Input::Closed {
        stream: StreamId(1),
    });
    stage.event(1, ("a", 1), granted(2, 2, Mode::Pr, 9));
    assert_eq!(stage.out, vec![], "that stream is no more");
    stage.at(20).input(Input::Clock);
    let hellos = stage.out.iter().filter_map(|output| match output {
        Output::Open { hello, .. } => Some((hello.after, hello.incarnation, hello.generation)),
        _ => None,
    });
    let hellos: Vec<_> = hellos.collect();
    assert_eq!(hellos, vec![(1, Some(Incarnation(101)), 2)]);
    stage.welcome(1, 2, map(10, 1, PlaceOrigin::Lost, 1));
    assert_eq!(stage.operations(), vec![(3, 3)]);
    let again = granted(1, 1, Mode::Pr, 9);
    stage.numbered(2, 1, ("a", 1), again);
    assert_eq!(stage.answers(), vec![], "heard before");
    stage.numbered(2, 3, ("a", 1), granted(3, 3, Mode::Pr, 9));
    assert!(
        stage.out.contains(&Output::Close {
            stream: StreamId(2)
        }),
        "a gap"
    );
}

#[test]
fn a_server_that_counts_further_is_somebody_elses() {
    let mut stage = Stage::ready();
    stage.input(Input::Closed {
        stream: StreamId(1),
    });
    stage.at(20).input(Input::Clock);
    stage.welcome(1, 4, map(10, 1, PlaceOrigin::Lost, 1));
    assert_eq!(lost(&stage), vec![Loss::Numbers]);
}

#[test]
fn what_cannot_be_is_refused_here() {
    use dlm_core::Refusal;
    let mut stage = Stage::ready();
    let none = RequestFlags::empty();
    stage.operate(1, request(1, "a", Mode::Ex, none));
    let refused = |stage: &Stage| stage.statuses()[0].1;
    stage.operate(2, request(1, "b", Mode::Ex, none));
    assert_eq!(refused(&stage), Status::Refused(Refusal::LockIdInUse));
    stage.operate(3, convert(1, Mode::Nl, none));
    assert_eq!(refused(&stage), Status::Refused(Refusal::Busy));
    stage.operate(4, unlock(2));
    assert_eq!(refused(&stage), Status::Refused(Refusal::NoSuchLock));
    stage.operate(5, unlock(1));
    assert_eq!(stage.operations(), vec![(2, 2)]);
    stage.operate(6, OperationKind::Cancel { lock: LockId(1) });
    assert_eq!(refused(&stage), Status::Refused(Refusal::Busy));
}

#[test]
fn an_answer_to_something_else_is_none() {
    let mut stage = Stage::ready();
    stage.input(open_space(1));
    let (call, _) = stage.call(|call| matches!(call, Call::OpenLockspace { .. }));
    stage.answer(call, CallAnswer::Done);
    assert_eq!(stage.answers(), vec![]);
    stage.at(20).input(Input::Clock);
    let (call, _) = stage.call(|call| matches!(call, Call::OpenLockspace { .. }));
    stage.answer(call, opened());
    assert!(matches!(stage.answers()[..], [(1, Answer::Opened { .. })]));
}

#[test]
fn events_are_acknowledged_together() {
    let mut stage = Stage::ready();
    stage.operate(1, request(1, "a", Mode::Ex, RequestFlags::empty()));
    stage.event(1, ("a", 1), granted(1, 1, Mode::Ex, 9));
    let sequence = 1;
    let message = ToServer::Acknowledge { sequence };
    let stream = StreamId(1);
    let acknowledged = Output::Send { stream, message };
    assert!(!stage.out.contains(&acknowledged));
    assert_eq!(stage.session.wake_at(), Some(Tick(50_000)));
    stage.at(50).input(Input::Clock);
    assert!(stage.out.contains(&acknowledged));
}

#[test]
fn goodbye_ends_it() {
    let mut stage = Stage::ready();
    stage.input(Input::Goodbye);
    let (call, _) = stage.call(|call| matches!(call, Call::Goodbye { .. }));
    assert!(stage.out.contains(&Output::Close {
        stream: StreamId(1)
    }));
    stage.answer(call, CallAnswer::Done);
    assert_eq!(stage.out, vec![Output::Ended]);
}

//! The driver with much to do.

use std::sync::atomic::{AtomicUsize, Ordering};

use dlm_core::cluster::{Name, Versions};
use dlm_core::link::Event;
use dlm_core::{LockId, LogIndex, Mode, SessionId};
use glock_core::session::Config;
use tokio::sync::oneshot;

use super::*;
use crate::endpoints::Servers;
use crate::session::{Answer, Session};

/// A driver whose session joined a while ago and has a keepalive under way, its call, and its handle.
fn driver() -> (Driver, CallId, Session) {
    let servers = Servers::parse("127.0.0.1:1").unwrap();
    let timing = Timing::DEFAULT;
    let config = Config {
        name: Name::new("node").unwrap(),
        nonce: 7,
        versions: Versions { min: 1, max: 1 },
        attests: None,
        endpoints: servers.endpoints().to_vec(),
        timing,
        seed: 1,
    };
    let joined_at = Tick(clock::now().0 - timing.keepalive_us);
    let mut machine = Machine::new(joined_at, config);
    let mut outputs = Vec::new();
    machine.step(joined_at, Input::Clock, &mut outputs);
    let answer = CallAnswer::Joined {
        session: SessionId(5),
        joined: LogIndex(10),
        version: 1,
        lease_us: timing.session_lease_us,
    };
    let call = asked(&outputs, |call| matches!(call, Call::Join { .. }));
    machine.step(joined_at, Input::Answered { call, answer }, &mut outputs);
    machine.step(clock::now(), Input::Clock, &mut outputs);
    let call = asked(&outputs, |call| matches!(call, Call::KeepAlive { .. }));
    let (session, commands) = Session::new(servers.to_string());
    let driver = Driver::new(Beginning {
        shared: Arc::clone(&session.shared),
        machine,
        timing,
        alarm: Alarm::new().unwrap(),
        channels: Channels::new(None),
        commands,
        joining: Joining::new(servers, Tick(u64::MAX), oneshot::channel().0),
    });
    (driver, call, session)
}

fn asked(outputs: &[Output], is_it: impl Fn(&Call) -> bool) -> CallId {
    let mut calls = outputs.iter().filter_map(|output| match output {
        Output::Call { call, request, .. } if is_it(request) => Some(*call),
        _ => None,
    });
    calls.next().expect("a call")
}

/// Of a stream that the session has given up: it costs little, and is none the less read.
fn frame(messages: usize) -> Happened {
    let message = FromServer::Event {
        sequence: 1,
        slot: None,
        event: Event::Blocking {
            lock: LockId(1),
            mode: Mode::Ex,
        },
    };
    Happened::Frame {
        stream: StreamId(99),
        messages: vec![message; messages],
    }
}

#[tokio::test]
async fn an_answer_to_a_call_goes_past_all_frames() {
    let (mut driver, call, _session) = driver();
    let frames = driver.tells.clone();
    while frames.try_send(frame(STEPS_AT_ONCE_MAX)).is_ok() {}
    let before = driver.machine.lease_ends().unwrap();
    let answered = Answered {
        call,
        endpoint: Endpoint::lossy("127.0.0.1:1"),
        answer: Ok(CallAnswer::Alive {
            map_index: LogIndex(10),
        }),
    };
    driver.answer.try_send(answered).expect("room");
    driver.turn().await;
    assert!(driver.machine.lease_ends().unwrap() > before);
    let waiting = driver.happened.len() + usize::from(driver.reading.is_some());
    assert!(waiting + 1 >= HAPPENED_MAX, "{waiting} of {HAPPENED_MAX}");
}

#[tokio::test]
async fn a_long_frame_is_read_in_pieces_and_others_have_their_turns() {
    let (mut driver, _, _session) = driver();
    let turns = Arc::new(AtomicUsize::new(0));
    let others = Arc::clone(&turns);
    tokio::spawn(async move {
        loop {
            others.fetch_add(1, Ordering::Relaxed);
            yield_now().await;
        }
    });
    let pieces = 8;
    let long = frame(pieces * STEPS_AT_ONCE_MAX);
    driver.tells.try_send(long).expect("room");
    while driver.reading.is_none() {
        driver.turn().await;
    }
    while driver.reading.is_some() {
        driver.turn().await;
    }
    let turns = turns.load(Ordering::Relaxed);
    assert!(turns >= pieces - 1, "{turns}");
}

/// The task that a program starts with thousands of locks is no reason to lose them all.
#[tokio::test]
async fn a_long_queue_of_commands_is_asked_in_pieces() {
    let (mut driver, _, session) = driver();
    let count = COMMANDS_AT_ONCE_MAX;
    for lock in 1..=count as u64 {
        session.send(Command::Ask {
            wish: Wish::Lock(unlock(lock)),
            answer: Answer::Nobody,
        });
    }
    while driver.queued.is_empty() {
        driver.turn().await;
    }
    assert!(driver.more && driver.queued.len() >= count - 2 * STEPS_AT_ONCE_MAX);
    while driver.more {
        driver.turn().await;
    }
    assert!(driver.queued.is_empty());
}

const fn unlock(lock: u64) -> dlm_core::link::OperationKind {
    dlm_core::link::OperationKind::Unlock {
        lock: LockId(lock),
        flags: dlm_core::RequestFlags::empty(),
        value: None,
    }
}

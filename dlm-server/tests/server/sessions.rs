//! Sessions over real streams: what one does, and what the others learn of it.

use std::time::{Duration, Instant};

use dlm_core::cluster::Timing;
use dlm_core::link::{Event, FromServer, StreamRefusal, ToServer};
use dlm_core::{LockId, Mode, OpId, Refusal, Status};
use dlm_server::embedded::{Server, Settings};
use dlm_server::node::EVENTS_KEPT_MAX;
use glockwork_proto::OPERATIONS_PER_FRAME_MAX;
use glockwork_proto::wire;
use glockwork_proto::wire::inspect_client::InspectClient;
use tokio::time::{sleep, timeout};
use tonic::Code;

use crate::raw::{Ended, Link, PATIENCE, Raw, Told, channel, first_frame, frame, serve};

/// A session's status, once it is so.
async fn until(server: &Server, name: &str, so: impl Fn(&wire::SessionStatus) -> bool) {
    let mut client = InspectClient::new(channel(server).await);
    let asked = async {
        loop {
            let reply = client.status(wire::StatusRequest { local: true }).await;
            let sessions = reply.unwrap().into_inner().sessions;
            if sessions.iter().any(|one| one.name == name && so(one)) {
                return;
            }
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, asked).await.expect("it becomes so");
}

#[tokio::test]
async fn a_lock_is_granted_waited_for_and_given_on() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    let mut b = Raw::join(&server, "b").await;
    assert_ne!(a.session, b.session);
    assert_eq!(a.lockspace, b.lockspace);

    a.hold(1, "r", Mode::Ex).await;
    b.request(7, "r", Mode::Pr).await;
    b.queued(7).await;
    assert_eq!(a.told().await, Told::Blocking(1, Mode::Pr));
    a.unlock(1).await;
    assert_eq!(a.told().await, Told::Done(1, Status::Unlocked, None));
    let granted = Told::Done(7, Status::Granted, Some(Mode::Pr));
    assert_eq!(b.told().await, granted);
    assert!(b.tokens[0] > a.tokens[0], "a later incompatible grant");
    server.stop().await;
}

#[tokio::test]
async fn a_waiting_request_can_be_cancelled() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    let mut b = Raw::join(&server, "b").await;
    a.hold(1, "r", Mode::Ex).await;
    b.request(1, "r", Mode::Ex).await;
    b.cancel(1).await;
    assert_eq!(b.told().await, Told::Done(1, Status::Cancelled, None));
    assert_eq!(b.told().await, Told::Done(1, Status::CancelDone, None));
}

#[tokio::test]
async fn a_frame_of_many_operations_is_done_in_order() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    let mut messages = Vec::new();
    let mut expected = Vec::new();
    for round in 0..200 {
        let request = a.request_for(round, "r", Mode::Ex);
        messages.push(a.numbered(request));
        messages.push(a.numbered(Raw::unlock_of(round)));
        expected.push(Told::Done(round, Status::Granted, Some(Mode::Ex)));
        expected.push(Told::Done(round, Status::Unlocked, None));
    }
    a.send_all(messages).await;
    for each in expected {
        assert_eq!(a.told().await, each);
    }
}

#[tokio::test]
async fn joining_twice_with_one_nonce_is_joining_once() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    let again = crate::raw::join_request(a.nonce, "a");
    let again = a.calls.join(again).await.unwrap().into_inner();
    assert_eq!(again.session, a.session.0);
}

#[tokio::test]
async fn an_answer_is_sent_again_until_it_is_acknowledged() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    a.acknowledges = false;
    a.request(1, "r", Mode::Ex).await;
    // It is granted, and the answer stays in the stream.
    until(&server, "a", |one| one.locks == 1).await;
    for _ in 0..2 {
        a.seen = 0;
        let welcome = a.link_again().await;
        assert_eq!(welcome.last_number, 1, "it was taken");
        let granted = Told::Done(1, Status::Granted, Some(Mode::Ex));
        assert_eq!(a.told().await, granted);
    }
    // Now it is: by what the next stream begins with, though another event was not.
    a.unlock(1).await;
    assert_eq!(a.told().await, Told::Done(1, Status::Unlocked, None));
    a.seen = 1;
    a.link_again().await;
    assert_eq!(a.told().await, Told::Done(1, Status::Unlocked, None));
    // And by an acknowledgement.
    let sequence = a.seen;
    a.link
        .send(frame(vec![ToServer::Acknowledge { sequence }]))
        .await;
    a.request(2, "s", Mode::Ex).await;
    assert!(matches!(a.told().await, Told::Done(2, Status::Granted, _)));
    a.seen = 0;
    let hello = a.next_hello();
    let mut link = Link::open(&channel(&server).await, first_frame(hello)).await;
    let mut again = Vec::new();
    while again.is_empty() {
        let frame = link.next().await.unwrap().expect("the stream goes on");
        again.extend(frame.messages.into_iter().filter_map(|it| match it {
            FromServer::Event { sequence, .. } => Some(sequence),
            _ => None,
        }));
    }
    assert_eq!(again, [sequence + 1], "only what was not acknowledged");
}

#[tokio::test]
async fn what_is_sent_twice_is_done_once() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    let request = a.request_for(1, "r", Mode::Ex);
    let request = a.numbered(request);
    let unlock = a.numbered(Raw::unlock_of(1));
    // Once over one stream, twice over the next.
    a.send_all(vec![request.clone(), unlock.clone(), request.clone()])
        .await;
    a.link_again().await;
    let mut rest = vec![request, unlock];
    let again = a.request_for(2, "r", Mode::Ex);
    rest.push(a.numbered(again));
    a.send_all(rest).await;
    let granted = |lock| Told::Done(lock, Status::Granted, Some(Mode::Ex));
    assert_eq!(a.told().await, granted(1));
    assert_eq!(a.told().await, Told::Done(1, Status::Unlocked, None));
    assert_eq!(a.told().await, granted(2), "and nothing between");
}

#[tokio::test]
async fn a_newer_stream_ends_the_older() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    a.hold(1, "r", Mode::Ex).await;
    let hello = a.next_hello();
    let mut newer = Link::open(&channel(&server).await, first_frame(hello.clone())).await;
    let welcome = newer.next().await.unwrap().expect("a first frame");
    assert!(matches!(welcome.messages[..], [FromServer::Welcome(_)]));
    let older = a.link.ended().await;
    assert_eq!(older.refusal(), StreamRefusal::OlderGeneration);
    // Whoever comes with the same once more is as old.
    let mut late = Link::open(&channel(&server).await, first_frame(hello.clone())).await;
    let refused = late.ended().await;
    assert_eq!(refused.refusal(), StreamRefusal::OlderGeneration);
    // The session has what it had.
    a.generation = hello.generation;
    a.link_again().await;
    a.unlock(1).await;
    assert_eq!(a.told().await, Told::Done(1, Status::Unlocked, None));
}

#[tokio::test]
async fn the_loss_of_a_stream_is_no_goodbye() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    let mut b = Raw::join(&server, "b").await;
    a.hold(1, "r", Mode::Ex).await;
    // Its stream is dropped for one that is nobody's.
    a.link = Link::open(&channel(&server).await, wire::ToServerFrame::default()).await;
    until(&server, "a", |one| one.streams == 0).await;
    assert!(!b.could_get("r", Mode::Cr).await, "it is still held");
    b.request(1, "r", Mode::Ex).await;
    b.queued(1).await;
    a.link_again().await;
    // What happened meanwhile, too.
    assert_eq!(a.told().await, Told::Blocking(1, Mode::Ex));
    a.unlock(1).await;
    let granted = Told::Done(1, Status::Granted, Some(Mode::Ex));
    assert_eq!(b.told().await, granted);
}

#[tokio::test]
async fn a_goodbye_releases_at_once() {
    let server = serve().await;
    let mut waiter = Raw::join(&server, "waiter").await;
    let mut holder = Raw::join(&server, "holder").await;
    holder.hold(1, "r", Mode::Ex).await;
    waiter.request(1, "r", Mode::Ex).await;
    assert_eq!(holder.told().await, Told::Blocking(1, Mode::Ex));
    holder.goodbye().await;
    let granted = Told::Done(1, Status::Granted, Some(Mode::Ex));
    assert_eq!(waiter.told().await, granted);
    let last = holder.link.ended().await;
    assert_eq!(last.refusal(), StreamRefusal::SessionUnknown);
    let mut again = Link::open(&channel(&server).await, first_frame(holder.next_hello())).await;
    let refused = again.ended().await;
    assert_eq!(refused.refusal(), StreamRefusal::SessionUnknown);
}

/// As short as it may be: elections take part in what a session has to outlive.
const SHORT: Timing = Timing {
    heartbeat_us: 30_000,
    election_us_min: 90_000,
    election_us_max: 190_000,
    call_us_max: 100_000,
    session_lease_us: 2_000_000,
    keepalive_us: 400_000,
    session_margin_us: 200_000,
    ..Timing::DEFAULT
};

async fn serve_short() -> Server {
    SHORT.check().expect("they fit together");
    let any = ([127, 0, 0, 1], 0).into();
    let settings = Settings {
        timing: SHORT,
        ..Settings::alone(any)
    };
    Server::start_with(&settings).await.unwrap()
}

#[tokio::test]
async fn who_does_not_renew_is_dead_after_its_lease() {
    let server = serve_short().await;
    let mut waiter = Raw::join(&server, "waiter").await;
    let joins = Instant::now();
    let mut holder = Raw::join(&server, "holder").await;
    holder.hold(1, "r", Mode::Ex).await;
    waiter.request(1, "r", Mode::Ex).await;
    assert_eq!(holder.told().await, Told::Blocking(1, Mode::Ex));
    holder.falls_silent();
    let granted = Told::Done(1, Status::Granted, Some(Mode::Ex));
    assert_eq!(waiter.told().await, granted);
    let lease = Duration::from_micros(SHORT.session_lease_us);
    assert!(joins.elapsed() >= lease, "not before its lease was over");
    // A stream, and reading from it, renews nothing.
    let last = holder.link.ended().await;
    assert_eq!(last.refusal(), StreamRefusal::SessionDead);
    assert!(waiter.tokens[0] > holder.tokens[0]);
}

#[tokio::test]
async fn who_is_evicted_keeps_its_locks_until_its_lease_is_over() {
    let server = serve_short().await;
    let mut waiter = Raw::join(&server, "waiter").await;
    let mut holder = Raw::join(&server, "holder").await;
    holder.hold(1, "r", Mode::Ex).await;
    let evicted = Instant::now();
    let session = holder.session.0;
    let reply = waiter.calls.evict(wire::EvictRequest { session }).await;
    assert_eq!(reply.unwrap().into_inner(), wire::PlainReply::default());
    let last = holder.link.ended().await;
    assert_eq!(last.refusal(), StreamRefusal::SessionDead);
    let mut again = Link::open(&channel(&server).await, first_frame(holder.next_hello())).await;
    assert_eq!(again.ended().await.refusal(), StreamRefusal::SessionDead);
    // It may still believe that it holds it.
    waiter.request(1, "r", Mode::Ex).await;
    let granted = Told::Done(1, Status::Granted, Some(Mode::Ex));
    assert_eq!(waiter.told().await, granted);
    let lease = Duration::from_micros(SHORT.session_lease_us);
    assert!(evicted.elapsed() >= lease);
}

/// More answers than are kept for a client that does not say that it has them: nothing more is taken from
/// it, and nothing is lost.
#[tokio::test]
async fn who_acknowledges_nothing_is_stopped_and_loses_nothing() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    let all = EVENTS_KEPT_MAX as u64 + 5000;
    let messages: Vec<ToServer> = (1..=all).map(|_| a.numbered(Raw::unlock_of(1))).collect();
    let sender = a.link.sender();
    let chunks: Vec<_> = messages
        .chunks(OPERATIONS_PER_FRAME_MAX)
        .map(|chunk| frame(chunk.to_vec()))
        .collect();
    let sending = tokio::spawn(async move {
        for chunk in chunks {
            // The stream may have ended.
            let _ = sender.send(chunk).await;
        }
    });
    let mut answered = 0;
    let ended = loop {
        match a.link.next().await.unwrap() {
            Some(frame) => {
                for message in frame.messages {
                    answered += answers(&message, answered + 1);
                    if let FromServer::Refused { why } = message {
                        a.seen = answered;
                        assert_eq!(why, StreamRefusal::Full);
                    }
                }
            }
            None => break answered,
        }
    };
    sending.await.unwrap();
    // A server whose lease ran out meanwhile answers some of them later.
    assert!(ended <= EVENTS_KEPT_MAX as u64, "so many are kept");

    let welcome = a.link_again().await;
    assert_eq!(
        welcome.last_number, EVENTS_KEPT_MAX as u64,
        "so many are taken"
    );
    let rest = messages[EVENTS_KEPT_MAX..].chunks(OPERATIONS_PER_FRAME_MAX);
    for chunk in rest {
        a.link.send(frame(chunk.to_vec())).await;
    }
    let refused = Told::Done(1, Status::Refused(Refusal::NoSuchLock), None);
    while a.seen < all {
        assert_eq!(a.told().await, refused);
    }
}

/// Whether it is the answer to the operation of that number, as 0 or 1.
fn answers(message: &FromServer, number: u64) -> u64 {
    match message {
        FromServer::Event {
            sequence,
            event: Event::Done(done),
            ..
        } => {
            assert_eq!((*sequence, done.op), (number, OpId(number)));
            assert_eq!(done.lock, LockId(1));
            1
        }
        _ => 0,
    }
}

#[tokio::test]
async fn a_server_that_stops_says_so() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    let addr = server.addr();
    server.stop().await;
    let status = a.link.ended().await.status();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("stopping"), "{status}");
    // The port is free again.
    Server::start(addr).await.unwrap();
}

#[tokio::test]
async fn a_server_that_is_dropped_stops() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    drop(server);
    let Ended::Status(status) = a.link.ended().await else {
        panic!("with an error");
    };
    assert_eq!(status.code(), Code::Unavailable);
}

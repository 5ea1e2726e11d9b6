//! Two ends of a TCP connection, each behind a gate of its own, as two servers have it.

use std::io;
use std::time::Duration;

use dlm_core::ServerId;
use glockwork_proto::fault::{Fault, Healing, Injection};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};
use tokio_stream::StreamExt;
use tonic::transport::server::Connected;

use super::{both_ways, member, one_way};
use crate::gate::{Gated, Gates, Incoming};

/// Long enough for what comes.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long it is listened to silence. What is held up is held up by no clock, so that a shorter time could
/// only hide a fault and never make one up.
const SILENCE: Duration = Duration::from_millis(100);

struct Pair {
    gates: [Gates; 2],
    incoming: Incoming,
    port: u16,
}

impl Pair {
    async fn new() -> Self {
        let gates = [Gates::new(ServerId(1)), Gates::new(ServerId(2))];
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let incoming = gates[1].incoming(listener);
        Self {
            gates,
            incoming,
            port,
        }
    }

    /// Server 1 dials server 2, and has said so.
    async fn connect(&mut self) -> (Gated<TcpStream>, Gated<TcpStream>) {
        let dial = self.gates[0]
            .connector(ServerId(2))
            .dial("127.0.0.1", self.port);
        let dialled = timeout(PATIENCE, dial).await.unwrap().unwrap();
        let accepted = self.incoming.next().await.unwrap().unwrap();
        let caller = accepted.connect_info();
        caller.is(member("1")).await.unwrap();
        (dialled, accepted)
    }

    fn inject(&self, injection: &Injection) {
        for gates in &self.gates {
            gates.inject(injection.clone()).unwrap();
        }
    }

    fn heal(&self) {
        for gates in &self.gates {
            gates.heal(Healing::default());
        }
    }
}

async fn comes(socket: &mut Gated<TcpStream>, expected: &[u8]) {
    let mut got = vec![0; expected.len()];
    let read = timeout(PATIENCE, socket.read_exact(&mut got)).await;
    read.expect("it comes").unwrap();
    assert_eq!(got, expected);
}

/// Neither a byte nor an end.
async fn silent(socket: &mut Gated<TcpStream>) {
    let read = timeout(SILENCE, socket.read_u8()).await;
    assert!(read.is_err(), "{read:?}");
}

async fn passes(from: &mut Gated<TcpStream>, to: &mut Gated<TcpStream>, bytes: &[u8]) {
    from.write_all(bytes).await.unwrap();
    comes(to, bytes).await;
}

async fn is_reset(socket: &mut Gated<TcpStream>) {
    let read = timeout(PATIENCE, socket.read_u8()).await.expect("it ends");
    let kind = read.unwrap_err().kind();
    let ends = [io::ErrorKind::ConnectionReset, io::ErrorKind::UnexpectedEof];
    assert!(ends.contains(&kind), "{kind:?}");
}

#[tokio::test]
async fn a_cut_is_silence_both_ways_and_what_waited_comes_when_it_is_healed() {
    for fault in [Fault::Cut, Fault::Stall] {
        let mut pair = Pair::new().await;
        let (mut one, mut two) = pair.connect().await;
        passes(&mut one, &mut two, b"before").await;
        pair.inject(&both_ways(fault, "1", "2"));
        one.write_all(b"to two").await.unwrap();
        two.write_all(b"to one").await.unwrap();
        silent(&mut one).await;
        silent(&mut two).await;
        pair.heal();
        comes(&mut one, b"to one").await;
        comes(&mut two, b"to two").await;
        passes(&mut one, &mut two, b"after").await;
    }
}

#[tokio::test]
async fn either_end_is_enough() {
    for end in 0..2 {
        let mut pair = Pair::new().await;
        let (mut one, mut two) = pair.connect().await;
        pair.gates[end]
            .inject(both_ways(Fault::Cut, "1", "2"))
            .unwrap();
        one.write_all(b"x").await.unwrap();
        two.write_all(b"y").await.unwrap();
        silent(&mut one).await;
        silent(&mut two).await;
        pair.heal();
        comes(&mut one, b"y").await;
        comes(&mut two, b"x").await;
    }
}

#[tokio::test]
async fn one_way_leaves_the_other_alone() {
    for fault in [Fault::Cut, Fault::Stall] {
        let mut pair = Pair::new().await;
        let (mut one, mut two) = pair.connect().await;
        pair.inject(&one_way(fault, "1", "2"));
        one.write_all(b"held").await.unwrap();
        passes(&mut two, &mut one, b"passes").await;
        silent(&mut two).await;
        pair.heal();
        comes(&mut two, b"held").await;
    }
}

#[tokio::test]
async fn other_links_are_left_alone() {
    let mut pair = Pair::new().await;
    let (mut one, mut two) = pair.connect().await;
    for (from, to) in [("1", "3"), ("3", "2"), ("1", "client"), ("session:1", "2")] {
        pair.inject(&both_ways(Fault::Drop, from, to));
    }
    passes(&mut one, &mut two, b"there").await;
    passes(&mut two, &mut one, b"back").await;
}

#[tokio::test]
async fn nobody_connects_over_a_cut_and_a_stalled_end_can_be_connected_to() {
    for fault in [Fault::Cut, Fault::Drop] {
        for way in [("1", "2"), ("2", "1")] {
            let mut pair = Pair::new().await;
            pair.inject(&one_way(fault, way.0, way.1));
            let dial = pair.gates[0].connector(ServerId(2));
            let mut dial = Box::pin(dial.dial("127.0.0.1", pair.port));
            assert!(timeout(SILENCE, &mut dial).await.is_err());
            pair.heal();
            timeout(PATIENCE, dial).await.unwrap().unwrap();
            pair.incoming.next().await.unwrap().unwrap();
        }
    }
    let mut pair = Pair::new().await;
    pair.inject(&both_ways(Fault::Stall, "1", "2"));
    let dial = pair.gates[0]
        .connector(ServerId(2))
        .dial("127.0.0.1", pair.port);
    timeout(PATIENCE, dial).await.unwrap().unwrap();
    // Whoever is let in while the link is stalled is not heard either.
    let accepted = pair.incoming.next().await.unwrap().unwrap();
    let caller = accepted.connect_info();
    let mut said = Box::pin(caller.is(member("1")));
    assert!(timeout(SILENCE, &mut said).await.is_err());
    pair.heal();
    timeout(PATIENCE, said).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_delay_makes_late_and_keeps_the_order() {
    const DELAY: Duration = Duration::from_millis(80);
    let us = u64::try_from(DELAY.as_micros()).unwrap();
    let mut pair = Pair::new().await;
    let (mut one, mut two) = pair.connect().await;
    pair.inject(&both_ways(Fault::Delay { us }, "1", "2"));
    let before = Instant::now();
    for byte in 0..100u8 {
        one.write_all(&[byte]).await.unwrap();
    }
    // What is sent when the delay is over does not overtake.
    pair.heal();
    one.write_all(&[100]).await.unwrap();
    let all: Vec<u8> = (0..=100).collect();
    comes(&mut two, &all).await;
    assert!(before.elapsed() >= DELAY);
    passes(&mut one, &mut two, b"in time").await;
}

#[tokio::test]
async fn towards_a_session_the_server_makes_both_directions_late() {
    const DELAY: Duration = Duration::from_millis(80);
    let us = u64::try_from(DELAY.as_micros()).unwrap();
    let mut pair = Pair::new().await;
    let address = ("127.0.0.1", pair.port);
    let mut session = TcpStream::connect(address).await.unwrap();
    let mut server = pair.incoming.next().await.unwrap().unwrap();
    let caller = server.connect_info();
    caller.is(member("node1")).await.unwrap();
    pair.inject(&both_ways(Fault::Delay { us }, "client", "2"));
    let before = Instant::now();
    for byte in 0..10u8 {
        session.write_all(&[byte]).await.unwrap();
    }
    let all: Vec<u8> = (0..10).collect();
    comes(&mut server, &all).await;
    assert!(before.elapsed() >= DELAY);
    let before = Instant::now();
    server.write_all(&all).await.unwrap();
    let mut got = [0; 10];
    session.read_exact(&mut got).await.unwrap();
    assert_eq!(got, all[..]);
    assert!(before.elapsed() >= DELAY);
    // Its end is behind what it sent.
    session.write_all(b"last").await.unwrap();
    drop(session);
    comes(&mut server, b"last").await;
    assert_eq!(server.read(&mut [0]).await.unwrap(), 0);
}

#[tokio::test]
async fn a_connection_that_lost_bytes_is_closed_when_it_is_healed_and_another_goes_on() {
    let mut pair = Pair::new().await;
    let (mut one, mut two) = pair.connect().await;
    let (mut lucky_one, mut lucky_two) = pair.connect().await;
    pair.inject(&one_way(Fault::Drop, "1", "2"));
    one.write_all(b"lost").await.unwrap();
    silent(&mut two).await;
    passes(&mut two, &mut one, b"passes").await;
    pair.heal();
    is_reset(&mut one).await;
    assert!(one.write_all(b"x").await.is_err());
    drop(one);
    is_reset(&mut two).await;
    passes(&mut lucky_one, &mut lucky_two, b"goes on").await;
}

#[tokio::test]
async fn bytes_are_lost_at_the_end_that_reads_too() {
    let mut pair = Pair::new().await;
    let (mut one, mut two) = pair.connect().await;
    pair.gates[1]
        .inject(both_ways(Fault::Drop, "1", "2"))
        .unwrap();
    one.write_all(b"lost").await.unwrap();
    silent(&mut two).await;
    pair.heal();
    is_reset(&mut two).await;
}

#[tokio::test]
async fn a_closed_end_is_not_heard_of_over_a_cut() {
    let mut pair = Pair::new().await;
    let mut session = TcpStream::connect(("127.0.0.1", pair.port)).await.unwrap();
    let mut server = pair.incoming.next().await.unwrap().unwrap();
    server.connect_info().is(member("node1")).await.unwrap();
    pair.inject(&both_ways(Fault::Cut, "2", "node1"));
    server.write_all(b"sent before").await.unwrap();
    server.shutdown().await.unwrap();
    drop(server);
    let mut got = Vec::new();
    let mut reading = Box::pin(session.read_to_end(&mut got));
    assert!(timeout(SILENCE, &mut reading).await.is_err());
    pair.heal();
    timeout(PATIENCE, reading).await.unwrap().unwrap();
    assert_eq!(got, b"sent before");
}

#[tokio::test]
async fn a_fault_ends_by_itself() {
    let mut pair = Pair::new().await;
    let (mut one, mut two) = pair.connect().await;
    let mut cut = both_ways(Fault::Cut, "1", "2");
    let lasts = Duration::from_millis(100);
    cut.for_us = Some(100_000);
    let before = Instant::now();
    pair.inject(&cut);
    passes(&mut one, &mut two, b"late").await;
    assert!(before.elapsed() >= lasts);
    assert_eq!(pair.gates[1].list(), []);
    // The longest there is, and another one beside it.
    cut.for_us = Some(u64::MAX);
    pair.inject(&cut);
    let mut short = one_way(Fault::Stall, "1", "2");
    short.for_us = Some(1000);
    pair.inject(&short);
    while pair.gates[0].list().len() > 2 {
        sleep(Duration::from_millis(1)).await;
    }
    silent(&mut one).await;
}

#[tokio::test]
async fn a_sender_waits_when_enough_is_under_way() {
    let mut pair = Pair::new().await;
    let (mut one, mut two) = pair.connect().await;
    pair.inject(&one_way(Fault::Cut, "1", "2"));
    let bytes: Vec<u8> = (0..9 << 20).map(|at: u32| at as u8).collect();
    let mut writing = Box::pin(one.write_all(&bytes));
    assert!(timeout(SILENCE, &mut writing).await.is_err());
    pair.heal();
    let (written, ()) = tokio::join!(writing, comes(&mut two, &bytes));
    written.unwrap();
}

#[tokio::test]
async fn whoever_has_not_said_who_it_is_is_not_held_up() {
    let mut pair = Pair::new().await;
    pair.inject(&both_ways(Fault::Cut, "client", "2"));
    let mut nobody = TcpStream::connect(("127.0.0.1", pair.port)).await.unwrap();
    let mut server = pair.incoming.next().await.unwrap().unwrap();
    nobody.write_all(b"heal").await.unwrap();
    comes(&mut server, b"heal").await;
}

#[tokio::test]
async fn without_gates_nothing_stands_in_the_way() {
    let gates = Gates::absent();
    gates.inject(both_ways(Fault::Cut, "1", "2")).unwrap();
    assert!(gates.list().is_empty() && !gates.allowed());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut incoming = gates.incoming(listener);
    let dial = gates.connector(ServerId(2)).dial("127.0.0.1", port);
    let mut one = dial.await.unwrap();
    let mut two = incoming.next().await.unwrap().unwrap();
    two.connect_info().is(member("1")).await.unwrap();
    passes(&mut one, &mut two, b"there").await;
    passes(&mut two, &mut one, b"back").await;
}

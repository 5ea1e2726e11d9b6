//! What the world does with messages, streams, stops and deaths, seen by processes that only take notes.

use dlm_core::Tick;

use crate::sim::process::{Birth, InputOf, NoDisk, OutputOf};
use crate::sim::{Gate, Input, Output, Process, ProcessId, State, StreamKey, World};

/// What a process is ordered to do.
#[derive(Clone, Debug)]
enum Order {
    Open(ProcessId, u64),
    Over(StreamKey, u64),
    Close(StreamKey),
    To(ProcessId, u64),
}

/// A process that takes notes, with the time by its own clock.
#[derive(Debug, Default)]
struct Notes(Vec<(Tick, String)>);

impl Process for Notes {
    type Message = u64;
    type Order = Order;
    type Disk = NoDisk;
    type Setup = ();

    fn start(
        now: Tick,
        _birth: Birth,
        (): &(),
        _disk: &mut NoDisk,
        out: &mut Vec<OutputOf<Self>>,
    ) -> Self {
        out.push(Output::WakeAt(now.plus(1_000_000)));
        Self::default()
    }

    fn step(&mut self, now: Tick, input: InputOf<Self>, out: &mut Vec<OutputOf<Self>>) {
        let note = match input {
            Input::Order(Order::Open(to, number)) => {
                let message = 0;
                out.push(Output::Open {
                    to,
                    number,
                    message,
                });
                return;
            }
            Input::Order(Order::Over(stream, message)) => {
                out.push(Output::Message { stream, message });
                return;
            }
            Input::Order(Order::Close(stream)) => {
                out.push(Output::Close { stream });
                return;
            }
            Input::Order(Order::To(to, message)) => {
                out.push(Output::Datagram { to, message });
                return;
            }
            Input::Datagram { message, .. } => format!("datagram {message}"),
            Input::Message { message, .. } => format!("message {message}"),
            Input::Opened { .. } => "opened".to_owned(),
            Input::Closed { .. } => "closed".to_owned(),
            Input::Wake => "wake".to_owned(),
            Input::Written { number } => format!("written {number}"),
        };
        self.0.push((now, note));
    }
}

const A: ProcessId = ProcessId(0);
const B: ProcessId = ProcessId(1);
const KEY: StreamKey = StreamKey {
    opener: A,
    life: 1,
    number: 7,
};

/// Two processes with a stream from the first to the second.
fn two() -> World<Notes> {
    let mut world = World::new(5);
    for _ in 0..2 {
        let id = world.add((), NoDisk);
        world.start(id);
    }
    world.order(0, A, Order::Open(B, 7));
    world.run(100_000);
    assert_eq!(notes(&world, B), ["opened"]);
    world
}

fn notes(world: &World<Notes>, id: ProcessId) -> Vec<&str> {
    let notes = world.process(id).expect("it lives");
    let notes = notes.0.iter().map(|(_, note)| note.as_str());
    notes.filter(|note| *note != "wake").collect()
}

fn say(world: &mut World<Notes>, from: ProcessId, what: std::ops::Range<u64>) {
    what.for_each(|message| world.order(0, from, Order::Over(KEY, message)));
    world.run(200_000);
}

#[test]
fn a_stream_keeps_its_order_and_waits_for_its_link() {
    let mut world = two();
    let expected = |count| {
        let said = (0..count).map(|number| format!("message {number}"));
        ["opened".to_owned()]
            .into_iter()
            .chain(said)
            .collect::<Vec<_>>()
    };
    say(&mut world, A, 0..20);
    assert_eq!(notes(&world, B), expected(20));
    for gate in [Gate::Cut, Gate::Stalled] {
        let before = notes(&world, B).len() as u64 - 1;
        world.set_gate(A, B, gate);
        say(&mut world, A, before..before + 5);
        assert_eq!(notes(&world, B), expected(before), "nobody hears anything");
        say(&mut world, B, 100..101);
        assert!(
            notes(&world, A).contains(&"message 100"),
            "the other way is open"
        );
        world.set_gate(A, B, Gate::Open);
        world.run(100_000);
        assert_eq!(notes(&world, B), expected(before + 5));
    }
}

#[test]
fn datagrams_over_a_cut_link_are_lost_and_over_a_stalled_one_wait() {
    let mut world = two();
    for (gate, arrives) in [(Gate::Cut, false), (Gate::Stalled, true)] {
        world.set_gate(A, B, gate);
        world.order(0, A, Order::To(B, 9));
        world.run(200_000);
        assert!(!notes(&world, B).contains(&"datagram 9"));
        world.set_gate(A, B, Gate::Open);
        world.run(200_000);
        assert_eq!(notes(&world, B).contains(&"datagram 9"), arrives);
    }
}

#[test]
fn a_break_is_heard_of_when_word_of_it_gets_through() {
    let mut world = two();
    world.set_gate(A, B, Gate::Cut);
    world.break_streams(A, B);
    world.run(500_000);
    assert_eq!(notes(&world, A), ["closed"]);
    assert_eq!(notes(&world, B), ["opened"], "it hears nothing");
    world.set_gate(A, B, Gate::Open);
    world.run(100_000);
    assert_eq!(notes(&world, B), ["opened", "closed"]);
}

#[test]
fn a_stream_that_one_end_closes_is_closed_at_the_other_after_what_was_sent() {
    let mut world = two();
    world.order(0, A, Order::Over(KEY, 1));
    world.order(0, A, Order::Close(KEY));
    world.run(200_000);
    assert_eq!(notes(&world, B), ["opened", "message 1", "closed"]);
    assert!(notes(&world, A).is_empty());
}

#[test]
fn a_dead_process_is_heard_of_and_a_machine_that_is_off_is_not() {
    let mut world = two();
    world.kill(B, State::Dead);
    world.run(100_000);
    assert_eq!(notes(&world, A), ["closed"]);

    let mut world = two();
    world.kill(B, State::Off);
    say(&mut world, A, 0..2);
    world.run(10_000_000);
    assert!(notes(&world, A).is_empty());
    // It boots, and what is sent again to it is refused.
    world.start(B);
    world.run(100_000);
    assert_eq!(notes(&world, A), ["closed"]);
    assert!(notes(&world, B).is_empty());
}

#[test]
fn a_stream_to_nobody_is_given_up() {
    let mut world = two();
    world.kill(B, State::Off);
    world.order(0, A, Order::Open(B, 8));
    world.run(1_000_000);
    assert!(notes(&world, A).is_empty());
    world.run(2_000_000);
    assert_eq!(notes(&world, A), ["closed"]);
}

#[test]
fn a_stopped_process_hears_everything_at_once_and_its_clock_went_on() {
    let mut world = two();
    let before = world.clock(B);
    world.stop(B);
    say(&mut world, A, 0..3);
    world.run(5_000_000);
    assert_eq!(notes(&world, B), ["opened"]);
    world.resume(B);
    assert_eq!(notes(&world, B).len(), 4);
    let heard = &world.process(B).expect("it lives").0;
    let (at, _) = heard.last().expect("a note");
    let passed = at.since(before);
    assert!(passed.abs_diff(5_200_000) < 10_000, "{passed}");
    assert!(heard.iter().any(|(_, note)| note == "wake"));
}

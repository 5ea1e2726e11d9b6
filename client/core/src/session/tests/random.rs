//! A session in a cluster where everything goes wrong that can, from random numbers.
//!
//! Run one seed again with `GLOCKWORK_SEED=17 cargo test -p glock-core --lib session::tests::random`.

use alloc::collections::BTreeSet;

use super::cluster::Cluster;
use super::*;

const RESOURCES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// A session, its cluster, and what is on its way between the two.
struct World {
    now: Tick,
    cluster: Cluster,
    session: Session,
    calls: Vec<(CallId, Call, Tick)>,
    /// When the cluster may declare the session dead.
    expires: Tick,
    /// Streams that were asked for.
    opening: Vec<(StreamId, u64, link::Hello)>,
    /// Tickets that are not answered.
    asked: BTreeSet<u64>,
    next_ticket: u64,
    answered: u64,
    /// No call is answered any more.
    silent: bool,
    over: bool,
}

impl World {
    fn new(seed: u64) -> Self {
        let slots: Vec<SlotId> = RESOURCES
            .iter()
            .map(|resource| SlotId::of(SPACE, &name(resource)))
            .collect();
        let now = Tick(0);
        let mut world = Self {
            now,
            cluster: Cluster::new(seed, &slots),
            session: Session::new(now, config(seed)),
            calls: Vec::new(),
            expires: Tick(0),
            opening: Vec::new(),
            asked: BTreeSet::new(),
            next_ticket: 1,
            answered: 0,
            silent: false,
            over: false,
        };
        world.input(Input::Clock);
        world
    }

    fn input(&mut self, input: Input) {
        let mut out = Vec::new();
        self.session.step(self.now, input, &mut out);
        assert_eq!(invariants::check(&self.session), Ok(()));
        for output in out {
            let refused = matches!(
                output,
                Output::Answer {
                    answer: Answer::Failed(Failure::Over),
                    ..
                }
            );
            assert!(!self.over || refused, "{output:?} after the end");
            self.output(output);
        }
        let lives = self.session.phase() == Phase::Live;
        assert!(
            !lives || self.now < self.expires,
            "it lives longer than it may"
        );
    }

    fn output(&mut self, output: Output) {
        match output {
            Output::Call { call, request, .. } => self.calls.push((call, request, self.now)),
            Output::Open {
                stream,
                endpoint,
                hello,
            } => {
                let server = endpoint.as_str().parse().expect("a server");
                self.opening.push((stream, server, hello));
            }
            Output::Send { stream, message } => {
                if let Some(queue) = self.cluster.to_server.get_mut(&stream) {
                    queue.push_back(message);
                }
            }
            Output::Close { stream } => self.cluster.break_stream(stream),
            Output::Answer { ticket, answer } => {
                let known = self.asked.remove(&ticket.0);
                assert!(known, "{ticket:?} is answered twice: {answer:?}");
                self.answered += 1;
            }
            Output::Lost { why } => {
                assert_eq!(why, Loss::Lease);
                self.over = true;
            }
            _ => {}
        }
    }

    fn answer_call(&mut self, at: usize, fails: bool) {
        let (call, request, sent) = self.calls.swap_remove(at);
        let answer = match request {
            _ if fails => CallAnswer::Failed,
            Call::Join { .. } => CallAnswer::Joined {
                session: SessionId(5),
                joined: LogIndex(10),
                version: 1,
                lease_us: Timing::DEFAULT.session_lease_us,
            },
            Call::KeepAlive { .. } => CallAnswer::Alive {
                map_index: self.cluster.whole_map().index,
            },
            Call::Map => CallAnswer::Map(self.cluster.whole_map()),
            Call::OpenLockspace { .. } => opened(),
            _ => CallAnswer::Done,
        };
        let joins = matches!(answer, CallAnswer::Joined { .. });
        if matches!(answer, CallAnswer::Joined { .. } | CallAnswer::Alive { .. }) {
            // At the earliest the cluster's lease begins when the call was sent.
            self.expires = self.expires.max(Timing::DEFAULT.session_expires(sent));
        }
        self.input(Input::Answered { call, answer });
        if joins && !self.over {
            self.asked.insert(0);
            self.input(open_space(0));
        }
    }

    fn open(&mut self, at: usize, fails: bool) {
        let (stream, server, hello) = self.opening.remove(at);
        if fails {
            self.input(Input::Closed { stream });
        } else {
            // An older one that comes late is refused.
            self.opening.retain(|&(_, other, _)| other != server);
            self.cluster.hello(server, stream, &hello);
        }
    }

    fn hear(&mut self, stream: StreamId) {
        let queue = self.cluster.to_client.get_mut(&stream);
        if let Some(message) = queue.and_then(alloc::collections::VecDeque::pop_front) {
            self.input(Input::Received { stream, message });
        }
    }

    fn any_stream(&mut self) -> Option<StreamId> {
        let streams: Vec<StreamId> = self.cluster.streams.keys().copied().collect();
        let count = streams.len() as u64;
        (count > 0).then(|| streams[self.cluster.dice.below(count) as usize])
    }

    fn any_slot(&mut self) -> SlotId {
        let resource = RESOURCES[self.cluster.dice.below(6) as usize];
        SlotId::of(SPACE, &name(resource))
    }

    fn operate(&mut self) {
        let dice = &mut self.cluster.dice;
        let lock = dice.below(12);
        let mode = Mode::ALL[dice.below(6) as usize];
        let tries = RequestFlags::NOQUEUE;
        let flags = if dice.one_in(3) {
            tries
        } else {
            RequestFlags::empty()
        };
        let resource = RESOURCES[lock as usize % 6];
        let kind = match dice.below(8) {
            0..=2 => request(lock, resource, mode, flags),
            3..=5 => convert(lock, mode, flags),
            6 => unlock(lock),
            _ => OperationKind::Cancel { lock: LockId(lock) },
        };
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.asked.insert(ticket);
        let ticket = Ticket(ticket);
        self.input(Input::Operate { ticket, kind });
    }

    /// One thing happens.
    fn happen(&mut self, trouble: bool) {
        self.now = self.now.plus(self.cluster.dice.below(2000));
        let wrong = trouble && self.cluster.dice.one_in(6);
        let what = self.cluster.dice.below(100);
        match what {
            0..=14 if !self.calls.is_empty() => {
                let at = self.cluster.dice.below(self.calls.len() as u64);
                self.answer_call(at as usize, wrong || self.silent);
            }
            15..=24 if !self.opening.is_empty() => {
                let at = self.cluster.dice.below(self.opening.len() as u64);
                self.open(at as usize, wrong);
            }
            25..=49 => {
                if let Some(stream) = self.any_stream() {
                    self.hear(stream);
                }
            }
            50..=69 => {
                if let Some(stream) = self.any_stream() {
                    self.cluster.take(stream);
                }
            }
            70..=77 => {
                let server = self.cluster.dice.below(3) + 1;
                self.cluster.apply(server);
            }
            78..=81 => {
                let slot = self.any_slot();
                self.cluster.grant(slot);
            }
            82..=89 if trouble => self.operate(),
            90 if wrong => {
                let server = self.cluster.dice.below(3) + 1;
                self.cluster.kill(server);
                // Who talked to it hears of it, sooner or later.
            }
            91 if trouble => {
                let slot = self.any_slot();
                self.cluster.move_slot(slot);
            }
            92 if wrong => {
                let slot = self.any_slot();
                self.cluster.recover_slot(slot);
            }
            93 if wrong => {
                if let Some(stream) = self.any_stream() {
                    self.cluster.break_stream(stream);
                    self.input(Input::Closed { stream });
                }
            }
            _ => self.input(Input::Clock),
        }
        self.hear_of_the_dead();
    }

    /// Streams whose server is gone are reported as broken.
    fn hear_of_the_dead(&mut self) {
        for stream in self.session.streams_open() {
            let opening = self.opening.iter().any(|&(one, ..)| one == stream);
            if !opening && !self.cluster.streams.contains_key(&stream) {
                self.input(Input::Closed { stream });
            }
        }
    }

    /// What the session believes of its locks is what their masters have.
    fn compare(&self) {
        for (id, lock) in self.session.book.iter() {
            let table = &self.cluster.tables[&lock.slot()];
            let held = table.locks.get(&id).and_then(|held| held.granted);
            assert_eq!(lock.granted, held, "{id:?}");
        }
        let locks = self.cluster.tables.values().map(|table| table.locks.len());
        assert_eq!(locks.sum::<usize>(), self.session.book.len());
    }
}

/// Of so many runs one has a cluster that answers no calls from some time on.
const ONE_FALLS_SILENT_IN: u64 = 6;

fn run(seed: u64) -> [u64; 4] {
    let mut world = World::new(seed);
    for at in 0..3000 {
        world.silent = at > 1500 && seed.is_multiple_of(ONE_FALLS_SILENT_IN);
        world.happen(true);
    }
    for _ in 0..20_000 {
        let silent = world.silent && !world.over;
        if !silent && world.asked.is_empty() {
            break;
        }
        world.happen(false);
    }
    assert!(world.asked.is_empty(), "{:?} are not answered", world.asked);
    assert_eq!(
        world.over, world.silent,
        "it is lost when the cluster is silent"
    );
    if !world.over {
        world.compare();
    }
    let (cluster, over) = (&world.cluster, u64::from(world.over));
    [world.answered, cluster.recoveries, cluster.moves, over]
}

#[test]
fn every_operation_is_applied_once_and_answered_once() {
    let only: Option<u64> = std::env::var("GLOCKWORK_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok());
    let seeds = only.map_or(1..61, |seed| seed..seed + 1);
    let mut sums = [0; 4];
    for seed in seeds {
        std::println!("GLOCKWORK_SEED={seed}");
        for (sum, count) in sums.iter_mut().zip(run(seed)) {
            *sum += count;
        }
    }
    std::println!("operations, recoveries, moves, losses: {sums:?}");
    let least = [1000, 100, 100, 5];
    let enough = sums.iter().zip(least).all(|(&sum, least)| sum > least);
    assert!(only.is_some() || enough, "{sums:?}");
}

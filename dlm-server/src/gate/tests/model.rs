//! The table against a list of everything that ever happened, read from its beginning for each question.

use std::time::{SystemTime, UNIX_EPOCH};

use dlm_core::Tick;
use glockwork_proto::fault::{Fault, Healing, Injection, Member};

use super::{both_ways, member};
use crate::gate::{FAULTS_MAX, FaultInput, FaultOutput, Faults, FaultsFull, Passage};

/// Random numbers of a seed (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % limit
    }

    fn of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len() as u64) as usize]
    }
}

/// What happened, and when.
#[derive(Default)]
struct Model(Vec<(Tick, FaultInput)>);

impl Model {
    /// What is so at `now` of bytes of `kind` in this very direction between these very members.
    fn says(&self, from: &Member, to: &Member, kind: &Fault, now: Tick) -> Option<Fault> {
        let mut says = None;
        for (at, input) in &self.0 {
            match input {
                FaultInput::Inject(injection) if injection.fault.kind() == kind.kind() => {
                    let there = (&injection.from, &injection.to) == (from, to);
                    let back = (&injection.to, &injection.from) == (from, to);
                    if there || (back && !injection.one_way) {
                        let over = injection.for_us.is_some_and(|us| now.since(*at) >= us);
                        says = (!over).then_some(injection.fault);
                    }
                }
                FaultInput::Heal(Healing { link: None, .. }) => says = None,
                FaultInput::Heal(Healing {
                    link: Some((one, other)),
                    ..
                }) if (one, other) == (from, to) || (other, one) == (from, to) => says = None,
                _ => {}
            }
        }
        says
    }

    /// What happens to bytes from one server or session to another.
    fn passage(&self, from: &Member, to: &Member, now: Tick) -> Passage {
        let alike = |one: &Member| match one {
            Member::Server(_) => vec![one.clone()],
            _ => vec![one.clone(), Member::Sessions],
        };
        let mut worst = Passage::Free;
        for from in alike(from) {
            for to in alike(to) {
                for kind in KINDS {
                    if let Some(fault) = self.says(&from, &to, &kind, now) {
                        worst = worst.max(fault.into());
                    }
                }
            }
        }
        worst
    }
}

const KINDS: [Fault; 4] = [
    Fault::Cut,
    Fault::Drop,
    Fault::Stall,
    Fault::Delay { us: 0 },
];

fn input(random: &mut Random, links: &[(Member, Member)]) -> FaultInput {
    let (from, to) = random.of(links).clone();
    match random.below(8) {
        0 => FaultInput::Time,
        1 => FaultInput::Heal(Healing {
            link: (random.below(4) > 0).then_some((from, to)),
            here_only: false,
        }),
        _ => FaultInput::Inject(Injection {
            from,
            to,
            one_way: random.below(2) == 0,
            fault: match *random.of(&KINDS) {
                Fault::Delay { .. } => Fault::Delay {
                    us: random.below(3),
                },
                fault => fault,
            },
            for_us: (random.below(2) == 0).then(|| random.below(6)),
            here_only: false,
        }),
    }
}

#[test]
fn the_table_does_as_a_list_of_everything_that_ever_happened() {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let given = std::env::var("GLOCKWORK_SEED").ok();
    let seed = given.map_or(since.as_nanos() as u64 | 1, |seed| seed.parse().unwrap());
    println!("again: GLOCKWORK_SEED={seed} cargo test -p dlm-server gate::tests::model");
    let mut random = Random(seed);
    let ends = ["1", "2", "3", "a", "b"].map(member);
    let named: Vec<Member> = ends.iter().cloned().chain([Member::Sessions]).collect();
    let links: Vec<(Member, Member)> = named
        .iter()
        .flat_map(|from| named.iter().map(move |to| (from.clone(), to.clone())))
        .filter(|(from, to)| from != to)
        .collect();
    for _ in 0..20 {
        let (mut faults, mut model) = (Faults::default(), Model::default());
        let (mut now, mut held) = (Tick(0), 0);
        for _ in 0..120 {
            now = now.plus(random.below(3));
            let input = input(&mut random, &links);
            let mut outputs = Vec::new();
            faults.step(now, input.clone(), &mut outputs);
            model.0.push((now, input));
            for output in outputs {
                match output {
                    FaultOutput::Began(_) => held += 1,
                    FaultOutput::Ended(_) => held -= 1,
                    FaultOutput::Refused(full) => panic!("{full}"),
                }
            }
            assert_eq!(faults.list(now).len(), held, "what began has not ended");
            for from in &ends {
                for to in ends.iter().filter(|to| *to != from) {
                    let is = faults.passage(from, to);
                    assert_eq!(
                        is,
                        model.passage(from, to, now),
                        "{from} to {to} at {now:?}"
                    );
                }
            }
            for active in faults.list(now) {
                let says = model.says(&active.from, &active.to, &active.fault, now);
                assert_eq!(says, Some(active.fault), "{active:?}");
                assert_ne!(active.left_us, Some(0));
            }
            let next = faults.list(now).iter().filter_map(|one| one.left_us).min();
            assert_eq!(faults.deadline(), next.map(|us| now.plus(us)));
        }
    }
}

#[test]
fn there_is_a_limit_and_what_is_there_can_be_replaced_at_it() {
    let mut faults = Faults::default();
    let mut outputs = Vec::new();
    let mut put_in = |faults: &mut Faults, to: usize| {
        outputs.clear();
        let injection = both_ways(Fault::Cut, "1", &format!("node{to}"));
        faults.step(Tick(0), FaultInput::Inject(injection), &mut outputs);
        outputs.contains(&FaultOutput::Refused(FaultsFull))
    };
    for to in 0..FAULTS_MAX / 2 {
        assert!(!put_in(&mut faults, to));
    }
    assert!(put_in(&mut faults, FAULTS_MAX));
    assert!(!put_in(&mut faults, 0));
    assert_eq!(faults.list(Tick(0)).len(), FAULTS_MAX);
}

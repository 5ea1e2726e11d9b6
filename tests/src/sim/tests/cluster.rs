//! The whole cluster, under faults of all kinds and under none.

mod sabotage;

use std::collections::BTreeMap;

use crate::sim::cluster::{Course, Covered, Outcome, Scenario, Seen, Taste, run};
use crate::sim::faults::Coverage;
use crate::sim::report::{Report, attempt, seeds};

const CALM: &str = "sim::tests::cluster::where_nothing_goes_wrong_nobody_is_lost";
const LOST: &str = "sim::tests::cluster::nothing_is_lost";
const ONCE: &str = "sim::tests::cluster::what_found_something_once_is_well";

/// What a run of the tests looks at, and a long one.
const SEEDS: u64 = 200;
const SEEDS_LONG: u64 = 10_000;

/// As many at once as this machine has processors for.
const THREADS: u64 = 2;

fn good(seed: u64, scenario: Scenario, test: &'static str) -> Outcome {
    attempt(seed, test, || run(seed, scenario)).unwrap_or_else(|(violation, world)| {
        panic!("{}", Report::new(seed, test, violation, &world.history))
    })
}

fn all(seeds: std::ops::Range<u64>, scenario: Scenario, test: &'static str) -> Vec<Outcome> {
    let part = |number| {
        let seeds = seeds.clone().filter(move |seed| seed % THREADS == number);
        move || {
            seeds
                .map(|seed| good(seed, scenario, test))
                .collect::<Vec<_>>()
        }
    };
    std::thread::scope(|scope| {
        let parts: Vec<_> = (0..THREADS)
            .map(|number| scope.spawn(part(number)))
            .collect();
        let outcomes = parts.into_iter().flat_map(|part| {
            part.join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        outcomes.collect()
    })
}

fn long() -> bool {
    std::env::var_os("GLOCKWORK_LONG").is_some()
}

#[test]
fn nothing_is_lost() {
    let seeds = seeds(if long() { SEEDS_LONG } else { SEEDS });
    let alone = seeds.clone().count() == 1;
    let (mut faults, mut covered, mut answered) = (Coverage::default(), Covered::default(), 0);
    for outcome in all(seeds.clone(), Scenario::default(), LOST) {
        faults.add(&outcome.coverage);
        covered.add(&outcome.covered);
        answered += outcome.answered;
    }
    println!("answered {answered}; {covered}; {faults}");
    if !alone {
        assert_eq!(faults.missing(), [], "every kind of fault took part");
        assert_eq!(covered.missing(), [], "there was too little of this");
        assert!(answered > 200 * seeds.count() as u64, "{answered}");
    }
}

/// What found something once, and is well since: the seed, and what its faults were apt to.
const KEPT: [(u64, Course); 4] = [
    // Who was granted by a master that is lost, and did not hear of it, is granted anew.
    (71, Course::Any),
    (95, Course::Any),
    // A value was stored by an unlock between the loss of its master and the claim.
    (2, Course::Split),
    (47, Course::Split),
];

#[test]
fn what_found_something_once_is_well() {
    for (seed, course) in KEPT {
        let scenario = Scenario {
            course: Some(course),
            taste: Some(Taste::Any),
            ..Scenario::default()
        };
        if let Err((violation, world)) = attempt(seed, ONCE, || run(seed, scenario)) {
            panic!("{}", Report::new(seed, ONCE, violation, &world.history));
        }
    }
}

#[test]
fn where_nothing_goes_wrong_nobody_is_lost() {
    let calm = Scenario {
        calm: true,
        ..Scenario::default()
    };
    for outcome in all(seeds(10), calm, CALM) {
        let none = [
            Seen::SessionLost,
            Seen::Evicted,
            Seen::DeathInRecovery,
            Seen::StaleLeader,
            Seen::ServerLeaseRanOut,
            Seen::ServerBeganAgain,
        ];
        let seen: BTreeMap<Seen, u64> = none
            .into_iter()
            .map(|what| (what, outcome.covered.count(what)))
            .filter(|(_, count)| *count > 0)
            .collect();
        assert_eq!(seen, BTreeMap::new(), "nothing went wrong");
    }
}

#[test]
fn the_same_seed_makes_the_same_run() {
    let one = |seed| good(seed, Scenario::default(), LOST);
    for seed in seeds(3) {
        assert_eq!(one(seed), one(seed), "seed {seed}");
        assert_ne!(one(seed).trace, one(seed + 1000).trace, "seeds differ");
    }
}

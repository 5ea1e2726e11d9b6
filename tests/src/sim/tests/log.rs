//! Replicas of the log, and clients that join and leave, under faults of all kinds.

use crate::sim::faults::Coverage;
use crate::sim::log::{Outcome, run};
use crate::sim::report::{Report, SEED, attempt, seeds};

/// A seed takes about 50 ms in a debug build.
const SEEDS: u64 = 200;

const TEST: &str = "sim::tests::log::replicas_agree_and_clients_are_answered";

fn good(seed: u64) -> Outcome {
    attempt(seed, TEST, || run(seed)).unwrap_or_else(|(violation, world)| {
        panic!("{}", Report::new(seed, TEST, violation, &world.history))
    })
}

#[test]
fn replicas_agree_and_clients_are_answered() {
    let (mut coverage, mut answered, mut broken, mut held) = (Coverage::default(), 0, 0, 0);
    let seeds = seeds(SEEDS);
    let some = std::env::var_os(SEED).is_some();
    for seed in seeds {
        let outcome = good(seed);
        coverage.add(&outcome.coverage);
        answered += outcome.answered;
        broken += outcome.traffic.broken;
        held += outcome.traffic.held;
    }
    println!("answered {answered}, streams broken {broken}, messages held {held}; {coverage}");
    if !some {
        assert_eq!(coverage.missing(), [], "every kind of fault took part");
        assert!(answered > 20 * SEEDS && broken > SEEDS / 4 && held > SEEDS);
        assert!(coverage.died_of_disk > 0);
    }
}

#[test]
fn the_same_seed_makes_the_same_run() {
    for seed in seeds(5) {
        assert_eq!(good(seed), good(seed), "seed {seed}");
        assert_ne!(good(seed).trace, good(seed + 1000).trace, "seeds differ");
    }
}

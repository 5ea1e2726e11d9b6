//! The whole cluster under faults of all kinds.

use crate::sim::cluster::{Outcome, Scenario, run};
use crate::sim::report::{Report, attempt, seeds};

const CALM: &str = "sim::tests::cluster::where_nothing_goes_wrong_nobody_is_lost";
const SEEDS: u64 = 200;
const TEST: &str = "sim::tests::cluster::nothing_is_lost";

fn good(seed: u64, scenario: Scenario, test: &'static str) -> Outcome {
    attempt(seed, test, || run(seed, scenario)).unwrap_or_else(|(violation, world)| {
        panic!("{}", Report::new(seed, test, violation, &world.history))
    })
}

#[test]
fn where_nothing_goes_wrong_nobody_is_lost() {
    let calm = Scenario {
        calm: true,
        ..Scenario::default()
    };
    for seed in seeds(10) {
        let outcome = good(seed, calm, CALM);
        println!("{seed}: {} {}", outcome.answered, outcome.covered);
    }
}

#[test]
fn nothing_is_lost() {
    for seed in seeds(SEEDS) {
        good(seed, Scenario::default(), TEST);
    }
}

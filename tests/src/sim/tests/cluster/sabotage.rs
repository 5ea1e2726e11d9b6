//! The test of the tester: a cluster that is broken on purpose is found out.

use crate::sim::cluster::{Sabotage, Scenario, run};
use crate::sim::report::seeds;

/// By then each is found.
const SEEDS_MAX: u64 = 1000;

/// The first seed that finds it, and the property that it breaks.
fn found(sabotage: Sabotage) -> (u64, &'static str) {
    let scenario = Scenario {
        sabotage: Some(sabotage),
        ..Scenario::default()
    };
    let mut found = seeds(SEEDS_MAX).filter_map(|seed| {
        // Half of them lose one master after the other.
        let storm = seed.is_multiple_of(2);
        let outcome = run(seed, Scenario { storm, ..scenario });
        outcome.err().map(|(violation, _)| (seed, violation))
    });
    // What is found without the sabotage says nothing about it.
    let honest = |seed: u64| {
        let storm = seed.is_multiple_of(2);
        let scenario = Scenario {
            storm,
            ..Scenario::default()
        };
        run(seed, scenario).is_ok()
    };
    let mut found = found.by_ref().filter(|(seed, _)| honest(*seed));
    let (seed, violation) = found
        .next()
        .unwrap_or_else(|| panic!("{sabotage:?} is not found by {SEEDS_MAX} seeds"));
    println!("{sabotage:?} is found by seed {seed}: {violation}");
    (seed, violation.property)
}

#[test]
fn a_lease_that_is_too_long_is_found() {
    let (_, property) = found(Sabotage::LongLease);
    assert!(["exclusion", "tokens"].contains(&property), "{property}");
}

#[test]
fn renewals_without_a_round_are_found() {
    let (_, property) = found(Sabotage::NoRound);
    let held = ["exclusion", "tokens", "order", "values"];
    assert!(held.contains(&property), "{property}");
}

#[test]
fn a_server_that_goes_on_after_a_restart_is_found() {
    found(Sabotage::SameProcess);
}

#[test]
fn what_is_heeded_below_the_epoch_is_found() {
    found(Sabotage::NoFloor);
}

#[test]
fn a_session_that_does_not_claim_what_it_holds_is_found() {
    let (_, property) = found(Sabotage::ClaimsNothing);
    let held = ["exclusion", "tokens", "forgotten", "values"];
    assert!(held.contains(&property), "{property}");
}

#[test]
fn a_frame_of_an_older_stream_is_found() {
    found(Sabotage::OldFrame);
}

#[test]
fn a_claim_in_the_mode_before_a_demotion_is_found() {
    found(Sabotage::OldMode);
}

#[test]
fn a_lost_place_is_found() {
    assert_eq!(found(Sabotage::NoPlace).1, "order");
}

#[test]
fn tokens_that_begin_again_are_found() {
    assert_eq!(found(Sabotage::TokensAgain).1, "tokens");
}

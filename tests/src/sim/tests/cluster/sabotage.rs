//! The test of the tester: a cluster that is broken on purpose is found out.

use crate::sim::cluster::{Course, Sabotage, Scenario, Taste, run};
use crate::sim::report::seeds;

/// By then each is found.
const SEEDS_MAX: u64 = 1000;

/// What may come of a lock that two have, or that nobody has any more.
const HELD: [&str; 2] = ["exclusion", "tokens"];

/// Looks for the first seed that finds it, with faults and clients that are apt to it, in one of these
/// properties. The same seed without the sabotage is well: what is found there, too, says nothing about it.
fn found(sabotage: Sabotage, course: Course, taste: Taste, properties: &[&str]) {
    let honest = Scenario {
        course: Some(course),
        taste: Some(taste),
        ..Scenario::default()
    };
    let broken = Scenario {
        sabotage: Some(sabotage),
        ..honest
    };
    for seed in seeds(SEEDS_MAX) {
        let Err((violation, _)) = run(seed, broken) else {
            continue;
        };
        let is_apt = properties.contains(&violation.property);
        println!("{sabotage:?}, seed {seed}: {violation}");
        if is_apt && run(seed, honest).is_ok() {
            return;
        }
    }
    panic!("{sabotage:?} is not found by {SEEDS_MAX} seeds")
}

#[test]
fn a_lease_that_is_too_long_is_found() {
    found(Sabotage::LongLease, Course::Split, Taste::Any, &HELD);
}

#[test]
fn renewals_without_a_round_are_found() {
    found(Sabotage::NoRound, Course::Split, Taste::Any, &HELD);
}

#[test]
fn a_server_that_goes_on_after_a_restart_is_found() {
    let course = Course::Restarts;
    found(Sabotage::SameProcess, course, Taste::Any, &["faultless"]);
}

#[test]
fn what_is_heeded_below_the_epoch_is_found() {
    found(Sabotage::NoFloor, Course::Late, Taste::Any, &HELD);
}

#[test]
fn a_session_that_does_not_claim_what_it_holds_is_found() {
    let course = Course::Masters;
    found(Sabotage::ClaimsNothing, course, Taste::Any, &HELD);
}

#[test]
fn a_frame_of_an_older_stream_is_found() {
    let left = ["forgotten", "progress"];
    found(Sabotage::OldFrame, Course::Breaks, Taste::Any, &left);
}

#[test]
fn a_claim_in_the_mode_before_a_demotion_is_found() {
    let (course, taste) = (Course::Masters, Taste::Converts);
    found(Sabotage::OldMode, course, taste, &["faultless"]);
}

#[test]
fn a_lost_place_is_found() {
    found(Sabotage::NoPlace, Course::Masters, Taste::Any, &["order"]);
}

#[test]
fn tokens_that_begin_again_are_found() {
    found(Sabotage::TokensAgain, Course::Any, Taste::Any, &["tokens"]);
}

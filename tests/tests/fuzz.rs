//! The fuzz targets, bounded: on the inputs that are kept, and on some thousand more.
//!
//! `GLOCKWORK_LONG=1` makes a hundred times as many; `GLOCKWORK_SEED=7` makes the one of that seed again.

use std::panic::catch_unwind;

use tests::fuzz::{corpus, frames, input, operations};

fn run(target: &str, inputs: u64, body: fn(&[u8])) {
    let kept = corpus(target).expect("the inputs that are kept");
    assert!(!kept.is_empty(), "there are some");
    if let Ok(seed) = std::env::var("GLOCKWORK_SEED") {
        let seed = seed.parse().expect("GLOCKWORK_SEED is a number");
        return body(&input(seed, &kept));
    }
    for (number, bytes) in kept.iter().enumerate() {
        let ended = catch_unwind(|| body(bytes));
        assert!(ended.is_ok(), "the {number}th input in the order of names");
    }
    let long = std::env::var_os("GLOCKWORK_LONG").is_some_and(|value| value == "1");
    for seed in 0..if long { 100 * inputs } else { inputs } {
        let ended = catch_unwind(|| body(&input(seed, &kept)));
        assert!(
            ended.is_ok(),
            "seed {seed}; again: GLOCKWORK_SEED={seed} cargo test -p tests --test fuzz {target}"
        );
    }
}

#[test]
fn frames_are_read_as_they_are_written_or_not_at_all() {
    run("frames", 20_000, frames::run);
}

#[test]
fn operations_leave_the_table_whole_and_are_answered() {
    run("operations", 2_000, operations::run);
}

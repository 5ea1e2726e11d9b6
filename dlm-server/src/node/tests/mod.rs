//! Whole servers and scripted clients over a network and disks that are late by chance.
//!
//! Every test runs for a few seeds and names the one that fails; `GLOCKWORK_SEED=7` runs that one alone.

mod client;
mod failover;
mod leases;
mod membership;
mod looking;
mod moves;
mod operator;
mod sessions;
mod world;

/// Runs a script for some seeds.
fn seeds(script: impl Fn(u64)) {
    let one = std::env::var("GLOCKWORK_SEED").ok();
    let one = one.map(|seed| seed.parse().expect("GLOCKWORK_SEED is a number"));
    let seeds = one.map_or(1..=6, |seed: u64| seed..=seed);
    for seed in seeds {
        println!("seed {seed}; replay it alone with GLOCKWORK_SEED={seed}");
        script(seed);
    }
}

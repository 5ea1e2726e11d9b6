//! Many locks, and the server that masters a third of them is killed: how long until all are there again.

use std::time::Duration;

use dlm_core::link::SlotMap;
use serde_json::json;
use tests::process::{Masters, PATIENCE, Stage, StageOptions, Verdict, not_served, now_us, within};
use tokio::time::sleep;

use super::table::progress;

/// How many clients hold the locks.
const CLIENTS: usize = 4;

/// How often the survivors are asked where all slots are.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// What a recovery took, in microseconds after the kill.
#[derive(Clone, Copy, Debug, Default)]
struct Took {
    /// The slots have other masters: their locks are re-asserted from here on.
    moved_us: u64,
    /// All of them are served.
    served_us: u64,
}

/// Prints what it took; says whether it was a second or less, and nothing was lost.
pub(super) async fn run(locks: usize, times: usize, as_json: bool) -> bool {
    let mut good = true;
    for time in 1..=times {
        for leads in [false, true] {
            progress(&format!("{time} of {times}: {locks} locks"));
            let what = "a recovery";
            good &= within(8 * PATIENCE, what, once(locks, leads, as_json)).await;
        }
    }
    good
}

async fn once(locks: usize, leads: bool, as_json: bool) -> bool {
    let options = StageOptions {
        contenders: CLIENTS,
        locks_per_server: 1,
        keep: locks.div_ceil(CLIENTS),
        ..StageOptions::default()
    };
    let mut stage = Stage::start(options).await;
    let leader = stage.leader().await;
    let victim = if leads {
        leader
    } else {
        stage.follower().await
    };
    let share = share(&stage, victim).await;
    let hot = stage.locks_of(&stage.map().await, victim);
    let mut survivors = Vec::new();
    for server in stage.servers.numbers().filter(|other| *other != victim) {
        survivors.extend(Masters::at(&stage.servers.endpoint(server)).await);
    }
    progress("the server is killed");
    let from_us = now_us();
    stage.servers.kill(victim).await;
    let took = watch(&mut survivors, victim, from_us).await;
    stage.servers.restart(victim);
    stage.all_granted_anew("after the recovery").await;
    let pulse = stage.pulse();
    let gaps = hot
        .iter()
        .map(|lock| pulse.longest_gap(lock, from_us, from_us + took.served_us).0);
    let gap = gaps.max().unwrap_or_default();
    stage.servers.ready().await;
    progress("everybody is asked what is left");
    let verdict = stage.judge().await;
    progress("");
    say((locks, share, leads), took, gap, &verdict, as_json)
}

/// How many locks a server has, as it says.
async fn share(stage: &Stage, victim: usize) -> u64 {
    let status = stage.servers.status(victim).await.unwrap_or_default();
    let servers = status["cluster"]["servers"].as_array().cloned();
    let its = servers.unwrap_or_default().into_iter();
    let mut its = its.filter(|one| one["server"].as_u64() == Some(victim as u64));
    its.next()
        .and_then(|one| one["report"]["locks"].as_u64())
        .unwrap_or_default()
}

/// Asks the survivors until all slots are served. The first that says so counts: it knows.
async fn watch(survivors: &mut [Masters], victim: usize, from_us: u64) -> Took {
    let mut took = Took::default();
    loop {
        for survivor in &mut *survivors {
            let Some(map) = survivor.map().await else {
                continue;
            };
            if masters_any(&map, victim) {
                continue;
            }
            let after_us = now_us() - from_us;
            if took.moved_us == 0 {
                took.moved_us = after_us;
            }
            if not_served(&map) == 0 {
                took.served_us = after_us;
                return took;
            }
        }
        sleep(LOOK_AGAIN).await;
    }
}

fn masters_any(map: &SlotMap, server: usize) -> bool {
    let masters = map.slots.iter().filter_map(|place| place.master.as_ref());
    masters.into_iter().any(|it| it.server.0 == server as u64)
}

fn say(
    (locks, share, leads): (usize, u64, bool),
    took: Took,
    gap: Duration,
    verdict: &Verdict,
    as_json: bool,
) -> bool {
    let ms = |us: u64| us / 1000;
    let asserted_us = took.served_us - took.moved_us;
    if as_json {
        let document = json!({
            "locks": locks,
            "share": share,
            "leader": leads,
            "moved_us": took.moved_us,
            "served_us": took.served_us,
            "reasserted_us": asserted_us,
            "no_grant_us": gap.as_micros() as u64,
            "locks_lost": verdict.locks_lost,
            "violation": verdict.violation,
            "sessions_over": verdict.lost,
        });
        println!("{document}");
    } else {
        let who = if leads { "the leader" } else { "a server" };
        println!(
            "{locks} locks, {who} with {share} of them killed: new masters after {} ms, all served after {} ms \
             (re-asserted in {} ms), no grant for {} ms; {} locks lost, {} sessions over",
            ms(took.moved_us),
            ms(took.served_us),
            ms(asserted_us),
            gap.as_millis(),
            verdict.locks_lost,
            verdict.lost.len()
        );
        if let Some(violation) = &verdict.violation {
            println!("    WRONG: {violation}");
        }
    }
    let nothing_lost = verdict.locks_lost == 0 && verdict.lost.is_empty();
    nothing_lost && verdict.violation.is_none() && asserted_us <= 1_000_000
}

//! Servers that come back and that are removed: how long a lock that moves with its table is not granted.

use std::time::Duration;

use dlm_core::link::SlotMap;
use serde_json::json;
use tests::process::{PATIENCE, Stage, StageOptions, Verdict, now_us, within};
use tokio::time::sleep;

use super::table::progress;

/// How many locks are kept while tables move.
const LOCKS: usize = 10_000;

/// The aim for one move.
const PAUSE_MAX: Duration = Duration::from_millis(100);

/// How long a server is away before it comes back.
const AWAY: Duration = Duration::from_secs(2);

/// What the locks that moved went through.
struct Moves {
    what: &'static str,
    /// The longest time without a grant of each of them.
    gaps: Vec<Duration>,
    /// The longest of those that stayed where they were.
    stayed: Duration,
    took_us: u64,
}

/// Prints what moves cost; says whether that was little, and nothing was lost.
pub(super) async fn run(times: usize, as_json: bool) -> bool {
    let mut good = true;
    for time in 1..=times {
        progress(&format!(
            "{time} of {times}: a server comes back, another goes"
        ));
        good &= within(8 * PATIENCE, "planned moves", once(as_json)).await;
    }
    good
}

async fn once(as_json: bool) -> bool {
    let options = StageOptions {
        locks_per_server: 6,
        keep: LOCKS / 3,
        ..StageOptions::default()
    };
    let mut stage = Stage::start(options).await;
    let back = comes_back(&mut stage).await;
    let goes = is_removed(&mut stage).await;
    let verdict = stage.judge().await;
    progress("");
    let mut good = verdict.locks_lost == 0 && verdict.lost.is_empty();
    good &= verdict.violation.is_none();
    for moves in [back, goes] {
        good &= moves.gaps.iter().all(|gap| *gap <= PAUSE_MAX);
        moves.say(&verdict, as_json);
    }
    good
}

/// A server is killed, the others take over, and it gets its part back.
async fn comes_back(stage: &mut Stage) -> Moves {
    let victim = stage.follower().await;
    stage.servers.kill(victim).await;
    sleep(AWAY).await;
    stage.whole().await;
    let before = stage.map().await;
    let from_us = now_us();
    stage.servers.restart(victim);
    stage.even().await;
    measured(stage, "a server came back", &before, from_us).await
}

/// A server is told to go.
async fn is_removed(stage: &mut Stage) -> Moves {
    let victim = stage.follower().await;
    let others = stage.servers.numbers().filter(|other| *other != victim);
    let asked = others.last().expect("another server");
    let before = stage.map().await;
    let from_us = now_us();
    let endpoint = stage.servers.endpoint(asked);
    let number = victim.to_string();
    let removed = stage
        .servers
        .dlm(&endpoint, &["server", "remove", &number])
        .await;
    let removed = removed.expect("an answer");
    assert!(removed.status.success(), "{removed:?}");
    stage.gone(victim).await;
    measured(stage, "a server was removed", &before, from_us).await
}

async fn measured(stage: &Stage, what: &'static str, before: &SlotMap, from_us: u64) -> Moves {
    let until_us = now_us();
    // The first grants after the last move.
    sleep(Duration::from_millis(500)).await;
    let after = stage.map().await;
    let pulse = stage.pulse();
    let (mut gaps, mut stayed) = (Vec::new(), Duration::ZERO);
    for lock in stage.locks() {
        let gap = pulse.longest_gap(lock, from_us, until_us).0;
        if stage.master_of(before, lock) == stage.master_of(&after, lock) {
            stayed = stayed.max(gap);
        } else {
            gaps.push(gap);
        }
    }
    gaps.sort_unstable();
    Moves {
        what,
        gaps,
        stayed,
        took_us: until_us - from_us,
    }
}

impl Moves {
    fn say(&self, verdict: &Verdict, as_json: bool) {
        let middle = self.gaps.get(self.gaps.len() / 2).copied();
        let (middle, longest) = (middle.unwrap_or_default(), self.gaps.last().copied());
        let longest = longest.unwrap_or_default();
        if as_json {
            let document = json!({
                "moves": self.what,
                "took_us": self.took_us,
                "moved_locks": self.gaps.len(),
                "no_grant_middle_us": middle.as_micros() as u64,
                "no_grant_us": longest.as_micros() as u64,
                "no_grant_elsewhere_us": self.stayed.as_micros() as u64,
                "locks_lost": verdict.locks_lost,
                "violation": verdict.violation,
                "sessions_over": verdict.lost,
            });
            println!("{document}");
            return;
        }
        println!(
            "{}: {LOCKS} locks, {} ms in all; {} contended locks moved and had no grant for {} ms in the \
             middle, {} ms at most; those that stayed, {} ms at most; {} locks lost, {} sessions over",
            self.what,
            self.took_us / 1000,
            self.gaps.len(),
            middle.as_millis(),
            longest.as_millis(),
            self.stayed.as_millis(),
            verdict.locks_lost,
            verdict.lost.len()
        );
        if let Some(violation) = &verdict.violation {
            println!("    WRONG: {violation}");
        }
    }
}

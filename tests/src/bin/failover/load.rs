//! Failovers that nothing was the reason of: how many there are while the machine has more to do than it can.

use std::time::Duration;

use serde_json::json;
use tests::process::{
    Contender, Contending, PATIENCE, Process, Pulse, ServersOptions, Stage, StageOptions, Verdict,
    now_us, within,
};
use tokio::process::Command;
use tokio::time::sleep;

use super::table::progress;

/// How many clients there are, and how many tasks of each want each lock.
const CLIENTS: usize = 4;
const TASKS: usize = 4;

/// What makes the load.
#[derive(Clone, Copy, Debug)]
enum Load {
    /// Clients that lock and unlock as fast as they can.
    Locks,
    /// The same, and a process for each processor that does nothing but use it.
    Busy,
    /// The same with four of those for each.
    Flooded,
}

/// Prints what happened; says whether nothing did.
pub(super) async fn run(seconds: u64, as_json: bool) -> bool {
    let lasts = Duration::from_secs(seconds);
    let mut good = true;
    for load in [Load::Locks, Load::Busy, Load::Flooded] {
        progress(&format!("{}, {seconds} s", load.name()));
        let limit = lasts + 4 * PATIENCE;
        good &= within(limit, "a load", once(load, lasts, as_json)).await;
        progress("");
    }
    good
}

impl Load {
    const fn name(self) -> &'static str {
        match self {
            Self::Locks => "locks as fast as possible",
            Self::Busy => "and a busy process for each core",
            Self::Flooded => "and four busy processes for each core",
        }
    }

    fn busy(self) -> usize {
        let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
        match self {
            Self::Locks => 0,
            Self::Busy => cores,
            Self::Flooded => 4 * cores,
        }
    }
}

/// What a cluster counts.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    false_failovers: u64,
    term: u64,
    recoveries: u64,
}

async fn once(load: Load, lasts: Duration, as_json: bool) -> bool {
    let arguments = ["--allow-faults", "--metrics-listen", "127.0.0.1:0"];
    let options = StageOptions {
        servers: ServersOptions {
            arguments: arguments.map(str::to_owned).to_vec(),
            ..ServersOptions::default()
        },
        ..StageOptions::default()
    };
    let mut stage = Stage::start(options).await;
    let before = counts(&mut stage).await;
    let with = Contending {
        locks: (0..16).map(|number| format!("fast{number}")).collect(),
        tasks: TASKS,
        ..Contending::default()
    };
    let mut fast: Vec<Contender> = (0..CLIENTS)
        .map(|number| {
            let name = format!("fast{number}");
            Contender::start(&stage.servers, &stage.witness, &name, &with)
        })
        .collect();
    let busy: Vec<Process> = (0..load.busy()).map(|_| busy(&stage)).collect();
    let from_us = now_us();
    sleep(lasts).await;
    let until_us = now_us();
    drop(busy);
    let after = counts(&mut stage).await;
    let pulse = stage.pulse();
    let gaps = stage
        .locks()
        .iter()
        .map(|lock| pulse.longest_gap(lock, from_us, until_us).0);
    let gap = gaps.max().unwrap_or_default();
    let mut lost = 0;
    for contender in &mut fast {
        contender.end().await;
        lost += contender.said().lost.len();
    }
    let files: Vec<_> = fast.iter().map(|one| one.pulse().to_owned()).collect();
    let grants = Pulse::read(&files).total(from_us, until_us);
    let verdict = stage.judge().await;
    let seen = Seen {
        seconds: lasts.as_secs().max(1),
        grants,
        counts: Counts {
            false_failovers: after.false_failovers - before.false_failovers,
            term: after.term - before.term,
            recoveries: after.recoveries - before.recoveries,
        },
        sessions_over: lost + verdict.lost.len(),
        gap,
    };
    seen.say(load, &verdict, as_json);
    verdict.locks_lost == 0 && verdict.violation.is_none()
}

/// What a load did.
struct Seen {
    seconds: u64,
    grants: usize,
    /// How much more there was afterwards than before.
    counts: Counts,
    sessions_over: usize,
    gap: Duration,
}

impl Seen {
    fn say(&self, load: Load, verdict: &Verdict, as_json: bool) {
        let per_second = self.grants as u64 / self.seconds;
        let Counts {
            false_failovers,
            term,
            recoveries,
        } = self.counts;
        let (seconds, over) = (self.seconds, self.sessions_over);
        if as_json {
            let document = json!({
                "load": load.name(),
                "seconds": seconds,
                "grants_per_second": per_second,
                "false_failovers": false_failovers,
                "elections": term,
                "slots_recovered": recoveries,
                "sessions_over": over,
                "no_grant_us": self.gap.as_micros() as u64,
                "locks_lost": verdict.locks_lost,
                "violation": verdict.violation,
            });
            println!("{document}");
            return;
        }
        println!(
            "{}, {seconds} s: {per_second} grants a second; {false_failovers} false failovers, {term} terms, \
             {recoveries} slots recovered, {over} sessions over; no grant for {} ms at most; {} locks lost",
            load.name(),
            self.gap.as_millis(),
            verdict.locks_lost
        );
        if let Some(violation) = &verdict.violation {
            println!("    WRONG: {violation}");
        }
    }
}

/// A process that uses a processor.
fn busy(stage: &Stage) -> Process {
    let mut command = Command::new("sh");
    command.args(["-c", "while :; do :; done"]);
    let log = stage.servers.dir().join("busy.log");
    Process::start("busy", &mut command, &log).expect("a shell starts")
}

async fn counts(stage: &mut Stage) -> Counts {
    let mut counts = Counts::default();
    for server in stage.servers.numbers() {
        let metrics = stage.servers.metrics(server).await;
        let sum = |name: &str| -> u64 {
            let lines = metrics.lines().filter(|line| line.starts_with(name));
            let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
            values.sum::<f64>() as u64
        };
        counts.false_failovers += sum("glockwork_false_failovers_total");
        counts.recoveries += sum("glockwork_recovery_seconds_count");
        counts.term = counts.term.max(sum("glockwork_term "));
    }
    counts
}

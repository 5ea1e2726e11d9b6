//! The table: each fault on a cluster of its own.

use std::collections::BTreeSet;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use serde_json::json;
use tests::process::{PATIENCE, Stage, StageOptions, Verdict, now_us, within};
use tokio::time::sleep;

use super::faults::{CLIENT, Ends, FAULTS, Fault, Victim, strike};

/// How long everything runs before and after a fault.
const CALM: Duration = Duration::from_millis(1000);

/// One fault, once.
struct Row {
    fault: &'static Fault,
    verdict: Verdict,
    /// The longest time without a grant of a lock of the victim's, and of any other.
    gap: Duration,
    other_gap: Duration,
    /// What is not as it has to be.
    wrong: Vec<String>,
}

/// Whether there are faults that have this in their names.
pub(super) fn has(only: &str) -> bool {
    FAULTS.iter().any(|fault| fault.name.contains(only))
}

/// Prints the table; says whether everything in it is as it has to be.
pub(super) async fn run(only: Option<&str>, times: usize, as_json: bool) -> bool {
    let chosen = FAULTS
        .iter()
        .filter(|fault| only.is_none_or(|only| fault.name.contains(only)));
    let chosen: Vec<&'static Fault> = chosen.collect();
    let of = chosen.len() * times;
    if !as_json {
        println!(
            "{:37}  {:>6}  {:>17}  {:>9}  {:>9}  {:>5}  {:>10}  {:>6}",
            "fault", "for", "sessions", "no grant", "elsewhere", "locks", "exclusion", "grants"
        );
        println!(
            "{:37}  {:>6}  {:>17}  {:>9}  {:>9}  {:>5}  {:>10}  {:>6}",
            "", "ms", "over", "ms", "ms", "lost", "violations", ""
        );
    }
    let mut good = true;
    for (done, fault) in chosen.iter().flat_map(|one| vec![one; times]).enumerate() {
        progress(&format!("{} of {of}: {}", done + 1, fault.name));
        let row = within(4 * PATIENCE, fault.name, once(fault)).await;
        progress("");
        good &= row.wrong.is_empty();
        if as_json {
            println!("{}", row.json());
        } else {
            row.print();
        }
    }
    good
}

/// Says on a terminal what is being done.
pub(super) fn progress(what: &str) {
    if std::io::stderr().is_terminal() {
        eprint!("\r\x1b[K{what}");
        let _ = std::io::stderr().flush();
    }
}

async fn once(fault: &'static Fault) -> Row {
    let mut stage = Stage::start(StageOptions::default()).await;
    sleep(CALM).await;
    let struck = strike(&mut stage, fault).await;
    stage.servers.ready().await;
    stage.even().await;
    stage.all_granted_anew(fault.name).await;
    let until_us = now_us();
    sleep(CALM).await;
    let pulse = stage.pulse();
    let longest = |locks: &mut dyn Iterator<Item = &String>| {
        let gaps = locks.map(|lock| pulse.longest_gap(lock, struck.from_us, until_us).0);
        gaps.max().unwrap_or_default()
    };
    let gap = longest(&mut struck.locks.iter());
    let mut others = stage.locks().iter().filter(|it| !struck.locks.contains(it));
    let other_gap = longest(&mut others);
    let client = stage.contenders[CLIENT].name().to_owned();
    let verdict = stage.judge().await;
    let mut row = Row {
        fault,
        verdict,
        gap,
        other_gap,
        wrong: Vec::new(),
    };
    row.wrong = row.find_wrong(&stage, &client);
    row
}

impl Row {
    fn find_wrong(&self, stage: &Stage, client: &str) -> Vec<String> {
        let mut wrong = Vec::new();
        wrong.extend(self.verdict.violation.clone());
        if self.verdict.locks_lost > 0 {
            let lost = self.verdict.locks_lost;
            wrong.push(format!("{lost} locks of living sessions were lost"));
        }
        let killed = self.fault.victim == Victim::Client && self.fault.ms == 0;
        let names = stage.contenders.iter().map(|one| one.name());
        let expected: BTreeSet<&str> = match self.fault.ends {
            Ends::Nobody => BTreeSet::new(),
            // A killed client says nothing of its end.
            Ends::Client if killed => BTreeSet::new(),
            Ends::Client => BTreeSet::from([client]),
            Ends::All => names.collect(),
        };
        let lost: BTreeSet<&str> = self.verdict.lost.keys().map(String::as_str).collect();
        if lost != expected {
            wrong.push(format!(
                "sessions that ended: {:?}, expected {expected:?}",
                self.verdict.lost
            ));
        }
        if let Some(max_ms) = self.fault.gap_ms_max
            && self.gap > Duration::from_millis(max_ms)
        {
            wrong.push(format!("no grant for longer than {max_ms} ms"));
        }
        wrong
    }

    fn over(&self) -> String {
        let count = self.verdict.lost.len();
        match self.fault.ends {
            Ends::Client if count == 0 => "1, killed".into(),
            _ if count == 0 => "none".into(),
            _ => format!("{count}, by their lease"),
        }
    }

    fn print(&self) {
        let verdict = &self.verdict;
        println!(
            "{:37}  {:>6}  {:>17}  {:>9}  {:>9}  {:>5}  {:>10}  {:>6}",
            self.fault.name,
            self.fault.ms,
            self.over(),
            self.gap.as_millis(),
            self.other_gap.as_millis(),
            verdict.locks_lost,
            u8::from(verdict.violation.is_some()),
            verdict.grants
        );
        for wrong in &self.wrong {
            println!("    WRONG: {wrong}");
        }
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "fault": self.fault.name,
            "for_ms": self.fault.ms,
            "sessions_over": self.verdict.lost,
            "no_grant_us": self.gap.as_micros() as u64,
            "no_grant_elsewhere_us": self.other_gap.as_micros() as u64,
            "locks_lost": self.verdict.locks_lost,
            "violation": self.verdict.violation,
            "grants": self.verdict.grants,
            "wrong": self.wrong,
        })
    }
}

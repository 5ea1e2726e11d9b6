//! What a run says to people: two tables, what happened, and sentences; at most [`COLUMNS_MAX`] wide, unless names or
//! what an error says are longer than that leaves room for.

mod events;
mod sentences;
mod table;
#[cfg(test)]
mod tests;

use std::fmt::Write;

use table::Table;
use time::OffsetDateTime;

use crate::config::Config;
use crate::run::Run;
use crate::summary::Summary;
use crate::words::{at, counted, ms, of_bytes, short};

/// How wide a report is.
pub const COLUMNS_MAX: usize = 100;

/// Names of nodes are cut to this.
const NAME_CHARACTERS_MAX: usize = 16;

const DONE: [[&str; 2]; 12] = [
    ["", ""],
    ["", "ops"],
    ["", "ops/s"],
    ["share", "%"],
    ["p50", "ms"],
    ["p90", "ms"],
    ["p99", "ms"],
    ["p99.9", "ms"],
    ["max", "ms"],
    ["stall", "ms"],
    ["data", "errors"],
    ["I/O", "errors"],
];

const COST: [[&str; 2]; 10] = [
    ["", ""],
    ["", "retries"],
    ["try", "failed"],
    ["lock", "cycles"],
    ["most", "in op"],
    ["", "bounced"],
    ["fall-", "backs"],
    ["inter-", "rupted"],
    ["msgs", "per op"],
    ["", "turns"],
];

/// The report of one run.
#[must_use]
pub fn run(run: &Run) -> String {
    let config = &run.config;
    let mut text = format!("{} under {}", config.group, config.policy);
    if let Some(scenario) = &config.scenario {
        push(&mut text, format_args!(", scenario {scenario}"));
    }
    push(
        &mut text,
        format_args!("\n{}\n\n", details(config, run.elapsed_us)),
    );
    let (mut done, mut cost) = (Table::new(&DONE), Table::new(&COST));
    for node in &run.nodes {
        let name = cut(&node.name);
        let share = format!("{:.0}", node.share * 100.);
        let errors = node.summary.data_errors.count;
        done.row(done_cells(
            &name,
            &node.summary,
            share,
            node.stall_us,
            errors,
        ));
        cost.row(cost_cells(&name, &node.summary, node.witness.grants));
    }
    let (share, stall_us, turns) = all(run);
    done.row(done_cells(
        "all",
        &run.total,
        share,
        stall_us,
        run.data_errors(),
    ));
    cost.row(cost_cells("all", &run.total, turns));
    push(
        &mut text,
        format_args!("{}\n{}", done.render(true), cost.render(true)),
    );
    text.push_str(&events::happened(run));
    text.push_str(&events::deadlock(run));
    text.push('\n');
    for sentence in sentences::of(run) {
        text.push_str(&wrapped(&sentence));
    }
    text
}

/// The report of several runs: one line for each, and what is wrong with any.
#[must_use]
pub fn comparison(runs: &[Run]) -> String {
    let Some(first) = runs.first() else {
        return "There are no runs.\n".into();
    };
    let config = &first.config;
    let longest_us = runs.iter().map(|run| run.elapsed_us).max();
    let mut text = format!(
        "{}, {} compared\n",
        config.group,
        counted(runs.len() as u64, "run")
    );
    push(
        &mut text,
        format_args!("{}\n\n", details(config, longest_us.unwrap_or_default())),
    );
    let (mut done, mut cost) = (Table::new(&DONE), Table::new(&COST));
    let names = names(runs);
    for (run, name) in runs.iter().zip(&names) {
        let (share, stall_us, turns) = all(run);
        done.row(done_cells(
            name,
            &run.total,
            share,
            stall_us,
            run.data_errors(),
        ));
        cost.row(cost_cells(name, &run.total, turns));
    }
    push(
        &mut text,
        format_args!("{}\n{}\n", done.render(false), cost.render(false)),
    );
    for (run, name) in runs.iter().zip(&names) {
        for sentence in sentences::compared(run) {
            text.push_str(&wrapped(&format!("{name}: {sentence}")));
        }
    }
    text
}

/// The policy of each run, with a number where there are several of one.
fn names(runs: &[Run]) -> Vec<String> {
    let of = |run: &Run| run.config.policy;
    let name = |(number, run): (usize, &Run)| {
        let before = runs[..number]
            .iter()
            .filter(|one| of(one) == of(run))
            .count();
        let several = runs.iter().filter(|one| of(one) == of(run)).count() > 1;
        if several {
            format!("{} {}", of(run), before + 1)
        } else {
            of(run).to_string()
        }
    };
    runs.iter().enumerate().map(name).collect()
}

fn details(config: &Config, elapsed_us: u64) -> String {
    format!(
        "{} of {}, {} files{}, I/O of {} KiB, {} % reads, seed {}\nbegan {}, ran {} of {} s, {}, version {}",
        counted(config.nodes.len() as u64, "node"),
        counted(config.tasks as u64, "task"),
        config.files,
        of_bytes(config.file_bytes),
        config.io_bytes / 1024,
        config.reads_percent,
        config.seed,
        began(config.began_unix_s),
        at(elapsed_us).trim_end_matches(" s"),
        config.seconds,
        counted(config.servers as u64, "server"),
        config.version,
    )
}

/// `2026-12-01 05:30:00 UTC`.
fn began(unix_s: u64) -> String {
    let date = i64::try_from(unix_s)
        .ok()
        .and_then(|s| OffsetDateTime::from_unix_timestamp(s).ok());
    let Some(date) = date else {
        return "at no time that a calendar has".into();
    };
    let (hour, minute, second) = date.to_hms();
    let (year, month, day) = (date.year(), u8::from(date.month()), date.day());
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

/// Of all nodes: the smallest and the largest share, the longest stall, the turns.
fn all(run: &Run) -> (String, u64, u64) {
    let shares = || run.nodes.iter().map(|node| node.share * 100.);
    let least = shares().reduce(f64::min).unwrap_or_default();
    let most = shares().reduce(f64::max).unwrap_or_default();
    let stall_us = run.nodes.iter().map(|node| node.stall_us).max();
    let turns = run.nodes.iter().map(|node| node.witness.grants).sum();
    (
        format!("{least:.0}-{most:.0}"),
        stall_us.unwrap_or_default(),
        turns,
    )
}

fn done_cells(
    name: &str,
    summary: &Summary,
    share: String,
    stall_us: u64,
    data_errors: u64,
) -> Vec<String> {
    vec![
        name.into(),
        short(summary.ops),
        short(summary.ops_per_s.round() as u64),
        share,
        ms(summary.p50_us),
        ms(summary.p90_us),
        ms(summary.p99_us),
        ms(summary.p999_us),
        ms(summary.max_us),
        ms(stall_us),
        short(data_errors),
        short(summary.io_errors.count),
    ]
}

fn cost_cells(name: &str, summary: &Summary, turns: u64) -> Vec<String> {
    vec![
        name.into(),
        short(summary.retries),
        short(summary.trylock_failed),
        short(summary.lock_cycles),
        summary.lock_cycles_max.to_string(),
        short(summary.bounced),
        short(summary.fallbacks),
        short(summary.interrupted),
        format!("{:.1}", summary.lock_messages_per_op),
        short(turns),
    ]
}

/// What makes a long name differ from others is at its end as often as at its beginning.
fn cut(name: &str) -> String {
    let characters = name.chars().count();
    if characters <= NAME_CHARACTERS_MAX {
        return name.into();
    }
    let half = NAME_CHARACTERS_MAX / 2;
    let head: String = name.chars().take(half).collect();
    let tail: String = name.chars().skip(characters - half + 1).collect();
    format!("{head}…{tail}")
}

/// A sentence in lines of the report's width; those after the first are indented.
fn wrapped(sentence: &str) -> String {
    let mut text = String::new();
    let mut column = 0;
    for word in sentence.split_whitespace() {
        let wide = word.chars().count();
        if column > 0 && column + 1 + wide > COLUMNS_MAX {
            text.push_str("\n  ");
            column = 2;
        } else if column > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += wide;
    }
    text.push('\n');
    text
}

fn push(text: &mut String, what: std::fmt::Arguments<'_>) {
    text.write_fmt(what).expect("writing to a string");
}

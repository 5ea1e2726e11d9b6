//! Operations per second over time: a row for each node, or for each policy.

use super::frame::{what, what_one};
use super::rows::{Plot, Row};
use super::style::Look;
use crate::event::Event;
use crate::run::Run;
use crate::trouble::Member;
use crate::words::{at, short};

/// A row for each node of a run.
pub(super) fn of_nodes(run: &Run) -> String {
    let troubles = run.troubles();
    let rows = run.nodes.iter().enumerate().map(|(number, node)| {
        let own = Member::Node(node.name.clone());
        Row {
            name: node.name.clone(),
            about: format!("{} ops", short(node.summary.ops)),
            look: Look::of(number),
            interval_us: run.interval_us,
            ops: wide(&node.ops_per_interval),
            troubles: troubles.iter().filter(|one| one.member == own).collect(),
            events: run.events.iter().collect(),
            nothing: "not running".into(),
        }
    });
    let rows: Vec<Row<'_>> = rows.collect();
    let title = "Operations per second on each node";
    Plot::new(&rows, &run.events, run.elapsed_us).draw(title, &what_one(run))
}

/// A row for each run, of all its nodes together.
pub(super) fn of_runs(runs: &[Run]) -> String {
    let rows = runs.iter().map(|run| Row {
        name: run.config.policy.to_string(),
        about: format!("{} ops", short(run.total.ops)),
        look: Look::of_policy(run.config.policy),
        interval_us: run.interval_us,
        ops: sum(run),
        troubles: Vec::new(),
        events: done(&run.events).collect(),
        nothing: match &run.deadlock {
            Some(found) => format!("ended by a deadlock at {}", at(found.at_us)),
            None => "not running".into(),
        },
    });
    let rows: Vec<Row<'_>> = rows.collect();
    let events = runs.iter().map(|run| run.events.as_slice());
    let events: &[Event] = events
        .max_by_key(|events| done(events).count())
        .unwrap_or_default();
    // What was seen differs from run to run.
    let events: Vec<Event> = done(events).cloned().collect();
    let elapsed_us = runs.iter().map(|run| run.elapsed_us).max();
    let title = "Operations per second of all nodes, by policy";
    let below = runs
        .first()
        .map_or_else(String::new, |run| what(&run.config));
    Plot::new(&rows, &events, elapsed_us.unwrap_or_default()).draw(title, &below)
}

fn done(events: &[Event]) -> impl Iterator<Item = &Event> {
    events.iter().filter(|event| event.kind.is_done())
}

fn wide(ops: &[Option<u32>]) -> Vec<Option<u64>> {
    ops.iter().map(|ops| ops.map(u64::from)).collect()
}

fn sum(run: &Run) -> Vec<Option<u64>> {
    let longest = run
        .nodes
        .iter()
        .map(|node| node.ops_per_interval.len())
        .max();
    let of = |number: usize| {
        let nodes = run.nodes.iter();
        let ops = nodes.filter_map(|node| node.ops_per_interval.get(number).copied().flatten());
        ops.map(u64::from).reduce(u64::saturating_add)
    };
    (0..longest.unwrap_or(0)).map(of).collect()
}

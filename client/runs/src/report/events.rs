//! What happened, and what nodes did after it.

use super::table::Table;
use super::{cut, push};
use crate::recovery::Recovery;
use crate::run::Run;
use crate::words::{at, counted, listed, ms};

/// The most events that are told one by one.
const TOLD_MAX: usize = 40;
/// Of those whom an event is about, and of what it says, so many characters.
const WHOM_MAX: usize = 28;
const TEXT_MAX: usize = 44;

/// The events, and how long nodes did nothing after those that hurt; nothing where there were none.
pub(super) fn happened(run: &Run) -> String {
    if run.events.is_empty() {
        return String::new();
    }
    let mut text = String::from("\nWhat happened:\n");
    for event in run.events.iter().take(TOLD_MAX) {
        let (whom, said) = (
            clipped(&event.whom(), WHOM_MAX),
            clipped(&event.text, TEXT_MAX),
        );
        let line = format!(
            "  {:>8}  {:13}  {whom:8}  {said}",
            at(event.at_us),
            event.kind
        );
        text.push_str(line.trim_end());
        text.push('\n');
    }
    let untold = run.events.len().saturating_sub(TOLD_MAX) as u64 + run.events_dropped;
    if untold > 0 {
        push(
            &mut text,
            format_args!("  and {} that are in run.json\n", counted(untold, "event")),
        );
    }
    text.push_str(&recoveries(run));
    text
}

fn clipped(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.into();
    }
    let kept: String = text.chars().take(most - 1).collect();
    kept + "…"
}

/// A row for each event that hurts and each node that felt it, and one for all that did not.
fn recoveries(run: &Run) -> String {
    const HEADS: [[&str; 2]; 5] = [
        ["", "after"],
        ["", "node"],
        ["longest", "pause, ms"],
        ["from event", "to op, ms"],
        ["from its end", "to op, ms"],
    ];
    let mut table = Table::new(&HEADS);
    let mut rows = 0;
    for part in run.recoveries.chunk_by(|one, next| one.event == next.event) {
        let event = &run.events[part[0].event];
        let after = format!(
            "{} {}, {}",
            event.kind,
            clipped(&event.whom(), WHOM_MAX),
            at(event.at_us)
        );
        let felt = |one: &&Recovery| one.touched || one.pause_us > 0;
        for (number, one) in part.iter().filter(felt).enumerate() {
            rows += 1;
            if rows > TOLD_MAX {
                break;
            }
            let us = |us: Option<u64>, none: &str| us.map_or_else(|| none.to_owned(), ms);
            table.row(vec![
                if number == 0 {
                    after.clone()
                } else {
                    String::new()
                },
                format!("{}{}", cut(&one.node), if one.touched { " *" } else { "" }),
                ms(one.pause_us),
                us(one.back_us, "never"),
                us(one.back_after_undone_us, "-"),
            ]);
        }
    }
    if rows == 0 {
        return String::new();
    }
    let untold = if rows > TOLD_MAX {
        "\n  and more that are in run.json"
    } else {
        ""
    };
    format!(
        "\n{}  * it was aimed at this node{untold}\n",
        table.render(false)
    )
}

/// The cycle, where there was one.
pub(super) fn deadlock(run: &Run) -> String {
    let Some(found) = &run.deadlock else {
        return String::new();
    };
    let mut text = format!(
        "\nThe nodes were deadlocked at {}. The cycle:\n",
        at(found.at_us)
    );
    for edge in &found.edges {
        push(&mut text, format_args!("  {edge}\n"));
    }
    text
}

/// The nodes that did something else than their operations, for sentences.
pub(super) fn names(run: &Run, which: impl Fn(&crate::NodeRun) -> bool) -> String {
    let nodes = run.nodes.iter().filter(|node| which(node));
    let names: Vec<String> = nodes.map(|node| node.name.clone()).collect();
    listed(&names)
}

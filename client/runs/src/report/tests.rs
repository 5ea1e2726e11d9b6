//! What reports say.

use glockwork_proto::node::{Errors, Policy};

use super::*;
use crate::event::{Event, EventKind};
use crate::sample::{self, SECOND};

fn widest(text: &str) -> usize {
    text.lines()
        .map(|line| line.chars().count())
        .max()
        .unwrap_or(0)
}

#[test]
fn a_run_has_tables_events_and_sentences() {
    let text = run(&sample::cut());
    for wanted in [
        "cross under ordered, scenario node-cut\n3 nodes of 2 tasks, 6 files, I/O of 32 KiB, 50 % reads, seed 1\n",
        "began 2026-12-01 05:30:00 UTC, ran 30.0 of 30 s, 3 servers, version 0.1.0",
        "5.0 s  cut            node2     cut off from all servers",
        "node2 *",
        "1 session ended because of what had been done.",
        "The run was clean.",
    ] {
        assert!(text.contains(wanted), "{wanted}\nis not in\n{text}");
    }
    assert!(
        widest(&text) <= COLUMNS_MAX,
        "{} columns\n{text}",
        widest(&text)
    );
}

#[test]
fn runs_are_compared_in_a_line_each() {
    let runs = sample::policies();
    let text = comparison(&runs);
    for policy in Policy::ALL {
        let lines = text.lines().filter(|line| line.starts_with(policy.name()));
        assert_eq!(
            lines.count(),
            3,
            "two tables and a sentence of {policy}\n{text}"
        );
    }
    assert!(
        text.contains("block: deadlocked after 404 operations, in a cycle of 2 waits."),
        "{text}"
    );
    assert!(
        widest(&text) <= COLUMNS_MAX,
        "{} columns\n{text}",
        widest(&text)
    );
    assert_eq!(
        names(&[runs[3].clone(), runs[3].clone()]),
        ["ordered 1", "ordered 2"]
    );
    assert_eq!(comparison(&[]), "There are no runs.\n");
}

#[test]
fn the_largest_numbers_fit() {
    let mut seen = sample::seen(Policy::Ordered, 16, 20);
    for (number, node) in seen.nodes.iter_mut().enumerate() {
        node.name = format!("a-node-with-a-long-name-{number}");
        let mut result = node.lives[0].result().unwrap().clone();
        let tally = &mut result.tally;
        (tally.ops, tally.retries, tally.trylock_failed) = (123_456_789, 99_999_999, 99_999_999);
        (tally.lock_cycles, tally.bounced, tally.fallbacks) = (u64::MAX / 16, 1 << 40, 1 << 40);
        (tally.interrupted, tally.lock_messages) = (1 << 40, 123_456_789_000);
        tally.latency_us.record(86_400 * SECOND);
        tally.io_errors = Errors {
            count: 1 << 40,
            first: vec!["an error ".repeat(40)],
        };
        result.stall_us = 86_400 * SECOND;
        result.witness.grants = 1 << 40;
        node.lives[0].ended(result);
    }
    let names: Vec<String> = seen.nodes.iter().map(|node| node.name.clone()).collect();
    seen.events = (0..100)
        .map(|at| Event {
            nodes: names.clone(),
            ..Event::of_all(
                at * SECOND / 10,
                EventKind::StallStore,
                "no read or write of the volume ends until it is released",
            )
        })
        .collect();
    let large = Run::of(seen);
    for text in [run(&large), comparison(&[large])] {
        assert!(
            widest(&text) <= COLUMNS_MAX,
            "{} columns\n{text}",
            widest(&text)
        );
    }
}

#[test]
fn what_is_wrong_is_said() {
    let mut seen = sample::seen(Policy::Ordered, 2, 10);
    seen.checked = None;
    seen.nodes[1].lives[0].lost(4 * SECOND, "its process ended with 101");
    let text = run(&Run::of(seen));
    for wanted in [
        "Nobody read afterwards what the nodes had written.\n",
        "node2 was lost at 4.0 s and did not come back: its process ended with 101.\n",
        "of node2 are known by their number alone",
        "The run was not clean, for 2 reasons; see above.\n",
    ] {
        assert!(text.contains(wanted), "{wanted}\nis not in\n{text}");
    }
}

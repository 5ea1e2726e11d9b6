//! Verdicts of runs that were made up, a table for each kind.

use glockwork_proto::node::{Progress, Tally, Witnessed, WorkloadResult};

use super::*;
use crate::config::Config;
use crate::event::Event;
use crate::run::Deadlock;
use crate::seen::{Life, NodeSeen, Seen};
use crate::settings::Settings;
use EventKind::{Cut, Heal, Kill, LostSession, Pause, Restart, Resume, Slow, StallStore};

const SECOND: u64 = 1_000_000;

fn errors(count: u64) -> Errors {
    let mut errors = Errors::default();
    (0..count).for_each(|number| errors.note(|| format!("error {number}")));
    errors
}

/// A run of 40 s on node1 and node2, with three servers, in which all went well.
fn seen() -> Seen {
    let names = vec!["node1".to_owned(), "node2".to_owned()];
    let settings = Settings {
        seconds: Some(40),
        ..Settings::default()
    };
    let config = Config::new(&settings, names.clone(), 3, "1", 0).unwrap();
    let node = |name| NodeSeen {
        name,
        lives: vec![told(0, 40)],
    };
    Seen {
        elapsed_us: 40 * SECOND,
        nodes: names.into_iter().map(node).collect(),
        checked: Some(Errors::default()),
        ..Seen::new(config)
    }
}

/// A life of which the node said what came of it, with an operation in each interval.
fn told(from_s: u64, to_s: u64) -> Life {
    let mut life = Life::new(from_s * SECOND);
    let intervals = (to_s - from_s) as usize * 10;
    life.progress(&Progress {
        first: 0,
        ops: vec![1; intervals],
        elapsed_us: 0,
    });
    life.ended(WorkloadResult {
        tally: Tally {
            ops: intervals as u64,
            elapsed_us: (to_s - from_s) * SECOND,
            ..Tally::default()
        },
        ..WorkloadResult::default()
    });
    life
}

fn lost(from_s: u64, at_s: u64) -> Life {
    let mut life = told(from_s, at_s);
    life.lost(at_s * SECOND, "its process ended");
    life
}

/// All are killed; the first comes back early, the second when it is said.
fn all_servers_but_one_back(second_s: u64) -> Vec<Event> {
    let mut all = Event::of_all(5 * SECOND, Kill, "");
    all.servers = vec![1, 2, 3];
    vec![
        all,
        server(6, Restart, 1),
        server(second_s.max(11), Restart, 2),
    ]
}

/// Changes what node1 said.
fn of_node1(seen: &mut Seen, change: impl FnOnce(&mut WorkloadResult)) {
    let life = &mut seen.nodes[0].lives[0];
    let mut result = life.result().unwrap().clone();
    change(&mut result);
    life.ended(result);
}

fn node(at_s: u64, kind: EventKind, node: &str) -> Event {
    Event::of_node(at_s * SECOND, kind, node, "")
}

fn server(at_s: u64, kind: EventKind, number: u64) -> Event {
    Event::of_server(at_s * SECOND, kind, number, "")
}

fn verdict(change: impl FnOnce(&mut Seen)) -> Verdict {
    let mut seen = seen();
    change(&mut seen);
    let run = Run::of(seen);
    assert_eq!(
        Verdict::of(&run),
        run.verdict,
        "it does not depend on itself"
    );
    assert_eq!(run.verdict.exit_code() == 0, run.verdict.faults.is_empty());
    run.verdict
}

fn kinds(verdict: &Verdict) -> Vec<FaultKind> {
    verdict.faults.iter().map(|fault| fault.kind).collect()
}

#[test]
fn each_rule_finds_what_breaks_it() {
    type Change = fn(&mut Seen);
    let table: [(Change, &[FaultKind]); 8] = [
        (|_| {}, &[]),
        (|seen| seen.checked = None, &[FaultKind::NotChecked]),
        (
            |seen| seen.checked = Some(errors(1)),
            &[FaultKind::DataErrors],
        ),
        (
            |seen| of_node1(seen, |told| told.tally.data_errors = errors(7)),
            &[FaultKind::DataErrors],
        ),
        (
            |seen| {
                of_node1(seen, |told| {
                    told.witness = Witnessed {
                        violations: errors(1),
                        ..Witnessed::default()
                    };
                });
            },
            &[FaultKind::Exclusion],
        ),
        (
            |seen| of_node1(seen, |told| told.tally.io_errors = errors(2)),
            &[FaultKind::IoErrors],
        ),
        (|seen| seen.nodes[1].lives.clear(), &[FaultKind::NeverBack]),
        (
            |seen| seen.nodes[1].lives = vec![lost(0, 20)],
            &[FaultKind::NeverBack],
        ),
    ];
    for (number, (change, expected)) in table.into_iter().enumerate() {
        let verdict = verdict(change);
        assert_eq!(kinds(&verdict), expected, "row {number}");
    }
    let said = verdict(|seen| of_node1(seen, |told| told.tally.data_errors = errors(7)));
    assert_eq!(
        said.faults[0].text,
        "node1: 7 pages held what they must not hold; the first: error 0"
    );
    assert_eq!(said.faults[0].node.as_deref(), Some("node1"));
}

#[test]
fn errors_of_a_node_that_was_touched_are_counted_and_excused() {
    for kind in [Cut, Kill, Pause, Slow, StallStore] {
        let verdict = verdict(|seen| {
            of_node1(seen, |told| told.tally.io_errors = errors(9));
            seen.events = vec![node(5, kind, "node1"), node(9, Heal, "node1")];
        });
        assert_eq!(
            (kinds(&verdict), verdict.io_errors_excused),
            (vec![], 9),
            "{kind}"
        );
    }
    let other = verdict(|seen| {
        of_node1(seen, |told| told.tally.io_errors = errors(9));
        seen.events = vec![node(5, Cut, "node2"), server(5, Kill, 1)];
    });
    assert_eq!(kinds(&other), [FaultKind::IoErrors]);
    let data = verdict(|seen| {
        of_node1(seen, |told| told.tally.data_errors = errors(1));
        seen.events = vec![node(5, Cut, "node1")];
    });
    assert_eq!(
        kinds(&data),
        [FaultKind::DataErrors],
        "nothing excuses wrong data"
    );
}

#[test]
fn a_session_may_end_for_a_reason_only() {
    // What happened, when node2's session was over, whether that is a fault.
    let table: [(Vec<Event>, u64, bool); 16] = [
        (vec![], 20, true),
        (vec![node(5, Cut, "node2")], 10, false),
        (vec![node(5, Cut, "node2")], 4, true),
        (vec![node(5, Cut, "node1")], 10, true),
        (vec![node(5, Slow, "node2")], 10, true),
        (
            vec![node(5, Pause, "node2"), node(13, Resume, "node2")],
            14,
            false,
        ),
        (
            vec![node(5, Cut, "node2"), node(6, Heal, "node2")],
            16,
            false,
        ),
        (
            vec![node(5, Cut, "node2"), node(6, Heal, "node2")],
            17,
            true,
        ),
        (vec![server(5, Kill, 1)], 10, true),
        (vec![server(5, Kill, 1), server(8, Cut, 2)], 12, false),
        (vec![server(5, Kill, 1), server(8, Cut, 2)], 7, true),
        (
            vec![server(5, Kill, 1), server(7, Restart, 1), server(8, Cut, 2)],
            12,
            true,
        ),
        (
            vec![
                server(5, Restart, 1),
                server(7, Restart, 2),
                server(9, Restart, 3),
            ],
            12,
            true,
        ),
        (vec![server(5, Kill, 1), server(6, Cut, 1)], 12, true),
        (all_servers_but_one_back(6), 20, false),
        (all_servers_but_one_back(36), 35, false),
    ];
    for (number, (events, over_s, fault)) in table.into_iter().enumerate() {
        let verdict = verdict(|seen| {
            seen.events = events;
            seen.events.push(node(over_s, LostSession, "node2"));
            seen.nodes[1].lives = vec![lost(0, over_s), told(over_s + 1, 40)];
        });
        let expected: &[FaultKind] = if fault { &[FaultKind::LocksLost] } else { &[] };
        assert_eq!(kinds(&verdict), expected, "row {number}");
        assert_eq!(verdict.sessions_excused, u64::from(!fault), "row {number}");
    }
}

#[test]
fn a_loss_that_is_seen_late_is_judged_by_when_the_node_was_last_heard_of() {
    let seen_late = |heard_s: u64| {
        verdict(move |seen| {
            seen.events = vec![
                node(5, Kill, "node2"),
                node(8, Restart, "node2"),
                node(30, LostSession, "node2"),
            ];
            seen.nodes[1].lives = vec![lost(0, heard_s), told(31, 40)];
        })
    };
    assert!(seen_late(5).clean);
    assert_eq!(kinds(&seen_late(19)), [FaultKind::LocksLost]);
}

#[test]
fn without_a_majority_errors_are_excused_too() {
    let verdict = verdict(|seen| {
        of_node1(seen, |told| told.tally.io_errors = errors(3));
        let mut all = Event::of_all(5 * SECOND, Kill, "");
        all.servers = vec![1, 2, 3];
        seen.events = vec![all, node(10, LostSession, "node1")];
    });
    assert_eq!((kinds(&verdict), verdict.io_errors_excused), (vec![], 3));
}

#[test]
fn who_is_still_away_at_the_end_is_missed_only_if_he_could_be_back() {
    for (events, fault) in [
        (vec![node(5, Kill, "node2")], false),
        (
            vec![node(5, Kill, "node2"), node(9, Restart, "node2")],
            true,
        ),
        (vec![node(5, Cut, "node2")], false),
        (vec![node(5, Slow, "node2")], true),
        (vec![server(5, Kill, 1)], true),
    ] {
        let shown = format!("{events:?}");
        let verdict = verdict(|seen| {
            seen.nodes[1].lives = vec![lost(0, 5)];
            seen.events = events;
        });
        assert_eq!(!verdict.clean, fault, "{shown}");
    }
}

#[test]
fn stalls_and_recoveries_have_bounds() {
    let stalled = |most, events: Vec<Event>| {
        verdict(move |seen| {
            of_node1(seen, |told| {
                (told.stall_us, told.stall_at_us) = (3 * SECOND, SECOND)
            });
            seen.config.bounds.stall_us_max = most;
            seen.events = events;
        })
    };
    assert!(stalled(None, vec![]).clean);
    assert!(stalled(Some(3 * SECOND), vec![]).clean);
    assert!(stalled(Some(SECOND), vec![node(1, Pause, "node1")]).clean);
    let verdict_of = stalled(Some(SECOND), vec![server(1, Kill, 1)]);
    assert_eq!(kinds(&verdict_of), [FaultKind::Stalled]);
    assert_eq!(
        verdict_of.faults[0].text,
        "node1: no operation ended for 3.00 s from 1.0 s on, though nothing was done to it; the bound is 1.00 s."
    );
    let late = |most| {
        verdict(move |seen| {
            seen.nodes[1].lives = vec![lost(0, 6), told(20, 40)];
            seen.config.bounds.recovery_us_max = Some(most);
            seen.events = vec![node(5, Cut, "node2"), node(13, Heal, "node2")];
        })
    };
    assert!(late(7 * SECOND).clean);
    assert_eq!(kinds(&late(6 * SECOND)), [FaultKind::SlowRecovery]);
}

#[test]
fn a_deadlock_is_a_fault_where_none_is_promised_or_one_is_expected() {
    let ended = |policy: Policy, expect: Expect, found: bool| {
        verdict(move |seen| {
            seen.config.policy = policy;
            seen.config.expect = expect;
            seen.config.bounds.stall_us_max = Some(1);
            of_node1(seen, |told| told.stall_us = if found { 9 } else { 0 });
            seen.deadlock = found.then(|| Deadlock {
                at_us: SECOND,
                edges: vec!["a waits for b".into(), "b waits for a".into()],
            });
        })
    };
    for policy in Policy::ALL {
        let promised = policy != Policy::Block;
        assert_eq!(
            ended(policy, Expect::Clean, true).clean,
            !promised,
            "{policy}"
        );
        assert!(ended(policy, Expect::Clean, false).clean);
    }
    assert!(ended(Policy::Block, Expect::Deadlock, true).clean);
    let none = ended(Policy::Block, Expect::Deadlock, false);
    assert_eq!(kinds(&none), [FaultKind::NoDeadlock]);
}

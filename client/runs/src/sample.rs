//! Runs for tests, such as they might be.

use glockwork_proto::node::{Errors, Policy, Progress, Tally, Witnessed, WorkloadResult};

use crate::config::Config;
use crate::event::{Event, EventKind};
use crate::run::{Deadlock, Run};
use crate::seen::{Life, NodeSeen, Seen};
use crate::settings::Settings;

pub(crate) const SECOND: u64 = 1_000_000;

/// Numbers that look as if by chance.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }
}

/// What was seen of `nodes` nodes under a policy, without a fault.
pub(crate) fn seen(policy: Policy, nodes: usize, seconds: u64) -> Seen {
    let settings = Settings {
        policy: Some(policy),
        seconds: Some(seconds),
        ..Settings::default()
    };
    let names: Vec<String> = (1..=nodes).map(|number| format!("node{number}")).collect();
    let config = Config::new(&settings, names.clone(), 3, "0.1.0", 1_796_103_000).unwrap();
    let node = |(number, name)| NodeSeen {
        name,
        lives: vec![life(policy, number as u64, 0, seconds * 10)],
    };
    Seen {
        elapsed_us: seconds * SECOND + 40_000,
        nodes: names.into_iter().enumerate().map(node).collect(),
        checked: Some(Errors::default()),
        ..Seen::new(config)
    }
}

/// A life in tenths of a second.
pub(crate) fn life(policy: Policy, node: u64, from: u64, to: u64) -> Life {
    let mut chance = Chance(node * 7 + from + policy as u64 * 100 + 1);
    let pace = match policy {
        Policy::Block => 6,
        Policy::Nofault => 12,
        Policy::TryCycle => 26,
        Policy::Ordered => 24,
    };
    let pace = pace + node % 3 * 3;
    let mut life = Life::new(from * SECOND / 10);
    let ops: Vec<u32> = (from..to)
        .map(|_| (pace / 2 + chance.below(pace)) as u32)
        .collect();
    let mut tally = Tally {
        ops: ops.iter().map(|&ops| u64::from(ops)).sum(),
        elapsed_us: (to - from) * SECOND / 10,
        ..Tally::default()
    };
    for _ in 0..tally.ops {
        let slow = 1 << chance.below(if policy == Policy::Nofault { 9 } else { 5 });
        tally
            .latency_us
            .record((300 + chance.below(1800)) * slow / (1 + chance.below(3)));
    }
    tally.retries = tally.ops * (5 - policy as u64) / 3;
    tally.trylock_failed = tally.retries;
    tally.lock_cycles = if policy >= Policy::TryCycle {
        tally.retries
    } else {
        0
    };
    tally.lock_cycles_max = if policy >= Policy::TryCycle { 3 } else { 0 };
    tally.fallbacks = if policy == Policy::Nofault { 9 } else { 0 };
    tally.lock_messages = tally.ops * 13;
    life.progress(&Progress {
        first: 0,
        ops,
        elapsed_us: tally.elapsed_us,
    });
    life.ended(WorkloadResult {
        tally,
        stall_us: 130_000,
        stall_at_us: 2_100_000,
        witness: Witnessed {
            grants: (to - from) * 3,
            stall_us: 210_000,
            ..Witnessed::default()
        },
        ..WorkloadResult::default()
    });
    life
}

/// node2 is cut off for 8 s, loses its session, ends and comes back.
pub(crate) fn cut() -> Run {
    let mut seen = seen(Policy::Ordered, 3, 30);
    seen.config.scenario = Some("node-cut".into());
    let mut first = life(Policy::Ordered, 1, 0, 54);
    first.progress(&Progress {
        first: 54,
        ops: vec![0; 42],
        elapsed_us: 0,
    });
    first.lost(9_700_000, "its session was over");
    seen.nodes[1].lives = vec![first, life(Policy::Ordered, 1, 148, 300)];
    for node in [0, 2] {
        let mut life = life(Policy::Ordered, node as u64, 0, 300);
        let result = life.result().cloned();
        life.progress(&Progress {
            first: 62,
            ops: vec![0; 38],
            elapsed_us: 0,
        });
        let mut result = result.unwrap();
        (result.stall_us, result.stall_at_us) = (3_870_000, 6_140_000);
        life.ended(result);
        seen.nodes[node].lives = vec![life];
    }
    let of = |at_us, kind, text: &str| Event::of_node(at_us, kind, "node2", text);
    seen.events = vec![
        of(5 * SECOND, EventKind::Cut, "cut off from all servers"),
        of(
            9_520_000,
            EventKind::LostSession,
            "its lease ran out by its own clock",
        ),
        of(9_700_000, EventKind::Gone, "its process ended with 1"),
        of(13 * SECOND, EventKind::Heal, "its links are as they were"),
        of(14_800_000, EventKind::Back, "prepared again, and started"),
    ];
    Run::of(seen)
}

/// A run of each policy; `block` deadlocks.
pub(crate) fn policies() -> Vec<Run> {
    let run = |policy| {
        let mut seen = seen(policy, 4, 20);
        if policy == Policy::Block {
            seen.elapsed_us = 1_400_000;
            for (number, node) in seen.nodes.iter_mut().enumerate() {
                node.lives = vec![life(policy, number as u64, 0, 13)];
            }
            seen.deadlock = Some(Deadlock {
                at_us: 1_310_000,
                edges: vec![
                    "node1/task1 waits for EX of inode 0x5, held by node3/task0 in EX".into(),
                    "node3/task0 waits for EX of inode 0x2, held by node1/task1 in EX".into(),
                ],
            });
        } else {
            seen.events = vec![
                Event::of_server(8 * SECOND, EventKind::Kill, 1, "killed"),
                Event::of_server(12 * SECOND, EventKind::Restart, 1, "started again"),
            ];
        }
        Run::of(seen)
    };
    Policy::ALL.map(run).into()
}

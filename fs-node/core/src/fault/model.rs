//! Many records against a lock table that is small enough to be right: who deadlocks, who ends.
//!
//! Every task is a node of its own with one I/O. A seed chooses files, buffers and the schedule.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use glock_core::State;

use super::{Access, Action, Direction, Event, Held, Policy, Record, Trial, Why};
use crate::order::Key;

/// A linear congruential generator (Knuth's MMIX constants): enough to pick schedules.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}

/// A cluster's locks: who holds, who waits in line, and what each node has cached.
#[derive(Default)]
struct Locks {
    holders: BTreeMap<Key, Vec<(usize, State)>>,
    queue: BTreeMap<Key, Vec<(usize, State)>>,
    cached: BTreeMap<(usize, Key), State>,
}

impl Locks {
    fn compatible(&self, key: Key, state: State) -> bool {
        let mode = state.mode();
        self.holders.get(&key).is_none_or(|holders| {
            holders
                .iter()
                .all(|&(_, held)| held.mode().compatible(mode))
        })
    }

    fn grant(&mut self, task: usize, held: Held) {
        self.holders
            .entry(held.key)
            .or_default()
            .push((task, held.state));
        // A grant revokes what others have cached and may not keep.
        let mode = held.state.mode();
        self.cached.retain(|&(node, key), cached| {
            key != held.key || node == task || cached.mode().compatible(mode)
        });
        let cached = self.cached.entry((task, held.key)).or_insert(State::Un);
        // A weaker state is used under a stronger one that is cached; else the new one replaces it.
        if !cached.covers(held.state) {
            *cached = held.state;
        }
    }

    fn attempt(&mut self, task: usize, held: Held, trial: Trial) -> bool {
        let waited_for = self
            .queue
            .get(&held.key)
            .is_some_and(|queue| !queue.is_empty());
        let cached = self.cached(task, held.key).covers(held.state);
        let granted = self.compatible(held.key, held.state)
            && !waited_for
            && (trial == Trial::OneCallback || cached);
        if granted {
            self.grant(task, held);
        }
        granted
    }

    fn unlock(&mut self, task: usize, key: Key) {
        self.holders
            .get_mut(&key)
            .expect("held")
            .retain(|&(holder, _)| holder != task);
    }

    fn cached(&self, task: usize, key: Key) -> State {
        self.cached.get(&(task, key)).copied().unwrap_or(State::Un)
    }

    /// Grants in line; returns who was granted.
    fn serve(&mut self) -> Vec<usize> {
        let mut granted = Vec::new();
        let keys: Vec<Key> = self.queue.keys().copied().collect();
        for key in keys {
            while let Some(&(task, state)) = self.queue[&key].first() {
                if !self.compatible(key, state) {
                    break;
                }
                self.queue.get_mut(&key).expect("queued").remove(0);
                self.grant(task, Held { key, state });
                granted.push(task);
            }
        }
        granted
    }
}

struct Task {
    record: Record,
    /// The inodes whose pages the buffer consists of, one page each.
    buffer: Vec<Key>,
    access: Access,
    target: Key,
    at: usize,
    done: usize,
    next: Option<Event>,
    over: Option<Option<Why>>,
}

impl Task {
    fn event(&mut self, locks: &Locks, me: usize) -> Event {
        if let Some(event) = self.next.take() {
            return event;
        }
        if let Some(&mapping) = self.buffer.get(self.at) {
            let cached = locks.cached(me, mapping);
            let own = mapping != self.target || cached == State::Ex;
            let resident = own && cached.covers(self.access.state());
            return Event::Page {
                mapping,
                access: self.access,
                resident,
            };
        }
        self.done = self.at;
        Event::End
    }

    fn mappings(&self) -> usize {
        let mut distinct = self.buffer.clone();
        distinct.sort();
        distinct.dedup();
        distinct.len()
    }

    /// One step; `false` if it waits now.
    fn step(&mut self, me: usize, locks: &mut Locks) {
        let event = self.event(locks, me);
        let mut out = Vec::new();
        self.record.step(event, &mut out);
        for action in out {
            match action {
                Action::Lock(held) => {
                    locks
                        .queue
                        .entry(held.key)
                        .or_default()
                        .push((me, held.state));
                }
                Action::Try(held, trial) => {
                    let granted = locks.attempt(me, held, trial);
                    self.next = Some(if granted {
                        Event::Granted
                    } else {
                        Event::Refused
                    });
                }
                Action::Unlock { key, .. } => locks.unlock(me, key),
                Action::Pin => self.at += 1,
                Action::Rewalk => self.at = self.done,
                Action::Submit => {
                    self.next = Some(Event::Submitted {
                        bytes: self.at - self.done,
                    });
                    self.done = self.at;
                }
                Action::Prefault { .. } => {
                    // The fault-in itself holds one lock at a time and is left out; what it leaves
                    // cached may be gone again before the retry, so it is as if it had brought nothing.
                    self.next = Some(Event::Prefaulted { bytes: 1 });
                }
                Action::Leave(why) => self.over = Some(Some(why)),
                Action::UnpinAll | Action::Revalidate | Action::Stop => {}
            }
        }
        if event == Event::End {
            self.over = Some(None);
        }
    }
}

fn tasks(policy: Policy, random: &mut Random) -> Vec<Task> {
    let files = 2 + random.below(4);
    let direction = [Direction::Read, Direction::Write];
    (0..2 + random.below(3))
        .map(|_| {
            let target = Key::new(0, random.below(files) as u64);
            let others: Vec<u64> = (0..files as u64)
                .filter(|&inode| inode != target.inode)
                .collect();
            let buffer = (0..1 + random.below(5))
                .map(|_| Key::new(0, others[random.below(others.len())]))
                .collect();
            let direction = direction[random.below(2)];
            Task {
                record: Record::new(policy, direction, target),
                buffer,
                access: direction.access(),
                target,
                at: 0,
                done: 0,
                next: Some(Event::Begin),
                over: None,
            }
        })
        .collect()
}

/// Runs one seed; `None` if everybody waits for somebody.
fn run(policy: Policy, seed: u64) -> Option<Vec<Task>> {
    let mut random = Random(seed);
    let mut tasks = tasks(policy, &mut random);
    let mut locks = Locks::default();
    for _ in 0..100_000 {
        for granted in locks.serve() {
            tasks[granted].next = Some(Event::Granted);
        }
        let waits = |me: usize| locks.queue.values().flatten().any(|&(task, _)| task == me);
        let ready: Vec<usize> = (0..tasks.len())
            .filter(|&me| tasks[me].over.is_none() && !waits(me))
            .collect();
        if tasks.iter().all(|task| task.over.is_some()) {
            assert!(
                locks.holders.values().all(Vec::is_empty),
                "seed {seed}: a lock was left behind"
            );
            return Some(tasks);
        }
        if ready.is_empty() {
            return None;
        }
        let me = ready[random.below(ready.len())];
        tasks[me].step(me, &mut locks);
    }
    panic!("policy {policy}, seed {seed}: no end in sight");
}

const SEEDS: u64 = 20_000;

#[test]
fn ordered_never_deadlocks_and_cycles_at_most_once_a_mapping() {
    let mut cycled = 0;
    for seed in 0..SEEDS {
        let tasks = run(Policy::Ordered, seed).unwrap_or_else(|| panic!("seed {seed} deadlocks"));
        for task in tasks {
            let cycles = task.record.stats().lock_cycles as usize;
            assert!(cycles <= task.mappings(), "seed {seed}: {cycles} cycles");
            assert_eq!(
                task.over,
                Some(None),
                "seed {seed}: ordered needs no fallback"
            );
            assert_eq!(task.done, task.buffer.len());
            cycled += cycles;
        }
    }
    assert!(cycled > 1000, "the seeds exercise the cycle: {cycled}");
}

#[test]
fn the_other_policies_that_end_never_deadlock() {
    for policy in [Policy::Nofault, Policy::TryCycle] {
        for seed in 0..SEEDS {
            assert!(
                run(policy, seed).is_some(),
                "policy {policy}, seed {seed} deadlocks"
            );
        }
    }
}

#[test]
fn block_deadlocks() {
    let deadlocks = (0..SEEDS)
        .filter(|&seed| run(Policy::Block, seed).is_none())
        .count();
    assert!(
        deadlocks > 100,
        "only {deadlocks} of {SEEDS} seeds deadlock"
    );
}

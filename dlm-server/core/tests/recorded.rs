//! The table against recordings of the kernel's lock manager.
//!
//! Each file of `recorded/` holds scenarios; each begins with an empty lockspace. A line is
//! `lock CLIENT TAG RESOURCE MODE [FLAG…]`, `conv CLIENT TAG MODE [FLAG…]`, `unlock CLIENT TAG`,
//! `cancel CLIENT TAG` or `close CLIENT`, and behind the arrow what the call returned and the callbacks
//! that came of it. A client is a session here, a tag a lock. The recordings list callbacks by client,
//! and not by time: what must agree is what the call returned and, for each lock, the order of its
//! callbacks.

use std::collections::BTreeMap;

use dlm_core::invariants;
use dlm_core::{Input, Limits, LockId, LockTable, LockspaceId, Mode, OpId, Output, Owner};
use dlm_core::{Refusal, RequestFlags, ResourceName, SessionId, Status, Tick};

/// Where ours is meant to differ: an unlock of a lock that waits or converts ends both in the kernel;
/// ours is refused as busy (the operation that waits would go unanswered), and the client cancels.
const DIFFERENT: [(&str, &str); 3] = [
    ("c/convqueue_all_pass", "unlock 4 c"),
    ("f/unlock_converting", "unlock 2 b"),
    ("f/unlock_waiting", "unlock 2 b"),
];

const LOCKSPACE: LockspaceId = LockspaceId(1);

#[test]
fn which_modes_go_together() {
    assert_eq!(replay(include_str!("recorded/compat.txt")), 36);
}

#[test]
fn every_conversion_beside_every_other_holder() {
    assert_eq!(replay(include_str!("recorded/convert.txt")), 312);
}

#[test]
fn who_is_served_first() {
    assert_eq!(replay(include_str!("recorded/order.txt")), 16);
}

#[test]
fn conversions_that_wait_for_each_other() {
    assert_eq!(replay(include_str!("recorded/deadlock.txt")), 8);
}

#[test]
fn cancelling_unlocking_and_clients_that_go_away() {
    assert_eq!(replay(include_str!("recorded/cancel.txt")), 15);
}

#[test]
fn blocking_callbacks() {
    assert_eq!(replay(include_str!("recorded/blocking.txt")), 16);
}

#[test]
#[should_panic(expected = "c/wrong: lock 2 b R EX")]
fn a_recording_that_does_not_agree_is_seen() {
    replay("-- c/wrong\nlock 1 a R EX -> lkid AST(a 0)\nlock 2 b R EX -> lkid AST(b 0)\n");
}

/// Replays all scenarios of a file; returns how many there were.
fn replay(file: &str) -> usize {
    let scenarios = file
        .split("\n-- ")
        .map(|text| text.trim_start_matches("-- "));
    let scenarios = scenarios.filter(|text| !text.starts_with('#'));
    scenarios.map(replay_scenario).count()
}

fn replay_scenario(text: &str) {
    let mut lines = text.lines().filter(|line| !line.is_empty());
    let name = lines.next().expect("a scenario has a name");
    let mut player = Player::new();
    for line in lines {
        let (op, recorded) = line.split_once("->").expect("a line has an arrow");
        let (op, recorded) = (op.trim(), Answer::recorded(recorded));
        let ours = player.play(op);
        if DIFFERENT.contains(&(name, op)) && ours != recorded {
            assert_eq!(ours, Answer::recorded("-EBUSY"), "{name}: {op}");
            return;
        }
        assert_eq!(ours, recorded, "{name}: {op}");
    }
}

/// What a step returned, and each lock's callbacks in order.
#[derive(Debug, Default, PartialEq, Eq)]
struct Answer {
    returned: String,
    callbacks: BTreeMap<String, Vec<String>>,
}

impl Answer {
    /// Reads `RETURNED AST(TAG STATUS) BAST(TAG MODE) …`.
    fn recorded(text: &str) -> Self {
        let mut answer = Self::default();
        let (returned, callbacks) = text
            .trim()
            .split_once(' ')
            .unwrap_or_else(|| (text.trim(), ""));
        // The lock's number is the kernel's own business.
        answer.returned = returned.replace("lkid", "0");
        for callback in callbacks.split_terminator(')') {
            let (kind, rest) = callback
                .trim()
                .split_once('(')
                .expect("a callback has arguments");
            let (tag, what) = rest.split_once(' ').expect("a callback has two arguments");
            answer.add(tag, format!("{kind} {what}"));
        }
        answer
    }

    fn add(&mut self, tag: &str, what: String) {
        self.callbacks.entry(tag.to_owned()).or_default().push(what);
    }
}

struct Player {
    table: LockTable,
    /// The lock that a client means by a tag; a tag can be used again.
    locks: BTreeMap<(u64, String), LockId>,
    tags: BTreeMap<LockId, String>,
    steps: u64,
}

impl Player {
    fn new() -> Self {
        Self {
            table: LockTable::new(Limits::DEFAULT),
            locks: BTreeMap::new(),
            tags: BTreeMap::new(),
            steps: 0,
        }
    }

    fn play(&mut self, line: &str) -> Answer {
        self.steps += 1;
        let words: Vec<&str> = line.split_whitespace().collect();
        let client: u64 = words[1].parse().expect("a client is a number");
        let session = SessionId(client);
        if words[0] != "close" {
            self.step(Input::SessionStarted { session });
            self.step(Input::OpenLockspace {
                session,
                lockspace: LOCKSPACE,
            });
        }
        let input = self.input(&words, client);
        let mut answer = Answer {
            returned: "0".to_owned(),
            ..Answer::default()
        };
        for output in self.step(input) {
            match output {
                Output::Done {
                    status: Status::Refused(refusal),
                    ..
                } => {
                    answer.returned = errno(refusal).to_owned();
                }
                Output::Done { lock, status, .. } => {
                    if let Some(status) = completion(status) {
                        answer.add(&self.tags[&lock], format!("AST {status}"));
                    }
                }
                Output::Blocking { lock, mode, .. } => {
                    answer.add(&self.tags[&lock], format!("BAST {mode}"));
                }
            }
        }
        answer
    }

    fn input(&mut self, words: &[&str], client: u64) -> Input {
        let (session, op, owner) = (SessionId(client), OpId(self.steps), Owner(0));
        if words[0] == "lock" {
            let lock = LockId(self.steps);
            self.locks.insert((client, words[2].to_owned()), lock);
            self.tags.insert(lock, words[2].to_owned());
            return Input::Request {
                session,
                op,
                lockspace: LOCKSPACE,
                lock,
                name: ResourceName::new(words[3].as_bytes()).expect("a name"),
                mode: mode(words[4]),
                flags: flags(&words[5..]),
                owner,
            };
        }
        let lock = |tag: &str| self.locks[&(client, tag.to_owned())];
        match words[0] {
            "conv" => Input::Convert {
                session,
                op,
                lock: lock(words[2]),
                mode: mode(words[3]),
                flags: flags(&words[4..]),
                owner,
            },
            "unlock" => Input::Unlock {
                session,
                op,
                lock: lock(words[2]),
            },
            "cancel" => Input::Cancel {
                session,
                op,
                lock: lock(words[2]),
            },
            "close" => Input::SessionEnded { session },
            other => panic!("no such operation: {other}"),
        }
    }

    fn step(&mut self, input: Input) -> Vec<Output> {
        let mut out = Vec::new();
        self.table.step(Tick(self.steps), input, &mut out);
        invariants::check(&self.table).unwrap_or_else(|violation| panic!("{violation}"));
        out
    }
}

fn mode(name: &str) -> Mode {
    Mode::ALL
        .into_iter()
        .find(|mode| mode.name() == name)
        .expect("a mode's name")
}

fn flags(names: &[&str]) -> RequestFlags {
    let flag = |name: &&str| RequestFlags::from_name(name).expect("a flag's name");
    names.iter().map(flag).collect()
}

/// The status of the kernel's completion callback, where there is one.
fn completion(status: Status) -> Option<&'static str> {
    match status {
        Status::Granted => Some("0"),
        Status::TryFailed => Some("-EAGAIN"),
        Status::Deadlock => Some("-EDEADLK"),
        Status::Cancelled => Some("ECANCEL"),
        Status::Unlocked => Some("EUNLOCK"),
        Status::NothingToCancel | Status::CancelDone | Status::Refused(_) => None,
    }
}

/// What the kernel's call returns for a refusal.
fn errno(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Busy => "-EBUSY",
        Refusal::NoSuchLock => "-ENOENT",
        Refusal::Flags => "-EINVAL",
        other => panic!("no recording asks for this: {other}"),
    }
}

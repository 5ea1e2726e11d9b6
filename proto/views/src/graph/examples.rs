//! Graphs for the tests of the renderers.

use dlm_core::deadlock::{Queue, Reason, Role};
use dlm_core::{Mode, ResourceName};
use glock_core::GlockName;

use super::{Edge, GraphSnapshot, Holder, Lock, Object, Resource, Task};
use crate::Coverage;

pub(crate) fn task(session: u64, owner: u64) -> Task {
    Task {
        session,
        session_name: format!("node{session}"),
        owner,
        name: format!("dio {owner}"),
    }
}

pub(crate) fn inode(number: u64) -> Object {
    Object {
        lockspace: "volume".into(),
        name: GlockName::inode(number).resource(),
    }
}

pub(crate) fn edge(waiter: Task, holder: Task, inode_number: u64) -> Edge {
    Edge {
        waiter,
        holder,
        object: inode(inode_number),
        wants: Mode::Pr,
        holds: Mode::Cw,
        reason: Reason::Holds,
        role: Role::Operation,
        pins: 0,
        waited_us: 1_250_000,
    }
}

fn lock(session: u64, queue: Queue, modes: (Option<Mode>, Option<Mode>)) -> Lock {
    Lock {
        session,
        session_name: format!("node{session}"),
        lock: 1,
        queue,
        granted: modes.0,
        requested: modes.1,
        age_us: 1_250_000,
        holders: Vec::new(),
    }
}

fn holder(task: u64, mode: Mode, granted: bool, role: Role) -> Holder {
    Holder {
        task: format!("dio {task}"),
        mode,
        granted,
        role,
        pins: if role == Role::Pin { 3 } else { 0 },
        age_us: 1_300_000,
    }
}

/// Two nodes, each with direct I/O into a mapping of the other's file, one of them with pages pinned
/// already; and somebody who uses the locks for something else.
pub(crate) fn cross() -> GraphSnapshot {
    let mut held = lock(2, Queue::Granted, (Some(Mode::Cw), None));
    held.holders = vec![holder(4, Mode::Cw, true, Role::Operation)];
    let mut waits = lock(1, Queue::Converting, (Some(Mode::Nl), Some(Mode::Pr)));
    waits.holders = vec![holder(3, Mode::Pr, false, Role::Fault)];
    let first = Resource {
        object: inode(0x102ab),
        locks: vec![held, waits],
    };
    let mut pinned = lock(1, Queue::Granted, (Some(Mode::Ex), None));
    pinned.holders = vec![holder(3, Mode::Ex, true, Role::Pin)];
    let second = Resource {
        object: inode(0x2),
        locks: vec![pinned, lock(2, Queue::Waiting, (None, Some(Mode::Ex)))],
    };
    let mut idle = inode(0);
    idle.name = ResourceName::new(b"nightly").unwrap();
    let idle = Resource {
        object: idle,
        locks: vec![lock(9, Queue::Granted, (Some(Mode::Pw), None))],
    };
    let back = Edge {
        wants: Mode::Ex,
        holds: Mode::Ex,
        role: Role::Pin,
        pins: 3,
        ..edge(task(2, 4), task(1, 3), 0x2)
    };
    let behind = Edge {
        reason: Reason::Queued,
        holds: Mode::Ex,
        ..edge(task(5, 1), task(2, 4), 0x2)
    };
    GraphSnapshot {
        resources: vec![first, second, idle],
        edges: vec![edge(task(1, 3), task(2, 4), 0x102ab), back, behind],
        cycles: vec![vec![0, 1]],
        silent: Vec::new(),
        coverage: Coverage::default(),
    }
}

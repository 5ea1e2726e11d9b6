//! What servers say, for the tests.

use dlm_client::events::{Event, EventKind};
use dlm_client::graph::{Edge, GraphSnapshot, Holder, Lock, Object, Resource, Task};
use dlm_client::inspect::{
    Cache, Caches, Coverage, Heard, News, Queue, SLOTS, ServerStatus, SessionStatus,
};
use dlm_client::{GlockName, Mode, Role};

use super::model::{Feed, Looked};

pub(super) fn inode(number: u64) -> Object {
    Object {
        lockspace: "volume".into(),
        name: GlockName::inode(number).resource(),
    }
}

pub(super) fn event(kind: EventKind, session: u64, number: u64) -> Event {
    Event {
        server: dlm_core::ServerId(1),
        sequence: 1,
        at_us: 0,
        age_us: 0,
        kind,
        lockspace: "volume".into(),
        name: inode(number).name,
        session: dlm_client::SessionId(session),
        session_name: format!("node{session}"),
        lock: dlm_client::LockId(number),
        owner: dlm_client::Owner(0),
        had: None,
        mode: Some(Mode::Ex),
        token: dlm_client::Token(1),
        waited_us: None,
        held_us: None,
        status: None,
        by: None,
        ended: false,
        slot: dlm_core::SlotId::new(0).expect("a slot"),
        epoch: dlm_core::Epoch(1),
    }
}

pub(super) fn lock(session: u64, (granted, requested): (Option<Mode>, Option<Mode>)) -> Lock {
    let queue = match (granted, requested) {
        (_, None) => Queue::Granted,
        (None, _) => Queue::Waiting,
        _ => Queue::Converting,
    };
    Lock {
        session,
        session_name: format!("node{session}"),
        lock: 1,
        queue,
        granted,
        requested,
        age_us: 1_250_000,
        holders: Vec::new(),
    }
}

fn task(session: u64) -> Task {
    Task {
        session,
        session_name: format!("node{session}"),
        owner: 1,
        name: "task0".into(),
    }
}

fn edge(waiter: u64, holder: u64, number: u64) -> Edge {
    Edge {
        waiter: task(waiter),
        holder: task(holder),
        object: inode(number),
        wants: Mode::Ex,
        holds: Mode::Cw,
        reason: dlm_core::deadlock::Reason::Holds,
        role: Role::Operation,
        pins: 0,
        waited_us: 1_000_000 * (10 - waiter),
    }
}

/// Two nodes that each do direct I/O into a mapping of the other's file, and a third that waits for one of them.
pub(super) fn deadlock() -> GraphSnapshot {
    let holder = Holder {
        task: "task0".into(),
        mode: Mode::Cw,
        granted: true,
        role: Role::Pin,
        pins: 3,
        age_us: 1_250_000,
    };
    let mut held = lock(1, (Some(Mode::Cw), None));
    held.holders.push(holder);
    let locks = vec![
        held,
        lock(2, (None, Some(Mode::Ex))),
        lock(3, (None, Some(Mode::Ex))),
    ];
    let first = Resource {
        object: inode(0x102ab),
        locks,
    };
    let locks = vec![
        lock(2, (Some(Mode::Cw), None)),
        lock(1, (None, Some(Mode::Ex))),
    ];
    let second = Resource {
        object: inode(0x2),
        locks,
    };
    GraphSnapshot {
        resources: vec![first, second],
        edges: vec![edge(1, 2, 0x2), edge(2, 1, 0x102ab), edge(3, 1, 0x102ab)],
        cycles: vec![vec![0, 1]],
        silent: Vec::new(),
        coverage: whole(),
    }
}

pub(super) fn whole() -> Coverage {
    Coverage {
        slots: SLOTS,
        unreachable: Vec::new(),
    }
}

/// What is answered when that is so.
pub(super) fn looked(graph: GraphSnapshot, requests: u64) -> Feed {
    let cache = |session: u64| Cache {
        session,
        session_name: format!("node{session}"),
        lockspace: "volume".into(),
        glocks: 2,
        requests: requests * session,
        hits: requests * session * 9 / 10,
        demotions: requests / 10,
        callbacks: requests / 20,
    };
    let session = |session: u64| SessionStatus {
        session,
        name: format!("node{session}"),
        locks: 2,
        ..SessionStatus::default()
    };
    Feed::Looked(Box::new(Looked {
        graph,
        caches: Caches {
            caches: [1, 2, 3].map(cache).into(),
            silent: Vec::new(),
        },
        status: ServerStatus {
            leader: 1,
            sessions: [1, 2, 3].map(session).into(),
            locks: 5,
            waiting: 3,
            coverage: whole(),
            ..ServerStatus::default()
        },
        cluster: None,
    }))
}

pub(super) fn heard(events: Vec<Event>) -> Feed {
    Feed::News(News::Heard(Heard {
        events,
        coverage: Some(whole()),
        ..Heard::default()
    }))
}

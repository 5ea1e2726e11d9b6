//! One lock held by a node, one wanted by a client that does not report.

use dlm_core::deadlock::{GlockReport, Queue, Reason, Role};
use dlm_core::{LockId, Mode, RequestFlags};

use super::*;
use crate::coverage::Coverage;

const NODE: SessionId = SessionId(1);
const RAW: SessionId = SessionId(2);
const SPACE: LockspaceId = LockspaceId(5);

fn resource(name: &ResourceName) -> ResourceView {
    let lock = |session, queue, granted, requested| LockView {
        session,
        lock: LockId(3),
        owner: Owner(0),
        queue,
        granted,
        requested,
        since: Tick(40),
        serial: 1,
        flags: RequestFlags::empty(),
    };
    ResourceView {
        lockspace: SPACE,
        name: name.clone(),
        locks: vec![
            lock(NODE, Queue::Granted, Some(Mode::Pr), None),
            lock(RAW, Queue::Waiting, None, Some(Mode::Ex)),
        ],
    }
}

fn report(name: &ResourceName) -> NodeReport {
    let holder = |owner, granted| HolderReport {
        serial: owner,
        owner: Owner(owner),
        mode: Mode::Pr,
        granted,
        role: Role::Pin,
        pins: 3,
        age_us: 9,
    };
    NodeReport {
        session: NODE,
        tasks: vec![(Owner(8), "reader".into())],
        glocks: vec![GlockReport {
            lockspace: SPACE,
            name: name.clone(),
            holders: vec![holder(8, true), holder(9, false)],
        }],
    }
}

fn edge(name: &ResourceName) -> Edge {
    let task = |session, owner| Task {
        session,
        owner: Owner(owner),
    };
    Edge {
        waiter: task(RAW, 0),
        holder: task(NODE, 8),
        lockspace: SPACE,
        name: name.clone(),
        wants: Mode::Ex,
        holds: Mode::Pr,
        reason: Reason::Holds,
        role: Role::Pin,
        pins: 3,
        waited_us: 60,
        waiter_serial: 1,
        holder_serial: 8,
    }
}

#[test]
fn numbers_become_names_and_holders_stand_at_their_lock() {
    let name = ResourceName::new(b"r").unwrap();
    let reply = graph_reply(GraphParts {
        resources: &[resource(&name)],
        reports: &[report(&name)],
        graph: &Graph {
            edges: vec![edge(&name)],
            cycles: vec![vec![0]],
        },
        names: &Names {
            sessions: [(NODE, Name::lossy("node1"))].into(),
            lockspaces: [(SPACE, Name::lossy("volume"))].into(),
        },
        silent: &[RAW],
        now: Tick(100),
        coverage: &Coverage::default(),
    });

    assert_eq!(reply.silent, ["session 2"], "it has no name any more");
    let shown = &reply.resources[0];
    assert_eq!(
        (&shown.lockspace[..], &shown.name[..]),
        ("volume", &b"r"[..])
    );
    let [held, waits] = &shown.locks[..] else {
        panic!("two locks");
    };
    assert_eq!(
        (held.granted(), held.requested()),
        (wire::Mode::Pr, wire::Mode::Unspecified)
    );
    assert_eq!(
        (waits.queue(), waits.age_us),
        (wire::LockQueue::Waiting, 60)
    );
    let tasks: Vec<_> = held.holders.iter().map(|each| &each.task[..]).collect();
    assert_eq!(
        tasks,
        ["reader", "task 9"],
        "a task without a name has its number"
    );
    assert!(waits.holders.is_empty(), "a session that does not report");

    let [edge] = &reply.edges[..] else {
        panic!("one edge");
    };
    let holder = edge.holder.as_ref().unwrap();
    assert_eq!(
        (&holder.session_name[..], &holder.name[..]),
        ("node1", "reader")
    );
    assert_eq!(
        (edge.role(), edge.pins, edge.reason()),
        (wire::Role::Pin, 3, wire::Reason::Holds)
    );
    assert_eq!(
        edge.waiter.as_ref().unwrap().name,
        "",
        "the session as a whole"
    );
    assert_eq!(reply.cycles[0].edges, [0]);
}

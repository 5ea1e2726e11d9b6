//! Sessions that do not report: their locks are all there is.

use super::*;
use crate::flags::RequestFlags;
use crate::ids::OpId;
use crate::limits::Limits;
use crate::message::Input;
use crate::table::LockTable;

const EX: Mode = Mode::Ex;
const PR: Mode = Mode::Pr;

/// Two sessions that took two locks in opposite orders.
fn opposite_orders() -> Vec<ResourceView> {
    vec![
        resource("a", vec![held(1, 10, EX), waiting(2, 20, EX)]),
        resource("b", vec![held(2, 20, EX), waiting(1, 10, EX)]),
    ]
}

#[test]
fn two_locks_in_opposite_orders_are_a_cycle() {
    let graph = build_at(Tick(1500), &opposite_orders(), &[]);
    assert_eq!(drawn(&graph), ["1.10>2.20 b Holds", "2.20>1.10 a Holds"]);
    assert_eq!(cycles(&graph), [["1.10>2.20 b Holds", "2.20>1.10 a Holds"]]);
    let Edge {
        wants,
        holds,
        waited_us,
        ..
    } = graph.edges[0];
    assert_eq!((wants, holds, waited_us), (EX, EX, 500));
    assert_eq!(
        build(&opposite_orders(), &[]).edges[0].waited_us,
        0,
        "it is not known to be longer"
    );
}

#[test]
fn the_tables_own_view_shows_it() {
    let mut table = LockTable::new(Limits::DEFAULT, 1);
    let mut out = Vec::new();
    for session in [SessionId(1), SessionId(2)] {
        table.step(Tick(0), Input::SessionStarted { session }, &mut out);
        table.step(
            Tick(0),
            Input::OpenLockspace {
                session,
                lockspace: LOCKSPACE,
            },
            &mut out,
        );
    }
    for (number, (session, on)) in (1..).zip([(1, "a"), (2, "b"), (1, "b"), (2, "a")]) {
        let request = Input::Request {
            session: SessionId(session),
            op: OpId(number),
            lockspace: LOCKSPACE,
            lock: LockId(number),
            name: name(on),
            mode: EX,
            flags: RequestFlags::empty(),
            owner: Owner(9),
        };
        table.step(Tick(number), request, &mut out);
    }
    let graph = build_at(Tick(10), &table.view(Some(LOCKSPACE)), &[]);
    assert_eq!(cycles(&graph), [["1.9>2.9 b Holds", "2.9>1.9 a Holds"]]);
    assert_eq!(
        graph
            .edges
            .iter()
            .map(|edge| edge.waited_us)
            .collect::<Vec<_>>(),
        [7, 6]
    );
    assert_eq!(
        build(&table.view(Some(LockspaceId(2))), &[]),
        Graph::default()
    );
}

#[test]
fn a_ring_of_five_is_one_cycle_of_five() {
    let on = |n: u64| {
        resource(
            &format!("r{n}"),
            vec![held(n, 1, PR), waiting((n + 1) % 5, 1, EX)],
        )
    };
    let graph = build(&[on(0), on(1), on(2), on(3), on(4)], &[]);
    assert_eq!(graph.cycles.iter().map(Vec::len).collect::<Vec<_>>(), [5]);
    assert_eq!(
        cycles(&graph)[0][0],
        "0.1>4.1 r4 Holds",
        "it begins with its smallest task"
    );

    let broken = build(&[on(0), on(1), on(2), on(3)], &[]);
    assert!(broken.cycles.is_empty());
}

#[test]
fn a_lock_waits_for_what_excludes_it_and_for_the_one_before_it() {
    let locks = vec![
        held(1, 1, PR),
        held(2, 1, Mode::Nl),
        converting(3, 1, PR, EX),
        waiting(4, 1, Mode::Cw),
        waiting(5, 1, Mode::Nl),
    ];
    let graph = build(&[resource("r", locks)], &[]);
    assert_eq!(
        drawn(&graph),
        [
            "3.1>1.1 r Holds",
            "4.1>1.1 r Holds",
            "4.1>3.1 r Holds", // the PR that it holds on to
            "4.1>3.1 r Queued",
            "5.1>4.1 r Queued", // NL goes with everything, and waits for its turn
        ]
    );
    assert!(graph.cycles.is_empty());
}

#[test]
fn a_queue_counts_where_the_order_of_service_closes_the_cycle() {
    // Session 3 could have its CR beside session 1's, if the queue were not in order.
    let views = [
        resource(
            "a",
            vec![
                held(1, 1, Mode::Cr),
                waiting(2, 1, EX),
                waiting(3, 1, Mode::Cr),
            ],
        ),
        resource("b", vec![held(3, 1, EX), waiting(1, 1, EX)]),
    ];
    let expected = ["1.1>3.1 b Holds", "3.1>2.1 a Queued", "2.1>1.1 a Holds"];
    assert_eq!(cycles(&build(&views, &[])), [expected]);
}

#[test]
fn a_long_queue_has_a_bounded_number_of_edges() {
    let mut locks = vec![held(0, 1, EX)];
    locks.extend((1..=100).map(|session| waiting(session, 1, EX)));
    let graph = build(&[resource("r", locks)], &[]);
    let of_last = graph
        .edges
        .iter()
        .filter(|edge| edge.waiter == task(100, 1));
    assert_eq!(of_last.count(), 1 + QUEUED_EDGES_PER_WAIT_MAX);
    let to_next = |edge: &&Edge| edge.waiter.session.0 == edge.holder.session.0 + 1;
    assert_eq!(
        graph.edges.iter().filter(to_next).count(),
        100,
        "each waits for the one before it"
    );
}

#[test]
fn one_session_can_stand_in_its_own_way() {
    let two_tasks = [
        resource("a", vec![held(1, 10, EX), waiting(1, 20, EX)]),
        resource("b", vec![held(1, 20, EX), waiting(1, 10, EX)]),
    ];
    assert_eq!(
        cycles(&build(&two_tasks, &[])),
        [["1.10>1.20 b Holds", "1.20>1.10 a Holds"]]
    );

    let one_task = [resource("a", vec![held(1, 10, EX), waiting(1, 10, PR)])];
    assert_eq!(cycles(&build(&one_task, &[])), [["1.10>1.10 a Holds"]]);
}

#[test]
fn a_session_without_named_tasks_is_not_believed_to_wait_for_itself() {
    let graph = build(
        &[resource("a", vec![held(1, 0, EX), waiting(1, 0, EX)])],
        &[],
    );
    assert_eq!(drawn(&graph), ["1.0>1.0 a Holds"]);
    assert!(graph.cycles.is_empty(), "it may be two tasks of it");
}

#[test]
fn a_cycle_is_confirmed_edge_for_edge() {
    let first = build_at(Tick(2000), &opposite_orders(), &[]);
    let second = build_at(Tick(9000), &opposite_orders(), &[]);
    let confirmed = confirm(&first, &second);
    assert_eq!(confirmed, second, "only the waits have grown longer");
    assert_eq!(confirmed.cycles.len(), 1);

    for changed in [0, 1] {
        // The same tasks, and another hold, or another wait, than before.
        let mut views = opposite_orders();
        views[0].locks[changed].serial += 1;
        let second = build_at(Tick(9000), &views, &[]);
        assert_eq!(second.cycles.len(), 1);
        let confirmed = confirm(&first, &second);
        assert_eq!((confirmed.cycles.len(), confirmed.edges), (0, second.edges));
    }
}

#[test]
fn a_stable_cycle_is_found_behind_a_shorter_new_one() {
    let ring = [
        resource("a", vec![held(1, 1, EX), waiting(2, 1, EX)]),
        resource("b", vec![held(2, 1, EX), waiting(3, 1, EX)]),
        resource("c", vec![held(3, 1, EX), waiting(1, 1, EX)]),
    ];
    let mut with_shortcut = ring.to_vec();
    with_shortcut.push(resource("d", vec![held(2, 1, EX), waiting(1, 1, EX)]));
    let (first, second) = (build(&ring, &[]), build(&with_shortcut, &[]));
    assert_eq!(second.cycles.iter().map(Vec::len).collect::<Vec<_>>(), [2]);
    let confirmed = confirm(&first, &second);
    assert_eq!(
        cycles(&confirmed),
        [["1.1>3.1 c Holds", "3.1>2.1 b Holds", "2.1>1.1 a Holds"]]
    );
}

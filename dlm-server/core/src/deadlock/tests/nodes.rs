//! Nodes that report the tasks behind their locks.

use super::*;

const NL: Mode = Mode::Nl;
const EX: Mode = Mode::Ex;
const PR: Mode = Mode::Pr;
const CW: Mode = Mode::Cw;

#[test]
fn direct_io_into_each_others_mappings_is_a_cycle_through_a_pin() {
    // Each node writes its own file directly, from pages that it has mapped of the other's.
    let views = [
        resource("a", vec![held(1, 0, CW), waiting(2, 0, PR)]),
        resource("b", vec![held(2, 0, PR), converting(1, 0, NL, CW)]),
    ];
    let pin = HolderReport {
        role: Role::Pin,
        pins: 3,
        ..holder(21, 5, PR, true)
    };
    let reports = [
        node(
            1,
            vec![
                glock("a", vec![holder(11, 4, CW, true)]),
                glock("b", vec![holder(12, 4, CW, false)]),
            ],
        ),
        node(
            2,
            vec![
                glock("a", vec![holder(22, 5, PR, false)]),
                glock("b", vec![pin]),
            ],
        ),
    ];
    let graph = build(&views, &reports);
    assert_eq!(cycles(&graph), [["1.4>2.5 b Holds", "2.5>1.4 a Holds"]]);
    let edge = &graph.edges[graph.cycles[0][0]];
    assert_eq!((edge.role, edge.pins), (Role::Pin, 3));
    assert_eq!((edge.wants, edge.holds, edge.waited_us), (CW, PR, 7));
    assert_eq!((edge.waiter_serial, edge.holder_serial), (12, 21));

    // Pages come and go under one hold, and it is the same hold; another holder is another one.
    let mut later = reports.clone();
    later[1].glocks[1].holders[0].pins = 9;
    assert_eq!(confirm(&graph, &build(&views, &later)).cycles.len(), 1);
    later[1].glocks[1].holders[0].serial = 99;
    assert!(confirm(&graph, &build(&views, &later)).cycles.is_empty());
}

#[test]
fn a_cached_lock_that_nobody_uses_is_in_nobodys_way() {
    let views = [resource("a", vec![held(1, 0, EX), waiting(2, 0, EX)])];
    let wants = node(2, vec![glock("a", vec![holder(1, 5, EX, false)])]);
    assert!(drawn(&build(&views, &[node(1, vec![]), wants.clone()])).is_empty());

    let reader = glock("a", vec![holder(1, 4, PR, true)]);
    let graph = build(&views, &[node(1, vec![reader.clone()]), wants]);
    assert_eq!(drawn(&graph), ["2.5>1.4 a Holds"]);

    // A node gives EX up down to PR only when its readers are gone, too.
    let views = [resource("a", vec![held(1, 0, EX), waiting(2, 0, PR)])];
    let wants = node(2, vec![glock("a", vec![holder(1, 5, PR, false)])]);
    let graph = build(&views, &[node(1, vec![reader]), wants]);
    assert_eq!(drawn(&graph), ["2.5>1.4 a Holds"]);
    assert_eq!(
        graph.edges[0].holds, EX,
        "what is in the way is the node's lock"
    );
}

#[test]
fn who_comes_after_a_demotion_that_is_due_waits_for_the_holders_before_it() {
    let views = [resource("a", vec![held(1, 0, PR), waiting(2, 0, EX)])];
    let reader = holder(1, 4, PR, true);
    let late = glock("a", vec![reader, holder(2, 6, PR, false)]);
    let wants = node(2, vec![glock("a", vec![holder(1, 5, EX, false)])]);
    let graph = build(&views, &[node(1, vec![late.clone()]), wants.clone()]);
    assert_eq!(drawn(&graph), ["1.6>1.4 a Queued", "2.5>1.4 a Holds"]);

    // While the node's lock queues it waits for what that waits for.
    let views = [resource("a", vec![held(2, 0, EX), waiting(1, 0, PR)])];
    let graph = build(&views, &[node(1, vec![late]), wants]);
    assert!(drawn(&graph).is_empty());
}

#[test]
fn reporting_and_silent_sessions_mix() {
    let views = [
        resource("a", vec![held(1, 8, EX), waiting(2, 0, EX)]),
        resource("b", vec![held(2, 0, EX), waiting(1, 8, EX)]),
    ];
    let reports = [node(
        2,
        vec![
            glock("a", vec![holder(1, 5, EX, false)]),
            glock("b", vec![holder(2, 5, EX, true)]),
        ],
    )];
    let graph = build(&views, &reports);
    assert_eq!(cycles(&graph), [["1.8>2.5 b Holds", "2.5>1.8 a Holds"]]);
}

#[test]
fn tasks_of_one_node_wait_for_each_other() {
    let views = [resource("a", vec![held(1, 0, EX)])];
    let local = vec![
        holder(1, 4, PR, true),
        holder(2, 5, PR, true),
        holder(3, 6, EX, false),
        holder(4, 7, PR, false),
        holder(5, 8, PR, false),
    ];
    let graph = build(&views, &[node(1, vec![glock("a", local)])]);
    assert_eq!(
        drawn(&graph),
        [
            "1.6>1.4 a Holds",
            "1.6>1.5 a Holds",
            "1.7>1.6 a Queued",
            "1.8>1.6 a Queued",
        ]
    );
}

#[test]
fn a_task_can_wait_for_itself() {
    let views = [resource("a", vec![held(1, 0, PR)])];
    let local = vec![holder(1, 4, PR, true), holder(2, 4, EX, false)];
    let graph = build(&views, &[node(1, vec![glock("a", local)])]);
    assert_eq!(cycles(&graph), [["1.4>1.4 a Holds"]]);
}

#[test]
fn a_waiter_with_nobody_in_its_way_is_about_to_be_served() {
    let views = [resource("a", vec![held(1, 0, PR), held(2, 0, PR)])];
    let reports = [
        node(1, vec![glock("a", vec![holder(1, 4, EX, false)])]),
        node(2, vec![glock("a", vec![holder(1, 5, PR, true)])]),
    ];
    assert!(
        drawn(&build(&views, &reports)).is_empty(),
        "its node has not asked yet"
    );

    let no_lock = [resource("b", vec![held(2, 0, PR)])];
    let asked = [node(1, vec![glock("b", vec![holder(1, 4, EX, false)])])];
    assert!(drawn(&build(&no_lock, &asked)).is_empty());
}

#[test]
fn everyone_whom_the_grant_would_serve_waits_for_the_other_node() {
    let views = [
        resource("a", vec![held(1, 0, EX), waiting(2, 0, PR)]),
        resource("b", vec![held(2, 0, EX), waiting(1, 0, EX)]),
    ];
    let queue = vec![
        holder(1, 5, PR, false),
        holder(2, 6, PR, false),
        holder(3, 7, EX, false),
    ];
    let reports = [
        node(
            1,
            vec![
                glock("a", vec![holder(1, 4, EX, true)]),
                glock("b", vec![holder(2, 4, EX, false)]),
            ],
        ),
        // The second in the queue is the one whose hold closes the cycle.
        node(
            2,
            vec![glock("a", queue), glock("b", vec![holder(4, 6, EX, true)])],
        ),
    ];
    let graph = build(&views, &reports);
    assert_eq!(cycles(&graph), [["1.4>2.6 b Holds", "2.6>1.4 a Holds"]]);
    let of_third: Vec<String> = drawn(&graph)
        .into_iter()
        .filter(|edge| edge.starts_with("2.7"))
        .collect();
    assert_eq!(of_third, ["2.7>2.5 a Queued", "2.7>2.6 a Queued"]);
}

#[test]
fn a_node_that_converts_cannot_give_up_before_its_turn() {
    // Node 2 holds PR without a holder and converts to CW for its task 5; node 3 is in its way. Node 1
    // waits for CW, which node 2's PR excludes and its CW does not.
    let views = [resource(
        "a",
        vec![held(3, 0, PR), converting(2, 0, PR, CW), waiting(1, 0, CW)],
    )];
    let reports = [
        node(1, vec![glock("a", vec![holder(1, 4, CW, false)])]),
        node(2, vec![glock("a", vec![holder(2, 5, CW, false)])]),
        node(3, vec![glock("a", vec![holder(3, 6, PR, true)])]),
    ];
    assert_eq!(
        drawn(&build(&views, &reports)),
        [
            "1.4>2.5 a Holds",
            "1.4>2.5 a Queued",
            "1.4>3.6 a Holds",
            "2.5>3.6 a Holds",
        ]
    );

    // With a holder in the way, it is the holder that is waited for.
    let mut reports = reports;
    reports[1].glocks[0]
        .holders
        .insert(0, holder(9, 7, PR, true));
    let drawn = drawn(&build(&views, &reports));
    let holds = drawn
        .iter()
        .filter(|edge| edge.starts_with("1.4") && edge.ends_with("Holds"));
    assert_eq!(
        holds.collect::<Vec<_>>(),
        ["1.4>2.7 a Holds", "1.4>3.6 a Holds"]
    );
}

#[test]
fn a_node_waits_behind_another_nodes_first_waiter() {
    let views = [resource(
        "a",
        vec![held(3, 0, NL), waiting(1, 0, EX), waiting(2, 0, EX)],
    )];
    let first = node(
        1,
        vec![glock(
            "a",
            vec![holder(1, 4, EX, false), holder(2, 8, EX, false)],
        )],
    );
    let second = node(2, vec![glock("a", vec![holder(1, 5, EX, false)])]);
    let graph = build(&views, &[first, second.clone()]);
    assert_eq!(drawn(&graph), ["1.8>1.4 a Queued", "2.5>1.4 a Queued"]);

    let nobody_waits = node(1, vec![]);
    assert!(drawn(&build(&views, &[nobody_waits, second])).is_empty());
}

#[test]
fn a_glock_outside_the_view_is_left_out() {
    let local = vec![holder(1, 4, PR, true), holder(2, 5, EX, false)];
    assert_eq!(
        build(&[], &[node(1, vec![glock("a", local)])]),
        Graph::default()
    );
}

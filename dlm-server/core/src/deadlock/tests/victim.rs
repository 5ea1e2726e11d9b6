//! Who has to give way, and what comes of it.

use super::*;
use crate::deadlock::{Victim, victim};
use crate::flags::RequestFlags;
use crate::ids::OpId;
use crate::{Input, Limits, LockTable, Output, Status};

/// A table in which sessions 1, 2, … each hold the resource of their own number, and wait for the next
/// one's, asked for with these flags, session 1 first.
fn ring(flags: &[RequestFlags]) -> LockTable {
    let mut table = LockTable::new(Limits::DEFAULT, 1);
    let sessions = || 1..=flags.len() as u64;
    for number in sessions() {
        let session = SessionId(number);
        table.step(Tick(0), Input::SessionStarted { session }, &mut Vec::new());
        let lockspace = LOCKSPACE;
        let open = Input::OpenLockspace { session, lockspace };
        table.step(Tick(0), open, &mut Vec::new());
        request(
            &mut table,
            Tick(number),
            number,
            number,
            RequestFlags::empty(),
        );
    }
    for (number, &flags) in sessions().zip(flags) {
        let next = number % (sessions().count() as u64) + 1;
        request(&mut table, Tick(100 + number), number, next, flags);
    }
    table
}

/// The lock has the number of its resource.
fn request(table: &mut LockTable, now: Tick, session: u64, on: u64, flags: RequestFlags) {
    let request = Input::Request {
        session: SessionId(session),
        op: OpId(now.0),
        lockspace: LOCKSPACE,
        lock: LockId(on),
        name: name(&format!("{on}")),
        mode: Mode::Ex,
        flags,
        owner: Owner(0),
    };
    table.step(now, request, &mut Vec::new());
}

/// The victims of all cycles that the table shows.
fn victims(table: &LockTable) -> Vec<Option<Victim>> {
    let view = table.view(None);
    let graph = build(&view, &[]);
    let cycles = graph.cycles.iter();
    cycles.map(|cycle| victim(&view, &graph, cycle)).collect()
}

#[test]
fn the_youngest_waiter_gives_way_and_the_others_go_on() {
    let mut table = ring(&[RequestFlags::empty(); 3]);
    let [Some(victim)] = victims(&table)[..] else {
        panic!("{:?}", victims(&table));
    };
    assert_eq!((victim.session, victim.lock), (SessionId(3), LockId(1)));
    let Victim {
        session,
        lock,
        serial,
    } = victim;
    let end = Input::EndWait {
        session,
        lock,
        serial,
    };
    let mut out = Vec::new();
    table.step(Tick(200), end.clone(), &mut out);
    let [Output::Done { status, mode, .. }] = out[..] else {
        panic!("{out:?}");
    };
    assert_eq!((status, mode), (Status::Deadlock, None));
    assert_eq!(victims(&table), []);

    out.clear();
    table.step(Tick(201), end, &mut out);
    assert_eq!(out, [], "that wait is over");
}

#[test]
fn a_wait_that_came_later_is_another_one() {
    let mut table = ring(&[RequestFlags::empty(); 2]);
    let [Some(old)] = victims(&table)[..] else {
        panic!("{:?}", victims(&table));
    };
    let Victim {
        session,
        lock,
        serial,
    } = old;
    let op = OpId(500);
    let cancel = Input::Cancel { session, op, lock };
    table.step(Tick(200), cancel, &mut Vec::new());
    request(&mut table, Tick(201), 2, 1, RequestFlags::empty());
    let end = Input::EndWait {
        session,
        lock,
        serial,
    };
    let mut out = Vec::new();
    table.step(Tick(202), end, &mut out);
    assert_eq!(out, []);
    assert_eq!(victims(&table).len(), 1, "it still is a deadlock");
}

#[test]
fn who_chose_to_wait_is_exempt() {
    let none = RequestFlags::empty();
    let table = ring(&[none, none, RequestFlags::NODLCKWT]);
    let victim = victims(&table)[0].expect("a victim");
    assert_eq!((victim.session, victim.lock), (SessionId(2), LockId(3)));
    let table = ring(&[RequestFlags::NODLCKWT; 2]);
    assert_eq!(victims(&table), [None]);
}

#[test]
fn tasks_that_wait_for_each_other_on_their_own_node_are_its_own_matter() {
    let reports = |name: &str| GlockReport {
        lockspace: LOCKSPACE,
        name: super::name(name),
        holders: Vec::new(),
    };
    let holder = |serial, owner, granted| HolderReport {
        serial,
        owner: Owner(owner),
        mode: Mode::Ex,
        granted,
        role: Role::Operation,
        pins: 0,
        age_us: 1,
    };
    let mut report = NodeReport {
        session: SessionId(1),
        tasks: Vec::new(),
        glocks: ["a", "b"].map(reports).into(),
    };
    report.glocks[0].holders = vec![holder(1, 1, true), holder(2, 2, false)];
    report.glocks[1].holders = vec![holder(3, 2, true), holder(4, 1, false)];
    let resources = ["a", "b"].map(|text| ResourceView {
        lockspace: LOCKSPACE,
        name: name(text),
        locks: vec![held(1, 0, Mode::Ex)],
    });
    let graph = build(&resources, &[report]);
    assert_eq!(graph.cycles.len(), 1);
    assert_eq!(victim(&resources, &graph, &graph.cycles[0]), None);
}

//! Each checker is shown a table that it must refuse: a checker that cannot fail checks nothing.

use super::*;
use crate::deadlock::Queue;
use crate::flags::RequestFlags;
use crate::ids::{LockId, LockspaceId, OpId, Owner, ResourceName, SessionId, Tick, Token};
use crate::limits::Limits;
use crate::message::Input;
use crate::mode::Mode;
use crate::resource::value::Stored;
use crate::resource::{Lock, Resource};
use crate::table::LockTable;
use crate::value::ValueBlock;
use alloc::boxed::Box;
use alloc::vec::Vec;

const SESSION: SessionId = SessionId(1);
const LOCKSPACE: LockspaceId = LockspaceId(7);

/// A table with locks 1, 2, … on one resource, asked for in these modes.
fn table(modes: &[Mode]) -> LockTable {
    let mut table = LockTable::new(Limits::DEFAULT, 1);
    let mut out = Vec::new();
    table.step(
        Tick(0),
        Input::SessionStarted { session: SESSION },
        &mut out,
    );
    let open = Input::OpenLockspace {
        session: SESSION,
        lockspace: LOCKSPACE,
    };
    table.step(Tick(0), open, &mut out);
    for (number, &mode) in (1..).zip(modes) {
        let request = Input::Request {
            session: SESSION,
            op: OpId(number),
            lockspace: LOCKSPACE,
            lock: LockId(number),
            name: ResourceName::new(b"r").expect("a name"),
            mode,
            flags: RequestFlags::empty(),
            owner: Owner(0),
        };
        table.step(Tick(number), request, &mut out);
    }
    assert_eq!(check(&table), Ok(()));
    table
}

/// As `table`, with a conversion of lock 1 to `mode` under way.
fn table_converting(modes: &[Mode], mode: Mode) -> LockTable {
    let mut table = table(modes);
    let convert = Input::Convert {
        session: SESSION,
        op: OpId(100),
        lock: LockId(1),
        mode,
        flags: RequestFlags::empty(),
        owner: Owner(0),
        value: None,
    };
    table.step(Tick(100), convert, &mut Vec::new());
    assert_eq!(check(&table), Ok(()));
    table
}

fn lock(table: &mut LockTable, number: u64) -> &mut Lock {
    let key = table.find(SESSION, LockId(number)).expect("a lock");
    &mut table.locks[key]
}

fn resource(table: &mut LockTable) -> &mut Resource {
    let place = table.resources.iter().next().expect("a resource").0;
    &mut table.resources[place]
}

fn assert_broken(table: &LockTable, property: &str) {
    let violation = check(table).expect_err(property);
    assert_eq!(violation.property, property, "{violation}");
}

#[test]
fn two_locks_that_exclude_each_other_are_seen() {
    let mut table = table(&[Mode::Pr, Mode::Pr]);
    lock(&mut table, 2).granted = Some(Mode::Ex);
    let held = &mut resource(&mut table).held;
    held.remove(Mode::Pr);
    held.add(Mode::Ex);
    assert_broken(&table, "compatible-grants");
}

#[test]
fn a_waiter_that_nothing_stops_is_seen() {
    let mut table = table(&[Mode::Ex, Mode::Pr]);
    lock(&mut table, 1).granted = Some(Mode::Pr);
    let held = &mut resource(&mut table).held;
    held.remove(Mode::Ex);
    held.add(Mode::Pr);
    assert_broken(&table, "no-lost-waiter");
}

#[test]
fn a_holder_in_the_way_that_was_not_told_is_seen() {
    let mut table = table(&[Mode::Ex, Mode::Pr]);
    lock(&mut table, 1).told = Mode::Nl;
    assert_broken(&table, "blockers-called");
}

#[test]
fn conversions_that_wait_for_each_other_are_seen() {
    let mut table = table_converting(&[Mode::Pr, Mode::Pr], Mode::Ex);
    let key = table.find(SESSION, LockId(2)).expect("a lock");
    let LockTable {
        resources,
        locks,
        counters,
        ..
    } = &mut table;
    let place = locks[key].resource;
    resources[place].granted.remove(locks, key);
    let queues = resources[place].queues.as_mut().expect("lock 1 converts");
    queues.converting.list.push_back(locks, key);
    queues.converting.wanted.add(Mode::Ex);
    locks[key].queue = Queue::Converting;
    locks[key].requested = Some(Mode::Ex);
    counters.waiting += 1;
    assert_broken(&table, "no-conversion-deadlock");
}

#[test]
fn a_lock_that_does_not_fit_its_queue_is_seen() {
    let mut table1 = table(&[Mode::Ex, Mode::Pr]);
    lock(&mut table1, 2).granted = Some(Mode::Nl);
    assert_broken(&table1, "queues-in-shape");

    let mut table2 = table(&[Mode::Pr, Mode::Pr]);
    lock(&mut table2, 1).next = table2.find(SESSION, LockId(2)).ok();
    assert_broken(&table2, "queues-in-shape");
}

#[test]
fn a_token_that_does_not_grow_is_seen() {
    let mut table1 = table(&[Mode::Pr, Mode::Pr]);
    lock(&mut table1, 1).token = Token(9);
    assert_broken(&table1, "tokens-grow");

    let mut table2 = table(&[Mode::Pr]);
    table2.counters.token = 0;
    assert_broken(&table2, "tokens-grow");

    let mut table3 = table(&[Mode::Cw, Mode::Cw]);
    resource(&mut table3).token = Token(2);
    table3.counters.token = 2;
    lock(&mut table3, 2).token = Token(2);
    assert_broken(&table3, "tokens-grow");
}

#[test]
fn counts_that_do_not_agree_are_seen() {
    let mut table1 = table(&[Mode::Pr]);
    resource(&mut table1).held.add(Mode::Nl);
    assert_broken(&table1, "counts-agree");

    let mut table2 = table(&[Mode::Ex, Mode::Ex]);
    table2.counters.waiting = 0;
    assert_broken(&table2, "counts-agree");

    let mut table3 = table(&[Mode::Ex]);
    let name = ResourceName::new(b"s").expect("a name");
    let place = table3.resources.insert(Resource::new(LOCKSPACE, &name));
    table3.index.insert_resource(&table3.resources, place);
    assert_broken(&table3, "counts-agree");
}

#[test]
fn a_lock_without_its_session_is_seen() {
    let mut table1 = table(&[Mode::Pr]);
    table1.sessions.clear();
    assert_broken(&table1, "session-owns-its-locks");

    let mut table2 = table(&[Mode::Pr]);
    lock(&mut table2, 1).id = LockId(2);
    assert_broken(&table2, "session-owns-its-locks");
}

#[test]
fn a_lock_that_is_not_found_is_seen() {
    let mut table = table(&[Mode::Pr]);
    table.index.clear_locks();
    assert!(check(&table).is_err());
}

#[test]
fn a_value_that_does_not_fit_is_seen() {
    let value = ValueBlock::new(b"short").expect("a value");
    let mut table1 = table(&[Mode::Pr]);
    resource(&mut table1).value = Some(Box::new(Stored {
        sequence: 1,
        value: value.clone(),
    }));
    assert_broken(&table1, "value-in-shape");

    let mut table2 = table(&[Mode::Pr]);
    let key = table2.find(SESSION, LockId(1)).expect("a lock");
    table2.unstored.insert(key, value);
    assert_broken(&table2, "value-in-shape");
}

#[test]
fn more_than_the_limits_allow_is_seen() {
    let breaks: [fn(&mut Limits); 3] = [
        |limits| limits.resources_max = 0,
        |limits| limits.queue_length_max = 0,
        |limits| limits.locks_per_session_max = 1,
    ];
    for set in breaks {
        let mut table = table(&[Mode::Ex, Mode::Ex]);
        set(&mut table.limits);
        assert_broken(&table, "within-limits");
    }
}

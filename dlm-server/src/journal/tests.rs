//! The journal against what is true of it.

use std::collections::BTreeMap;

use super::*;
use crate::limits::{EVENTS_PER_RESOURCE_MAX, RESOURCES_REMEMBERED_MAX};

const LOCKSPACE: LockspaceId = LockspaceId(1);

fn name(number: usize) -> ResourceName {
    ResourceName::new(number.to_string().as_bytes()).expect("a name")
}

fn entry(at: u64, resource: usize) -> Entry {
    Entry::new(Tick(at), EventKind::Granted, (LOCKSPACE, name(resource)))
}

fn numbers(entries: &[Entry]) -> Vec<u64> {
    entries.iter().map(|entry| entry.sequence).collect()
}

#[test]
fn a_reader_gets_everything_once_and_is_told_what_it_missed() {
    let mut journal = Journal::default();
    assert_eq!((journal.next(), journal.read(1, 10).next), (1, 1));
    for at in 0..10 {
        journal.write(entry(at, 0));
    }
    let first = journal.read(1, 4);
    assert_eq!(
        (numbers(&first.entries), first.next, first.missed),
        (vec![1, 2, 3, 4], 5, 0)
    );
    let second = journal.read(first.next, 100);
    assert_eq!(
        (second.entries.len(), second.next, second.missed),
        (6, 11, 0)
    );
    assert_eq!(
        journal.read(11, 100),
        Read {
            next: 11,
            ..Read::default()
        }
    );

    for at in 0..EVENTS_MAX as u64 + 5 {
        journal.write(entry(at, 0));
    }
    let late = journal.read(11, 3);
    assert_eq!((late.missed, late.next), (5, 19));
    assert_eq!(numbers(&late.entries), [16, 17, 18]);
}

#[test]
fn what_is_not_written_down_was_missed() {
    let mut journal = Journal::default();
    journal.write(entry(0, 0));
    journal.skip(7);
    let read = journal.read(1, 10);
    assert_eq!((read.entries.len(), read.missed, read.next), (1, 7, 9));
    journal.write(entry(0, 0));
    let read = journal.read(1, 10);
    assert_eq!((numbers(&read.entries), read.missed), (vec![1, 9], 7));
}

/// Against lists that forget nothing, on which the same is done slowly.
#[test]
fn the_resources_that_something_happened_to_last_are_remembered() {
    let mut journal = Journal::default();
    let mut model: BTreeMap<usize, Vec<u64>> = BTreeMap::new();
    let mut used: Vec<usize> = Vec::new();
    let mut forgotten = 0;
    let mut random = 88_172_645_463_325_252_u64;
    for at in 0..20_000 {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        // A few are busy and many are not.
        let of = if random.is_multiple_of(3) {
            7
        } else {
            RESOURCES_REMEMBERED_MAX * 2
        };
        let resource = (random >> 8) as usize % of;
        journal.write(entry(at, resource));
        used.retain(|one| *one != resource);
        if !model.contains_key(&resource) && model.len() == RESOURCES_REMEMBERED_MAX {
            model.remove(&used.remove(0));
            forgotten += 1;
        }
        used.push(resource);
        model.entry(resource).or_default().push(at + 1);
    }
    assert_eq!(
        journal.remembered(),
        Remembered {
            resources: RESOURCES_REMEMBERED_MAX,
            forgotten
        }
    );
    for resource in 0..RESOURCES_REMEMBERED_MAX * 2 {
        let found = journal.of_resource(LOCKSPACE, &name(resource));
        let all = model.get(&resource).cloned().unwrap_or_default();
        let dropped = all.len().saturating_sub(EVENTS_PER_RESOURCE_MAX);
        assert_eq!(numbers(&found.entries), all[dropped..], "{resource}");
        assert_eq!(found.dropped, dropped as u64);
    }
}

#[test]
fn a_lockspace_that_was_opened_again_has_its_resources_past() {
    let again = LockspaceId::new(LOCKSPACE.base(), 9).expect("a lockspace");
    let mut journal = Journal::default();
    journal.write(entry(0, 3));
    let later = Entry::new(Tick(5), EventKind::Waits, (again, name(3)));
    journal.write(later);
    for lockspace in [LOCKSPACE, again] {
        let found = journal.of_resource(lockspace, &name(3));
        assert_eq!(numbers(&found.entries), [1, 2]);
    }
}

#[test]
fn the_last_service_of_its_slot_stands_in_a_resources_past() {
    let slot = SlotId::of(LOCKSPACE, &name(3));
    let served = |epoch| service(Tick(2), (slot, Epoch(epoch)), EventKind::Recovered);
    let mut journal = Journal::default();
    journal.write(served(1));
    journal.write(entry(1, 3));
    journal.write(served(2));
    journal.write(entry(3, 3));
    let found = journal.of_resource(LOCKSPACE, &name(3));
    assert_eq!(numbers(&found.entries), [2, 3, 4]);
    assert_eq!(found.entries[1].epoch, Epoch(2));
    let never = journal.of_resource(LockspaceId(77), &name(9));
    assert!(never.entries.is_empty(), "{never:?}");
}

#[test]
fn waits_are_forgotten_with_their_slot_and_their_session() {
    let slots: Vec<SlotId> = SlotId::all().take(2).collect();
    let wait = |slot| Wait {
        slot,
        since: Tick(4),
        had: None,
    };
    let of = |session| (SessionId(session), LockId(1));
    let mut journal = Journal::default();
    journal.waits(of(1), wait(slots[0]));
    journal.waits(of(2), wait(slots[1]));
    journal.waits(of(3), wait(slots[1]));
    journal.left(slots[0]);
    journal.ended(SessionId(2));
    assert_eq!(journal.waited(of(1)), None);
    assert_eq!(journal.waited(of(2)), None);
    assert_eq!(journal.waited(of(3)), Some(wait(slots[1])));
    assert_eq!(journal.waited(of(3)), None);
}

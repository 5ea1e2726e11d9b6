//! The properties of one resource.

use alloc::format;
use alloc::vec::Vec;
use core::fmt;

use super::{Checked, Violation};
use crate::deadlock::Queue;
use crate::flags::{RequestFlags, StatusFlags};
use crate::mode::Mode;
use crate::resource::queue::{ModeCounts, Queues};
use crate::resource::{Lock, LockKey, Marks, Resource, ResourceKey};
use crate::table::LockTable;

/// Checks one resource, which may be empty in the middle of a step.
pub(crate) fn check_resource(table: &LockTable, place: ResourceKey) -> Checked {
    let resource = &table.resources[place];
    queues_in_shape(table, place)?;
    resource_counts_agree(table, place)?;
    compatible_grants(table, place)?;
    no_lost_waiter(table, resource)?;
    blockers_called(table, resource)?;
    no_conversion_deadlock(table, resource)?;
    value_in_shape(table, resource)?;
    tokens_grow(table, place)
}

pub(super) fn broken(
    property: &'static str,
    resource: &Resource,
    detail: impl fmt::Display,
) -> Checked {
    let (lockspace, name) = (resource.lockspace, resource.name.to_name());
    Err(Violation {
        property,
        detail: format!("lockspace {}, {name}: {detail}", lockspace.0),
    })
}

fn compatible_grants(table: &LockTable, place: ResourceKey) -> Checked {
    let resource = &table.resources[place];
    for lock in locks_of(table, place) {
        let Some(mode) = lock.granted else { continue };
        if !resource.admits(mode, Some(mode)) {
            let Lock { session, id, .. } = lock;
            let detail = format!("{mode} of {session:?} {id:?} beside {:?}", resource.held);
            return broken("compatible-grants", resource, detail);
        }
    }
    Ok(())
}

fn no_lost_waiter(table: &LockTable, resource: &Resource) -> Checked {
    if resource.closed {
        return Ok(());
    }
    let first = resource.converting().list.head();
    let Some(key) = first.or_else(|| resource.waiting().list.head()) else {
        return Ok(());
    };
    let lock = &table.locks[key];
    // What came to stand there with HEADQUE is granted when something else happens, not before; and so is
    // a lock in its alternative mode, if it was demoted to get there.
    let came_first = lock.flags.contains(RequestFlags::HEADQUE);
    let demoted = lock.status.contains(StatusFlags::DEMOTED);
    // A conversion that waits for itself is offered no alternative; it does that beside one which chose to.
    let may_deadlock = resource.converting().out_of_turn > 0;
    let offer = resource.offer_queued(lock, true);
    if came_first || offer.is_none_or(|offer| (demoted || may_deadlock) && offer.alternative) {
        return Ok(());
    }
    let Lock { session, id, .. } = lock;
    broken(
        "no-lost-waiter",
        resource,
        format!("nothing is in the way of {session:?} {id:?}"),
    )
}

fn blockers_called(table: &LockTable, resource: &Resource) -> Checked {
    let Queues {
        converting,
        waiting,
    } = resource.queues();
    let may_deadlock = |key| {
        let Lock { flags, marks, .. } = &table.locks[key];
        flags.contains(RequestFlags::CONVDEADLK) || marks.contains(Marks::OUT_OF_TURN)
    };
    if converting.list.iter(&table.locks).any(may_deadlock) {
        return Ok(());
    }
    for key in resource.granted.iter(&table.locks) {
        let Lock {
            session,
            id,
            granted,
            told,
            marks,
            ..
        } = &table.locks[key];
        let Some(mode) = *granted else { continue };
        let in_the_way = !converting.wanted.admit(mode) || !waiting.wanted.admit(mode);
        let passed = marks.contains(Marks::PASSED);
        if in_the_way && !passed && *told == Mode::Nl {
            return broken(
                "blockers-called",
                resource,
                format!("{session:?} {id:?} was not told"),
            );
        }
    }
    Ok(())
}

fn no_conversion_deadlock(table: &LockTable, resource: &Resource) -> Checked {
    if resource.converting().out_of_turn > 0 {
        return Ok(());
    }
    let mut before = ModeCounts::default();
    for key in resource.converting().list.iter(&table.locks) {
        let Lock {
            session,
            id,
            granted,
            requested,
            ..
        } = &table.locks[key];
        let (Some(held), Some(wanted)) = (*granted, *requested) else {
            continue;
        };
        if !before.admit(held) {
            let detail = format!("{session:?} {id:?} converts behind one that it blocks");
            return broken("no-conversion-deadlock", resource, detail);
        }
        before.add(wanted);
    }
    Ok(())
}

fn value_in_shape(table: &LockTable, resource: &Resource) -> Checked {
    let options = table.lockspaces.get(&resource.lockspace);
    let length = options.copied().unwrap_or_default().value_length.bytes();
    match &resource.value {
        Some(stored) if stored.value.as_bytes().len() != length => {
            let detail = format!("{:?} has not {length} bytes", stored.value);
            broken("value-in-shape", resource, detail)
        }
        _ => Ok(()),
    }
}

fn queues_in_shape(table: &LockTable, place: ResourceKey) -> Checked {
    let resource = &table.resources[place];
    for queue in [Queue::Granted, Queue::Converting, Queue::Waiting] {
        let list = resource.list(queue);
        // One more than it should have is enough to see a ring.
        let keys: Vec<LockKey> = list.iter(&table.locks).take(list.len() + 1).collect();
        if keys.len() != list.len() {
            return broken(
                "queues-in-shape",
                resource,
                format!("{queue:?} has not its length"),
            );
        }
        for key in keys {
            let lock = &table.locks[key];
            let modes = (lock.granted.is_some(), lock.requested.is_some());
            let expected = match queue {
                Queue::Granted => (true, false),
                Queue::Converting => (true, true),
                Queue::Waiting => (false, true),
            };
            if lock.queue != queue || lock.resource != place || modes != expected {
                return broken(
                    "queues-in-shape",
                    resource,
                    format!("in {queue:?}: {lock:?}"),
                );
            }
        }
    }
    Ok(())
}

fn tokens_grow(table: &LockTable, place: ResourceKey) -> Checked {
    let resource = &table.resources[place];
    if resource.token.0 > table.counters.token {
        return broken("tokens-grow", resource, "its token is above the table's");
    }
    // PR and CW exclude each other: there is one shared token at most.
    let mut shared = None;
    for lock in locks_of(table, place) {
        if lock.granted.is_some() != (lock.token.0 > 0) || lock.token > resource.token {
            return broken(
                "tokens-grow",
                resource,
                format!("{:?} for {lock:?}", resource.token),
            );
        }
        let shares = matches!(lock.granted, Some(Mode::Pr | Mode::Cw));
        if shares && *shared.get_or_insert(lock.token) != lock.token {
            return broken(
                "tokens-grow",
                resource,
                format!("not the others' token: {lock:?}"),
            );
        }
    }
    Ok(())
}

fn resource_counts_agree(table: &LockTable, place: ResourceKey) -> Checked {
    let resource = &table.resources[place];
    let mut counted = [ModeCounts::default(); 3];
    let mut out_of_turn = [0, 0];
    let [held, converting_to, waiting_for] = &mut counted;
    for lock in locks_of(table, place) {
        if let Some(mode) = lock.granted {
            held.add(mode);
        }
        match (lock.queue, lock.requested) {
            (Queue::Converting, Some(mode)) => {
                converting_to.add(mode);
                out_of_turn[0] += u32::from(lock.marks.contains(Marks::OUT_OF_TURN));
            }
            (Queue::Waiting, Some(mode)) => {
                waiting_for.add(mode);
                out_of_turn[1] += u32::from(lock.marks.contains(Marks::OUT_OF_TURN));
            }
            _ => {}
        }
    }
    let Queues {
        converting,
        waiting,
    } = resource.queues();
    let kept = [resource.held, converting.wanted, waiting.wanted];
    let kept_out_of_turn = [converting.out_of_turn, waiting.out_of_turn];
    let boxed_in_vain = resource.queues.is_some() && resource.queue_length() == 0;
    if kept == counted && out_of_turn == kept_out_of_turn && !boxed_in_vain {
        return Ok(());
    }
    let counted = (counted, out_of_turn);
    broken(
        "counts-agree",
        resource,
        format!("counted {counted:?}, kept {kept:?} {kept_out_of_turn:?}"),
    )
}

fn locks_of(table: &LockTable, place: ResourceKey) -> impl Iterator<Item = &Lock> {
    table.keys_of(place).map(|key| &table.locks[key])
}

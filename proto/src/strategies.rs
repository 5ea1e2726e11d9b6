//! Arbitrary messages for the property tests of both directions.

pub(crate) mod link;
pub(crate) mod peer;

use dlm_core::deadlock::{GlockReport, HolderReport, Role};
use dlm_core::{
    LockspaceId, LockspaceOptions, Mode, Owner, RequestFlags, ResourceName, ValueBlock, ValueLength,
};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::caches::{Cache, CacheCounters};
use crate::glocks::{Glock, GlockHolder, GlocksQuery, GlocksReport, ObjectLines};
use crate::holders::{HoldersReport, QueryId};
use crate::name::Name;

fn mode() -> impl Strategy<Value = Mode> {
    select(&Mode::ALL[..])
}

fn name() -> impl Strategy<Value = Name> {
    any::<String>().prop_map(|text| Name::lossy(&text))
}

fn resource_name() -> impl Strategy<Value = ResourceName> {
    vec(any::<u8>(), 0..=64).prop_map(|bytes| ResourceName::new(&bytes).unwrap())
}

fn flags() -> impl Strategy<Value = RequestFlags> {
    any::<u32>().prop_map(RequestFlags::from_bits_retain)
}

fn value() -> impl Strategy<Value = Option<ValueBlock>> {
    option::of(vec(any::<u8>(), 0..=256).prop_map(|bytes| ValueBlock::new(&bytes).unwrap()))
}

fn options() -> impl Strategy<Value = LockspaceOptions> {
    (1usize..=32, any::<bool>()).prop_map(|(words, breaks_deadlocks)| LockspaceOptions {
        value_length: ValueLength::new(8 * words).unwrap(),
        breaks_deadlocks,
    })
}

fn holder() -> impl Strategy<Value = HolderReport> {
    let role = select(&[Role::Operation, Role::Pin, Role::Fault][..]);
    (any::<(u64, u64, bool, u32, u64)>(), mode(), role).prop_map(
        |((serial, owner, granted, pins, age_us), mode, role)| HolderReport {
            serial,
            owner: Owner(owner),
            mode,
            granted,
            role,
            pins,
            age_us,
        },
    )
}

fn report() -> impl Strategy<Value = HoldersReport> {
    let task = (any::<u64>().prop_map(Owner), name());
    let glock = (any::<u32>(), resource_name(), vec(holder(), 0..4)).prop_map(
        |(lockspace, name, holders)| GlockReport {
            lockspace: LockspaceId(lockspace),
            name,
            holders,
        },
    );
    (any::<u64>(), vec(task, 0..4), vec(glock, 0..4)).prop_map(|(query, tasks, glocks)| {
        HoldersReport {
            query: QueryId(query),
            tasks,
            glocks,
        }
    })
}

fn glock_holder() -> impl Strategy<Value = GlockHolder> {
    (any::<(u32, bool, u64, u64)>(), mode(), option::of(name())).prop_map(
        |((flags, granted, owner, age_us), state, task)| GlockHolder {
            state,
            flags,
            granted,
            owner: Owner(owner),
            task,
            age_us,
        },
    )
}

fn glock() -> impl Strategy<Value = Glock> {
    (
        (resource_name(), mode(), mode(), option::of(mode())),
        any::<(u64, u32, u32, u32, u32)>(),
        vec(glock_holder(), 0..4),
        any::<String>(),
    )
        .prop_map(
            |((name, state, target, demanded), numbers, holders, object)| {
                let (demanded_us, flags, references, hold_ms, holders_left_out) = numbers;
                Glock {
                    name,
                    state,
                    target,
                    demanded,
                    demanded_us,
                    flags,
                    references,
                    hold_ms,
                    holders,
                    holders_left_out,
                    object: ObjectLines::lossy(&object),
                }
            },
        )
}

fn glocks_report() -> impl Strategy<Value = GlocksReport> {
    let head = any::<(u64, bool)>();
    (head, vec(glock(), 0..4), vec(cache(), 0..3)).prop_map(|((query, more), glocks, caches)| {
        GlocksReport {
            query: QueryId(query),
            glocks,
            more,
            caches,
        }
    })
}

fn cache() -> impl Strategy<Value = Cache> {
    any::<(u32, [u64; 5])>().prop_map(|(lockspace, counts)| {
        let [glocks, requests, hits, demotions, callbacks] = counts;
        Cache {
            lockspace: LockspaceId(lockspace),
            counters: CacheCounters {
                glocks,
                requests,
                hits,
                demotions,
                callbacks,
            },
        }
    })
}

fn glocks_query() -> impl Strategy<Value = GlocksQuery> {
    // No name is empty where it is the last of a page.
    let after = resource_name().prop_map(|name| Some(name).filter(|it| !it.as_bytes().is_empty()));
    (any::<(u64, u32, bool)>(), after).prop_map(|((query, lockspace, caches), after)| GlocksQuery {
        query: QueryId(query),
        lockspace: LockspaceId(lockspace),
        after,
        caches,
    })
}

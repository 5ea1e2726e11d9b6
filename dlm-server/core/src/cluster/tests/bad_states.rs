//! Each invariant on states that break it.

use std::vec::Vec;

use super::Cluster;
use crate::cluster::*;
use crate::ids::{BASES, Epoch, GENERATION_BITS, GENERATION_MAX, Incarnation, LockspaceBase};

/// Two servers that share the slots; a live session, a dead one, and a fenced one whose journal the live
/// one replays.
fn good() -> Parts {
    let mut cluster = Cluster::new(2);
    let (live, dead, fenced) = (cluster.join(1), cluster.join(2), cluster.join(3));
    for session in [live, dead, fenced] {
        cluster.open(session, "fs", true);
    }
    cluster.open(live, "locks", false);
    cluster.expire(dead);
    cluster.expire(fenced);
    cluster.fence(fenced);
    cluster.state.parts()
}

fn broken_by(change: impl FnOnce(&mut Parts)) -> &'static str {
    let mut parts = good();
    change(&mut parts);
    match ClusterState::from_parts(parts) {
        Ok(_) => "none",
        Err(violation) => violation.property,
    }
}

const LIVE: SessionId = SessionId(1);
const DEAD: SessionId = SessionId(2);
const FENCED: SessionId = SessionId(3);
const FS: LockspaceId = LockspaceId(1);
const LOCKS: LockspaceId = LockspaceId(1 << GENERATION_BITS | 1);
const OLD: LockspaceBase = LockspaceId(2 << GENERATION_BITS).base();

fn replays(parts: &mut Parts) -> &mut Replays {
    let phase = &mut parts.sessions.get_mut(&FENCED).unwrap().phase;
    match phase {
        Phase::Fenced { replays, .. } => replays,
        other => panic!("{other:?}"),
    }
}

fn generations(parts: &mut Parts) -> &mut BTreeMap<LockspaceBase, u32> {
    &mut parts.numbers.generations
}

fn ended(parts: &mut Parts, base: u32, name: &str, at: u64) {
    let base = LockspaceBase::new(base).unwrap();
    let (name, at) = (Name::lossy(name), LogIndex(at));
    parts
        .numbers
        .ended
        .insert(base, EndedLockspace { name, at });
}

fn members(
    parts: &mut Parts,
    lockspace: LockspaceId,
) -> &mut std::collections::BTreeSet<SessionId> {
    &mut parts.lockspaces.get_mut(&lockspace).unwrap().sessions
}

#[test]
fn a_state_comes_back_from_its_parts() {
    let parts = good();
    let state = ClusterState::from_parts(parts.clone());
    assert_eq!(state.map(|state| state.parts()), Ok(parts));
    assert_eq!(broken_by(|_| ()), "none");
}

#[test]
fn masters() {
    let stranger = Master {
        server: ServerId(1),
        incarnation: Incarnation(1),
    };
    let property = "one-master-that-runs";
    assert_eq!(
        broken_by(|parts| parts.slots[0].master = Some(stranger)),
        property
    );
    assert_eq!(broken_by(|parts| parts.slots[0].master = None), property);
    let from = stranger;
    let planned = |parts: &mut Parts| {
        parts.slots[0].origin = Origin::Planned { from };
        parts.slots[0].serving = false;
    };
    assert_eq!(broken_by(planned), property);
    let down = |parts: &mut Parts| {
        parts.servers.get_mut(&ServerId(1)).unwrap().life = Life::Down;
    };
    assert_eq!(broken_by(down), property);
    let masterless = |parts: &mut Parts| {
        parts.slots[0].master = None;
        parts.slots[0].serving = false;
    };
    assert_eq!(broken_by(masterless), "no-slot-without-master");
}

#[test]
fn moves() {
    let many = |parts: &mut Parts| {
        let from = parts.slots[0].master.unwrap();
        let to = ClusterState::from_parts(parts.clone()).unwrap();
        let to = to.running().find(|&one| one != from);
        for slot in &mut parts.slots[..=limits::MOVES_MAX] {
            slot.origin = Origin::Planned { from };
            slot.master = to;
            slot.serving = false;
        }
    };
    assert_eq!(broken_by(many), "few-moves");
}

#[test]
fn numbers() {
    let property = "numbers-are-fresh";
    assert_eq!(broken_by(|parts| parts.session_next = FENCED), property);
    let given_out =
        |next| move |parts: &mut Parts| _ = generations(parts).insert(LOCKS.base(), next);
    assert_eq!(broken_by(given_out(1)), property);
    assert_eq!(broken_by(given_out(2)), "none");
    assert_eq!(broken_by(given_out(GENERATION_MAX + 1)), "none");
    assert_eq!(broken_by(given_out(GENERATION_MAX + 2)), property);
    let first = |parts: &mut Parts| parts.numbers.generation_first = u32::MAX;
    assert_eq!(broken_by(first), property);
    let never = |parts: &mut Parts| ended(parts, 2, "old", 1);
    assert_eq!(broken_by(never), property, "no lockspace had its base");
    assert_eq!(broken_by(|parts| parts.applied = LogIndex(1)), property);
    assert_eq!(
        broken_by(|parts| parts.slots[9].epoch = Epoch(1 << 24)),
        property
    );
    let later = LogIndex(1_000_000);
    assert_eq!(broken_by(|parts| parts.slots[9].since = later), property);
    let joined = |parts: &mut Parts| parts.sessions.get_mut(&DEAD).unwrap().joined = later;
    assert_eq!(broken_by(joined), property);
}

#[test]
fn duplicates() {
    let property = "one-of-each";
    let nonce = |parts: &mut Parts| parts.sessions.get_mut(&DEAD).unwrap().nonce = 1;
    assert_eq!(broken_by(nonce), property);
    let name = |parts: &mut Parts| {
        parts.lockspaces.get_mut(&LOCKS).unwrap().name = Name::lossy("fs");
    };
    assert_eq!(broken_by(name), property);
    let ended = |base, name| {
        move |parts: &mut Parts| {
            generations(parts).insert(OLD, 5);
            ended(parts, base, name, 1);
        }
    };
    assert_eq!(broken_by(ended(2, "old")), "none");
    assert_eq!(broken_by(ended(2, "fs")), property);
    assert_eq!(broken_by(ended(0, "old")), property);
    let incarnation = |parts: &mut Parts| {
        let one = parts.servers[&ServerId(1)].life.clone();
        parts.servers.get_mut(&ServerId(2)).unwrap().life = one;
        let master = parts.slots[0].master;
        for slot in &mut parts.slots {
            slot.master = master;
        }
    };
    assert_eq!(broken_by(incarnation), property);
}

#[test]
fn lockspaces() {
    let property = "lockspaces-have-sessions";
    assert_eq!(broken_by(|parts| members(parts, LOCKS).clear()), property);
    let stranger = |parts: &mut Parts| {
        members(parts, LOCKS).insert(SessionId(99));
    };
    assert_eq!(broken_by(stranger), property);
}

#[test]
fn replays_under_way() {
    let property = "replays-in-shape";
    assert_eq!(broken_by(|parts| replays(parts).clear()), property);
    let named = |by| move |parts: &mut Parts| _ = replays(parts).insert(FS, by);
    assert_eq!(broken_by(named(Some(DEAD))), "none", "it is not fenced yet");
    assert_eq!(broken_by(named(Some(FENCED))), property);
    assert_eq!(broken_by(named(Some(SessionId(99)))), property);
    assert_eq!(broken_by(named(None)), property, "somebody is there");
    let elsewhere = |parts: &mut Parts| _ = members(parts, LOCKS).insert(FENCED);
    assert_eq!(broken_by(elsewhere), property);
    let unwanted = |parts: &mut Parts| {
        parts.lockspaces.get_mut(&FS).unwrap().options.replayed = false;
    };
    assert_eq!(broken_by(unwanted), property);
    let gone = |parts: &mut Parts| _ = members(parts, FS).remove(&LIVE);
    assert_eq!(broken_by(gone), property);
}

#[test]
fn versions() {
    let versions = |parts: &mut Parts| {
        let versions = Some(Versions { min: 2, max: 2 });
        parts.servers.get_mut(&ServerId(1)).unwrap().versions = versions;
    };
    assert_eq!(broken_by(versions), "versions-in-common");
}

#[test]
fn counts() {
    let slots = |parts: &mut Parts| _ = parts.slots.pop();
    assert_eq!(broken_by(slots), "within-limits");
    let servers = |parts: &mut Parts| {
        let one = Server {
            life: Life::Down,
            ..parts.servers[&ServerId(1)].clone()
        };
        parts
            .servers
            .extend((3..=65).map(|id| (ServerId(id), one.clone())));
    };
    assert_eq!(broken_by(servers), "within-limits");
    let remembered = |count: usize| {
        move |parts: &mut Parts| {
            for base in (2..BASES).take(count) {
                generations(parts).insert(LockspaceBase::new(base).unwrap(), 2);
                ended(parts, base, &std::format!("old {base}"), 1);
            }
        }
    };
    let max = limits::ENDED_LOCKSPACES_MAX;
    assert_eq!(broken_by(remembered(max)), "none");
    assert_eq!(broken_by(remembered(max + 1)), "within-limits");
}

/// What is true of two states one after the other is checked on states that are each good.
#[test]
fn steps_backwards() {
    let state = |parts| ClusterState::from_parts(parts).expect("a good state");
    let step = |change: fn(&mut Parts)| {
        let before = good();
        let mut after = before.clone();
        change(&mut after);
        invariants::check_step(&state(before), &state(after)).is_ok()
    };
    assert!(step(|_| ()));
    assert!(!step(|parts| parts.slots[0].epoch = Epoch(0)));
    assert!(!step(|parts| parts.slots[0].serving = false));
    assert!(!step(|parts| {
        parts.sessions.get_mut(&DEAD).unwrap().phase = Phase::Live;
    }));
    assert!(!step(|parts| {
        let one = parts.sessions[&LIVE].clone();
        parts
            .sessions
            .insert(SessionId(0), Session { nonce: 77, ..one });
    }));
    let old = |parts: &mut Parts| _ = generations(parts).insert(LOCKS.base(), 9);
    assert!(step(old));
    let again = |parts: &mut Parts| {
        let one = parts.lockspaces.remove(&LOCKS).unwrap();
        parts.lockspaces.insert(LockspaceId(LOCKS.0 - 1), one);
    };
    assert!(!step(again), "its number was given out before");
    let mut later = good();
    generations(&mut later).insert(LOCKS.base(), 9);
    assert!(invariants::check_step(&state(later), &state(good())).is_err());
    let mut earlier = good();
    earlier.session_next = SessionId(4);
    let mut later = earlier.clone();
    later.session_next = SessionId(9);
    let (earlier, later) = (state(earlier), state(later));
    assert!(invariants::check_step(&earlier, &later).is_ok());
    assert!(invariants::check_step(&later, &earlier).is_err());
    let kinds: Vec<_> = later.sessions().values().map(|one| one.is_live()).collect();
    assert_eq!(kinds, [true, false, false]);
}

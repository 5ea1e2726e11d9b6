//! What is true of a cluster's state between two entries of the log.
//!
//! | name | statement | who relies on it |
//! |---|---|---|
//! | one-master-that-runs | a slot's master is a running process; only a slot with one is served; a table that is on its way comes from one | whoever is sent to it |
//! | no-slot-without-master | where a server runs, every slot has a master, unless its epochs have run out | requests, which would wait for ever |
//! | even-when-settled | where nothing moves, recovers or is due to move, no server has two slots more than another, and one that leaves has none | load |
//! | few-moves | as many tables are on their way as may be | requests, which wait meanwhile |
//! | numbers-are-fresh | sessions, lockspaces, processes and entries have numbers below the next | all that outlives them: tokens, claims, messages |
//! | one-of-each | no two processes have one incarnation, no two sessions one nonce, no two lockspaces one name or one base, those that ended and are remembered among them | joining and opening twice; tokens, which go on with the name |
//! | lockspaces-have-sessions | a lockspace has a session, and each is known | purges: a lockspace ends with its last |
//! | replays-in-shape | a fenced session is in those lockspaces whose journals wait, and no other; each wants replay; who is named has it open and is not fenced; nobody is named only where no live session has it open | the one who replays, and all who wait |
//! | versions-in-common | every server that ever started speaks the newest version that all speak | commands |
//! | within-limits | no count is above its limit | the servers' memory |
//!
//! [`check_step`] has what is true of two states, one after the other: epochs, numbers and phases only
//! grow, and a slot whose master changed is in a later epoch.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::limits::{
    ENDED_LOCKSPACES_MAX, EPOCH_MAX, LOCKSPACES_MAX, LOCKSPACES_OF_SESSION_MAX, MOVES_MAX,
    SERVERS_MAX, SESSIONS_MAX,
};
use super::sessions::Phase;
use super::slots::{Master, Origin};
use super::{ClusterState, EndedLockspace, Replay, Session};
use crate::ids::{GENERATION_MAX, LockspaceBase, LockspaceId, SessionId};
use crate::invariants::Violation;
use crate::slot::{SLOTS, SlotId};

type Checked = Result<(), Violation>;

fn broken(property: &'static str, detail: String) -> Checked {
    Err(Violation { property, detail })
}

/// Checks everything; the time is that of walking it all a few times.
///
/// # Errors
/// The first property found broken.
pub fn check(state: &ClusterState) -> Checked {
    within_limits(state)?;
    one_master_that_runs(state)?;
    no_slot_without_master(state)?;
    even_when_settled(state)?;
    numbers_are_fresh(state)?;
    one_of_each(state)?;
    lockspaces_have_sessions(state)?;
    replays_in_shape(state)?;
    versions_in_common(state)
}

fn within_limits(state: &ClusterState) -> Checked {
    if state.slots.len() != usize::from(SLOTS) {
        return broken("within-limits", format!("{} slots", state.slots.len()));
    }
    let moves = state.moves_under_way();
    if moves > MOVES_MAX {
        return broken("few-moves", format!("{moves} of at most {MOVES_MAX}"));
    }
    let counts = [
        ("servers", state.servers.len(), SERVERS_MAX),
        ("sessions", state.sessions.len(), SESSIONS_MAX),
        ("lockspaces", state.lockspaces.len(), LOCKSPACES_MAX),
        (
            "ended lockspaces",
            state.numbers.ended.len(),
            ENDED_LOCKSPACES_MAX,
        ),
    ];
    if let Some((what, count, max)) = counts.iter().find(|(_, count, max)| count > max) {
        return broken("within-limits", format!("{count} {what}, of at most {max}"));
    }
    for &session in state.sessions.keys() {
        let open = state.lockspaces_of(session).count();
        if open > LOCKSPACES_OF_SESSION_MAX {
            let detail = format!("{session:?} has {open} lockspaces open");
            return broken("within-limits", detail);
        }
    }
    Ok(())
}

fn one_master_that_runs(state: &ClusterState) -> Checked {
    let running: BTreeSet<Master> = state.running().collect();
    for (id, slot) in state.slots() {
        let master_runs = slot.master.is_none_or(|master| running.contains(&master));
        let served = slot.serving && slot.master.is_none();
        let from_runs = match slot.origin {
            Origin::Planned { from } => slot.serving || running.contains(&from),
            Origin::Lost => true,
        };
        // A table goes to somebody.
        let nowhere = slot.master.is_none() && slot.origin != Origin::Lost;
        if !master_runs || served || !from_runs || nowhere {
            return broken("one-master-that-runs", format!("slot {id}: {slot:?}"));
        }
    }
    Ok(())
}

fn no_slot_without_master(state: &ClusterState) -> Checked {
    if state.running().next().is_none() {
        return Ok(());
    }
    let mut slots = state.slots();
    match slots.find(|(_, slot)| slot.master.is_none() && slot.epoch < EPOCH_MAX) {
        None => Ok(()),
        Some((id, slot)) => broken("no-slot-without-master", format!("slot {id}: {slot:?}")),
    }
}

fn even_when_settled(state: &ClusterState) -> Checked {
    let usable = |slot: &super::Slot| slot.serving && slot.epoch < EPOCH_MAX;
    if !state.slots.iter().all(usable) || !state.moves_due().is_empty() {
        return Ok(());
    }
    let count = |master: Master| {
        let has = state
            .slots
            .iter()
            .filter(|slot| slot.master == Some(master));
        has.count()
    };
    let (takers, others): (Vec<Master>, Vec<Master>) = state
        .running()
        .partition(|master| state.takes_slots(master.server));
    let counts: Vec<usize> = takers.iter().copied().map(count).collect();
    let (least, most) = (counts.iter().min(), counts.iter().max());
    let even = least
        .zip(most)
        .is_none_or(|(least, most)| most - least <= 1);
    if even && others.iter().all(|&master| count(master) == 0) {
        return Ok(());
    }
    broken(
        "even-when-settled",
        format!("{counts:?}, leaving {others:?}"),
    )
}

fn numbers_are_fresh(state: &ClusterState) -> Checked {
    let property = "numbers-are-fresh";
    for (id, session) in &state.sessions {
        let died = match session.phase {
            Phase::Live => session.joined,
            Phase::Dead { at, .. } | Phase::Fenced { at, .. } => at,
        };
        let in_order = session.joined <= died && died <= state.applied;
        if *id >= state.session_next || !in_order {
            return broken(property, format!("{id:?}: {session:?}"));
        }
    }
    lockspace_numbers_are_fresh(state)?;
    if let Some(late) = state
        .running()
        .find(|one| one.incarnation.0 > state.applied.0)
    {
        return broken(property, format!("{late:?}"));
    }
    let late = |slot: &super::Slot| slot.since > state.applied || slot.epoch > EPOCH_MAX;
    match state.slots().find(|(_, slot)| late(slot)) {
        None => Ok(()),
        Some((id, slot)) => broken(property, format!("slot {id}: {slot:?}")),
    }
}

fn lockspace_numbers_are_fresh(state: &ClusterState) -> Checked {
    let property = "numbers-are-fresh";
    let numbers = &state.numbers;
    let given_out = |id: &LockspaceId| {
        let next = numbers.generations.get(&id.base());
        next.is_some_and(|&next| id.generation() < next)
    };
    if let Some(id) = state.lockspaces.keys().find(|id| !given_out(id)) {
        return broken(property, format!("{id:?}"));
    }
    let fresh = |(base, one): &(&LockspaceBase, &EndedLockspace)| {
        numbers.generations.contains_key(base) && one.at <= state.applied
    };
    if let Some((base, one)) = numbers.ended.iter().find(|ended| !fresh(ended)) {
        return broken(property, format!("{base:?}: {one:?}"));
    }
    let nexts = numbers.generations.values();
    let mut nexts = nexts.chain([&numbers.generation_first]);
    match nexts.find(|&&next| next > GENERATION_MAX + 1) {
        None => Ok(()),
        Some(next) => broken(property, format!("generation {next} of a lockspace")),
    }
}

/// Something that there is twice.
fn twice<T: Ord>(all: impl Iterator<Item = T>) -> Option<T> {
    let mut seen = BTreeSet::new();
    for each in all {
        if seen.contains(&each) {
            return Some(each);
        }
        seen.insert(each);
    }
    None
}

fn one_of_each(state: &ClusterState) -> Checked {
    let property = "one-of-each";
    if let Some(incarnation) = twice(state.running().map(|one| one.incarnation)) {
        return broken(property, format!("{incarnation:?} runs on two servers"));
    }
    if let Some(nonce) = twice(state.sessions.values().map(|session| session.nonce)) {
        return broken(property, format!("two sessions of nonce {nonce:x}"));
    }
    let open = state.lockspaces.values().map(|lockspace| &lockspace.name);
    let ended = state.numbers.ended.values().map(|ended| &ended.name);
    if let Some(name) = twice(open.chain(ended)) {
        return broken(property, format!("two lockspaces {name}"));
    }
    let open = state.lockspaces.keys().map(|id| id.base());
    match twice(open.chain(state.numbers.ended.keys().copied())) {
        None => Ok(()),
        Some(base) => broken(property, format!("two lockspaces of {base:?}")),
    }
}

fn lockspaces_have_sessions(state: &ClusterState) -> Checked {
    for (id, lockspace) in &state.lockspaces {
        let known = |session| state.sessions.contains_key(session);
        if lockspace.sessions.is_empty() || !lockspace.sessions.iter().all(known) {
            let detail = format!("{id:?}: {:?}", lockspace.sessions);
            return broken("lockspaces-have-sessions", detail);
        }
    }
    Ok(())
}

fn replays_in_shape(state: &ClusterState) -> Checked {
    let property = "replays-in-shape";
    for (&id, session) in &state.sessions {
        let Phase::Fenced { replays, .. } = &session.phase else {
            continue;
        };
        let open: BTreeSet<_> = state.lockspaces_of(id).collect();
        if replays.is_empty() || !open.iter().eq(replays.keys()) {
            return broken(property, format!("{id:?} is in {open:?}: {session:?}"));
        }
    }
    match state
        .replays_wanted()
        .find(|replay| !replay_in_shape(state, replay))
    {
        None => Ok(()),
        Some(replay) => broken(property, format!("{replay:?}")),
    }
}

fn replay_in_shape(state: &ClusterState, replay: &Replay) -> bool {
    let Some(lockspace) = state.lockspaces.get(&replay.lockspace) else {
        return false;
    };
    let session = |id: &SessionId| state.sessions.get(id);
    let named = match replay.by {
        Some(by) => {
            let fenced = |one: &Session| matches!(one.phase, Phase::Fenced { .. });
            by != replay.dead
                && lockspace.sessions.contains(&by)
                && session(&by).is_some_and(|one| !fenced(one))
        }
        None => {
            let mut members = lockspace.sessions.iter().filter_map(session);
            !members.any(Session::is_live)
        }
    };
    named && lockspace.options.replayed
}

fn versions_in_common(state: &ClusterState) -> Checked {
    let version = state.version();
    let speaks = |server: &super::Server| {
        let all = |versions: super::Versions| (versions.min..=versions.max).contains(&version);
        server
            .versions
            .map_or_else(|| server.process().is_none(), all)
    };
    match state.servers.iter().find(|(_, server)| !speaks(server)) {
        None => Ok(()),
        Some((id, server)) => {
            let detail = format!("{version}: {id:?} speaks {:?}", server.versions);
            broken("versions-in-common", detail)
        }
    }
}

/// Checks what is true of a state and one that came after it.
///
/// # Errors
/// What went back.
pub fn check_step(before: &ClusterState, after: &ClusterState) -> Checked {
    let property = "only-grows";
    let numbers = |state: &ClusterState| {
        let generation_first = state.numbers.generation_first;
        (state.applied, state.session_next, generation_first)
    };
    let (a, b) = (numbers(before), numbers(after));
    if a.0 > b.0 || a.1 > b.1 || a.2 > b.2 {
        return broken(property, format!("{a:?}, then {b:?}"));
    }
    for (base, was) in &before.numbers.generations {
        let is = after.numbers.generations.get(base);
        if is.is_none_or(|is| is < was) {
            let detail = format!("{base:?}: next generation {was}, then {is:?}");
            return broken(property, detail);
        }
    }
    for id in SlotId::all() {
        let (was, is) = (before.slot(id), after.slot(id));
        let same = was.epoch == is.epoch;
        let moved = was.master != is.master || (was.serving && !is.serving);
        // In its last epoch a slot is left by its master.
        let allowed = !moved || is.epoch == EPOCH_MAX;
        if is.epoch < was.epoch || (same && !allowed) {
            return broken(property, format!("slot {id}: {was:?}, then {is:?}"));
        }
    }
    let phase = |session: &Session| match session.phase {
        Phase::Live => 0,
        Phase::Dead { .. } => 1,
        Phase::Fenced { .. } => 2,
    };
    for (id, is) in &after.sessions {
        let back = match before.sessions.get(id) {
            Some(was) => phase(was) > phase(is),
            None => *id < before.session_next,
        };
        if back {
            return broken(property, format!("{id:?} came back as {:?}", is.phase));
        }
    }
    let given_out = |id: &LockspaceId| id.generation() < before.numbers.generation_next(id.base());
    let mut lockspaces = after.lockspaces.keys();
    let reused = lockspaces.find(|id| given_out(id) && !before.lockspaces.contains_key(id));
    match reused {
        None => Ok(()),
        Some(id) => broken(property, format!("{id:?} came back")),
    }
}

//! Replicas against each other, in one thread, under a seed.
//!
//! `GLOCKWORK_SEED=N cargo test -p dlm-server --lib replica::` runs that seed only.

mod world;

use std::cell::{Cell, RefCell};

use dlm_core::{LogIndex, ServerId, Tick};

use super::*;
use crate::members::{MemberChange, ServerIdentity};
use crate::storage::{Fault, StorageError};
use world::{World, identity};

/// A seed takes about five milliseconds in a debug build.
const SEEDS: u64 = 300;

fn seeds() -> impl Iterator<Item = u64> {
    let one = std::env::var("GLOCKWORK_SEED").ok();
    let one = one.map(|seed| seed.parse().expect("GLOCKWORK_SEED is a number"));
    one.map_or(0..SEEDS, |seed: u64| seed..seed + 1)
}

/// Runs a world for each seed and says which one failed.
fn each_seed(run: impl Fn(u64)) {
    for seed in seeds() {
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(seed)));
        if let Err(panic) = result {
            eprintln!("seed {seed}; replay it with GLOCKWORK_SEED={seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

/// Faults for a while, then none: what was committed is everywhere, and new entries get through.
fn storm(seed: u64, servers: u64) -> World {
    let mut world = World::new(seed, servers);
    for _ in 0..60 {
        world.disturb();
        world.propose();
        world.run(100_000);
    }
    world.heal();
    world.converge();
    world
}

#[test]
fn logs_agree_and_what_was_committed_survives() {
    let committed = Cell::new(0);
    each_seed(|seed| {
        let servers = if seed % 2 == 0 { 3 } else { 5 };
        committed.set(committed.get() + storm(seed, servers).agreed.len());
    });
    let each = committed.get() / seeds().count();
    assert!(each > 10, "the storm does not stop everything: {each}");
}

#[test]
fn logs_agree_while_the_members_change() {
    let changed = Cell::new(0);
    each_seed(|seed| {
        let mut world = World::new(seed, 5);
        for _ in 0..60 {
            world.disturb();
            world.change_any();
            world.propose();
            world.run(100_000);
        }
        world.heal();
        world.converge();
        changed.set(changed.get() + usize::from(world.members().voters() != 5));
    });
    assert!(
        changed.get() * 2 > seeds().count(),
        "most seeds change them"
    );
}

#[test]
fn the_same_seed_makes_the_same_run() {
    for seed in seeds().take(10) {
        let trace = |seed| storm(seed, 5).trace;
        assert_eq!(trace(seed), trace(seed), "seed {seed}");
        assert_ne!(trace(seed), trace(seed + 1000), "seeds differ");
    }
}

#[test]
fn one_server_alone_decides_alone() {
    let mut world = World::founded(7);
    world.converge();
    let before = world.agreed.len();
    world.crash(0);
    world.start(0);
    world.converge();
    assert!(world.agreed.len() > before);
}

/// It waits for no election timeout, and is no leader at once where somebody else votes too.
#[test]
fn one_server_alone_leads_as_soon_as_it_starts() {
    let mut world = World::founded(8);
    for _ in 0..3 {
        world.start(0);
        assert!(world.replica(0).decides_alone());
        assert_eq!(world.leader(), Some(0));
        world.propose();
        world.run(50_000);
        world.crash(0);
    }
    let mut world = World::new(8, 3);
    assert!(!world.replica(0).decides_alone());
    assert_eq!(world.leader(), None);
}

#[test]
fn servers_are_added_get_a_vote_and_are_removed() {
    each_seed(|seed| {
        let mut world = World::founded(seed);
        world.converge();
        for number in 2..=3 {
            let server = ServerId(number);
            world.join(server);
            let identity = identity(number).server_identity;
            world.change(MemberChange::AddLearner { server, identity });
            world.converge();
            world.change(MemberChange::Promote { server });
            world.converge();
        }
        assert_eq!(world.members().voters(), 3);
        let server = ServerId(1);
        world.transfer(ServerId(3));
        world.change(MemberChange::Remove { server });
        world.crash(0);
        world.converge();
        assert_eq!((world.members().len(), world.members().voters()), (2, 2));
    });
}

#[test]
fn a_wiped_server_is_mute_under_its_old_number() {
    let mut world = World::new(3, 3);
    world.converge();
    world.wipe(1);
    assert!(matches!(
        world.open(1),
        Err(StorageError::NotCreated { .. })
    ));
    // As if it had been set up again to join, with another identity: neither reads what the other says.
    world.rejoin(1, ServerIdentity(99));
    world.converge_but(1);
    assert!(world.refused.contains(&MessageRefusal::Recipient));
    assert!(world.applied(1).is_empty());
    // With it and one other no majority comes together.
    world.crash(0);
    let before = world.agreed.len();
    world.run(3_000_000);
    world.propose();
    world.run(1_000_000);
    assert_eq!(world.agreed.len(), before, "two of three, one of them mute");
    world.start(0);
    let server = ServerId(2);
    world.change(MemberChange::Remove { server });
    let identity = ServerIdentity(99);
    world.change(MemberChange::AddLearner { server, identity });
    world.change(MemberChange::Promote { server });
    world.converge();
    assert_eq!(world.members().voters(), 3);
}

#[test]
fn a_disk_that_fails_stops_its_server_only() {
    for fault in [Fault::Full, Fault::Io] {
        let mut world = World::new(11, 3);
        world.converge();
        world.fail(2, Some(fault));
        world.converge_but(2);
        assert!(world.stopped(2), "the server whose disk failed stopped");
        world.start(2);
        world.converge();
    }
}

#[test]
fn a_damaged_entry_is_found() {
    let mut world = World::new(12, 3);
    world.converge();
    world.crash(0);
    assert!(world.damage(0));
    assert!(matches!(world.open(0), Err(StorageError::Corrupt { .. })));
    world.converge_but(0);
}

#[test]
fn reads_are_a_round_of_the_quorum() {
    let mut world = World::new(5, 3);
    world.converge();
    let leader = world.leader().expect("a leader");
    let context = Context(1 << 40);
    world.event(leader, Event::Read { context });
    world.run(50_000);
    let ready = |world: &World| {
        let mut answers = world.reads.iter();
        answers
            .any(|action| matches!(action, Action::ReadReady { context: c, .. } if *c == context))
    };
    assert!(ready(&world));
    // Cut off, it still thinks that it leads, and no round ends.
    world.cut(leader);
    world.reads.clear();
    world.event(leader, Event::Read { context });
    world.run(100_000);
    assert!(world.reads.is_empty(), "nobody answered");
    world.run(2_000_000);
    assert_eq!(world.reads, [Action::ReadDropped { context }]);
    let follower = world.leader().expect("another leader");
    assert_ne!(follower, leader);
}

/// How long after its leader's death a cluster of three has another, by the round of 10 ms.
#[test]
fn a_new_leader_comes_soon() {
    let rounds = RefCell::new(Vec::new());
    each_seed(|seed| {
        let mut world = World::new(seed, 3);
        world.converge();
        let old = world.leader().expect("a leader");
        world.crash(old);
        let took = (1..=300).find(|_| {
            world.run(10_000);
            world.leader().is_some()
        });
        rounds.borrow_mut().push(took.expect("a leader in 3 s"));
    });
    let mut rounds = rounds.into_inner();
    rounds.sort_unstable();
    let part = |percent: usize| rounds[rounds.len() * percent / 100];
    println!("p50 {} p90 {} p99 {}", part(50), part(90), part(99));
    assert!(part(50) < 60 && part(90) < 80, "{rounds:?}");
}

#[test]
fn what_is_not_for_the_log_is_refused() {
    let mut world = World::new(9, 3);
    world.converge();
    let leader = world.leader().expect("a leader");
    let follower = (leader + 1) % 3;
    let mut answers = |server: usize, event: Event| {
        let mut out = Vec::new();
        let now = world.now;
        world.replica(server).step(now, event, &mut out);
        out
    };
    let context = Context(77);
    let dropped = |why| Action::ProposalDropped { context, why };
    let propose = |len| Event::Propose {
        context,
        bytes: vec![1; len],
    };
    for len in [0, PROPOSAL_BYTES_MAX + 1] {
        assert!(answers(leader, propose(len)).contains(&dropped(Dropped::Size)));
    }
    let known = Some(ServerId(leader as u64 + 1));
    let why = Dropped::NotLeader { leader: known };
    assert!(answers(follower, propose(1)).contains(&dropped(why)));
    assert!(answers(follower, Event::Read { context }).contains(&Action::ReadDropped { context }));
    let server = ServerId(leader as u64 + 1);
    let change = MemberChange::Remove { server };
    let remove = Event::Change { context, change };
    assert!(answers(leader, remove).contains(&dropped(Dropped::Leader)));
    let from = ServerId(follower as u64 + 1);
    for (bytes, why) in [
        (vec![], MessageRefusal::Garbled),
        (vec![1; 48], MessageRefusal::Garbled),
        (vec![1; 60], MessageRefusal::Cluster),
    ] {
        let message = Event::Message { from, bytes };
        assert!(answers(leader, message).contains(&Action::MessageRefused { from, why }));
    }
}

#[test]
fn a_snapshot_is_of_what_was_given_out() {
    let mut world = World::new(21, 3);
    world.converge();
    let index = LogIndex(world.replica(0).applied().0 + 1);
    let bytes = Vec::new();
    let made = Event::SnapshotMade { index, bytes };
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let now = Tick(world.now.0);
        world.replica(0).step(now, made, &mut Vec::new());
    }));
    assert!(result.is_err());
}

//! Nodes against each other over a real lock table: exclusion, coherence, and that everyone is served.

mod world;

use glock_core::{Failure, HolderFlags, Input, Release, State};
use proptest::prelude::*;

use world::{Fate, GLOCKS, NODES, World};

#[derive(Clone, Copy, Debug)]
enum Action {
    Enqueue {
        node: usize,
        glock: usize,
        state: State,
        flags: HolderFlags,
    },
    Release {
        which: usize,
        release: Release,
    },
    Interrupt {
        which: usize,
    },
    ToTable {
        node: usize,
    },
    ToNode {
        node: usize,
    },
    Hook {
        node: usize,
    },
    Advance {
        micros: u64,
    },
    Demote {
        node: usize,
        glock: usize,
    },
    Settle,
}

fn enqueue() -> impl Strategy<Value = Action> {
    let state = prop_oneof![Just(State::Sh), Just(State::Df), Just(State::Ex)];
    let flags = prop_oneof![
        6 => Just(HolderFlags::empty()),
        2 => Just(HolderFlags::TRY),
        2 => Just(HolderFlags::TRY_1CB),
        3 => Just(HolderFlags::FAULT),
        1 => Just(HolderFlags::NOBLOCK),
        1 => Just(HolderFlags::NOCACHE),
        1 => Just(HolderFlags::EXACT),
    ];
    (0..NODES, 0..GLOCKS, state, flags).prop_map(|(node, glock, state, flags)| Action::Enqueue {
        node,
        glock,
        state,
        flags,
    })
}

fn action() -> impl Strategy<Value = Action> {
    let release = prop_oneof![Just(Release::Normal), Just(Release::Yield)];
    prop_oneof![
        4 => enqueue(),
        3 => (0..8usize, release).prop_map(|(which, release)| Action::Release { which, release }),
        1 => (0..8usize).prop_map(|which| Action::Interrupt { which }),
        5 => (0..NODES).prop_map(|node| Action::ToTable { node }),
        5 => (0..NODES).prop_map(|node| Action::ToNode { node }),
        4 => (0..NODES).prop_map(|node| Action::Hook { node }),
        1 => (1..2_000u64).prop_map(|micros| Action::Advance { micros }),
        1 => (0..NODES, 0..GLOCKS).prop_map(|(node, glock)| Action::Demote { node, glock }),
        1 => Just(Action::Settle),
    ]
}

fn act(world: &mut World, action: Action) {
    match action {
        Action::Enqueue {
            node,
            glock,
            state,
            flags,
        } => world.enqueue(node, glock, state, flags),
        Action::Release { which, release } => {
            if let Some(&id) = world.having(Fate::Holds).get(which) {
                world.release(id, release);
            }
        }
        Action::Interrupt { which } => {
            if let Some(&id) = world.having(Fate::Waits).get(which) {
                world.interrupt(id);
            }
        }
        Action::ToTable { node } => _ = world.deliver_to_table(node),
        Action::ToNode { node } => _ = world.deliver_to_node(node),
        Action::Hook { node } => _ = world.return_hook(node),
        Action::Advance { micros } => world.advance(micros),
        Action::Demote { node, glock } => world.input(node, glock, Input::Demote),
        Action::Settle => settle(world),
    }
}

/// When everything has happened that happens without a holder letting go, no try waits, and whoever
/// waits has somebody to wait for.
fn settle(world: &mut World) {
    world.settle();
    for id in world.having(Fate::Waits) {
        let waiter = world.tasks[&id];
        let tries = HolderFlags::TRY | HolderFlags::TRY_1CB | HolderFlags::NOBLOCK;
        assert!(!waiter.flags.intersects(tries), "a try waits for a holder");
        let held = world
            .having(Fate::Holds)
            .iter()
            .any(|id| world.tasks[id].glock == waiter.glock);
        assert!(
            held,
            "{} waits on node {} for nobody",
            waiter.state, waiter.node
        );
    }
}

fn run(actions: Vec<Action>) {
    let mut world = World::new();
    for action in actions {
        act(&mut world, action);
    }
    let tasks = world.tasks.len();
    for _ in 0..=tasks {
        settle(&mut world);
        for id in world.having(Fate::Holds) {
            world.release(id, Release::Normal);
        }
    }
    for task in world.tasks.values() {
        let served = match task.fate {
            Fate::Gone | Fate::Failed(Failure::Interrupted) => true,
            Fate::Failed(Failure::TryFailed) => task
                .flags
                .intersects(HolderFlags::TRY | HolderFlags::TRY_1CB | HolderFlags::NOBLOCK),
            Fate::Failed(_) | Fate::Waits | Fate::Holds => false,
        };
        assert!(
            served,
            "{} on node {}: {:?}",
            task.state, task.node, task.fate
        );
    }
    for node in 0..NODES {
        for glock in 0..GLOCKS {
            world.input(node, glock, Input::Free);
        }
    }
    world.settle();
    assert!(world.all_free());
    assert_eq!(world.locks_at_table(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn nodes_exclude_each_other_and_everyone_is_served(
        actions in prop::collection::vec(action(), 1..200)
    ) {
        run(actions);
    }
}

/// A node whose tasks come without end cannot keep the glock from another one.
#[test]
fn a_stream_of_local_holders_does_not_starve_another_node() {
    for flags in [HolderFlags::empty(), HolderFlags::FAULT] {
        let mut world = World::new();
        world.enqueue(0, 0, State::Sh, flags);
        world.settle();
        world.enqueue(1, 0, State::Ex, flags);
        let writer = *world.having(Fate::Waits).first().unwrap();
        for round in 0.. {
            assert!(round < 100, "the other node starves");
            // There is always a holder: a new one comes before the old one goes.
            let old = world.having(Fate::Holds);
            world.enqueue(0, 0, State::Sh, flags);
            for id in old {
                world.release(id, Release::Normal);
            }
            for node in 0..NODES {
                world.deliver_to_table(node);
                world.deliver_to_node(node);
                world.return_hook(node);
            }
            world.advance(100);
            if world.tasks[&writer].fate == Fate::Holds {
                break;
            }
        }
        assert_eq!(world.state(1, 0), State::Ex);
    }
}

/// Two nodes that upgrade from SH at once: one conversion is refused, lets go, and both are served.
#[test]
fn two_upgrades_at_once_are_both_served() {
    let mut world = World::new();
    for node in 0..2 {
        world.enqueue(node, 0, State::Sh, HolderFlags::empty());
    }
    world.settle();
    for id in world.having(Fate::Holds) {
        world.release(id, Release::Normal);
    }
    for node in 0..2 {
        world.enqueue(node, 0, State::Ex, HolderFlags::empty());
    }
    for _ in 0..2 {
        settle(&mut world);
        let holds = world.having(Fate::Holds);
        assert_eq!(holds.len(), 1);
        world.release(holds[0], Release::Normal);
    }
    assert_eq!(world.having(Fate::Waits), []);
}

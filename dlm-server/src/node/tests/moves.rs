//! A slot moves with its table: nothing is re-asserted, nothing is lost, nothing is applied twice.

use dlm_core::cluster::ClusterOptions;
use dlm_core::recovery::PhaseName;
use dlm_core::{LockId, Mode, SlotId, Status};

use super::client::{SPACE, name};
use super::seeds;
use super::world::World;
use crate::replica::Config;

const LOCKS: u64 = 40;

/// Two servers serve; a client holds locks, another waits for them. Then the first one does things whose
/// answers it does not get, a third server starts and takes a third of all slots, and the client comes
/// back.
#[test]
fn what_was_answered_before_a_move_is_answered_again_after_it() {
    seeds(|seed| {
        // A server that began again would be another story: its slots are lost, and who is deaf meanwhile
        // does not claim what it has and is evicted.
        let mut world = World::keeping(seed, &[0, 1], Config::DEFAULT.entries_kept);
        world.loss = 3;
        world.settle();
        world.open_space(2, ClusterOptions::default());
        let mut waits = Vec::new();
        for lock in 0..LOCKS {
            let text = format!("m{lock}");
            let held = world.clients[0].lock(lock, &text, Mode::Ex);
            world.until_status(0, held, Status::Granted);
            waits.push(world.clients[1].lock(lock, &text, Mode::Pr));
            world.until("the holder is asked", |world| {
                world.clients[0].blocked.len() as u64 == lock + 1
            });
        }
        let before: Vec<usize> = masters(&world);
        world.deaf.insert(0);
        // Unlocked and asked for once more would be refused if they were applied twice.
        let unlocked: Vec<_> = (0..LOCKS / 2)
            .map(|lock| world.clients[0].unlock(lock))
            .collect();
        let requested: Vec<_> = (0..LOCKS)
            .map(|lock| world.clients[0].lock(100 + lock, &format!("n{lock}"), Mode::Ex))
            .collect();
        for wait in &waits[..unlocked.len()] {
            world.until_status(1, *wait, Status::Granted);
        }
        world.start(2);
        world.settle();
        assert!(world.masters(2, PhaseName::Serving) >= 85);
        world.until("what moved is dropped", |world| {
            let leaving = |server| world.masters(server, PhaseName::Leaving);
            leaving(0) + leaving(1) == 0
        });
        let after = masters(&world);
        let moved = before.iter().zip(&after).filter(|(a, b)| a != b).count();
        assert!(moved > 5, "{moved} of the resources moved");
        // The old masters may be lost with what they have not delivered.
        let victim = world.follower();
        if seed % 2 == 0 && victim != 2 {
            world.kill(victim);
            world.start(victim);
        }
        world.clients[0].break_streams();
        world.deaf.clear();
        for op in unlocked {
            world.until_status(0, op, Status::Unlocked);
        }
        for op in requested {
            world.until_status(0, op, Status::Granted);
        }
        for lock in LOCKS / 2..LOCKS {
            let wait = waits[lock as usize];
            assert_eq!(world.clients[1].status(wait), None);
            let op = world.clients[0].unlock(lock);
            world.until_status(0, op, Status::Unlocked);
            world.until_status(1, wait, Status::Granted);
        }
        assert_eq!(world.clients[1].locks.len() as u64, LOCKS);
        assert!(world.clients[1].locks.contains_key(&LockId(0)));
    });
}

fn masters(world: &World) -> Vec<usize> {
    let slots = (0..LOCKS).map(|lock| SlotId::of(SPACE, &name(&format!("m{lock}"))));
    slots.map(|slot| world.master_of(slot)).collect()
}

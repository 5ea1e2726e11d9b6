//! A master is lost: its slots are made anew from what clients have.

use dlm_core::cluster::ClusterOptions;
use dlm_core::recovery::PhaseName;
use dlm_core::{LockId, Mode, OpId, SlotId, Status};

use super::client::{SPACE, name};
use super::seeds;
use super::world::World;

pub(super) const LOCKS: u64 = 24;

/// Client 0 holds everything, client 1 and then client 2 wait for everything.
pub(super) fn queue_up(world: &mut World) -> Vec<[OpId; 3]> {
    let mut ops = Vec::new();
    for lock in 0..LOCKS {
        let text = format!("r{lock}");
        let held = world.clients[0].lock(lock, &text, Mode::Ex);
        world.until_status(0, held, Status::Granted);
        let mut waits = [held; 3];
        for client in [1, 2] {
            waits[client] = world.clients[client].lock(lock, &text, Mode::Ex);
            world.until("it is told its position", |world| {
                let lock = &world.clients[client].locks[&LockId(lock)];
                lock.serial.is_some()
            });
        }
        ops.push(waits);
    }
    ops
}

/// Each lock goes from one to the next, in the order in which they came.
pub(super) fn pass_on(world: &mut World, ops: &[[OpId; 3]]) {
    for (lock, [_, second, third]) in ops.iter().enumerate() {
        let lock = lock as u64;
        let tokens =
            |world: &World, client: usize| world.clients[client].locks[&LockId(lock)].token;
        let first_token = tokens(world, 0);
        let gone = world.clients[0].unlock(lock);
        world.until_status(0, gone, Status::Unlocked);
        world.until_status(1, *second, Status::Granted);
        world.run(20_000);
        assert_eq!(world.clients[2].status(*third), None, "it was behind");
        assert!(tokens(world, 1) > first_token);
        let gone = world.clients[1].unlock(lock);
        world.until_status(1, gone, Status::Unlocked);
        world.until_status(2, *third, Status::Granted);
        assert!(tokens(world, 2) > first_token);
    }
}

#[test]
fn slots_of_a_killed_master_are_recovered_elsewhere_and_waiters_keep_their_order() {
    seeds(|seed| {
        for leads in [false, true] {
            let mut world = World::with_clients(seed, 3, ClusterOptions::default());
            let ops = queue_up(&mut world);
            let leader = world.leader().expect("a leader");
            let victim = if leads { leader } else { world.follower() };
            let its = (0..LOCKS).map(|lock| SlotId::of(SPACE, &name(&format!("r{lock}"))));
            let its: Vec<SlotId> = its
                .filter(|slot| world.master_of(*slot) == victim)
                .collect();
            assert!(!its.is_empty());
            let another = "another";
            let killed = world.now;
            world.kill(victim);
            world.settle();
            println!("served again {} us after the kill", world.now.since(killed));
            assert!(world.now.since(killed) < 3_000_000);
            assert!(its.iter().all(|slot| world.master_of(*slot) != victim));
            let op = world.clients[0].lock(1000, another, Mode::Pr);
            world.until_status(0, op, Status::Granted);
            pass_on(&mut world, &ops);
            // The server comes back, and gets its share again.
            world.start(victim);
            world.settle();
            assert!(world.masters(victim, PhaseName::Serving) >= 85);
            assert_eq!(world.clients[2].locks.len() as u64, LOCKS);
        }
    });
}

/// All servers are killed and started again, one after the other: the locks live in the clients.
#[test]
fn every_server_may_be_restarted_in_turn() {
    seeds(|seed| {
        let mut world = World::with_clients(seed, 3, ClusterOptions::default());
        let ops = queue_up(&mut world);
        world.loss = 3;
        for server in 0..3 {
            world.kill(server);
            world.run(100_000);
            world.start(server);
            world.settle();
        }
        pass_on(&mut world, &ops);
    });
}

//! What is done for whoever looks after the cluster: waits end, orphans go.

use dlm_core::cluster::ClusterOptions;
use dlm_core::deadlock::{self, LockView, Victim};
use dlm_core::link::{EverywhereKind, OperationKind};
use dlm_core::{Epoch, LockId, LockspaceId, Mode, Owner, RequestFlags, SessionId, SlotId, Status};

use super::super::{Input, OrderId, OrderRefusal, Ordered};
use super::client::{SPACE, name};
use super::seeds;
use super::world::World;

impl World {
    fn order(&mut self, server: usize, make: impl FnOnce(OrderId) -> Input) -> Ordered {
        let order = OrderId(self.chance(u64::MAX));
        self.input(server, make(order));
        let (answered, outcome) = self.ordered.pop().expect("orders are answered at once");
        assert_eq!(answered, order);
        outcome
    }

    fn end_wait(&mut self, server: usize, (slot, epoch): (SlotId, Epoch), of: Victim) -> Ordered {
        self.order(server, |order| Input::EndWait {
            order,
            slot,
            epoch,
            victim: of,
        })
    }

    fn purge(&mut self, server: usize, session: SessionId, owner: Option<Owner>) -> Ordered {
        self.order(server, |order| Input::PurgeOrphans {
            order,
            session,
            lockspace: SPACE,
            owner,
        })
    }

    /// A client's lock as its master has it.
    fn lock_of(&self, client: usize, lock: u64, text: &str) -> Option<LockView> {
        let slot = SlotId::of(SPACE, &name(text));
        let server = self.master_of(slot);
        let mut masters = self.node(server).masters();
        let master = masters.find(|master| master.slot() == slot)?;
        let session = self.clients[client].session()?;
        let views = master.table().view(Some(SPACE)).into_iter();
        let mut locks = views.flat_map(|resource| resource.locks);
        locks.find(|one| (one.session, one.lock) == (session, LockId(lock)))
    }

    fn epoch_of(&self, slot: SlotId) -> Epoch {
        let leader = self.leader().expect("a leader");
        self.node(leader).state().slot(slot).epoch
    }
}

/// Two clients that hold one of two resources each and wait for the other one's; the graph over all three
/// servers has the cycle.
fn deadlock(seed: u64) -> (World, Victim, SlotId, dlm_core::OpId) {
    let mut world = World::with_clients(seed, 2, ClusterOptions::default());
    for (client, own) in [(0, "a"), (1, "b")] {
        let op = world.clients[client].lock(1, own, Mode::Ex);
        world.until_status(client, op, Status::Granted);
    }
    let mut ops = Vec::new();
    for (client, other) in [(0, "b"), (1, "a")] {
        ops.push(world.clients[client].lock(2, other, Mode::Ex));
        world.until("it waits", |world| {
            let lock = world.lock_of(client, 2, other);
            lock.is_some_and(|lock| lock.requested.is_some())
        });
    }
    let servers = 0..3;
    let masters = servers.flat_map(|server| world.node(server).masters());
    let resources: Vec<_> = masters
        .flat_map(|master| master.table().view(None))
        .collect();
    let graph = deadlock::build(&resources, &[]);
    assert_eq!(graph.cycles.len(), 1);
    let victim = deadlock::victim(&resources, &graph, &graph.cycles[0]).expect("a victim");
    let first = Some(victim.session) == world.clients[0].session();
    let (text, op) = if first { ("b", ops[0]) } else { ("a", ops[1]) };
    (world, victim, SlotId::of(SPACE, &name(text)), op)
}

#[test]
fn a_wait_ends_at_the_master_of_its_slot_and_only_once() {
    seeds(|seed| {
        let (mut world, victim, slot, op) = deadlock(seed);
        let (server, epoch) = (world.master_of(slot), world.epoch_of(slot));
        let not_master = Ordered::Refused(OrderRefusal::NotMaster);
        let elsewhere = world.end_wait((server + 1) % 3, (slot, epoch), victim);
        assert_eq!(elsewhere, not_master);
        let earlier = world.end_wait(server, (slot, Epoch(epoch.0 - 1)), victim);
        assert_eq!(earlier, not_master);
        let other = Victim {
            serial: victim.serial + 1,
            ..victim
        };
        let outcome = world.end_wait(server, (slot, epoch), other);
        assert_eq!(outcome, Ordered::NoSuchWait);
        let client = usize::from(Some(victim.session) != world.clients[0].session());
        assert_eq!(world.clients[client].status(op), None);

        let outcome = world.end_wait(server, (slot, epoch), victim);
        assert_eq!(outcome, Ordered::WaitEnded);
        world.until_status(client, op, Status::Deadlock);
        let outcome = world.end_wait(server, (slot, epoch), victim);
        assert_eq!(outcome, Ordered::NoSuchWait);
        // The other one gets what it waits for when the victim gives up what it holds.
        let unlocked = world.clients[client].unlock(1);
        world.until_status(client, unlocked, Status::Unlocked);
        world.until("the other one is granted", |world| {
            let lock = &world.clients[1 - client].locks[&LockId(2)];
            lock.held == Some(Mode::Ex)
        });
    });
}

#[test]
fn nothing_is_ended_without_a_lease() {
    seeds(|seed| {
        let (mut world, victim, slot, op) = deadlock(seed);
        let (server, epoch) = (world.master_of(slot), world.epoch_of(slot));
        world.cut(server);
        world.until("its lease runs out", |world| {
            !world.node(server).holds_lease(world.now)
        });
        let no_lease = Ordered::Refused(OrderRefusal::NoLease);
        assert_eq!(world.end_wait(server, (slot, epoch), victim), no_lease);
        let session = victim.session;
        assert_eq!(world.purge(server, session, None), no_lease);
        let client = usize::from(Some(session) != world.clients[0].session());
        assert_eq!(world.clients[client].status(op), None);
    });
}

#[test]
fn orphans_go_in_all_slots_and_waiters_are_granted() {
    const LOCKS: u64 = 24;
    seeds(|seed| {
        let mut world = World::with_clients(seed, 2, ClusterOptions::default());
        for lock in 0..LOCKS {
            let op = world.clients[0].lock(lock, &format!("r{lock}"), Mode::Ex);
            let known = world.clients[0].locks.get_mut(&LockId(lock));
            if let Some((_, OperationKind::Request { flags, .. })) =
                &mut known.expect("a lock").pending
            {
                *flags = RequestFlags::PERSISTENT;
            }
            world.until_status(0, op, Status::Granted);
        }
        let session = world.clients[0].session().expect("it joined");
        for server in 0..3 {
            let none = world.purge(server, session, None);
            assert!(
                matches!(none, Ordered::Purged { locks: 0, .. }),
                "{none:?}: no task has ended"
            );
        }
        let owner = Owner(0);
        let mut ops = Vec::new();
        world.with_client(0, |client, world| {
            ops = client.everywhere(EverywhereKind::OwnerEnded { owner }, world);
        });
        world.until("all servers have answered", |world| {
            world.clients[0].purged.len() == ops.len()
        });
        let waits: Vec<_> = (0..LOCKS)
            .map(|lock| world.clients[1].lock(lock, &format!("r{lock}"), Mode::Pr))
            .collect();
        world.run(1_000_000);
        assert_eq!(world.clients[1].answered.len(), 0);

        let refused = world.order(0, |order| Input::PurgeOrphans {
            order,
            session,
            lockspace: LockspaceId(99),
            owner: None,
        });
        let why = OrderRefusal::NoSuchLockspace;
        assert_eq!(refused, Ordered::Refused(why));
        let refused = world.purge(0, SessionId(99), None);
        let why = OrderRefusal::NoSuchSession;
        assert_eq!(refused, Ordered::Refused(why));
        let (mut gone, mut looked) = (0, 0);
        for server in 0..3 {
            let none = world.purge(server, session, Some(Owner(7)));
            assert!(matches!(none, Ordered::Purged { locks: 0, .. }));
            let Ordered::Purged { locks, slots } = world.purge(server, session, Some(owner)) else {
                panic!("server {server} purges");
            };
            (gone, looked) = (gone + locks, looked + slots.len());
        }
        assert_eq!((gone, looked), (LOCKS, 256));
        for wait in waits {
            world.until_status(1, wait, Status::Granted);
        }
        // The session got no answer to what it did not ask, and knows what it has not any more.
        assert_eq!(world.clients[0].purged.len(), ops.len());
        world.until("the session has heard of it", |world| {
            world.clients[0].lost_orphans.len() as u64 == LOCKS
        });
    });
}

/// It is not known what a dead session still does: what it left stays until it is fenced.
#[test]
fn a_dead_session_keeps_its_orphans() {
    seeds(|seed| {
        let mut world = World::new(seed, &[]);
        (world.fences, world.fences_fail) = (true, true);
        for server in 0..3 {
            world.start(server);
        }
        world.settle();
        let options = ClusterOptions {
            fenced: true,
            ..ClusterOptions::default()
        };
        world.open_space(1, options);
        let session = world.clients[0].session().expect("it joined");
        world.clients[0].silent = true;
        world.until("it is dead", |world| world.fenced.contains(&session));
        let leader = world.leader().expect("a leader");
        let dead = Ordered::Refused(OrderRefusal::SessionDead);
        assert_eq!(world.purge(leader, session, None), dead);
    });
}

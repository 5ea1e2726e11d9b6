//! How sessions come, work and go.

use dlm_core::call::Call;
use dlm_core::cluster::{ClusterOptions, CommandRefusal, Death, Name};
use dlm_core::link::{EverywhereKind, StreamRefusal};
use dlm_core::{Mode, Owner, Refusal, Status};

use super::super::Notice;
use super::client::{SPACE, name};
use super::leases::name_at;
use super::seeds;
use super::world::World;
use dlm_core::SlotId;

impl World {
    /// A cluster of three with so many clients that have the lockspace open.
    pub(super) fn with_clients(seed: u64, clients: usize, options: ClusterOptions) -> Self {
        let mut world = Self::new(seed, &[0, 1, 2]);
        world.settle();
        world.open_space(clients, options);
        world
    }

    pub(super) fn open_space(&mut self, clients: usize, options: ClusterOptions) {
        for _ in 0..clients {
            let client = self.client();
            let session = self.clients[client].session().expect("it joined");
            let space = Name::new("space").expect("a name");
            let nonce = self.clients[client].nonce;
            self.clients[client].ask(Call::OpenLockspace {
                session,
                nonce,
                name: space.clone(),
                options: Some(options),
            });
            self.until("the lockspace opens", |world| {
                world.clients[client].spaces.get(&space) == Some(&SPACE)
            });
        }
    }

    pub(super) fn until_status(&mut self, client: usize, op: dlm_core::OpId, status: Status) {
        let name = format!("client {client}: {op:?} is {status:?}");
        self.until(&name, |world| world.clients[client].answer(op).is_some());
        assert_eq!(self.clients[client].status(op), Some(status), "{name}");
    }
}

/// A server that is behind with the log serves on as long as its lease holds.
#[test]
fn who_opened_a_lockspace_is_not_refused_by_a_server_that_has_yet_to_hear_of_it() {
    seeds(|seed| {
        let mut world = World::with_clients(seed, 1, ClusterOptions::default());
        let opens = world.client();
        let never = world.client();
        // Their streams are open then.
        world.run(500_000);
        let behind = world.follower();
        let text = name_at(&world, behind);
        world.cut(behind);
        let session = world.clients[opens].session().expect("it joined");
        let nonce = world.clients[opens].nonce;
        let space = Name::new("space").expect("a name");
        world.clients[opens].ask(Call::OpenLockspace {
            session,
            nonce,
            name: space.clone(),
            options: None,
        });
        world.until("the lockspace opens", |world| {
            world.clients[opens].spaces.contains_key(&space)
        });
        let locked = world.clients[opens].lock(1, &text, Mode::Pr);
        let gone = world.clients[never].lock(1, &text, Mode::Pr);
        world.run(20_000);
        assert_eq!(world.clients[opens].status(locked), None);
        assert!(world.node(behind).holds_lease(world.now));
        world.heal();
        world.until_status(opens, locked, Status::Granted);
        let refused = Status::Refused(Refusal::NoSuchLockspace);
        world.until_status(never, gone, refused);
        assert_eq!(world.master_of(SlotId::of(SPACE, &name(&text))), behind);
    });
}

#[test]
fn locks_are_served_by_the_masters_of_their_slots() {
    seeds(|seed| {
        let mut world = World::with_clients(seed, 2, ClusterOptions::default());
        let mut masters = std::collections::BTreeSet::new();
        for lock in 0..24 {
            let text = format!("r{lock}");
            masters.insert(world.master_of(SlotId::of(SPACE, &name(&text))));
            let op = world.clients[0].lock(lock, &text, Mode::Pr);
            world.until_status(0, op, Status::Granted);
            let op = world.clients[1].lock(lock, &text, Mode::Ex);
            world.until("the holder is asked", |world| {
                world.clients[0].blocked.len() as u64 == lock + 1
            });
            assert_eq!(world.clients[1].status(op), None);
            let down = world.clients[0].convert(lock, Mode::Nl);
            world.until_status(0, down, Status::Granted);
            world.until_status(1, op, Status::Granted);
            let up = world.clients[0].convert(lock, Mode::Pr);
            let tried = world.clients[0].try_lock(100 + lock, &text, Mode::Ex);
            world.until_status(0, tried, Status::TryFailed);
            let gone = world.clients[1].unlock(lock);
            world.until_status(1, gone, Status::Unlocked);
            world.until_status(0, up, Status::Granted);
        }
        assert_eq!(masters.len(), 3, "all three serve");
        let owner = Owner(0);
        let mut ops = Vec::new();
        world.with_client(0, |client, world| {
            ops = client.everywhere(EverywhereKind::OwnerEnded { owner }, world);
        });
        world.until("all servers have answered", |world| {
            world.clients[0].purged.len() == ops.len()
        });
        let purged = world.clients[0].purged.iter();
        assert_eq!(purged.map(|(_, locks)| locks).sum::<u32>(), 24);
    });
}

/// Its number is taken: what comes after it is no gap.
#[test]
fn what_could_not_be_read_is_refused_under_its_number_and_the_stream_goes_on() {
    seeds(|seed| {
        let mut world = World::with_clients(seed, 1, ClusterOptions::default());
        let held = world.clients[0].lock(1, "a", Mode::Ex);
        world.until_status(0, held, Status::Granted);
        let mut ops = Vec::new();
        world.with_client(0, |client, world| {
            ops = client.unreadable(Refusal::NameLength, world);
        });
        assert!(!ops.is_empty());
        for op in ops {
            world.until_status(0, op, Status::Refused(Refusal::NameLength));
        }
        let down = world.clients[0].convert(1, Mode::Nl);
        world.until_status(0, down, Status::Granted);
        assert_eq!(world.clients[0].ends, []);
    });
}

#[test]
fn a_goodbye_leaves_nothing_behind() {
    seeds(|seed| {
        let mut world = World::with_clients(seed, 2, ClusterOptions::default());
        let held = world.clients[0].lock(1, "a", Mode::Ex);
        world.until_status(0, held, Status::Granted);
        let waits = world.clients[1].lock(1, "a", Mode::Ex);
        world.until("the holder is asked", |world| {
            !world.clients[0].blocked.is_empty()
        });
        let session = world.clients[0].session().expect("it joined");
        let nonce = world.clients[0].nonce;
        world.clients[0].ask(Call::Goodbye { session, nonce });
        world.until_status(1, waits, Status::Granted);
        assert_eq!(world.clients[0].done, 1);
        let leader = world.leader().expect("a leader");
        assert!(!world.node(leader).state().sessions().contains_key(&session));
        world.clients[0].ask(Call::KeepAlive { session, nonce });
        world.until("it is told", |world| !world.clients[0].refusals.is_empty());
        let refusal = &world.clients[0].refusals[0];
        assert_eq!(*refusal, CommandRefusal::NoSuchSession);
    });
}

/// Where no fence command is configured, its own lease is its fence.
#[test]
fn a_session_that_expires_is_fenced_and_purged_and_its_waiters_are_granted() {
    seeds(|seed| {
        for fenced in [false, true] {
            let options = ClusterOptions::default();
            let mut world = World::new(seed, &[]);
            world.fences = fenced;
            for server in 0..3 {
                world.start(server);
            }
            world.settle();
            world.open_space(2, options);
            let held = world.clients[0].lock(1, "a", Mode::Ex);
            world.until_status(0, held, Status::Granted);
            let waits = world.clients[1].lock(1, "a", Mode::Ex);
            world.until("the holder is asked", |world| {
                !world.clients[0].blocked.is_empty()
            });
            let (before, session) = (world.now, world.clients[0].session().expect("it joined"));
            world.clients[0].silent = true;
            world.until_status(1, waits, Status::Granted);
            let lease_us = dlm_core::cluster::Timing::DEFAULT.session_lease_us;
            assert!(world.now.since(before) > lease_us - 1_100_000, "too early");
            let died = Notice::Died {
                session,
                why: Death::LeaseRanOut,
            };
            assert!(world.notices.iter().any(|(_, notice)| *notice == died));
            assert_eq!(world.fenced.contains(&session), fenced);
            // Dead or gone, it gets nothing.
            let other = world.clients[0].lock(2, "b", Mode::Pr);
            world.clients[0].silent = false;
            world.run(2_000_000);
            assert_eq!(world.clients[0].status(other), None);
            assert!(world.clients[0].dead);
        }
    });
}

/// A lockspace that is not content with the lease: no command is configured, and somebody has to vouch.
#[test]
fn where_the_lease_is_not_enough_and_no_command_is_configured_somebody_vouches() {
    seeds(|seed| {
        let options = ClusterOptions {
            fenced: true,
            ..ClusterOptions::default()
        };
        let mut world = World::with_clients(seed, 2, options);
        let held = world.clients[0].lock(1, "a", Mode::Ex);
        world.until_status(0, held, Status::Granted);
        let waits = world.clients[1].lock(1, "a", Mode::Ex);
        let session = world.clients[0].session().expect("it joined");
        world.clients[0].silent = true;
        world.run(3 * dlm_core::cluster::Timing::DEFAULT.session_lease_us);
        let leader = world.leader().expect("a leader");
        assert_eq!(world.node(leader).state().fences_wanted().count(), 1);
        assert_eq!(world.clients[1].status(waits), None);
        world.clients[1].ask(Call::FenceConfirmed { session });
        world.until_status(1, waits, Status::Granted);
    });
}

/// A dead session whose fence fails keeps what it holds, and gets nothing; until somebody says that it is
/// over.
#[test]
fn a_session_whose_fence_fails_stays_dead() {
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
        world.open_space(2, options);
        let held = world.clients[0].lock(1, "a", Mode::Ex);
        world.until_status(0, held, Status::Granted);
        let waits = world.clients[1].lock(1, "a", Mode::Ex);
        let session = world.clients[0].session().expect("it joined");
        world.clients[0].silent = true;
        world.until("its fence failed twice", |world| {
            world.fenced.iter().filter(|&&of| of == session).count() >= 2
        });
        assert_eq!(world.clients[1].status(waits), None);
        world.with_client(0, |client, world| {
            client.break_streams();
            client.ends.clear();
            client.sync(world);
        });
        world.run(50_000);
        let ends = &world.clients[0].ends;
        assert!(!ends.is_empty());
        assert!(
            ends.iter().all(|why| *why == StreamRefusal::SessionDead),
            "{ends:?}"
        );
        world.clients[1].ask(Call::FenceConfirmed { session });
        world.until_status(1, waits, Status::Granted);
    });
}

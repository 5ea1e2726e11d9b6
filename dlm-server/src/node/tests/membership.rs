//! Servers are added and removed, whoever leads meanwhile.

use dlm_core::call::Call;
use dlm_core::cluster::{ClusterOptions, CommandRefusal, Endpoint, Origin, Role};
use dlm_core::recovery::PhaseName;
use dlm_core::{ServerId, SlotId};

use super::super::{Input, Node, Notice};
use super::failover::{pass_on, queue_up};
use super::seeds;
use super::world::{World, identity};
use crate::members::ServerIdentity;

fn number(server: usize) -> ServerId {
    identity(server).server
}

fn add(server: usize, identity: ServerIdentity) -> Call {
    Call::AddServer {
        server: number(server),
        peer_endpoint: Endpoint::new(format!("server{server}:7171")).expect("an address"),
        identity: identity.0,
    }
}

fn add_it(server: usize) -> Call {
    add(server, identity(server).server_identity)
}

fn remove(server: usize) -> Call {
    let server = number(server);
    Call::RemoveServer { server }
}

/// What the state calls a server, and whether it has a vote, as a server has it.
fn stands(node: &Node, server: usize) -> (Option<Role>, Option<bool>) {
    let known = node.state().servers().get(&number(server));
    let member = node.replica().members().member(number(server));
    (known.map(|known| known.role), member.map(|one| one.voter))
}

const VOTES: (Option<Role>, Option<bool>) = (Some(Role::Voter), Some(true));
const GONE: (Option<Role>, Option<bool>) = (None, None);

impl World {
    /// What the leader has; nothing where there is none.
    fn led(&self) -> Option<&Node> {
        self.leader().map(|leader| self.node(leader))
    }

    fn until_stands(&mut self, server: usize, what: (Option<Role>, Option<bool>)) {
        self.until(&format!("server {server} is {what:?}"), |world| {
            world.led().is_some_and(|led| stands(led, server) == what)
        });
    }

    /// The first client asks, and is told that it is done.
    fn ask(&mut self, asked: Call) {
        let done = self.clients[0].done;
        self.clients[0].ask(asked);
        self.until("it is done", |world| world.clients[0].done > done);
    }

    /// The first client asks, and is refused.
    fn ask_in_vain(&mut self, asked: Call) -> CommandRefusal {
        let refused = self.clients[0].refusals.len();
        self.clients[0].ask(asked);
        self.until("it is refused", |world| {
            world.clients[0].refusals.len() > refused
        });
        self.clients[0].refusals[refused].clone()
    }

    fn was_told_that_it_is_removed(&self, server: usize) -> bool {
        let told = (server, Notice::Removed { said_by: None });
        self.notices.contains(&told)
    }

    fn slots_of(&self, server: usize) -> Vec<SlotId> {
        let led = self.led().expect("a leader");
        let slots = led.state().slots();
        let its = slots.filter(|(_, slot)| {
            let master = slot.master.map(|master| master.server);
            master == Some(number(server))
        });
        its.map(|(slot, _)| slot).collect()
    }
}

#[test]
fn a_server_that_is_added_gets_slots_and_a_vote() {
    seeds(|seed| {
        let mut world = World::with_clients(seed, 3, ClusterOptions::default());
        world.loss = 3;
        let ops = queue_up(&mut world);
        let fourth = world.join();
        world.run(1_000_000);
        assert_eq!(stands(world.led().expect("a leader"), fourth), GONE);
        world.ask(add_it(fourth));
        world.until_stands(fourth, VOTES);
        world.settle();
        assert!(world.masters(fourth, PhaseName::Serving) >= 64);
        for slot in world.slots_of(fourth) {
            let origin = world.led().expect("a leader").state().slot(slot).origin;
            assert!(matches!(origin, Origin::Planned { .. }), "{slot}");
        }
        // Asked again it is done, and its vote stays.
        world.ask(add_it(fourth));
        assert_eq!(stands(world.led().expect("a leader"), fourth), VOTES);
        // Three of four decide: without its vote nobody would.
        let victim = world.leader().expect("a leader");
        world.kill(victim);
        world.settle();
        pass_on(&mut world, &ops);
    });
}

/// What it masters moves with its tables, and nobody is asked what it holds.
#[test]
fn a_server_that_is_removed_hands_its_tables_over() {
    seeds(|seed| {
        for leads in [false, true] {
            let mut world = World::with_clients(seed, 3, ClusterOptions::default());
            world.loss = 3;
            let ops = queue_up(&mut world);
            let leader = world.leader().expect("a leader");
            let victim = if leads { leader } else { world.follower() };
            let its = world.slots_of(victim);
            assert!(its.len() >= 85);
            world.ask(remove(victim));
            world.until_stands(victim, GONE);
            assert_ne!(world.leader(), Some(victim));
            for slot in its {
                let slot = world.led().expect("a leader").state().slot(slot);
                let planned = matches!(slot.origin, Origin::Planned { from }
                    if from.server == number(victim));
                assert!(planned && slot.serving, "{slot:?}");
            }
            pass_on(&mut world, &ops);
            world.kill(victim);
            world.settle();
            assert_eq!(
                world.ask_in_vain(remove(victim)),
                CommandRefusal::NoSuchServer
            );
        }
    });
}

#[test]
fn a_server_reads_in_the_log_that_it_is_removed() {
    seeds(|seed| {
        let mut world = World::with_clients(seed, 1, ClusterOptions::default());
        let victim = world.follower();
        world.ask(remove(victim));
        world.until_stands(victim, GONE);
        world.until("it is told", |world| {
            world.was_told_that_it_is_removed(victim)
        });
        world.run(1_000_000);
        assert!(!world.node(victim).holds_lease(world.now));
        // It knows it still when it starts again, unless it forgot that the entry was committed, which it
        // does not write at once. Then another one tells it.
        world.notices.clear();
        world.kill(victim);
        world.start(victim);
        let said_by = number(world.leader().expect("a leader"));
        world.input(victim, Input::NotAMember { said_by });
        let told = |(server, notice): &&(usize, Notice)| {
            *server == victim && matches!(notice, Notice::Removed { .. })
        };
        assert_eq!(world.notices.iter().filter(told).count(), 1);
        // It may come back, with the storage that it has.
        world.ask(add_it(victim));
        world.until_stands(victim, VOTES);
        world.settle();
        assert!(world.masters(victim, PhaseName::Serving) >= 85);
    });
}

/// Only one that takes itself for a member wonders, and only once.
#[test]
fn another_server_may_say_that_it_is_removed() {
    let mut world = World::new(1, &[0, 1, 2]);
    world.settle();
    let said_by = ServerId(2);
    let notice = Notice::Removed {
        said_by: Some(said_by),
    };
    let told = |world: &World| {
        world
            .notices
            .iter()
            .filter(|(_, one)| *one == notice)
            .count()
    };
    for _ in 0..2 {
        world.input(0, Input::NotAMember { said_by });
        assert_eq!(told(&world), 1);
    }
    let fourth = world.join();
    world.input(fourth, Input::NotAMember { said_by });
    assert_eq!(told(&world), 1);
}

type Moment = (&'static str, fn(&Node, usize) -> bool);

fn masters_any(node: &Node, server: usize) -> bool {
    let its = |(_, slot): (SlotId, &dlm_core::cluster::Slot)| {
        slot.master.map(|master| master.server) == Some(number(server))
    };
    node.state().slots().any(its)
}

fn runs(node: &Node, server: usize) -> bool {
    let known = node.state().servers().get(&number(server));
    known.is_some_and(|known| known.process().is_some())
}

/// Between each two steps of adding a server.
const ADDED: [Moment; 6] = [
    ("it is a learner", |node, server| {
        stands(node, server) == (None, Some(false))
    }),
    ("the state knows it", |node, server| {
        stands(node, server) == (Some(Role::Learner), Some(false))
    }),
    ("it runs", runs),
    ("it has a vote", |node, server| {
        stands(node, server) == (Some(Role::Learner), Some(true))
    }),
    ("the state knows that it votes", |node, server| {
        stands(node, server) == VOTES
    }),
    ("it has slots", masters_any),
];

/// Between each two steps of removing one.
const REMOVED: [Moment; 5] = [
    ("it leaves", |node, server| {
        stands(node, server).0 == Some(Role::Leaving)
    }),
    ("some slots moved", |node, server| {
        let from = |slot: &dlm_core::cluster::Slot| match slot.origin {
            Origin::Planned { from } => from.server == number(server),
            Origin::Lost => false,
        };
        let moved = |(_, slot): (SlotId, &dlm_core::cluster::Slot)| slot.serving && from(slot);
        stands(node, server).0 == Some(Role::Leaving) && node.state().slots().any(moved)
    }),
    ("it has none", |node, server| {
        stands(node, server).0 == Some(Role::Leaving) && !masters_any(node, server)
    }),
    ("it is no member", |node, server| {
        stands(node, server) == (Some(Role::Leaving), None)
    }),
    ("it is gone", |node, server| stands(node, server) == GONE),
];

#[test]
fn a_leader_that_dies_while_a_server_is_added_leaves_the_rest_to_the_next() {
    seeds(|seed| {
        for (name, moment) in ADDED {
            println!("{name}");
            let mut world = World::with_clients(seed, 3, ClusterOptions::default());
            let ops = queue_up(&mut world);
            let fourth = world.join();
            world.clients[0].ask(add_it(fourth));
            world.until_by(100, name, |world| {
                world.led().is_some_and(|led| moment(led, fourth))
            });
            let leader = world.leader().expect("a leader");
            world.kill(leader);
            world.until_stands(fourth, VOTES);
            world.settle();
            assert!(world.masters(fourth, PhaseName::Serving) >= 85);
            world.start(leader);
            world.settle();
            pass_on(&mut world, &ops);
            let mut clients = world.clients.iter();
            assert!(clients.all(|client| client.refusals.is_empty()));
        }
    });
}

#[test]
fn a_leader_that_dies_while_a_server_is_removed_leaves_the_rest_to_the_next() {
    seeds(|seed| {
        for (name, moment) in REMOVED {
            for leads in [false, true] {
                println!("{name}, it leads: {leads}");
                let mut world = World::with_clients(seed, 3, ClusterOptions::default());
                let ops = queue_up(&mut world);
                let leader = world.leader().expect("a leader");
                let leaves = if leads { leader } else { world.follower() };
                world.clients[0].ask(remove(leaves));
                world.until_by(100, name, |world| {
                    world.led().is_some_and(|led| moment(led, leaves))
                });
                let leader = world.leader().expect("a leader");
                world.kill(leader);
                world.run(3_000_000);
                world.start(leader);
                world.until_stands(leaves, GONE);
                world.kill(leaves);
                world.settle();
                pass_on(&mut world, &ops);
            }
        }
    });
}

/// All are removed at once: the last one stays, whichever that is.
#[test]
fn the_last_server_is_not_removed() {
    seeds(|seed| {
        let mut world = World::with_clients(seed, 3, ClusterOptions::default());
        let ops = queue_up(&mut world);
        for server in 0..3 {
            world.clients[server].ask(remove(server));
        }
        world.until("all are answered", |world| {
            let answered =
                |client: &super::client::Client| client.refusals.len() + client.done as usize;
            world.clients.iter().map(answered).sum::<usize>() == 3
        });
        let refused = |world: &World| {
            let refused = (0..3).filter(|&client| !world.clients[client].refusals.is_empty());
            refused.collect::<Vec<_>>()
        };
        let [stays] = refused(&world)[..] else {
            panic!("one is refused, not {:?}", refused(&world));
        };
        let refusals = &world.clients[stays].refusals;
        assert_eq!(refusals[..], [CommandRefusal::LastServer]);
        for server in (0..3).filter(|&server| server != stays) {
            world.until_stands(server, GONE);
            world.kill(server);
        }
        world.settle();
        assert_eq!(world.leader(), Some(stays));
        assert_eq!(world.masters(stays, PhaseName::Serving), 256);
        pass_on(&mut world, &ops);
    });
}

#[test]
fn a_removal_waits_for_a_majority_of_those_that_stay() {
    seeds(|seed| {
        let mut world = World::with_clients(seed, 3, ClusterOptions::default());
        let ops = queue_up(&mut world);
        let down = world.follower();
        world.kill(down);
        world.settle();
        let leaves = world.follower();
        world.ask(remove(leaves));
        world.run(5_000_000);
        let led = world.led().expect("a leader");
        assert_eq!(stands(led, leaves), (Some(Role::Leaving), Some(true)));
        assert!(world.slots_of(leaves).is_empty());
        assert_eq!(world.ask_in_vain(add_it(leaves)), CommandRefusal::Leaving);
        // What is down is removed at once, and then the other one can be.
        if seed % 2 == 0 {
            world.start(down);
        } else {
            world.ask(remove(down));
        }
        world.until_stands(leaves, GONE);
        world.kill(leaves);
        world.settle();
        pass_on(&mut world, &ops);
    });
}

#[test]
fn another_storage_under_a_members_number_is_refused() {
    seeds(|seed| {
        let mut world = World::with_clients(seed, 3, ClusterOptions::default());
        let ops = queue_up(&mut world);
        let victim = world.follower();
        let new = ServerIdentity(77);
        world.wipe(victim, new);
        world.start(victim);
        let refused = world.ask_in_vain(add(victim, new));
        assert_eq!(refused, CommandRefusal::OtherStorage);
        // It is removed, and comes back with what it has now.
        world.ask(remove(victim));
        world.until_stands(victim, GONE);
        world.ask(add(victim, new));
        world.until_stands(victim, VOTES);
        world.settle();
        assert!(world.masters(victim, PhaseName::Serving) >= 85);
        pass_on(&mut world, &ops);
        // Nobody has the number 0.
        let nobody = Call::AddServer {
            server: ServerId(0),
            peer_endpoint: Endpoint::new("nobody").expect("an address"),
            identity: 1,
        };
        assert_eq!(world.ask_in_vain(nobody), CommandRefusal::NoSuchServer);
    });
}

//! Who is cut off serves nothing, and renews nothing.

use dlm_core::call::{Call, CallAnswer, CallId};
use dlm_core::cluster::{ClusterOptions, Name, Timing};
use dlm_core::recovery::PhaseName;
use dlm_core::{Mode, SlotId, Status};

use super::super::{Input, Notice};
use super::client::{SPACE, name};
use super::seeds;
use super::world::World;

/// A name whose slot this server masters.
pub(super) fn name_at(world: &World, server: usize) -> String {
    let names = (0..).map(|number| format!("n{number}"));
    let mut its = names.filter(|text| world.master_of(SlotId::of(SPACE, &name(text))) == server);
    its.next().expect("it has slots")
}

#[test]
fn a_server_that_is_cut_off_serves_nothing_after_its_lease() {
    seeds(|seed| {
        let mut world = World::with_clients(seed, 1, ClusterOptions::default());
        let cut = world.follower();
        let text = name_at(&world, cut);
        let held = world.clients[0].lock(1, &text, Mode::Pr);
        world.until_status(0, held, Status::Granted);
        let before = world.now;
        world.cut(cut);
        world.until("its lease runs out", |world| {
            !world.node(cut).holds_lease(world.now)
        });
        let timing = Timing::DEFAULT;
        assert!(world.now.since(before) <= timing.server_lease_us);
        let leader = world.leader().expect("a leader");
        let running = world.node(leader).state().running().count();
        assert_eq!(running, 3, "nobody else serves its slots yet");
        // The client still reaches it: a try fails, what may wait waits.
        let tried = world.clients[0].try_lock(2, &text, Mode::Pr);
        let waits = world.clients[0].lock(3, &text, Mode::Pr);
        world.run(25_000);
        assert_eq!(world.clients[0].status(tried), Some(Status::TryFailed));
        assert_eq!(world.clients[0].status(waits), None);
        // Its slots go to others, where the client says what it has.
        world.until_status(0, waits, Status::Granted);
        assert_ne!(world.master_of(SlotId::of(SPACE, &name(&text))), cut);
        assert!(
            world.masters(cut, PhaseName::Serving) > 0,
            "it knows nothing"
        );
        assert!(!world.node(cut).holds_lease(world.now));
        world.heal();
        world.settle();
        let lost = |(server, notice): &(usize, Notice)| {
            *server == cut && matches!(notice, Notice::Lost { .. })
        };
        assert!(world.notices.iter().any(lost), "it begins again");
        let gone = world.clients[0].unlock(1);
        world.until_status(0, gone, Status::Unlocked);
    });
}

#[test]
fn a_deposed_leader_renews_nothing() {
    seeds(|seed| {
        let mut world = World::with_clients(seed, 1, ClusterOptions::default());
        let deposed = world.leader().expect("a leader");
        let incarnation = world.node(deposed).incarnation().expect("it runs");
        let before = world.now;
        world.cut(deposed);
        // It believes that it leads until it has missed the others for as long as an election takes.
        world.run(20_000);
        let session = world.clients[0].session().expect("it joined");
        let nonce = world.clients[0].nonce;
        let (call, asked) = (CallId(7), Call::KeepAlive { session, nonce });
        world.input(deposed, Input::Call { call, asked });
        world.until("its lease runs out", |world| {
            !world.node(deposed).holds_lease(world.now)
        });
        assert!(world.now.since(before) <= Timing::DEFAULT.server_lease_us);
        world.until("another one leads and has given its slots away", |world| {
            world.leader().is_some_and(|leader| {
                let state = world.node(leader).state();
                leader != deposed && state.server_of(incarnation).is_none()
            })
        });
        assert!(!world.node(deposed).holds_lease(world.now));
        let mut answers = world.answers.iter().filter(|(of, _)| *of == call);
        assert!(answers.all(|(_, answer)| matches!(answer, CallAnswer::NotLeader(_))));
        world.heal();
        world.settle();
        assert_ne!(world.node(deposed).incarnation(), Some(incarnation));
    });
}

/// What happened meanwhile is not known one by one: it drops what it has and begins as another process.
#[test]
fn a_server_that_missed_so_much_that_it_gets_a_snapshot_begins_again() {
    seeds(|seed| {
        let mut world = World::with_clients(seed, 1, ClusterOptions::default());
        let text = name_at(&world, world.follower());
        let held = world.clients[0].lock(1, &text, Mode::Ex);
        world.until_status(0, held, Status::Granted);
        let cut = world.follower();
        world.cut(cut);
        let session = world.clients[0].session().expect("it joined");
        let nonce = world.clients[0].nonce;
        for number in 0..60 {
            world.clients[0].ask(Call::OpenLockspace {
                session,
                nonce,
                name: Name::new(format!("other{number}")).expect("a name"),
                options: None,
            });
        }
        world.until("all are open", |world| world.clients[0].spaces.len() == 61);
        world.until("it is lost", |world| {
            let leader = world.leader().expect("a leader");
            world.node(leader).state().running().count() == 2
        });
        let from = world.notices.len();
        world.heal();
        world.settle();
        let notices = world.notices[from..].iter();
        let its: Vec<&Notice> = notices
            .filter(|(server, _)| *server == cut)
            .map(|(_, notice)| notice)
            .collect();
        let at = |what: fn(&Notice) -> bool| its.iter().position(|notice| what(notice));
        let restored = at(|notice| matches!(notice, Notice::Restored { .. }));
        let lost = at(|notice| matches!(notice, Notice::Lost { .. }));
        let again = at(|notice| matches!(notice, Notice::Announced { .. }));
        assert!(
            restored.is_some() && restored < lost && lost < again,
            "{its:?}"
        );
        let gone = world.clients[0].unlock(1);
        world.until_status(0, gone, Status::Unlocked);
    });
}

//! Where slots go when servers come and go.

use std::vec;

use super::*;

#[test]
fn the_first_server_has_all_slots_and_the_others_get_theirs_by_planned_moves() {
    let mut cluster = Cluster::new(3);
    assert_eq!(cluster.counts(), BTreeMap::from([(1, 256)]));
    assert_eq!(cluster.state.moves_due().len(), limits::MOVES_MAX);
    assert_eq!(cluster.settle(), 170);
    assert_eq!(
        cluster.counts(),
        BTreeMap::from([(1, 86), (2, 85), (3, 85)])
    );
}

#[test]
fn a_loss_moves_only_what_the_lost_server_had_and_every_move_is_an_epoch() {
    let mut cluster = Cluster::new(3);
    cluster.settle();
    let before = cluster.state.clone();
    assert_eq!(cluster.lose(2), Reply::Done);
    for (id, was) in before.slots() {
        let is = cluster.state.slot(id);
        if was
            .master
            .is_some_and(|master| master.server == ServerId(2))
        {
            assert_eq!(is.epoch, Epoch(was.epoch.0 + 1));
            assert!(is.origin == Origin::Lost && !is.serving);
            assert_eq!(is.since, cluster.state.applied());
        } else {
            assert_eq!(is, was);
        }
    }
    assert_eq!(cluster.counts(), BTreeMap::from([(1, 128), (3, 128)]));
    assert_eq!(cluster.settle(), 0);
    assert_eq!(cluster.lose(2), refused(CommandRefusal::NotRunning));
}

#[test]
fn a_restarted_server_takes_its_slots_again_and_recovers_them() {
    let mut cluster = Cluster::new(3);
    cluster.settle();
    let Reply::Started { incarnation } = cluster.start(2, 22) else {
        panic!("it starts");
    };
    assert_eq!(
        cluster.counts(),
        BTreeMap::from([(1, 86), (2, 85), (3, 85)])
    );
    let slots = cluster.state.slots();
    let recovering = slots.filter(|(_, slot)| {
        let its = slot
            .master
            .is_some_and(|one| one.incarnation == incarnation);
        its && slot.origin == Origin::Lost && !slot.serving
    });
    assert_eq!(recovering.count(), 85);
    // The same process once more.
    assert_eq!(cluster.start(2, 22), Reply::Started { incarnation });
    assert_eq!(cluster.effects, []);
}

#[test]
fn without_a_server_slots_have_no_master() {
    let mut cluster = Cluster::new(1);
    cluster.lose(1);
    assert_eq!(cluster.counts(), BTreeMap::from([(0, 256)]));
    cluster.start(1, 11);
    assert_eq!(cluster.counts(), BTreeMap::from([(1, 256)]));
    assert_eq!(cluster.state.slot(SlotId::new(0).unwrap()).epoch, Epoch(3));
}

#[test]
fn a_server_that_leaves_is_emptied_before_it_is_removed() {
    let mut cluster = Cluster::new(3);
    cluster.settle();
    cluster.add(1, Role::Leaving);
    assert_eq!(cluster.settle(), 86);
    assert_eq!(cluster.counts(), BTreeMap::from([(2, 128), (3, 128)]));
    let server = ServerId(1);
    assert_eq!(
        cluster.apply(Command::ServerRemoved { server }),
        Reply::Done
    );
    assert!(
        !cluster
            .effects
            .iter()
            .any(|one| matches!(one, Effect::SlotMoved { .. }))
    );
}

#[test]
fn a_removal_is_not_taken_back_and_one_voter_stays() {
    let mut cluster = Cluster::new(2);
    let refused = |why| Reply::Refused(why);
    assert_eq!(
        cluster.add(3, Role::Leaving),
        refused(CommandRefusal::NoSuchServer)
    );
    assert_eq!(cluster.add(3, Role::Learner), Reply::Done);
    assert_eq!(cluster.add(1, Role::Leaving), Reply::Done);
    assert_eq!(cluster.add(1, Role::Leaving), Reply::Done);
    for role in [Role::Learner, Role::Voter] {
        assert_eq!(cluster.add(1, role), refused(CommandRefusal::Leaving));
    }
    // The third one has no vote yet.
    let last = refused(CommandRefusal::LastServer);
    assert_eq!(cluster.add(2, Role::Leaving), last);
    assert_eq!(cluster.add(3, Role::Voter), Reply::Done);
    assert_eq!(cluster.add(2, Role::Leaving), Reply::Done);
    assert_eq!(cluster.add(3, Role::Leaving), last);
}

#[test]
fn a_table_whose_source_is_lost_on_the_way_is_recovered_where_it_was_going() {
    let mut cluster = Cluster::new(2);
    let (slot, epoch, to) = cluster.state.moves_due()[0];
    cluster.apply(Command::MoveSlot { slot, epoch, to });
    let from = cluster.state.running().next().unwrap();
    assert_eq!(cluster.state.slot(slot).origin, Origin::Planned { from });
    cluster.lose(1);
    let is = cluster.state.slot(slot);
    assert_eq!(is.master.unwrap().server, to);
    assert_eq!((is.epoch, is.origin), (Epoch(epoch.0 + 2), Origin::Lost));
}

#[test]
fn only_a_slot_that_is_served_moves() {
    let mut cluster = Cluster::new(2);
    let (slot, epoch, to) = cluster.state.moves_due()[0];
    let moving = Command::MoveSlot { slot, epoch, to };
    assert_eq!(cluster.apply(moving.clone()), Reply::Done);
    let now = Epoch(epoch.0 + 1);
    assert_eq!(
        cluster.apply(moving),
        refused(CommandRefusal::Epoch { now })
    );
    let again = Command::MoveSlot {
        slot,
        epoch: now,
        to: ServerId(1),
    };
    assert_eq!(
        cluster.apply(again.clone()),
        refused(CommandRefusal::NotServing)
    );
    cluster.serve();
    assert_eq!(cluster.apply(again), Reply::Done);
}

#[test]
fn tokens_that_run_out_bump_the_epoch_where_the_slot_is() {
    let mut cluster = Cluster::new(1);
    let slot = SlotId::new(7).unwrap();
    let was = *cluster.state.slot(slot);
    let epoch = was.epoch;
    let exhausted = Command::SlotEpochExhausted { slot, epoch };
    assert_eq!(cluster.apply(exhausted), Reply::Done);
    let is = cluster.state.slot(slot);
    let from = was.master.unwrap();
    assert_eq!(
        (is.master, is.origin),
        (was.master, Origin::Planned { from })
    );
    assert!(is.epoch > epoch && !is.is_moving());
}

#[test]
fn a_slot_in_nobodys_reach_is_recovered_elsewhere() {
    let mut cluster = Cluster::new(2);
    let slot = SlotId::new(7).unwrap();
    let epoch = cluster.state.slot(slot).epoch;
    let to = Some(ServerId(2));
    let recover = Command::RecoverSlot { slot, epoch, to };
    assert_eq!(cluster.apply(recover), Reply::Done);
    let is = cluster.state.slot(slot);
    assert_eq!(is.master.unwrap().server, ServerId(2));
    assert_eq!(is.origin, Origin::Lost);
}

#[test]
fn the_last_epoch_is_the_last() {
    let mut cluster = Cluster::new(1);
    let mut parts = cluster.state.parts();
    parts.slots[3].epoch = limits::EPOCH_MAX;
    cluster.state = ClusterState::from_parts(parts).unwrap();
    let (slot, epoch) = (SlotId::new(3).unwrap(), limits::EPOCH_MAX);
    let exhausted = Command::SlotEpochExhausted { slot, epoch };
    assert_eq!(cluster.apply(exhausted), refused(CommandRefusal::Exhausted));
    cluster.start(1, 11);
    assert_eq!(cluster.state.slot(slot).master, None);
    assert_eq!(cluster.counts(), BTreeMap::from([(0, 1), (1, 255)]));
}

#[test]
fn a_recovery_awaits_who_lived_then_and_closes_what_the_dead_had() {
    let mut cluster = Cluster::new(2);
    let (dead, lives, idle) = (cluster.join(1), cluster.join(2), cluster.join(3));
    let (lockspace, _) = cluster.open(dead, "a", false);
    cluster.open(lives, "a", false);
    cluster.expire(dead);
    cluster.expire(idle);
    cluster.settle();
    cluster.lose(1);
    let later = cluster.join(4);
    cluster.open(later, "a", false);
    let lost = |slot: &Slot| slot.origin == Origin::Lost && !slot.serving;
    let (slot, _) = cluster.state.slots().find(|(_, slot)| lost(slot)).unwrap();
    let expected = Recovery {
        awaited: vec![lives],
        closed: vec![(dead, vec![lockspace])],
    };
    assert_eq!(cluster.state.recovery_of(slot), expected);
    cluster.fence(dead);
    assert_eq!(cluster.state.recovery_of(slot).closed, []);
}

//! Operations on many locks, and slots that move under them.

use super::super::link::EverywhereKind;
use super::*;
use dlm_core::recovery::Stands;

fn held(stage: &mut Stage, op: u64, resource: &str, flags: RequestFlags) {
    stage.operate(op, request(op, resource, Mode::Ex, flags));
    stage.event(1, (resource, 1), granted(op, op, Mode::Ex, 9));
}

fn owner_ends(stage: &mut Stage, ticket: u64) {
    let (ticket, owner) = (Ticket(ticket), Owner(1));
    let kind = EverywhereKind::OwnerEnded { owner };
    stage.input(Input::Everywhere { ticket, kind });
}

fn purged(op: u64, locks: u32) -> Event {
    Event::Purged {
        op: OpId(op),
        locks,
    }
}

fn everywhere(stage: &Stage) -> usize {
    let sent = stage.sent();
    let is_it = |message: &&ToServer| matches!(message, ToServer::Everywhere { .. });
    sent.iter().filter(is_it).count()
}

#[test]
fn leaving_a_lockspace_asks_the_masters_and_then_the_cluster() {
    let mut stage = Stage::ready();
    stage.operate(1, request(1, "a", Mode::Ex, RequestFlags::empty()));
    stage.event(1, ("a", 1), granted(1, 1, Mode::Ex, 9));
    let (ticket, kind) = (
        Ticket(2),
        EverywhereKind::LeaveLockspace { lockspace: SPACE },
    );
    stage.input(Input::Everywhere { ticket, kind });
    assert!(matches!(
        stage.sent()[..],
        [ToServer::Everywhere { number: 2, .. }]
    ));
    let (op, locks) = (OpId(2), 1);
    stage.event(1, ("a", 1), Event::Purged { op, locks });
    let (call, _) = stage.call(|call| matches!(call, Call::LeaveLockspace { .. }));
    stage.answer(call, CallAnswer::Done);
    assert_eq!(stage.answers(), vec![(2, Answer::Purged { locks: 1 })]);
    assert_eq!(stage.session.counts(), (0, 0));
}

/// The cluster's answer was lost, and the call is repeated.
#[test]
fn a_lockspace_that_was_left_before_is_left() {
    let mut stage = Stage::ready();
    let lockspace = SPACE;
    let (ticket, kind) = (Ticket(1), EverywhereKind::LeaveLockspace { lockspace });
    stage.input(Input::Everywhere { ticket, kind });
    let (call, _) = stage.call(|call| matches!(call, Call::LeaveLockspace { .. }));
    stage.answer(call, CallAnswer::Refused(CommandRefusal::LockspaceNotOpen));
    assert_eq!(stage.answers(), vec![(1, Answer::Purged { locks: 0 })]);
    let ticket = Ticket(2);
    stage.input(Input::Everywhere { ticket, kind });
    let why = CommandRefusal::LockspaceNotOpen;
    let failed = Answer::Failed(Failure::Refused(why));
    assert_eq!(stage.answers(), vec![(2, failed)], "it is not open");
}

#[test]
fn a_slot_that_moves_meanwhile_gets_it_from_its_new_master() {
    let mut stage = Stage::ready();
    held(&mut stage, 1, "a", RequestFlags::empty());
    owner_ends(&mut stage, 2);
    assert_eq!(everywhere(&stage), 1);
    stage.receive(
        StreamId(1),
        FromServer::Map(map(20, 2, PlaceOrigin::Planned, 2)),
    );
    stage.welcome(2, 0, map(20, 2, PlaceOrigin::Planned, 2));
    assert_eq!(everywhere(&stage), 1, "the new master is told at once");
    stage.sequence = 1;
    stage.event(1, ("a", 1), purged(2, 0));
    assert_eq!(
        stage.answers(),
        vec![],
        "that was before or after the table went"
    );
    stage.numbered(2, 1, ("a", 2), purged(2, 1));
    assert_eq!(stage.answers(), vec![(2, Answer::Purged { locks: 1 })]);
    assert_eq!(stage.session.counts(), (0, 0));
}

#[test]
fn what_it_may_have_taken_is_not_claimed_as_held() {
    let mut stage = Stage::ready();
    held(&mut stage, 1, "a", RequestFlags::empty());
    held(&mut stage, 2, "a", RequestFlags::PERSISTENT);
    owner_ends(&mut stage, 3);
    let slot = SlotId::of(SPACE, &name("a"));
    let claims = stage.session.say(slot, &mut Vec::new());
    let stands: Vec<Stands> = claims.into_iter().map(|claim| claim.stands).collect();
    let (op, ends) = (OpId(3), None);
    let (mode, unanswered) = (Mode::Ex, None);
    let expected = vec![
        Stands::Unlocked { op, ends },
        Stands::Granted { mode, unanswered },
    ];
    assert_eq!(stands, expected);
}

#[test]
fn orphans_stay_until_they_are_purged_or_adopted() {
    let mut stage = Stage::ready();
    held(&mut stage, 1, "a", RequestFlags::PERSISTENT);
    owner_ends(&mut stage, 2);
    let (lock, owner) = (LockId(1), Owner(1));
    stage.event(1, ("a", 1), Event::Orphaned { lock, owner });
    assert_eq!(stage.out, vec![Output::Orphaned { lock, owner }]);
    stage.event(1, ("a", 1), purged(2, 0));
    assert_eq!(stage.answers(), vec![(2, Answer::Purged { locks: 0 })]);
    assert_eq!(stage.session.counts(), (1, 0));
    let slot = SlotId::of(SPACE, &name("a"));
    assert!(stage.session.clone().say(slot, &mut Vec::new())[0].orphan);
    stage.operate(3, request(7, "a", Mode::Ex, RequestFlags::ORPHAN));
    let Event::Done(mut done) = granted(3, 1, Mode::Ex, 9) else {
        unreachable!("it is one");
    };
    done.status = Status::Adopted;
    stage.event(1, ("a", 1), Event::Done(done));
    assert_eq!(stage.statuses(), vec![(3, Status::Adopted)]);
    assert_eq!(stage.session.counts(), (1, 0));
    assert!(!stage.session.say(slot, &mut Vec::new())[0].orphan);
}

#[test]
fn where_no_lock_was_ever_asked_for_nothing_is_asked() {
    let mut stage = Stage::ready();
    owner_ends(&mut stage, 1);
    assert_eq!(everywhere(&stage), 0);
    assert_eq!(stage.answers(), vec![(1, Answer::Purged { locks: 0 })]);
}

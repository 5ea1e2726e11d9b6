//! Slots that move, with their table and without.

use super::*;
use dlm_core::recovery::{Claim, Stands};

const NONE: RequestFlags = RequestFlags::empty();

/// All slots go to server 2, and its stream is open.
fn moves(stage: &mut Stage, origin: PlaceOrigin) {
    stage.receive(StreamId(1), FromServer::Map(map(20, 2, origin, 2)));
    stage.welcome(2, 0, map(20, 2, origin, 2));
    stage.sequence = 0;
}

fn claims(stage: &Stage, resource: &str) -> Vec<Claim> {
    let its = SlotId::of(SPACE, &name(resource));
    let mut found = Vec::new();
    for message in stage.sent() {
        if let ToServer::Claims {
            slot,
            claims,
            epoch,
            ..
        } = message
            && slot == its
        {
            assert_eq!(epoch, Epoch(2));
            found.extend(claims);
        }
    }
    found
}

/// Some slots are claimed only when others were taken.
fn take_all(stage: &mut Stage) -> Vec<ToServer> {
    let mut all = stage.sent();
    let mut at = 0;
    while at < all.len() {
        if let ToServer::Claims {
            slot,
            epoch,
            done: true,
            ..
        } = all[at]
        {
            stage.sequence += 1;
            let sequence = stage.sequence;
            let event = Event::ClaimsTaken { slot, epoch };
            let slot = Some((slot, epoch));
            let message = FromServer::Event {
                sequence,
                slot,
                event,
            };
            stage.receive(StreamId(2), message);
            all.extend(stage.sent());
        }
        at += 1;
    }
    all
}

/// A lock held in `mode`, an operation on it under way, and the claim after its master is lost.
fn claimed(mode: Mode, kind: OperationKind) -> (Vec<Claim>, Vec<u64>, Vec<Output>) {
    let mut stage = Stage::ready();
    stage.operate(1, request(1, "a", mode, NONE));
    stage.event(1, ("a", 1), granted(1, 1, mode, 9));
    stage.operate(2, kind);
    moves(&mut stage, PlaceOrigin::Lost);
    let all = take_all(&mut stage);
    let mut said = stage.log;
    said.retain(|output| matches!(output, Output::Weakened { .. }));
    let mut found = Vec::new();
    let mut again = Vec::new();
    for message in all {
        match message {
            ToServer::Claims { claims, .. } => found.extend(claims),
            ToServer::Operation { op, .. } => again.push(op.0),
            _ => {}
        }
    }
    (found, again, said)
}

fn stands(mode: Mode, kind: OperationKind) -> (Option<Stands>, Vec<u64>) {
    let (claims, again, _) = claimed(mode, kind);
    assert!(claims.len() <= 1);
    (claims.into_iter().next().map(|claim| claim.stands), again)
}

const fn converting(held: Mode, wanted: Mode) -> Option<Stands> {
    Some(Stands::Converting {
        held,
        wanted,
        op: OpId(2),
        serial: None,
        given: None,
    })
}

const fn holds(mode: Mode, unanswered: Option<OpId>) -> Option<Stands> {
    Some(Stands::Granted { mode, unanswered })
}

#[test]
fn what_was_not_answered_is_claimed_by_the_table() {
    let op = Some(OpId(2));
    let up = stands(Mode::Pr, convert(1, Mode::Ex, NONE));
    assert_eq!(up, (converting(Mode::Pr, Mode::Ex), vec![]));
    let down = stands(Mode::Ex, convert(1, Mode::Pr, NONE));
    assert_eq!(down, (holds(Mode::Pr, op), vec![]));
    let aside = stands(Mode::Pr, convert(1, Mode::Cw, NONE));
    assert_eq!(aside, (converting(Mode::Cr, Mode::Cw), vec![]));
    let tried = stands(Mode::Pr, convert(1, Mode::Cw, RequestFlags::NOQUEUE));
    assert_eq!(tried, (holds(Mode::Cr, None), vec![2]));
    let deadlock = stands(Mode::Pr, convert(1, Mode::Ex, RequestFlags::CONVDEADLK));
    assert_eq!(deadlock, (converting(Mode::Nl, Mode::Ex), vec![]));
    let (op, ends) = (OpId(2), None);
    let gone = stands(Mode::Ex, unlock(1));
    assert_eq!(gone, (Some(Stands::Unlocked { op, ends }), vec![]));
    let cancel = stands(Mode::Ex, OperationKind::Cancel { lock: LockId(1) });
    assert_eq!(cancel, (holds(Mode::Ex, None), vec![2]));
}

#[test]
fn a_lock_that_may_have_been_demoted_says_so() {
    let (_, _, said) = claimed(Mode::Pr, convert(1, Mode::Cw, NONE));
    let (lock, mode) = (LockId(1), Mode::Cr);
    assert_eq!(said, vec![Output::Weakened { lock, mode }]);
    let (_, _, said) = claimed(Mode::Ex, convert(1, Mode::Nl, NONE));
    assert_eq!(said, vec![], "it was given up by its holder");
}

#[test]
fn every_slot_is_answered_for_and_nothing_of_the_old_master_counts() {
    let mut stage = Stage::ready();
    stage.operate(1, request(1, "a", Mode::Ex, NONE));
    let (op, lock, serial) = (OpId(1), LockId(1), 77);
    stage.event(1, ("a", 1), Event::Queued { op, lock, serial });
    moves(&mut stage, PlaceOrigin::Lost);
    let all = take_all(&mut stage);
    let done = |message: &&ToServer| matches!(message, ToServer::Claims { done: true, .. });
    assert_eq!(all.iter().filter(done).count(), 256);
    let numbers: Vec<u64> = all
        .iter()
        .filter_map(|message| match message {
            ToServer::Claims { number, .. } | ToServer::Operation { number, .. } => Some(*number),
            _ => None,
        })
        .collect();
    assert!(numbers.iter().copied().eq(1..=numbers.len() as u64));
    let waits = all.iter().any(|message| match message {
        ToServer::Claims { claims, .. } => claims.iter().any(|claim| {
            claim.stands
                == Stands::Waiting {
                    wanted: Mode::Ex,
                    op,
                    serial: Some(77),
                }
        }),
        _ => false,
    });
    assert!(waits, "{all:?}");
    // The old master granted it before, as it turns out now.
    stage.numbered(1, 2, ("a", 1), granted(1, 1, Mode::Ex, 9));
    assert_eq!(stage.answers(), vec![]);
    stage.event(2, ("a", 2), granted(1, 1, Mode::Ex, 99));
    assert_eq!(stage.statuses(), vec![(1, Status::Granted)]);
}

#[test]
fn what_a_conversion_down_stored_is_claimed_again_and_again() {
    let value = dlm_core::ValueBlock::new(b"x").expect("a value");
    let kind = OperationKind::Convert {
        lock: LockId(1),
        mode: Mode::Nl,
        flags: RequestFlags::VALBLK,
        owner: Owner(1),
        value: Some(value.clone()),
    };
    let mut stage = Stage::ready();
    stage.operate(1, request(1, "a", Mode::Ex, NONE));
    stage.event(1, ("a", 1), granted(1, 1, Mode::Ex, 9));
    stage.operate(2, kind);
    moves(&mut stage, PlaceOrigin::Lost);
    take_all(&mut stage);
    for _ in 0..2 {
        let slot = SlotId::of(SPACE, &name("a"));
        let claim = stage.session.say(slot, &mut Vec::new()).remove(0);
        assert_eq!(claim.value_sequence, 1);
        let known = claim.value.expect("what it stored");
        let filled = value.clone().fitted(ValueLength::default());
        assert_eq!((known.sequence, Some(known.bytes)), (1, filled));
    }
}

/// What is claimed of the value of a lock that was requested in EX and converted to EX with these flags, where
/// they are given, and unlocked with those, or converted down before that; the unlock has a value.
fn value_claimed(
    asked: RequestFlags,
    converted: Option<(RequestFlags, Status)>,
    down: Option<RequestFlags>,
    unlocked: RequestFlags,
) -> (u64, Option<Vec<u8>>) {
    let value = |text: &[u8]| dlm_core::ValueBlock::new(text).ok();
    let with = |mode, flags, text| OperationKind::Convert {
        lock: LockId(1),
        mode,
        flags,
        owner: Owner(1),
        value: value(text),
    };
    let mut stage = Stage::ready();
    stage.operate(1, request(1, "a", Mode::Ex, asked));
    stage.event(1, ("a", 1), granted(1, 1, Mode::Ex, 9));
    let mut op = 2;
    if let Some((flags, status)) = converted {
        stage.operate(op, convert(1, Mode::Ex, flags));
        let Event::Done(done) = granted(op, 1, Mode::Ex, 9) else {
            unreachable!("it is one");
        };
        stage.event(1, ("a", 1), Event::Done(Done { status, ..done }));
        op += 1;
    }
    if let Some(flags) = down {
        stage.operate(op, with(Mode::Pr, flags, b"down"));
        op += 1;
    }
    let unlock = OperationKind::Unlock {
        lock: LockId(1),
        flags: unlocked,
        value: value(b"last"),
    };
    stage.operate(op, unlock);
    moves(&mut stage, PlaceOrigin::Lost);
    let slot = SlotId::of(SPACE, &name("a"));
    let claim = stage.session.say(slot, &mut Vec::new()).remove(0);
    assert!(matches!(claim.stands, Stands::Unlocked { .. }));
    let known = claim.value.map(|known| {
        assert_eq!(known.sequence, claim.value_sequence);
        let bytes = known.bytes.as_bytes();
        bytes
            .split(|&byte| byte == 0)
            .next()
            .unwrap_or(bytes)
            .to_vec()
    });
    (claim.value_sequence, known)
}

/// As the master would have done it: by the flags of the last request or conversion that was accepted, too, and
/// only through a lock that ever was one for values.
#[test]
fn an_unlock_is_claimed_to_have_stored_what_it_would_have() {
    let (valblk, invalid) = (RequestFlags::VALBLK, RequestFlags::IVVALBLK);
    let last = (1, Some(b"last".to_vec()));
    assert_eq!(value_claimed(valblk, None, None, valblk), last);
    assert_eq!(value_claimed(valblk, None, None, NONE), last);
    assert_eq!(value_claimed(NONE, None, None, valblk), (0, None));
    assert_eq!(value_claimed(NONE, None, None, invalid), (1, None));
    // The last conversion counts, and not those before it.
    let marked = Some((valblk | invalid, Status::Granted));
    assert_eq!(value_claimed(valblk, marked, None, valblk), (1, None));
    let plain = Some((NONE, Status::Granted));
    let asked = value_claimed(valblk | invalid, plain, None, NONE);
    assert_eq!(asked, (0, None), "nothing was said to be stored");
    assert_eq!(value_claimed(valblk | invalid, plain, None, valblk), last);
    // One that was refused changes nothing before the next.
    let refused = Some((valblk, Status::Refused(dlm_core::Refusal::Flags)));
    assert_eq!(value_claimed(NONE, refused, None, valblk), (0, None));
}

#[test]
fn an_unlock_behind_a_conversion_down_stores_nothing_more() {
    let valblk = RequestFlags::VALBLK;
    let down = (1, Some(b"down".to_vec()));
    assert_eq!(value_claimed(valblk, None, Some(valblk), valblk), down);
    assert_eq!(value_claimed(valblk, None, Some(NONE), valblk), (0, None));
    let refused = Some((valblk, Status::Refused(dlm_core::Refusal::Flags)));
    let claimed = value_claimed(NONE, refused, Some(NONE), valblk);
    assert_eq!(claimed, (0, None));
}

#[test]
fn a_table_that_moves_is_asked_again_under_the_same_number() {
    let mut stage = Stage::ready();
    stage.operate(1, request(1, "a", Mode::Ex, NONE));
    moves(&mut stage, PlaceOrigin::Planned);
    assert_eq!(claims(&stage, "a"), vec![]);
    assert_eq!(stage.operations(), vec![(1, 1)]);
    let blocking = Event::Blocking {
        lock: LockId(1),
        mode: Mode::Pr,
    };
    stage.event(2, ("a", 2), blocking);
    // The old master's answer comes late, and is good; the new one's is the second.
    stage.numbered(1, 1, ("a", 1), granted(1, 1, Mode::Ex, 9));
    assert_eq!(stage.statuses(), vec![(1, Status::Granted)]);
    let (lock, mode) = (LockId(1), Mode::Pr);
    assert_eq!(
        stage.out.last(),
        Some(&Output::Blocking { lock, mode }),
        "said again"
    );
    stage.event(2, ("a", 2), granted(1, 1, Mode::Ex, 9));
    assert_eq!(stage.answers(), vec![]);
}

/// A master that recovers answers a try without looking at the lock.
#[test]
fn a_try_that_fails_says_what_is_left_of_the_lock() {
    let mut stage = Stage::ready();
    stage.operate(1, request(1, "a", Mode::Pr, NONE));
    stage.event(1, ("a", 1), granted(1, 1, Mode::Pr, 9));
    stage.operate(2, convert(1, Mode::Cw, RequestFlags::NOQUEUE));
    moves(&mut stage, PlaceOrigin::Lost);
    take_all(&mut stage);
    let Event::Done(done) = granted(2, 1, Mode::Cw, 0) else {
        unreachable!("it is one");
    };
    let status = Status::TryFailed;
    let mode = None;
    stage.event(
        2,
        ("a", 2),
        Event::Done(Done {
            status,
            mode,
            ..done
        }),
    );
    let Some((2, Answer::Lock(completion))) = stage.answers().pop() else {
        panic!("no answer in {:?}", stage.out);
    };
    assert_eq!(
        (completion.status, completion.mode),
        (status, Some(Mode::Cr))
    );
}

/// What is claimed of a cancelled lock, so that it is refused to be cancelled twice by any master.
#[test]
fn a_cancel_is_remembered() {
    let mut stage = Stage::ready();
    stage.operate(1, request(1, "a", Mode::Pr, NONE));
    stage.event(1, ("a", 1), granted(1, 1, Mode::Pr, 9));
    stage.operate(2, OperationKind::Cancel { lock: LockId(1) });
    let Event::Done(done) = granted(2, 1, Mode::Pr, 9) else {
        unreachable!("it is one");
    };
    let status = Status::NothingToCancel;
    stage.event(1, ("a", 1), Event::Done(Done { status, ..done }));
    let slot = SlotId::of(SPACE, &name("a"));
    let claim = stage.session.say(slot, &mut Vec::new()).remove(0);
    assert_eq!(claim.flags, RequestFlags::CANCEL);
}

/// An operator took it away: it is not claimed, and what was under way on it ends as the master says.
#[test]
fn an_orphan_that_was_purged_is_not_claimed() {
    let mut stage = Stage::ready();
    let (owner, persistent) = (Owner(1), RequestFlags::PERSISTENT);
    for lock in 1..=3 {
        stage.operate(lock, request(lock, "a", Mode::Pr, persistent));
        stage.event(1, ("a", 1), granted(lock, lock, Mode::Pr, 9));
    }
    for lock in [1, 2].map(LockId) {
        stage.event(1, ("a", 1), Event::Orphaned { lock, owner });
    }
    stage.operate(4, unlock(2));
    for lock in [1, 2].map(LockId) {
        stage.event(1, ("a", 1), Event::OrphanPurged { lock });
    }
    let Event::Done(done) = granted(4, 2, Mode::Pr, 0) else {
        unreachable!("it is one");
    };
    let status = Status::Refused(dlm_core::Refusal::NoSuchLock);
    let mode = None;
    let done = Done {
        status,
        mode,
        ..done
    };
    stage.event(1, ("a", 1), Event::Done(done));
    assert_eq!(stage.statuses(), vec![(4, status)]);
    // It is said again after a move, and the word that came before it late.
    let lock = LockId(1);
    stage.event(1, ("a", 1), Event::OrphanPurged { lock });
    stage.event(1, ("a", 1), Event::Orphaned { lock, owner });
    let slot = SlotId::of(SPACE, &name("a"));
    let claims = stage.session.say(slot, &mut Vec::new());
    let claimed: Vec<LockId> = claims.iter().map(|claim| claim.lock).collect();
    assert_eq!(claimed, [LockId(3)]);
}

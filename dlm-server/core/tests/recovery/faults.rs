//! Claims that make no sense or contradict each other, sessions that say nothing or die, operations that
//! come too early, a move on which something happens.

use super::client::LOCKSPACE;
use super::{CONFIG, begin, names};
use dlm_core::recovery::{Claim, ClaimFault, EvictReason, ImageChunk, PhaseName, SlotInput};
use dlm_core::recovery::{SlotMaster, SlotOutput, SlotRefusal, Stands, StreamPart};
use dlm_core::{Epoch, Input, LockId, Mode, OpId, Output, Owner, RequestFlags as F, SessionId};
use dlm_core::{Status, Tick, Token, invariants};

const EPOCH: Epoch = Epoch(5);
const A: SessionId = SessionId(1);
const B: SessionId = SessionId(2);

/// A token of an earlier epoch.
const fn token(count: u64) -> Token {
    Token((4 << 40) + count)
}

fn granted(lock: u64, mode: Mode, token: Token) -> Claim {
    Claim {
        lock: LockId(lock),
        lockspace: LOCKSPACE,
        name: names().1[0].clone(),
        owner: Owner(0),
        flags: F::empty(),
        stands: Stands::Granted {
            mode,
            unanswered: None,
        },
        granted: Some(mode),
        token,
        orphan: false,
        uses_values: false,
        value_sequence: 0,
        value: None,
    }
}

fn request(session: SessionId, lock: u64, mode: Mode, flags: F) -> SlotInput {
    SlotInput::Operation {
        epoch: EPOCH,
        operation: Input::Request {
            session,
            op: OpId(lock),
            lockspace: LOCKSPACE,
            lock: LockId(lock),
            name: names().1[0].clone(),
            mode,
            flags,
            owner: Owner(0),
        },
    }
}

const fn claims(session: SessionId, claims: Vec<Claim>) -> SlotInput {
    SlotInput::Claims {
        session,
        epoch: EPOCH,
        claims,
        done: true,
    }
}

/// A master that waits for A and B.
fn recovering() -> SlotMaster {
    let (slot, _) = names();
    let mut out = Vec::new();
    let master = SlotMaster::recover(
        Tick(0),
        CONFIG,
        &begin(slot, EPOCH, [A, B].into_iter()),
        &mut out,
    );
    assert_eq!(out, []);
    master
}

fn step(master: &mut SlotMaster, input: SlotInput) -> Vec<SlotOutput> {
    let mut out = Vec::new();
    master.step(Tick(1), input, &mut out);
    assert_eq!(invariants::check(master.table()), Ok(()));
    out
}

/// Which operations were answered, and how.
fn answers(out: &[SlotOutput]) -> Vec<(u64, Status)> {
    let done = out.iter().filter_map(|output| match output {
        SlotOutput::Table(Output::Done { op, status, .. }) => Some((op.0, *status)),
        _ => None,
    });
    done.collect()
}

#[test]
fn of_two_that_exclude_each_other_the_older_token_goes() {
    let mut master = recovering();
    step(&mut master, claims(A, vec![granted(1, Mode::Ex, token(7))]));
    let out = step(&mut master, claims(B, vec![granted(1, Mode::Pr, token(9))]));
    let SlotOutput::Evict { session, why } = &out[0] else {
        panic!("{out:?}")
    };
    assert_eq!(*session, A);
    let text = why.to_string();
    assert!(
        text.contains("lock 1 in EX") && text.contains("session 2 in PR"),
        "{text}"
    );
    assert_eq!(out.last(), Some(&SlotOutput::Serving));
    assert_eq!(
        master.table().held(B, LockId(1)),
        Some((Mode::Pr, token(9)))
    );
    assert_eq!(master.table().held(A, LockId(1)), None);
    // What A has is not known: nothing is granted until it is purged.
    assert_eq!(
        answers(&step(&mut master, request(B, 2, Mode::Pr, F::empty()))),
        []
    );
    let purged = SlotInput::Purged {
        session: A,
        dirty: true,
    };
    assert_eq!(answers(&step(&mut master, purged)), [(2, Status::Granted)]);
}

#[test]
fn claims_that_make_no_sense_evict_who_makes_them() {
    let good = granted(1, Mode::Ex, token(1));
    let other_name =
        (0..1000_u32).map(|n| dlm_core::ResourceName::new(&n.to_be_bytes()).expect("a name"));
    let mut elsewhere =
        other_name.filter(|name| dlm_core::SlotId::of(LOCKSPACE, name) != names().0);
    let elsewhere = elsewhere.next().expect("a name");
    let following = LOCKSPACE.base().following();
    let another_base = dlm_core::LockspaceId::new(following, 1).expect("a lockspace");
    let waiting = Stands::Waiting {
        wanted: Mode::Ex,
        op: OpId(1),
        serial: Some(u64::MAX),
    };
    let at_rest = Stands::Waiting {
        wanted: Mode::Ex,
        op: OpId(1),
        serial: None,
    };
    let bad = |change: &dyn Fn(&mut Claim)| {
        let mut claim = good.clone();
        change(&mut claim);
        vec![claim]
    };
    let cases = [
        (
            bad(&|claim| claim.name = elsewhere.clone()),
            ClaimFault::OtherSlot,
        ),
        // The names of another base are in other slots; those of an earlier opening are in the same ones.
        (
            bad(&|claim| claim.lockspace = another_base),
            ClaimFault::OtherSlot,
        ),
        (
            bad(&|claim| claim.lockspace.0 += 1),
            ClaimFault::LockspaceNotOpen,
        ),
        (bad(&|claim| claim.token = Token(0)), ClaimFault::Token),
        (
            bad(&|claim| claim.token = Token(6 << 40)),
            ClaimFault::Token,
        ),
        (
            bad(&|claim| claim.granted = Some(Mode::Pr)),
            ClaimFault::Token,
        ),
        (
            bad(&|claim| claim.stands = waiting.clone()),
            ClaimFault::Position,
        ),
        (
            bad(&|claim| (claim.stands, claim.flags) = (at_rest.clone(), F::NOQUEUE)),
            ClaimFault::Flags,
        ),
        (vec![good.clone(), good.clone()], ClaimFault::LockTwice),
    ];
    for (nonsense, fault) in cases {
        let mut master = recovering();
        let out = step(&mut master, claims(A, nonsense));
        let why = EvictReason::Fault {
            lock: LockId(1),
            fault,
        };
        assert_eq!(out, [SlotOutput::Evict { session: A, why }]);
        assert_eq!(step(&mut master, claims(B, vec![])), [SlotOutput::Serving]);
        assert_eq!(master.table().locks(), 0);
    }
}

#[test]
fn a_session_that_says_nothing_is_reported_and_one_that_dies_closes_its_lockspaces() {
    let mut master = recovering();
    step(&mut master, claims(A, vec![granted(1, Mode::Pr, token(1))]));
    let mut out = Vec::new();
    master.step(Tick(CONFIG.reassert_us_max - 1), SlotInput::Clock, &mut out);
    assert_eq!(out, []);
    for _ in 0..2 {
        master.step(Tick(CONFIG.reassert_us_max), SlotInput::Clock, &mut out);
    }
    let why = EvictReason::NoAnswer;
    assert_eq!(out, [SlotOutput::Evict { session: B, why }], "once");
    step(&mut master, request(A, 2, Mode::Nl, F::empty()));
    let out = step(&mut master, SlotInput::Died { session: B });
    assert_eq!(out[0], SlotOutput::Serving);
    assert_eq!(answers(&out), [], "it waits");
    let tried = step(&mut master, request(A, 3, Mode::Pr, F::NOQUEUE));
    assert_eq!(answers(&tried), [(3, Status::TryFailed)]);
    // What gives something up waits for nobody.
    let down = SlotInput::Operation {
        epoch: EPOCH,
        operation: Input::Convert {
            session: A,
            op: OpId(5),
            lock: LockId(1),
            mode: Mode::Cr,
            flags: F::empty(),
            owner: Owner(0),
            value: None,
        },
    };
    assert_eq!(answers(&step(&mut master, down)), [(5, Status::Granted)]);
    let unlock = Input::Unlock {
        session: A,
        op: OpId(4),
        lock: LockId(1),
        flags: F::empty(),
        value: None,
    };
    let unlock = SlotInput::Operation {
        epoch: EPOCH,
        operation: unlock,
    };
    assert_eq!(answers(&step(&mut master, unlock)), [(4, Status::Unlocked)]);
    let late = step(&mut master, request(B, 9, Mode::Pr, F::empty()));
    assert_eq!(late, [], "a dead session's messages are dropped");
    let purged = SlotInput::Purged {
        session: B,
        dirty: true,
    };
    assert_eq!(answers(&step(&mut master, purged)), [(2, Status::Granted)]);
}

#[test]
fn what_comes_too_early_waits_in_its_order_and_up_to_a_limit() {
    let mut master = recovering();
    step(&mut master, claims(A, vec![granted(1, Mode::Pr, token(1))]));
    let max = CONFIG.waiting_per_session_max as u64;
    for lock in 2..2 + max {
        assert_eq!(
            step(&mut master, request(A, lock, Mode::Pr, F::empty())),
            []
        );
    }
    let refused = SlotOutput::Refused {
        session: A,
        op: OpId(50),
        why: SlotRefusal::Waiting,
    };
    assert_eq!(
        step(&mut master, request(A, 50, Mode::Pr, F::empty())),
        [refused]
    );
    let tried = step(&mut master, request(A, 51, Mode::Pr, F::NOQUEUE));
    assert_eq!(answers(&tried), [(51, Status::TryFailed)]);
    let convert = SlotInput::Operation {
        epoch: EPOCH,
        operation: Input::Convert {
            session: A,
            op: OpId(52),
            lock: LockId(1),
            mode: Mode::Ex,
            flags: F::NOQUEUE,
            owner: Owner(0),
            value: None,
        },
    };
    let out = step(&mut master, convert);
    let [
        SlotOutput::Table(Output::Done {
            mode, token: under, ..
        }),
    ] = out[..]
    else {
        panic!("{out:?}")
    };
    assert_eq!(
        (mode, under),
        (Some(Mode::Pr), token(1)),
        "it holds what it held"
    );
    let out = step(&mut master, claims(B, vec![]));
    let expected: Vec<_> = (2..2 + max).map(|op| (op, Status::Granted)).collect();
    assert_eq!(answers(&out), expected);
}

#[test]
fn another_epoch_is_not_served() {
    let mut master = recovering();
    let SlotInput::Operation { operation, .. } = request(A, 1, Mode::Pr, F::empty()) else {
        unreachable!("it is one")
    };
    let epoch = Epoch(4);
    let out = step(&mut master, SlotInput::Operation { epoch, operation });
    let (session, op) = (A, Some(OpId(1)));
    let epoch = EPOCH;
    assert_eq!(out, [SlotOutput::NotMaster { session, op, epoch }]);
}

/// A lock that is held, one that waits, and the master of the next epoch that has asked for them.
fn moving() -> (SlotMaster, SlotMaster) {
    let mut master = recovering();
    step(&mut master, claims(A, vec![granted(1, Mode::Ex, token(1))]));
    step(&mut master, claims(B, vec![]));
    assert_eq!(
        answers(&step(&mut master, request(B, 1, Mode::Pr, F::empty()))),
        []
    );
    let mut out = Vec::new();
    let begin = begin(names().0, Epoch(6), [A, B].into_iter());
    let next = SlotMaster::arrive(CONFIG, &begin, &mut out);
    assert_eq!(out, [SlotOutput::ImageWanted { chunk: 0 }]);
    (master, next)
}

fn first_chunk(master: &mut SlotMaster, streams: Vec<StreamPart>) -> ImageChunk {
    match step(master, SlotInput::Leave { streams }).pop() {
        Some(SlotOutput::Image(chunk)) => chunk,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_happens_during_a_move_happens_after_it() {
    let (mut old, mut next) = moving();
    let streams = vec![StreamPart {
        session: A,
        bytes: Box::from(*b"answers"),
    }];
    let chunk = first_chunk(&mut old, streams.clone());
    let out = step(&mut old, request(B, 2, Mode::Nl, F::empty()));
    assert!(
        matches!(out[..], [SlotOutput::NotMaster { .. }]),
        "it has stopped"
    );
    let purged = SlotInput::Purged {
        session: A,
        dirty: true,
    };
    assert_eq!(step(&mut next, purged), []);
    let out = step(&mut next, SlotInput::Image(chunk));
    assert_eq!(out[0], SlotOutput::HandedOver { streams });
    assert_eq!(answers(&out), [(1, Status::Granted)]);
    assert_eq!(out.last(), Some(&SlotOutput::Serving));
    let (_, under) = next.table().held(B, LockId(1)).expect("it holds it");
    assert!(under > Token(6 << 40), "a token of the new epoch");
}

#[test]
fn an_image_that_does_not_fit_together_is_refused() {
    let (mut old, mut next) = moving();
    let mut chunk = first_chunk(&mut old, Vec::new());
    let again = chunk.entries.clone();
    chunk.entries.extend(again);
    let out = step(&mut next, SlotInput::Image(chunk));
    assert_eq!(out, [SlotOutput::ImageBroken]);
    assert_eq!(next.phase(), PhaseName::Broken);
}

#[test]
fn a_large_table_moves_in_pieces() {
    let mut master = recovering();
    let mine = (1..=3000).map(|lock| granted(lock, Mode::Nl, token(1)));
    step(&mut master, claims(A, mine.collect()));
    step(&mut master, claims(B, vec![]));
    let begin = begin(names().0, Epoch(6), [A, B].into_iter());
    let mut next = SlotMaster::arrive(CONFIG, &begin, &mut Vec::new());
    let mut chunk = first_chunk(&mut master, Vec::new());
    let mut pieces = 1;
    loop {
        assert!(chunk.entries.len() <= dlm_core::recovery::IMAGE_ENTRIES_MAX);
        let mut out = Vec::new();
        next.step(Tick(1), SlotInput::Image(chunk.clone()), &mut out);
        // A piece that comes twice changes nothing.
        next.step(Tick(1), SlotInput::Image(chunk), &mut out);
        let [SlotOutput::ImageWanted { chunk: number }] = out[..] else {
            break;
        };
        pieces += 1;
        match step(&mut master, SlotInput::ImageWanted { chunk: number }).pop() {
            Some(SlotOutput::Image(piece)) => chunk = piece,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(
        pieces, 6,
        "a resource, 3000 locks, 3000 places in their session"
    );
    assert_eq!(next.table().detail(None), master.table().detail(None));
    assert_eq!(invariants::check(next.table()), Ok(()));
}

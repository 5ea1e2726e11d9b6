//! Locks as events: everything the server says, and nothing that it does not.

use dlm_client::asts::{Ast, AstEvents, Ticket};
use dlm_client::{LockError, LockId, Mode, Owner, Refusal, RequestFlags, Status, Value};
use tokio_stream::StreamExt;

use crate::stage::{client, lockspace, server, within};

const PLAIN: RequestFlags = RequestFlags::empty();

/// The next event, which is the answer to an operation.
async fn done(events: &mut AstEvents) -> (Ticket, LockId, Status, Option<Mode>) {
    match within(events.next()).await {
        Some(Ast::Completion {
            ticket,
            lock,
            status,
            mode,
            ..
        }) => (ticket, lock, status, mode),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn refusals_come_whatever_is_named() {
    let server = server().await;
    let space = lockspace(&server, "a").await;
    let (asts, mut events) = space.client().asts();
    let stale = LockId(77);
    let refused = |refusal| Status::Refused(refusal);
    let ticket = asts
        .convert(stale, Mode::Ex, PLAIN, Owner(0), None)
        .unwrap();
    let no_such = refused(Refusal::NoSuchLock);
    assert_eq!(done(&mut events).await, (ticket, stale, no_such, None));
    let ticket = asts.unlock(stale, PLAIN, Some(b"value")).unwrap();
    assert_eq!(done(&mut events).await, (ticket, stale, no_such, None));
    let ticket = asts.cancel(stale).unwrap();
    assert_eq!(done(&mut events).await, (ticket, stale, no_such, None));

    let lock = asts.new_lock();
    asts.request(&space, lock, "x", Mode::Ex, PLAIN, Owner(1))
        .unwrap();
    assert_eq!(done(&mut events).await.2, Status::Granted);
    let ticket = asts
        .request(&space, lock, "y", Mode::Pr, PLAIN, Owner(1))
        .unwrap();
    let in_use = refused(Refusal::LockIdInUse);
    assert_eq!(
        done(&mut events).await,
        (ticket, lock, in_use, Some(Mode::Ex))
    );
    let ticket = asts.unlock(lock, RequestFlags::NOQUEUE, None).unwrap();
    let flags = refused(Refusal::Flags);
    assert_eq!(
        done(&mut events).await,
        (ticket, lock, flags, Some(Mode::Ex))
    );
    let nothing = Status::NothingToCancel;
    let ticket = asts.cancel(lock).unwrap();
    assert_eq!(
        done(&mut events).await,
        (ticket, lock, nothing, Some(Mode::Ex))
    );

    let long = asts.request(&space, lock, [0; 65], Mode::Ex, PLAIN, Owner(1));
    assert_eq!(long, Err(LockError::Refused(Refusal::NameLength)));
    let long = asts.unlock(lock, PLAIN, Some(&[0; 257]));
    assert_eq!(long, Err(LockError::Refused(Refusal::ValueLength)));
}

#[tokio::test]
async fn orphans_have_their_numbers_and_a_barrier_is_behind_everything() {
    let server = server().await;
    let space = lockspace(&server, "a").await;
    let (asts, mut events) = space.client().asts();
    let (first, second) = (asts.new_lock(), asts.new_lock());
    let (ours, theirs) = (Owner(1), Owner(2));
    let flags = RequestFlags::PERSISTENT | RequestFlags::VALBLK;
    let mut all = Vec::new();
    asts.request(&space, first, "x", Mode::Ex, flags, ours)
        .unwrap();
    // A lock has one operation at a time.
    asts.barrier(&space).await.unwrap();
    asts.convert(first, Mode::Ex, flags, ours, Some(b"one"))
        .unwrap();
    asts.request(&space, second, "x", Mode::Pr, RequestFlags::VALBLK, theirs)
        .unwrap();
    asts.barrier(&space).await.unwrap();
    let ended = asts.owner_ended(ours).unwrap();
    asts.barrier(&space).await.unwrap();
    let adopts = asts
        .request(
            &space,
            LockId(99),
            "x",
            Mode::Ex,
            RequestFlags::ORPHAN,
            theirs,
        )
        .unwrap();
    asts.barrier(&space).await.unwrap();
    asts.convert(first, Mode::Nl, PLAIN, theirs, None).unwrap();
    asts.barrier(&space).await.unwrap();
    all.extend(std::iter::from_fn(|| events.arrived()));
    assert!(
        matches!(all.pop(), Some(Ast::Completion { lock, status: Status::Granted, value: Some(Value::Valid(_)), .. }) if lock == second)
    );
    assert!(matches!(
        all.pop(),
        Some(Ast::Completion {
            mode: Some(Mode::Nl),
            ..
        })
    ));
    let position = |wanted: &Ast| all.iter().position(|event| event == wanted);
    let orphaned = position(&Ast::Orphaned {
        lock: first,
        owner: ours,
    });
    let purged = position(&Ast::Purged {
        ticket: ended,
        locks: 0,
    });
    assert!(orphaned.is_some() && orphaned < purged, "{all:?}");
    let adopted = all.iter().any(|event| {
        matches!(event, Ast::Completion { ticket, lock, status: Status::Adopted, .. }
            if *ticket == adopts && *lock == first)
    });
    assert!(adopted, "{all:?}");
    let purge = asts.purge_orphans(&space, None).unwrap();
    let event = within(StreamExt::next(&mut events)).await;
    assert_eq!(
        event,
        Some(Ast::Purged {
            ticket: purge,
            locks: 0
        })
    );
}

#[tokio::test]
async fn the_stream_ends_with_the_session_and_streams_are_apart() {
    let server = server().await;
    let space = lockspace(&server, "a").await;
    let (one, mut events) = space.client().asts();
    let (other, mut others) = space.client().asts();
    let lock = one.new_lock();
    one.request(&space, lock, "x", Mode::Pr, PLAIN, Owner(0))
        .unwrap();
    assert_eq!(done(&mut events).await.2, Status::Granted);
    let waits = other.new_lock();
    other
        .request(&space, waits, "x", Mode::Ex, PLAIN, Owner(0))
        .unwrap();
    let blocking = Ast::Blocking {
        lock,
        mode: Mode::Ex,
    };
    assert_eq!(within(events.next()).await, Some(blocking));
    assert_eq!(others.arrived(), None);
    space.client().clone().close().await;
    assert_eq!(within(events.next()).await, None);
    assert_eq!(within(others.next()).await, None);
    let lost = one.cancel(lock);
    assert!(matches!(lost, Err(LockError::SessionLost(_))), "{lost:?}");
    let (_, mut late) = client(&server, "b").await.asts();
    assert_eq!(
        within(late.next()).await,
        None,
        "the last handle of its session is gone"
    );
}

#[tokio::test]
async fn a_glock_that_is_taken_away_ends_the_session() {
    let server = server().await;
    let space = lockspace(&server, "a").await;
    let cached = space.cached("x").unwrap();
    drop(cached.lock(dlm_client::Access::Exclusive).await.unwrap());
    let (asts, mut events) = space.client().asts();
    // Cached locks are nobody's in particular.
    asts.owner_ended(Owner(0)).unwrap();
    assert_eq!(within(events.next()).await, None);
    let error = space.lock("y", Mode::Ex).await.map(drop).unwrap_err();
    assert!(error.to_string().contains("taken away"), "{error}");
}

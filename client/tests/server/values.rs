//! Value blocks, orphans, tasks, lockspaces' options and their ends.

use dlm_client::{CommandRefusal, LockError, LockspaceOptions, Mode, Owner, Refusal};
use dlm_client::{RequestFlags, StatusFlags, Value, ValueBlock, ValueLength};

use crate::stage::{client, lockspace, server, within};

const PLAIN: RequestFlags = RequestFlags::empty();

fn valid(text: &[u8]) -> Option<Value> {
    let mut bytes = text.to_vec();
    bytes.resize(32, 0);
    Some(Value::Valid(ValueBlock::new(&bytes).unwrap()))
}

#[tokio::test]
async fn a_value_is_stored_read_and_marked() {
    let server = server().await;
    let (a, b) = (lockspace(&server, "a").await, lockspace(&server, "b").await);
    let mut held = a.lock_with_value("x", Mode::Ex).await.unwrap();
    assert_eq!(held.value(), None, "none was stored");
    held.convert_storing(Mode::Ex, b"one").await.unwrap();
    held.convert_storing(Mode::Pr, b"two").await.unwrap();
    let reader = b.lock_with_value("x", Mode::Pr).await.unwrap();
    assert_eq!(reader.value(), valid(b"two"));
    assert_eq!(b.lock("x", Mode::Pr).await.unwrap().value(), None);
    let error = held.convert_storing(Mode::Nl, b"three").await;
    let (from, to) = (Mode::Pr, Mode::Nl);
    assert_eq!(error, Err(LockError::StoresNothing { from, to }));
    drop(reader);

    // A lock that never had to do with values stores one too.
    held.convert(Mode::Nl).await.unwrap();
    let writer = b.lock("x", Mode::Pw).await.unwrap();
    writer.unlock_storing(b"four").await.unwrap();
    held.convert_with(Mode::Ex, RequestFlags::VALBLK)
        .await
        .unwrap();
    assert_eq!(held.value(), valid(b"four"));
    assert_eq!(held.flags(), StatusFlags::empty());

    let keeps = b.lock("x", Mode::Nl).await.unwrap();
    held.unlock_invalidating().await.unwrap();
    let held = a.lock_with_value("x", Mode::Pw).await.unwrap();
    let value = held.value().unwrap();
    assert_eq!((value.is_valid(), value.valid()), (false, None));
    assert_eq!(&value.whatever_it_is()[..4], b"four");
    assert!(held.flags().contains(StatusFlags::VALNOTVALID));
    held.unlock_storing(b"five").await.unwrap();
    let held = a.lock_with_value("x", Mode::Cr).await.unwrap();
    assert_eq!(held.value(), valid(b"five"));
    let (from, to) = (Mode::Cr, Mode::Nl);
    let error = held.unlock_storing(b"six").await;
    assert_eq!(error, Err(LockError::StoresNothing { from, to }));
    drop(keeps);
}

#[tokio::test]
async fn a_writer_that_is_lost_leaves_a_value_that_is_not_valid() {
    let server = server().await;
    let (a, b) = (lockspace(&server, "a").await, lockspace(&server, "b").await);
    let _keeps = b.lock("x", Mode::Nl).await.unwrap();
    let mut held = a.lock("x", Mode::Ex).await.unwrap();
    held.convert_storing(Mode::Ex, b"one").await.unwrap();
    a.client().clone().close().await;
    let reader = within(b.lock_with_value("x", Mode::Pr)).await.unwrap();
    assert!(matches!(reader.value(), Some(Value::NotValid(_))));
    assert!(held.is_lost());
    assert!(matches!(
        held.unlock_storing(b"two").await,
        Err(LockError::SessionLost(_))
    ));
}

#[tokio::test]
async fn a_lockspace_is_as_its_maker_chose() {
    let server = server().await;
    let (a, b) = (client(&server, "a").await, client(&server, "b").await);
    let options = LockspaceOptions {
        value_length: ValueLength::new(64).unwrap(),
        ..LockspaceOptions::default()
    };
    let made = a.lockspace_with("wide", options).await.unwrap();
    assert_eq!(made.options(), options);
    assert_eq!(b.lockspace("wide").await.unwrap().options(), options);
    let other = LockspaceOptions::default();
    let refused = b.lockspace_with("wide", other).await.err().unwrap();
    assert!(matches!(refused, LockError::LockspaceRefused(_)));
    assert!(refused.to_string().contains("64 bytes"), "{refused}");

    let mut held = made.lock_with_value("x", Mode::Ex).await.unwrap();
    held.convert_storing(Mode::Ex, [7; 64]).await.unwrap();
    for length in [65, 257] {
        let refused = held.convert_storing(Mode::Ex, vec![7; length]).await;
        assert_eq!(refused, Err(LockError::Refused(Refusal::ValueLength)));
    }
    held.convert_with(Mode::Ex, RequestFlags::VALBLK)
        .await
        .unwrap();
    assert_eq!(held.mode(), Mode::Ex);
}

#[tokio::test]
async fn leaving_a_lockspace_is_told_to_those_who_hold_and_wait() {
    let server = server().await;
    let (a, b) = (lockspace(&server, "a").await, lockspace(&server, "b").await);
    let elsewhere = a.client().lockspace("elsewhere").await.unwrap();
    let stays = elsewhere.lock("x", Mode::Ex).await.unwrap();
    let mut other = b.lock("x", Mode::Ex).await.unwrap();
    let mut held = a.lock("y", Mode::Ex).await.unwrap();
    let waits = tokio::spawn({
        let a = a.clone();
        async move { a.lock("x", Mode::Ex).await.map(drop) }
    });
    assert_eq!(within(other.blocked()).await, Some(Mode::Ex));
    assert_eq!(a.clone().leave().await, Ok(2));
    assert_eq!(within(waits).await.unwrap(), Err(LockError::Gone));
    assert!(held.is_lost() && !stays.is_lost());
    assert_eq!(within(held.blocked()).await, None);
    assert_eq!(held.convert(Mode::Pr).await, Err(LockError::Gone));
    assert_eq!(held.unlock().await, Err(LockError::Gone));
    let refused = Some(LockError::Refused(Refusal::NoSuchLockspace));
    assert_eq!(a.lock("y", Mode::Ex).await.err(), refused);
    let left = LockError::LockspaceRefused(CommandRefusal::LockspaceNotOpen);
    assert_eq!(a.clone().leave().await.err(), Some(left));
    b.try_lock("y", Mode::Ex).await.expect("nobody holds it");
    let again = a.client().lockspace("volume").await.unwrap();
    again.try_lock("z", Mode::Ex).await.unwrap();
    stays.unlock().await.unwrap();
}

#[tokio::test]
async fn a_task_that_ends_leaves_its_persistent_locks_as_orphans() {
    let server = server().await;
    let (a, b) = (lockspace(&server, "a").await, lockspace(&server, "b").await);
    let (task, other) = (a.client().task("mount"), a.client().task("other"));
    assert_ne!(task.owner(), other.owner());
    let persistent = RequestFlags::PERSISTENT;
    let (owner, mine) = (task.owner(), other.owner());
    let orphan = a.request("x", Mode::Ex, persistent, owner).await.unwrap();
    let goes = a.request("y", Mode::Ex, PLAIN, owner).await.unwrap();
    let stays = a.request("z", Mode::Ex, PLAIN, mine).await.unwrap();
    assert_eq!(task.end().await, Ok(1));
    assert!(orphan.is_lost() && goes.is_lost() && !stays.is_lost());
    assert_eq!(orphan.unlock().await, Err(LockError::Gone));

    let refusals = [
        ("x", Mode::Pr, Refusal::OrphanMode),
        ("y", Mode::Ex, Refusal::NoSuchOrphan),
    ];
    for (name, mode, refusal) in refusals {
        let error = a.adopt(name, mode).await.err();
        assert_eq!(error, Some(LockError::Refused(refusal)));
    }
    let tried = b.try_lock("x", Mode::Pr).await.err();
    assert_eq!(tried, Some(LockError::TryFailed));
    let mut adopted = a.adopt("x", Mode::Ex).await.unwrap();
    assert_eq!(adopted.mode(), Mode::Ex);
    assert!(adopted.token().0 > 0);
    let waits = tokio::spawn(async move { b.lock("x", Mode::Pr).await.map(|_| b) });
    assert_eq!(within(adopted.blocked()).await, Some(Mode::Pr));
    adopted.convert(Mode::Pr).await.unwrap();
    let b = within(waits).await.unwrap().unwrap();
    adopted.unlock().await.unwrap();

    // Purged instead of adopted; and by its number, as every answer says it.
    let last = a.client().task("last");
    let left = a.request("x", Mode::Ex, persistent, last.owner()).await;
    let owner = last.owner();
    assert_eq!(last.end().await, Ok(0));
    assert_eq!(a.purge_orphans(Some(Owner(u64::MAX))).await, Ok(0));
    assert_eq!(a.purge_orphans(Some(owner)).await, Ok(1));
    assert!(left.unwrap().is_lost());
    b.try_lock("x", Mode::Ex).await.unwrap();
}

#[tokio::test]
async fn a_dropped_adoption_and_a_dropped_storing_leave_nothing_under_way() {
    let server = server().await;
    let (a, b) = (lockspace(&server, "a").await, lockspace(&server, "b").await);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let task = a.client().task("mount");
    let persistent = RequestFlags::PERSISTENT;
    let held = a.request("x", Mode::Ex, persistent, task.owner()).await;
    drop((task.end().await.unwrap(), held.unwrap()));
    {
        let mut adopts = Box::pin(a.adopt("x", Mode::Ex));
        assert!(adopts.as_mut().poll(&mut context).is_pending());
    }
    drop(within(b.lock("x", Mode::Ex)).await.unwrap());

    let mut held = a.lock_with_value("y", Mode::Ex).await.unwrap();
    {
        let mut stores = Box::pin(held.convert_storing(Mode::Pr, b"one"));
        assert!(stores.as_mut().poll(&mut context).is_pending());
    }
    let reader = within(b.lock_with_value("y", Mode::Pr)).await.unwrap();
    assert_eq!(
        reader.value(),
        valid(b"one"),
        "it was faster than the cancel"
    );
    held.convert(Mode::Nl).await.unwrap();
    {
        let mut unlocks = Box::pin(held.unlock());
        assert!(unlocks.as_mut().poll(&mut context).is_pending());
    }
    drop(reader);
    drop(within(b.lock("y", Mode::Ex)).await.unwrap());
}

#[tokio::test]
async fn a_grant_says_which_mode_it_is() {
    let server = server().await;
    let (a, b) = (lockspace(&server, "a").await, lockspace(&server, "b").await);
    let _other = b.lock("x", Mode::Pr).await.unwrap();
    let held = a
        .request("x", Mode::Ex, RequestFlags::ALTPR, Owner(0))
        .await;
    let held = held.unwrap();
    assert_eq!(
        (held.mode(), held.flags()),
        (Mode::Pr, StatusFlags::ALTMODE)
    );

    // Two that convert: the later one gives up its mode and waits from NL.
    let mut first = a.lock("y", Mode::Pr).await.unwrap();
    let mut second = b.lock("y", Mode::Pr).await.unwrap();
    let waits = tokio::spawn(async move { first.convert(Mode::Ex).await.map(|()| first) });
    assert_eq!(within(second.blocked()).await, Some(Mode::Ex));
    let converts = second.convert_with(Mode::Ex, RequestFlags::CONVDEADLK);
    let gives_way = async { drop(within(waits).await.unwrap().unwrap()) };
    let ((), converted) = tokio::join!(gives_way, within(converts));
    converted.unwrap();
    assert_eq!(
        (second.mode(), second.flags()),
        (Mode::Ex, StatusFlags::DEMOTED)
    );
}

#[tokio::test]
async fn the_victim_of_a_deadlock_is_told_with_a_new_lock_as_with_a_conversion() {
    let server = server().await;
    let options = LockspaceOptions {
        breaks_deadlocks: true,
        ..LockspaceOptions::default()
    };
    let (a, b) = (client(&server, "a").await, client(&server, "b").await);
    let a = a.lockspace_with("broken", options).await.unwrap();
    let b = b.lockspace("broken").await.unwrap();
    for convert in [false, true] {
        let mut x = a.lock("x", Mode::Ex).await.unwrap();
        let y = b.lock("y", Mode::Ex).await.unwrap();
        let mut mine = b.lock("x", Mode::Nl).await.unwrap();
        let older = tokio::spawn({
            let a = a.clone();
            async move { a.lock("y", Mode::Ex).await.map(drop) }
        });
        let mut y = y;
        assert_eq!(within(y.blocked()).await, Some(Mode::Ex));
        let error = if convert {
            within(mine.convert(Mode::Ex)).await.unwrap_err()
        } else {
            within(b.lock("x", Mode::Ex)).await.map(drop).unwrap_err()
        };
        assert_eq!(error, LockError::Deadlock, "the youngest wait is ended");
        let text = error.to_string();
        assert!(
            !text.contains("conversion") && text.lines().count() == 1,
            "{text}"
        );
        assert_eq!(mine.mode(), Mode::Nl);
        drop(y);
        within(older).await.unwrap().unwrap();
        assert_eq!(within(x.blocked()).await, Some(Mode::Ex));
    }
}

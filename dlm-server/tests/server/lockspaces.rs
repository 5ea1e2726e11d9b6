//! Lockspaces, value blocks, orphans and listings over real streams.

use dlm_core::cluster::CommandRefusal;
use dlm_core::link::{Event, EverywhereKind, OperationKind};
use dlm_core::{
    LockId, LockspaceOptions, Mode, Owner, Refusal, RequestFlags, Status, StatusFlags, ValueBlock,
    ValueLength,
};
use dlm_server::embedded::Server;
use glockwork_proto::cluster::Answer;
use glockwork_proto::listing::LockedResource;
use glockwork_proto::wire::inspect_client::InspectClient;
use glockwork_proto::wire::lock_client::LockClient;
use glockwork_proto::{convert, render, wire};
use tonic::Code;

use crate::raw::{Raw, Told, channel, of_table, serve};

const VALBLK: RequestFlags = RequestFlags::VALBLK;

fn options(value_length: usize, breaks_deadlocks: bool) -> LockspaceOptions {
    LockspaceOptions {
        value_length: ValueLength::new(value_length).unwrap(),
        breaks_deadlocks,
    }
}

/// A request with flags, for a task.
fn request(of: &Raw, lock: u64, mode: Mode, (flags, owner): (RequestFlags, u64)) -> OperationKind {
    OperationKind::Request {
        lockspace: of.lockspace,
        lock: LockId(lock),
        name: crate::raw::resource("r"),
        mode,
        flags,
        owner: Owner(owner),
    }
}

fn unlock(lock: u64, flags: RequestFlags, value: &[u8]) -> OperationKind {
    OperationKind::Unlock {
        lock: LockId(lock),
        flags,
        value: ValueBlock::new(value).ok(),
    }
}

async fn listed(server: &Server, lockspace: &str) -> Vec<LockedResource> {
    let request = wire::LocksRequest {
        lockspace: lockspace.into(),
        local: false,
    };
    let mut client = InspectClient::new(channel(server).await);
    let mut pages = client.locks(request).await.unwrap().into_inner();
    let mut all = Vec::new();
    while let Some(page) = pages.message().await.unwrap() {
        all.extend(convert::locks_page(page).unwrap());
    }
    all
}

#[tokio::test]
async fn who_makes_a_lockspace_chooses_what_it_is_like() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    let mut b = Raw::join(&server, "b").await;
    let wide = of_table(options(64, false));
    assert_eq!(a.open("wide", Some(wide)).await, Ok(wide));
    assert_eq!(b.open("wide", None).await, Ok(wide));
    assert_eq!(a.lockspace, b.lockspace);
    let other = Some(of_table(options(32, false)));
    let refused = b.open("wide", other).await;
    assert_eq!(refused, Err(CommandRefusal::Options(wide)));

    a.send(request(&a, 1, Mode::Ex, (VALBLK, 0))).await;
    a.told().await;
    a.send(unlock(1, VALBLK, &[7; 65])).await;
    let refused = Status::Refused(Refusal::ValueLength);
    assert_eq!(a.told().await, Told::Done(1, refused, Some(Mode::Ex)));
    // Another lock keeps the resource, and with it the value.
    b.hold(2, "r", Mode::Nl).await;
    a.send(unlock(1, VALBLK, &[7; 64])).await;
    let stored = a.done().await.value_sequence;
    b.send(request(&b, 1, Mode::Pr, (VALBLK, 0))).await;
    let read = b.done().await;
    let (number, value) = read.value.expect("a value");
    assert_eq!((number, value.as_bytes()), (stored, &[7; 64][..]));
    assert_eq!(read.flags, StatusFlags::empty());
}

#[tokio::test]
async fn a_value_is_not_valid_after_its_writer_was_lost() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    let mut b = Raw::join(&server, "b").await;
    b.hold(1, "r", Mode::Nl).await;
    a.send(request(&a, 1, Mode::Ex, (VALBLK, 0))).await;
    a.told().await;
    a.goodbye().await;
    b.send(OperationKind::Convert {
        lock: LockId(1),
        mode: Mode::Pr,
        flags: VALBLK,
        owner: Owner(0),
        value: None,
    })
    .await;
    let mut event = b.event().await;
    if matches!(event, Event::Queued { .. }) {
        event = b.event().await;
    }
    let Event::Done(done) = event else {
        panic!("it is granted: {event:?}");
    };
    assert_eq!(done.status, Status::Granted);
    let listed = listed(&server, "test").await;
    let said = done.flags.contains(StatusFlags::VALNOTVALID);
    assert_eq!((listed[0].value_valid, said), (false, done.value.is_some()));
}

/// What the session says of its locks goes over the stream, what the cluster is to know by a call.
async fn leave(of: &mut Raw) -> (u32, Answer<()>) {
    let lockspace = of.lockspace;
    of.send_everywhere(EverywhereKind::LeaveLockspace { lockspace })
        .await;
    let gone = of.purged().await;
    let request = wire::LeaveLockspaceRequest {
        session: of.session.0,
        nonce: render::identity(of.nonce),
        lockspace: lockspace.0,
    };
    let reply = of.calls.leave_lockspace(request).await.unwrap();
    (gone, convert::plain_reply(reply.into_inner()).unwrap())
}

#[tokio::test]
async fn leaving_a_lockspace_takes_the_locks_along_and_the_last_one_ends_it() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    let mut b = Raw::join(&server, "b").await;
    let lockspace = a.lockspace;
    let persistent = RequestFlags::PERSISTENT;
    a.send(request(&a, 1, Mode::Ex, (persistent, 1))).await;
    a.told().await;
    b.request(1, "r", Mode::Ex).await;
    assert_eq!(a.told().await, Told::Blocking(1, Mode::Ex));
    assert_eq!(leave(&mut a).await, (1, Answer::Done(())));
    assert_eq!(
        b.told().await,
        Told::Done(1, Status::Granted, Some(Mode::Ex))
    );
    a.request(2, "r", Mode::Nl).await;
    let refused = Status::Refused(Refusal::NoSuchLockspace);
    assert_eq!(a.told().await, Told::Done(2, refused, None));
    let not_open = Answer::Refused(CommandRefusal::LockspaceNotOpen);
    let request = wire::LeaveLockspaceRequest {
        session: a.session.0,
        nonce: render::identity(a.nonce),
        lockspace: lockspace.0,
    };
    let reply = a.calls.leave_lockspace(request).await.unwrap();
    let again = convert::plain_reply(reply.into_inner()).unwrap();
    assert_eq!(again, not_open);

    assert_eq!(leave(&mut b).await, (1, Answer::Done(())));
    let other = of_table(options(128, false));
    assert_eq!(b.open("test", Some(other)).await, Ok(other));
    assert_ne!(b.lockspace, lockspace, "it is another one");
}

/// The call alone takes them along, too: a client may be gone before it says more.
#[tokio::test]
async fn a_lockspace_that_is_left_by_the_call_alone() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    let mut b = Raw::join(&server, "b").await;
    a.hold(1, "r", Mode::Ex).await;
    let request = wire::LeaveLockspaceRequest {
        session: a.session.0,
        nonce: render::identity(a.nonce),
        lockspace: a.lockspace.0,
    };
    let reply = a.calls.leave_lockspace(request).await.unwrap();
    let answer = convert::plain_reply(reply.into_inner()).unwrap();
    assert_eq!(answer, Answer::Done(()));
    assert!(b.could_get("r", Mode::Ex).await);
}

#[tokio::test]
async fn orphans_are_left_adopted_and_purged() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    let persistent = RequestFlags::PERSISTENT;
    for (lock, mode) in [(1, Mode::Pr), (2, Mode::Pr), (3, Mode::Nl)] {
        a.send(request(&a, lock, mode, (persistent, 5))).await;
        a.told().await;
    }
    let owner = Owner(5);
    a.send_everywhere(EverywhereKind::OwnerEnded { owner })
        .await;
    for lock in 1..=3 {
        let lock = LockId(lock);
        assert_eq!(a.event().await, Event::Orphaned { lock, owner });
    }
    assert_eq!(a.purged().await, 0);

    let adopt = (RequestFlags::ORPHAN, 6);
    a.send(request(&a, 9, Mode::Pr, adopt)).await;
    let adopted = Told::Done(1, Status::Adopted, Some(Mode::Pr));
    assert_eq!(a.told().await, adopted, "under the orphan's own number");
    let purge = EverywhereKind::PurgeOrphans {
        lockspace: a.lockspace,
        owner: Some(Owner(77)),
    };
    a.send_everywhere(purge).await;
    assert_eq!(a.purged().await, 0);

    // By somebody else: the session hears which of its locks are gone.
    let mut client = LockClient::new(channel(&server).await);
    let purge = |session| wire::PurgeRequest {
        lockspace: "test".into(),
        session,
        ..wire::PurgeRequest::default()
    };
    let purged = client.purge(purge(a.session.0)).await.unwrap();
    assert_eq!(purged.into_inner().locks, 2);
    for lock in [2, 3].map(LockId) {
        assert_eq!(a.event().await, Event::OrphanPurged { lock });
    }
    a.unlock(1).await;
    assert_eq!(a.told().await, Told::Done(1, Status::Unlocked, None));
    let nobody = client.purge(purge(999)).await.unwrap_err();
    assert_eq!(nobody.code(), Code::NotFound);
}

#[tokio::test]
async fn orphans_go_with_their_session() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    let mut b = Raw::join(&server, "b").await;
    let persistent = RequestFlags::PERSISTENT;
    a.send(request(&a, 1, Mode::Ex, (persistent, 5))).await;
    a.told().await;
    let owner = Owner(5);
    a.send_everywhere(EverywhereKind::OwnerEnded { owner })
        .await;
    let lock = LockId(1);
    assert_eq!(a.event().await, Event::Orphaned { lock, owner });
    assert!(!b.could_get("r", Mode::Cr).await, "an orphan is held");
    a.goodbye().await;
    assert!(b.could_get("r", Mode::Ex).await);
}

#[tokio::test]
async fn a_listing_has_every_lock_and_lockspace() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    let mut b = Raw::join(&server, "b").await;
    a.send(request(&a, 1, Mode::Ex, (VALBLK, 3))).await;
    a.told().await;
    b.request(4, "r", Mode::Cr).await;
    assert_eq!(a.told().await, Told::Blocking(1, Mode::Cr));

    let resources = listed(&server, "").await;
    let [resource] = &resources[..] else {
        panic!("one resource: {resources:?}");
    };
    assert_eq!(resource.lockspace, "test");
    assert_eq!(resource.name.as_bytes(), b"r");
    assert_eq!(resource.epoch, a.epochs[&a.slot_of("r")]);
    let [held, waits] = &resource.locks[..] else {
        panic!("two locks: {resource:?}");
    };
    assert_eq!((held.owner, held.flags), (Owner(3), VALBLK));
    assert_eq!((&held.session_name[..], held.told), ("a", Some(Mode::Cr)));
    assert_eq!((waits.granted, waits.requested), (None, Some(Mode::Cr)));

    let mut client = InspectClient::new(channel(&server).await);
    let reply = client.lockspaces(wire::LockspacesRequest { local: false });
    let lockspaces = convert::lockspaces(reply.await.unwrap().into_inner()).unwrap();
    let [lockspace] = &lockspaces[..] else {
        panic!("one lockspace: {lockspaces:?}");
    };
    assert_eq!((lockspace.locks, lockspace.waiting), (2, 1));
    assert_eq!(lockspace.sessions.len(), 2);
    let unknown = wire::LocksRequest {
        lockspace: "nowhere".into(),
        local: false,
    };
    let unknown = client.locks(unknown).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
}

/// Two sessions, each with one resource, each wanting the other's: the younger wait ends, in the one
/// lockspace that wants it and not in the other.
#[tokio::test]
async fn a_deadlock_is_broken_where_the_lockspace_wants_it() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    let mut b = Raw::join(&server, "b").await;
    for (first, breaks) in [(1, false), (11, true)] {
        let space = if breaks { "breaks" } else { "stands" };
        for raw in [&mut a, &mut b] {
            let wanted = Some(of_table(options(32, breaks)));
            raw.open(space, wanted).await.unwrap();
        }
        a.hold(first, "x", Mode::Ex).await;
        b.hold(first, "y", Mode::Ex).await;
        a.request(first + 1, "y", Mode::Ex).await;
        let asked = Told::Blocking(first, Mode::Ex);
        assert_eq!(b.told().await, asked);
        b.request(first + 1, "x", Mode::Ex).await;
        assert_eq!(a.told().await, asked);
    }
    // Neither says what stands behind its locks: the search does not wait for that for ever.
    let ended = Told::Done(12, Status::Deadlock, None);
    assert_eq!(b.told().await, ended, "the younger one");
    b.unlock(11).await;
    assert_eq!(b.told().await, Told::Done(11, Status::Unlocked, None));
    let granted = Told::Done(12, Status::Granted, Some(Mode::Ex));
    assert_eq!(a.told().await, granted);
    let waits = listed(&server, "stands").await.into_iter();
    let waiting = waits
        .flat_map(|it| it.locks)
        .filter(|it| it.granted.is_none());
    assert_eq!(waiting.count(), 2);
}

//! Lockspaces, value blocks, orphans and listings over real streams.

use dlm_core::{
    LockId, LockspaceOptions, Mode, Owner, Refusal, RequestFlags, Status, StatusFlags, ValueBlock,
    ValueLength,
};
use dlm_server::embedded::Server;
use glockwork_proto::frame::{Event, LockspaceRefusal, OperationKind};
use glockwork_proto::listing::LockedResource;
use glockwork_proto::wire::inspect_client::InspectClient;
use glockwork_proto::wire::lock_client::LockClient;
use glockwork_proto::{Name, convert, wire};
use tonic::Code;

use crate::raw::{Raw, Told, channel, serve};

mod raw;

const VALBLK: RequestFlags = RequestFlags::VALBLK;

fn options(value_length: usize, breaks_deadlocks: bool) -> LockspaceOptions {
    LockspaceOptions {
        value_length: ValueLength::new(value_length).unwrap(),
        breaks_deadlocks,
    }
}

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

/// A request with flags, for a task.
fn request(of: &Raw, lock: u64, mode: Mode, (flags, owner): (RequestFlags, u64)) -> OperationKind {
    let OperationKind::Request {
        lockspace, name, ..
    } = of.request_for(lock, "r", mode)
    else {
        panic!("a request");
    };
    OperationKind::Request {
        lockspace,
        lock: LockId(lock),
        name,
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
    let lockspace = lockspace.to_owned();
    let mut client = InspectClient::new(channel(server).await);
    let pages = client
        .locks(wire::LocksRequest {
            lockspace,
            ..wire::LocksRequest::default()
        })
        .await;
    let mut pages = pages.unwrap().into_inner();
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
    a.open(name("wide"), Some(options(64, false))).await;
    b.open(name("wide"), None).await;
    assert_eq!(a.lockspace, b.lockspace);
    let other = OperationKind::OpenLockspace {
        name: name("wide"),
        options: Some(options(32, false)),
    };
    b.send(other).await;
    let why = LockspaceRefusal::Options(options(64, false));
    let event = b.event().await;
    assert!(
        matches!(event, Event::LockspaceRefused { why: told, .. } if told == why),
        "{event:?}"
    );

    a.send(request(&a, 1, Mode::Ex, (VALBLK, 0))).await;
    a.told().await;
    a.send(unlock(1, VALBLK, &[7; 65])).await;
    let refused = Status::Refused(Refusal::ValueLength);
    assert_eq!(a.told().await, Told::Done(1, refused, Some(Mode::Ex)));
    // Another lock keeps the resource, and with it the value.
    b.hold(2, "r", Mode::Nl).await;
    a.send(unlock(1, VALBLK, &[7; 64])).await;
    a.told().await;
    b.send(request(&b, 1, Mode::Pr, (VALBLK, 0))).await;
    let Event::Done { value, flags, .. } = b.event().await else {
        panic!("it is granted");
    };
    assert_eq!(value.unwrap().as_bytes(), [7; 64]);
    assert_eq!(flags, StatusFlags::empty());
}

#[tokio::test]
async fn a_value_is_not_valid_after_its_writer_was_lost() {
    let server = serve().await;
    let mut a = Raw::join(&server, "a").await;
    let mut b = Raw::join(&server, "b").await;
    b.hold(1, "r", Mode::Nl).await;
    a.hold(1, "r", Mode::Ex).await;
    drop(a);
    b.send(OperationKind::Convert {
        lock: LockId(1),
        mode: Mode::Pr,
        flags: VALBLK,
        owner: Owner(0),
        value: None,
    })
    .await;
    let Event::Done { flags, status, .. } = b.event().await else {
        panic!("it is granted");
    };
    assert_eq!((status, flags), (Status::Granted, StatusFlags::empty()));
    let listed = listed(&server, "test").await;
    assert!(!listed[0].value_valid);
    assert_eq!(listed[0].value, None);
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
    let leave = || OperationKind::LeaveLockspace { lockspace };
    a.send(leave()).await;
    assert!(matches!(a.event().await, Event::Purged { locks: 1, .. }));
    assert_eq!(
        b.told().await,
        Told::Done(1, Status::Granted, Some(Mode::Ex))
    );
    a.send(leave()).await;
    let refused = Status::Refused(Refusal::NoSuchLockspace);
    assert_eq!(a.told().await, Told::Done(0, refused, None));
    a.request(2, "r", Mode::Nl).await;
    assert_eq!(a.told().await, Told::Done(2, refused, None));

    b.send(leave()).await;
    assert!(matches!(b.event().await, Event::Purged { locks: 1, .. }));
    b.open(name("test"), Some(options(128, false))).await;
    assert_ne!(b.lockspace, lockspace, "it is another one");
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
    a.send(OperationKind::OwnerEnded { owner }).await;
    for lock in 1..=3 {
        let lock = LockId(lock);
        assert_eq!(a.event().await, Event::Orphaned { lock, owner });
    }
    assert!(matches!(a.event().await, Event::Purged { locks: 0, .. }));

    let adopt = (RequestFlags::ORPHAN, 6);
    a.send(request(&a, 9, Mode::Pr, adopt)).await;
    let adopted = Told::Done(1, Status::Adopted, Some(Mode::Pr));
    assert_eq!(a.told().await, adopted, "under the orphan's own number");
    let purge = OperationKind::PurgeOrphans {
        lockspace: a.lockspace,
        owner: Some(Owner(77)),
    };
    a.send(purge).await;
    assert!(matches!(a.event().await, Event::Purged { locks: 0, .. }));

    // By somebody else, and the session hears nothing of it.
    let mut client = LockClient::new(channel(&server).await);
    let purge = |session| wire::PurgeRequest {
        lockspace: "test".into(),
        session,
        owner: None,
        local: false,
    };
    let purged = client.purge(purge(a.session.0)).await.unwrap();
    assert_eq!(purged.into_inner().locks, 2);
    a.unlock(1).await;
    assert_eq!(a.told().await, Told::Done(1, Status::Unlocked, None));
    let nobody = client.purge(purge(999)).await.unwrap_err();
    assert_eq!(nobody.code(), Code::NotFound);
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
    let [held, waits] = &resource.locks[..] else {
        panic!("two locks: {resource:?}");
    };
    assert_eq!((held.owner, held.flags), (Owner(3), VALBLK));
    assert_eq!((&held.session_name[..], held.told), ("a", Some(Mode::Cr)));
    assert_eq!((waits.granted, waits.requested), (None, Some(Mode::Cr)));

    let mut client = InspectClient::new(channel(&server).await);
    let reply = client
        .lockspaces(wire::LockspacesRequest::default())
        .await
        .unwrap();
    let lockspaces = convert::lockspaces(reply.into_inner()).unwrap();
    let [lockspace] = &lockspaces[..] else {
        panic!("one lockspace: {lockspaces:?}");
    };
    assert_eq!((lockspace.locks, lockspace.waiting), (2, 1));
    assert_eq!(lockspace.sessions.len(), 2);
    let unknown = wire::LocksRequest {
        lockspace: "nowhere".into(),
        ..wire::LocksRequest::default()
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
            raw.open(name(space), Some(options(32, breaks))).await;
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

//! Listings come back as they were, whatever the pages are.

use dlm_core::deadlock::Queue;
use dlm_core::{
    LockId, LockspaceId, LockspaceOptions, Mode, Owner, RequestFlags, ResourceName, SessionId,
    StatusFlags, Token, ValueBlock,
};

use super::*;
use crate::convert;
use crate::name::Name;

fn lock(number: u64) -> LockDetail {
    LockDetail {
        session: SessionId(1),
        lock: LockId(number),
        owner: Owner(4),
        queue: Queue::Converting,
        granted: Some(Mode::Pr),
        requested: Some(Mode::Ex),
        flags: RequestFlags::from_bits_retain(0x8000_0008),
        status: StatusFlags::VALNOTVALID,
        token: Token(7),
        told: Some(Mode::Cw),
        since: Tick(10),
        orphan: true,
    }
}

const HERE: (ServerId, Tick) = (ServerId(3), Tick(25));

fn resource(name: &[u8], locks: u64) -> ListedResource {
    let detail = ResourceDetail {
        lockspace: LockspaceId(5),
        name: ResourceName::new(name).unwrap(),
        value: ValueBlock::new(b"value").ok(),
        value_valid: false,
        locks: (0..locks).map(lock).collect(),
    };
    let epoch = Epoch(9);
    ListedResource { epoch, detail }
}

fn names() -> Names {
    Names {
        sessions: [(SessionId(1), Name::lossy("node1"))].into(),
        lockspaces: [(LockspaceId(5), Name::lossy("volume"))].into(),
    }
}

#[test]
fn a_page_has_a_limit_and_no_lock_is_lost_or_listed_twice() {
    let max = LOCKS_PER_PAGE_MAX as u64;
    let resources = vec![
        resource(b"", 1),
        resource(b"large", 2 * max + 3),
        resource(b"small", 2),
    ];
    let (mut listed, mut pages) = (Vec::new(), 0);
    for page in LocksPages::new(resources, names(), HERE) {
        let resources = convert::locks_page(page).unwrap();
        let count: usize = resources.iter().map(|it| it.locks.len()).sum();
        assert!(count <= LOCKS_PER_PAGE_MAX);
        pages += 1;
        for resource in resources {
            assert_eq!(resource.lockspace, "volume");
            assert_eq!((resource.server, resource.epoch), (ServerId(3), Epoch(9)));
            let locks = resource.locks.into_iter().map(|lock| lock.lock.0);
            listed.extend(locks.map(|lock| (resource.name.to_string(), lock)));
        }
    }
    let named = |name: &str, locks: u64| -> Vec<_> {
        (0..locks).map(|lock| (name.to_owned(), lock)).collect()
    };
    assert_eq!(pages, 3);
    assert_eq!(
        listed,
        [named("", 1), named("large", 2 * max + 3), named("small", 2)].concat()
    );
}

#[test]
fn all_that_is_known_of_a_lock_is_listed() {
    let page = LocksPages::new(vec![resource(b"r", 1)], names(), HERE).next();
    let listed = convert::locks_page(page.unwrap()).unwrap().remove(0);
    assert_eq!(listed.value.unwrap().as_bytes(), b"value");
    assert!(!listed.value_valid);
    let (listed, expected) = (&listed.locks[0], lock(0));
    assert_eq!(listed.session_name, "node1");
    assert_eq!(
        (listed.owner, listed.queue, listed.granted, listed.requested),
        (
            expected.owner,
            expected.queue,
            expected.granted,
            expected.requested
        )
    );
    assert_eq!(
        (listed.flags, listed.status, listed.token, listed.told),
        (
            expected.flags,
            expected.status,
            expected.token,
            expected.told
        )
    );
    assert_eq!((listed.age_us, listed.orphan), (15, true));
}

#[test]
fn lockspaces_come_back_as_they_were() {
    let listing = LockspaceListing {
        name: "volume".into(),
        id: LockspaceId(5),
        options: LockspaceOptions {
            breaks_deadlocks: true,
            ..LockspaceOptions::default()
        },
        sessions: vec![(SessionId(1), "node1".into())],
        resources: 1,
        locks: 2,
        waiting: 3,
        orphans: 4,
    };
    let read = convert::lockspaces(lockspaces(vec![listing.clone()], Coverage::default()));
    assert_eq!(read, Ok(vec![listing]));
}

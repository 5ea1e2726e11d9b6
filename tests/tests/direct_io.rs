//! Direct I/O on user memory of every kind: what it transfers, and what it says where it cannot.

use std::time::Duration;

use fs_core::limits::PAGE_BYTES;
use fs_node::{
    AlignedBuf, IoError, Mapping, Node, Outcome, Policy, Protection, Share, Task, UserBuf,
};
use tests::cluster::Cluster;
use tests::deadline::Watchdog;
use tests::machine::has_userfaultfd;

const FILE_BYTES: usize = 64 << 10;
const PAGES: usize = FILE_BYTES / PAGE_BYTES;
const LIMIT: Duration = Duration::from_secs(60);
/// The policies whose I/O ends.
const ENDING: [Policy; 3] = [Policy::Nofault, Policy::TryCycle, Policy::Ordered];

fn map(node: &Node, inode: u64, share: Share) -> Mapping {
    node.map(inode, 0, FILE_BYTES, share, Protection::ReadWrite)
        .expect("a mapping")
}

/// Runs `test` with a node under each policy of `policies`.
fn under(policies: &[Policy], test: impl Fn(&Node, &Task)) {
    if !has_userfaultfd() {
        return;
    }
    for &policy in policies {
        let cluster = Cluster::new(4, FILE_BYTES as u64);
        let _watchdog = Watchdog::start(cluster.endpoint(), policy.name(), LIMIT);
        let node = cluster.node("node1", policy);
        test(&node, &node.task("task"));
        node.stop().expect("stopping a node");
    }
}

/// The first word of every page of `mapping`.
fn words(mapping: &Mapping) -> Vec<u64> {
    (0..PAGES)
        .map(|page| mapping.load_u64(page * PAGE_BYTES))
        .collect()
}

fn number_pages(node: &Node, mapping: &Mapping) -> Vec<u64> {
    for page in 0..PAGES {
        mapping.store_u64(page * PAGE_BYTES, 100 + page as u64);
    }
    node.sync().expect("sync");
    words(mapping)
}

fn whole(result: Result<Outcome, IoError>, bytes: usize) -> Outcome {
    let outcome = result.expect("the I/O ends well");
    assert_eq!(outcome.bytes, bytes);
    outcome
}

/// Real gfs2 never returns from this one.
#[test]
fn a_read_into_a_mapping_of_the_range_that_is_read() {
    under(&Policy::ALL, |node, task| {
        let mapping = map(node, 1, Share::Shared);
        let before = number_pages(node, &mapping);
        whole(
            task.direct_read(1, 0, &[mapping.buf(0, FILE_BYTES)]),
            FILE_BYTES,
        );
        assert_eq!(words(&mapping), before);
    });
}

#[test]
fn a_write_of_a_mapping_onto_itself() {
    under(&Policy::ALL, |node, task| {
        let mapping = map(node, 1, Share::Shared);
        let before = number_pages(node, &mapping);
        mapping.store_u64(0, 7);
        whole(
            task.direct_write(1, 0, &[mapping.buf(0, FILE_BYTES)]),
            FILE_BYTES,
        );
        assert_eq!(words(&mapping)[0], 7);
        assert_eq!(words(&mapping)[1..], before[1..]);
    });
}

#[test]
fn other_ranges_of_the_same_file() {
    under(&Policy::ALL, |node, task| {
        let mapping = map(node, 1, Share::Shared);
        let mut expected = number_pages(node, &mapping);
        whole(
            task.direct_read(1, 0, &[mapping.buf(8 * PAGE_BYTES, 2 * PAGE_BYTES)]),
            2 * PAGE_BYTES,
        );
        expected.copy_within(0..2, 8);
        assert_eq!(words(&mapping), expected);
        let target = 12 * PAGE_BYTES as u64;
        whole(
            task.direct_write(1, target, &[mapping.buf(3 * PAGE_BYTES, PAGE_BYTES)]),
            PAGE_BYTES,
        );
        expected[12] = expected[3];
        assert_eq!(words(&mapping), expected);
    });
}

#[test]
fn ordered_bounces_the_same_mapping_and_nothing_else() {
    under(&[Policy::Ordered], |node, task| {
        let (own, other) = (map(node, 1, Share::Shared), map(node, 2, Share::Shared));
        let same = whole(
            task.direct_read(1, 0, &[own.buf(0, PAGE_BYTES)]),
            PAGE_BYTES,
        );
        assert!(same.bounced && !same.fallback);
        let mixed = [other.buf(0, PAGE_BYTES), own.buf(0, PAGE_BYTES)];
        assert!(whole(task.direct_write(1, 0, &mixed), 2 * PAGE_BYTES).bounced);
        let cross = whole(
            task.direct_write(1, 0, &[other.buf(0, FILE_BYTES)]),
            FILE_BYTES,
        );
        assert!(!cross.bounced && !cross.fallback);
    });
}

#[test]
fn gfs2s_endless_read_ends_in_a_fallback_under_nofault() {
    under(&[Policy::Nofault], |node, task| {
        let mapping = map(node, 1, Share::Shared);
        let outcome = whole(
            task.direct_read(1, 0, &[mapping.buf(0, FILE_BYTES)]),
            FILE_BYTES,
        );
        assert!(outcome.fallback && outcome.retries >= 16, "{outcome:?}");
    });
}

#[test]
fn a_list_over_shared_private_and_plain_memory() {
    under(&ENDING, |node, task| {
        let (shared, private) = (map(node, 2, Share::Shared), map(node, 3, Share::Private));
        let mut plain = AlignedBuf::new(PAGE_BYTES);
        shared.store_u64(0, 1);
        private.store_u64(PAGE_BYTES, 2);
        plain[..8].copy_from_slice(&3u64.to_le_bytes());
        let list = [
            shared.buf(0, PAGE_BYTES),
            private.buf(PAGE_BYTES, 2 * PAGE_BYTES),
            UserBuf::of(&mut plain),
            shared.buf(512, 1024),
        ];
        let total = 4 * PAGE_BYTES + 1024;
        assert!(whole(task.direct_write(1, PAGE_BYTES as u64, &list), total).bounced);
        let seen = map(node, 1, Share::Shared);
        assert_eq!(words(&seen)[..5], [0, 1, 2, 0, 3]);

        seen.store_u64(PAGE_BYTES, 11);
        seen.store_u64(2 * PAGE_BYTES, 12);
        seen.store_u64(4 * PAGE_BYTES, 13);
        whole(task.direct_read(1, PAGE_BYTES as u64, &list), total);
        assert_eq!((shared.load_u64(0), private.load_u64(PAGE_BYTES)), (11, 12));
        assert_eq!(plain[..8], 13u64.to_le_bytes());
        let file = map(node, 3, Share::Shared);
        assert_eq!(
            file.load_u64(PAGE_BYTES),
            0,
            "what was read into a private mapping stays private"
        );
    });
}

#[test]
fn an_io_longer_than_a_chunk_and_a_record() {
    if !has_userfaultfd() {
        return;
    }
    let bytes = 24 << 20;
    let cluster = Cluster::new(2, bytes as u64);
    let _watchdog = Watchdog::start(cluster.endpoint(), "a long I/O", LIMIT);
    let node = cluster.node("node1", Policy::Ordered);
    let task = node.task("task");
    let mapping = node
        .map(2, 0, bytes, Share::Shared, Protection::ReadWrite)
        .expect("a mapping");
    for page in 0..bytes / PAGE_BYTES {
        mapping.store_u64(page * PAGE_BYTES, page as u64);
    }
    whole(task.direct_write(1, 0, &[mapping.buf(0, bytes)]), bytes);
    let mut plain = AlignedBuf::new(bytes);
    whole(task.direct_read(1, 0, &[UserBuf::of(&mut plain)]), bytes);
    for (page, block) in plain.chunks(PAGE_BYTES).enumerate() {
        assert_eq!(block[..8], (page as u64).to_le_bytes());
    }
    drop(mapping);
    node.stop().expect("stopping a node");
}

#[test]
fn an_address_that_is_not_mapped_is_efault_or_a_short_count() {
    under(&ENDING, |node, task| {
        let mut plain = AlignedBuf::new(2 * PAGE_BYTES);
        let nowhere = UserBuf {
            addr: 0x1000,
            len: PAGE_BYTES,
        };
        let read_only = node
            .map(2, 0, PAGE_BYTES, Share::Shared, Protection::Read)
            .expect("a mapping");
        for io in [
            Task::direct_read,
            Task::direct_write,
            Task::read,
            Task::write,
        ] {
            let error = io(task, 1, 0, &[nowhere]).expect_err("not mapped");
            assert!(matches!(error, IoError::Fault), "{error}");
            let some = io(task, 1, 0, &[UserBuf::of(&mut plain), nowhere]).expect("a short count");
            assert_eq!(some.bytes, 2 * PAGE_BYTES);
        }
        for io in [Task::direct_read, Task::read] {
            let error = io(task, 1, 0, &[read_only.buf(0, PAGE_BYTES)]).expect_err("read-only");
            assert!(matches!(error, IoError::Fault), "{error}");
            let list = [UserBuf::of(&mut plain), read_only.buf(0, PAGE_BYTES)];
            assert_eq!(
                io(task, 1, 0, &list).expect("a short count").bytes,
                2 * PAGE_BYTES
            );
        }
    });
}

#[test]
fn the_ends_of_a_file_and_bad_arguments() {
    under(&[Policy::Ordered], |_node, task| {
        let mut plain = AlignedBuf::new(2 * PAGE_BYTES);
        let end = FILE_BYTES as u64;
        let buf = UserBuf::of(&mut plain);
        for io in [Task::direct_read, Task::read] {
            assert_eq!(io(task, 1, end, &[buf]).expect("at the end").bytes, 0);
            assert_eq!(
                io(task, 1, end - 4096, &[buf]).expect("over the end").bytes,
                PAGE_BYTES
            );
        }
        for io in [Task::direct_write, Task::write] {
            let error = io(task, 1, end, &[buf]).expect_err("files do not grow");
            assert!(matches!(error, IoError::BeyondEnd { .. }), "{error}");
            assert_eq!(
                io(task, 1, end - 4096, &[buf]).expect("over the end").bytes,
                PAGE_BYTES
            );
        }
        assert_eq!(task.direct_read(1, 0, &[]).expect("nothing").bytes, 0);
        let odd = UserBuf { len: 100, ..buf };
        assert!(matches!(
            task.direct_read(1, 0, &[odd]),
            Err(IoError::Unaligned { .. })
        ));
        assert!(matches!(
            task.direct_read(1, 1, &[buf]),
            Err(IoError::Unaligned { .. })
        ));
        assert!(matches!(
            task.direct_read(9, 0, &[buf]),
            Err(IoError::NoInode(9))
        ));
        assert_eq!(
            task.read(1, 3, &[odd])
                .expect("buffered I/O is not aligned")
                .bytes,
            100
        );
    });
}

#[test]
fn buffered_io_on_its_own_mapping() {
    under(&ENDING, |node, task| {
        let mapping = map(node, 1, Share::Shared);
        let before = number_pages(node, &mapping);
        whole(task.write(1, 10, &[mapping.buf(4 * PAGE_BYTES, 8)]), 8);
        whole(task.read(1, 10, &[mapping.buf(5 * PAGE_BYTES, 8)]), 8);
        assert_eq!(mapping.load_u64(5 * PAGE_BYTES), before[4]);
    });
}

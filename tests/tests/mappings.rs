//! Mappings: real loads and stores, coherent across the nodes, and gone when their glock goes.

use std::time::Duration;

use fs_core::limits::PAGE_BYTES;
use fs_node::{AlignedBuf, Node, NodeError, Policy, Protection, Share, UserBuf};
use tests::cluster::Cluster;
use tests::deadline::Watchdog;
use tests::machine::has_userfaultfd;

const FILE_BYTES: u64 = 64 << 10;
const LIMIT: Duration = Duration::from_secs(60);

fn map(node: &Node, inode: u64, share: Share) -> fs_node::Mapping {
    node.map(inode, 0, FILE_BYTES as usize, share, Protection::ReadWrite)
        .expect("a mapping")
}

#[test]
fn what_one_node_stores_the_other_loads() {
    if !has_userfaultfd() {
        return;
    }
    let cluster = Cluster::new(1, FILE_BYTES);
    let _watchdog = Watchdog::start(cluster.endpoint(), "coherence of mappings", LIMIT);
    let nodes = cluster.nodes(2, Policy::Ordered);
    let maps: Vec<_> = nodes
        .iter()
        .map(|node| map(node, 1, Share::Shared))
        .collect();
    for round in 1..=20u64 {
        for page in 0..4 {
            let writer = (round as usize + page) % 2;
            let at = page * PAGE_BYTES + 8;
            maps[writer].store_u64(at, round);
            assert_eq!(maps[1 - writer].load_u64(at), round);
            maps[1 - writer].store_u64(at + 8, round * 3);
            assert_eq!(maps[writer].load_u64(at + 8), round * 3);
        }
    }
    let counters = nodes[0].counters();
    assert!(
        counters.faults > 20 && counters.invalidations > 20,
        "{counters:?}"
    );
    drop(maps);
    nodes
        .into_iter()
        .for_each(|node| node.stop().expect("stopping a node"));
}

#[test]
fn a_cached_page_is_loaded_without_a_fault_or_a_message() {
    if !has_userfaultfd() {
        return;
    }
    let cluster = Cluster::new(1, FILE_BYTES);
    let node = cluster.node("node1", Policy::Ordered);
    let mapping = map(&node, 1, Share::Shared);
    mapping.store_u64(0, 1);
    let before = node.counters();
    for value in 2..1000 {
        mapping.store_u64(0, value);
        assert_eq!(mapping.load_u64(0), value);
    }
    assert_eq!(node.counters(), before);
    drop(mapping);
    node.stop().expect("stopping a node");
}

#[test]
fn direct_io_and_mappings_see_each_other() {
    if !has_userfaultfd() {
        return;
    }
    let cluster = Cluster::new(1, FILE_BYTES);
    let _watchdog = Watchdog::start(cluster.endpoint(), "direct I/O beside mappings", LIMIT);
    let nodes = cluster.nodes(2, Policy::Ordered);
    let task = nodes[0].task("direct");
    let mapping = map(&nodes[1], 1, Share::Shared);
    let mut plain = AlignedBuf::new(2 * PAGE_BYTES);
    for round in 1..=10u64 {
        mapping.store_u64(PAGE_BYTES, round);
        let read = task
            .direct_read(1, PAGE_BYTES as u64, &[UserBuf::of(&mut plain)])
            .expect("read");
        assert_eq!(read.bytes, 2 * PAGE_BYTES);
        assert_eq!(plain[..8], round.to_le_bytes());
        plain[PAGE_BYTES..PAGE_BYTES + 8].copy_from_slice(&(round * 7).to_le_bytes());
        task.direct_write(1, PAGE_BYTES as u64, &[UserBuf::of(&mut plain)])
            .expect("write");
        assert_eq!(
            mapping.load_u64(2 * PAGE_BYTES),
            round * 7,
            "no stale page was left mapped"
        );
        assert_eq!(mapping.load_u64(PAGE_BYTES), round);
    }
    drop(mapping);
    nodes
        .into_iter()
        .for_each(|node| node.stop().expect("stopping a node"));
}

/// Tasks that share a mapping fault on the same pages; a wake-up of one is a wake-up of all, so a thread
/// may be gone before its own fault was served.
#[test]
fn tasks_that_fault_on_the_same_pages() {
    if !has_userfaultfd() {
        return;
    }
    let cluster = Cluster::new(2, FILE_BYTES);
    let _watchdog = Watchdog::start(cluster.endpoint(), "faults on the same pages", LIMIT);
    let nodes = cluster.nodes(2, Policy::Ordered);
    let maps: Vec<_> = nodes
        .iter()
        .map(|node| map(node, 1, Share::Shared))
        .collect();
    std::thread::scope(|scope| {
        for (node, mapping) in nodes.iter().zip(&maps) {
            for thread in 0..3u64 {
                scope.spawn(move || {
                    let task = node.task(&format!("thread {thread}"));
                    let mut plain = AlignedBuf::new(PAGE_BYTES);
                    for round in 0..60 {
                        let at = (round % 16) * PAGE_BYTES + thread as usize * 8;
                        mapping.store_u64(at, round as u64);
                        if round % 4 == thread as usize {
                            let buf = UserBuf::of(&mut plain);
                            task.direct_read(1, 0, &[buf]).expect("a read");
                        }
                    }
                });
            }
        }
    });
    drop(maps);
    nodes
        .into_iter()
        .for_each(|node| node.stop().expect("stopping a node"));
}

#[test]
fn a_private_mapping_keeps_its_copies_and_nobody_sees_them() {
    if !has_userfaultfd() {
        return;
    }
    let cluster = Cluster::new(1, FILE_BYTES);
    let _watchdog = Watchdog::start(cluster.endpoint(), "private mappings", LIMIT);
    let nodes = cluster.nodes(2, Policy::Ordered);
    let shared = map(&nodes[1], 1, Share::Shared);
    let private = map(&nodes[0], 1, Share::Private);
    shared.store_u64(0, 5);
    assert_eq!(private.load_u64(0), 5);
    private.store_u64(0, 50);
    assert_eq!(shared.load_u64(0), 5);
    shared.store_u64(0, 6);
    shared.store_u64(PAGE_BYTES, 7);
    assert_eq!(private.load_u64(0), 50, "a copied page is its owner's");
    assert_eq!(
        private.load_u64(PAGE_BYTES),
        7,
        "a page that was not copied is the file's"
    );
    shared.store_u64(PAGE_BYTES, 8);
    assert_eq!(private.load_u64(PAGE_BYTES), 8, "and follows it");
    drop((shared, private));
    nodes
        .into_iter()
        .for_each(|node| node.stop().expect("stopping a node"));
}

#[test]
fn a_small_cache_loses_nothing() {
    if !has_userfaultfd() {
        return;
    }
    let cluster = Cluster::new(4, FILE_BYTES);
    let config = fs_node::NodeConfig {
        cache_pages_max: 8,
        ..cluster.config("node1", Policy::Ordered)
    };
    let node = Node::start(config).expect("a node");
    let maps: Vec<_> = (1..=4)
        .map(|inode| map(&node, inode, Share::Shared))
        .collect();
    let value = |round: u64, page: usize, file: usize| round << 32 | (page << 8 | file) as u64;
    for round in 1..=3u64 {
        for page in 0..FILE_BYTES as usize / PAGE_BYTES {
            for (file, mapping) in maps.iter().enumerate() {
                let at = page * PAGE_BYTES;
                let before = if round == 1 {
                    0
                } else {
                    value(round - 1, page, file)
                };
                assert_eq!(mapping.load_u64(at), before);
                mapping.store_u64(at, value(round, page, file));
            }
        }
    }
    let counters = node.counters();
    assert!(
        counters.page_fills > 3 * 64 - 8,
        "pages came and went: {counters:?}"
    );
    drop(maps);
    node.stop().expect("stopping a node");
}

#[test]
fn a_page_that_cannot_be_had_is_an_error_and_not_zeros() {
    if !has_userfaultfd() {
        return;
    }
    let mut cluster = Cluster::new(2, FILE_BYTES);
    let node = cluster.node("node1", Policy::Ordered);
    let mapping = map(&node, 1, Share::Shared);
    mapping.store_u64(0, 1);
    cluster.stop_server();
    let other = map(&node, 2, Share::Shared);
    let error = other.try_load_u64(0).expect_err("no lock can be had");
    assert!(error.to_string().starts_with("SIGBUS"));
    let task = node.task("after the server");
    let mut plain = AlignedBuf::new(PAGE_BYTES);
    let error = task
        .direct_read(2, 0, &[UserBuf::of(&mut plain)])
        .expect_err("no lock");
    assert!(error.to_string().starts_with("EIO"), "{error}");
}

#[test]
fn a_mapping_outside_the_file_is_refused() {
    if !has_userfaultfd() {
        return;
    }
    let cluster = Cluster::new(1, FILE_BYTES);
    let node = cluster.node("node1", Policy::Ordered);
    let try_map =
        |inode, offset, len| node.map(inode, offset, len, Share::Shared, Protection::Read);
    for (offset, len) in [
        (0, 0),
        (1, PAGE_BYTES),
        (0, 100),
        (FILE_BYTES, PAGE_BYTES),
        (!4095, PAGE_BYTES),
    ] {
        let error = try_map(1, offset, len).expect_err("outside");
        assert!(matches!(error, NodeError::Range { .. }), "{error}");
    }
    assert!(matches!(
        try_map(2, 0, PAGE_BYTES),
        Err(NodeError::NoInode(2))
    ));
    node.stop().expect("stopping a node");
}

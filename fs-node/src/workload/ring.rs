//! Which files an operation uses: the choice that makes the rings.
//!
//! Node `i` of `n` reads and writes the files `f` with `f % n == i`, into and out of mappings of files
//! that belong to other nodes, mostly the next one: node 0 holds one of its files and needs one of node
//! 1's, which holds it and needs one of node 2's, and so on round to node 0. Since the ring closes from
//! the last file to the first, the lock that is needed second is in order for some operations and out
//! of order for others.
//!
//! A list names its files in an order that is one for all tasks of a node (and another on every node).
//! So whatever deadlocks does so across nodes, where no lock manager of one kernel would see it.

use rand::Rng;
use rand::rngs::SmallRng;

use super::layout::{Layout, Span};

/// Where one piece of a buffer list lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the mapping of a file.
    Mapped(usize),
    /// In plain memory.
    Plain,
}

/// One piece of a buffer list: these pages of the I/O's range come from (or go to) that place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Where.
    pub(crate) place: Place,
    /// Which pages.
    pub(crate) span: Span,
}

/// One node's view of the ring.
#[derive(Clone, Debug)]
pub(crate) struct Ring {
    files: usize,
    own: Vec<usize>,
    foreign: Vec<usize>,
}

/// Files in one list: more than two, so that one I/O needs a chain of locks.
const LIST_FILES: usize = 3;

impl Ring {
    /// The ring as node `node` sees it.
    pub(crate) fn new(layout: &Layout, node: usize) -> Self {
        let around = (1..=layout.files).map(|step| (node + step) % layout.files);
        let (own, foreign): (Vec<_>, Vec<_>) =
            around.partition(|file| file % layout.nodes == node % layout.nodes);
        // A node alone has only files of its own: it uses them for both, as two tasks of one node would.
        let foreign = if foreign.is_empty() {
            own.clone()
        } else {
            foreign
        };
        Self {
            files: layout.files,
            own,
            foreign,
        }
    }

    /// A file to do I/O on.
    pub(crate) fn target(&self, rng: &mut SmallRng) -> usize {
        self.own[rng.random_range(0..self.own.len())]
    }

    /// A file whose mapping is the buffer of an I/O on `target`: mostly the next one round the ring.
    pub(crate) fn neighbour(&self, target: usize, rng: &mut SmallRng) -> usize {
        let others = self.others(target);
        if rng.random_ratio(1, 4) {
            return others[rng.random_range(0..others.len())];
        }
        (1..=self.files)
            .map(|step| (target + step) % self.files)
            .find(|file| others.contains(file))
            .expect("the list of others is not empty")
    }

    /// The pieces of a list over `span` for an I/O on `target`: mappings of three other files where the
    /// range has that many pages, with a piece of plain memory in between.
    pub(crate) fn list(&self, target: usize, span: Span, rng: &mut SmallRng) -> Vec<Piece> {
        let mut files = self.others(target);
        while files.len() > LIST_FILES.min(span.pages) {
            files.remove(rng.random_range(0..files.len()));
        }
        let mut places: Vec<Place> = files.into_iter().map(Place::Mapped).collect();
        if places.len() < span.pages {
            places.insert(1, Place::Plain);
        }
        cut(span, places.len(), rng)
            .into_iter()
            .zip(places)
            .map(|(span, place)| Piece { place, span })
            .collect()
    }

    fn others(&self, target: usize) -> Vec<usize> {
        self.foreign
            .iter()
            .copied()
            .filter(|&file| file != target)
            .collect()
    }
}

/// Cuts `span` into `pieces` non-empty parts of random lengths.
pub(crate) fn cut(span: Span, pieces: usize, rng: &mut SmallRng) -> Vec<Span> {
    assert!(
        (1..=span.pages).contains(&pieces),
        "a piece has at least a page"
    );
    let mut page = span.page;
    let mut parts = Vec::with_capacity(pieces);
    for left in (1..=pieces).rev() {
        let rest = span.page + span.pages - page;
        let pages = if left == 1 {
            rest
        } else {
            rng.random_range(1..=rest - (left - 1))
        };
        parts.push(Span { page, pages });
        page += pages;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use rand::SeedableRng;

    fn layout(nodes: usize, files: usize) -> Layout {
        Layout {
            nodes,
            tasks: 1,
            files,
            io_pages: 8,
            part_ios: 2,
        }
    }

    #[test]
    fn three_nodes_and_six_files_close_the_ring_in_both_orders() {
        let mut rng = SmallRng::seed_from_u64(1);
        let (mut above, mut below) = (0, 0);
        for node in 0..3 {
            let ring = Ring::new(&layout(3, 6), node);
            for _ in 0..100 {
                let target = ring.target(&mut rng);
                assert_eq!(target % 3, node);
                let buffer = ring.neighbour(target, &mut rng);
                assert_ne!(buffer % 3, node, "another node's file");
                if buffer > target {
                    above += 1
                } else {
                    below += 1
                }
            }
        }
        assert!(
            above > 50 && below > 20,
            "{above} in order, {below} out of order"
        );
    }

    proptest! {
        #[test]
        fn a_list_covers_its_range_in_the_nodes_order(
            nodes in 1_usize..6, more in 0_usize..6, pages in 1_usize..12, seed: u64,
        ) {
            let layout = layout(nodes, (nodes + more).max(2));
            let mut rng = SmallRng::seed_from_u64(seed);
            for node in 0..nodes {
                let ring = Ring::new(&layout, node);
                let target = ring.target(&mut rng);
                let span = Span { page: 3, pages };
                let pieces = ring.list(target, span, &mut rng);
                let covered: Vec<usize> = pieces.iter().flat_map(|p| p.span.range()).collect();
                prop_assert_eq!(covered, span.range().collect::<Vec<_>>());
                let files: Vec<usize> = pieces
                    .iter()
                    .filter_map(|piece| match piece.place {
                        Place::Mapped(file) => Some(file),
                        Place::Plain => None,
                    })
                    .collect();
                prop_assert!(!files.is_empty() && !files.contains(&target));
                let order = ring.others(target);
                let ranks: Vec<_> =
                    files.iter().map(|file| order.iter().position(|f| f == file)).collect();
                prop_assert!(ranks.is_sorted() && ranks.iter().all(Option::is_some));
            }
        }
    }
}

//! Who owns which part of which file.
//!
//! Every file is divided into one region for each task of each node, and only its owner ever writes a
//! region. A region is two or more parts of one I/O's size each. A stamp counts its page within the part, so
//! that the same words are right at the same page of any file, and in any part: data may be moved
//! between files, and between the parts of one file, without being written anew.

use serde::{Deserialize, Serialize};

use super::stamp::Writer;

/// Bytes in a page, which is also the unit of all I/O here.
pub(crate) const PAGE_BYTES: usize = 4096;
/// The most nodes. The demo starts a process for each on one machine.
pub(crate) const NODES_MAX: usize = 16;
/// The most tasks on a node: a thread each.
pub(crate) const TASKS_MAX: usize = 32;
/// The most files: each is mapped as a whole by every node.
pub(crate) const FILES_MAX: usize = 256;
/// The most pages in one I/O (4 MiB): far above any window or chunk that the node uses.
pub(crate) const HALF_PAGES_MAX: usize = 1024;

/// The workload's geometry, the same on all nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layout {
    /// How many nodes, 1 to [`NODES_MAX`].
    pub(crate) nodes: usize,
    /// Tasks on each, 1 to [`TASKS_MAX`].
    pub(crate) tasks: usize,
    /// How many files, 2 to [`FILES_MAX`].
    pub(crate) files: usize,
    /// Pages in one I/O, 1 to [`HALF_PAGES_MAX`].
    pub(crate) io_pages: usize,
    /// I/Os in a region, from 2 on.
    pub(crate) part_ios: usize,
}

/// A range of pages within a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    /// The first page, counted from the region's start.
    pub(crate) page: usize,
    /// How many.
    pub(crate) pages: usize,
}

impl Span {
    /// The pages, one by one.
    pub(crate) const fn range(self) -> std::ops::Range<usize> {
        self.page..self.page + self.pages
    }

    /// Bytes in the range.
    pub(crate) const fn bytes(self) -> usize {
        self.pages * PAGE_BYTES
    }
}

impl Layout {
    /// Pages in a region.
    pub(crate) const fn region_pages(&self) -> usize {
        self.part_ios * self.io_pages
    }

    /// All writers, in the order of their regions.
    pub(crate) fn writers(&self) -> impl Iterator<Item = Writer> + use<> {
        let tasks = self.tasks;
        (0..self.nodes * tasks).map(move |i| Writer {
            node: (i / tasks) as u8,
            task: (i % tasks) as u8,
        })
    }

    /// Bytes that every file needs.
    pub(crate) const fn inode_bytes(&self) -> u64 {
        (self.nodes * self.tasks * self.region_pages() * PAGE_BYTES) as u64
    }

    /// Where a page of `writer`'s region starts in every file, in bytes.
    pub(crate) const fn offset(&self, writer: Writer, page: usize) -> usize {
        let region = writer.node as usize * self.tasks + writer.task as usize;
        (region * self.region_pages() + page) * PAGE_BYTES
    }

    /// The page number that a stamp carries at `page` of a region.
    pub(crate) const fn stamp_page(&self, page: usize) -> u16 {
        (page % self.io_pages) as u16
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_tile_the_file_and_never_meet() {
        let layout = Layout {
            nodes: 3,
            tasks: 2,
            files: 6,
            io_pages: 4,
            part_ios: 2,
        };
        let mut pages = Vec::new();
        for writer in layout.writers() {
            for page in 0..layout.region_pages() {
                pages.push(layout.offset(writer, page));
            }
        }
        let whole: Vec<usize> = (0..layout.inode_bytes() as usize / PAGE_BYTES)
            .map(|page| page * PAGE_BYTES)
            .collect();
        assert_eq!(pages, whole);
    }

    #[test]
    fn both_halves_carry_the_same_page_numbers() {
        let layout = Layout {
            nodes: 2,
            tasks: 1,
            files: 2,
            io_pages: 4,
            part_ios: 2,
        };
        assert_eq!(layout.stamp_page(1), 1);
        assert_eq!(layout.stamp_page(5), 1);
        assert_eq!(
            Span { page: 3, pages: 2 }.range().collect::<Vec<_>>(),
            [3, 4]
        );
    }
}

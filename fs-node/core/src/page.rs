//! What a node knows about the pages of one inode.
//!
//! The bytes lie in a memory file and the mappings of user space are the kernel's; here is only the
//! state of each page: whether it is there, dirty, pinned, being read or being written back. All of it
//! is used under one lock, the inode's page lock, which is the innermost of the order.
//!
//! | from | event | to |
//! |---|---|---|
//! | absent | fill begins | filling |
//! | filling | read from the volume ended | resident, or absent after an error |
//! | resident | written (a write fault, a pin for writing, a copy) | resident, dirty |
//! | resident, dirty | write-back begins | resident, writing |
//! | resident, writing | write-back ended | resident (dirty again after an error, or if written meanwhile) |
//! | resident, not dirty, not writing, no pins | invalidation, reclaim | absent |

use alloc::vec::Vec;
use core::ops::Range;

/// Whether the page's bytes are in the cache.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Presence {
    #[default]
    Absent,
    Filling,
    Resident,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Page {
    presence: Presence,
    dirty: bool,
    writing: bool,
    pins: u32,
}

/// What stands in the way of an operation on a page; wait for a change and look again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// The page is there.
    Resident,
    /// The page is not there; the caller has to read it, and everybody else waits for that.
    Fill,
    /// Somebody else is reading it.
    Wait,
}

/// The pages of one inode.
#[derive(Clone, Debug)]
pub struct Pages {
    pages: Vec<Page>,
    resident: usize,
    pins: usize,
    writing: usize,
    generation: u64,
}

impl Pages {
    /// `count` pages, all absent.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self {
            pages: alloc::vec![Page::default(); count],
            resident: 0,
            pins: 0,
            writing: 0,
            generation: 0,
        }
    }

    /// How many pages are in the cache.
    #[must_use]
    pub const fn resident(&self) -> usize {
        self.resident
    }

    /// How many pins there are, all pages together.
    #[must_use]
    pub const fn pins(&self) -> usize {
        self.pins
    }

    /// How often pages were dropped: what was looked up under another generation may be gone.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Whether page `index` is in the cache now.
    #[must_use]
    pub fn is_resident(&self, index: usize) -> bool {
        self.pages[index].presence == Presence::Resident
    }

    /// Looks for page `index`; where the answer is [`Lookup::Fill`] the page is the caller's to fill,
    /// and [`Self::filled`] must follow.
    pub fn look_up(&mut self, index: usize) -> Lookup {
        let page = &mut self.pages[index];
        match page.presence {
            Presence::Resident => Lookup::Resident,
            Presence::Filling => Lookup::Wait,
            Presence::Absent => {
                page.presence = Presence::Filling;
                Lookup::Fill
            }
        }
    }

    /// The read that [`Self::look_up`] asked for ended.
    pub fn filled(&mut self, index: usize, ok: bool) {
        let page = &mut self.pages[index];
        assert_eq!(
            page.presence,
            Presence::Filling,
            "page {index} was not being filled"
        );
        page.presence = if ok {
            Presence::Resident
        } else {
            Presence::Absent
        };
        self.resident += usize::from(ok);
    }

    /// Page `index` was written, or may be from now on.
    pub fn mark_dirty(&mut self, index: usize) {
        let page = &mut self.pages[index];
        assert_eq!(
            page.presence,
            Presence::Resident,
            "a page that is not there was written"
        );
        page.dirty = true;
    }

    /// Whether page `index` is dirty.
    #[must_use]
    pub fn is_dirty(&self, index: usize) -> bool {
        self.pages[index].dirty
    }

    /// Pins page `index`: it is not dropped before it is unpinned.
    pub fn pin(&mut self, index: usize) {
        let page = &mut self.pages[index];
        assert_eq!(
            page.presence,
            Presence::Resident,
            "a page that is not there was pinned"
        );
        page.pins += 1;
        self.pins += 1;
    }

    /// Unpins page `index`. A page that was pinned for writing is dirty again: the bytes may have come
    /// after a write-back that happened in between.
    pub fn unpin(&mut self, index: usize, written: bool) {
        let page = &mut self.pages[index];
        assert!(page.pins > 0, "page {index} is not pinned");
        page.pins -= 1;
        page.dirty |= written;
        self.pins -= 1;
    }

    /// The next run of dirty pages in `range` that nobody writes back, at most `pages_max` long. The
    /// run is clean and being written from now on; [`Self::written_back`] must follow.
    pub fn begin_write_back(
        &mut self,
        range: Range<usize>,
        pages_max: usize,
    ) -> Option<Range<usize>> {
        let ready = |page: &Page| page.dirty && !page.writing;
        let start = range.clone().find(|&index| ready(&self.pages[index]))?;
        let mut end = start;
        while end < range.end && end - start < pages_max && ready(&self.pages[end]) {
            self.pages[end].dirty = false;
            self.pages[end].writing = true;
            end += 1;
        }
        self.writing += end - start;
        Some(start..end)
    }

    /// The write-back of `run` ended; after an error the pages are dirty again.
    pub fn written_back(&mut self, run: Range<usize>, ok: bool) {
        self.writing -= run.len();
        for index in run {
            let page = &mut self.pages[index];
            assert!(page.writing, "page {index} was not being written back");
            page.writing = false;
            page.dirty |= !ok;
        }
    }

    /// Whether pages in `range` are dirty or being written back.
    #[must_use]
    pub fn unclean(&self, range: Range<usize>) -> bool {
        self.pages[range]
            .iter()
            .any(|page| page.dirty || page.writing)
    }

    /// Whether something in `range` keeps pages from being dropped for the moment: a pin, a read or
    /// a write-back under way.
    #[must_use]
    pub fn busy(&self, range: Range<usize>) -> bool {
        self.pages[range]
            .iter()
            .any(|page| page.pins > 0 || page.writing || page.presence == Presence::Filling)
    }

    /// Forgets the pages of `range` that are there; returns how many there were. The caller unmapped
    /// them and drops their bytes under the same lock.
    ///
    /// # Panics
    /// If one of them is dirty or busy: bytes would be lost.
    pub fn drop_range(&mut self, range: Range<usize>) -> usize {
        assert!(!self.busy(range.clone()), "pages in use were dropped");
        assert!(!self.unclean(range.clone()), "dirty pages were dropped");
        let mut dropped = 0;
        for page in &mut self.pages[range] {
            dropped += usize::from(page.presence == Presence::Resident);
            page.presence = Presence::Absent;
        }
        self.resident -= dropped;
        self.generation += u64::from(dropped > 0);
        dropped
    }

    /// Forgets every page whatever its state; the node gives the volume up and loses what is dirty.
    pub fn abandon(&mut self) {
        let count = self.pages.len();
        let generation = self.generation + 1;
        *self = Self {
            generation,
            ..Self::new(count)
        };
    }

    /// The first run of resident pages in `range` that could be dropped now.
    #[must_use]
    pub fn droppable(&self, range: Range<usize>) -> Option<Range<usize>> {
        let idle = |page: &Page| {
            page.presence == Presence::Resident && !page.dirty && !page.writing && page.pins == 0
        };
        let start = range.clone().find(|&index| idle(&self.pages[index]))?;
        let end = (start..range.end)
            .find(|&index| !idle(&self.pages[index]))
            .unwrap_or(range.end);
        Some(start..end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resident(count: usize) -> Pages {
        let mut pages = Pages::new(count);
        for index in 0..count {
            assert_eq!(pages.look_up(index), Lookup::Fill);
            pages.filled(index, true);
        }
        pages
    }

    #[test]
    fn one_fills_and_the_others_wait() {
        let mut pages = Pages::new(2);
        assert_eq!(pages.look_up(1), Lookup::Fill);
        assert_eq!(pages.look_up(1), Lookup::Wait);
        assert!(pages.busy(0..2) && !pages.busy(0..1));
        pages.filled(1, false);
        assert_eq!(
            pages.look_up(1),
            Lookup::Fill,
            "after an error the next one tries"
        );
        pages.filled(1, true);
        assert_eq!(pages.look_up(1), Lookup::Resident);
        assert_eq!(pages.resident(), 1);
    }

    #[test]
    fn a_page_written_during_write_back_is_dirty_after_it() {
        let mut pages = resident(4);
        pages.mark_dirty(1);
        pages.mark_dirty(2);
        assert_eq!(pages.begin_write_back(0..4, 8), Some(1..3));
        assert!(pages.unclean(0..4) && !pages.is_dirty(1));
        pages.mark_dirty(2);
        assert_eq!(
            pages.begin_write_back(0..4, 8),
            None,
            "it is being written already"
        );
        pages.written_back(1..3, true);
        assert_eq!(pages.begin_write_back(0..4, 8), Some(2..3));
        pages.written_back(2..3, false);
        assert!(pages.is_dirty(2), "an error loses nothing");
    }

    #[test]
    fn a_run_ends_at_its_limit_and_at_the_range() {
        let mut pages = resident(8);
        (0..8).for_each(|index| pages.mark_dirty(index));
        assert_eq!(pages.begin_write_back(1..7, 4), Some(1..5));
        assert_eq!(pages.begin_write_back(1..7, 4), Some(5..7));
        assert_eq!(pages.begin_write_back(1..7, 4), None);
    }

    #[test]
    fn pins_keep_a_page_and_dirty_it_when_it_was_written() {
        let mut pages = resident(2);
        pages.pin(0);
        pages.pin(0);
        assert!(pages.busy(0..1));
        assert_eq!(pages.droppable(0..2), Some(1..2));
        pages.unpin(0, false);
        pages.unpin(0, true);
        assert!(pages.is_dirty(0) && !pages.busy(0..2));
        assert_eq!(pages.pins(), 0);
    }

    #[test]
    fn dropping_counts_and_moves_the_generation() {
        let mut pages = resident(3);
        let before = pages.generation();
        assert_eq!(pages.drop_range(1..3), 2);
        assert_eq!(pages.drop_range(1..3), 0);
        assert_eq!(pages.generation(), before + 1);
        assert_eq!(pages.resident(), 1);
    }

    #[test]
    #[should_panic(expected = "dirty pages were dropped")]
    fn dirty_pages_are_not_dropped() {
        let mut pages = resident(1);
        pages.mark_dirty(0);
        pages.drop_range(0..1);
    }

    #[test]
    #[should_panic(expected = "pages in use were dropped")]
    fn pinned_pages_are_not_dropped() {
        let mut pages = resident(1);
        pages.pin(0);
        pages.drop_range(0..1);
    }
}

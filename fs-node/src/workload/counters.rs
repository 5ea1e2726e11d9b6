//! The counters group: words in pages that all tasks of all nodes map and change, each task its own word.
//!
//! The first pages of every file are used, as many as one I/O has elsewhere. In each page every task has one word, so
//! that neighbours in memory belong to different nodes: a page that travels between them has to arrive whole each
//! time. A word is a stamp, so a lost or misplaced store shows at once.

use rand::Rng;

use super::layout::PAGE_BYTES;
use super::layout::Span;
use super::stamp::{Stamp, WORDS, Writer};
use super::transfer::Ended;
use super::worker::{Worker, load_page};

impl Worker {
    /// Sets this task's word in all pages of counters; others' words stay as they are.
    pub(super) fn prepare_counters(&mut self) -> Result<(), Ended> {
        let layout = self.plan.layout;
        let index = layout.counter(self.me);
        for (file, page) in layout.counter_pages() {
            let found = self.mapping(file).try_load_u64(word_at(page, index))?;
            let number = page as u16;
            let before = Stamp::sequence_at(found, self.me, number, index);
            self.goes_on_after(before.unwrap_or(0));
        }
        let sequence = self.fresh();
        layout
            .counter_pages()
            .try_for_each(|(file, page)| self.count(file, page, sequence))
    }

    /// One operation: this task's word in some page is read, checked, and counted up; or all others' are looked at.
    pub(super) fn counters(&mut self) -> Result<(), Ended> {
        let layout = self.plan.layout;
        let file = self.rng.random_range(0..layout.files);
        let page = self.rng.random_range(0..layout.io_pages);
        if self.reads() {
            return self.accesses(|task| task.look(file, page));
        }
        self.accesses(|task| {
            task.check_own(file, page)?;
            let sequence = task.fresh();
            task.count(file, page, sequence)
        })
    }

    fn check_own(&mut self, file: usize, page: usize) -> Result<(), Ended> {
        let index = self.plan.layout.counter(self.me);
        let word = self.mapping(file).try_load_u64(word_at(page, index))?;
        let errors = &mut self.tally.data_errors;
        self.ledger
            .check_word(file, page, page, (index, word), errors);
        Ok(())
    }

    fn count(&mut self, file: usize, page: usize, sequence: u64) -> Result<(), Ended> {
        let index = self.plan.layout.counter(self.me);
        let stamp = Stamp {
            writer: self.me,
            page: page as u16,
            word: index as u16,
            sequence,
        };
        let span = Span { page, pages: 1 };
        self.ledger.begin(file, span, sequence);
        let at = word_at(page, index);
        self.mapping(file).try_store_u64(at, stamp.pack())?;
        self.ledger.commit(file, span);
        Ok(())
    }

    /// Everybody's words in a page: nobody's runs backwards.
    fn look(&mut self, file: usize, page: usize) -> Result<(), Ended> {
        let words = load_page(self.mapping(file), page * PAGE_BYTES)?;
        for writer in self.plan.layout.writers() {
            let index = self.plan.layout.counter(writer);
            let errors = &mut self.tally.data_errors;
            self.witness
                .check_word((file, writer, page), page, (index, words[index]), errors);
        }
        Ok(())
    }
}

/// Where a word is in a file's mapping.
pub(super) const fn word_at(page: usize, index: usize) -> usize {
    assert!(index < WORDS, "there is a word for every task");
    page * PAGE_BYTES + index * 8
}

impl super::layout::Layout {
    /// Which word of a page of counters is this task's.
    pub(crate) const fn counter(&self, writer: Writer) -> usize {
        writer.node as usize * self.tasks + writer.task as usize
    }

    /// All pages of counters: by file, and page in it.
    pub(crate) fn counter_pages(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let pages = self.io_pages;
        (0..self.files).flat_map(move |file| (0..pages).map(move |page| (file, page)))
    }
}

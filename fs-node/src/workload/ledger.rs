//! What a writer knows about its own regions: exactly which sequence number each page carries.
//!
//! An I/O that was interrupted, or failed, may have moved some of its pages or none. From then on a page
//! may carry any number from the last that was certain to the last that was attempted.

use dlm_client::nodes::{self, Errors, Legal};
use serde::{Deserialize, Serialize};

use super::layout::{Layout, Span};
use super::stamp::{PageWords, Stamp, Writer};

/// One writer's account of its regions in all files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ledger {
    writer: Writer,
    files: Vec<Vec<Legal>>,
}

impl Ledger {
    /// An account in which nothing was written.
    pub(crate) fn new(layout: &Layout, writer: Writer) -> Self {
        let region = vec![Legal::default(); layout.region_pages()];
        Self {
            writer,
            files: vec![region; layout.files],
        }
    }

    /// Takes what came from another node; `None` where it does not fit the geometry.
    pub(crate) fn of_parts(layout: &Layout, parts: nodes::Ledger) -> Option<Self> {
        let (node, task) = (parts.node, parts.task);
        let fits = usize::from(node) < layout.nodes
            && usize::from(task) < layout.tasks
            && parts.files.len() == layout.files
            && parts
                .files
                .iter()
                .all(|pages| pages.len() == layout.region_pages());
        fits.then_some(Self {
            writer: Writer { node, task },
            files: parts.files,
        })
    }

    /// What another node is told.
    pub(crate) fn into_parts(self) -> nodes::Ledger {
        nodes::Ledger {
            node: self.writer.node,
            task: self.writer.task,
            files: self.files,
        }
    }

    /// Whose it is.
    pub(crate) const fn writer(&self) -> Writer {
        self.writer
    }

    /// The pages of `span` are about to get `sequence`.
    pub(crate) fn begin(&mut self, file: usize, span: Span, sequence: u64) {
        for page in &mut self.files[file][span.range()] {
            page.attempted = sequence;
        }
    }

    /// They have it.
    pub(crate) fn commit(&mut self, file: usize, span: Span) {
        for page in &mut self.files[file][span.range()] {
            page.certain = page.attempted;
        }
    }

    /// Checks one page of `file`; the first word that may not be there is described.
    pub(crate) fn check(
        &self,
        layout: &Layout,
        file: usize,
        page: usize,
        words: &PageWords,
        errors: &mut Errors,
    ) {
        let number = layout.stamp_page(page);
        for word in words.iter().copied().enumerate() {
            if !self.check_word(file, page, number.into(), word, errors) {
                return;
            }
        }
    }

    /// Checks one word, by its place, of a page that stamps call `number`. Whether it may be there.
    pub(crate) fn check_word(
        &self,
        file: usize,
        page: usize,
        number: usize,
        (index, word): (usize, u64),
        errors: &mut Errors,
    ) -> bool {
        let Legal { certain, attempted } = self.files[file][page];
        let legal = Stamp::sequence_at(word, self.writer, number as u16, index)
            .is_some_and(|sequence| (certain..=attempted).contains(&sequence));
        if !legal {
            errors.note(|| {
                format!(
                    "file {file}, {}'s page {page}, word {index}: expected page {number}, word \
                     {index}, sequence {certain} to {attempted}, got {}",
                    self.writer,
                    Stamp::describe(word)
                )
            });
        }
        legal
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LAYOUT: Layout = Layout {
        nodes: 2,
        tasks: 2,
        files: 2,
        io_pages: 2,
        part_ios: 2,
    };
    const ME: Writer = Writer { node: 1, task: 0 };

    fn errors(ledger: &Ledger, page: usize, words: &PageWords) -> u64 {
        let mut log = Errors::default();
        ledger.check(&LAYOUT, 1, page, words, &mut log);
        log.count
    }

    #[test]
    fn a_committed_page_has_one_legal_content() {
        let mut ledger = Ledger::new(&LAYOUT, ME);
        assert_eq!(errors(&ledger, 3, &[0; 512]), 0);
        ledger.begin(1, Span { page: 3, pages: 1 }, 7);
        ledger.commit(1, Span { page: 3, pages: 1 });
        let right = Stamp::fill(ME, 1, 7);
        assert_eq!(errors(&ledger, 3, &right), 0);
        for wrong in [
            Stamp::fill(ME, 1, 6),
            Stamp::fill(ME, 1, 8),
            Stamp::fill(ME, 0, 7),
            Stamp::fill(Writer { node: 0, task: 0 }, 1, 7),
            [0; 512],
        ] {
            assert_eq!(errors(&ledger, 3, &wrong), 1);
        }
        let mut torn = right;
        torn[511] = 0;
        assert_eq!(errors(&ledger, 3, &torn), 1);
    }

    #[test]
    fn an_interrupted_page_may_be_torn_between_what_was_and_what_was_tried() {
        let mut ledger = Ledger::new(&LAYOUT, ME);
        let span = Span { page: 0, pages: 2 };
        ledger.begin(1, span, 3);
        ledger.commit(1, span);
        ledger.begin(1, span, 5);
        let mut torn = Stamp::fill(ME, 0, 3);
        torn[256..].copy_from_slice(&Stamp::fill(ME, 0, 5)[256..]);
        assert_eq!(errors(&ledger, 0, &torn), 0);
        assert_eq!(errors(&ledger, 0, &Stamp::fill(ME, 0, 2)), 1);
        assert_eq!(errors(&ledger, 0, &Stamp::fill(ME, 0, 6)), 1);
    }
}

//! What a reader remembers of other writers' regions: time never runs backwards there.
//!
//! A reader does not know what another task has written by now. But every word must be that task's, be
//! at its place, and never be older than what this reader saw there before: under a coherent cache a
//! page may be torn while it is written, a word may not.

use std::collections::BTreeMap;

use dlm_client::nodes::Errors;

use super::layout::Layout;
use super::stamp::{PageWords, Stamp, WORDS, Writer};

/// Pages that one reader remembers (4 KiB of sequence numbers each, so 8 MiB a task). Of further pages
/// only owner and place are checked.
const REMEMBERED_PAGES_MAX: usize = 2048;

/// One reader's memory.
#[derive(Debug, Default)]
pub(crate) struct Witness {
    seen: BTreeMap<(usize, Writer, usize), Box<PageWords>>,
}

impl Witness {
    /// Checks one page of `writer`'s region in `file` against what was seen before, and remembers it.
    /// The first word that may not be there is described.
    pub(crate) fn check(
        &mut self,
        layout: &Layout,
        (file, writer, page): (usize, Writer, usize),
        words: &PageWords,
        errors: &mut Errors,
    ) {
        let number = layout.stamp_page(page);
        for word in words.iter().copied().enumerate() {
            if !self.check_word((file, writer, page), number.into(), word, errors) {
                return;
            }
        }
    }

    /// The same for one word, by its place, of a page that stamps call `number`. Whether it may be there.
    pub(crate) fn check_word(
        &mut self,
        (file, writer, page): (usize, Writer, usize),
        number: usize,
        (index, word): (usize, u64),
        errors: &mut Errors,
    ) -> bool {
        let room = self.seen.len() < REMEMBERED_PAGES_MAX;
        let mut unkept = [0; WORDS];
        let before: &mut PageWords = match self.seen.get_mut(&(file, writer, page)) {
            Some(before) => before,
            None if room => self
                .seen
                .entry((file, writer, page))
                .or_insert_with(|| Box::new([0; WORDS])),
            None => &mut unkept,
        };
        match Stamp::sequence_at(word, writer, number as u16, index) {
            Some(sequence) if sequence >= before[index] => {
                before[index] = sequence;
                true
            }
            _ => {
                let least = before[index];
                errors.note(|| {
                    format!(
                        "file {file}, {writer}'s page {page}, word {index}: expected page \
                         {number}, word {index}, sequence {least} or later, got {}",
                        Stamp::describe(word)
                    )
                });
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_never_gets_older_and_never_changes_hands() {
        let layout = Layout {
            nodes: 2,
            tasks: 1,
            files: 2,
            io_pages: 2,
            part_ios: 2,
        };
        let writer = Writer { node: 1, task: 0 };
        let mut witness = Witness::default();
        let errors = |witness: &mut Witness, words: &PageWords| {
            let mut log = Errors::default();
            witness.check(&layout, (0, writer, 3), words, &mut log);
            log.count
        };
        assert_eq!(errors(&mut witness, &[0; WORDS]), 0);
        let mut torn = Stamp::fill(writer, 1, 4);
        torn[..9].copy_from_slice(&Stamp::fill(writer, 1, 5)[..9]);
        assert_eq!(errors(&mut witness, &torn), 0);
        assert_eq!(
            errors(&mut witness, &Stamp::fill(writer, 1, 4)),
            1,
            "word 0 was at 5"
        );
        assert_eq!(errors(&mut witness, &Stamp::fill(writer, 1, 5)), 0);
        assert_eq!(errors(&mut witness, &Stamp::fill(writer, 0, 6)), 1);
        assert_eq!(
            errors(
                &mut witness,
                &Stamp::fill(Writer { node: 0, task: 0 }, 1, 6)
            ),
            1
        );
        assert_eq!(errors(&mut witness, &[0; WORDS]), 1);
    }
}

//! Stamps: what every 8-byte word of a workload's file says about itself.
//!
//! | bits | what |
//! |---|---|
//! | 0 to 4 | the writer's node |
//! | 5 to 9 | the writer's task on it |
//! | 10 to 18 | the word's number in its page |
//! | 19 to 30 | the page's number in its region, counted within one half (see [`super::layout`]) |
//! | 31 to 63 | sequence number, from 1 |
//!
//! A word of zero was never written. Whatever lands at the wrong place, comes from the wrong task or is
//! older than it may be shows at once, and the word says where it came from.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::layout::{HALF_PAGES_MAX, NODES_MAX, PAGE_BYTES, TASKS_MAX};

/// Words in a page.
pub(crate) const WORDS: usize = PAGE_BYTES / 8;
/// The largest sequence number: 33 bits. At a million operations a second it lasts two hours, and a
/// demo's tasks do some thousands.
pub(crate) const SEQUENCE_MAX: u64 = (1 << 33) - 1;

const _: () = assert!(NODES_MAX <= 32 && TASKS_MAX <= 32, "five bits each");
const _: () = assert!(WORDS <= 1 << 9 && HALF_PAGES_MAX <= 1 << 12);

/// The words of one page.
pub(crate) type PageWords = [u64; WORDS];

/// Who wrote a word: one task of one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub(crate) struct Writer {
    /// The node's index.
    pub(crate) node: u8,
    /// The task's index on that node.
    pub(crate) task: u8,
}

impl fmt::Display for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "node{}/task{}", self.node, self.task)
    }
}

/// A word's content, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Who wrote it.
    pub(crate) writer: Writer,
    /// The page within a half of the writer's region.
    pub(crate) page: u16,
    /// The word within the page.
    pub(crate) word: u16,
    /// The writer's sequence number.
    pub(crate) sequence: u64,
}

impl Stamp {
    /// The word that carries this stamp.
    pub(crate) fn pack(self) -> u64 {
        assert!(
            (1..=SEQUENCE_MAX).contains(&self.sequence),
            "sequence numbers are used up"
        );
        u64::from(self.writer.node)
            | u64::from(self.writer.task) << 5
            | u64::from(self.word) << 10
            | u64::from(self.page) << 19
            | self.sequence << 31
    }

    /// The stamp in `word`; `None` where nothing was ever written.
    pub(crate) const fn unpack(word: u64) -> Option<Self> {
        if word == 0 {
            return None;
        }
        let writer = Writer {
            node: (word & 31) as u8,
            task: (word >> 5 & 31) as u8,
        };
        Some(Self {
            writer,
            word: (word >> 10 & 0x1ff) as u16,
            page: (word >> 19 & 0xfff) as u16,
            sequence: word >> 31,
        })
    }

    /// The words of a whole page.
    pub(crate) fn fill(writer: Writer, page: u16, sequence: u64) -> PageWords {
        std::array::from_fn(|word| {
            Self {
                writer,
                page,
                word: word as u16,
                sequence,
            }
            .pack()
        })
    }

    /// The sequence number in `word`, if it is this writer's word for this place (0 where it was never
    /// written).
    pub(crate) fn sequence_at(word: u64, writer: Writer, page: u16, index: usize) -> Option<u64> {
        match Self::unpack(word) {
            None => Some(0),
            Some(stamp)
                if stamp.writer == writer
                    && stamp.page == page
                    && usize::from(stamp.word) == index =>
            {
                Some(stamp.sequence)
            }
            Some(_) => None,
        }
    }

    /// What a word says, in words.
    pub(crate) fn describe(word: u64) -> String {
        match Self::unpack(word) {
            None => "nothing (zero)".into(),
            Some(stamp) => format!(
                "{}, page {}, word {}, sequence {}",
                stamp.writer, stamp.page, stamp.word, stamp.sequence
            ),
        }
    }
}

/// The words of one page of plain memory.
pub(crate) fn page_of(bytes: &[u8], page: usize) -> PageWords {
    let bytes = &bytes[page * PAGE_BYTES..][..PAGE_BYTES];
    std::array::from_fn(|index| {
        u64::from_ne_bytes(bytes[index * 8..][..8].try_into().expect("eight bytes"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_back_at_every_limit() {
        for (node, task) in [(0, 0), (15, 31), (31, 7)] {
            for (page, word) in [(0, 0), (4095, 511), (17, 3)] {
                for sequence in [1, 12_345, SEQUENCE_MAX] {
                    let stamp = Stamp {
                        writer: Writer { node, task },
                        page,
                        word,
                        sequence,
                    };
                    assert_eq!(Stamp::unpack(stamp.pack()), Some(stamp));
                }
            }
        }
        assert_eq!(Stamp::unpack(0), None);
    }

    #[test]
    fn a_word_at_the_wrong_place_has_no_sequence_there() {
        let writer = Writer { node: 1, task: 2 };
        let words = Stamp::fill(writer, 5, 9);
        assert_eq!(Stamp::sequence_at(words[7], writer, 5, 7), Some(9));
        assert_eq!(Stamp::sequence_at(words[7], writer, 5, 8), None);
        assert_eq!(Stamp::sequence_at(words[7], writer, 4, 7), None);
        assert_eq!(
            Stamp::sequence_at(words[7], Writer { node: 1, task: 3 }, 5, 7),
            None
        );
        assert_eq!(Stamp::sequence_at(0, writer, 5, 7), Some(0));
    }

    #[test]
    fn words_of_plain_memory_are_found_by_page() {
        let mut bytes = vec![0; 3 * PAGE_BYTES];
        bytes[2 * PAGE_BYTES + 8..][..8].copy_from_slice(&77_u64.to_ne_bytes());
        assert_eq!(page_of(&bytes, 2)[1], 77);
        assert_eq!(page_of(&bytes, 1), [0; 512]);
    }
}

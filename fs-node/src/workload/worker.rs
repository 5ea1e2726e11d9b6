//! One task of a workload: what it knows, how it writes stamps and how it checks them.

use std::sync::Arc;

use dlm_client::nodes::Tally;
use fs_node::{AlignedBuf, BusError, Mapping, Node, Task, UserBuf};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::crew::Files;
use super::layout::{PAGE_BYTES, Span};
use super::ledger::Ledger;
use super::progress::Progress;
use super::ring::Ring;
use super::stamp::{PageWords, Stamp, WORDS, Writer, page_of};
use super::transfer::{Call, Ended};
use super::witness::Witness;
use super::{Group, Plan};

/// Failed operations after which a task gives up: the error is in the tally, more of it says nothing.
const FAILURES_MAX: u32 = 3;

/// A task with its state. Lives on one thread.
pub(super) struct Worker {
    pub(super) plan: Plan,
    pub(super) me: Writer,
    pub(super) node: Node,
    pub(super) io: Task,
    pub(super) files: Arc<Files>,
    pub(super) progress: Arc<Progress>,
    pub(super) ring: Ring,
    pub(super) rng: SmallRng,
    pub(super) ledger: Ledger,
    pub(super) witness: Witness,
    pub(super) tally: Tally,
    /// Plain memory that I/O reads and writes, one page for each of a region's.
    pub(super) plain: AlignedBuf,
    /// Plain memory for checks, of the same size.
    pub(super) proof: AlignedBuf,
    sequence: u64,
}

impl Worker {
    /// A task that has done nothing. `ledger` is what an earlier run left of its regions.
    pub(super) fn new(
        plan: Plan,
        me: Writer,
        node: Node,
        files: Arc<Files>,
        progress: Arc<Progress>,
        ledger: Option<Ledger>,
    ) -> Self {
        let layout = plan.layout;
        let bytes = layout.region_pages() * PAGE_BYTES;
        Self {
            plan,
            me,
            io: node.task(&format!("task{}", me.task)),
            node,
            files,
            progress,
            ring: Ring::new(&layout, me.node.into()),
            rng: SmallRng::seed_from_u64(seed_of(plan.seed, me, plan.group)),
            ledger: ledger.unwrap_or_else(|| Ledger::new(&layout, me)),
            witness: Witness::default(),
            tally: Tally::default(),
            plain: AlignedBuf::new(bytes),
            proof: AlignedBuf::new(bytes),
            sequence: 0,
        }
    }

    /// Checks what an earlier run left in its regions (where `known`), and writes them all anew, so that
    /// everybody may read them. Numbers go on from the largest one found.
    pub(super) fn prepare(&mut self, known: bool) -> Result<(), Ended> {
        if self.plan.group == Group::Counters {
            return self.prepare_counters();
        }
        let whole = Span {
            page: 0,
            pages: self.plan.layout.region_pages(),
        };
        for file in 0..self.plan.layout.files {
            let buf = UserBuf::of(&mut self.proof);
            self.aside(Call::DirectRead, file, whole, &[buf])?;
            for page in whole.range() {
                let words = page_of(&self.proof, page);
                if known {
                    self.check(file, page, &words);
                }
                let number = self.plan.layout.stamp_page(page);
                let found = words.iter().enumerate();
                let newest = found
                    .filter_map(|(index, &word)| Stamp::sequence_at(word, self.me, number, index))
                    .max();
                self.sequence = self.sequence.max(newest.unwrap_or(0));
            }
        }
        let sequence = self.fresh();
        (0..self.plan.layout.files).try_for_each(|file| self.write_plain(file, whole, sequence))
    }

    /// Does operations until it is told to stop, is interrupted, or nothing works any more.
    pub(super) fn run(&mut self) {
        let mut failures = 0;
        while !self.progress.stopping() && failures < FAILURES_MAX {
            let done = match self.plan.group {
                Group::Cross => self.cross(),
                Group::SameFile => self.same_file(),
                Group::Counters => self.counters(),
                Group::Mixed => self.mixed(),
            };
            match done {
                Ok(()) => {}
                Err(Ended::Failed) => failures += 1,
                Err(ended) => {
                    self.note(ended);
                    break;
                }
            }
        }
    }

    /// Tallies a load or store that failed; everything else is tallied where it happened.
    pub(super) fn note(&mut self, ended: Ended) {
        if ended == Ended::NoPage {
            let writer = self.me;
            self.tally
                .io_errors
                .note(|| format!("{writer}: {BusError}"));
        }
    }

    /// What it counted, and what it wrote.
    pub(super) fn finish(self) -> (Tally, Ledger) {
        (self.tally, self.ledger)
    }

    /// A new sequence number.
    pub(super) const fn fresh(&mut self) -> u64 {
        self.sequence += 1;
        self.sequence
    }

    /// Numbers go on after this one.
    pub(super) const fn goes_on_after(&mut self, sequence: u64) {
        if self.sequence < sequence {
            self.sequence = sequence;
        }
    }

    /// Whether the next operation is to read.
    pub(super) fn reads(&mut self) -> bool {
        self.rng.random_range(0..100) < self.plan.reads_percent
    }

    /// The node's shared mapping of a file.
    pub(super) fn mapping(&self, file: usize) -> &Mapping {
        self.files.mapping(file)
    }

    /// The pages of `span` in the mapping of `file`, as a buffer.
    pub(super) fn mapped(&self, file: usize, span: Span) -> UserBuf {
        let offset = self.plan.layout.offset(self.me, span.page);
        self.mapping(file).buf(offset, span.bytes())
    }

    /// The pages of `span` in plain memory, as a buffer.
    pub(super) fn unmapped(&mut self, span: Span) -> UserBuf {
        UserBuf::of(&mut self.plain[span.page * PAGE_BYTES..][..span.bytes()])
    }

    /// Writes stamps by stores into a file's mapping.
    pub(super) fn store(&mut self, file: usize, span: Span, sequence: u64) -> Result<(), Ended> {
        self.ledger.begin(file, span, sequence);
        let start = self.plan.layout.offset(self.me, 0);
        store_pages(
            self.files.mapping(file),
            start,
            self.me,
            &self.plan,
            span,
            sequence,
        )?;
        self.ledger.commit(file, span);
        Ok(())
    }

    /// Writes stamps into plain memory.
    pub(super) fn fill_plain(&mut self, span: Span, sequence: u64) {
        for page in span.range() {
            let words = Stamp::fill(self.me, self.plan.layout.stamp_page(page), sequence);
            let bytes = &mut self.plain[page * PAGE_BYTES..][..PAGE_BYTES];
            for (to, word) in bytes.chunks_exact_mut(8).zip(words) {
                to.copy_from_slice(&word.to_ne_bytes());
            }
        }
    }

    /// Writes stamps from plain memory by direct I/O.
    pub(super) fn write_plain(
        &mut self,
        file: usize,
        span: Span,
        sequence: u64,
    ) -> Result<(), Ended> {
        self.fill_plain(span, sequence);
        let buf = self.unmapped(span);
        self.ledger.begin(file, span, sequence);
        self.aside(Call::DirectWrite, file, span, &[buf])?;
        self.ledger.commit(file, span);
        Ok(())
    }

    /// Checks pages by plain loads from a file's mapping.
    pub(super) fn check_mapped(&mut self, file: usize, span: Span) -> Result<(), Ended> {
        let start = self.plan.layout.offset(self.me, 0);
        for page in span.range() {
            let words = load_page(self.files.mapping(file), start + page * PAGE_BYTES)?;
            self.check(file, page, &words);
        }
        Ok(())
    }

    /// Checks pages in plain memory, which were read from (or are about to be in) `file`.
    pub(super) fn check_plain(&mut self, file: usize, span: Span) {
        for page in span.range() {
            let words = page_of(&self.plain, page);
            self.check(file, page, &words);
        }
    }

    /// Checks pages by reading them past the page cache.
    pub(super) fn check_on_disk(&mut self, file: usize, span: Span) -> Result<(), Ended> {
        let buf = UserBuf::of(&mut self.proof[span.page * PAGE_BYTES..][..span.bytes()]);
        self.aside(Call::DirectRead, file, span, &[buf])?;
        for page in span.range() {
            let words = page_of(&self.proof, page);
            self.check(file, page, &words);
        }
        Ok(())
    }

    /// Checks one page against the ledger.
    pub(super) fn check(&mut self, file: usize, page: usize, words: &PageWords) {
        let layout = self.plan.layout;
        self.ledger
            .check(&layout, file, page, words, &mut self.tally.data_errors);
    }
}

/// Stores a writer's stamps into the pages of `span`, in a mapping in which its region starts at
/// `start`.
pub(super) fn store_pages(
    mapping: &Mapping,
    start: usize,
    writer: Writer,
    plan: &Plan,
    span: Span,
    sequence: u64,
) -> Result<(), BusError> {
    for page in span.range() {
        let words = Stamp::fill(writer, plan.layout.stamp_page(page), sequence);
        for (index, word) in words.into_iter().enumerate() {
            mapping.try_store_u64(start + page * PAGE_BYTES + index * 8, word)?;
        }
    }
    Ok(())
}

/// Loads the page that starts at `offset` of a mapping, word by word.
pub(super) fn load_page(mapping: &Mapping, offset: usize) -> Result<PageWords, BusError> {
    let mut words = [0; WORDS];
    for (index, word) in words.iter_mut().enumerate() {
        *word = mapping.try_load_u64(offset + index * 8)?;
    }
    Ok(words)
}

/// A seed of its own for every task and group; the same for all policies, so that they are compared on
/// the same choices.
fn seed_of(seed: u64, writer: Writer, group: Group) -> u64 {
    let own = u64::from(writer.node) << 16 | u64::from(writer.task) << 8 | group as u64;
    // Any odd constant will do: the generator hashes its seed. This one is 2^64 over the golden ratio.
    seed ^ (own + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_task_and_group_has_its_own_seed() {
        let mut seeds = BTreeSet::new();
        for node in 0..16 {
            for task in 0..32 {
                for group in Group::ALL {
                    seeds.insert(seed_of(7, Writer { node, task }, group));
                }
            }
        }
        assert_eq!(seeds.len(), 16 * 32 * 4);
    }
}

//! The mixed group: the same pages by every way there is, one after the other: buffered I/O, direct I/O, and loads and
//! stores, with plain memory and with mappings of other files as the buffer.

use rand::Rng;

use super::layout::Span;
use super::transfer::{Call, Ended};
use super::worker::Worker;

impl Worker {
    /// One operation of the group, or one check of what others write.
    pub(super) fn mixed(&mut self) -> Result<(), Ended> {
        if self.rng.random_ratio(1, 8) {
            return self.check_others();
        }
        let (reads, way) = (self.reads(), self.rng.random_range(0..4));
        if way == 3 {
            return if reads {
                self.read_into_mapping()
            } else {
                self.write_from_mapping()
            };
        }
        // Any file: a page that a node has cached for one way is to be used by the next.
        let file = self.rng.random_range(0..self.plan.layout.files);
        let span = self.any_span();
        match (reads, way) {
            (true, 0) => self.accesses(|task| task.check_mapped(file, span)),
            (true, 1) => self.read_plain(Call::Read, file, span),
            (true, _) => self.read_plain(Call::DirectRead, file, span),
            (false, 0) => {
                let sequence = self.fresh();
                self.accesses(|task| task.store(file, span, sequence))
            }
            (false, 1) => self.write_filled(Call::Write, file, span),
            (false, _) => self.write_filled(Call::DirectWrite, file, span),
        }
    }

    fn read_plain(&mut self, call: Call, file: usize, span: Span) -> Result<(), Ended> {
        self.plain.fill(0);
        let buf = self.unmapped(span);
        self.operation(call, file, span, &[buf], 0)?;
        self.check_plain(file, span);
        Ok(())
    }

    fn write_filled(&mut self, call: Call, file: usize, span: Span) -> Result<(), Ended> {
        let sequence = self.fresh();
        self.fill_plain(span, sequence);
        let buf = self.unmapped(span);
        self.ledger.begin(file, span, sequence);
        self.operation(call, file, span, &[buf], 0)?;
        self.ledger.commit(file, span);
        Ok(())
    }
}

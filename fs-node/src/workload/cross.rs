//! The cross group: direct I/O on one file whose buffer lies in mappings of other files.
//!
//! Every operation needs the target's glock and the glock of each mapping at once, and user space, not
//! the filesystem, picked the pair. No buffer is a mapping of the target, and none is private.

use fs_node::UserBuf;
use rand::Rng;

use super::layout::{PAGE_BYTES, Span};
use super::ring::{Piece, Place};
use super::stamp::{Writer, page_of};
use super::transfer::{Call, Ended, inode};
use super::worker::{Worker, load_page};

/// The most pages of somebody else's region that one check looks at.
const CHECK_PAGES_MAX: usize = 4;

impl Worker {
    /// One operation of the group, or one check of what others write.
    pub(super) fn cross(&mut self) -> Result<(), Ended> {
        let (checks, list) = (self.rng.random_ratio(1, 8), self.rng.random_ratio(2, 7));
        match (checks, self.reads(), list) {
            (true, ..) => self.check_others(),
            (false, false, false) => self.write_from_mapping(),
            (false, true, false) => self.read_into_mapping(),
            (false, false, true) => self.write_from_list(),
            (false, true, true) => self.read_into_list(),
        }
    }

    pub(super) fn write_from_mapping(&mut self) -> Result<(), Ended> {
        let target = self.ring.target(&mut self.rng);
        let source = self.ring.neighbour(target, &mut self.rng);
        let (span, sequence) = (self.any_span(), self.fresh());
        self.make_source(source, span, sequence)?;
        self.ledger.begin(target, span, sequence);
        let buf = self.mapped(source, span);
        self.operation(Call::DirectWrite, target, span, &[buf], 1)?;
        self.ledger.commit(target, span);
        self.check_sometimes(target, span)
    }

    pub(super) fn read_into_mapping(&mut self) -> Result<(), Ended> {
        let target = self.ring.target(&mut self.rng);
        let sink = self.ring.neighbour(target, &mut self.rng);
        let (span, sequence) = (self.any_span(), self.fresh());
        self.write_plain(target, span, sequence)?;
        self.ledger.begin(sink, span, sequence);
        let buf = self.mapped(sink, span);
        self.operation(Call::DirectRead, target, span, &[buf], 1)?;
        self.ledger.commit(sink, span);
        self.check_mapped(sink, span)?;
        Ok(())
    }

    fn write_from_list(&mut self) -> Result<(), Ended> {
        let target = self.ring.target(&mut self.rng);
        let (span, sequence) = (self.any_span(), self.fresh());
        let pieces = self.ring.list(target, span, &mut self.rng);
        for piece in &pieces {
            match piece.place {
                Place::Mapped(file) => self.make_source(file, piece.span, sequence)?,
                Place::Plain => {}
            }
        }
        for piece in pieces.iter().filter(|piece| piece.place == Place::Plain) {
            self.fill_plain(piece.span, sequence);
        }
        self.ledger.begin(target, span, sequence);
        self.list_operation(Call::DirectWrite, target, span, &pieces)?;
        self.ledger.commit(target, span);
        self.check_sometimes(target, span)
    }

    fn read_into_list(&mut self) -> Result<(), Ended> {
        let target = self.ring.target(&mut self.rng);
        let (span, sequence) = (self.any_span(), self.fresh());
        let pieces = self.ring.list(target, span, &mut self.rng);
        self.write_plain(target, span, sequence)?;
        self.plain.fill(0);
        for piece in &pieces {
            if let Place::Mapped(file) = piece.place {
                self.ledger.begin(file, piece.span, sequence);
            }
        }
        self.list_operation(Call::DirectRead, target, span, &pieces)?;
        for piece in &pieces {
            match piece.place {
                Place::Mapped(file) => {
                    self.ledger.commit(file, piece.span);
                    self.check_mapped(file, piece.span)?;
                }
                Place::Plain => self.check_plain(target, piece.span),
            }
        }
        Ok(())
    }

    fn list_operation(
        &mut self,
        call: Call,
        target: usize,
        span: Span,
        pieces: &[Piece],
    ) -> Result<(), Ended> {
        let mut bufs = Vec::with_capacity(pieces.len());
        let mut mappings = 0;
        for piece in pieces {
            match piece.place {
                Place::Mapped(file) => {
                    mappings += 1;
                    bufs.push(self.mapped(file, piece.span));
                }
                Place::Plain => bufs.push(self.unmapped(piece.span)),
            }
        }
        self.operation(call, target, span, &bufs, mappings)
    }

    /// Makes the pages of a mapping carry `sequence`: by stores, so that they are resident and writable,
    /// or by a write past the cache and loads, so that they are resident and read-only, or by the write
    /// alone, so that they are not there at all.
    fn make_source(&mut self, file: usize, span: Span, sequence: u64) -> Result<(), Ended> {
        match self.rng.random_range(0..4) {
            0..2 => self.store(file, span, sequence)?,
            2 => self.write_plain(file, span, sequence)?,
            _ => {
                self.write_plain(file, span, sequence)?;
                self.check_mapped(file, span)?;
            }
        }
        Ok(())
    }

    /// Looks at a few pages of another task's region in any file, by loads or past the cache.
    pub(super) fn check_others(&mut self) -> Result<(), Ended> {
        let layout = self.plan.layout;
        let others: Vec<Writer> = layout
            .writers()
            .filter(|&writer| writer != self.me)
            .collect();
        if others.is_empty() {
            return Ok(());
        }
        let writer = others[self.rng.random_range(0..others.len())];
        let file = self.rng.random_range(0..layout.files);
        let pages = self
            .rng
            .random_range(1..=CHECK_PAGES_MAX.min(layout.region_pages()));
        let page = self.rng.random_range(0..=layout.region_pages() - pages);
        let span = Span { page, pages };
        let past_the_cache = self.rng.random_bool(0.5);
        if past_the_cache {
            let buf = UserBuf::of(&mut self.proof[page * PAGE_BYTES..][..span.bytes()]);
            let offset = layout.offset(writer, page) as u64;
            let result = self.io.direct_read(inode(file), offset, &[buf]);
            self.judge(Call::DirectRead, file, span, result)?;
        }
        for page in span.range() {
            let words = if past_the_cache {
                page_of(&self.proof, page)
            } else {
                load_page(self.mapping(file), layout.offset(writer, page))?
            };
            let place = (file, writer, page);
            self.witness
                .check(&layout, place, &words, &mut self.tally.data_errors);
        }
        Ok(())
    }

    fn check_sometimes(&mut self, file: usize, span: Span) -> Result<(), Ended> {
        if self.rng.random_ratio(1, 4) {
            self.check_on_disk(file, span)
        } else {
            Ok(())
        }
    }

    /// One I/O's worth of pages anywhere in the region.
    pub(super) fn any_span(&mut self) -> Span {
        let pages = self.plan.layout.io_pages;
        Span {
            page: self
                .rng
                .random_range(0..=self.plan.layout.region_pages() - pages),
            pages,
        }
    }
}

//! The same-file group: the buffer lies in a mapping of the very file that is read or written, of the
//! same range or of another one; private mappings; lists of all kinds; buffered I/O in between.
//!
//! Each of these has hung, or failed, in some kernel: a direct read into a mapping of the range that is
//! read never returns from gfs2, and bcachefs refuses the write.

use fs_node::{Mapping, Protection, Share, UserBuf};
use rand::Rng;

use super::layout::{PAGE_BYTES, Span};
use super::ring::{Piece, Place, cut};
use super::transfer::{Call, Ended, inode};
use super::worker::{Worker, load_page, store_pages};

impl Worker {
    /// One operation of the group.
    pub(super) fn same_file(&mut self) -> Result<(), Ended> {
        if self.reads() {
            match self.rng.random_range(0..6) {
                0 | 1 => self.read_into_itself(true),
                2 => self.read_into_itself(false),
                3 => self.read_into_private(),
                4 => self.read_into_mixed_list(),
                _ => self.buffered_read(),
            }
        } else {
            match self.rng.random_range(0..6) {
                0 | 1 => self.write_from_itself(true),
                2 => self.write_from_itself(false),
                3 => self.write_from_private(),
                4 => self.write_from_mixed_list(),
                _ => self.buffered_write(),
            }
        }
    }

    /// A direct read into a mapping of the same file: of the same range, or of the other half.
    fn read_into_itself(&mut self, same_range: bool) -> Result<(), Ended> {
        let file = self.ring.target(&mut self.rng);
        let (span, sequence) = (self.half_span(), self.fresh());
        let to = if same_range {
            span
        } else {
            self.other_half(span)
        };
        self.write_plain(file, span, sequence)?;
        self.ledger.begin(file, to, sequence);
        let buf = self.mapped(file, to);
        self.operation(Call::DirectRead, file, span, &[buf], 1)?;
        self.ledger.commit(file, to);
        self.check_mapped(file, to)?;
        self.check_mapped(file, span)?;
        Ok(())
    }

    /// A direct write from a mapping of the same file: of the same range, or of the other half.
    fn write_from_itself(&mut self, same_range: bool) -> Result<(), Ended> {
        let file = self.ring.target(&mut self.rng);
        let (span, sequence) = (self.half_span(), self.fresh());
        let from = if same_range {
            span
        } else {
            self.other_half(span)
        };
        self.store(file, from, sequence)?;
        self.ledger.begin(file, span, sequence);
        let buf = self.mapped(file, from);
        self.operation(Call::DirectWrite, file, span, &[buf], 1)?;
        self.ledger.commit(file, span);
        self.check_mapped(file, from)?;
        self.check_on_disk(file, span)
    }

    /// A direct write from a private mapping of the same or another file: from the file's own content
    /// seen through it, or from pages that were written, which the file must never see.
    fn write_from_private(&mut self) -> Result<(), Ended> {
        let target = self.ring.target(&mut self.rng);
        let source = self.same_or_other(target);
        let (span, sequence) = (self.half_span(), self.fresh());
        let from = self.other_half(span);
        let written = self.rng.random_bool(0.5);
        if !written {
            self.write_plain(source, from, sequence)?;
        }
        let private = self.private(source)?;
        if written {
            store_pages(&private, 0, self.me, &self.plan, from, sequence)?;
        }
        self.ledger.begin(target, span, sequence);
        let buf = region_buf(&private, from);
        self.operation(Call::DirectWrite, target, span, &[buf], 1)?;
        self.ledger.commit(target, span);
        self.check_on_disk(target, span)?;
        self.check_mapped(source, from)?;
        Ok(())
    }

    /// A direct read into a private mapping: what is read is in it, and the file behind it unchanged.
    fn read_into_private(&mut self) -> Result<(), Ended> {
        let target = self.ring.target(&mut self.rng);
        let behind = self.same_or_other(target);
        let (span, sequence) = (self.half_span(), self.fresh());
        let to = self.other_half(span);
        self.write_plain(target, span, sequence)?;
        let private = self.private(behind)?;
        self.operation(
            Call::DirectRead,
            target,
            span,
            &[region_buf(&private, to)],
            1,
        )?;
        self.check_private(&private, to, target, span)?;
        self.check_mapped(behind, to)?;
        Ok(())
    }

    fn write_from_mixed_list(&mut self) -> Result<(), Ended> {
        let target = self.ring.target(&mut self.rng);
        let (span, sequence) = (self.half_span(), self.fresh());
        let (pieces, private) = self.mixed_list(target, span)?;
        for piece in &pieces {
            match piece.place {
                Place::Mapped(file) if file == target => self.store(file, piece.span, sequence)?,
                Place::Mapped(_) => {
                    store_pages(&private, 0, self.me, &self.plan, piece.span, sequence)?;
                }
                Place::Plain => self.fill_plain(piece.span, sequence),
            }
        }
        self.ledger.begin(target, span, sequence);
        self.mixed_operation(Call::DirectWrite, target, span, &pieces, &private)?;
        self.ledger.commit(target, span);
        self.check_on_disk(target, span)
    }

    fn read_into_mixed_list(&mut self) -> Result<(), Ended> {
        let target = self.ring.target(&mut self.rng);
        let (span, sequence) = (self.half_span(), self.fresh());
        let (pieces, private) = self.mixed_list(target, span)?;
        self.write_plain(target, span, sequence)?;
        self.plain.fill(0);
        self.mixed_operation(Call::DirectRead, target, span, &pieces, &private)?;
        for piece in &pieces {
            match piece.place {
                Place::Mapped(file) if file == target => self.check_mapped(file, piece.span)?,
                Place::Mapped(_) => self.check_private(&private, piece.span, target, piece.span)?,
                Place::Plain => self.check_plain(target, piece.span),
            }
        }
        Ok(())
    }

    /// A list over the range itself in the file's own shared mapping, a private mapping of another
    /// file, and plain memory; and that private mapping.
    fn mixed_list(&mut self, target: usize, span: Span) -> Result<(Vec<Piece>, Mapping), Ended> {
        let other = self.ring.neighbour(target, &mut self.rng);
        let mut places = vec![Place::Mapped(target), Place::Plain, Place::Mapped(other)];
        places.truncate(span.pages);
        let spans = cut(span, places.len(), &mut self.rng);
        let pieces = spans.into_iter().zip(places);
        let pieces = pieces.map(|(span, place)| Piece { place, span }).collect();
        Ok((pieces, self.private(other)?))
    }

    fn mixed_operation(
        &mut self,
        call: Call,
        target: usize,
        span: Span,
        pieces: &[Piece],
        private: &Mapping,
    ) -> Result<(), Ended> {
        let mut bufs = Vec::with_capacity(pieces.len());
        for piece in pieces {
            bufs.push(match piece.place {
                Place::Mapped(file) if file == target => self.mapped(file, piece.span),
                Place::Mapped(_) => region_buf(private, piece.span),
                Place::Plain => self.unmapped(piece.span),
            });
        }
        let mappings = pieces
            .iter()
            .filter(|piece| piece.place != Place::Plain)
            .count();
        self.operation(call, target, span, &bufs, mappings)
    }

    /// A buffered write from the mapping of the same range, of the other half, or of another file.
    fn buffered_write(&mut self) -> Result<(), Ended> {
        let target = self.ring.target(&mut self.rng);
        let source = self.same_or_other(target);
        let (span, sequence) = (self.half_span(), self.fresh());
        let from = if self.rng.random_bool(0.5) {
            span
        } else {
            self.other_half(span)
        };
        self.store(source, from, sequence)?;
        self.ledger.begin(target, span, sequence);
        let buf = self.mapped(source, from);
        self.operation(Call::Write, target, span, &[buf], 1)?;
        self.ledger.commit(target, span);
        self.check_mapped(target, span)?;
        if self.rng.random_bool(0.5) {
            self.check_on_disk(target, span)
        } else {
            Ok(())
        }
    }

    /// A buffered read into the mapping of the same range, of the other half, or of another file.
    fn buffered_read(&mut self) -> Result<(), Ended> {
        let target = self.ring.target(&mut self.rng);
        let sink = self.same_or_other(target);
        let (span, sequence) = (self.half_span(), self.fresh());
        let to = if self.rng.random_bool(0.5) {
            span
        } else {
            self.other_half(span)
        };
        self.write_plain(target, span, sequence)?;
        self.ledger.begin(sink, to, sequence);
        let buf = self.mapped(sink, to);
        self.operation(Call::Read, target, span, &[buf], 1)?;
        self.ledger.commit(sink, to);
        self.check_mapped(sink, to)?;
        Ok(())
    }

    /// A new private mapping of this task's region in `file`.
    fn private(&mut self, file: usize) -> Result<Mapping, Ended> {
        let layout = self.plan.layout;
        let offset = layout.offset(self.me, 0) as u64;
        let bytes = layout.region_pages() * PAGE_BYTES;
        let made = self.node.map(
            inode(file),
            offset,
            bytes,
            Share::Private,
            Protection::ReadWrite,
        );
        made.map_err(|error| {
            let writer = self.me;
            self.tally
                .io_errors
                .note(|| format!("{writer}: cannot map file {file}: {error}"));
            Ended::Failed
        })
    }

    /// Checks pages of a private mapping, which must carry what is in `file` at `span`.
    fn check_private(
        &mut self,
        private: &Mapping,
        at: Span,
        file: usize,
        span: Span,
    ) -> Result<(), Ended> {
        for (there, page) in at.range().zip(span.range()) {
            let words = load_page(private, there * PAGE_BYTES)?;
            self.check(file, page, &words);
        }
        Ok(())
    }

    fn same_or_other(&mut self, target: usize) -> usize {
        if self.rng.random_bool(0.5) {
            target
        } else {
            self.ring.neighbour(target, &mut self.rng)
        }
    }

    /// Some pages within one part of the region.
    fn half_span(&mut self) -> Span {
        let half = self.plan.layout.io_pages;
        let pages = self.rng.random_range(1..=half);
        let page = self.rng.random_range(0..=half - pages);
        Span {
            page: page + half * self.rng.random_range(0..self.plan.layout.part_ios),
            pages,
        }
    }

    /// The same pages of the next part.
    const fn other_half(&self, span: Span) -> Span {
        let half = self.plan.layout.io_pages;
        Span {
            page: (span.page + half) % self.plan.layout.region_pages(),
            pages: span.pages,
        }
    }
}

/// The pages of `span` in a mapping of just one region.
fn region_buf(mapping: &Mapping, span: Span) -> UserBuf {
    mapping.buf(span.page * PAGE_BYTES, span.bytes())
}

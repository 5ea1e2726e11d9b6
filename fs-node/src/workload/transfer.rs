//! One I/O of a worker: made, timed where it counts, and tallied.

use std::time::{Duration, Instant};

use fs_node::{BusError, IoError, Outcome, UserBuf};

use super::layout::Span;
use super::worker::Worker;

/// Why a worker cannot go on with what it is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// The node interrupts all waits.
    Interrupted,
    /// It failed; the tally has the reason.
    Failed,
    /// A load or store found no page: the volume failed, or the session is lost.
    NoPage,
}

impl From<BusError> for Ended {
    fn from(_: BusError) -> Self {
        Self::NoPage
    }
}

/// Which way the bytes go, and whether past the page cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    DirectRead,
    DirectWrite,
    Read,
    Write,
}

/// The inode of a workload's file: the volume numbers its inodes from 1.
pub(super) const fn inode(file: usize) -> u64 {
    file as u64 + 1
}

impl Worker {
    /// An I/O that is the workload's purpose: timed and counted. `mappings` is the number of distinct
    /// mappings in the buffer.
    pub(super) fn operation(
        &mut self,
        call: Call,
        file: usize,
        span: Span,
        bufs: &[UserBuf],
        mappings: usize,
    ) -> Result<(), Ended> {
        let start = Instant::now();
        let result = self.call(call, file, span, bufs);
        let took = start.elapsed();
        let outcome = self.judge(call, file, span, result)?;
        self.done(took);
        let tally = &mut self.tally;
        tally.retries += u64::from(outcome.retries);
        tally.trylock_failed += u64::from(outcome.trylock_failed);
        tally.lock_cycles += u64::from(outcome.lock_cycles);
        tally.lock_cycles_max = tally.lock_cycles_max.max(outcome.lock_cycles);
        tally.bounced += u64::from(outcome.bounced);
        tally.fallbacks += u64::from(outcome.fallback);
        if self.plan.bounded && outcome.lock_cycles as usize > mappings {
            let writer = self.me;
            tally.io_errors.note(|| {
                format!(
                    "{writer}: {call:?} of file {file} cycled its locks {} times over buffers from \
                     {mappings} mappings",
                    outcome.lock_cycles
                )
            });
        }
        Ok(())
    }

    /// An operation that is loads and stores alone: timed and counted like an I/O.
    pub(super) fn accesses<T>(
        &mut self,
        what: impl FnOnce(&mut Self) -> Result<T, Ended>,
    ) -> Result<T, Ended> {
        let start = Instant::now();
        let value = what(self)?;
        self.done(start.elapsed());
        Ok(value)
    }

    /// An operation has ended well.
    fn done(&mut self, took: Duration) {
        self.tally.ops += 1;
        self.tally.latency_us.record(took.as_micros() as u64);
        self.progress.count_operation();
    }

    /// An I/O that prepares or checks: neither timed nor counted.
    pub(super) fn aside(
        &mut self,
        call: Call,
        file: usize,
        span: Span,
        bufs: &[UserBuf],
    ) -> Result<(), Ended> {
        let result = self.call(call, file, span, bufs);
        self.judge(call, file, span, result).map(drop)
    }

    fn call(
        &self,
        call: Call,
        file: usize,
        span: Span,
        bufs: &[UserBuf],
    ) -> Result<Outcome, IoError> {
        let offset = self.plan.layout.offset(self.me, span.page) as u64;
        match call {
            Call::DirectRead => self.io.direct_read(inode(file), offset, bufs),
            Call::DirectWrite => self.io.direct_write(inode(file), offset, bufs),
            Call::Read => self.io.read(inode(file), offset, bufs),
            Call::Write => self.io.write(inode(file), offset, bufs),
        }
    }

    /// Tallies an error, a short count included; hands back the outcome where there was none.
    pub(super) fn judge(
        &mut self,
        call: Call,
        file: usize,
        span: Span,
        result: Result<Outcome, IoError>,
    ) -> Result<Outcome, Ended> {
        let (writer, wanted) = (self.me, span.bytes());
        match result {
            Ok(outcome) if outcome.bytes == wanted => Ok(outcome),
            Ok(outcome) => {
                self.tally.io_errors.note(|| {
                    format!(
                        "{writer}: {call:?} of file {file}: {} of {wanted} bytes",
                        outcome.bytes
                    )
                });
                Err(Ended::Failed)
            }
            Err(IoError::Interrupted) => {
                self.tally.interrupted += 1;
                Err(Ended::Interrupted)
            }
            Err(error) => {
                self.tally
                    .io_errors
                    .note(|| format!("{writer}: {call:?} of file {file}: {error}"));
                Err(Ended::Failed)
            }
        }
    }
}

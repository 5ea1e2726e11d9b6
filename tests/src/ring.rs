//! Rings of direct I/O: task i does I/O on file i with a buffer mapped from file i + 1.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::thread::JoinHandle;

use fs_core::fault::Direction;
use fs_node::{AlignedBuf, IoError, Node, Outcome, Protection, Share, UserBuf};

/// Bytes of one I/O.
const IO_BYTES: usize = 16 << 10;
/// Bytes of a file that rings use: one part for each task.
pub const FILE_BYTES: u64 = 256 << 10;

/// What one task of a ring did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// I/O that ended.
    pub ops: usize,
    /// All outcomes added up.
    pub sum: Outcome,
    /// The most lock cycles in one I/O.
    pub lock_cycles_max: u32,
    /// I/O that was interrupted.
    pub interrupted: usize,
}

impl Tally {
    fn add(&mut self, outcome: Outcome) {
        self.ops += 1;
        self.sum.retries += outcome.retries;
        self.sum.trylock_failed += outcome.trylock_failed;
        self.sum.lock_cycles += outcome.lock_cycles;
        self.sum.bounced |= outcome.bounced;
        self.sum.fallback |= outcome.fallback;
        self.lock_cycles_max = self.lock_cycles_max.max(outcome.lock_cycles);
    }
}

/// How far a ring is, while it runs.
#[derive(Debug)]
pub struct Ring {
    tasks: Vec<JoinHandle<Tally>>,
    stop: Arc<AtomicBool>,
    /// I/O that ended, all tasks together.
    pub ops: Arc<AtomicUsize>,
}

impl Ring {
    /// Starts a ring over `files` files, one task a file, dealt out to `nodes` in turn. Every task does
    /// `rounds` I/Os and checks what it wrote and read; reads and writes alternate where `direction` is
    /// `None`.
    ///
    /// # Panics
    /// If a file cannot be mapped.
    #[must_use]
    pub fn start(nodes: &[Node], files: usize, rounds: u64, direction: Option<Direction>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let ops = Arc::new(AtomicUsize::new(0));
        let barrier = Arc::new(Barrier::new(files));
        let tasks = (0..files)
            .map(|file| {
                let (node, stop, ops) =
                    (nodes[file % nodes.len()].clone(), stop.clone(), ops.clone());
                let barrier = barrier.clone();
                std::thread::spawn(move || {
                    let link = Link::new(&node, file, files);
                    barrier.wait();
                    link.run(rounds, direction, &stop, &ops)
                })
            })
            .collect();
        Self { tasks, stop, ops }
    }

    /// Waits for the tasks' ends.
    ///
    /// # Panics
    /// If one of them found wrong data.
    #[must_use]
    pub fn join(self) -> Vec<Tally> {
        self.tasks
            .into_iter()
            .map(|task| task.join().expect("a task of the ring"))
            .collect()
    }

    /// Lets every task end after the I/O that it is in.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::SeqCst);
    }
}

struct Link {
    task: fs_node::Task,
    mapping: fs_node::Mapping,
    /// The inode of the I/O.
    target: u64,
    /// Where this task's own part of both files starts.
    base: usize,
    plain: AlignedBuf,
}

impl Link {
    fn new(node: &Node, file: usize, files: usize) -> Self {
        let target = file as u64 + 1;
        let next = ((file + 1) % files) as u64 + 1;
        let len = FILE_BYTES as usize;
        let task = node.task(&format!("ring {target}<-{next}"));
        let mapping = node
            .map(next, 0, len, Share::Shared, Protection::ReadWrite)
            .expect("a mapping");
        Self {
            task,
            mapping,
            target,
            base: file * IO_BYTES,
            plain: AlignedBuf::new(IO_BYTES),
        }
    }

    fn run(
        mut self,
        rounds: u64,
        direction: Option<Direction>,
        stop: &AtomicBool,
        ops: &AtomicUsize,
    ) -> Tally {
        let mut tally = Tally::default();
        for round in 1..=rounds {
            if stop.load(Ordering::SeqCst) {
                break;
            }
            let reads =
                direction.map_or_else(|| round.is_multiple_of(2), |one| one == Direction::Read);
            match if reads {
                self.read(round)
            } else {
                self.write(round)
            } {
                Ok(outcome) => {
                    tally.add(outcome);
                    ops.fetch_add(1, Ordering::Relaxed);
                }
                Err(IoError::Interrupted) => {
                    tally.interrupted += 1;
                    break;
                }
                Err(error) => panic!("inode {}, round {round}: {error}", self.target),
            }
        }
        tally
    }

    fn stamp(&self, round: u64, at: usize) -> u64 {
        (round << 32) | (self.target << 16) | (at as u64 / 8)
    }

    fn io(&self) -> [UserBuf; 1] {
        [self.mapping.buf(self.base, IO_BYTES)]
    }

    /// Stores through the mapping, writes that to the target, and reads the target back.
    fn write(&mut self, round: u64) -> Result<Outcome, IoError> {
        for at in (0..IO_BYTES).step_by(512) {
            self.mapping
                .store_u64(self.base + at, self.stamp(round, at));
        }
        let outcome = self
            .task
            .direct_write(self.target, self.base as u64, &self.io())?;
        assert_eq!(outcome.bytes, IO_BYTES);
        self.task.direct_read(
            self.target,
            self.base as u64,
            &[UserBuf::of(&mut self.plain)],
        )?;
        for at in (0..IO_BYTES).step_by(512) {
            let word = u64::from_le_bytes(self.plain[at..at + 8].try_into().expect("8 bytes"));
            assert_eq!(word, self.stamp(round, at), "inode {} at {at}", self.target);
        }
        Ok(outcome)
    }

    /// Writes plain memory to the target, reads that into the mapping, and loads it from there.
    fn read(&mut self, round: u64) -> Result<Outcome, IoError> {
        for at in (0..IO_BYTES).step_by(512) {
            let stamp = self.stamp(round, at).to_le_bytes();
            self.plain[at..at + 8].copy_from_slice(&stamp);
        }
        self.task.direct_write(
            self.target,
            self.base as u64,
            &[UserBuf::of(&mut self.plain)],
        )?;
        let outcome = self
            .task
            .direct_read(self.target, self.base as u64, &self.io())?;
        assert_eq!(outcome.bytes, IO_BYTES);
        for at in (0..IO_BYTES).step_by(512) {
            let word = self.mapping.load_u64(self.base + at);
            assert_eq!(
                word,
                self.stamp(round, at),
                "the mapping of inode {} at {at}",
                self.target
            );
        }
        Ok(outcome)
    }
}

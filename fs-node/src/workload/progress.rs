//! How the tasks of a node get on: operations in each tenth of a second, and the longest time without one.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use dlm_client::nodes;
use dlm_client::nodes::INTERVAL_US;
use fs_node::Node;

/// How long waits are interrupted: long enough for every task that waits to be told.
const INTERRUPT_FOR: Duration = Duration::from_millis(10);
/// How long they are left alone after that: several times the hold time of the locks they want.
const INTERRUPT_PAUSE: Duration = Duration::from_millis(100);

/// What the tasks of a crew share while they run.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pace: Mutex<Pace>,
    stopping: AtomicBool,
    ended: AtomicBool,
}

/// The longest time without an operation, and when it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stall {
    pub(crate) length: Duration,
    pub(crate) at: Duration,
}

#[derive(Debug, Default)]
struct Pace {
    started: Option<Instant>,
    /// How long it ran, once it has ended.
    ran: Option<Duration>,
    operations: u64,
    intervals: Vec<u32>,
    /// When the last operation ended, counted from the start.
    last: Duration,
    stall: Stall,
}

impl Pace {
    fn elapsed(&self) -> Duration {
        let running = || self.started.map_or(Duration::ZERO, |at| at.elapsed());
        self.ran.unwrap_or_else(running)
    }

    fn pause_ends(&mut self, now: Duration) {
        let length = now.saturating_sub(self.last);
        if length > self.stall.length {
            self.stall = Stall {
                length,
                at: self.last,
            };
        }
        self.last = now;
    }

    fn count(&mut self, now: Duration) {
        self.pause_ends(now);
        self.operations += 1;
        let interval = interval(now);
        if self.intervals.len() <= interval {
            self.intervals.resize(interval + 1, 0);
        }
        self.intervals[interval] += 1;
    }

    /// The intervals that are over, at most so many from `from` on.
    fn intervals(&self, from: u64, max: usize, now: Duration) -> Vec<u32> {
        let over = interval(now) + usize::from(self.ran.is_some());
        let from = usize::try_from(from).unwrap_or(usize::MAX).min(over);
        let to = over.min(from.saturating_add(max));
        let of = |at: usize| self.intervals.get(at).copied().unwrap_or(0);
        (from..to).map(of).collect()
    }
}

fn interval(now: Duration) -> usize {
    (now.as_micros() / u128::from(INTERVAL_US)) as usize
}

impl Progress {
    /// The tasks begin.
    pub(super) fn start(&self) {
        self.pace().started = Some(Instant::now());
    }

    pub(super) fn count_operation(&self) {
        let mut pace = self.pace();
        let now = pace.elapsed();
        pace.count(now);
    }

    /// All tasks have ended.
    pub(super) fn end(&self) {
        let mut pace = self.pace();
        let now = pace.elapsed();
        pace.pause_ends(now);
        pace.ran = Some(now);
        drop(pace);
        self.ended.store(true, Ordering::Release);
    }

    pub(super) fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Operations so far.
    pub(crate) fn operations(&self) -> u64 {
        self.pace().operations
    }

    /// The longest time without an operation.
    pub(crate) fn stall(&self) -> Stall {
        self.pace().stall
    }

    /// What another node is told: the intervals that are over, at most so many from `from` on.
    pub(crate) fn report(&self, from: u64, intervals_max: usize) -> nodes::Progress {
        let pace = self.pace();
        let now = pace.elapsed();
        nodes::Progress {
            first: from,
            ops: pace.intervals(from, intervals_max, now),
            elapsed_us: now.as_micros() as u64,
        }
    }

    /// Whether all tasks have ended.
    pub(crate) fn ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Tells all tasks to end after the operation they are in.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Whole at every moment, whoever panicked with it.
    fn pace(&self) -> MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends the tasks, whatever they wait for; the thread ends when they have.
///
/// A task may be between two I/Os and run into the next deadlock, so this happens again and again; and loads and
/// stores are not to be interrupted but need locks too, so there is time in between.
pub(crate) fn break_up(node: &Node, progress: &Arc<Progress>) -> JoinHandle<()> {
    progress.stop();
    let (node, progress) = (node.clone(), Arc::clone(progress));
    thread::spawn(move || {
        while !progress.ended() {
            node.interrupt(true);
            thread::sleep(INTERRUPT_FOR);
            node.interrupt(false);
            thread::sleep(INTERRUPT_PAUSE);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    #[test]
    fn an_interval_is_told_when_it_is_over_and_the_last_one_at_the_end() {
        let mut pace = Pace::default();
        for at in [10, 20, 150, 420] {
            pace.count(ms(at));
        }
        assert_eq!(pace.intervals(0, 100, ms(420)), [2, 1, 0, 0]);
        assert_eq!(pace.intervals(1, 2, ms(420)), [1, 0]);
        assert!(pace.intervals(4, 100, ms(420)).is_empty());
        assert!(pace.intervals(9, 100, ms(420)).is_empty());
        pace.ran = Some(ms(430));
        assert_eq!(pace.intervals(3, 100, ms(430)), [0, 1]);
        assert!(pace.intervals(5, 100, ms(430)).is_empty());
    }

    #[test]
    fn the_longest_pause_is_known_with_its_beginning() {
        let mut pace = Pace::default();
        for at in [10, 20, 150, 160] {
            pace.count(ms(at));
        }
        let found = |length, at| Stall {
            length: ms(length),
            at: ms(at),
        };
        assert_eq!(pace.stall, found(130, 20));
        pace.pause_ends(ms(400));
        assert_eq!(
            pace.stall,
            found(240, 160),
            "nothing happened up to the end"
        );
    }
}

//! What the lock table costs: time by operation, and bytes by held lock.
//!
//! `cargo bench -p dlm-core` runs all of it; the bytes are printed first.

#![allow(
    missing_docs,
    reason = "criterion's macro makes a public function without any"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};

use criterion::{Criterion, criterion_group, criterion_main};
use dlm_core::{Input, Limits, LockId, LockTable, LockspaceId, Mode, OpId, Output, Owner};
use dlm_core::{RequestFlags, ResourceName, SessionId, Tick};
use std::time::{Duration, Instant};

/// Counts the bytes that are allocated now.
struct Counting;

/// Where the benchmark ends rather than take the machine's memory: four times what all of it needs.
const ALLOCATED_MAX: usize = 2 << 30;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it came; counting touches no memory of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let before = ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
        if before + layout.size() > ALLOCATED_MAX {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller keeps the rules of `alloc`, which are the system's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        ALLOCATED.fetch_sub(layout.size(), Ordering::Relaxed);
        // SAFETY: `place` came from `alloc` above with this layout, and so from the system.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

const LOCKSPACE: LockspaceId = LockspaceId(1);
const MILLION: u64 = 1_000_000;

struct Bench {
    table: LockTable,
    out: Vec<Output>,
    ops: u64,
    /// The longest request, conversion, unlock, cancel or end of a session outside criterion's loops.
    longest: Duration,
    timed: bool,
}

impl Bench {
    /// A table in which these many sessions have opened the lockspace.
    fn new(sessions: u64) -> Self {
        let mut bench = Self {
            table: LockTable::new(Limits::DEFAULT, 0x5eed),
            out: Vec::new(),
            ops: 0,
            longest: Duration::ZERO,
            timed: false,
        };
        for session in (1..=sessions).map(SessionId) {
            bench.step(Input::SessionStarted { session });
            let lockspace = LOCKSPACE;
            bench.step(Input::OpenLockspace { session, lockspace });
        }
        bench
    }

    /// How many outputs there were.
    fn step(&mut self, input: Input) -> usize {
        self.ops += 1;
        self.out.clear();
        let start = self.timed.then(Instant::now);
        self.table.step(Tick(self.ops), input, &mut self.out);
        if let Some(start) = start {
            self.longest = self.longest.max(start.elapsed());
        }
        black_box(self.out.len())
    }

    fn cancel(&mut self, session: u64, lock: u64) -> usize {
        let cancel = Input::Cancel {
            session: SessionId(session),
            op: OpId(self.ops),
            lock: LockId(lock),
        };
        self.step(cancel)
    }

    fn request(&mut self, session: u64, lock: u64, on: u64, mode: Mode) -> usize {
        self.request_with(session, lock, on, (mode, RequestFlags::empty()))
    }

    fn request_with(
        &mut self,
        session: u64,
        lock: u64,
        on: u64,
        (mode, flags): (Mode, RequestFlags),
    ) -> usize {
        let request = Input::Request {
            session: SessionId(session),
            op: OpId(self.ops),
            lockspace: LOCKSPACE,
            lock: LockId(lock),
            name: name(on),
            mode,
            flags,
            owner: Owner(0),
        };
        self.step(request)
    }

    fn convert(&mut self, session: u64, lock: u64, mode: Mode) -> usize {
        self.convert_with(session, lock, mode, RequestFlags::empty())
    }

    fn convert_with(&mut self, session: u64, lock: u64, mode: Mode, flags: RequestFlags) -> usize {
        let convert = Input::Convert {
            session: SessionId(session),
            op: OpId(self.ops),
            lock: LockId(lock),
            mode,
            flags,
            owner: Owner(0),
            value: None,
        };
        self.step(convert)
    }

    fn unlock(&mut self, session: u64, lock: u64) -> usize {
        let unlock = Input::Unlock {
            session: SessionId(session),
            op: OpId(self.ops),
            lock: LockId(lock),
            flags: RequestFlags::empty(),
            value: None,
        };
        self.step(unlock)
    }
}

/// A name as long as a glock's: 24 bytes.
fn name(number: u64) -> ResourceName {
    let mut bytes = *b"       2                ";
    for (place, byte) in bytes[8..].iter_mut().rev().enumerate() {
        *byte = b"0123456789abcdef"[(number >> (4 * place)) as usize & 15];
    }
    ResourceName::new(&bytes).expect("24 bytes are a name")
}

fn uncontended(criterion: &mut Criterion) {
    let mut bench = Bench::new(1);
    criterion.bench_function("lock and unlock, uncontended", |bencher| {
        bencher.iter(|| bench.request(1, 1, 1, Mode::Ex) + bench.unlock(1, 1));
    });
    bench.request(1, 1, 1, Mode::Pr);
    criterion.bench_function("convert PR to EX and back", |bencher| {
        bencher.iter(|| bench.convert(1, 1, Mode::Ex) + bench.convert(1, 1, Mode::Pr));
    });
}

/// Each of eight sessions in turn asks for EX and waits, and the one that holds it gives it up.
fn contended(criterion: &mut Criterion) {
    let mut bench = Bench::new(8);
    let mut holder = 0;
    bench.request(1, 1, 1, Mode::Ex);
    for session in 2..=8 {
        bench.request(session, 1, 1, Mode::Ex);
    }
    criterion.bench_function("EX goes round eight sessions that all wait", |bencher| {
        bencher.iter(|| {
            let session = holder + 1;
            holder = (holder + 1) % 8;
            bench.unlock(session, 1) + bench.request(session, 1, 1, Mode::Ex)
        });
    });
}

fn waiters(criterion: &mut Criterion) {
    let plain = RequestFlags::empty();
    for (count, flags) in [
        (1_000, plain),
        (10_000, plain),
        (1_000, RequestFlags::NOORDER),
        (10_000, RequestFlags::NOORDER),
    ] {
        let mut bench = Bench::new(1);
        for lock in 0..=count {
            bench.request_with(1, lock, 1, (Mode::Ex, flags));
        }
        let mut next = 0;
        let name = format!(
            "EX goes round {count} locks that wait, flags {:#x}",
            flags.bits()
        );
        criterion.bench_function(&name, |bencher| {
            bencher.iter(|| {
                let lock = next;
                next = (next + 1) % (count + 1);
                bench.unlock(1, lock) + bench.request_with(1, lock, 1, (Mode::Ex, flags))
            });
        });
    }
}

/// What others could make a server do: each once, at two sizes. What grows tenfold in all is linear.
fn worst_cases(_: &mut Criterion) {
    for count in [1_000, 10_000] {
        once("HEADQUE waiters served", count, |bench| {
            let headque = (Mode::Ex, RequestFlags::HEADQUE);
            (0..count).for_each(|lock| _ = bench.request_with(1, lock, 1, headque));
            bench.unlock(1, 0);
            (1..count).rev().for_each(|lock| _ = bench.unlock(1, lock));
        });
        once("ALTPR NOORDER waiters behind PW served", count, |bench| {
            let flags = RequestFlags::ALTPR | RequestFlags::NOORDER;
            bench.request(1, count, 1, Mode::Pw);
            (0..count).for_each(|lock| _ = bench.request_with(1, lock, 1, (Mode::Ex, flags)));
            bench.unlock(1, count);
        });
        once("NOORDER conversions to EX served", count, |bench| {
            (0..count).for_each(|lock| _ = bench.request(1, lock, 1, Mode::Nl));
            let noorder = RequestFlags::NOORDER;
            (0..count).for_each(|lock| _ = bench.convert_with(1, lock, Mode::Ex, noorder));
            (0..count).for_each(|lock| _ = bench.unlock(1, lock));
        });
        once("CR holders in the way of EX unlocked", count, |bench| {
            (0..count).for_each(|lock| _ = bench.request(1, lock, 1, Mode::Cr));
            // All are told, and the request is told that it waits.
            assert_eq!(bench.request(1, count, 1, Mode::Ex), count as usize + 1);
            (0..count).for_each(|lock| _ = bench.unlock(1, lock));
        });
        once("waiters cancelled from the middle", count, |bench| {
            (0..=count).for_each(|lock| _ = bench.request(1, lock, 1, Mode::Ex));
            let middle = count / 2;
            (middle..=count).for_each(|lock| _ = bench.cancel(1, lock));
            (1..middle).rev().for_each(|lock| _ = bench.cancel(1, lock));
        });
    }
    for count in [100_000, MILLION] {
        once("session ended with its locks", count, |bench| {
            (0..count).for_each(|lock| _ = bench.request(1, lock, lock, Mode::Pr));
            let session = SessionId(1);
            bench.step(Input::SessionEnded { session });
        });
    }
}

/// Runs `case` on a new table and says what it took for each of `count` locks, and the longest step.
fn once(what: &str, count: u64, case: impl FnOnce(&mut Bench)) {
    let mut bench = Bench::new(1);
    bench.timed = true;
    let start = Instant::now();
    case(&mut bench);
    let each = start.elapsed().as_nanos() as u64 / count;
    println!(
        "{what}, {count}: {each} ns for each, the longest step {:?}",
        bench.longest
    );
}

/// Bytes by held lock as a table grows, and the longest step of its growth.
fn bytes(_: &mut Criterion) {
    let before = ALLOCATED.load(Ordering::Relaxed);
    let mut bench = Bench::new(2);
    bench.timed = true;
    let mut held = 0;
    for count in [100_000, 250_000, 600_000, MILLION, 1_100_000] {
        for number in held..count {
            bench.request(1 + number / MILLION, number, number, Mode::Pr);
        }
        held = count;
        let bytes = (ALLOCATED.load(Ordering::Relaxed) - before) as u64 / count;
        println!(
            "{count} held locks: {bytes} bytes each, the longest step {:?}",
            bench.longest
        );
    }
}

/// A million locks are held on as many resources, and one more comes and goes.
fn a_million(criterion: &mut Criterion) {
    let mut bench = Bench::new(1);
    for number in 0..MILLION {
        bench.request(1, number, number, Mode::Pr);
    }
    let mut number = 0;
    criterion.bench_function("unlock and lock among a million, at random", |bencher| {
        bencher.iter(|| {
            // A step that has no factor in common with a million visits all, far from each other.
            number = (number + 618_033) % MILLION;
            bench.unlock(1, number) + bench.request(1, number, number, Mode::Pr)
        });
    });
}

criterion_group!(
    benches,
    bytes,
    worst_cases,
    a_million,
    uncontended,
    contended,
    waiters
);
criterion_main!(benches);

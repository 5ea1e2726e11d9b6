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

/// Counts the bytes that are allocated now.
struct Counting;

static ALLOCATED: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call goes to the system's allocator as it came; counting touches no memory of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATED.fetch_add(layout.size(), Ordering::Relaxed);
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
}

impl Bench {
    /// A table in which these many sessions have opened the lockspace.
    fn new(sessions: u64) -> Self {
        let mut bench = Self {
            table: LockTable::new(Limits::DEFAULT, 0x5eed),
            out: Vec::new(),
            ops: 0,
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
        self.table.step(Tick(self.ops), input, &mut self.out);
        black_box(self.out.len())
    }

    fn request(&mut self, session: u64, lock: u64, on: u64, mode: Mode) -> usize {
        let request = Input::Request {
            session: SessionId(session),
            op: OpId(self.ops),
            lockspace: LOCKSPACE,
            lock: LockId(lock),
            name: name(on),
            mode,
            flags: RequestFlags::empty(),
            owner: Owner(0),
        };
        self.step(request)
    }

    fn convert(&mut self, session: u64, lock: u64, mode: Mode) -> usize {
        let convert = Input::Convert {
            session: SessionId(session),
            op: OpId(self.ops),
            lock: LockId(lock),
            mode,
            flags: RequestFlags::empty(),
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
    let mut bench = Bench::new(1);
    for lock in 0..=1000 {
        bench.request(1, lock, 1, Mode::Ex);
    }
    let mut next = 0;
    criterion.bench_function("EX goes round 1,000 locks that wait", |bencher| {
        bencher.iter(|| {
            let lock = next;
            next = (next + 1) % 1001;
            bench.unlock(1, lock) + bench.request(1, lock, 1, Mode::Ex)
        });
    });
}

/// A million locks are held on as many resources, and one more comes and goes.
fn a_million(criterion: &mut Criterion) {
    let before = ALLOCATED.load(Ordering::Relaxed);
    let mut bench = Bench::new(1);
    for number in 0..MILLION {
        bench.request(1, number, number, Mode::Pr);
    }
    let bytes = ALLOCATED.load(Ordering::Relaxed) - before;
    println!(
        "bytes per held lock with its resource: {}",
        bytes as u64 / MILLION
    );
    let mut number = 0;
    criterion.bench_function("unlock and lock among a million, at random", |bencher| {
        bencher.iter(|| {
            // A step that has no factor in common with a million visits all, far from each other.
            number = (number + 618_033) % MILLION;
            bench.unlock(1, number) + bench.request(1, number, number, Mode::Pr)
        });
    });
}

criterion_group!(benches, a_million, uncontended, contended, waiters);
criterion_main!(benches);

//! The page-fault handler: what the kernel's would do, in a thread that reads userfaultfd's messages.
//!
//! A fault waits for a glock, so each is served by a thread of its own from a pool; one that waits does
//! not hold up another. Nobody who faults holds a glock (an I/O on user memory never lets the kernel
//! fault), so the faults do not wait for each other.

use std::collections::{HashMap, VecDeque};
use std::io::{self, PipeReader, PipeWriter};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::JoinHandle;

use dlm_client::glocks::{Glocks, HolderRequest};
use dlm_client::{GlockName, HolderFlags, Owner, Role};
use fs_core::fault::Access;
use fs_core::limits::PAGE_BYTES;

use super::{Cache, Fault, Share, page_of};

/// Threads that serve faults at most. A fault that finds none waits in the queue; every fault ends
/// without another one's help, so the queue moves.
const WORKERS_MAX: usize = 256;

/// Who serves the faults of a node's mappings.
pub(crate) struct FaultServer {
    shared: Arc<Shared>,
    /// The thread that reads, and what ends it when it is closed.
    reader: Mutex<Option<(JoinHandle<()>, PipeWriter)>>,
}

struct Shared {
    cache: Arc<Cache>,
    glocks: Glocks,
    queue: Mutex<Queue>,
    work: Condvar,
    threads: Mutex<HashMap<i32, Owner>>,
}

#[derive(Debug, Default)]
struct Queue {
    faults: VecDeque<Fault>,
    workers: usize,
    idle: usize,
    stopped: bool,
}

impl FaultServer {
    /// Starts to serve.
    pub(crate) fn start(cache: Arc<Cache>, glocks: Glocks) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            cache,
            glocks,
            queue: Mutex::default(),
            work: Condvar::new(),
            threads: Mutex::default(),
        });
        let (stopped, stop) = io::pipe()?;
        let reader = shared.clone();
        let thread = std::thread::Builder::new()
            .name("page-faults".into())
            .spawn(move || reader.run(&stopped))?;
        Ok(Self {
            shared,
            reader: Mutex::new(Some((thread, stop))),
        })
    }

    /// From now on a fault of the thread `thread` is the task `owner`'s.
    pub(crate) fn register(&self, thread: i32, owner: Owner) {
        self.shared
            .threads
            .lock()
            .expect("the thread table")
            .insert(thread, owner);
    }

    /// Serves no more. Faults that come later sleep until their mapping goes.
    pub(crate) fn stop(&self) {
        if let Some((thread, stop)) = self.reader.lock().expect("the fault thread").take() {
            drop(stop);
            let _ = thread.join();
        }
        let mut queue = self.shared.queue.lock().expect("the fault queue");
        queue.stopped = true;
        self.shared.work.notify_all();
        while queue.workers > 0 {
            queue = self.shared.work.wait(queue).expect("the fault queue");
        }
    }
}

/// A fault thread that is gone leaves every mapping asleep or, worse, reading zeros: the process ends.
struct AbortOnPanic;

impl Drop for AbortOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            std::process::abort();
        }
    }
}

impl Shared {
    fn run(self: &Arc<Self>, stop: &PipeReader) {
        let _guard = AbortOnPanic;
        let mut faults = Vec::new();
        while self.cache.uffd.wait(stop).expect("polling userfaultfd") {
            faults.clear();
            self.cache
                .uffd
                .read(&mut faults)
                .expect("reading userfaultfd");
            let count = faults.len() as u64;
            self.cache
                .counters
                .faults
                .fetch_add(count, Ordering::Relaxed);
            for &fault in &faults {
                self.dispatch(fault);
            }
        }
    }

    fn dispatch(self: &Arc<Self>, fault: Fault) {
        let mut queue = self.queue.lock().expect("the fault queue");
        queue.faults.push_back(fault);
        if queue.idle >= queue.faults.len() || queue.workers >= WORKERS_MAX {
            self.work.notify_one();
            return;
        }
        queue.workers += 1;
        drop(queue);
        let worker = self.clone();
        std::thread::Builder::new()
            .name("page-fault".into())
            .spawn(move || worker.work())
            .expect("a thread to serve a page fault");
    }

    fn work(&self) {
        let _guard = AbortOnPanic;
        let mut queue = self.queue.lock().expect("the fault queue");
        loop {
            if let Some(fault) = queue.faults.pop_front() {
                drop(queue);
                self.serve(fault);
                queue = self.queue.lock().expect("the fault queue");
            } else if queue.stopped {
                queue.workers -= 1;
                self.work.notify_all();
                return;
            } else {
                queue.idle += 1;
                queue = self.work.wait(queue).expect("the fault queue");
                queue.idle -= 1;
            }
        }
    }

    /// One fault of a plain load or store: no record, so the glock is simply waited for.
    fn serve(&self, fault: Fault) {
        let Some(vma) = self.cache.vma_at(fault.addr) else {
            // Unmapped in the meantime.
            let _ = self.cache.uffd.wake(fault.addr, PAGE_BYTES);
            return;
        };
        // A private mapping's store copies the page: it reads it.
        let writes = fault.write && vma.share() == Share::Shared;
        let access = if writes { Access::Write } else { Access::Read };
        let page = page_of(vma.offset_at(fault.addr));
        let _span = tracing::debug_span!("fault", inode = vma.inode(), page, writes).entered();
        let result = self.map(&vma, fault, access);
        if let Err(error) = result {
            tracing::error!(
                inode = vma.inode(),
                addr = fault.addr,
                error,
                "a page cannot be had"
            );
            if !self.cache.uffd.poison(fault.addr, PAGE_BYTES) {
                // The thread gets SIGSEGV instead of SIGBUS; never a page of zeros.
                vma.make_inaccessible();
            }
        }
        // Only now does the thread go on: what it asks for next does not meet this fault's own hold.
        let _ = self.cache.uffd.wake(fault.addr, PAGE_BYTES);
        self.cache.reclaim(vma.inode());
    }

    fn map(&self, vma: &super::Vma, fault: Fault, access: Access) -> Result<(), String> {
        let inode = self
            .cache
            .inode(vma.inode())
            .map_err(|error| error.to_string())?
            .ok_or_else(|| "the inode is gone".to_owned())?;
        let request = HolderRequest {
            name: GlockName::inode(vma.inode()),
            state: access.state(),
            flags: HolderFlags::FAULT,
            owner: self.owner(fault.thread),
            role: Role::Fault,
        };
        let holder = self
            .glocks
            .lock(request)
            .map_err(|error| error.to_string())?;
        let index = page_of(vma.offset_at(fault.addr));
        let result = inode.map_page(index, access, vma, fault.addr, fault.protected);
        drop(holder);
        result.map_err(|error| error.to_string())
    }

    fn owner(&self, thread: i32) -> Owner {
        let mut threads = self.threads.lock().expect("the thread table");
        *threads
            .entry(thread)
            .or_insert_with(|| self.glocks.task(&format!("thread {thread}")))
    }
}

//! All tasks of one node: started together, stopped together, counted together.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use fs_node::{Mapping, Node, NodeError, Protection, Share};

use super::Plan;
use super::layout::Layout;
use super::ledger::Ledger;
use super::stamp::Writer;
use super::tally::{ErrorLog, Tally};
use super::transfer::inode;
use super::worker::Worker;

/// The node's shared mappings, one of each file as a whole.
#[derive(Debug)]
pub(crate) struct Files {
    mappings: Vec<Mapping>,
}

impl Files {
    /// Maps every file of the layout.
    ///
    /// # Errors
    /// The node's, from the first mapping that cannot be made.
    pub(crate) fn map(node: &Node, layout: &Layout) -> Result<Self, NodeError> {
        let bytes = layout.inode_bytes() as usize;
        let map = |file| node.map(inode(file), 0, bytes, Share::Shared, Protection::ReadWrite);
        Ok(Self {
            mappings: (0..layout.files).map(map).collect::<Result<_, _>>()?,
        })
    }

    /// The mapping of a file.
    pub(super) fn mapping(&self, file: usize) -> &Mapping {
        &self.mappings[file]
    }
}

/// What the tasks of a crew share while they run.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    operations: AtomicU64,
    stopping: AtomicBool,
    ended: AtomicBool,
}

impl Progress {
    pub(super) fn count_operation(&self) {
        self.operations.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Operations so far.
    pub(crate) fn operations(&self) -> u64 {
        self.operations.load(Ordering::Relaxed)
    }

    /// Whether all tasks have ended.
    pub(crate) fn ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Tells all tasks to end after the operation they are in.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }
}

/// What a crew leaves behind.
#[derive(Debug)]
pub(crate) struct CrewResult {
    /// The sum over its tasks.
    pub(crate) tally: Tally,
    /// What each task wrote.
    pub(crate) ledgers: Vec<Ledger>,
}

/// Why a crew has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CrewError {
    /// A file cannot be mapped.
    #[error("cannot map the volume's files: {0}")]
    Map(#[from] NodeError),
    /// A thread cannot be started.
    #[error("cannot start a task's thread: {0}")]
    Thread(#[from] std::io::Error),
    /// The regions cannot be written.
    #[error("{writer} cannot prepare its regions: {reason}")]
    Prepare {
        /// The task.
        writer: Writer,
        /// What its tally says.
        reason: String,
    },
    /// A task ended without a result: a fault in this program.
    #[error("a task of the workload died; its message is above")]
    Died,
}

enum Report {
    Prepared(Result<ErrorLog, (Writer, ErrorLog)>),
    Finished(Box<(Tally, Ledger)>),
}

/// The running tasks of one node.
pub(crate) struct Crew {
    tasks: usize,
    node: Node,
    progress: Arc<Progress>,
    gate: Arc<Barrier>,
    reports: Receiver<Report>,
}

impl Crew {
    /// Starts a thread for each task; they check what `ledgers` say an earlier crew left, write their
    /// regions anew, and wait. Also returns what those checks found.
    ///
    /// # Errors
    /// [`CrewError`].
    pub(crate) fn prepare(
        node: &Node,
        plan: Plan,
        ledgers: Vec<Ledger>,
    ) -> Result<(Self, ErrorLog), CrewError> {
        let files = Arc::new(Files::map(node, &plan.layout)?);
        let (sender, reports) = channel();
        let tasks = plan.layout.tasks;
        let gate = Arc::new(Barrier::new(tasks + 1));
        let progress = Arc::new(Progress::default());
        let crew = Self {
            tasks,
            node: node.clone(),
            progress,
            gate,
            reports,
        };
        let mut known: BTreeMap<Writer, Ledger> = ledgers
            .into_iter()
            .map(|ledger| (ledger.writer(), ledger))
            .collect();
        for task in 0..tasks {
            let me = Writer {
                node: plan.node,
                task: task as u8,
            };
            crew.start_task(plan, me, &files, known.remove(&me), sender.clone())?;
        }
        drop(sender);
        let mut found = ErrorLog::default();
        for _ in 0..tasks {
            match crew.reports.recv() {
                Ok(Report::Prepared(Ok(errors))) => found.merge(&errors),
                Ok(Report::Prepared(Err((writer, errors)))) => {
                    let reason = errors.first.into_iter().next();
                    let reason = reason.unwrap_or_else(|| "it was interrupted".into());
                    return Err(CrewError::Prepare { writer, reason });
                }
                Ok(Report::Finished(_)) | Err(_) => return Err(CrewError::Died),
            }
        }
        Ok((crew, found))
    }

    /// What can be asked and told while it runs.
    pub(crate) fn progress(&self) -> Arc<Progress> {
        Arc::clone(&self.progress)
    }

    /// Lets the tasks run until they are stopped or interrupted, and calls `tick` every `every`.
    ///
    /// # Errors
    /// [`CrewError::Died`].
    pub(crate) fn run(
        self,
        every: Duration,
        mut tick: impl FnMut(u64),
    ) -> Result<CrewResult, CrewError> {
        let messages_before = self.node.counters().lock_messages;
        let start = Instant::now();
        self.gate.wait();
        let mut result = CrewResult {
            tally: Tally::default(),
            ledgers: Vec::new(),
        };
        while result.ledgers.len() < self.tasks {
            match self.reports.recv_timeout(every) {
                Ok(Report::Finished(finished)) => {
                    let (tally, ledger) = *finished;
                    result.tally.merge(&tally);
                    result.ledgers.push(ledger);
                }
                Err(RecvTimeoutError::Timeout) => tick(self.progress.operations()),
                Ok(Report::Prepared(_)) | Err(RecvTimeoutError::Disconnected) => {
                    return Err(CrewError::Died);
                }
            }
        }
        self.progress.ended.store(true, Ordering::Release);
        result.tally.elapsed_us = start.elapsed().as_micros() as u64;
        result.tally.lock_messages = self.node.counters().lock_messages - messages_before;
        result.ledgers.sort_by_key(Ledger::writer);
        Ok(result)
    }

    fn start_task(
        &self,
        plan: Plan,
        me: Writer,
        files: &Arc<Files>,
        ledger: Option<Ledger>,
        sender: Sender<Report>,
    ) -> Result<(), CrewError> {
        let (node, files) = (self.node.clone(), Arc::clone(files));
        let (progress, gate) = (Arc::clone(&self.progress), Arc::clone(&self.gate));
        let body = move || {
            let known = ledger.is_some();
            let mut worker = Worker::new(plan, me, node, files, progress, ledger);
            let prepared = match worker.prepare(known) {
                Ok(()) => Ok(std::mem::take(&mut worker.tally.data_errors)),
                Err(ended) => {
                    worker.note(ended);
                    Err((me, std::mem::take(&mut worker.tally.io_errors)))
                }
            };
            let ready = prepared.is_ok();
            // Nobody listens only where the whole crew was given up.
            if sender.send(Report::Prepared(prepared)).is_err() || !ready {
                return;
            }
            gate.wait();
            worker.run();
            let (tally, ledger) = worker.finish();
            let _ = sender.send(Report::Finished(Box::new((tally, ledger))));
        };
        thread::Builder::new().name(me.to_string()).spawn(body)?;
        Ok(())
    }
}

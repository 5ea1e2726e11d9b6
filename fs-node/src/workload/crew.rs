//! All tasks of one node: started together, stopped together, counted together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use dlm_client::nodes::{Errors, Tally, Witnessed};
use fs_node::{Mapping, Node, NodeError, Protection, Share};

use super::Plan;
use super::gate::Gate;
use super::layout::Layout;
use super::ledger::Ledger;
use super::progress::Progress;
use super::stamp::Writer;
use super::transfer::inode;
use super::turns::Turns;
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

/// What a crew leaves behind.
#[derive(Debug)]
pub(crate) struct CrewResult {
    /// The sum over its tasks.
    pub(crate) tally: Tally,
    /// What each task wrote.
    pub(crate) ledgers: Vec<Ledger>,
    /// What came of the turns that were taken with other nodes.
    pub(crate) turns: Witnessed,
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
    /// What others wrote cannot be read.
    #[error("file {file} cannot be read to verify it: {why}")]
    Verify {
        /// Which.
        file: usize,
        /// Why.
        why: String,
    },
    /// A task ended without a result: a fault in this program.
    #[error("a task of the workload died; its message is above")]
    Died,
}

enum Report {
    Prepared(Result<Errors, (Writer, Errors)>),
    Finished(Box<(Tally, Ledger)>),
}

/// The tasks of one node. Those that were never started end when it is dropped.
pub(crate) struct Crew {
    plan: Plan,
    node: Node,
    progress: Arc<Progress>,
    gate: Arc<Gate>,
    reports: Receiver<Report>,
    turns: Option<Turns>,
}

impl Drop for Crew {
    fn drop(&mut self) {
        self.gate.give_up();
    }
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
    ) -> Result<(Self, Errors), CrewError> {
        let files = Arc::new(Files::map(node, &plan.layout)?);
        let (sender, reports) = channel();
        let tasks = plan.layout.tasks;
        let turns = plan.turns.map(|run| Turns::new(node, &plan, run));
        let crew = Self {
            plan,
            node: node.clone(),
            progress: Arc::default(),
            gate: Arc::new(Gate::new()),
            reports,
            turns: turns.transpose()?,
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
        let mut found = Errors::default();
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

    /// Lets the tasks run for `length` where it is given, or until they are stopped or interrupted, and calls `tick`
    /// every `every`.
    ///
    /// # Errors
    /// [`CrewError::Died`], [`CrewError::Thread`].
    pub(crate) fn run(
        mut self,
        length: Option<Duration>,
        every: Duration,
        mut tick: impl FnMut(u64),
    ) -> Result<CrewResult, CrewError> {
        let messages_before = self.node.counters().lock_messages;
        let turns = self.turns.take();
        let turns = turns.map(|turns| turns.start(Arc::clone(&self.progress)));
        let turns = turns.transpose()?;
        let start = Instant::now();
        self.progress.start();
        self.gate.open();
        let mut result = CrewResult {
            tally: Tally::default(),
            ledgers: Vec::new(),
            turns: Witnessed::default(),
        };
        while result.ledgers.len() < self.plan.layout.tasks {
            let left = length.map(|length| length.saturating_sub(start.elapsed()));
            let wait = match left {
                Some(Duration::ZERO) => {
                    self.progress.stop();
                    every
                }
                Some(left) => left.min(every),
                None => every,
            };
            match self.reports.recv_timeout(wait) {
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
        self.progress.end();
        result.tally.elapsed_us = start.elapsed().as_micros() as u64;
        result.tally.lock_messages = self.node.counters().lock_messages - messages_before;
        result.ledgers.sort_by_key(Ledger::writer);
        if let Some(turns) = turns {
            result.turns = turns.join().map_err(|_| CrewError::Died)?;
        }
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
            if !gate.pass() {
                return;
            }
            worker.run();
            let (tally, ledger) = worker.finish();
            let _ = sender.send(Report::Finished(Box::new((tally, ledger))));
        };
        thread::Builder::new().name(me.to_string()).spawn(body)?;
        Ok(())
    }
}

//! The one workload that a node has at a time: prepared, running, or over.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use dlm_client::nodes::{self, Errors, OrderError, Phase, Workload, WorkloadResult};
use fs_node::{Node, Policy};

use crate::workload::Plan;
use crate::workload::crew::{Crew, CrewError, CrewResult};
use crate::workload::layout::Layout;
use crate::workload::ledger::Ledger;
use crate::workload::progress::{Progress, break_up};
use crate::workload::verify::verify;

/// How often the thread that waits for the tasks looks at the clock.
const TICK: Duration = Duration::from_millis(50);

/// The workload, and what can be done with it.
#[derive(Clone)]
pub(super) struct Runs {
    node: Node,
    state: Arc<Mutex<State>>,
}

enum State {
    Idle,
    Preparing {
        run: u64,
    },
    Prepared {
        workload: Workload,
        crew: Box<Crew>,
    },
    Running {
        workload: Workload,
        progress: Arc<Progress>,
        interrupted: bool,
    },
    Ended {
        workload: Workload,
        progress: Arc<Progress>,
        result: Result<Box<WorkloadResult>, String>,
    },
}

impl State {
    fn run(&self) -> u64 {
        match self {
            Self::Idle => 0,
            Self::Preparing { run } => *run,
            Self::Prepared { workload, .. }
            | Self::Running { workload, .. }
            | Self::Ended { workload, .. } => workload.run,
        }
    }

    const fn phase(&self) -> Phase {
        match self {
            Self::Idle => Phase::Idle,
            Self::Preparing { .. } | Self::Prepared { .. } => Phase::Prepared,
            Self::Running { .. } => Phase::Running,
            Self::Ended { .. } => Phase::Ended,
        }
    }
}

impl Runs {
    pub(super) fn new(node: Node) -> Self {
        let state = Arc::new(Mutex::new(State::Idle));
        Self { node, state }
    }

    /// What it does, and with which run.
    pub(super) fn phase(&self) -> (Phase, u64) {
        let state = self.state();
        (state.phase(), state.run())
    }

    /// Starts the tasks, which write their part of the files and wait.
    pub(super) fn prepare(&self, workload: Workload) -> Result<Errors, OrderError> {
        let (plan, policy) = self.plan(&workload)?;
        let run = workload.run;
        {
            let mut state = self.state();
            if matches!(*state, State::Preparing { .. } | State::Running { .. }) {
                return Err(OrderError::Busy { run: state.run() });
            }
            // Tasks that were prepared before and not started end with this.
            *state = State::Preparing { run };
        }
        self.node.set_policy(policy);
        let prepared = Crew::prepare(&self.node, plan, Vec::new());
        let mut state = self.state();
        match prepared {
            Ok((crew, found)) => {
                let crew = Box::new(crew);
                *state = State::Prepared { workload, crew };
                Ok(found)
            }
            Err(error) => {
                *state = State::Idle;
                Err(OrderError::Failed(error.to_string()))
            }
        }
    }

    /// Lets them go.
    pub(super) fn start(&self, run: u64, length_us: Option<u64>) -> Result<(), OrderError> {
        let mut state = self.state();
        match &*state {
            State::Prepared { workload, .. } if workload.run == run => {}
            // Asked twice, since the first answer was lost.
            State::Running { workload, .. } if workload.run == run => return Ok(()),
            State::Running { .. } => return Err(OrderError::Busy { run: state.run() }),
            _ => return Err(OrderError::NoRun { run }),
        }
        let State::Prepared { workload, crew } = std::mem::replace(&mut *state, State::Idle) else {
            unreachable!("it was looked at under the same lock");
        };
        let progress = crew.progress();
        *state = State::Running {
            workload,
            progress: Arc::clone(&progress),
            interrupted: false,
        };
        drop(state);
        let runs = self.clone();
        let waiting = thread::Builder::new().name("workload".into());
        let spawned = waiting.spawn(move || {
            let length = Duration::from_micros(length_us.unwrap_or(workload.length_us));
            let result = crew.run(Some(length), TICK, |_| {});
            let result = result.map(|result| Box::new(summed(result, &progress)));
            *runs.state() = State::Ended {
                workload,
                progress,
                result: result.map_err(|error| error.to_string()),
            };
        });
        spawned.map(drop).map_err(|error| {
            *self.state() = State::Idle;
            OrderError::Failed(CrewError::Thread(error).to_string())
        })
    }

    /// What they did, interval by interval.
    pub(super) fn progress(
        &self,
        run: u64,
        from: u64,
        intervals_max: usize,
    ) -> Result<nodes::Progress, OrderError> {
        match &*self.state() {
            State::Running {
                workload, progress, ..
            }
            | State::Ended {
                workload, progress, ..
            } if workload.run == run => Ok(progress.report(from, intervals_max)),
            State::Prepared { workload, .. } if workload.run == run => Ok(nodes::Progress {
                first: from,
                ..nodes::Progress::default()
            }),
            _ => Err(OrderError::NoRun { run }),
        }
    }

    /// What came of them, once they have ended.
    pub(super) fn result(&self, run: u64) -> Result<Option<WorkloadResult>, OrderError> {
        match &*self.state() {
            State::Ended {
                workload, result, ..
            } if workload.run == run => match result {
                Ok(result) => Ok(Some(WorkloadResult::clone(result))),
                Err(why) => Err(OrderError::Failed(why.clone())),
            },
            State::Running { workload, .. } | State::Prepared { workload, .. }
                if workload.run == run =>
            {
                Ok(None)
            }
            _ => Err(OrderError::NoRun { run }),
        }
    }

    /// Ends them.
    pub(super) fn stop(&self, run: u64, interrupt: bool) -> Result<(), OrderError> {
        let mut state = self.state();
        if state.run() != run || run == 0 {
            return Err(OrderError::NoRun { run });
        }
        match &mut *state {
            State::Prepared { .. } => *state = State::Idle,
            State::Running {
                progress,
                interrupted,
                ..
            } => {
                progress.stop();
                if interrupt && !*interrupted {
                    *interrupted = true;
                    break_up(&self.node, progress);
                }
            }
            State::Idle | State::Preparing { .. } | State::Ended { .. } => {}
        }
        Ok(())
    }

    /// Ends whatever runs, and waits for it at most so long.
    pub(super) fn end(&self, within: Duration) {
        let run = self.state().run();
        // Nothing to end is as good.
        let _ = self.stop(run, true);
        let until = std::time::Instant::now() + within;
        let busy = || {
            matches!(
                *self.state(),
                State::Running { .. } | State::Preparing { .. }
            )
        };
        while busy() && std::time::Instant::now() < until {
            thread::sleep(TICK);
        }
        let mut state = self.state();
        if !matches!(*state, State::Running { .. }) {
            *state = State::Idle;
        }
    }

    /// Reads what tasks of other nodes say they wrote.
    pub(super) fn verify(
        &self,
        run: u64,
        ledgers: Vec<nodes::Ledger>,
    ) -> Result<Errors, OrderError> {
        let workload = match &*self.state() {
            State::Ended { workload, .. } if workload.run == run => *workload,
            State::Running { workload, .. } | State::Prepared { workload, .. }
                if workload.run == run =>
            {
                return Err(OrderError::Busy { run });
            }
            _ => return Err(OrderError::NoRun { run }),
        };
        let (plan, _) = self.plan(&workload)?;
        let taken = |parts| Ledger::of_parts(&plan.layout, parts);
        let ledgers: Option<Vec<Ledger>> = ledgers.into_iter().map(taken).collect();
        let ledgers = ledgers.ok_or_else(|| {
            OrderError::Unfit("these ledgers are of another workload's files".into())
        })?;
        let found = verify(&self.node, &plan, &ledgers);
        found.map_err(|error| OrderError::Failed(error.to_string()))
    }

    /// What the tasks are to do, where the volume has room for it.
    fn plan(&self, workload: &Workload) -> Result<(Plan, Policy), OrderError> {
        let layout = Layout {
            nodes: workload.nodes,
            tasks: workload.tasks,
            files: workload.files,
            io_pages: workload.io_pages,
            part_ios: workload.part_ios,
        };
        if workload.files < workload.nodes {
            return Err(OrderError::Unfit(format!(
                "{} files are too few for {} nodes: each needs one of its own; give more --files",
                workload.files, workload.nodes
            )));
        }
        let (inodes, bytes) = (self.node.inodes(), self.node.inode_bytes());
        // One more for taking turns.
        let (wanted, needed) = (workload.files as u64 + 1, layout.inode_bytes());
        if inodes < wanted || bytes < needed {
            return Err(OrderError::Unfit(format!(
                "the volume has {inodes} files of {bytes} bytes, and this workload needs {wanted} of {needed}; make \
                 another one with fs-node mkfs, or give a smaller --io-size, --tasks or --files"
            )));
        }
        let policy = policy(workload.policy);
        let plan = Plan {
            group: workload.group,
            layout,
            seed: workload.seed,
            node: workload.index as u8,
            reads_percent: workload.reads_percent,
            bounded: Plan::bounds(policy),
            turns: Some(workload.run),
        };
        Ok((plan, policy))
    }

    /// Whole at every moment.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn summed(result: CrewResult, progress: &Progress) -> WorkloadResult {
    let stall = progress.stall();
    WorkloadResult {
        tally: result.tally,
        ledgers: result.ledgers.into_iter().map(Ledger::into_parts).collect(),
        stall_us: stall.length.as_micros() as u64,
        stall_at_us: stall.at.as_micros() as u64,
        witness: result.turns,
    }
}

/// The same policy by its name in the protocol, which has no names of the machine's.
pub(super) const fn policy(policy: nodes::Policy) -> Policy {
    match policy {
        nodes::Policy::Block => Policy::Block,
        nodes::Policy::Nofault => Policy::Nofault,
        nodes::Policy::TryCycle => Policy::TryCycle,
        nodes::Policy::Ordered => Policy::Ordered,
    }
}

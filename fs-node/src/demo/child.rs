//! The other end of the demo: a node, and the lock server, as child processes.
//!
//! A child lives no longer than the demo: the end of its standard input ends it, and the kernel kills it
//! when its parent dies.

use std::io::{self, BufRead, Read, Write};
use std::net::SocketAddr;
use std::process;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use fs_node::{Node, NodeConfig, NodeError};

use super::protocol::{Event, Order};
use crate::workload::crew::{Crew, CrewError};
use crate::workload::ledger::Ledger;
use crate::workload::progress::{Progress, break_up};

/// How often a node says how far it is.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);
/// Why a node process cannot go on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChildError {
    /// The node.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// Its tasks.
    #[error(transparent)]
    Crew(#[from] CrewError),
    /// Orders or events do not get through.
    #[error("the demo cannot be heard: {0}")]
    Pipe(#[from] io::Error),
    /// An order that is none.
    #[error("this is no order: {0}; orders come from fs-node demo of the same version")]
    Order(#[from] serde_json::Error),
    /// An order out of turn.
    #[error("nothing was prepared that could be started")]
    Unprepared,
}

/// Tasks that run, and those that end them.
struct Running {
    progress: Arc<Progress>,
    tasks: JoinHandle<Vec<Ledger>>,
    breaker: Option<JoinHandle<()>>,
}

/// Runs a node that does what its standard input says.
///
/// # Errors
/// [`ChildError`]; the node is left as if it had crashed.
pub(crate) fn serve_orders(config: NodeConfig) -> Result<(), ChildError> {
    die_with_parent();
    let node = Node::start(config)?;
    emit(&Event::Ready)?;
    let mut staged: Option<Crew> = None;
    let mut running: Option<Running> = None;
    for line in io::stdin().lock().lines() {
        match serde_json::from_str(&line?)? {
            Order::Prepare { policy, plan } => {
                let ledgers = running.take().map_or_else(Vec::new, Running::join);
                node.set_policy(policy);
                let (crew, found) = Crew::prepare(&node, plan, ledgers)?;
                emit(&Event::Prepared { found })?;
                staged = Some(crew);
            }
            Order::Start => {
                let crew = staged.take().ok_or(ChildError::Unprepared)?;
                running = Some(Running::start(crew));
            }
            Order::Finish => {
                if let Some(running) = &running {
                    running.progress.stop();
                }
            }
            Order::Interrupt => {
                if let Some(running) = &mut running {
                    running.interrupt(&node);
                }
            }
        }
    }
    drop(staged);
    if let Some(mut running) = running {
        running.interrupt(&node);
        running.join();
    }
    Ok(node.stop()?)
}

impl Running {
    fn start(crew: Crew) -> Self {
        let progress = crew.progress();
        let tasks = thread::spawn(move || {
            let result = crew.run(None, PROGRESS_EVERY, |ops| {
                // A demo that is gone closes the input too, which ends this.
                let _ = emit(&Event::Progress { ops });
            });
            match result {
                Ok(result) => {
                    let ledgers = result.ledgers.clone();
                    let _ = emit(&Event::Result {
                        tally: result.tally,
                        ledgers: result.ledgers,
                    });
                    ledgers
                }
                Err(error) => {
                    eprintln!("{error}");
                    process::exit(1);
                }
            }
        });
        Self {
            progress,
            tasks,
            breaker: None,
        }
    }

    /// Ends the tasks, whatever they wait for.
    fn interrupt(&mut self, node: &Node) {
        let progress = &self.progress;
        self.breaker.get_or_insert_with(|| break_up(node, progress));
    }

    fn join(self) -> Vec<Ledger> {
        if let Some(breaker) = self.breaker {
            breaker.join().expect("it only sleeps and tells");
        }
        self.tasks
            .join()
            .expect("the thread ends the process where it fails")
    }
}

fn emit(event: &Event) -> io::Result<()> {
    let mut line = serde_json::to_string(event)?;
    line.push('\n');
    let mut out = io::stdout().lock();
    out.write_all(line.as_bytes())?;
    out.flush()
}

/// Runs the lock server until the end of the standard input. Its first line of output is the address.
///
/// # Errors
/// The server's.
pub(crate) fn serve_locks(listen: SocketAddr) -> anyhow::Result<()> {
    die_with_parent();
    thread::spawn(|| {
        // All that counts is the end; an error is one too. Locks in memory need no farewell.
        let _ = io::stdin().lock().read_to_end(&mut Vec::new());
        process::exit(0);
    });
    dlm_server::embedded::run_alone(listen, |address| {
        let mut out = io::stdout().lock();
        let said = writeln!(out, "{address}").and_then(|()| out.flush());
        if said.is_err() {
            process::exit(0);
        }
    })?;
    Ok(())
}

/// Has the kernel kill this process when the one that started it dies. A parent that died before this
/// call has closed the standard input, which ends the child as well.
fn die_with_parent() {
    // SAFETY: this option takes one number and touches no memory.
    let result = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    if result != 0 {
        tracing::warn!("cannot tie this process to its parent's life");
    }
}

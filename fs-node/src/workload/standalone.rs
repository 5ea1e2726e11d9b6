//! A workload on one node that somebody started by hand, beside others on the same volume.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use fs_node::{AlignedBuf, Node, Task, UserBuf};

use super::Plan;
use super::crew::{Crew, CrewError, CrewResult};
use super::layout::{PAGE_BYTES, Span};
use super::stamp::{Stamp, Writer, page_of};
use super::transfer::inode;

/// How long to wait for the other nodes to write their regions: time to type the same command on them.
const PEERS_WAIT: Duration = Duration::from_secs(60);
/// How often to look for them.
const PEERS_LOOK_EVERY: Duration = Duration::from_millis(100);

/// Why a workload by hand has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StandaloneError {
    /// The tasks could not be started or did not end.
    #[error(transparent)]
    Crew(#[from] CrewError),
    /// The others are not there.
    #[error(
        "{writer} has not written its regions within {} s; start this workload on all {nodes} nodes \
         with the same --nodes, --tasks and --io-size", PEERS_WAIT.as_secs()
    )]
    Peer {
        /// The task that is missed.
        writer: Writer,
        /// How many nodes there should be.
        nodes: usize,
    },
}

/// Runs `plan` for `length`, calling `tick` with the operations so far about once a second.
///
/// # Errors
/// [`StandaloneError`].
pub(crate) fn run(
    node: &Node,
    plan: Plan,
    length: Duration,
    tick: impl FnMut(u64),
) -> Result<CrewResult, StandaloneError> {
    let (crew, _) = Crew::prepare(node, plan, Vec::new())?;
    wait_for_peers(node, &plan)?;
    let progress = crew.progress();
    let timer = Arc::clone(&progress);
    thread::spawn(move || {
        thread::sleep(length);
        timer.stop();
    });
    Ok(crew.run(Duration::from_secs(1), tick)?)
}

/// A task writes its regions file by file, so the last page of the last file says that all are there.
fn wait_for_peers(node: &Node, plan: &Plan) -> Result<(), StandaloneError> {
    let task = node.task("peers");
    let mut buf = AlignedBuf::new(PAGE_BYTES);
    let start = Instant::now();
    for writer in plan.layout.writers() {
        while !is_there(&task, plan, writer, &mut buf) {
            if start.elapsed() > PEERS_WAIT {
                return Err(StandaloneError::Peer {
                    writer,
                    nodes: plan.layout.nodes,
                });
            }
            thread::sleep(PEERS_LOOK_EVERY);
        }
    }
    Ok(())
}

fn is_there(task: &Task, plan: &Plan, writer: Writer, buf: &mut AlignedBuf) -> bool {
    let layout = plan.layout;
    let span = Span {
        page: layout.region_pages() - 1,
        pages: 1,
    };
    let offset = layout.offset(writer, span.page) as u64;
    let bufs = [UserBuf::of(buf)];
    if task
        .direct_read(inode(layout.files - 1), offset, &bufs)
        .is_err()
    {
        return false;
    }
    let number = layout.stamp_page(span.page);
    let words = page_of(buf, 0);
    words.iter().enumerate().all(|(index, &word)| {
        Stamp::sequence_at(word, writer, number, index).is_some_and(|sequence| sequence > 0)
    })
}

//! Exclusion seen from outside: nodes take turns under a lock, and each holder writes down its token where all of them
//! look.
//!
//! The page lies on the volume itself, and neither glocks nor the page cache stand between: a holder that finds
//! something else there than it wrote, or a token that is not older than its own, was not alone.

use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use dlm_client::nodes::{Errors, Witnessed};
use fs_node::{Claim, Node, NodeError, RawPage};

use super::Plan;
use super::progress::Progress;
use super::transfer::inode;

/// What the lock is called.
const TURNS: &str = "turns";
/// How long a holder leaves its token before it looks again.
const TURN: Duration = Duration::from_millis(1);
/// How long a node leaves the lock to others.
const PAUSE: Duration = Duration::from_millis(20);
/// How long it waits before it looks whether it is to end.
const WAIT: Duration = Duration::from_millis(200);

/// A node's part in them, before they begin.
pub(super) struct Turns {
    node: Node,
    page: RawPage,
    run: u64,
    index: u8,
}

/// What a holder writes down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    run: u64,
    token: u64,
    node: u64,
}

impl Turns {
    /// Prepares for them: in the run of this number.
    ///
    /// # Errors
    /// The node's: the volume has no inode for it.
    pub(super) fn new(node: &Node, plan: &Plan, run: u64) -> Result<Self, NodeError> {
        Ok(Self {
            node: node.clone(),
            page: node.raw_page(inode(plan.layout.files))?,
            run,
            index: plan.node,
        })
    }

    /// Takes them until `progress` says that it is enough.
    ///
    /// # Errors
    /// No thread is to be had.
    pub(super) fn start(self, progress: Arc<Progress>) -> std::io::Result<JoinHandle<Witnessed>> {
        let thread = thread::Builder::new().name("turns".into());
        thread.spawn(move || self.take(&progress))
    }

    fn take(mut self, progress: &Progress) -> Witnessed {
        let mut witnessed = Witnessed::default();
        let mut last = Instant::now();
        let mut pause_ends = |witnessed: &mut Witnessed| {
            let pause = last.elapsed().as_micros() as u64;
            witnessed.stall_us = witnessed.stall_us.max(pause);
            last = Instant::now();
        };
        while !progress.stopping() {
            match self.node.claim_within(TURNS, WAIT) {
                Ok(Some(claim)) => {
                    // A session that ends, or a volume that fails, in the middle of a turn makes it none.
                    if self.turn(&claim, &mut witnessed.violations).is_some() {
                        pause_ends(&mut witnessed);
                        witnessed.grants += 1;
                    }
                    drop(claim);
                    thread::sleep(PAUSE);
                }
                Ok(None) => {}
                Err(_) => break,
            }
        }
        pause_ends(&mut witnessed);
        witnessed
    }

    /// One turn; `None` where the lock or the volume went away in the middle.
    fn turn(&mut self, claim: &Claim, violations: &mut Errors) -> Option<()> {
        let mine = Mark {
            run: self.run,
            token: claim.token(),
            node: self.index.into(),
        };
        let found = self.read()?;
        if found.run == mine.run && found.token >= mine.token {
            violations.note(|| mine.not_alone(found));
        }
        // A holder looks at its clock before it writes: after that others may be there.
        if claim.is_lost() {
            return None;
        }
        self.write(mine)?;
        thread::sleep(TURN);
        let found = self.read()?;
        if found != mine && !claim.is_lost() {
            violations.note(|| mine.not_alone(found));
        }
        Some(())
    }

    fn read(&mut self) -> Option<Mark> {
        self.page.read().ok()?;
        let word = |at: usize| self.page.word(at);
        Some(Mark {
            run: word(0),
            token: word(1),
            node: word(2),
        })
    }

    fn write(&mut self, mark: Mark) -> Option<()> {
        for (at, word) in [mark.run, mark.token, mark.node].into_iter().enumerate() {
            self.page.set_word(at, word);
        }
        self.page.write().ok()
    }
}

impl Mark {
    fn not_alone(self, found: Self) -> String {
        format!(
            "node{} with token {} found what node{} wrote with token {}",
            self.node, self.token, found.node, found.token
        )
    }
}

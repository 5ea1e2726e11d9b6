//! One node through a run: watched until its result is there, over the end of its session, and back.

use std::sync::Arc;
use std::time::Duration;

use glockwork_runs::{Event, EventKind, Life};
use tokio::time::{sleep, timeout};

use super::coordinator::GRACE;
use super::shared::Shared;
use crate::nodes::{FoundNode, NodeCallError, NodeHandle, Report, find};

/// A node that is watched says something ten times a second.
const SILENCE_MAX: Duration = Duration::from_secs(2);
/// How often a node that is gone is looked for.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// The shortest part that a node takes which comes back late, in microseconds.
const LAST_PART_US: u64 = 500_000;
/// How long the cluster may take to say which nodes there are.
const FIND_MAX: Duration = Duration::from_secs(5);

/// Follows a node that was started, until it has ended, or there is no more hope.
pub(super) async fn follow(shared: Arc<Shared>, index: usize) {
    let follower = Follower { shared, index };
    follower.begins();
    let mut why = follower.watch().await;
    while let Some(reason) = why {
        if !follower.comes_back(&reason).await {
            return;
        }
        why = follower.watch().await;
    }
}

struct Follower {
    shared: Arc<Shared>,
    index: usize,
}

impl Follower {
    /// A life begins now.
    fn begins(&self) {
        let life = Life::new(self.shared.now_us());
        self.with_lives(|lives| lives.push(life));
    }

    fn with_lives<T>(&self, what: impl FnOnce(&mut Vec<Life>) -> T) -> T {
        what(&mut self.shared.state().nodes[self.index].lives)
    }

    fn with_life<T>(&self, what: impl FnOnce(&mut Life) -> T) -> T {
        self.with_lives(|lives| what(lives.last_mut().expect("a life has begun")))
    }

    fn handle(&self) -> (NodeHandle, u64) {
        self.shared.state().handles[self.index].clone()
    }

    /// Watches until the result is there; else, says why not.
    async fn watch(&self) -> Option<String> {
        let (handle, _) = self.handle();
        let from = self.with_life(|life| life.next_interval());
        let mut reports = match handle.watch(self.shared.run, from).await {
            Ok(reports) => reports,
            Err(error) => return Some(error.to_string()),
        };
        loop {
            match timeout(SILENCE_MAX, reports.next()).await {
                Ok(Ok(Some(Report::Progress(progress)))) => {
                    if progress.ops.iter().any(|&ops| ops > 0) {
                        self.shared.state().moved = std::time::Instant::now();
                    }
                    self.with_life(|life| life.progress(&progress));
                }
                Ok(Ok(Some(Report::Ended(result)))) => {
                    let now_us = self.shared.now_us();
                    let mut state = self.shared.state();
                    state.last_result_us = state.last_result_us.max(now_us);
                    state.ledgers.insert(self.index, result.ledgers.clone());
                    drop(state);
                    self.with_life(|life| life.ended(*result));
                    return None;
                }
                Ok(Ok(None)) => return Some("it stopped in the middle".into()),
                Ok(Err(error)) => return Some(error.to_string()),
                Err(_) => return Some("it says nothing any more".into()),
            }
        }
    }

    /// Waits until the node can be watched again: the same process, or one that has taken its place and goes on with
    /// the workload. False: it did not come back in time.
    async fn comes_back(&self, why: &str) -> bool {
        let broke_us = self.shared.now_us();
        let until = self
            .shared
            .at(Duration::from_micros(self.shared.config.length_us()) + GRACE);
        let mut told = false;
        let name = &self.shared.config.nodes[self.index];
        loop {
            let asking = find(&self.shared.servers, &self.shared.lockspace);
            let found = timeout(FIND_MAX, asking).await.ok().and_then(Result::ok);
            let all = found.unwrap_or_default();
            let found = all.into_iter().find(|node| node.name == *name);
            let (handle, session) = self.handle();
            match found {
                Some(node) if node.session == session && handle.status().await.is_ok() => {
                    if told {
                        self.shared
                            .node(self.index, EventKind::Back, "it answers again");
                    }
                    return true;
                }
                Some(node) => {
                    self.is_lost(broke_us, why);
                    if self.begins_anew(&node).await {
                        return true;
                    }
                }
                None => {}
            }
            if !told {
                told = true;
                self.shared.node(self.index, EventKind::Gone, why);
            }
            if tokio::time::Instant::now() >= until {
                self.is_lost(broke_us, why);
                return false;
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// The life is over.
    fn is_lost(&self, at_us: u64, why: &str) {
        let was_open = self.with_life(|life| {
            let open = life.is_open();
            if open {
                life.lost(at_us, why);
            }
            open
        });
        if was_open {
            // When it was last heard of, which is before it is noticed.
            let (name, kind) = (
                &self.shared.config.nodes[self.index],
                EventKind::LostSession,
            );
            let event = Event::of_node(
                at_us,
                kind,
                name,
                "not heard of any more; its session is over",
            );
            self.shared.happened(event);
        }
    }

    /// A new process goes on with what is left. False: not yet.
    async fn begins_anew(&self, node: &FoundNode) -> bool {
        let Ok(handle) = NodeHandle::new(&node.name, &node.address, self.shared.servers.tls())
        else {
            return false;
        };
        let run = self.shared.run;
        // Where next to nothing is left it takes part all the same: then it is seen that it could.
        let left_us = || self.shared.left_us().max(LAST_PART_US);
        let workload = self.shared.config.workload(run, self.index, left_us());
        let started = async {
            let found = handle.prepare(&workload).await?;
            handle.start(run, Some(left_us())).await?;
            Ok::<_, NodeCallError>(found)
        };
        match started.await {
            Ok(found) => {
                let mut state = self.shared.state();
                state.checked.get_or_insert_default().merge(&found);
                state.handles[self.index] = (handle, node.session);
            }
            Err(error) => {
                tracing::debug!(%error, "it does not go on with it yet");
                return false;
            }
        }
        self.begins();
        self.shared
            .node(self.index, EventKind::Back, "a new session goes on with it");
        true
    }
}

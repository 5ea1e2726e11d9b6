//! The rules by which one task waits for another.
//!
//! *On a node that reports*, a task that waits for a glock waits for
//!
//! - every local holder whose mode excludes its own;
//! - local waiters before it whose mode excludes its own (the queue is served in order);
//! - where no local waiter before it excludes it and the node's own lock queues at the server: whatever
//!   that lock waits for there;
//! - where the node's lock does not queue, and somebody holds the glock who is not in the way: that
//!   holder. What keeps the waiter is a demotion that is due; it stands before whoever came later, and
//!   it waits for every holder.
//!
//! A local waiter whose node holds its lock and has no local holder at all is about to be served, or its
//! node is about to ask: it waits for nobody.
//!
//! *At the server*, a lock that queues waits for
//!
//! - every lock that holds a mode which excludes the one it wants (a converting lock holds its old mode);
//! - the lock before it in the order of service (conversions, then new requests, each first come first
//!   served), and others before it whose wanted mode excludes its own.
//!
//! Behind another session's lock stand its tasks. If the session reports, they are all its local holders:
//! a node gives a mode up only when nobody holds the glock any more, in whatever state (an EX lock with a
//! holder in SH keeps readers of other nodes out). If there are none the node gives the lock up by itself, and nobody is waited for, but where
//! the lock converts: nothing can be given up before that ends, so that its first local waiter is waited
//! for. A session that does not report is one task for each owner that its locks name; its locks conflict
//! with each other as any two do.

use alloc::vec::Vec;

use super::ends::{Blocker, ByNode, LocalQueue, Reported, Waiter};
use super::{Edge, HolderReport, LockView, NodeReport, Queue, Reason, ResourceView, Task};
use crate::ids::{SessionId, Tick};
use crate::mode::Mode;
use crate::resource::queue::ModeSet;

/// The most edges that say "stands before it in the queue", for one wait: the nearest ones. With one for
/// every pair, a queue of a thousand would have half a million. No cycle is lost by it: whoever stands
/// before has an edge to those before him, and the one edge that the order of service needs, to the
/// nearest, is always there.
pub const QUEUED_EDGES_PER_WAIT_MAX: usize = 8;

/// All edges, ordered by waiter, resource, holder, reason.
pub(super) fn edges(now: Tick, resources: &[ResourceView], reports: &[NodeReport]) -> Vec<Edge> {
    let reported = Reported::new(reports);
    let mut edges = Vec::new();
    for resource in resources {
        let place = Place {
            now,
            resource,
            reported: &reported,
        };
        place.local_edges(&mut edges);
        place.server_edges(&mut edges);
    }
    let order = |e: &Edge| {
        (
            e.waiter,
            e.lockspace,
            e.holder,
            e.reason,
            e.waiter_serial,
            e.holder_serial,
        )
    };
    edges.sort_by(|a, b| {
        let by_waiter = (a.waiter, a.lockspace, &a.name).cmp(&(b.waiter, b.lockspace, &b.name));
        by_waiter.then_with(|| order(a).cmp(&order(b)))
    });
    edges.dedup_by(|a, b| a.name == b.name && order(a) == order(b));
    edges
}

/// One resource, and what is known about it.
struct Place<'a> {
    now: Tick,
    resource: &'a ResourceView,
    reported: &'a Reported<'a>,
}

impl<'a> Place<'a> {
    fn edge(&self, waiter: Waiter, blocker: Blocker, reason: Reason) -> Edge {
        Edge {
            waiter: waiter.task,
            holder: blocker.task,
            lockspace: self.resource.lockspace,
            name: self.resource.name.clone(),
            wants: waiter.wants,
            holds: blocker.holds,
            reason,
            role: blocker.role,
            pins: blocker.pins,
            waited_us: waiter.waited_us,
            waiter_serial: waiter.serial,
            holder_serial: blocker.serial,
        }
    }

    /// The local queues of this resource's glock, by node.
    fn nodes(&self) -> Option<&'a ByNode<'a>> {
        self.reported
            .queues
            .get(&(self.resource.lockspace, &self.resource.name))
    }

    /// The local queue on the node whose lock this is: `None` where it does not report.
    fn local_queue(&self, session: SessionId) -> Option<&'a LocalQueue<'a>> {
        const NOBODY: &LocalQueue<'_> = &LocalQueue {
            granted: Vec::new(),
            waiting: Vec::new(),
        };
        let reports = self.reported.sessions.contains(&session);
        reports.then(|| {
            self.nodes()
                .and_then(|nodes| nodes.get(&session))
                .unwrap_or(NOBODY)
        })
    }

    /// What tasks wait for on their own node.
    fn local_edges(&self, edges: &mut Vec<Edge>) {
        for (&session, queue) in self.nodes().into_iter().flatten() {
            for (index, waiting) in queue.waiting.iter().enumerate() {
                let excludes = |other: &&&HolderReport| !other.mode.compatible(waiting.mode);
                let waiter = Waiter::local(session, waiting);
                let before = queue.waiting[..index].iter().rev().filter(excludes);
                let holders = queue.granted.iter().filter(excludes);
                let known = edges.len();
                edges.extend(holders.map(|holder| {
                    self.edge(waiter, Blocker::local(session, holder), Reason::Holds)
                }));
                edges.extend(before.take(QUEUED_EDGES_PER_WAIT_MAX).map(|other| {
                    self.edge(waiter, Blocker::local(session, other), Reason::Queued)
                }));
                if edges.len() == known && self.is_settled(session) {
                    edges.extend(queue.granted.iter().map(|holder| {
                        self.edge(waiter, Blocker::local(session, holder), Reason::Queued)
                    }));
                }
            }
        }
    }

    /// Whether the session has a lock here and it waits for nothing.
    fn is_settled(&self, session: SessionId) -> bool {
        let mut own = self
            .resource
            .locks
            .iter()
            .filter(|lock| lock.session == session);
        own.next().is_some_and(|lock| lock.queue == Queue::Granted)
    }

    /// What locks that queue at the server wait for, for the tasks behind them.
    fn server_edges(&self, edges: &mut Vec<Edge>) {
        for (index, lock) in self.resource.locks.iter().enumerate() {
            let Some(wants) = lock.requested else {
                continue;
            };
            let waiters = self.tasks_that_wait(lock, wants);
            if waiters.is_empty() {
                continue;
            }
            let blockers = self.blockers(index, wants);
            for &waiter in &waiters {
                edges.extend(
                    blockers
                        .iter()
                        .map(|&(blocker, reason)| self.edge(waiter, blocker, reason)),
                );
            }
        }
    }

    /// The tasks that a lock's grant would serve.
    fn tasks_that_wait(&self, lock: &LockView, wants: Mode) -> Vec<Waiter> {
        let Some(queue) = self.local_queue(lock.session) else {
            let task = Task {
                session: lock.session,
                owner: lock.owner,
            };
            let waited_us = self.now.since(lock.since);
            return Vec::from([Waiter {
                task,
                serial: lock.serial,
                waited_us,
                wants,
            }]);
        };
        let mut before = ModeSet::default();
        let mut waiters = Vec::new();
        for waiting in &queue.waiting {
            if before.admit(waiting.mode) {
                waiters.push(Waiter {
                    wants,
                    ..Waiter::local(lock.session, waiting)
                });
            }
            before.insert(waiting.mode);
        }
        waiters
    }

    /// What the lock at `index`, which queues for `wants`, waits for.
    fn blockers(&self, index: usize, wants: Mode) -> Vec<(Blocker, Reason)> {
        let lock = &self.resource.locks[index];
        let mut blockers = Vec::new();
        for (other_index, other) in self.resource.locks.iter().enumerate() {
            if other_index == index || self.is_same_node(lock, other) {
                continue;
            }
            let Some(held) = other.granted else { continue };
            if !held.compatible(wants) {
                self.holders_behind(other, held, &mut blockers);
            }
        }
        let first = self
            .resource
            .locks
            .iter()
            .position(|lock| lock.queue != Queue::Granted);
        let before = &self.resource.locks[first.unwrap_or(index)..index];
        let mut queued = 0;
        for other in before
            .iter()
            .rev()
            .filter(|other| !self.is_same_node(lock, other))
        {
            let Some(wanted) = other.requested else {
                continue;
            };
            if queued > 0 && wanted.compatible(wants) {
                continue;
            }
            if let Some(blocker) = self.first_waiter_behind(other, wanted) {
                blockers.push((blocker, Reason::Queued));
                queued += 1;
            }
            if queued == QUEUED_EDGES_PER_WAIT_MAX {
                break;
            }
        }
        blockers
    }

    /// The tasks behind a lock that holds `held`, which is in the way.
    fn holders_behind(&self, lock: &LockView, held: Mode, blockers: &mut Vec<(Blocker, Reason)>) {
        let Some(queue) = self.local_queue(lock.session) else {
            blockers.push((Blocker::silent(lock, held), Reason::Holds));
            return;
        };
        let known = blockers.len();
        blockers.extend(queue.granted.iter().map(|holder| {
            (
                Blocker {
                    holds: held,
                    ..Blocker::local(lock.session, holder)
                },
                Reason::Holds,
            )
        }));
        if blockers.len() == known && lock.queue == Queue::Converting {
            let first = queue.waiting.first();
            blockers.extend(first.map(|waiting| {
                (
                    Blocker {
                        holds: held,
                        ..Blocker::local(lock.session, waiting)
                    },
                    Reason::Holds,
                )
            }));
        }
    }

    /// The task that is served when a lock that queues for `wanted` is granted; `None` where its node
    /// reports nobody who waits.
    fn first_waiter_behind(&self, lock: &LockView, wanted: Mode) -> Option<Blocker> {
        match self.local_queue(lock.session) {
            None => Some(Blocker::silent(lock, wanted)),
            Some(queue) => {
                let first = queue.waiting.first()?;
                Some(Blocker {
                    holds: wanted,
                    ..Blocker::local(lock.session, first)
                })
            }
        }
    }

    /// Whether both locks are of one node that reports: its local queue says who waits for whom there.
    fn is_same_node(&self, lock: &LockView, other: &LockView) -> bool {
        lock.session == other.session && self.reported.sessions.contains(&lock.session)
    }
}

//! The two ends of an edge, and where they are found: on a node that reports, or in the lock alone.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::{HolderReport, LockView, NodeReport, Role, Task};
use crate::ids::{LockspaceId, ResourceName, SessionId};
use crate::mode::Mode;

/// The local queue of one glock: holders, and waiters in order.
#[derive(Default)]
pub(super) struct LocalQueue<'a> {
    pub(super) granted: Vec<&'a HolderReport>,
    pub(super) waiting: Vec<&'a HolderReport>,
}

pub(super) type ByNode<'a> = BTreeMap<SessionId, LocalQueue<'a>>;

/// All reports, by resource and node.
pub(super) struct Reported<'a> {
    pub(super) sessions: BTreeSet<SessionId>,
    pub(super) queues: BTreeMap<(LockspaceId, &'a ResourceName), ByNode<'a>>,
}

impl<'a> Reported<'a> {
    pub(super) fn new(reports: &'a [NodeReport]) -> Self {
        let mut reported = Self {
            sessions: BTreeSet::new(),
            queues: BTreeMap::new(),
        };
        for report in reports {
            reported.sessions.insert(report.session);
            for glock in &report.glocks {
                let nodes = reported
                    .queues
                    .entry((glock.lockspace, &glock.name))
                    .or_default();
                let queue = nodes.entry(report.session).or_default();
                for holder in &glock.holders {
                    let part = if holder.granted {
                        &mut queue.granted
                    } else {
                        &mut queue.waiting
                    };
                    part.push(holder);
                }
            }
        }
        reported
    }
}

/// The waiting end of an edge.
#[derive(Clone, Copy)]
pub(super) struct Waiter {
    pub(super) task: Task,
    pub(super) serial: u64,
    pub(super) waited_us: u64,
    pub(super) wants: Mode,
}

/// The other end.
#[derive(Clone, Copy)]
pub(super) struct Blocker {
    pub(super) task: Task,
    pub(super) serial: u64,
    pub(super) holds: Mode,
    pub(super) role: Role,
    pub(super) pins: u32,
}

impl Waiter {
    pub(super) fn local(session: SessionId, holder: &HolderReport) -> Self {
        Self {
            task: Task {
                session,
                owner: holder.owner,
            },
            serial: holder.serial,
            waited_us: holder.age_us,
            wants: holder.mode,
        }
    }
}

impl Blocker {
    pub(super) fn local(session: SessionId, holder: &HolderReport) -> Self {
        Self {
            task: Task {
                session,
                owner: holder.owner,
            },
            serial: holder.serial,
            holds: holder.mode,
            role: holder.role,
            pins: holder.pins,
        }
    }

    /// The task of a session that does not report.
    pub(super) fn silent(lock: &LockView, holds: Mode) -> Self {
        Self {
            task: Task {
                session: lock.session,
                owner: lock.owner,
            },
            serial: lock.serial,
            holds,
            role: Role::Operation,
            pins: 0,
        }
    }
}
